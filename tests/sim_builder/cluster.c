/* What happens around the controller, and what must hold. */
#include "world.h"

#include <inttypes.h>
#include <utlist.h>

#define NAMESPACE  "shop"
#define CONFIGS    4
#define MAX_BUILDS 24

static const char *const policies[] = {"Serial", "SerialLatestOnly", "Parallel"};

static cJSON *metadata_of(const struct object *o)
{
	return cJSON_GetObjectItemCaseSensitive(o->doc, "metadata");
}

static cJSON *json_object_of(cJSON *object, const char *key)
{
	cJSON *member = cJSON_GetObjectItemCaseSensitive(object, key);

	return member ? member : json_put_object(object, key);
}

static cJSON *status_of(const struct object *o)
{
	return json_object_of(o->doc, "status");
}

static void set(cJSON *object, const char *key, cJSON *value)
{
	cJSON_DeleteItemFromObjectCaseSensitive(object, key);
	json_put(object, key, value);
}

enum build_phase phase_of(const struct object *build)
{
	const char *phase = json_str_at(build->doc, "status/phase");

	for (size_t i = 0; phase && i < BUILD_PHASES; i++)
		if (strcmp(phase, build_phase_names[i]) == 0)
			return (enum build_phase)i;
	return BUILD_NEW;
}

struct object *pod_of(struct world *w, const struct object *build)
{
	char key[300];

	(void)snprintf(key, sizeof(key), "%s-build", build->key);
	return api_find(w, PODS, key);
}

struct object *build_of(struct world *w, const struct object *pod)
{
	char key[300];

	(void)snprintf(key, sizeof(key), "%.*s", (int)(strlen(pod->key) - strlen("-build")),
		       pod->key);
	return api_find(w, BUILDS, key);
}

static bool is_pod(const struct object *pod, const char *phase)
{
	const char *is = json_str_at(pod->doc, "status/phase");

	return strcmp(is ? is : "Pending", phase) == 0;
}

bool is_unfinished_pod(const struct object *pod)
{
	return !is_pod(pod, "Succeeded") && !is_pod(pod, "Failed");
}

static bool is_deleting(const struct object *o)
{
	return json_at(o->doc, "metadata/deletionTimestamp") != NULL;
}

static bool is_cancel_wanted(const struct object *build)
{
	return json_bool_at(build->doc, "status/cancelled", false);
}

static const char *config_of(const struct object *build)
{
	return json_str_at(build->doc, "status/config/name");
}

static const char *policy_of(const struct object *build)
{
	return cJSON_GetStringValue(json_member(json_at(build->doc, "metadata/labels"),
						"openshift.io/build.start-policy"));
}

static void raise_version(struct world *w, struct object *config);

/* The kubelet. */

static void set_container(struct object *pod, const char *list, const char *state, int exit_code)
{
	cJSON *container = json_new_object(), *array = json_new_array();
	cJSON *at = json_put_object(json_put_object(container, "state"), state);

	json_put_str(container, "name", "x");
	if (strcmp(state, "terminated") == 0)
		json_put_int(at, "exitCode", exit_code);
	json_append(array, container);
	set(status_of(pod), list, array);
}

static void step_pod(struct world *w, struct object *pod)
{
	struct object *build = build_of(w, pod);
	bool is_good = world_chance(w, 70);

	pod->step_ms = w->now_ms + 200 + (int64_t)world_below(w, 15000);
	if (is_deleting(pod)) {
		if (pod->is_users_deed && build)
			build->n_begun = 0;
		api_delete(w, pod);
		return;
	}
	if (is_pod(pod, "Pending") && !json_at(pod->doc, "status/initContainerStatuses")) {
		set_container(pod, "initContainerStatuses", "running", 0);
		/* A request that comes late makes a Pod of a Build that has ended or is being
		 * cancelled; it is deleted. */
		if (build && !build_phase_is_end(phase_of(build)) && !is_cancel_wanted(build) &&
		    ++build->n_begun > 1)
			world_fail(w, "%s: a second Pod of it runs", build->key);
	} else if (is_pod(pod, "Pending")) {
		set(status_of(pod), "phase", cJSON_CreateString("Running"));
	} else {
		set_container(pod, "containerStatuses", "terminated", is_good ? 0 : 1);
		set(status_of(pod), "phase", cJSON_CreateString(is_good ? "Succeeded" : "Failed"));
		if (build && !build_phase_is_end(phase_of(build)))
			build->due = is_good ? BUILD_COMPLETE : BUILD_FAILED;
	}
	api_update(w, pod);
}

void cluster_step(struct world *w)
{
	struct object *o = NULL, *next = NULL;

	DL_FOREACH (w->objects, o)
		if (o->kind == BUILDCONFIGS && world_chance(w, 20))
			raise_version(w, o);
	DL_FOREACH_SAFE (w->objects, o, next)
		if (o->kind == PODS && o->step_ms <= w->now_ms && is_unfinished_pod(o))
			step_pod(w, o);
}

