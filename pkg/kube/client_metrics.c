#include "kube/client_metrics.h"

#include "base/mem.h"
#include "metrics/metrics.h"

#include <stdio.h>

static const double seconds[] = {0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60};

static const struct metrics_family requests_total = {
	.name = "rest_client_requests_total",
	.help = "Requests to the API server, by status code, method, host and resource.",
	.kind = METRICS_COUNTER,
	.labels = {"code", "method", "host", "resource"},
};

static const struct metrics_family request_duration = {
	.name = "rest_client_request_duration_seconds",
	.help = "Time from a request to the end of its answer, watches left out.",
	.kind = METRICS_HISTOGRAM,
	.labels = {"verb", "host", "resource"},
	.buckets = seconds,
	.n_buckets = ARRAY_LEN(seconds),
};

static const char *const verbs[] = {
	[KUBE_GET] = "GET",
	[KUBE_POST] = "POST",
	[KUBE_PUT] = "PUT",
	[KUBE_DELETE] = "DELETE",
	[KUBE_MERGE_PATCH] = "PATCH",
	[KUBE_JSON_PATCH] = "PATCH",
	[KUBE_STRATEGIC_PATCH] = "PATCH",
	[KUBE_APPLY] = "PATCH",
};

void client_metrics_count(const struct client_metrics *metrics, const struct kube_request *request,
			  int status, int64_t took_ms)
{
	const char *verb = verbs[request->method];
	const char *resource = request->metric_resource ? request->metric_resource : "";
	char code[16] = "<error>";

	if (!metrics->metrics)
		return;
	if (status >= 100 && status <= 599)
		(void)snprintf(code, sizeof(code), "%d", status);
	metrics_add(metrics_get(metrics->metrics, &requests_total,
				(const char *const[]){code, verb, metrics->host, resource}),
		    1);
	if (!request->is_watch)
		metrics_observe(metrics_get(metrics->metrics, &request_duration,
					    (const char *const[]){verb, metrics->host, resource}),
				(double)took_ms / 1000);
}
