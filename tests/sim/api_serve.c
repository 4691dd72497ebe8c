#include "api.h"

#include "ledger.h"

#include "crypto/crypto.h"

#include <stdio.h>
#include <utlist.h>

#define MAX_PART 256

struct target {
	enum api_kind kind;
	char namespace_[MAX_PART], name[MAX_PART], sub[MAX_PART];
	const char *query;
};

static const struct {
	enum api_kind kind;
	const char *prefix, *resource;
} resources[] = {
	{API_BUILDCONFIG, "/apis/build.openshift.io/v1/", "buildconfigs"},
	{API_BUILD, "/apis/build.openshift.io/v1/", "builds"},
	{API_SECRET, "/api/v1/", "secrets"},
	{API_EVENT, "/apis/events.k8s.io/v1/", "events"},
};

static bool take_part(const char **rest, char out[MAX_PART])
{
	size_t n = strcspn(*rest, "/?");

	if (n == 0 || n >= MAX_PART)
		return false;
	memcpy(out, *rest, n);
	out[n] = 0;
	*rest += n + ((*rest)[n] == '/');
	return true;
}

static bool parse_target(struct target *out, const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(resources); i++) {
		const char *rest = path + strlen(resources[i].prefix);
		char part[MAX_PART];

		*out = (struct target){.kind = resources[i].kind};
		if (strncmp(path, resources[i].prefix, strlen(resources[i].prefix)) != 0 ||
		    !take_part(&rest, part))
			continue;
		if (strcmp(part, "namespaces") == 0 &&
		    (!take_part(&rest, out->namespace_) || !take_part(&rest, part)))
			continue;
		if (strcmp(part, resources[i].resource) != 0)
			continue;
		(void)(take_part(&rest, out->name) && take_part(&rest, out->sub));
		out->query = strchr(path, '?') ? strchr(path, '?') + 1 : "";
		return true;
	}
	return false;
}

/* Nothing that is asked for has more than %2F, %3A and the like. */
static void query_value(char out[MAX_PART], const char *query, const char *key)
{
	struct str rest = str_of(query), part;
	size_t n = 0;

	*out = 0;
	while (str_next_part(&rest, '&', &part)) {
		if (part.n <= strlen(key) || strncmp(part.p, key, strlen(key)) != 0 ||
		    part.p[strlen(key)] != '=')
			continue;
		for (size_t i = strlen(key) + 1; i < part.n && n + 1 < MAX_PART; i++) {
			unsigned int byte = 0;

			if (part.p[i] == '%' && i + 2 < part.n &&
			    sscanf(part.p + i + 1, "%2x", &byte) == 1) {
				out[n++] = (char)byte;
				i += 2;
			} else {
				out[n++] = part.p[i];
			}
		}
		out[n] = 0;
	}
}

static void put_not_found(struct api_answer *out, const struct target *t)
{
	api_put_status_of(out, 404, "NotFound", resources[t->kind].resource, t->name, "not found");
}

/*
 * resourceVersionMatch=NotOlderThan is answered by the watch cache, as it was at any moment since
 * that version; without a version the list is consistent.
 */
static bool pick_build_version(struct api *api, const struct target *t, uint64_t *out)
{
	char version[MAX_PART], match[MAX_PART];

	query_value(version, t->query, "resourceVersion");
	query_value(match, t->query, "resourceVersionMatch");
	*out = api->version;
	if (!*version)
		return true;
	if (strcmp(match, "NotOlderThan") != 0 ||
	    !str_parse_u64(str_of(version), UINT64_MAX, out) || *out > api->version) {
		world_fail(api->world, "a list of builds at version %s (%s) was asked for", version,
			   match);
		return false;
	}
	*out += world_below(api->world, api->version - *out + 1);
	return api->world->is_healing || !world_chance(api->world, 3);
}

static void list_builds(struct api *api, const struct target *t, struct api_answer *out)
{
	CLEANUP(buf_release) struct buf body = BUF_INIT(4 * 1024 * 1024);
	const struct api_object *object = NULL;
	char selector[MAX_PART], *value = NULL;
	bool is_first = true;
	uint64_t version = 0;

	if (!pick_build_version(api, t, &version)) {
		api_put_status(out, 504, "Timeout", "Too large resource version");
		return;
	}

	query_value(selector, t->query, "labelSelector");
	value = strchr(selector, '=');
	if (value)
		*value++ = 0;
	buf_printf(
		&body,
		"{\"kind\":\"BuildList\",\"metadata\":{\"resourceVersion\":\"%llu\"},\"items\":[",
		(unsigned long long)version);
	DL_FOREACH (api->objects[API_BUILD], object) {
		if (object->created_version > version ||
		    strcmp(object->namespace_, t->namespace_) != 0 ||
		    (value && strcmp(api_label(object, selector), value) != 0))
			continue;
		if (!is_first)
			buf_put_char(&body, ',');
		json_format(&body, object->doc);
		is_first = false;
	}
	buf_put_str(&body, STR("]}"));
	out->status = 200;
	out->body = buf_take(&body);
}

