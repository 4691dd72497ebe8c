/*
 * The webhook Secrets of a BuildConfig: made where they are missing, completed, owned and rotated.
 * Each write carries the resourceVersion that it is based on. Owners are added by a strategic merge
 * patch, which leaves those of others, with all their fields, to the API server.
 *
 * Others may put things into a Secret that buildhook made, which must not lead to endless writes: a
 * write that had no effect is a failure with its back-off, and the writes of one BuildConfig are
 * limited.
 */
#include "base/log.h"
#include "controller/internal.h"
#include "controller/rotation.h"
#include "crypto/crypto.h"

#include <assert.h>
#include <stdio.h>

#define SECRET_BYTES 32
/* How long to wait after the rotation that was asked for is no longer what the API server's
 * BuildConfig asks for: the store is behind. */
#define BEHIND_MS 5000
#define MAX_BODY  (1024 * 1024)

struct secret_work {
	struct work work;
	enum action_kind kind;
	int type;
	char namespace_[KUBE_NAME_BYTES];
	char name[KUBE_NAME_BYTES];
	char *version; /* resourceVersion of the Secret that a write is based on; NULL: there is no
			  write yet */
};

void secret_set_trouble(struct secret_memory *memory, const char *name, const char *text)
{
	free(memory->trouble);
	free(memory->trouble_name);
	memory->trouble = text ? mem_strdup(text) : NULL;
	memory->trouble_name = text ? mem_strdup(name) : NULL;
	if (!text)
		mem_free(&memory->failed_version);
}

void secret_release(struct secret_memory *memory)
{
	secret_set_trouble(memory, NULL, NULL);
	free(memory->remade_name);
}

bool secret_is_owned(const struct kube_secret *secret, const struct buildconfig *bc)
{
	/* Where there are too many owners to look for ours, the write is not repeated. */
	if (secret->has_more_owners)
		return true;
	for (size_t i = 0; i < secret->n_owners; i++)
		if (strcmp(secret->owners[i].uid, bc->uid) == 0)
			return true;
	return false;
}

static void release(struct work *work)
{
	struct secret_work *w = (struct secret_work *)work;

	free(w->version);
	free(w);
}

static void put_owner(cJSON *list, const struct buildconfig *bc)
{
	cJSON *owner = json_append(list, json_new_object());

	json_put_str(owner, "apiVersion", "build.openshift.io/v1");
	json_put_str(owner, "kind", "BuildConfig");
	json_put_str(owner, "name", bc->name);
	json_put_str(owner, "uid", bc->uid);
	/* With the value true the write would need rights on the owner's finalizers where
	 * OwnerReferencesPermissionEnforcement is on. */
	json_put_bool(owner, "blockOwnerDeletion", false);
}

static void put_new_value(cJSON *secret, struct controller *c)
{
	unsigned char bytes[SECRET_BYTES];
	char hex[2 * SECRET_BYTES + 1];

	clock_random(c->opt.services->clock, bytes, sizeof(bytes));
	crypto_hex(hex, bytes, sizeof(bytes));
	json_put_str(json_put_object(secret, "stringData"), KUBE_SECRET_KEY, hex);
	explicit_bzero(bytes, sizeof(bytes));
	explicit_bzero(hex, sizeof(hex));
}

/* All Secrets of a BuildConfig at once, and from then on two a minute. */
static const struct token_bucket_limit write_limit = {40, 2.0 / 60000};

bool secret_is_at_rest(const struct secret_memory *memory, int64_t now_ms)
{
	return !memory->retry_ms && memory->failures == 0 && !memory->trouble &&
	       !memory->failed_version && !memory->is_owning_denied && !memory->remade_name &&
	       token_bucket_is_full(&memory->writes, &write_limit, now_ms);
}

/* What the BuildConfig asks for is recorded also where nothing had to be done: a fresh value needs
 * no rotation. */
/* OLD is NULL for a Secret that is made. False when the record does not fit. */
static bool put_record(cJSON *annotations, const struct buildconfig *bc,
		       const struct kube_secret *old)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(KUBE_SECRET_MAX_RECORD);

	if (!*bc->rotate)
		return true;
	if (old && old->has_long_record)
		return false;
	rotation_put_record(&text, bc, old ? old->rotated_for : "");
	json_put_text(annotations, "buildhook.io/rotated", buf_str(&text));
	return !text.overflow;
}