/* Users. */

/* Half of them with a trigger ConfigChange. */
static void make_config(struct world *w, size_t i)
{
	cJSON *doc = json_new_object(), *metadata = json_put_object(doc, "metadata"), *spec;
	char name[16], key[64];

	(void)snprintf(name, sizeof(name), "bc%zu", i);
	(void)snprintf(key, sizeof(key), NAMESPACE "/%s", name);
	json_put_str(metadata, "name", name);
	json_put_str(metadata, "namespace", NAMESPACE);
	spec = json_put_object(doc, "spec");
	json_put_int(spec, "successfulBuildsHistoryLimit", 2);
	json_put_int(spec, "failedBuildsHistoryLimit", 1);
	json_put_str(spec, "runPolicy", policies[i % ARRAY_LEN(policies)]);
	json_put_object(json_put_object(spec, "strategy"), "dockerStrategy");
	json_put_str(json_put_object(spec, "source"), "dockerfile", "FROM x");
	if (world_chance(w, 50))
		json_put_str(json_append(json_put_array(spec, "triggers"), json_new_object()),
			     "type", "ConfigChange");
	api_create(w, BUILDCONFIGS, key, doc);
}

static void add_config(struct world *w)
{
	size_t i = (size_t)world_below(w, CONFIGS);
	char key[64];

	(void)snprintf(key, sizeof(key), NAMESPACE "/bc%zu", i);
	if (!api_find(w, BUILDCONFIGS, key))
		make_config(w, i);
}

static void raise_version(struct world *w, struct object *config)
{
	if (config->raised == 0)
		return;
	set(status_of(config), "lastVersion", cJSON_CreateNumber((double)config->raised));
	config->raised = 0;
	api_update(w, config);
}

/* As `buildhook serve`: NAME-N is made first, or found taken, and lastVersion raised then or a
 * little later. */
static void make_build(struct world *w)
{
	size_t i = (size_t)world_below(w, CONFIGS);
	cJSON *doc = json_new_object(), *metadata = json_put_object(doc, "metadata"), *spec,
	      *status, *owner;
	char config_name[16], name[40], key[64], text[24];
	struct object *config;
	int64_t number;

	(void)snprintf(config_name, sizeof(config_name), "bc%zu", i);
	(void)snprintf(key, sizeof(key), NAMESPACE "/%s", config_name);
	if (!api_find(w, BUILDCONFIGS, key))
		make_config(w, i);
	config = api_find(w, BUILDCONFIGS, key);
	raise_version(w, config);
	number = json_int_at(config->doc, "status/lastVersion", 0);
	do {
		(void)snprintf(text, sizeof(text), "%" PRId64, ++number);
		(void)snprintf(name, sizeof(name), "%s-%s", config_name, text);
		(void)snprintf(key, sizeof(key), NAMESPACE "/%s", name);
	} while (api_find(w, BUILDS, key));
	w->n_builds++;
	json_put_str(metadata, "name", name);
	json_put_str(metadata, "namespace", NAMESPACE);
	json_put_str(json_put_object(metadata, "annotations"), "openshift.io/build.number", text);
	json_put_str(json_put_object(metadata, "labels"), "openshift.io/build.start-policy",
		     policies[i % ARRAY_LEN(policies)]);
	owner = json_append(json_put_array(metadata, "ownerReferences"), json_new_object());
	json_put_str(owner, "uid", json_str_at(config->doc, "metadata/uid"));
	spec = json_put_object(doc, "spec");
	json_put_object(json_put_object(spec, "strategy"), "dockerStrategy");
	json_put_str(json_put_object(spec, "source"), "dockerfile", "FROM x");
	status = json_put_object(doc, "status");
	json_put_str(status, "phase", "New");
	json_put_str(json_put_object(status, "config"), "name", config_name);
	world_trace(w, "user: %s %s", name, policies[i % ARRAY_LEN(policies)]);
	api_create(w, BUILDS, key, doc);
	config->raised = number;
	if (world_chance(w, 75))
		raise_version(w, config);
}

static struct object *pick(struct world *w, enum kind kind)
{
	struct object *o = NULL, *found = NULL;
	size_t n = 0;

	DL_FOREACH (w->objects, o)
		if (o->kind == kind && world_below(w, ++n) == 0)
			found = o;
	return found;
}

/* The node has no room, or is gone. */
static void evict(struct world *w, struct object *pod)
{
	struct object *build = build_of(w, pod);

	world_trace(w, "kubelet: evicts %s", pod->key);
	set(status_of(pod), "phase", cJSON_CreateString("Failed"));
	set(status_of(pod), "reason", cJSON_CreateString("Evicted"));
	if (build && !build_phase_is_end(phase_of(build)))
		build->due = BUILD_FAILED;
	api_update(w, pod);
}

