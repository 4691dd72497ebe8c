/*
 * Reads the annotations that users set (options) and those that we wrote (status) from a
 * BuildConfig.
 */
#include "buildconfig/draft.h"

#include "base/mem.h"
#include "buildconfig/status.h"

#include <assert.h>
#include <stddef.h>

#define PAUSED_KEY        "openshift.io/build-config.paused"
#define MAX_RULE_BYTES    4096
#define MAX_REQUEST_BYTES 1024

/* Annotations that users set: a text, or "true". */
static const struct option {
	const char *key;
	size_t offset;    /* in struct buildconfig */
	size_t max_bytes; /* 0: only "true" switches it on */
} options[] = {
	{BUILDCONFIG_ANNOTATION_PREFIX "ignore", offsetof(struct buildconfig, is_ignored), 0},
	{BUILDCONFIG_ANNOTATION_PREFIX "skip-ci", offsetof(struct buildconfig, skip_ci), 0},
	{BUILDCONFIG_ANNOTATION_PREFIX "refs", offsetof(struct buildconfig, refs), MAX_RULE_BYTES},
	{BUILDCONFIG_ANNOTATION_PREFIX "paths", offsetof(struct buildconfig, paths),
	 MAX_RULE_BYTES},
	{BUILDCONFIG_ANNOTATION_PREFIX "repository", offsetof(struct buildconfig, repository),
	 MAX_REQUEST_BYTES},
	{BUILDCONFIG_ANNOTATION_PREFIX "rotate", offsetof(struct buildconfig, rotate),
	 MAX_REQUEST_BYTES},
	{BUILDCONFIG_ANNOTATION_PREFIX "redeliver", offsetof(struct buildconfig, redeliver),
	 MAX_REQUEST_BYTES},
	{BUILDCONFIG_ANNOTATION_PREFIX "redelivered", offsetof(struct buildconfig, redelivered),
	 MAX_REQUEST_BYTES},
};

static void read_option(struct draft *draft, const struct option *option, const char *value)
{
	char *field = (char *)&draft->bc + option->offset;
	if (option->max_bytes == 0) {
		bool is_true = strcmp(value, "true") == 0;
		*(bool *)field = is_true;
		if (!is_true && strcmp(value, "false") != 0)
			draft_add_problem(draft->problem,
					  "annotation %s must be \"true\" or \"false\"",
					  option->key);
	} else if (strlen(value) > option->max_bytes) {
		draft_add_problem(draft->problem, "annotation %s is longer than %zu bytes",
				  option->key, option->max_bytes);
	} else {
		*(const char **)field = value;
	}
}

static bool find_option(struct draft *draft, const char *key, const char *value)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (strcmp(options[i].key, key) == 0) {
			read_option(draft, &options[i], value);
			return true;
		}
	return false;
}

static_assert(BUILDCONFIG_STATUS_KEYS <= 32, "one bit of status_keys each");

static bool find_status(struct draft *draft, const char *key, const char *value)
{
	for (size_t i = 0; i < BUILDCONFIG_STATUS_KEYS; i++)
		if (strcmp(buildconfig_status_keys[i], key) == 0) {
			/* buildhook never writes a longer value, so a longer one is not its own. */
			draft->status[i] = strlen(value) <= STATUS_RECENT_BYTES ? value : "";
			draft->bc.status_keys |= UINT32_C(1) << i;
			return true;
		}
	return false;
}

/* Two words of printable ASCII. */
static bool is_redelivery(const char *text)
{
	size_t words = 1;
	for (const char *c = text; *c; c++) {
		if (*c < ' ' || *c > '~' || (*c == ' ' && (c == text || !c[1] || c[1] == ' ')))
			return false;
		words += *c == ' ';
	}
	return words == 2;
}

void draft_read_annotations(struct draft *draft, const cJSON *annotations)
{
	struct buildconfig *bc = &draft->bc;
	char quoted[DRAFT_QUOTE_BYTES];
	const cJSON *item = NULL;
	cJSON_ArrayForEach (item, annotations) {
		const char *value = cJSON_GetStringValue(item);
		struct str key = str_of(item->string);
		if (!value || find_option(draft, item->string, value))
			continue;
		if (str_eq(key, STR(PAUSED_KEY)))
			/* OpenShift ignores the case. */
			bc->is_paused = str_eq_nocase(str_of(value), STR("true"));
		else if (str_starts(key, STR(BUILDCONFIG_ANNOTATION_PREFIX)) &&
			 !find_status(draft, item->string, value))
			draft_add_problem(draft->problem, "annotation %s is not known",
					  draft_quote(quoted, item->string));
	}
	if (bc->redeliver && *bc->redeliver && !is_redelivery(bc->redeliver)) {
		draft_add_problem(draft->problem,
				  "annotation %sredeliver is not \"ID NONCE\", a delivery's id and "
				  "any word that is new",
				  BUILDCONFIG_ANNOTATION_PREFIX);
		bc->redeliver = NULL;
	}
	if (bc->repository && *bc->repository && strcmp(bc->repository, "match") != 0)
		draft_add_problem(draft->problem, "annotation %srepository must be \"match\"",
				  BUILDCONFIG_ANNOTATION_PREFIX);
}
