/* The admin port: /healthz, /readyz and /metrics, nothing else. */
#pragma once

#include "metrics/metrics.h"
#include "net/http.h"

#define ADMIN_MAX_CHECKS 8

struct admin_check {
	const char *name;
	const char *failure; /* NULL: passed */
};

struct admin {
	struct metrics *metrics;
	/* Fills CHECKS (at most ADMIN_MAX_CHECKS), returns how many. */
	size_t (*ready)(void *arg, bool receive_only, struct admin_check *checks);
	void *arg;
};

/* ADMIN is borrowed. */
struct http_handler admin_handler(struct admin *admin);