void cluster_act(struct world *w)
{
	struct object *build = pick(w, BUILDS), *pod = pick(w, PODS);

	if (world_chance(w, 3)) {
		add_config(w);
	} else if (world_chance(w, 50) && w->n_builds < MAX_BUILDS) {
		make_build(w);
	} else if (build && world_chance(w, 30) && !build_phase_is_end(phase_of(build))) {
		world_trace(w, "user: cancels %s", build->key);
		set(status_of(build), "cancelled", cJSON_CreateBool(true));
		api_update(w, build);
	} else if (build && world_chance(w, 15)) {
		world_trace(w, "user: edits %s", build->key);
		set(json_object_of(metadata_of(build), "annotations"), "edited",
		    cJSON_CreateNumber((double)w->now_ms));
		api_update(w, build);
	} else if (pod && world_chance(w, 10) && is_unfinished_pod(pod) && !is_deleting(pod)) {
		evict(w, pod);
	} else if (pod && world_chance(w, 20) && is_unfinished_pod(pod) && !is_deleting(pod)) {
		world_trace(w, "user: deletes %s", pod->key);
		pod->is_users_deed = true;
		set(metadata_of(pod), "deletionTimestamp",
		    cJSON_CreateString("2026-01-01T00:00:00Z"));
		api_update(w, pod);
	}
}

/* What must hold. What happened longer ago than this is known to each replica that runs. */
#define KNOWN_MS 60000
/* Of a change of an object that the replica already has. */
#define SEEN_MS 25000

static bool is_live(const struct object *build)
{
	return !build_phase_is_end(phase_of(build)) && !is_cancel_wanted(build);
}

static int64_t number_of(const struct object *build)
{
	return strtoll(strrchr(build->key, '-') + 1, NULL, 10);
}

/* "Serial runs the oldest that waits, SerialLatestOnly the newest." */
static void check_order(struct world *w, const struct object *build)
{
	bool is_latest_only = strcmp(policy_of(build), "SerialLatestOnly") == 0;
	const struct object *o = NULL;

	DL_FOREACH (w->objects, o) {
		if (o->kind != BUILDS || o == build || !is_live(o) || phase_of(o) != BUILD_NEW ||
		    strcmp(config_of(o), config_of(build)) != 0 ||
		    (number_of(o) < number_of(build)) == is_latest_only)
			continue;
		if (pod_of(w, o) || w->now_ms - o->made_ms < KNOWN_MS)
			continue;
		world_fail(w, "%s runs before %s", build->key, o->key);
	}
}

void check_pod_created(struct world *w, const struct object *pod)
{
	const struct object *build = build_of(w, pod), *o = NULL;

	if (pod->kind != PODS || !build)
		return;
	if (build->was_superseded)
		world_fail(w, "%s: a Pod was made for it, and it was superseded", build->key);
	/* A request that comes late makes a Pod of a Build that has ended; it is deleted. */
	if (!is_live(build) || strcmp(policy_of(build), "Parallel") == 0)
		return;
	check_order(w, build);
	DL_FOREACH (w->objects, o) {
		const struct object *other = o->kind == PODS && o != pod ? build_of(w, o) : NULL;

		if (other && is_live(other) && is_unfinished_pod(o) && !is_deleting(o) &&
		    strcmp(config_of(other), config_of(build)) == 0)
			world_fail(w, "%s runs beside %s", build->key, other->key);
	}
}

static struct object *config_object_of(struct world *w, const struct object *build)
{
	char key[300];

	(void)snprintf(key, sizeof(key), NAMESPACE "/%s", config_of(build));
	return api_find(w, BUILDCONFIGS, key);
}

void check_build_created(struct world *w, const struct object *build)
{
	struct object *config = build->kind == BUILDS ? config_object_of(w, build) : NULL;

	if (config && ++config->n_first_builds > 1)
		world_fail(w, "%s has %d first Builds", config->key, config->n_first_builds);
}

static int rank(enum build_phase phase)
{
	return build_phase_is_end(phase) ? BUILD_COMPLETE : (int)phase;
}

static bool is_same(const cJSON *a, const cJSON *b, const char *path)
{
	const char *x = json_str_at(a, path), *y = json_str_at(b, path);

	return strcmp(x ? x : "", y ? y : "") == 0;
}

static bool has_pod_name(const cJSON *doc)
{
	return json_member(json_at(doc, "metadata/annotations"), "openshift.io/build.pod-name");
}

