/*
 * The controller's main file: takes the next key, gathers what is known (observe.c), asks what is
 * needed (plan.c), and calls the file that does it. Changes in the store and the public URL also
 * arrive here.
 */
#include "controller/controller.h"

#include "base/log.h"
#include "controller/internal.h"

#include <assert.h>
#include <stdio.h>

/* Each Secret in use is read again once in this time, all Secrets together at most 10 a second. */
#define LOOK_INTERVAL_MS INT64_C(300000)
#define LOOK_GAP_MS      100
#define MIN_LOOK_MS      1000

static struct object *find_object(struct controller *c, const char *key)
{
	struct object *object = NULL;

	HASH_FIND_STR(c->objects, key, object);
	return object;
}

static struct object *new_object(struct controller *c, const char *key)
{
	size_t n = strlen(key);
	struct object *object = mem_new(1, sizeof(*object) + n + 1);

	object->controller = c;
	memcpy(object->key, key, n);
	object->order.known_version = -1;
	HASH_ADD_KEYPTR(hh, c->objects, object->key, n, object);
	return object;
}

/* Of a BuildConfig that was read but has no object, nothing has to be remembered: it is at rest. */
static struct object *get_object(struct controller *c, const char *key)
{
	const struct buildconfig *bc = kube_store_find(c->opt.services->store, key);
	struct object *object = find_object(c, key);

	if (object)
		return object;
	object = new_object(c, key);
	if (bc)
		rest_recall(object, bc);
	return object;
}

static int64_t look_interval_ms(const struct controller *c)
{
	return c->opt.resync_ms < LOOK_INTERVAL_MS ? c->opt.resync_ms : LOOK_INTERVAL_MS;
}

static size_t count_secrets(const struct buildconfig *bc)
{
	size_t n = 0;

	for (size_t type = 0; bc && type < HOOK_TYPES; type++)
		for (size_t i = 0; i < bc->hooks[type].n_secrets; i++)
			n += bc->hooks[type].secrets[i].kind != BUILDCONFIG_SECRET_INLINE;
	return n;
}

/*
 * Reads the Secrets of one BuildConfig again, so that a deleted one is noticed although nothing is
 * delivered. Returns how many milliseconds of the interval that takes.
 */
static double look_at(struct controller *c, const char *key)
{
	struct object *object = get_object(c, key);
	int64_t now_ms = clock_mono_ms(c->opt.services->clock);
	double share_ms =
		(double)look_interval_ms(c) / (double)kube_store_count(c->opt.services->store);
	double secrets_ms = LOOK_GAP_MS * (double)count_secrets(object_buildconfig(object));

	object->secrets.recheck_ms = now_ms - JUST_FETCHED_MS;
	if (now_ms - object->secrets.owning_denied_ms >= c->opt.resync_ms)
		object->secrets.is_owning_denied = false;
	queue_add(c->opt.services->queue, object->key);
	return share_ms > secrets_ms ? share_ms : secrets_ms;
}

/* All BuildConfigs in turn, evenly over the interval; as many at once as wake the process once a
 * second. */
static void on_look(void *arg)
{
	struct controller *c = arg;
	double took_ms = 0;

	while (took_ms < MIN_LOOK_MS) {
		const char *key = kube_store_walk(c->opt.services->store);

		took_ms += key ? look_at(c, key) : (double)look_interval_ms(c);
	}
	timer_start(c->opt.services->clock, &c->look, (int64_t)took_ms, on_look, c);
}

static void free_object(struct controller *c, struct object *object)
{
	// NOLINTNEXTLINE(clang-analyzer-*): uthash is not followed
	HASH_DEL(c->objects, object);
	secret_release(&object->secrets);
	free(object->trouble);
	free(object->origin.hint);
	free(object->runner.unrun);
	free(object);
}

static void act(struct object *object, const struct observation *o, const struct action *next)
{
	switch (next->kind) {
	case ACTION_FETCH_SECRET:
	case ACTION_CREATE_SECRET:
	case ACTION_COMPLETE_SECRET:
	case ACTION_ROTATE_SECRET:
	case ACTION_END_PREVIOUS:
	case ACTION_OWN_SECRET:
		secret_act(object, next);
		return;
	case ACTION_START_BUILD:
		start_act(object, next->seq);
		return;
	case ACTION_SUPERSEDE:
		start_supersede(object, next->seq);
		return;
	case ACTION_REDELIVER:
		redelivery_act(object);
		return;
	case ACTION_WRITE_STATUS:
		status_act(object, o->seen.bc, &o->status);
		return;
	case ACTION_LOOK_FOR_RUNNER:
		runner_act(object);
		return;
	case ACTION_LOOK_AT_BUILD:
		origin_act(object);
		return;
	case ACTION_NONE:
		break;
	}
	work_finish(object, next->wait_ms < 0 ? RECONCILE_SUCCESS : RECONCILE_REQUEUE,
		    next->wait_ms);
}

static bool is_forgettable(const struct observation *o)
{
	return !o->seen.bc && o->seen.n_changes == 0;
}

static void reconcile(struct controller *c, const char *key)
{
	struct object *object = get_object(c, key);
	CLEANUP(observation_release) struct observation o = {0};
	struct action next;

	observe(&o, object);
	/* Some of the waiting changes may not have been read. The process is about to end. */
	if (journal_failure(c->opt.services->journal))
		return;
	if (is_forgettable(&o)) {
		controller_count_reconcile(c, RECONCILE_SUCCESS);
		queue_done(c->opt.services->queue, key);
		free_object(c, object);
		return;
	}
	plan(&o.seen, &next);
	if (*next.waiting)
		tell_waiting(object, o.seen.newest_seq, next.waiting);
	if (next.kind == ACTION_NONE && next.wait_ms < 0 && rest_is_possible(object, &o)) {
		controller_count_reconcile(c, RECONCILE_SUCCESS);
		queue_done(c->opt.services->queue, key);
		free_object(c, object);
		return;
	}
	act(object, &o, &next);
}

