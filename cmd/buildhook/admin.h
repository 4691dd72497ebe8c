/* The admin port: /healthz, /readyz and /metrics, nothing else. */
#pragma once

#include "app/app.h"

struct admin {
	struct metrics *metrics;
	/* As app_read_checks(). */
	size_t (*read_checks)(void *arg, bool receive_only,
			      struct app_check checks[APP_MAX_CHECKS]);
	void *arg;
};

/* ADMIN is borrowed. */
struct http_handler admin_handler(struct admin *admin);
