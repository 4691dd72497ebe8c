/* The values of the flags of `buildhook serve`. */
#pragma once

#include "flags.h"

#include "app/app.h"

struct serve_options {
	struct app_settings app; /* except its namespaces */
	struct flag_list namespaces;
	const char *kubeconfig, *context;
	const char *listen, *admin_listen;
	const char *tls_cert, *tls_key;
	uint64_t max_body, max_connections;
	const char *log_format, *log_level;
};

extern const struct flag serve_flags[];
extern const size_t serve_n_flags;

/* The defaults. OUT is a struct serve_options. */
void serve_options_init(void *out);
/* Checks that the values fit together. ERR_INVALID with one line that says what to change. */
int serve_options_check(const struct serve_options *options, struct err *err);
