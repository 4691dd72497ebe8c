/* The names of the outcomes. */
#include "delivery/outcome.h"

#include <assert.h>
#include <stddef.h>

const char *outcome_name(enum outcome outcome)
{
#define NAME(name, text) [OUTCOME_##name] = (text),
	static const char *const names[] = {OUTCOME_LIST(NAME)};
#undef NAME

	static_assert(sizeof(names) / sizeof(names[0]) == OUTCOMES, "a name for each outcome");
	assert((size_t)outcome < OUTCOMES);
	return names[outcome];
}
