/*
 * Who started the newest Build. OpenShift's console and `oc describe` show the address of its own
 * webhook endpoint, also where buildhook is installed, so people paste that one. Such a Build has a
 * webhook's cause and not our label. Each number that buildhook did not raise is looked at once,
 * after there has been time to create its Build; Builds from before the start of this process are
 * not.
 */
#include "base/log.h"
#include "controller/build_body.h"
#include "controller/internal.h"

#include <stdio.h>

/*
 * OpenShift raises lastVersion first and creates the Build after it, so the look waits this long.
 */
#define LOOK_AFTER_MS 5000
#define MAX_SHOWN     60

void origin_observe(struct observed *seen, struct object *object)
{
	struct controller *c = object->controller;
	bool has_hook = false;

	for (size_t i = 0; i < HOOK_TYPES; i++)
		has_hook |= seen->bc->hooks[i].exists;
	if (!object->origin.has_looked_version || c->opt.backend != CONTROLLER_OPENSHIFT ||
	    !has_hook) {
		object->origin.has_looked_version = true;
		object->origin.looked_version = seen->bc->last_version;
	}
	seen->has_unknown_build = seen->bc->last_version > object->origin.looked_version;
	seen->look_wait_ms =
		object->cached_version_ms + LOOK_AFTER_MS - clock_mono_ms(c->opt.services->clock);
}

/* Index of the hook whose TYPE the Build's cause names; HOOK_TYPES for none. */
static size_t find_cause(const cJSON *build)
{
	const cJSON *cause;

	cJSON_ArrayForEach (cause, json_at(build, "spec/triggeredBy")) {
		for (size_t i = 0; i < HOOK_TYPES; i++) {
			char member[32];

			(void)snprintf(member, sizeof(member), "%sWebHook", hook_type_name(i));
			if (json_member(cause, member))
				return i;
		}
	}
	return HOOK_TYPES;
}

void origin_note(struct object *object, const cJSON *build)
{
	struct origin_memory *origin = &object->origin;
	const char *name = json_str_at(build, "metadata/name");
	const char *created = json_str_at(build, "metadata/creationTimestamp");
	size_t type = find_cause(build);
	char namespace_[KUBE_NAME_BYTES], bc_name[KUBE_NAME_BYTES];
	char hint[200];
	int64_t created_ms = 0;

	if (object->controller->opt.backend != CONTROLLER_OPENSHIFT || type == HOOK_TYPES ||
	    !name || !created ||
	    json_member(json_at(build, "metadata/labels"), BUILD_DELIVERY_LABEL) ||
	    !clock_parse_rfc3339(str_of(created), &created_ms) || created_ms <= origin->hint_ms)
		return;
	object_split(object, namespace_, bc_name);
	origin->type = type;
	origin->hint_ms = created_ms;
	(void)snprintf(hint, sizeof(hint),
		       "your Git host still calls OpenShift's own %s URL, which started %.*s; "
		       "paste the one of buildhook.io/%s-url there",
		       hook_type_name(type), MAX_SHOWN, name, hook_type_name(type));
	free(origin->hint);
	origin->hint = mem_strdup(hint);
	log_msg(LOG_INFO, "controller", "a build was started through OpenShift's own URL",
		LOG_FIELD("namespace", namespace_), LOG_FIELD("name", bc_name),
		LOG_FIELD("build", name));
}

static void release(struct work *work)
{
	free(work);
}

/* A failure is not retried: the next Build shows the same. */
static void on_build(void *arg, const struct kube_response *response)
{
	struct work *work = arg;

	work->call = NULL;
	if (response->err.code == ERR_OK)
		origin_note(work->object, response->doc);
	work_end(work, RECONCILE_SUCCESS, 0);
}

void origin_act(struct object *object)
{
	struct work *work = mem_new(1, sizeof(*work));
	const struct buildconfig *bc = object_buildconfig(object);

	object->origin.looked_version = bc->last_version;
	work_begin(work, object, release);
	work_get_build(work, bc->namespace_, bc->name, bc->last_version, on_build);
}
