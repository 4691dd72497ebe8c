/* The TYPEs and their names. */
#include "delivery/type.h"

#include <assert.h>

static const struct {
	const char *name, *trigger, *cause;
} types[] = {
#define ROW(name, type, trigger, cause) [HOOK_##name] = {type, trigger, cause},
	HOOK_TYPE_LIST(ROW)
#undef ROW
};

static_assert(sizeof(types) / sizeof(types[0]) == HOOK_TYPES, "a row for each TYPE");

bool hook_type_parse(struct str text, enum hook_type *out)
{
	for (size_t i = 0; i < HOOK_TYPES; i++)
		if (str_eq(text, str_of(types[i].name))) {
			*out = (enum hook_type)i;
			return true;
		}
	return false;
}

const char *hook_type_name(enum hook_type type)
{
	return types[type].name;
}

const char *hook_type_trigger(enum hook_type type)
{
	return types[type].trigger;
}

const char *hook_type_cause(enum hook_type type)
{
	return types[type].cause;
}
