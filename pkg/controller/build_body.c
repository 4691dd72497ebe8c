/* The documents that start a build: a Build for Kubernetes, a BuildRequest for OpenShift. Pure. */
#include "controller/build_body.h"

#include "base/mem.h"

#include "base/clock.h"
#include "base/fnv.h"
#include "crypto/crypto.h"
#include "delivery/type.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#define MAX_NAME        253
#define MAX_LABEL_VALUE 63

void build_delivery_label(char *out, const struct journal_change *change)
{
	unsigned char digest[CRYPTO_SHA256_BYTES];
	const struct str nul = STR("\0");
	const struct str parts[] = {
		str_of(change->uid),         nul, str_of(change->type), nul,
		str_of(change->delivery_id), nul, str_of(change->ref),
	};

	crypto_sha256(digest, parts, sizeof(parts) / sizeof(parts[0]));
	crypto_hex(out, digest, BUILD_DELIVERY_LABEL_CHARS / 2);
}

void build_name(char *out, const char *name, int64_t number)
{
	char suffix[24];
	int suffix_len = snprintf(suffix, sizeof(suffix), "%" PRId64, number);
	int base_len = MAX_NAME - 10 - suffix_len;
	int len;

	if (strlen(name) + 1 + (size_t)suffix_len <= MAX_NAME)
		len = snprintf(out, BUILD_NAME_BYTES, "%s-%s", name, suffix);
	else
		len = snprintf(out, BUILD_NAME_BYTES, "%.*s-%08" PRIx32 "-%s", base_len, name,
			       fnv_32(name), suffix);
	assert(len < BUILD_NAME_BYTES);
}

void build_label_value(char *out, const char *name)
{
	size_t n = strnlen(name, MAX_LABEL_VALUE);

	while (n > 0 && !isalnum((unsigned char)name[n - 1]))
		n--;
	memcpy(out, name, n);
	out[n] = 0;
}

/* Puts a commit's text as it came, or with IS_CLEAN without control characters (line breaks and
 * tabs stay): `kubectl describe` prints the text of a CRD's object as it is. */
static void put_commit_text(cJSON *object, const char *key, const char *text, bool is_clean)
{
	CLEANUP(buf_release) struct buf clean = BUF_INIT((size_t)4 * JOURNAL_MAX_TEXT);

	if (!is_clean) {
		json_put_str(object, key, text);
		return;
	}
	while (*text) {
		size_t n = strcspn(text, "\n\t");
		bool is_crlf = n > 0 && text[n - 1] == '\r' && text[n] == '\n';

		buf_put_clean(&clean, str_range(text, n - is_crlf), SIZE_MAX);
		if (text[n])
			buf_put_char(&clean, text[n++]);
		text += n;
	}
	json_put_text(object, key, buf_str(&clean));
}

static void put_person(cJSON *git, const char *key, const char *name, const char *email,
		       bool is_clean)
{
	cJSON *person;

	if (!*name && !*email)
		return;
	person = json_put_object(git, key);
	if (*name)
		put_commit_text(person, "name", name, is_clean);
	if (*email)
		put_commit_text(person, "email", email, is_clean);
}

/*
 * Puts spec.revision. Nothing without a commit: the build then takes what the BuildConfig's ref
 * points at. IS_CLEAN is false on OpenShift, where the object must equal the one that its own
 * endpoint makes.
 */
static void put_revision(cJSON *object, const struct journal_change *change, bool is_clean)
{
	cJSON *revision, *git;

	if (!*change->commit)
		return;
	revision = json_put_object(object, "revision");
	json_put_str(revision, "type", "Git");
	git = json_put_object(revision, "git");
	json_put_str(git, "commit", change->commit);
	put_person(git, "author", change->author_name, change->author_email, is_clean);
	put_person(git, "committer", change->committer_name, change->committer_email, is_clean);
	if (*change->message)
		put_commit_text(git, "message", change->message, is_clean);
}

