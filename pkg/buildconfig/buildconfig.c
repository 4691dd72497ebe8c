/*
 * Parses the API server's document into a compact BuildConfig. Wrong types become a problem that
 * the status shows, never an error.
 */
#include "buildconfig/buildconfig.h"

#include "base/mem.h"
#include "buildconfig/draft.h"

#include <stdio.h>

#define MAX_REF_BYTES  1024
#define MAX_URI_BYTES  2048
#define MAX_META_BYTES BUILDCONFIG_MAX_NAME

/* "spec/source" as people write it: "spec.source". */
static const char *dotted(char out[DRAFT_QUOTE_BYTES], const char *path)
{
	(void)snprintf(out, DRAFT_QUOTE_BYTES, "%s", path);
	for (char *slash = out; (slash = strchr(slash, '/'));)
		*slash = '.';
	return out;
}

/* The text at PATH, or "" when it is absent, not a text or too long; the last two are noted as
 * problems. */
static const char *read_text(struct draft *draft, const cJSON *doc, const char *path, size_t max)
{
	const cJSON *item = json_at(doc, path);
	char shown[DRAFT_QUOTE_BYTES];
	if (!item || cJSON_IsNull(item))
		return "";
	if (!cJSON_IsString(item)) {
		draft_add_problem(draft->problem, "%s is %s, not text", dotted(shown, path),
				  draft_type_name(item));
		return "";
	}
	if (strlen(item->valuestring) > max) {
		draft_add_problem(draft->problem, "%s is longer than %zu bytes",
				  dotted(shown, path), max);
		return "";
	}
	return item->valuestring;
}

/* True if PATH holds an object; a value of another type, except null, is noted as a problem. */
static bool has_object(struct draft *draft, const cJSON *doc, const char *path)
{
	const cJSON *item = json_at(doc, path);
	char shown[DRAFT_QUOTE_BYTES];
	if (!item || cJSON_IsNull(item))
		return false;
	if (!cJSON_IsObject(item))
		draft_add_problem(draft->problem, "%s is %s, not an object", dotted(shown, path),
				  draft_type_name(item));
	return cJSON_IsObject(item);
}

static void read_meta(struct draft *draft, const cJSON *doc)
{
	struct buildconfig *bc = &draft->bc;
	bc->namespace_ = read_text(draft, doc, "metadata/namespace", MAX_META_BYTES);
	bc->name = read_text(draft, doc, "metadata/name", MAX_META_BYTES);
	bc->uid = read_text(draft, doc, "metadata/uid", MAX_META_BYTES);
	bc->resource_version = read_text(draft, doc, "metadata/resourceVersion", MAX_META_BYTES);
	bc->is_deleting = json_str_at(doc, "metadata/deletionTimestamp") != NULL;
	int64_t last_version = json_int_at(doc, "status/lastVersion", 0);
	bc->last_version = last_version > 0 ? last_version : 0;
}

static void read_source(struct draft *draft, const cJSON *doc)
{
	struct buildconfig *bc = &draft->bc;
	if (!has_object(draft, doc, "spec/source"))
		return;
	bc->context_dir = read_text(draft, doc, "spec/source/contextDir", MAX_REF_BYTES);
	bc->has_git = has_object(draft, doc, "spec/source/git");
	if (!bc->has_git)
		return;
	bc->git_uri = read_text(draft, doc, "spec/source/git/uri", MAX_URI_BYTES);
	bc->git_ref = read_text(draft, doc, "spec/source/git/ref", MAX_REF_BYTES);
}

/* The type may be left out beside its member, as OpenShift allows. */
static void read_strategy(struct draft *draft, const cJSON *doc)
{
	static const struct {
		const char *type;
		const char *path;
	} strategies[] = {
		{"Docker", "spec/strategy/dockerStrategy"},
		{"Source", "spec/strategy/sourceStrategy"},
		{"Custom", "spec/strategy/customStrategy"},
		{"JenkinsPipeline", "spec/strategy/jenkinsPipelineStrategy"},
	};
	const char *type = read_text(draft, doc, "spec/strategy/type", MAX_META_BYTES);
	draft->bc.strategy = "";
	for (size_t i = 0; i < ARRAY_LEN(strategies); i++) {
		bool is_named = strcmp(type, strategies[i].type) == 0;
		if (is_named || (!*type && cJSON_IsObject(json_at(doc, strategies[i].path)))) {
			draft->bc.strategy = strategies[i].type;
			return;
		}
	}
	if (*type) {
		char quoted[DRAFT_QUOTE_BYTES];
		draft_add_problem(draft->problem, "spec.strategy.type %s is not known",
				  draft_quote(quoted, type));
	}
}

struct buildconfig *buildconfig_parse(const cJSON *doc)
{
	struct draft draft = {0};
	read_meta(&draft, doc);
	if (has_object(&draft, doc, "metadata/annotations"))
		draft_read_annotations(&draft, json_at(doc, "metadata/annotations"));
	if (!has_object(&draft, doc, "spec"))
		draft_add_problem(draft.problem, "it has no spec");
	read_source(&draft, doc);
	read_strategy(&draft, doc);
	draft_read_triggers(&draft, json_at(doc, "spec/triggers"));
	return draft_pack(&draft);
}

void buildconfig_free(struct buildconfig *bc)
{
	if (!bc)
		return;
	for (size_t i = 0; i < HOOK_TYPES; i++)
		for (size_t j = 0; j < bc->hooks[i].n_secrets; j++) {
			const struct buildconfig_secret *secret = &bc->hooks[i].secrets[j];
			if (secret->kind == BUILDCONFIG_SECRET_INLINE)
				explicit_bzero((char *)secret->text, strlen(secret->text));
		}
	mem_free(&bc);
}

const char *buildconfig_find_status(const struct buildconfig *bc, const char *key)
{
	const char *value = bc->status;
	for (size_t i = 0; i < BUILDCONFIG_STATUS_KEYS; i++) {
		if (!(bc->status_keys & UINT32_C(1) << i))
			continue;
		if (strcmp(buildconfig_status_keys[i], key) == 0)
			return value;
		value += strlen(value) + 1;
	}
	return NULL;
}

const char *buildconfig_status(const struct buildconfig *bc, const char *key)
{
	const char *value = buildconfig_find_status(bc, key);
	return value ? value : "";
}
