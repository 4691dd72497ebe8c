#include "api.h"

#include "ledger.h"
#include "replica.h"

#include "crypto/crypto.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <utlist.h>

#define MAX_TEXT (1024 * 1024)

struct api *api_new(struct world *w)
{
	struct api *api = mem_new(1, sizeof(*api));

	api->world = w;
	api->version = 1000;
	api->quota = SIZE_MAX;
	return api;
}

static void free_object(struct api_object *object)
{
	free(object->namespace_);
	free(object->name);
	free(object->uid);
	cJSON_Delete(object->doc);
	cJSON_Delete(object->applied);
	free(object);
}

void api_free(struct api *api)
{
	struct api_object *object = NULL, *next = NULL;

	for (size_t kind = 0; kind < API_KINDS; kind++)
		DL_FOREACH_SAFE (api->objects[kind], object, next)
			free_object(object);
	for (size_t i = 0; i < api->n_changes; i++) {
		free(api->changes[i].key);
		free(api->changes[i].text);
	}
	free(api->changes);
	free(api);
}

void api_answer_release(struct api_answer *answer)
{
	free(answer->body);
	cJSON_Delete(answer->build);
	*answer = (struct api_answer){0};
}

static void put_status(struct api_answer *out, int status, const char *reason, const char *message,
		       const char *kind, const char *name)
{
	CLEANUP(buf_release) struct buf body = BUF_INIT(4096);

	buf_put_str(&body, STR("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},"
			       "\"status\":\"Failure\","
			       "\"message\":"));
	buf_put_json(&body, str_of(message));
	if (kind)
		buf_printf(&body, ",\"details\":{\"name\":\"%s\",\"kind\":\"%s\"}", name, kind);
	buf_printf(&body, ",\"reason\":\"%s\",\"code\":%d}", reason, status);
	free(out->body);
	out->status = status;
	out->body = buf_take(&body);
}

void api_put_status(struct api_answer *out, int status, const char *reason, const char *fmt, ...)
{
	char message[512];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	put_status(out, status, reason, message, NULL, NULL);
}

void api_put_status_of(struct api_answer *out, int status, const char *reason, const char *kind,
		       const char *name, const char *what)
{
	char message[512];

	(void)snprintf(message, sizeof(message), "%s \"%s\" %s", kind, name, what);
	put_status(out, status, reason, message, kind, name);
}

void api_put_object(struct api_answer *out, int status, const struct api_object *object)
{
	CLEANUP(buf_release) struct buf body = BUF_INIT(MAX_TEXT);

	json_format(&body, object->doc);
	free(out->body);
	out->status = status;
	out->body = buf_take(&body);
}

void api_put_event(struct buf *out, const char *type, const char *object)
{
	buf_printf(out, "{\"type\":\"%s\",\"object\":", type);
	buf_put_str(out, str_of(object));
	buf_put_str(out, STR("}\n"));
}

struct api_object *api_find(const struct api *api, enum api_kind kind, const char *namespace_,
			    const char *name)
{
	struct api_object *object = NULL;

	DL_FOREACH (api->objects[kind], object)
		if (strcmp(object->name, name) == 0 && strcmp(object->namespace_, namespace_) == 0)
			return object;
	return NULL;
}

const char *api_annotation(const struct api_object *object, const char *key)
{
	const cJSON *value = json_member(json_at(object->doc, "metadata/annotations"), key);

	return cJSON_IsString(value) ? value->valuestring : "";
}

const char *api_label(const struct api_object *object, const char *key)
{
	const cJSON *value = json_member(json_at(object->doc, "metadata/labels"), key);

	return cJSON_IsString(value) ? value->valuestring : "";
}

static char *decode(const struct api_object *secret, const char *key)
{
	const cJSON *item = secret ? json_member(json_at(secret->doc, "data"), key) : NULL;
	char value[4096];
	size_t n = 0;

	if (!cJSON_IsString(item) || !crypto_unbase64((unsigned char *)value, sizeof(value) - 1, &n,
						      str_of(item->valuestring)))
		return NULL;
	value[n] = 0;
	return mem_strdup(value);
}

char *api_secret_value(const struct api_object *secret)
{
	return decode(secret, KUBE_SECRET_KEY);
}

char *api_secret_previous(const struct api_object *secret)
{
	return decode(secret, KUBE_SECRET_PREVIOUS_KEY);
}