struct journal_change build_change_by_hand(const char *uid, const char *namespace_,
					   const char *name, const char *commit)
{
	return (struct journal_change){
		.uid = uid,
		.namespace_ = namespace_,
		.name = name,
		.type = "",
		.host = "",
		.delivery_id = "",
		.ref = "",
		.commit = commit ? commit : "",
		.author_name = "",
		.author_email = "",
		.committer_name = "",
		.committer_email = "",
		.message = "",
		.pusher = "",
		.env_json = "",
		.options_json = "",
		.warning = "",
		.build = "",
		.reason = "",
	};
}

/* True if a person asks for the build, not a delivery: the change has no type and no delivery id.
 * Then the Build has no label and no annotations of a delivery. */
static bool is_by_hand(const struct journal_change *change)
{
	return !*change->type;
}

static void put_triggered_by(cJSON *object, const struct journal_change *change, bool is_clean)
{
	cJSON *list = json_put_array(object, "triggeredBy");
	cJSON *entry, *cause;
	enum hook_type type;
	char member[32];

	if (is_by_hand(change)) {
		entry = json_append(list, json_new_object());
		json_put_str(entry, "message", "Manually triggered");
		return;
	}
	if (!hook_type_parse(str_of(change->type), &type))
		return;
	(void)snprintf(member, sizeof(member), "%sWebHook", change->type);
	entry = json_append(list, json_new_object());
	json_put_str(entry, "message", hook_type_cause(type));
	cause = json_put_object(entry, member);
	put_revision(cause, change, is_clean);
	json_put_str(cause, "secret", "<secret>");
}

static void put_delivery_annotations(cJSON *annotations, const struct journal_change *change)
{
	const struct str id = str_of(change->delivery_id);
	char accepted[CLOCK_TEXT_BYTES];

	if (is_by_hand(change))
		return;
	clock_format_rfc3339(accepted, change->accepted_ms, true);
	json_put_text(annotations, "buildhook.io/delivery-id",
		      str_range(id.p, str_find_char(id, ' ')));
	if (journal_change_is_redelivery(change))
		json_put_str(annotations, BUILD_REDELIVERED_ANNOTATION,
			     strchr(change->delivery_id, ' ') + 1);
	json_put_str(annotations, "buildhook.io/provider", change->host);
	json_put_str(annotations, BUILD_ACCEPTED_ANNOTATION, accepted);
	if (*change->ref)
		json_put_str(annotations, BUILD_REF_ANNOTATION, change->ref);
	if (*change->warning)
		put_commit_text(annotations, "buildhook.io/warning", change->warning, true);
}

static cJSON *parse_extra(const char *json)
{
	CLEANUP(json_freep) cJSON *doc = NULL;

	if (*json && json_parse(&doc, str_of(json), NULL) != 0)
		return NULL;
	return TAKE(doc);
}

static void put_copy(cJSON *to, const cJSON *from, const char *key)
{
	const cJSON *value = json_member(from, key);

	if (value && !cJSON_IsNull(value))
		json_put(to, key, json_copy(value));
}

/* Entries of the same name in LIST give way to those of ADDED, as in OpenShift's updateBuildEnv. */
static void override_env(cJSON *owner, const char *key, const cJSON *added)
{
	cJSON *old = cJSON_DetachItemFromObjectCaseSensitive(owner, key);
	cJSON *list = json_put_array(owner, key);
	const cJSON *entry;

	cJSON_ArrayForEach (entry, old) {
		const char *name = json_str_at(entry, "name");

		if (!name || !json_find(added, "name", name))
			json_append(list, json_copy(entry));
	}
	cJSON_ArrayForEach (entry, added)
		json_append(list, json_copy(entry));
	cJSON_Delete(old);
}

