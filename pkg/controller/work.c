#include "controller/work.h"

#include "controller/build_body.h"
#include "controller/internal.h"

#include <assert.h>
#include <stdio.h>

const struct backoff_range retry_backoff = {1000, MAX_BACKOFF_MS};

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
	return kube_store_find(object->controller->opt.services->store, object->key);
}

void work_begin(struct work *work, struct object *object, void (*release)(struct work *work))
{
	assert(!object->work);
	work->controller = object->controller;
	work->object = object;
	work->release = release;
	work->began_ms = clock_mono_ms(object->controller->opt.services->clock);
	object->work = work;
	object->controller->n_working++;
	metrics_set(object->controller->active, object->controller->n_working);
}

void work_finish(struct object *object, enum reconcile_result result, int64_t again_ms)
{
	struct controller *c = object->controller;

	controller_count_reconcile(c, result);
	queue_done(c->opt.services->queue, object->key);
	if (again_ms == 0)
		queue_add(c->opt.services->queue, object->key);
	else if (again_ms > 0)
		queue_add_after(c->opt.services->queue, object->key, again_ms);
}

void work_end(struct work *work, enum reconcile_result result, int64_t again_ms)
{
	struct controller *c = work->controller;
	struct object *object = work->object;
	bool was_full = c->n_working == MAX_WORKING;

	assert(!work->call && !work->lookup);
	metrics_observe(c->reconcile_seconds,
			(double)(clock_mono_ms(c->opt.services->clock) - work->began_ms) / 1000);
	object->work = NULL;
	c->n_working--;
	work->release(work);
	work_finish(object, result, again_ms);
	if (was_full)
		c->run(c);
}

void work_call(struct work *work, const struct kube_request *request, kube_response_fn fn)
{
	assert(!work->call);
	work->call = kube_start(work->controller->opt.services->client, request, fn, work);
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
