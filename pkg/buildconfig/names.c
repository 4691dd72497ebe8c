/*
 * Names that follow from a BuildConfig: of its status annotations, and of objects that belong to
 * it. Declared in buildconfig.h.
 */
#include "buildconfig/buildconfig.h"

#include "base/fnv.h"

#include <stdio.h>
#include <string.h>

#define FACT_KEYS(name, type, trigger, cause)                                                      \
	BUILDCONFIG_ANNOTATION_PREFIX type "-state", BUILDCONFIG_ANNOTATION_PREFIX type "-url",    \
		BUILDCONFIG_ANNOTATION_PREFIX type "-secret",                                      \
		BUILDCONFIG_ANNOTATION_PREFIX type "-last",                                        \
		BUILDCONFIG_ANNOTATION_PREFIX type "-built",                                       \
		BUILDCONFIG_ANNOTATION_PREFIX type "-refused",

const char *const buildconfig_status_keys[BUILDCONFIG_STATUS_KEYS] = {
	HOOK_TYPE_LIST(FACT_KEYS) BUILDCONFIG_ANNOTATION_PREFIX "recent",
	BUILDCONFIG_ANNOTATION_PREFIX "hint",
};

void buildconfig_child_name(char out[BUILDCONFIG_MAX_NAME + 1], const char *name,
			    const char *suffix)
{
	const size_t hash_bytes = strlen("-01234567-");
	size_t suffix_bytes = strnlen(suffix, 200);
	size_t name_bytes = strlen(name);
	if (name_bytes + 1 + suffix_bytes <= BUILDCONFIG_MAX_NAME) {
		(void)snprintf(out, BUILDCONFIG_MAX_NAME + 1, "%s-%s", name, suffix);
		return;
	}
	name_bytes = BUILDCONFIG_MAX_NAME - hash_bytes - suffix_bytes;
	/* Each part of a name between dots begins and ends with a letter or digit. */
	while (name_bytes > 0 && (name[name_bytes - 1] == '.' || name[name_bytes - 1] == '-'))
		name_bytes--;
	(void)snprintf(out, BUILDCONFIG_MAX_NAME + 1, "%.*s-%08x-%.*s", (int)name_bytes, name,
		       fnv_32(name), (int)suffix_bytes, suffix);
}