static void put_env(cJSON *strategy, const struct journal_change *change)
{
	static const char *const kinds[] = {"dockerStrategy", "sourceStrategy", "customStrategy",
					    "jenkinsPipelineStrategy"};
	CLEANUP(json_freep) cJSON *env = parse_extra(change->env_json);

	for (size_t i = 0; env && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		cJSON *kind = cJSON_GetObjectItemCaseSensitive(strategy, kinds[i]);

		if (cJSON_IsObject(kind))
			override_env(kind, "env", env);
	}
}

static void put_docker_options(cJSON *strategy, const struct journal_change *change)
{
	CLEANUP(json_freep) cJSON *options = parse_extra(change->options_json);
	cJSON *docker = cJSON_GetObjectItemCaseSensitive(strategy, "dockerStrategy");
	const cJSON *args = json_member(options, "buildArgs");
	const cJSON *no_cache = json_member(options, "noCache");

	if (!cJSON_IsObject(docker))
		return;
	if (cJSON_GetArraySize(args) > 0)
		override_env(docker, "buildArgs", args);
	if (cJSON_IsBool(no_cache)) {
		cJSON_DeleteItemFromObjectCaseSensitive(docker, "noCache");
		json_put_bool(docker, "noCache", cJSON_IsTrue(no_cache));
	}
}

/* The discriminators that OpenShift fills in where a BuildConfig leaves them out; the columns of
 * `oc get builds` show them. */
static void put_type(cJSON *object, const char *const *members, const char *const *types, size_t n)
{
	if (!cJSON_IsObject(object) || json_str_at(object, "type"))
		return;
	for (size_t i = 0; i < n; i++)
		if (cJSON_IsObject(json_member(object, members[i]))) {
			json_put_str(object, "type", types[i]);
			return;
		}
}

static void put_types(cJSON *spec)
{
	static const char *const strategies[] = {"dockerStrategy", "sourceStrategy",
						 "customStrategy", "jenkinsPipelineStrategy"};
	static const char *const strategy_types[] = {"Docker", "Source", "Custom",
						     "JenkinsPipeline"};
	static const char *const sources[] = {"git", "dockerfile"};
	static const char *const source_types[] = {"Git", "Dockerfile"};

	put_type(cJSON_GetObjectItemCaseSensitive(spec, "strategy"), strategies, strategy_types,
		 ARRAY_LEN(strategies));
	put_type(cJSON_GetObjectItemCaseSensitive(spec, "source"), sources, source_types,
		 ARRAY_LEN(sources));
}

/* Everything of the BuildConfig's common spec; triggers, run policy and history limits are the
 * BuildConfig's own. */
static void put_spec(cJSON *build, const cJSON *bc, const struct journal_change *change)
{
	static const char *const members[] = {"source",       "strategy",
					      "output",       "resources",
					      "postCommit",   "completionDeadlineSeconds",
					      "nodeSelector", "mountTrustedCA"};
	const cJSON *from = json_member(bc, "spec");
	const char *account = json_str_at(from, "serviceAccount");
	cJSON *spec = json_put_object(build, "spec");
	cJSON *strategy;

	json_put_str(spec, "serviceAccount", account && *account ? account : "builder");
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		put_copy(spec, from, members[i]);
	put_revision(spec, change, true);
	put_triggered_by(spec, change, true);
	put_types(spec);
	strategy = cJSON_GetObjectItemCaseSensitive(spec, "strategy");
	put_env(strategy, change);
	put_docker_options(strategy, change);
}

static void put_labels(cJSON *metadata, const cJSON *bc, const struct journal_change *change)
{
	const char *policy = json_str_at(bc, "spec/runPolicy");
	cJSON *labels = json_copy(json_at(bc, "metadata/labels"));
	char value[MAX_LABEL_VALUE + 1], delivery[BUILD_DELIVERY_LABEL_CHARS + 1] = "";
	const struct {
		const char *key, *value;
	} own[] = {
		{"buildconfig", value},
		{"openshift.io/build-config.name", value},
		{"openshift.io/build.start-policy", policy ? policy : "Serial"},
		{BUILD_DELIVERY_LABEL, delivery},
	};

	build_label_value(value, change->name);
	if (!is_by_hand(change))
		build_delivery_label(delivery, change);
	if (!cJSON_IsObject(labels)) {
		cJSON_Delete(labels);
		labels = json_new_object();
	}
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		cJSON_DeleteItemFromObjectCaseSensitive(labels, own[i].key);
		if (*own[i].value)
			json_put_str(labels, own[i].key, own[i].value);
	}
	json_put(metadata, "labels", labels);
}