static void serve_get(struct api *api, const struct target *t, struct api_answer *out)
{
	const struct api_object *object =
		*t->name ? api_find(api, t->kind, t->namespace_, t->name) : NULL;
	char version[MAX_PART], from[MAX_PART], limit[MAX_PART];
	uint64_t n = 0;

	if (object) {
		api_put_object(out, 200, object);
	} else if (*t->name) {
		put_not_found(out, t);
	} else if (t->kind == API_BUILDCONFIG) {
		query_value(version, t->query, "resourceVersion");
		query_value(from, t->query, "continue");
		query_value(limit, t->query, "limit");
		(void)str_parse_u64(str_of(limit), 100000, &n);
		api_list_buildconfigs(api, version, from, n, out);
	} else if (t->kind == API_BUILD) {
		list_builds(api, t, out);
	} else {
		api_put_status(out, 403, "Forbidden", "%s may not be listed",
			       resources[t->kind].resource);
		world_fail(api->world, "a list of %s was asked for", resources[t->kind].resource);
	}
}

/* stringData becomes data, as the server does it. */
static void encode_strings(cJSON *secret)
{
	cJSON *given = cJSON_DetachItemFromObjectCaseSensitive(secret, "stringData");
	cJSON *data = cJSON_GetObjectItemCaseSensitive(secret, "data");
	const cJSON *item = NULL;

	if (!data && given)
		data = json_put_object(secret, "data");
	cJSON_ArrayForEach (item, given) {
		CLEANUP(mem_free)
		char *text = crypto_base64((const unsigned char *)item->valuestring,
					   strlen(item->valuestring));

		cJSON_DeleteItemFromObjectCaseSensitive(data, item->string);
		json_put_str(data, item->string, text);
	}
	cJSON_Delete(given);
}

static void note_created(struct api *api, struct api_object *object)
{
	if (object->kind == API_BUILD)
		check_build_created(api->world, object);
	if (object->kind == API_SECRET)
		check_secret_written(api->world, NULL, object);
}

static const struct api_object *config_of(const struct api *api, const cJSON *build)
{
	const char *name = json_str_at(build, "status/config/name");

	return name ? api_find(api, API_BUILDCONFIG, json_str_at(build, "metadata/namespace"), name)
		    : NULL;
}

static bool is_refused(struct api *api, const cJSON *doc, enum api_kind kind,
		       struct api_answer *out)
{
	const struct api_object *bc = kind == API_BUILD ? config_of(api, doc) : NULL;

	if (kind != API_BUILD)
		return false;
	if (bc && bc->is_poison) {
		api_put_status_of(out, 422, "Invalid", "Build", json_str_at(doc, "metadata/name"),
				  "is invalid: spec.source.git.uri: Invalid value");
		return true;
	}
	if (api->quota == 0) {
		api_put_status_of(out, 403, "Forbidden", resources[API_BUILD].resource,
				  json_str_at(doc, "metadata/name"),
				  "is forbidden: exceeded quota: builds");
		return true;
	}
	if (api->quota != SIZE_MAX)
		api->quota--;
	return false;
}

static void create(struct api *api, enum api_kind kind, cJSON **doc, struct api_answer *out)
{
	const char *namespace_ = json_str_at(*doc, "metadata/namespace"),
		   *name = json_str_at(*doc, "metadata/name");
	struct api_object *object = NULL;

	if (!namespace_ || !name) {
		api_put_status(out, 422, "Invalid", "metadata.name: Required value");
	} else if (api_find(api, kind, namespace_, name)) {
		api_put_status_of(out, 409, "AlreadyExists", resources[kind].resource, name,
				  "already exists");
	} else if (!is_refused(api, *doc, kind, out)) {
		encode_strings(*doc);
		object = api_add(api, kind, TAKE(*doc));
		api_put_object(out, 201, object);
		note_created(api, object);
	}
}

void api_create_build(struct api *api, struct api_answer *answer)
{
	CLEANUP(json_freep) cJSON *build = TAKE(answer->build);

	create(api, API_BUILD, &build, answer);
}

static void merge(cJSON *to, const cJSON *from)
{
	const cJSON *item = NULL;

	cJSON_ArrayForEach (item, from) {
		cJSON *old = cJSON_GetObjectItemCaseSensitive(to, item->string);

		if (cJSON_IsObject(item) && cJSON_IsObject(old)) {
			merge(old, item);
			continue;
		}
		cJSON_DeleteItemFromObjectCaseSensitive(to, item->string);
		if (!cJSON_IsNull(item))
			json_put(to, item->string, json_copy(item));
	}
}

/* A strategic merge patch takes ownerReferences by their uid; the others of the list stay. */
static void merge_owners(const struct api_object *object, cJSON *doc)
{
	cJSON *given = cJSON_GetObjectItemCaseSensitive(
		cJSON_GetObjectItemCaseSensitive(doc, "metadata"), "ownerReferences");
	const cJSON *held = NULL;

	if (!given || object->kind != API_SECRET)
		return;
	cJSON_ArrayForEach (held, json_at(object->doc, "metadata/ownerReferences")) {
		const cJSON *owner = NULL;
		bool is_given = false;

		cJSON_ArrayForEach (owner, given)
			is_given |=
				strcmp(json_str_at(owner, "uid"), json_str_at(held, "uid")) == 0;
		if (!is_given)
			json_append(given, json_copy(held));
	}
}

