/* Recorded deliveries (tests/data), sent to a replica's receiver without sockets. */
#pragma once

#include "sim/replica.h"

#define REQUEST_SECRET "It's a Secret to Everybody"
#define REQUEST_TOKEN  "whsec_YnVpbGRob29rIHNpZ25zIHdlYmhvb2tzIHdpdGggaXQ="
#define REQUEST_KEY    "buildhook signs webhooks with it"
/* In the URL. */
#define REQUEST_PATH_SECRET "plain-secret"

struct request {
	const char *file; /* below tests/data, without ".http" */
	bool has_path_secret;
	bool is_dry_run;
};

/* STATUS is set when the request is answered. */
void request_send(struct replica *replica, const struct request *request, int *status);
