/* The admin port: /healthz, /readyz and /metrics, nothing else. */
#pragma once

#include "app/app.h"

struct admin {
	struct metrics *metrics;
	struct app *app;
};

/* ADMIN is borrowed. */
struct http_handler admin_handler(struct admin *admin);