static cJSON *new_secret(const struct secret_work *w, const struct buildconfig *bc)
{
	cJSON *secret = json_new_object();
	cJSON *metadata;

	json_put_str(secret, "apiVersion", "v1");
	json_put_str(secret, "kind", "Secret");
	json_put_str(secret, "type", "Opaque");
	metadata = json_put_object(secret, "metadata");
	json_put_str(metadata, "name", w->name);
	json_put_str(metadata, "namespace", w->namespace_);
	json_put_str(json_put_object(metadata, "labels"), KUBE_MANAGED_BY_LABEL, "buildhook");
	(void)put_record(json_put_object(metadata, "annotations"), bc, NULL);
	put_owner(json_put_array(metadata, "ownerReferences"), bc);
	put_new_value(secret, w->work.controller);
	return secret;
}

static void put_rotation(cJSON *patch, cJSON *annotations, const struct secret_work *w,
			 const struct kube_secret *old)
{
	const struct controller *c = w->work.controller;
	char *previous = crypto_base64((const unsigned char *)old->value.p, old->value.n);
	char until[CLOCK_TEXT_BYTES];

	clock_format_rfc3339(
		until, clock_wall_ms(c->opt.services->clock) + c->opt.rotation_grace_ms, false);
	json_put_str(annotations, "buildhook.io/previous-until", until);
	json_put_str(json_put_object(patch, "data"), KUBE_SECRET_PREVIOUS_KEY, previous);
	mem_wipe_str(&previous);
	put_new_value(patch, w->work.controller);
}

/* The resourceVersion makes it fail if anything was changed meanwhile. NULL when the record of
 * rotations does not fit. */
static cJSON *new_patch(const struct secret_work *w, const struct buildconfig *bc,
			const struct kube_secret *old)
{
	cJSON *patch = json_new_object();
	cJSON *metadata = json_put_object(patch, "metadata");
	cJSON *annotations;

	json_put_str(metadata, "uid", old->uid);
	json_put_str(metadata, "resourceVersion", old->resource_version);
	annotations = json_put_object(metadata, "annotations");
	if (w->kind == ACTION_OWN_SECRET || w->kind == ACTION_COMPLETE_SECRET)
		put_owner(json_put_array(metadata, "ownerReferences"), bc);
	if (w->kind == ACTION_COMPLETE_SECRET)
		put_new_value(patch, w->work.controller);
	if (w->kind == ACTION_ROTATE_SECRET)
		put_rotation(patch, annotations, w, old);
	if (w->kind == ACTION_END_PREVIOUS) {
		json_put(annotations, "buildhook.io/previous-until", cJSON_CreateNull());
		json_put(json_put_object(patch, "data"), KUBE_SECRET_PREVIOUS_KEY,
			 cJSON_CreateNull());
	} else if ((w->kind != ACTION_OWN_SECRET ||
		    !str_contains(str_of(old->rotated_for), str_of(bc->uid))) &&
		   !put_record(annotations, bc, old)) {
		cJSON_Delete(patch);
		return NULL;
	}
	return patch;
}

static void fail(struct secret_work *w, const char *text, int64_t retry_after_ms)
{
	struct object *object = w->work.object;
	struct clock *clock = w->work.controller->opt.services->clock;
	int64_t wait_ms = backoff_ms(clock, &retry_backoff, ++object->secrets.failures);

	if (retry_after_ms > wait_ms)
		wait_ms = retry_after_ms;
	if (!object->secrets.trouble || strcmp(object->secrets.trouble, text) != 0)
		log_msg(LOG_WARN, "controller", "webhook secret is not ready",
			LOG_FIELD("namespace", w->namespace_), LOG_FIELD("secret", w->name),
			LOG_FIELD("error", text));
	secret_set_trouble(&object->secrets, w->name, text);
	if (w->kind != ACTION_FETCH_SECRET) {
		/* The Secret is fetched before the next attempt: somebody may have mended it, or
		 * the write has arrived although its answer was lost. */
		object->secrets.recheck_ms = clock_mono_ms(clock) - JUST_FETCHED_MS;
		free(object->secrets.failed_version);
		object->secrets.failed_version = mem_strdup(w->version ? w->version : "");
	}
	object->secrets.retry_ms = clock_mono_ms(clock) + wait_ms;
	/* The key comes back at once so that the status shows the failure; the Secret waits for its
	 * back-off. */
	work_end(&w->work, RECONCILE_ERROR, 0);
}

