/* The API server: BuildConfigs, Builds and Pods, with versions, merge patches, lists and the
 * changes that watches are told. */
#include "world.h"

#include <inttypes.h>
#include <utlist.h>

static const struct {
	const char *prefix, *resource, *kind, *api_version;
} kinds[KINDS] = {
	[BUILDCONFIGS] = {"/apis/build.openshift.io/v1", "buildconfigs", "BuildConfig",
			  "build.openshift.io/v1"},
	[BUILDS] = {"/apis/build.openshift.io/v1", "builds", "Build", "build.openshift.io/v1"},
	[PODS] = {"/api/v1", "pods", "Pod", "v1"},
};

struct object *api_find(struct world *w, enum kind kind, const char *key)
{
	struct object *o = NULL;

	DL_FOREACH (w->objects, o)
		if (o->kind == kind && strcmp(o->key, key) == 0)
			return o;
	return NULL;
}

static void set_member(cJSON *object, const char *key, cJSON *value)
{
	cJSON_DeleteItemFromObjectCaseSensitive(object, key);
	json_put(object, key, value);
}

static void record(struct world *w, struct object *o, const char *type)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
	char version[24];

	o->version = ++w->version;
	(void)snprintf(version, sizeof(version), "%" PRIu64, o->version);
	set_member(cJSON_GetObjectItemCaseSensitive(o->doc, "metadata"), "resourceVersion",
		   cJSON_CreateString(version));
	json_format(&text, o->doc);
	if (w->n_changes == w->cap_changes) {
		w->cap_changes = w->cap_changes * 2 + 64;
		w->changes = mem_resize(w->changes, w->cap_changes, sizeof(*w->changes));
	}
	w->changes[w->n_changes++] =
		(struct change){o->kind, o->version, type, mem_strdup(text.data)};
}

struct object *api_create(struct world *w, enum kind kind, const char *key, cJSON *doc)
{
	struct object *o = mem_new(1, sizeof(*o));
	cJSON *metadata = cJSON_GetObjectItemCaseSensitive(doc, "metadata");
	char uid[24];

	(void)snprintf(uid, sizeof(uid), "uid-%zu", ++w->n_uids);
	set_member(metadata, "uid", cJSON_CreateString(uid));
	set_member(doc, "kind", cJSON_CreateString(kinds[kind].kind));
	set_member(doc, "apiVersion", cJSON_CreateString(kinds[kind].api_version));
	o->kind = kind;
	o->key = mem_strdup(key);
	o->doc = doc;
	o->made_ms = w->now_ms;
	DL_APPEND(w->objects, o);
	record(w, o, "ADDED");
	return o;
}

void api_update(struct world *w, struct object *object)
{
	record(w, object, "MODIFIED");
}

static void free_object(struct world *w, struct object *o)
{
	DL_DELETE(w->objects, o);
	free(o->key);
	cJSON_Delete(o->doc);
	free(o);
}

void api_delete(struct world *w, struct object *object)
{
	record(w, object, "DELETED");
	free_object(w, object);
}

void api_free(struct world *w)
{
	while (w->objects)
		free_object(w, w->objects);
	for (size_t i = 0; i < w->n_changes; i++)
		free(w->changes[i].text);
	free(w->changes);
}

/* RFC 7396. */
static void merge(cJSON *target, const cJSON *patch)
{
	const cJSON *member;

	cJSON_ArrayForEach (member, patch) {
		cJSON *old = cJSON_GetObjectItemCaseSensitive(target, member->string);

		if (cJSON_IsNull(member)) {
			cJSON_DeleteItemFromObjectCaseSensitive(target, member->string);
		} else if (cJSON_IsObject(member)) {
			if (!cJSON_IsObject(old)) {
				set_member(target, member->string, cJSON_CreateObject());
				old = cJSON_GetObjectItemCaseSensitive(target, member->string);
			}
			merge(old, member);
		} else {
			set_member(target, member->string, json_copy(member));
		}
	}
}

static int status(struct buf *out, int code, const char *reason)
{
	buf_printf(out,
		   "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"reason\":"
		   "\"%s\","
		   "\"message\":\"%s\",\"code\":%d}",
		   reason, reason, code);
	return code;
}

static int list(struct world *w, enum kind kind, struct buf *out)
{
	const struct object *o = NULL;
	bool is_first = true;

	buf_printf(out,
		   "{\"kind\":\"List\",\"metadata\":{\"resourceVersion\":\"%" PRIu64
		   "\"},\"items\":[",
		   w->version);
	DL_FOREACH (w->objects, o) {
		if (o->kind != kind)
			continue;
		if (!is_first)
			buf_put_char(out, ',');
		is_first = false;
		json_format(out, o->doc);
	}
	buf_put_str(out, STR("]}"));
	return 200;
}

