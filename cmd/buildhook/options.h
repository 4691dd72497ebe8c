/* What `buildhook serve` is told by its flags. */
#pragma once

#include "flags.h"

struct serve_options {
	const char *kubeconfig, *context;
	struct flag_list namespaces;
	const char *selector;
	const char *listen, *admin_listen;
	const char *tls_cert, *tls_key;
	const char *public_url;
	const char *data_dir;
	const char *backend;
	uint64_t max_body, max_buffer, max_connections;
	int64_t start_timeout_ms, give_up_ms, dedupe_window_ms, rotation_grace_ms, secret_ttl_ms,
		status_interval_ms, resync_ms;
	uint64_t build_burst;
	double builds_per_minute;
	const char *default_branch;
	bool provision;
	const char *log_format, *log_level;
};

extern const struct flag serve_flags[];
extern const size_t serve_n_flags;

/* The defaults. OUT is a struct serve_options. */
void serve_options_init(void *out);
/* Whether the values fit together. ERR_INVALID with one line that says what to change. */
int serve_options_check(const struct serve_options *options, struct err *err);