static bool meets_preconditions(const struct api_object *object, const cJSON *doc,
				struct api_answer *out)
{
	const char *uid = json_str_at(doc, "metadata/uid"),
		   *version = json_str_at(doc, "metadata/resourceVersion");
	const char *held = json_str_at(object->doc, "metadata/resourceVersion");

	if ((!uid || strcmp(uid, object->uid) == 0) && (!version || strcmp(version, held) == 0))
		return true;
	api_put_status(
		out, 409, "Conflict",
		"the object has been modified; please apply your changes to the latest version");
	return false;
}

static void patch(struct api *api, struct api_object *object, cJSON *doc, struct api_answer *out)
{
	CLEANUP(mem_free)
	char *value = object->kind == API_SECRET ? api_secret_value(object) : NULL;
	CLEANUP(json_freep) cJSON *before = json_copy(object->doc);

	if (!meets_preconditions(object, doc, out))
		return;
	merge_owners(object, doc);
	merge(object->doc, doc);
	if (object->kind == API_SECRET)
		encode_strings(object->doc);
	if (!cJSON_Compare(before, object->doc, true))
		api_touch(api, object);
	api_put_object(out, 200, object);
	if (object->kind == API_SECRET)
		check_secret_written(api->world, value ? value : "", object);
}

static void drop_applied(struct api_object *bc, const cJSON *annotations, cJSON *held)
{
	const cJSON *item = NULL;

	cJSON_ArrayForEach (item, bc->applied)
		if (!json_member(annotations, item->string))
			cJSON_DeleteItemFromObjectCaseSensitive(held, item->string);
}

/* Server-side apply with force, of uid and annotations. */
static void apply(struct api *api, struct api_object *bc, const cJSON *doc, struct api_answer *out)
{
	cJSON *metadata = cJSON_GetObjectItemCaseSensitive(bc->doc, "metadata");
	cJSON *held = cJSON_GetObjectItemCaseSensitive(metadata, "annotations");
	CLEANUP(json_freep) cJSON *before = json_copy(bc->doc);
	const cJSON *annotations = json_at(doc, "metadata/annotations");

	if (strcmp(json_str_at(doc, "metadata/uid"), bc->uid) != 0) {
		api_put_status(out, 409, "Conflict", "Precondition failed: UID in precondition");
		return;
	}
	if (!held)
		held = json_put_object(metadata, "annotations");
	drop_applied(bc, annotations, held);
	merge(held, annotations);
	cJSON_Delete(bc->applied);
	bc->applied = annotations ? json_copy(annotations) : json_new_object();
	if (!cJSON_Compare(before, bc->doc, true))
		api_touch(api, bc);
	api_put_object(out, 200, bc);
}

static void serve_write(struct api *api, const struct target *t, const struct api_request *request,
			cJSON **doc, struct api_answer *out)
{
	struct api_object *object =
		*t->name ? api_find(api, t->kind, t->namespace_, t->name) : NULL;
	enum kube_method method = request->method;
	bool is_openshift = api->world->backend == CONTROLLER_OPENSHIFT;

	api->n_writes++;
	api->n_applies += method == KUBE_APPLY;
	if (strcmp(t->sub, is_openshift ? "status" : "instantiate") == 0)
		api_put_status(out, 404, "NotFound",
			       "the server could not find the requested resource");
	else if (method == KUBE_POST && !*t->name)
		create(api, t->kind, doc, out);
	else if (method == KUBE_APPLY && !object)
		api_put_status(
			out, 409, "Conflict",
			"uid mismatch: the provided object specified uid, and no existing object");
	else if (!object)
		put_not_found(out, t);
	else if (method == KUBE_POST && strcmp(t->sub, "instantiate") == 0)
		api_instantiate(api, object, *doc, out);
	else if (method == KUBE_APPLY && t->kind == API_BUILDCONFIG)
		apply(api, object, *doc, out);
	else if (method == (t->kind == API_SECRET ? KUBE_STRATEGIC_PATCH : KUBE_MERGE_PATCH))
		patch(api, object, *doc, out);
	else
		api_put_status(out, 405, "MethodNotAllowed",
			       "the server does not allow this method");
}

void api_serve(struct api *api, const struct api_request *request, struct api_answer *out)
{
	CLEANUP(json_freep) cJSON *doc = NULL;
	struct target t;

	*out = (struct api_answer){0};
	if (api_serve_cluster(api->world, request, out))
		return;
	if (!parse_target(&t, request->path))
		api_put_status(out, 404, "NotFound",
			       "the server could not find the requested resource");
	else if (request->method == KUBE_GET)
		serve_get(api, &t, out);
	else if (json_parse(&doc, request->body, NULL) != 0)
		api_put_status(out, 400, "BadRequest", "the body cannot be read");
	else
		serve_write(api, &t, request, &doc, out);
}
