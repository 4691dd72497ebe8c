/*
 * On plain Kubernetes buildhook makes Builds that something else must run. A minute after a Build
 * was made the namespace's Builds are listed: where that Build is still New and none is Pending or
 * Running, nothing runs Builds, and the hint says so. After a Build was seen to run there are no
 * lists for an hour, and all BuildConfigs together cause at most six lists a minute. While the hint
 * stands the list is repeated every five minutes.
 */
#include "controller/runner.h"

#include "base/mem.h"
#include "controller/build_body.h"
#include "controller/internal.h"

#include <stdio.h>

#define LOOK_AFTER_MS 60000
#define LOOK_GAP_MS   10000
#define LOOK_AGAIN_MS 300000
#define TRUST_MS      INT64_C(3600000)

static bool has_hint(const struct buildconfig *bc)
{
	return *buildconfig_status(bc, buildconfig_status_keys[BUILDCONFIG_KEY_HINT]) != '\0';
}

void runner_observe(struct observed *seen, struct object *object)
{
	struct controller *c = object->controller;
	struct runner_memory *memory = &object->runner;
	int64_t now_ms = clock_mono_ms(c->opt.services->clock);
	int64_t last = seen->bc->last_version;
	bool is_trusted = c->run_seen_ms && now_ms - c->run_seen_ms < TRUST_MS;

	if (c->opt.backend != CONTROLLER_KUBERNETES)
		return;
	if (is_trusted)
		mem_free(&memory->unrun);
	/* After a restart the Builds are listed once, because an earlier process may have left the
	 * hint. */
	if (is_trusted || !memory->has_seen_version) {
		memory->seen_version = last - (!is_trusted && last > 0 && has_hint(seen->bc));
		memory->version = 0;
		memory->has_seen_version = true;
	}
	if (memory->version == 0 && last > memory->seen_version) {
		memory->version = last;
		memory->look_ms = now_ms + LOOK_AFTER_MS;
	}
	if (memory->version == 0)
		return;
	if (memory->look_ms <= now_ms && memory->look_ms < c->run_free_ms)
		memory->look_ms = c->run_free_ms;
	seen->wants_run_look = true;
	seen->run_wait_ms = memory->look_ms > now_ms ? memory->look_ms - now_ms : 0;
}

static void release(struct work *work)
{
	free(work);
}

static bool is_phase(const cJSON *build, const char *phase)
{
	const char *text = json_str_at(build, "status/phase");

	return strcmp(text && *text ? text : "New", phase) == 0;
}

/* AWAITED: name of the Build that should have begun to run. */
static void read_list(struct object *object, const cJSON *list, const char *awaited)
{
	struct controller *c = object->controller;
	struct runner_memory *memory = &object->runner;
	const cJSON *build;
	bool is_new = false;

	mem_free(&memory->unrun);
	cJSON_ArrayForEach (build, json_member(list, "items")) {
		const char *name = json_str_at(build, "metadata/name");
		bool is_awaited = name && strcmp(name, awaited) == 0;

		if (is_phase(build, "Pending") || is_phase(build, "Running") ||
		    (is_awaited && !is_phase(build, "New"))) {
			c->run_seen_ms = clock_mono_ms(c->opt.services->clock);
			return;
		}
		is_new |= is_awaited;
	}
	if (is_new)
		memory->unrun = mem_strdup(awaited);
}

static void on_listed(void *arg, const struct kube_response *response)
{
	struct work *work = arg;
	struct object *object = work->object;
	struct runner_memory *memory = &object->runner;
	const struct buildconfig *bc = object_buildconfig(object);
	char name[BUILD_NAME_BYTES];

	work->call = NULL;
	if (response->err.code == ERR_OK && bc) {
		build_name(name, bc->name, memory->version);
		read_list(object, response->doc, name);
	}
	if (memory->unrun) {
		memory->look_ms =
			clock_mono_ms(work->controller->opt.services->clock) + LOOK_AGAIN_MS;
	} else {
		memory->seen_version = memory->version;
		memory->version = 0;
	}
	work_end(work, RECONCILE_SUCCESS, 0);
}

void runner_act(struct object *object)
{
	struct work *work = mem_new(1, sizeof(*work));
	struct controller *c = object->controller;
	CLEANUP(buf_release) struct buf path = BUF_INIT(1024);
	char namespace_[KUBE_NAME_BYTES], name[KUBE_NAME_BYTES];

	object_split(object, namespace_, name);
	buf_printf(&path, "/apis/build.openshift.io/v1/namespaces/%s/builds?limit=500", namespace_);
	c->run_free_ms = clock_mono_ms(c->opt.services->clock) + LOOK_GAP_MS;
	work_begin(work, object, release);
	work_call(work,
		  &(struct kube_request){
			  .method = KUBE_GET, .path = path.data, .metric_resource = "builds"},
		  on_listed);
}
