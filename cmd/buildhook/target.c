/* Reads one BuildConfig and the secrets of its webhooks, for the commands that are about one. */
#include "target.h"

#include "base/mem.h"
#include "crypto/crypto.h"
#include "kube/secrets.h"

#include <stdio.h>

#define API_PATH "/apis/build.openshift.io/v1/namespaces/%s"

int target_read(struct target *out, struct session *session, const char *name, struct err *err)
{
	if (session_get(session, &out->answer, err, API_PATH "/buildconfigs/%s",
			session_namespace(session), name) != 0) {
		if (err->code == ERR_NOTFOUND)
			session_suggest(session, "buildconfigs", name);
		return err->code;
	}
	out->bc = buildconfig_parse(out->answer.doc);
	out->program = session_program(session);
	return 0;
}

void target_release(struct target *target)
{
	session_answer_release(&target->answer);
	if (target->bc)
		buildconfig_free(target->bc);
	target->bc = NULL;
}

int target_parse_type(enum hook_type *out, const char *text, struct err *err)
{
	if (hook_type_parse(str_of(text), out))
		return 0;
	return err_set(err, ERR_INVALID, "TYPE: found \"%.60s\", expected " TARGET_TYPES, text);
}

/* "github, gitlab", or "none". */
static void put_types(struct buf *out, const struct buildconfig *bc, enum hook_type *last,
		      size_t *n)
{
	*n = 0;
	for (size_t i = 0; i < HOOK_TYPES; i++) {
		if (!bc->hooks[i].exists)
			continue;
		buf_printf(out, "%s%s", *n ? ", " : "", hook_type_name((enum hook_type)i));
		*last = (enum hook_type)i;
		(*n)++;
	}
}

int target_type(enum hook_type *out, const struct target *target, const char *text, struct err *err)
{
	CLEANUP(buf_release) struct buf types = BUF_INIT(100);
	enum hook_type type = HOOK_GITHUB, only = HOOK_GITHUB;
	size_t n = 0;

	if (text && target_parse_type(&type, text, err) != 0)
		return err->code;
	put_types(&types, target->bc, &only, &n);
	if (!text && n > 1)
		return err_set(err, ERR_INVALID, "which TYPE? buildconfig \"%s\" has %s",
			       target->bc->name, types.data);
	if (!text)
		type = only;
	if (n == 0 || !target->bc->hooks[type].exists)
		return err_set(err, ERR_NOTFOUND,
			       "buildconfig \"%s\" has no %s trigger%s%s; `%s add-trigger %s %s` "
			       "adds one%s",
			       target->bc->name, text ? text : "webhook", n ? ", only " : "",
			       n ? types.data : "", target->program, target->bc->name,
			       text ? text : "TYPE", text ? "" : ". TYPE is " TARGET_TYPES);
	*out = type;
	return 0;
}

const char *target_annotation(const struct target *target, const char *key)
{
	const cJSON *annotations = json_at(target->answer.doc, "metadata/annotations");
	const cJSON *value = json_member(annotations, key);

	return cJSON_IsString(value) ? value->valuestring : "";
}

const char *target_fact(const struct target *target, enum hook_type type, const char *name)
{
	char key[100];

	(void)snprintf(key, sizeof(key), "buildhook.io/%s-%s", hook_type_name(type), name);
	return target_annotation(target, key);
}

void target_put_url(struct buf *out, const struct target *target, enum hook_type type)
{
	const char *url = target_fact(target, type, "url");

	if (*url)
		buf_put_clean(out, str_of(url), 2048);
	else
		buf_printf(out, "/hooks/%s/%s/%s", target->bc->namespace_, target->bc->name,
			   hook_type_name(type));
}

void target_wipe(struct buf *secret)
{
	if (secret->data)
		explicit_bzero(secret->data, secret->cap);
	buf_release(secret);
}

/* WebHookSecretKey of a Secret's document, without one trailing newline. False where there is none.
 */
static bool decode_secret(struct buf *out, const cJSON *secret)
{
	const char *text = json_str_at(secret, "data/" KUBE_SECRET_KEY);
	unsigned char value[KUBE_SECRET_MAX_BYTES];
	size_t n = 0;
	bool is_good = text && crypto_unbase64(value, sizeof(value), &n, str_of(text));

	if (is_good && n > 0 && value[n - 1] == '\n')
		n--;
	if (is_good)
		buf_put(out, value, n);
	explicit_bzero(value, sizeof(value));
	return is_good && n > 0;
}

int target_read_secret(struct buf *out, struct session *session, const struct target *target,
		       enum hook_type type, struct err *err)
{
	const struct buildconfig_hook *hook = &target->bc->hooks[type];

	struct err failure = {0};

	err_set(&failure, ERR_NOTFOUND, "the %s trigger of buildconfig \"%s\" has no secret",
		hook_type_name(type), target->bc->name);
	for (size_t i = 0; i < hook->n_secrets; i++) {
		CLEANUP(session_answer_release) struct session_answer answer = {0};
		const struct buildconfig_secret *secret = &hook->secrets[i];

		if (secret->kind == BUILDCONFIG_SECRET_INLINE) {
			buf_put_str(out, str_of(secret->text));
			return 0;
		}
		if (session_get(session, &answer, &failure, "/api/v1/namespaces/%s/secrets/%s",
				session_namespace(session), secret->text) != 0)
			continue;
		if (decode_secret(out, answer.doc))
			return 0;
		err_set(&failure, ERR_NOTFOUND,
			"secret \"%.100s\" has no value at %s: `%s rotate %s %s` makes one "
			"if buildhook made the Secret; else put one there",
			secret->text, KUBE_SECRET_KEY, target->program, target->bc->name,
			hook_type_name(type));
	}
	*err = failure;
	return err->code;
}

bool target_accepts_others(struct session *session, const struct target *target,
			   enum hook_type type)
{
	const struct buildconfig_hook *hook = &target->bc->hooks[type];
	CLEANUP(session_answer_release) struct session_answer answer = {0};
	struct err err = {0};

	if (hook->n_secrets != 1)
		return true;
	if (hook->secrets[0].kind == BUILDCONFIG_SECRET_INLINE)
		return false;
	return session_get(session, &answer, &err, "/api/v1/namespaces/%s/secrets/%s",
			   session_namespace(session), hook->secrets[0].text) != 0 ||
	       json_str_at(answer.doc, "data/" KUBE_SECRET_PREVIOUS_KEY);
}

int target_annotate(struct session *session, const struct target *target, const char *key,
		    const char *value, struct err *err)
{
	CLEANUP(json_freep) cJSON *patch = json_new_object();
	cJSON *metadata = json_put_object(patch, "metadata");
	cJSON *annotations;

	/* The uid is a precondition: a BuildConfig that was made again meanwhile is another. */
	json_put_str(metadata, "uid", target->bc->uid);
	annotations = json_put_object(metadata, "annotations");
	if (value)
		json_put_str(annotations, key, value);
	else
		json_put(annotations, key, cJSON_CreateNull());
	/* The version is a precondition: remove the value that was read, and no newer one. */
	if (!value)
		json_put_str(metadata, "resourceVersion",
			     json_str_at(target->answer.doc, "metadata/resourceVersion"));
	return session_send(session, NULL, KUBE_MERGE_PATCH, patch, err,
			    API_PATH "/buildconfigs/%s?fieldManager=kubectl-buildhook",
			    session_namespace(session), target->bc->name);
}