void check_build_patched(struct world *w, struct object *build, const cJSON *old)
{
	enum build_phase after = phase_of(build);
	enum build_phase before = phase_of(&(struct object){.doc = (cJSON *)(uintptr_t)old});
	const char *message = json_str_at(build->doc, "status/message");
	const struct object *pod = build->kind == BUILDS ? pod_of(w, build) : NULL;

	if (build->kind != BUILDS)
		return;
	if (rank(after) < rank(before) || (build_phase_is_end(before) && after != before))
		world_fail(w, "%s goes from %s to %s", build->key, build_phase_names[before],
			   build_phase_names[after]);
	if (after == before && is_same(old, build->doc, "status/reason") &&
	    is_same(old, build->doc, "status/message") &&
	    has_pod_name(old) == has_pod_name(build->doc))
		world_fail(w, "a write to %s changes nothing", build->key);
	if (after == BUILD_CANCELLED && pod && is_unfinished_pod(pod) && !is_deleting(pod) &&
	    w->now_ms - pod->made_ms > SEEN_MS)
		world_fail(w, "%s says Cancelled while its Pod runs", build->key);
	if (build_phase_is_end(after) && after != before) {
		build->n_ends++;
		build->ended_ms = w->now_ms;
	}
	if (after == BUILD_CANCELLED && before == BUILD_NEW && message &&
	    strstr(message, "superseded"))
		build->was_superseded = true;
	if (build->was_superseded && strcmp(policy_of(build), "SerialLatestOnly") != 0)
		world_fail(w, "%s: superseded with policy %s", build->key, policy_of(build));
}

void check_build_deleted(struct world *w, const struct object *build)
{
	const struct object *pod = pod_of(w, build), *o = NULL;

	if (!build_phase_is_end(phase_of(build)) || (pod && is_unfinished_pod(pod)))
		world_fail(w, "%s was pruned and runs", build->key);
	DL_FOREACH (w->objects, o) {
		if (o->kind != BUILDS || strcmp(config_of(o), config_of(build)) != 0 ||
		    (phase_of(o) == BUILD_COMPLETE) != (phase_of(build) == BUILD_COMPLETE) ||
		    !build_phase_is_end(phase_of(o)) || number_of(o) >= number_of(build))
			continue;
		if (w->now_ms - o->ended_ms > KNOWN_MS)
			world_fail(w, "%s was pruned before %s", build->key, o->key);
	}
}

/* A finished Pod is the Build's log. */
void check_pod_deleted(struct world *w, struct object *pod)
{
	struct object *o = NULL;

	if (!w->keeps_pods || is_unfinished_pod(pod))
		return;
	DL_FOREACH (w->objects, o)
		if (o->kind == BUILDS && pod_of(w, o) == pod && build_phase_is_end(phase_of(o)) &&
		    !is_cancel_wanted(o) && !o->was_superseded)
			world_fail(w, "%s has ended, and its log was deleted", o->key);
}

static void check_build_end(struct world *w, const struct object *build)
{
	enum build_phase phase = phase_of(build);
	const struct object *pod = pod_of(w, build);

	if (!build_phase_is_end(phase) || build->n_ends != 1)
		world_fail(w, "%s is %s after %d ends", build->key, build_phase_names[phase],
			   build->n_ends);
	if (pod && (is_unfinished_pod(pod) || !w->keeps_pods))
		world_fail(w, "%s has ended, and its Pod is there", build->key);
	if (build->due != BUILD_NEW && phase != build->due && !is_cancel_wanted(build) &&
	    !(pod && pod->is_users_deed))
		world_fail(w, "%s is %s, and its Pod says %s", build->key, build_phase_names[phase],
			   build_phase_names[build->due]);
	if (!json_str_at(build->doc, "status/completionTimestamp"))
		world_fail(w, "%s has no time of its end", build->key);
	if (phase == BUILD_CANCELLED && !is_cancel_wanted(build) && !build->was_superseded)
		world_fail(w, "%s was cancelled by nobody", build->key);
}

void cluster_check_end(struct world *w)
{
	const struct object *config = NULL, *o = NULL;

	DL_FOREACH (w->objects, o)
		if (o->kind == BUILDS)
			check_build_end(w, o);
	DL_FOREACH (w->objects, config) {
		size_t good = 0, bad = 0;

		if (config->kind != BUILDCONFIGS)
			continue;
		if (json_at(config->doc, "spec/triggers") &&
		    json_int_at(config->doc, "status/lastVersion", 0) == 0)
			world_fail(w, "%s has no first Build", config->key);
		DL_FOREACH (w->objects, o) {
			if (o->kind != BUILDS ||
			    strcmp(config_of(o), strchr(config->key, '/') + 1) != 0)
				continue;
			good += phase_of(o) == BUILD_COMPLETE;
			bad += phase_of(o) != BUILD_COMPLETE;
		}
		if (good > 2 || bad > 1)
			world_fail(w, "%s keeps %zu and %zu builds", config->key, good, bad);
	}
}
