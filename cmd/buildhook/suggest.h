/* "Did you mean ...?": the known name that a mistyped one is most similar to. */
#pragma once

#include <stddef.h>

struct suggestion {
	const char *typed;
	const char *best; /* lent by suggest_offer()'s caller; NULL: nothing is similar */
	size_t distance;
};

/* CANDIDATE becomes the best if it is more similar to the typed word than those before. */
void suggest_offer(struct suggestion *suggestion, const char *candidate);
