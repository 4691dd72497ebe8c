/*
 * The program: everything that `buildhook serve` is made of, put together once, over two seams:
 * the clock and the transport to the API server. Sockets, signals, threads and the log stay
 * outside, so a simulation runs the same program in virtual time.
 *
 * Discovery chooses the backend, then the public address is looked for, then the reconciler and
 * its watches start; deliveries are refused (503) until then. app_drain() ends it.
 */
#pragma once

#include "receiver/receiver.h"
#include "services/services.h"

/* From flags; the defaults are the command line's. Borrowed. */
struct app_settings {
	const char *const *namespaces;
	size_t n_namespaces;    /* 0: all */
	const char *selector;   /* or NULL */
	const char *public_url; /* NULL: from the cluster's Route or Ingress */
	const char *data_dir;
	const char *backend; /* "auto", "openshift" or "kubernetes" */
	uint64_t max_buffer_bytes;
	uint64_t journal_size_bytes; /* 0: the default */
	int64_t start_timeout_ms, give_up_ms, dedupe_window_ms, rotation_grace_ms, secret_ttl_ms,
		status_interval_ms, resync_ms;
	uint64_t build_burst;
	double builds_per_minute;
	const char *default_branch; /* or NULL */
	bool provision;
};

struct app_options {
	const struct app_settings *settings;
	struct clock *clock;
	struct kube_transport transport; /* taken over, also on failure */
	struct metrics *metrics;
	const char *namespace_; /* buildhook's own, where its Route or Ingress is looked for */
	const char *instance;   /* for Events: the Pod's or host's name */
	/* Called from the journal's thread: app_collect() is due. NULL: there is no thread. */
	void (*wake)(void *arg);
	void *wake_arg;
	/* The program should end: it is drained, or it cannot go on. Called at most once. */
	void (*on_end)(void *arg, bool has_failed);
	void *arg;
};

struct app;

/* Fails where the journal cannot be opened. Borrows what OPTIONS points at. */
int app_new(struct app **out, const struct app_options *options, struct err *err);
/* Starts the discovery of what the API server serves; everything else follows from its answer. */
void app_start(struct app *app);
/* Results of the journal's commits. */
void app_collect(struct app *app);
/* New deliveries are refused; on_end is called when those under way are answered, at most 18 s. */
void app_drain(struct app *app);
/* Commits what waits: the last step before app_free(). False: the journal failed; that was logged.
 */
bool app_finish(struct app *app);
void app_free(struct app *app);

struct http_handler app_handler(struct app *app);
/* For metrics and tests. Lent. */
const struct services *app_services(const struct app *app);

struct app_check {
	const char *name;
	const char *failure; /* NULL: passed */
};

#define APP_MAX_CHECKS 4
/* Readiness; without RECEIVE_ONLY also whether builds can start now. Returns how many. */
size_t app_read_checks(struct app *app, bool receive_only, struct app_check checks[APP_MAX_CHECKS]);
