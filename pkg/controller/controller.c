#include "controller/controller.h"

#include "base/log.h"
#include "controller/build_body.h"
#include "controller/internal.h"

#include <assert.h>
#include <stdio.h>

/* Requests go over two connections; more keys at once would only wait there. */
#define MAX_WORKING 64
/* A Secret fetched this recently is not fetched again (kube/secrets.h), so it must not be asked
 * for. */
#define JUST_FETCHED_MS 1000

static struct object *find_object(struct controller *c, const char *key)
{
	struct object *object = NULL;

	HASH_FIND_STR(c->objects, key, object);
	return object;
}

static void on_resync(void *arg)
{
	struct object *object = arg;
	struct controller *c = object->controller;
	int64_t now_ms = clock_mono_ms(c->opt.clock);
	int64_t wait_ms = flood_wait_ms(&c->resync_flood, &c->resync_limit, now_ms);

	if (wait_ms > 0) {
		timer_start(c->opt.clock, &object->resync, wait_ms, on_resync, object);
		return;
	}
	flood_take(&c->resync_flood, &c->resync_limit, now_ms);
	object->secrets.recheck_ms = now_ms - JUST_FETCHED_MS;
	object->secrets.is_owning_denied = false;
	queue_add(c->opt.queue, object->key);
	timer_start(c->opt.clock, &object->resync, c->opt.resync_ms, on_resync, object);
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
	spread_ms = (int64_t)clock_random_below(c->opt.clock, (uint64_t)c->opt.resync_ms / 2 + 1);
	timer_start(c->opt.clock, &object->resync, c->opt.resync_ms - spread_ms, on_resync, object);
	return object;
}

static void free_object(struct controller *c, struct object *object)
{
	// NOLINTNEXTLINE(clang-analyzer-*): uthash is not followed
	HASH_DEL(c->objects, object);
	timer_stop(c->opt.clock, &object->resync);
	secret_set_trouble(&object->secrets, NULL, NULL);
	free(object->key);
	free(object);
}

void object_split(const struct object *object, char *namespace_, char *name)
{
	const char *slash = strchr(object->key, '/');

	assert(slash);
	(void)snprintf(namespace_, KUBE_NAME_BYTES, "%.*s", (int)(slash - object->key),
		       object->key);
	(void)snprintf(name, KUBE_NAME_BYTES, "%s", slash + 1);
}

const struct buildconfig *object_buildconfig(const struct object *object)
{
	return kube_store_find(object->controller->opt.store, object->key);
}

int64_t backoff_ms(struct clock *clock, unsigned attempts, int64_t base_ms, int64_t max_ms)
{
	int64_t whole_ms = base_ms;

	for (unsigned i = 1; i < attempts && whole_ms < max_ms; i++)
		whole_ms *= 2;
	if (whole_ms > max_ms)
		whole_ms = max_ms;
	return whole_ms / 2 + (int64_t)clock_random_below(clock, (uint64_t)whole_ms / 2 + 1);
}

void work_begin(struct work *work, struct object *object, void (*release)(struct work *work))
{
	assert(!object->work);
	work->controller = object->controller;
	work->object = object;
	work->release = release;
	work->began_ms = clock_mono_ms(object->controller->opt.clock);
	object->work = work;
	object->controller->n_working++;
	metrics_set(object->controller->active, object->controller->n_working);
}

static void finish(struct controller *c, struct object *object, enum reconcile_result result,
		   int64_t again_ms)
{
	controller_count_reconcile(c, result);
	queue_done(c->opt.queue, object->key);
	if (again_ms == 0)
		queue_add(c->opt.queue, object->key);
	else if (again_ms > 0)
		queue_add_after(c->opt.queue, object->key, again_ms);
}

void work_end(struct work *work, enum reconcile_result result, int64_t again_ms)
{
	struct controller *c = work->controller;
	struct object *object = work->object;
	bool was_full = c->n_working == MAX_WORKING;

	assert(!work->call && !work->lookup);
	metrics_observe(c->reconcile_seconds,
			(double)(clock_mono_ms(c->opt.clock) - work->began_ms) / 1000);
	object->work = NULL;
	c->n_working--;
	work->release(work);
	finish(c, object, result, again_ms);
	if (was_full)
		controller_run(c);
}

void work_call(struct work *work, const struct kube_request *request, kube_response_fn fn)
{
	assert(!work->call);
	work->call = kube_start(work->controller->opt.client, request, fn, work);
}