static int create(struct world *w, enum kind kind, const char *namespace_, const cJSON *body,
		  bool is_dry_run, struct buf *out)
{
	char key[300];
	struct object *o;

	(void)snprintf(key, sizeof(key), "%s/%s", namespace_, json_str_at(body, "metadata/name"));
	if (api_find(w, kind, key))
		return status(out, 409, "AlreadyExists");
	if (is_dry_run) {
		json_format(out, body);
		return 201;
	}
	o = api_create(w, kind, key, json_copy(body));
	o->step_ms = w->now_ms + (int64_t)world_below(w, 3000);
	check_pod_created(w, o);
	check_build_created(w, o);
	json_format(out, o->doc);
	return 201;
}

static int patch(struct world *w, struct object *o, const cJSON *body, struct buf *out)
{
	const char *version = json_str_at(body, "metadata/resourceVersion");
	const char *uid = json_str_at(body, "metadata/uid");
	CLEANUP(json_freep) cJSON *before = json_copy(o->doc);

	if ((version && strcmp(version, json_str_at(o->doc, "metadata/resourceVersion")) != 0) ||
	    (uid && strcmp(uid, json_str_at(o->doc, "metadata/uid")) != 0))
		return status(out, 409, "Conflict");
	merge(o->doc, body);
	api_update(w, o);
	check_build_patched(w, o, before);
	json_format(out, o->doc);
	return 200;
}

/* A Pod ends within its grace period, a Build at once, and its Pod with it. */
static int delete (struct world *w, struct object *o, const cJSON *body, struct buf *out)
{
	const char *uid = json_str_at(body, "preconditions/uid");
	const char *version = json_str_at(body, "preconditions/resourceVersion");

	if ((uid && strcmp(uid, json_str_at(o->doc, "metadata/uid")) != 0) ||
	    (version && strcmp(version, json_str_at(o->doc, "metadata/resourceVersion")) != 0))
		return status(out, 409, "Conflict");
	if (o->kind == PODS)
		check_pod_deleted(w, o);
	if (o->kind == PODS && is_unfinished_pod(o)) {
		set_member(cJSON_GetObjectItemCaseSensitive(o->doc, "metadata"),
			   "deletionTimestamp", cJSON_CreateString("2026-01-01T00:00:00Z"));
		api_update(w, o);
		json_format(out, o->doc);
		return 200;
	}
	if (o->kind == BUILDS) {
		struct object *pod = pod_of(w, o);

		check_build_deleted(w, o);
		if (pod)
			api_delete(w, pod);
	}
	api_delete(w, o);
	buf_put_str(out, STR("{\"kind\":\"Status\",\"status\":\"Success\"}"));
	return 200;
}

static bool parse_path(const char *path, enum kind *kind, char *namespace_, char *name)
{
	for (size_t i = 0; i < KINDS; i++) {
		struct str rest = str_of(path), parts[4] = {0};
		size_t n = 0;

		rest = str_without_prefix(rest, str_of(kinds[i].prefix));
		rest.n = str_find_char(rest, '?');
		if (rest.p == path || rest.n == 0)
			continue;
		rest = str_range(rest.p + 1, rest.n - 1);
		while (n < 4 && str_next_part(&rest, '/', &parts[n]))
			n++;
		*namespace_ = *name = 0;
		if (n == 1 && str_eq(parts[0], str_of(kinds[i].resource))) {
			*kind = (enum kind)i;
			return true;
		}
		if (n >= 3 && str_eq(parts[2], str_of(kinds[i].resource))) {
			*kind = (enum kind)i;
			(void)snprintf(namespace_, 100, "%.*s", STR_ARG(parts[1]));
			(void)snprintf(name, 100, "%.*s", STR_ARG(parts[3]));
			return true;
		}
	}
	return false;
}

int api_serve(struct world *w, enum kube_method method, const char *path, struct str body,
	      struct buf *out)
{
	CLEANUP(json_freep) cJSON *doc = NULL;
	char namespace_[100], name[100], key[300];
	struct object *o;
	enum kind kind;

	if (!parse_path(path, &kind, namespace_, name)) {
		buf_put_str(out, STR("{}")); /* events, /readyz */
		return 200;
	}
	if (body.n > 0 && json_parse(&doc, body, NULL) != 0)
		return status(out, 400, "BadRequest");
	if (method == KUBE_GET && !*name)
		return list(w, kind, out);
	if (method == KUBE_POST)
		return create(w, kind, namespace_, doc, strstr(path, "dryRun=All"), out);
	(void)snprintf(key, sizeof(key), "%s/%s", namespace_, name);
	o = api_find(w, kind, key);
	if (!o)
		return status(out, 404, "NotFound");
	if (method == KUBE_MERGE_PATCH)
		return patch(w, o, doc, out);
	if (method == KUBE_DELETE)
		return delete (w, o, doc, out);
	json_format(out, o->doc);
	return 200;
}
