/*
 * rest_client_*: the API server's requests under the names that dashboards of client-go know.
 */
#pragma once

#include "kube/client.h"

struct client_metrics {
	struct metrics *metrics; /* NULL: nothing is counted */
	const char *host;
};

/* STATUS 0: no answer came, which client-go counts as code "<error>". */
void client_metrics_count(const struct client_metrics *metrics, const struct kube_request *request,
			  int status, int64_t took_ms);
