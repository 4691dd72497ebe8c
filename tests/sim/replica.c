#include "replica.h"

#include "ledger.h"

#include "buildconfig/buildconfig.h"
#include "journal/core.h"

#include <stdio.h>
#include <stdlib.h>

#define UPKEEP_MS     30000
#define MAX_COMMIT_MS 8
#define BURST         5
#define PER_MINUTE    12

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

static void *parse(void *arg, const cJSON *doc)
{
	(void)arg;
	return buildconfig_parse(doc);
}

static void free_parsed(void *object)
{
	buildconfig_free(object);
}

static void on_object(void *arg, const char *key, const void *old, const void *new_)
{
	struct replica *r = arg;

	if (r->controller)
		controller_on_change(r->controller, key, old, new_);
}

static void on_queue(void *arg)
{
	struct replica *r = arg;

	controller_run(r->controller);
}

static void on_api_change(void *arg)
{
	struct replica *r = arg;

	world_trace(r->world, "replica %zu: API server is %s", r->index,
		    kube_client_is_up(r->client) ? "up" : "down");
	if (r->controller && kube_client_is_up(r->client))
		controller_resume(r->controller);
}

static void on_reflector(void *arg)
{
	struct replica *r = arg;

	if (r->was_synced || !kube_store_is_synced(r->store))
		return;
	r->was_synced = true;
	controller_resume(r->controller);
}

static void on_commit(void *arg)
{
	struct replica *r = arg;

	journal_collect(r->journal);
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
}

static void on_upkeep(void *arg)
{
	struct replica *r = arg;

	timer_start(r->world->clock, &r->upkeep, UPKEEP_MS, on_upkeep, r);
	journal_collect(r->journal);
	kube_store_settle(r->store, r->world->now_ms);
	http_check_patience(r);
	if (journal_failure(r->journal))
		world_fail(r->world, "%s", journal_failure(r->journal));
	replica_follow_up(r);
}

static void make_parts(struct replica *r)
{
	const struct kube_transport seam = transport_seam(r->transport);

	r->clock = clock_new(&(struct clock_source){mono_ms, wall_ms, random_bytes, r});
	r->metrics = metrics_new();
	r->client = kube_client_new_over(r->clock, &seam);
	kube_client_on_change(r->client, on_api_change, r);
	r->store = kube_store_new(&(struct kube_store_type){
		.parse = parse, .free = free_parsed, .on_change = on_object, .arg = r});
	r->secrets = kube_secrets_new(&(struct kube_secrets_options){
		.client = r->client, .clock = r->clock, .ttl_ms = 30000});
	r->waiters = waiters_new();
	r->activity = activity_new();
	r->queue = queue_new(r->clock, &(struct queue_backoff){5, 1000000}, on_queue, r);
}

static void open_journal(struct replica *r)
{
	const struct journal_options options = {.data_dir = r->folder,
						.clock = r->clock,
						.dedupe_window_ms = INT64_C(72) * 3600 * 1000};
	struct err err = {0};

	if (journal_open(&r->journal, &options, &err) != 0) {
		(void)fprintf(stderr, "journal_open: %s\n", err.msg);
		abort();
	}
}

static void make_receiver(struct replica *r)
{
	r->receiver = receiver_new(&(struct receiver_options){.clock = r->clock,
							      .client = r->client,
							      .store = r->store,
							      .secrets = r->secrets,
							      .journal = r->journal,
							      .waiters = r->waiters,
							      .activity = r->activity,
							      .queue = r->queue,
							      .metrics = r->metrics,
							      .max_buffer_bytes = 32 * 1024 * 1024,
							      .secret_ttl_ms = 30000,
							      .start_timeout_ms = 4000});
}

static void make_controller(struct replica *r)
{
	r->controller = controller_new(&(struct controller_options){
		.clock = r->clock,
		.queue = r->queue,
		.client = r->client,
		.store = r->store,
		.secrets = r->secrets,
		.journal = r->journal,
		.waiters = r->waiters,
		.activity = r->activity,
		.metrics = r->metrics,
		.backend = r->world->backend,
		.public_url = "https://hooks.example.com",
		.instance = r->index == 0 ? "replica-0" : "replica-1",
		.provision = true,
		.give_up_ms = INT64_C(24) * 3600 * 1000,
		.status_interval_ms = 5000,
		.resync_ms = 3600 * 1000,
		.secret_ttl_ms = 30000,
		.rotation_grace_ms = INT64_C(24) * 3600 * 1000,
		.build_burst = BURST,
		.builds_per_minute = PER_MINUTE,
	});
}

void replica_start(struct replica *r)
{
	world_trace(r->world, "replica %zu starts", r->index);
	make_parts(r);
	open_journal(r);
	make_receiver(r);
	make_controller(r);
	r->was_synced = false;
	r->started_ms = r->world->now_ms;
	r->reflector = kube_reflector_new(&(struct kube_reflector_options){
		.client = r->client,
		.clock = r->clock,
		.store = r->store,
		.path = "/apis/build.openshift.io/v1/buildconfigs",
		.resource = "buildconfigs",
		.metrics = r->metrics,
		.on_state = on_reflector,
		.arg = r,
	});
	r->is_up = true;
	timer_start(r->world->clock, &r->upkeep, UPKEEP_MS, on_upkeep, r);
}

void replica_crash(struct replica *r, bool is_clean)
{
	world_trace(r->world, "replica %zu crashes", r->index);
	timer_stop(r->world->clock, &r->commit);
	timer_stop(r->world->clock, &r->upkeep);
	http_abort_all(r);
	r->is_up = false;
	receiver_free(r->receiver);
	controller_free(r->controller);
	r->controller = NULL;
	kube_reflector_free(r->reflector);
	kube_secrets_free(r->secrets);
	kube_client_free(r->client);
	kube_store_free(r->store);
	queue_free(r->queue);
	waiters_free(r->waiters);
	activity_free(r->activity);
	if (!is_clean)
		journal_ops_release(&r->journal->waiting);
	journal_close(r->journal);
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
