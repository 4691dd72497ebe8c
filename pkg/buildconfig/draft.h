/*
 * A BuildConfig while it is parsed: its texts are still lent by the document. Only for the files
 * that parse one.
 */
#pragma once

#include "buildconfig/buildconfig.h"

#define DRAFT_PROBLEM_BYTES 160
#define DRAFT_QUOTE_BYTES   128

struct draft {
	struct buildconfig bc;
	struct buildconfig_secret secrets[HOOK_TYPES][BUILDCONFIG_MAX_SECRETS];
	size_t n_secrets_seen[HOOK_TYPES]; /* distinct secrets, with those over the bound */
	const char *status[BUILDCONFIG_STATUS_KEYS]; /* NULL without */
	char default_names[HOOK_TYPES][BUILDCONFIG_MAX_NAME + 1];
	char problem[DRAFT_PROBLEM_BYTES];
	char hook_problems[HOOK_TYPES][DRAFT_PROBLEM_BYTES];
};

/* Adds to one of the draft's problem texts; what does not fit is left out. */
void draft_add_problem(char problem[DRAFT_PROBLEM_BYTES], const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* "a number", "an array", ...: what ITEM is, for a problem. */
const char *draft_type_name(const cJSON *item);
/* TEXT, clean, cut and in quotes. */
const char *draft_quote(char out[DRAFT_QUOTE_BYTES], const char *text);

/* The hooks, from spec.triggers. */
void draft_read_triggers(struct draft *draft, const cJSON *triggers);
/* The annotations that users set, and the values of those that buildhook writes. */
void draft_read_annotations(struct draft *draft, const cJSON *annotations);
/* The finished BuildConfig, in one block of memory. */
struct buildconfig *draft_pack(struct draft *draft);