static void succeed(struct secret_work *w)
{
	struct object *object = w->work.object;

	object->secrets.failures = 0;
	object->secrets.retry_ms = 0;
	secret_set_trouble(&object->secrets, NULL, NULL);
	work_end(&w->work, RECONCILE_SUCCESS, 0);
}

/* False if the answer shows that an admission webhook removed what was written. */
static bool is_effective(const struct secret_work *w, const struct buildconfig *bc)
{
	const struct kube_secret *now = kube_secrets_peek(w->work.controller->opt.services->secrets,
							  w->namespace_, w->name);

	switch (w->kind) {
	case ACTION_CREATE_SECRET:
		return now->is_ours;
	case ACTION_COMPLETE_SECRET:
		return now->has_key;
	case ACTION_OWN_SECRET:
		return secret_is_owned(now, bc);
	case ACTION_ROTATE_SECRET:
		return !rotation_is_wanted(bc, w->name, now->rotated_for);
	default:
		return now->previous.n == 0;
	}
}

/* If deliveries have come, the Git host has the value of the deleted Secret, and must get the new
 * one: the hint says so. */
static void note_remade(struct secret_work *w, const struct buildconfig *bc)
{
	struct secret_memory *memory = &w->work.object->secrets;
	const size_t first = (size_t)w->type * BUILDCONFIG_FACTS;
	const char *held =
		buildconfig_status(bc, buildconfig_status_keys[first + BUILDCONFIG_FACT_SECRET]);
	const char *last =
		buildconfig_status(bc, buildconfig_status_keys[first + BUILDCONFIG_FACT_LAST]);
	const struct hook_activity *activity =
		activity_find(w->work.controller->opt.services->activity, bc->uid, w->type);
	bool has_come = *last || (activity && activity->last_ms > 0);

	if (w->kind != ACTION_CREATE_SECRET || !has_come || !strstr(held, w->name))
		return;
	free(memory->remade_name);
	memory->remade_name = mem_strdup(w->name);
	memory->remade_ms = clock_wall_ms(w->work.controller->opt.services->clock);
}

static void on_success(struct secret_work *w)
{
	const struct buildconfig *bc = object_buildconfig(w->work.object);

	if (bc && !is_effective(w, bc)) {
		fail(w,
		     "the API server did not keep what buildhook wrote: an admission webhook "
		     "may change Secrets",
		     0);
		return;
	}
	if (bc)
		note_remade(w, bc);
	succeed(w);
}

static void tell_written(const struct secret_work *w)
{
	static const struct {
		const char *reason, *log, *note;
	} words[] = {
		[ACTION_CREATE_SECRET] = {"WebhookSecretCreated", "webhook secret created",
					  "created"},
		[ACTION_COMPLETE_SECRET] = {"WebhookSecretCreated", "webhook secret completed",
					    "completed"},
		[ACTION_ROTATE_SECRET] = {"WebhookSecretRotated", "webhook secret rotated",
					  "rotated"},
	};
	const struct buildconfig *bc = object_buildconfig(w->work.object);
	char note[512];

	if (w->kind >= ARRAY_LEN(words) || !words[w->kind].reason)
		return;
	log_msg(LOG_INFO, "controller", words[w->kind].log, LOG_FIELD("namespace", w->namespace_),
		LOG_FIELD("secret", w->name));
	if (!bc)
		return;
	(void)snprintf(note, sizeof(note), "%s Secret %s with a new value for the %s webhook%s",
		       words[w->kind].note, w->name, hook_type_name(w->type),
		       w->kind == ACTION_ROTATE_SECRET ? "; the old one is accepted for a while"
						       : "");
	event_send(w->work.controller, bc, EVENT_NORMAL, words[w->kind].reason, note);
}