static void get(struct work *work, const char *namespace_, const char *resource, const char *name,
		kube_response_fn fn)
{
	CLEANUP(buf_release) struct buf path = BUF_INIT(2048);

	buf_printf(&path, "/apis/build.openshift.io/v1/namespaces/%s/%s/%s", namespace_, resource,
		   name);
	work_call(work,
		  &(struct kube_request){
			  .method = KUBE_GET, .path = path.data, .metric_resource = resource},
		  fn);
}

void work_get_buildconfig(struct work *work, const char *namespace_, const char *name,
			  kube_response_fn fn)
{
	get(work, namespace_, "buildconfigs", name, fn);
}

void work_get_build(struct work *work, const char *namespace_, const char *bc_name, int64_t number,
		    kube_response_fn fn)
{
	char name[BUILD_NAME_BYTES];

	build_name(name, bc_name, number);
	get(work, namespace_, "builds", name, fn);
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
		build_act(object, next->seq);
		return;
	case ACTION_SUPERSEDE:
		build_supersede(object, next->seq);
		return;
	case ACTION_WRITE_STATUS:
		status_act(object, o->seen.bc, &o->status);
		return;
	case ACTION_LOOK_AT_BUILD:
		origin_act(object);
		return;
	case ACTION_NONE:
		break;
	}
	finish(object->controller, object,
	       next->wait_ms < 0 ? RECONCILE_SUCCESS : RECONCILE_REQUEUE, next->wait_ms);
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
	/* Some of what waits may not have been read; the process ends. */
	if (journal_failure(c->opt.journal))
		return;
	if (is_forgettable(&o)) {
		controller_count_reconcile(c, RECONCILE_SUCCESS);
		queue_done(c->opt.queue, key);
		free_object(c, object);
		return;
	}
	plan(&o.seen, &next);
	if (*next.waiting)
		tell_waiting(object, next.waiting);
	act(object, &o, &next);
}

void controller_run(void *arg)
{
	struct controller *c = arg;
	const char *key;

	if (!kube_store_is_synced(c->opt.store))
		return;
	while (c->n_working < MAX_WORKING && (key = queue_get(c->opt.queue)))
		reconcile(c, key);
}

void controller_on_change(struct controller *c, const char *key, const void *old, const void *new_)
{
	const struct buildconfig *before = old, *after = new_;
	struct object *object = find_object(c, key);

	if (before && (!after || strcmp(before->uid, after->uid) != 0)) {
		activity_drop(c->opt.activity, before->uid);
		if (object) {
			secret_set_trouble(&object->secrets, NULL, NULL);
			object->order = (struct order_memory){.known_version = -1};
			object->origin = (struct origin_memory){0};
			object->seen_version = 0;
		}
	}
	if (object && after)
		object->secrets.recheck_ms = clock_mono_ms(c->opt.clock) - c->opt.secret_ttl_ms;
	queue_add(c->opt.queue, key);
}

static void add_pending(void *arg, const char *namespace_, const char *name)
{
	struct controller *c = arg;
	char key[2 * KUBE_NAME_BYTES];

	(void)snprintf(key, sizeof(key), "%s/%s", namespace_, name);
	queue_add(c->opt.queue, key);
}

void controller_resume(struct controller *c)
{
	struct object *object, *next;

	journal_each_pending_key(c->opt.journal, add_pending, c);
	HASH_ITER (hh, c->objects, object, next) {
		if (object->status.due_ms || object->secrets.trouble)
			queue_add(c->opt.queue, object->key);
	}
	controller_run(c);
}

void controller_set_public_url(struct controller *c, const char *url)
{
	struct object *object, *next;

	free(c->public_url);
	c->public_url = mem_strdup(url);
	HASH_ITER (hh, c->objects, object, next)
		queue_add(c->opt.queue, object->key);
}

void controller_poke(struct controller *c, const char *key)
{
	queue_add(c->opt.queue, key);
}

bool controller_is_idle(const struct controller *c)
{
	struct queue_stats stats;

	queue_read_stats(c->opt.queue, &stats);
	return stats.depth == 0 && stats.working == 0;
}

struct controller *controller_new(const struct controller_options *options)
{
	struct controller *c = mem_new(1, sizeof(*c));

	c->opt = *options;
	c->public_url = mem_strdup(options->public_url);
	c->limit = (struct flood_limit){options->build_burst, options->builds_per_minute / 60000};
	c->status_limit = (struct flood_limit){5, 5.0 / 1000};
	c->resync_limit = (struct flood_limit){10, 10.0 / 1000};
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
	event_log_free(c->events);
	free(c->public_url);
	free(c);
}