void api_secret_name(char *out, size_t size, const struct api_object *bc)
{
	const cJSON *trigger = cJSON_GetArrayItem(json_at(bc->doc, "spec/triggers"), 0);
	const char *given = json_str_at(trigger, "github/secretReference/name");

	if (given)
		(void)snprintf(out, size, "%s", given);
	else
		(void)snprintf(out, size, "%s-github-webhook", bc->name);
}

static void set_str(cJSON *object, const char *key, const char *value)
{
	cJSON_DeleteItemFromObjectCaseSensitive(object, key);
	json_put_str(object, key, value);
}

static void set_version(struct api *api, struct api_object *object)
{
	char version[24];

	object->version = ++api->version;
	(void)snprintf(version, sizeof(version), "%" PRIu64, object->version);
	set_str(cJSON_GetObjectItemCaseSensitive(object->doc, "metadata"), "resourceVersion",
		version);
}

static void tell_watches(struct api *api, const struct api_object *object, const char *type)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_TEXT);
	CLEANUP(buf_release) struct buf key = BUF_INIT(1024);

	if (object->kind != API_BUILDCONFIG)
		return;
	if (api->n_changes == api->cap_changes) {
		api->cap_changes = api->cap_changes ? 2 * api->cap_changes : 64;
		api->changes = mem_resize(api->changes, api->cap_changes, sizeof(*api->changes));
	}
	json_format(&text, object->doc);
	buf_printf(&key, "%s/%s", object->namespace_, object->name);
	api->changes[api->n_changes++] =
		(struct api_change){object->version, type, buf_take(&key), buf_take(&text)};
	for (size_t i = 0; i < api->world->n_replicas; i++)
		if (api->world->replicas[i])
			transport_notify(api->world->replicas[i]->transport);
}

struct api_object *api_add(struct api *api, enum api_kind kind, cJSON *doc)
{
	struct api_object *object = mem_new(1, sizeof(*object));
	cJSON *metadata = cJSON_GetObjectItemCaseSensitive(doc, "metadata");
	char uid[64], at[CLOCK_TEXT_BYTES];

	(void)snprintf(uid, sizeof(uid), "00000000-0000-4000-8000-%012zx", ++api->n_uids);
	clock_format_rfc3339(at, world_wall_ms(api->world), false);
	set_str(metadata, "uid", uid);
	set_str(metadata, "creationTimestamp", at);
	object->kind = kind;
	object->doc = doc;
	object->namespace_ = mem_strdup(json_str_at(doc, "metadata/namespace"));
	object->name = mem_strdup(json_str_at(doc, "metadata/name"));
	object->uid = mem_strdup(uid);
	object->applied = json_new_object();
	DL_APPEND(api->objects[kind], object);
	set_version(api, object);
	object->created_version = object->version;
	tell_watches(api, object, "ADDED");
	return object;
}

void api_touch(struct api *api, struct api_object *object)
{
	set_version(api, object);
	tell_watches(api, object, "MODIFIED");
}

void api_remove(struct api *api, struct api_object *object)
{
	if (object->kind == API_BUILDCONFIG)
		ledger_put_word(&api->world->ledger->gone, object->uid);
	DL_DELETE(api->objects[object->kind], object);
	set_version(api, object);
	tell_watches(api, object, "DELETED");
	free_object(object);
}

void api_compact(struct api *api)
{
	api->oldest = api->version;
}

static bool is_owner_gone(const struct api *api, const cJSON *owner)
{
	const char *uid = json_str_at(owner, "uid");

	return uid && ledger_has_word(api->world->ledger->gone, uid);
}

/* True when all owners are gone; those of several are taken off. */
static bool drop_owners(struct api *api, struct api_object *object)
{
	cJSON *metadata = cJSON_GetObjectItemCaseSensitive(object->doc, "metadata");
	cJSON *owners = cJSON_GetObjectItemCaseSensitive(metadata, "ownerReferences");
	int n_before = cJSON_GetArraySize(owners), n = n_before;

	for (int i = n - 1; i >= 0; i--) {
		if (!is_owner_gone(api, cJSON_GetArrayItem(owners, i)))
			continue;
		if (n == 1)
			return true;
		cJSON_DeleteItemFromArray(owners, i);
		n--;
	}
	if (n != n_before)
		api_touch(api, object);
	return false;
}

void api_collect_garbage(struct api *api)
{
	static const enum api_kind kinds[] = {API_SECRET, API_BUILD};
	struct api_object *object = NULL, *next = NULL;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		DL_FOREACH_SAFE (api->objects[kinds[i]], object, next)
			if (drop_owners(api, object))
				api_remove(api, object);
}