/* The write was refused because the cached Secret was out of date: fetch it again soon. */
static void look_again(struct secret_work *w)
{
	struct controller *c = w->work.controller;

	kube_secrets_forget(c->opt.services->secrets, w->namespace_, w->name);
	work_end(&w->work, RECONCILE_REQUEUE, 0);
}

/*
 * Admission plug-in OwnerReferencesPermissionEnforcement (on in OpenShift): only a client that may
 * delete an object may change its owners. The Secret works without this owner; it is deleted with
 * the BuildConfig that it was made for, and is then made again.
 */
static void accept_one_owner(struct secret_work *w, const char *why)
{
	w->work.object->secrets.is_owning_denied = true;
	w->work.object->secrets.owning_denied_ms =
		clock_mono_ms(w->work.controller->opt.services->clock);
	log_msg(LOG_INFO, "controller", "a shared webhook secret keeps its one owner",
		LOG_FIELD("namespace", w->namespace_), LOG_FIELD("secret", w->name),
		LOG_FIELD("error", why));
	succeed(w);
}

/* The cause comes first: the status line is cut at its end. */
static void explain(char *out, size_t size, const struct kube_response *response, const char *verb)
{
	static const char words[] = " is forbidden: ";
	const char *at = strstr(response->err.msg, words);
	const char *cause = at ? at + strlen(words) : response->err.msg;

	if (response->status == 403 && str_starts(str_of(cause), STR("User ")))
		(void)snprintf(out, size,
			       "buildhook may not %s it: grant its ServiceAccount %s on secrets in "
			       "this namespace (403: %s)",
			       verb, verb, cause);
	else
		(void)snprintf(out, size, "%s (to %s it)", cause, verb);
}

static void on_written(void *arg, const struct kube_response *response)
{
	struct secret_work *w = arg;
	struct controller *c = w->work.controller;
	char text[800];

	w->work.call = NULL;
	switch (response->err.code) {
	case ERR_OK:
		kube_secrets_put_written(c->opt.services->secrets, response->doc);
		tell_written(w);
		on_success(w);
		return;
	case ERR_EXISTS:
	case ERR_CONFLICT:
		look_again(w);
		return;
	case ERR_DENIED:
		if (w->kind == ACTION_OWN_SECRET && response->status == 403) {
			accept_one_owner(w, response->err.msg);
			return;
		}
		/* fall through */
	default:
		explain(text, sizeof(text), response,
			w->kind == ACTION_CREATE_SECRET ? "create" : "patch");
		if (response->is_uncertain)
			kube_secrets_forget(c->opt.services->secrets, w->namespace_, w->name);
		fail(w, text, response->retry_after_ms);
	}
}

static void write_secret(struct secret_work *w, const struct buildconfig *bc,
			 const struct kube_secret *old)
{
	CLEANUP(buf_release) struct buf path = BUF_INIT(2048);
	CLEANUP(buf_release) struct buf body = BUF_INIT(MAX_BODY);
	CLEANUP(json_freep) cJSON *doc = NULL;
	struct kube_request request = {.metric_resource = "secrets"};

	w->version = mem_strdup(old->resource_version);
	buf_printf(&path, "/api/v1/namespaces/%s/secrets", w->namespace_);
	if (w->kind == ACTION_CREATE_SECRET) {
		request.method = KUBE_POST;
		doc = new_secret(w, bc);
	} else {
		request.method = KUBE_STRATEGIC_PATCH;
		buf_printf(&path, "/%s", w->name);
		doc = new_patch(w, bc, old);
	}
	if (!doc) {
		fail(w, "its annotation buildhook.io/rotated is longer than 64 KiB: remove it", 0);
		return;
	}
	buf_put_str(&path, STR("?fieldManager=buildhook"));
	json_format(&body, doc);
	assert(!body.overflow);
	token_bucket_take(&w->work.object->secrets.writes, &write_limit,
			  clock_mono_ms(w->work.controller->opt.services->clock));
	request.path = path.data;
	request.body = buf_str(&body);
	work_call(&w->work, &request, on_written);
	explicit_bzero(body.data, body.len);
}