void controller_run(void *arg)
{
	struct controller *c = arg;
	const char *key;

	if (!kube_store_is_synced(c->opt.services->store))
		return;
	while (c->n_working < MAX_WORKING && (key = queue_get(c->opt.services->queue)))
		reconcile(c, key);
}

void controller_on_change(struct controller *c, const char *key, const void *old, const void *new_)
{
	const struct buildconfig *before = old, *after = new_;
	struct object *object = find_object(c, key);
	bool is_known = object || before;

	if (before && (!after || strcmp(before->uid, after->uid) != 0)) {
		activity_drop(c->opt.services->activity, before->uid);
		if (object) {
			secret_set_trouble(&object->secrets, NULL, NULL);
			free(object->runner.unrun);
			object->runner = (struct runner_memory){0};
			object->order = (struct start_memory){.known_version = -1};
			free(object->origin.hint);
			object->origin = (struct origin_memory){0};
			object->cached_version = 0;
		}
	}
	/* begin() queues every BuildConfig of the first list once that list is complete. */
	if (c->synced_ms == 0)
		return;
	if (!object && after) {
		object = new_object(c, key);
		if (before && strcmp(before->uid, after->uid) == 0)
			rest_recall(object, before);
	}
	if (is_known && after)
		object->secrets.recheck_ms =
			clock_mono_ms(c->opt.services->clock) - c->opt.secret_ttl_ms;
	queue_add(c->opt.services->queue, key);
}

static void add_waiting(void *arg, const char *key)
{
	struct controller *c = arg;

	queue_add(c->opt.services->queue, key);
}

static void add_read(void *arg, const char *key, const void *object)
{
	(void)object;
	add_waiting(arg, key);
}

/* The first list is complete. */
static void begin(struct controller *c)
{
	size_t n = kube_store_count(c->opt.services->store);
	uint64_t share_ms = (uint64_t)look_interval_ms(c) / (n ? n : 1);

	c->synced_ms = clock_mono_ms(c->opt.services->clock);
	kube_store_each(c->opt.services->store, add_read, c);
	/* At another moment than other replicas. */
	timer_start(c->opt.services->clock, &c->look,
		    (int64_t)clock_random_below(c->opt.services->clock, share_ms + 1), on_look, c);
}

void controller_resume(struct controller *c)
{
	struct object *object, *next;

	if (c->synced_ms == 0 && kube_store_is_synced(c->opt.services->store))
		begin(c);

	journal_each_waiting_key(c->opt.services->journal, add_waiting, c);
	HASH_ITER (hh, c->objects, object, next) {
		if (object->status.due_ms || object->secrets.trouble)
			queue_add(c->opt.services->queue, object->key);
	}
	controller_run(c);
}

void controller_set_public_url(struct controller *c, const char *url)
{
	free(c->public_url);
	c->public_url = mem_strdup(url);
	kube_store_each(c->opt.services->store, add_read, c);
}

bool controller_is_idle(const struct controller *c)
{
	struct queue_stats stats;

	queue_read_stats(c->opt.services->queue, &stats);
	return stats.depth == 0 && stats.working == 0;
}

/* Lets namespaces take turns, so that one with thousands of BuildConfigs delays another's status by
 * one write. */
static void give_status_turns(void *arg)
{
	struct controller *c = arg;
	const char *key;

	while (!timer_running(&c->status_turn)) {
		int64_t now_ms = clock_mono_ms(c->opt.services->clock);
		int64_t wait_ms = token_bucket_wait_ms(&c->status_bucket, &c->status_limit, now_ms);
		struct object *object;

		if (wait_ms > 0) {
			timer_start(c->opt.services->clock, &c->status_turn, wait_ms,
				    give_status_turns, c);
			return;
		}
		key = queue_get(c->status_turns);
		if (!key)
			return;
		object = find_object(c, key);
		queue_done(c->status_turns, key);
		if (!object)
			continue;
		token_bucket_take(&c->status_bucket, &c->status_limit, now_ms);
		object->has_status_turn = true;
		queue_add(c->opt.services->queue, object->key);
	}
}

struct controller *controller_new(const struct controller_options *options)
{
	struct controller *c = mem_new(1, sizeof(*c));

	c->opt = *options;
	c->run = controller_run;
	c->public_url = mem_strdup(options->public_url);
	c->limit = (struct token_bucket_limit){options->build_burst,
					       options->builds_per_minute / 60000};
	c->status_limit = (struct token_bucket_limit){5, 5.0 / 1000};
	c->status_turns = queue_new(c->opt.services->clock, 0, give_status_turns, c);
	c->events = event_log_new(c);
	controller_metrics_init(c);
	return c;
}

void controller_free(struct controller *c)
{
	struct object *object, *next;

	if (!c)
		return;
	HASH_ITER (hh, c->objects, object, next) {
		struct work *work = object->work;

		if (work) {
			kube_cancel(work->call);
			kube_secrets_cancel(work->lookup);
			work->release(work);
		}
		free_object(c, object);
	}
	timer_stop(c->opt.services->clock, &c->look);
	timer_stop(c->opt.services->clock, &c->status_turn);
	queue_free(c->status_turns);
	event_log_free(c->events);
	free(c->public_url);
	free(c);
}