static void put_owner(cJSON *metadata, const struct journal_change *change)
{
	cJSON *owner = json_append(json_put_array(metadata, "ownerReferences"), json_new_object());

	json_put_str(owner, "apiVersion", "build.openshift.io/v1");
	json_put_str(owner, "kind", "BuildConfig");
	json_put_str(owner, "name", change->name);
	json_put_str(owner, "uid", change->uid);
	json_put_bool(owner, "controller", true);
}

static void put_status(cJSON *build, const struct journal_change *change, int64_t wall_ms)
{
	cJSON *status = json_put_object(build, "status");
	cJSON *condition, *config;
	char at[CLOCK_TEXT_BYTES];

	clock_format_rfc3339(at, wall_ms, false);
	json_put_str(status, "phase", "New");
	condition = json_append(json_put_array(status, "conditions"), json_new_object());
	json_put_str(condition, "type", "New");
	json_put_str(condition, "status", "True");
	json_put_str(condition, "lastUpdateTime", at);
	json_put_str(condition, "lastTransitionTime", at);
	config = json_put_object(status, "config");
	json_put_str(config, "kind", "BuildConfig");
	json_put_str(config, "name", change->name);
	json_put_str(config, "namespace", change->namespace_);
}

cJSON *build_body(const cJSON *bc, const struct journal_change *change, int64_t number,
		  int64_t wall_ms)
{
	cJSON *build = json_new_object();
	cJSON *metadata, *annotations;
	char name[BUILD_NAME_BYTES], digits[24];

	build_name(name, change->name, number);
	(void)snprintf(digits, sizeof(digits), "%" PRId64, number);
	json_put_str(build, "apiVersion", "build.openshift.io/v1");
	json_put_str(build, "kind", "Build");
	metadata = json_put_object(build, "metadata");
	json_put_str(metadata, "name", name);
	json_put_str(metadata, "namespace", change->namespace_);
	put_labels(metadata, bc, change);
	annotations = json_put_object(metadata, "annotations");
	json_put_str(annotations, "openshift.io/build-config.name", change->name);
	json_put_str(annotations, "openshift.io/build.number", digits);
	put_delivery_annotations(annotations, change);
	put_owner(metadata, change);
	put_spec(build, bc, change);
	put_status(build, change, wall_ms);
	return build;
}

cJSON *build_request_body(const struct journal_change *change, int64_t last_version)
{
	cJSON *request = json_new_object();
	cJSON *metadata, *env, *options;
	char delivery[BUILD_DELIVERY_LABEL_CHARS + 1];

	json_put_str(request, "apiVersion", "build.openshift.io/v1");
	json_put_str(request, "kind", "BuildRequest");
	metadata = json_put_object(request, "metadata");
	json_put_str(metadata, "name", change->name);
	if (!is_by_hand(change)) {
		build_delivery_label(delivery, change);
		json_put_str(json_put_object(metadata, "labels"), BUILD_DELIVERY_LABEL, delivery);
		put_delivery_annotations(json_put_object(metadata, "annotations"), change);
	}
	if (last_version >= 0)
		json_put_int(request, "lastVersion", last_version);
	put_triggered_by(request, change, false);
	put_revision(request, change, false);
	env = parse_extra(change->env_json);
	if (env)
		json_put(request, "env", env);
	options = parse_extra(change->options_json);
	if (options)
		json_put(request, "dockerStrategyOptions", options);
	return request;
}
