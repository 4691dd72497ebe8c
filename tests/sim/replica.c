#include "replica.h"

#include "ledger.h"

#include "journal/core.h"

#include <stdio.h>
#include <stdlib.h>

#define UPKEEP_MS     30000
#define MAX_COMMIT_MS 8
/* A clean end takes at most 20 s, and waits at least this for what has been accepted. */
#define MAX_DRAIN_MS    20000
#define MIN_PATIENCE_MS 17000
#define BURST           5
#define PER_MINUTE      12

static int64_t mono_ms(void *arg)
{
	const struct replica *r = arg;

	return r->world->now_ms;
}

static int64_t wall_ms(void *arg)
{
	const struct replica *r = arg;

	return world_wall_ms(r->world);
}

static void random_bytes(void *arg, void *out, size_t n)
{
	const struct replica *r = arg;

	world_random(r->world, out, n);
}

static void on_end(void *arg, bool has_failed)
{
	struct replica *r = arg;

	if (has_failed)
		world_fail(r->world, "replica %zu ends: %s", r->index,
			   journal_failure(r->journal) ? journal_failure(r->journal)
						       : "another backend");
	else if (r->world->now_ms > r->drained_ms + MAX_DRAIN_MS)
		world_fail(r->world, "a clean end takes %lld ms",
			   (long long)(r->world->now_ms - r->drained_ms));
	else if (r->world->now_ms < r->drained_ms + MIN_PATIENCE_MS && http_has_fed(r))
		world_fail(r->world, "replica %zu ends before all deliveries are answered",
			   r->index);
	r->is_drained = !has_failed;
}

static void on_commit(void *arg)
{
	struct replica *r = arg;

	app_collect(r->app);
}

/* The journal's thread works whenever something waits. */
void replica_follow_up(struct replica *r)
{
	struct world *w = r->world;

	if (!r->is_up || timer_running(&r->commit) || !r->journal->waiting.head)
		return;
	timer_start(w->clock, &r->commit, (int64_t)world_below(w, MAX_COMMIT_MS), on_commit, r);
}

void replica_run(struct replica *r)
{
	if (!r->is_up)
		return;
	clock_run(r->clock);
	replica_follow_up(r);
	if (r->is_drained) {
		replica_crash(r, true);
		replica_start(r);
	}
}

static void on_upkeep(void *arg)
{
	struct replica *r = arg;

	timer_start(r->world->clock, &r->upkeep, UPKEEP_MS, on_upkeep, r);
	app_collect(r->app);
	kube_store_settle(r->store, r->world->now_ms);
	http_check_patience(r);
	replica_follow_up(r);
}

void replica_start(struct replica *r)
{
	static const char *const backends[] = {
		[CONTROLLER_KUBERNETES] = "kubernetes", [CONTROLLER_OPENSHIFT] = "openshift"};
	const struct world *w = r->world;
	struct err err = {0};

	world_trace(r->world, "replica %zu starts", r->index);
	r->clock = clock_new(&(struct clock_source){mono_ms, wall_ms, random_bytes, r});
	r->metrics = metrics_new();
	r->settings = (struct app_settings){
		.public_url = w->has_public_url ? WORLD_PUBLIC_URL : NULL,
		.data_dir = r->folder,
		.backend = w->is_backend_found ? "auto" : backends[w->backend],
		.max_buffer_bytes = 32 * 1024 * 1024,
		.start_timeout_ms = 4000,
		.give_up_ms = INT64_C(24) * 3600 * 1000,
		.dedupe_window_ms = INT64_C(72) * 3600 * 1000,
		.rotation_grace_ms = INT64_C(24) * 3600 * 1000,
		.secret_ttl_ms = 30000,
		.status_interval_ms = 5000,
		.resync_ms = 3600 * 1000,
		.build_burst = BURST,
		.builds_per_minute = PER_MINUTE,
		.provision = true,
	};
	if (app_new(&r->app,
		    &(struct app_options){
			    .settings = &r->settings,
			    .clock = r->clock,
			    .transport = transport_seam(r->transport),
			    .metrics = r->metrics,
			    .namespace_ = WORLD_NAMESPACE,
			    .instance = r->index == 0 ? "replica-0" : "replica-1",
			    .on_end = on_end,
			    .arg = r,
		    },
		    &err) != 0) {
		(void)fprintf(stderr, "app_new: %s\n", err.msg);
		abort();
	}
	r->journal = app_services(r->app)->journal;
	r->store = app_services(r->app)->store;
	r->started_ms = w->now_ms;
	r->is_up = true;
	r->is_drained = false;
	timer_start(w->clock, &r->upkeep, UPKEEP_MS, on_upkeep, r);
	app_start(r->app);
}

void replica_drain(struct replica *r)
{
	world_trace(r->world, "replica %zu is told to end", r->index);
	r->drained_ms = r->world->now_ms;
	app_drain(r->app);
}

void replica_crash(struct replica *r, bool is_clean)
{
	world_trace(r->world, "replica %zu ends", r->index);
	timer_stop(r->world->clock, &r->commit);
	timer_stop(r->world->clock, &r->upkeep);
	http_abort_all(r);
	r->is_up = false;
	if (!is_clean)
		journal_ops_release(&r->journal->waiting);
	app_free(r->app);
	metrics_free(r->metrics);
	clock_free(r->clock);
}

struct replica *replica_new(struct world *w, size_t index, const char *folder)
{
	struct replica *r = mem_new(1, sizeof(*r));

	r->world = w;
	r->index = index;
	(void)snprintf(r->folder, sizeof(r->folder), "%s/replica-%zu", folder, index);
	r->transport = transport_new(r);
	return r;
}

void replica_free(struct replica *r)
{
	if (!r)
		return;
	if (r->is_up)
		replica_crash(r, true);
	transport_free(r->transport);
	free(r);
}
