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

static struct object *find_object(struct controller *c, const char *key)
{
	struct object *object = NULL;

	HASH_FIND_STR(c->objects, key, object);
	return object;
}

static int64_t look_interval_ms(const struct controller *c)
{
	return c->opt.resync_ms < LOOK_INTERVAL_MS ? c->opt.resync_ms : LOOK_INTERVAL_MS;
}

/* Takes the next free times for as many GETs as the BuildConfig has Secrets. */
static int64_t reserve_look(struct controller *c, const struct object *object, int64_t now_ms)
{
	const struct buildconfig *bc = object_buildconfig(object);
	int64_t at_ms = c->look_free_ms > now_ms ? c->look_free_ms : now_ms;

	c->look_free_ms = at_ms;
	for (size_t type = 0; bc && type < HOOK_TYPES; type++)
		for (size_t i = 0; i < bc->hooks[type].n_secrets; i++)
			if (bc->hooks[type].secrets[i].kind != BUILDCONFIG_SECRET_INLINE)
				c->look_free_ms += LOOK_GAP_MS;
	return at_ms;
}

/* Reads the Secrets again, so that a deleted one is noticed although nothing is delivered. */
static void on_look(void *arg)
{
	struct object *object = arg;
	struct controller *c = object->controller;
	int64_t now_ms = clock_mono_ms(c->opt.services->clock);
	int64_t at_ms = object->has_look_time ? now_ms : reserve_look(c, object, now_ms);

	object->has_look_time = at_ms > now_ms;
	if (object->has_look_time) {
		timer_start(c->opt.services->clock, &object->look, at_ms - now_ms, on_look, object);
		return;
	}
	object->secrets.recheck_ms = now_ms - JUST_FETCHED_MS;
	if (now_ms - object->secrets.owning_denied_ms >= c->opt.resync_ms)
		object->secrets.is_owning_denied = false;
	queue_add(c->opt.services->queue, object->key);
	timer_start(c->opt.services->clock, &object->look, look_interval_ms(c), on_look, object);
}

static struct object *get_object(struct controller *c, const char *key)
{
	struct object *object = find_object(c, key);
	int64_t spread_ms;

	if (object)
		return object;
	object = mem_new(1, sizeof(*object));
	object->controller = c;
	object->key = mem_strdup(key);
	object->order.known_version = -1;
	HASH_ADD_KEYPTR(hh, c->objects, object->key, strlen(object->key), object);
	spread_ms = (int64_t)clock_random_below(c->opt.services->clock,
						(uint64_t)look_interval_ms(c) / 2 + 1);
	timer_start(c->opt.services->clock, &object->look, look_interval_ms(c) - spread_ms, on_look,
		    object);
	return object;
}

static void free_object(struct controller *c, struct object *object)
{
	// NOLINTNEXTLINE(clang-analyzer-*): uthash is not followed
	HASH_DEL(c->objects, object);
	timer_stop(c->opt.services->clock, &object->look);
	secret_release(&object->secrets);
	free(object->trouble);
	free(object->origin.hint);
	free(object->runner.unrun);
	free(object->key);
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
	if (object && after)
		object->secrets.recheck_ms =
			clock_mono_ms(c->opt.services->clock) - c->opt.secret_ttl_ms;
	queue_add(c->opt.services->queue, key);
}

static void add_waiting(void *arg, const char *key)
{
	struct controller *c = arg;

	queue_add(c->opt.services->queue, key);
}

void controller_resume(struct controller *c)
{
	struct object *object, *next;

	journal_each_waiting_key(c->opt.services->journal, add_waiting, c);
	HASH_ITER (hh, c->objects, object, next) {
		if (object->status.due_ms || object->secrets.trouble)
			queue_add(c->opt.services->queue, object->key);
	}
	controller_run(c);
}

void controller_set_public_url(struct controller *c, const char *url)
{
	struct object *object, *next;

	free(c->public_url);
	c->public_url = mem_strdup(url);
	HASH_ITER (hh, c->objects, object, next)
		queue_add(c->opt.services->queue, object->key);
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
	timer_stop(c->opt.services->clock, &c->status_turn);
	queue_free(c->status_turns);
	event_log_free(c->events);
	free(c->public_url);
	free(c);
}