/*
 * Whether the API server's BuildConfig still asks for this rotation. The store may hold an earlier
 * request than the one that another replica has acted on; a second rotation would end the value
 * that Git hosts still use.
 */
static bool is_request_present(const struct buildconfig *bc, const cJSON *doc)
{
	const char *uid = json_str_at(doc, "metadata/uid");
	const cJSON *rotate =
		json_member(json_at(doc, "metadata/annotations"), "buildhook.io/rotate");

	return uid && strcmp(uid, bc->uid) == 0 && cJSON_IsString(rotate) &&
	       strcmp(rotate->valuestring, bc->rotate) == 0;
}

static void on_request_read(void *arg, const struct kube_response *response)
{
	struct secret_work *w = arg;
	struct object *object = w->work.object;
	struct controller *c = w->work.controller;
	const struct buildconfig *bc = object_buildconfig(object);
	const struct kube_secret *secret =
		kube_secrets_peek(c->opt.services->secrets, w->namespace_, w->name);
	char text[800];

	w->work.call = NULL;
	if (response->err.code != ERR_OK && response->err.code != ERR_NOTFOUND) {
		(void)snprintf(text, sizeof(text), "cannot rotate Secret %s: %s", w->name,
			       response->err.msg);
		fail(w, text, response->retry_after_ms);
	} else if (bc && is_request_present(bc, response->doc) &&
		   secret->state == KUBE_SECRET_PRESENT && secret->is_ours && secret->has_key &&
		   rotation_is_wanted(bc, w->name, secret->rotated_for)) {
		write_secret(w, bc, secret);
	} else {
		/* The watch will bring the BuildConfig's present state. */
		object->secrets.retry_ms = clock_mono_ms(c->opt.services->clock) + BEHIND_MS;
		work_end(&w->work, RECONCILE_REQUEUE, 0);
	}
}

static void on_fetched(void *arg, const struct kube_secret *secret, const struct err *error)
{
	struct secret_work *w = arg;
	struct secret_memory *memory = &w->work.object->secrets;
	char text[800];

	w->work.lookup = NULL;
	/* The Secret that could not be written is unchanged, so the back-off continues to grow. */
	if (error->code == ERR_OK && memory->failed_version &&
	    strcmp(memory->trouble_name, w->name) == 0 &&
	    strcmp(memory->failed_version, secret->resource_version) == 0) {
		memory->retry_ms = 0;
		work_end(&w->work, RECONCILE_SUCCESS, 0);
		return;
	}
	if (error->code == ERR_OK) {
		/* A denied access also ends the look: the status shows it. */
		succeed(w);
		return;
	}
	(void)snprintf(text, sizeof(text), "cannot read Secret %s: %s", w->name, error->msg);
	fail(w, text, 0);
}

void secret_act(struct object *object, const struct action *action)
{
	struct secret_work *w = mem_new(1, sizeof(*w));
	const struct buildconfig *bc = object_buildconfig(object);
	int64_t now_ms = clock_mono_ms(object->controller->opt.services->clock);
	int64_t wait_ms = token_bucket_wait_ms(&object->secrets.writes, &write_limit, now_ms);

	w->kind = action->kind;
	w->type = action->secret->type;
	object_split(object, w->namespace_, w->name);
	(void)snprintf(w->name, sizeof(w->name), "%s", action->secret->name);
	work_begin(&w->work, object, release);
	if (w->kind != ACTION_FETCH_SECRET && wait_ms > 0) {
		object->secrets.retry_ms = now_ms + wait_ms;
		work_end(&w->work, RECONCILE_REQUEUE, 0);
	} else if (w->kind == ACTION_FETCH_SECRET) {
		w->work.lookup = kube_secrets_fetch(object->controller->opt.services->secrets,
						    w->namespace_, w->name, 0, on_fetched, w);
	} else if (w->kind == ACTION_ROTATE_SECRET) {
		work_get_buildconfig(&w->work, bc->namespace_, bc->name, on_request_read);
	} else {
		write_secret(w, bc, action->secret->secret);
	}
}
