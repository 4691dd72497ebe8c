/* The metrics of reconciling, under the names of controller-runtime, and of builds. */
#include "controller/internal.h"

static const struct metrics_family reconciles = {
	.name = "controller_runtime_reconcile_total",
	.help = "Reconciliations of a BuildConfig by result.",
	.kind = METRICS_COUNTER,
	.labels = {"controller", "result"},
};
static const struct metrics_family reconcile_errors = {
	.name = "controller_runtime_reconcile_errors_total",
	.help = "Reconciliations of a BuildConfig that failed.",
	.kind = METRICS_COUNTER,
	.labels = {"controller"},
};
static const struct metrics_family active = {
	.name = "controller_runtime_active_workers",
	.help = "BuildConfigs that are being worked on.",
	.kind = METRICS_GAUGE,
	.labels = {"controller"},
};
static const struct metrics_family builds = {
	.name = "buildhook_builds_started_total",
	.help = "Builds started.",
	.kind = METRICS_COUNTER,
	.labels = {"provider"},
};
static const struct metrics_family failures = {
	.name = "buildhook_builds_failed_total",
	.help = "Changes whose build could not be started for good.",
	.kind = METRICS_COUNTER,
	.labels = {"provider"},
};

void controller_metrics_init(struct controller *c)
{
	static const char *const results[] = {"success", "error", "requeue"};
	static struct metrics_family reconcile_seconds = {
		.name = "controller_runtime_reconcile_time_seconds",
		.help = "Time that an action of a reconciliation took.",
		.kind = METRICS_HISTOGRAM,
		.labels = {"controller"},
		.buckets = metrics_seconds,
	};

	reconcile_seconds.n_buckets = metrics_n_seconds;
	for (size_t i = 0; i < ARRAY_LEN(results); i++)
		c->reconciles[i] = metrics_get(c->opt.services->metrics, &reconciles,
					       (const char *const[]){"buildconfig", results[i]});
	c->reconcile_errors = metrics_get(c->opt.services->metrics, &reconcile_errors,
					  (const char *const[]){"buildconfig"});
	c->active = metrics_get(c->opt.services->metrics, &active,
				(const char *const[]){"buildconfig"});
	c->reconcile_seconds = metrics_get(c->opt.services->metrics, &reconcile_seconds,
					   (const char *const[]){"buildconfig"});
}

void controller_count_reconcile(struct controller *c, enum reconcile_result result)
{
	metrics_add(c->reconciles[result], 1);
	if (result == RECONCILE_ERROR)
		metrics_add(c->reconcile_errors, 1);
	metrics_set(c->active, (double)c->n_working);
}

void controller_count_build(struct controller *c, const char *provider, int64_t took_ms)
{
	static struct metrics_family start_seconds = {
		.name = "buildhook_start_seconds",
		.help = "Time from the acceptance of a change to its Build.",
		.kind = METRICS_HISTOGRAM,
		.buckets = metrics_seconds,
	};

	start_seconds.n_buckets = metrics_n_seconds;
	metrics_add(metrics_get(c->opt.services->metrics, &builds, (const char *const[]){provider}),
		    1);
	metrics_observe(metrics_get(c->opt.services->metrics, &start_seconds, NULL),
			(double)took_ms / 1000);
}

void controller_count_failure(struct controller *c, const char *provider)
{
	metrics_add(
		metrics_get(c->opt.services->metrics, &failures, (const char *const[]){provider}),
		1);
}
