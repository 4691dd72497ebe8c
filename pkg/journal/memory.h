/*
 * What the bounds did to whom, for journal_read_limits(): which BuildConfig's deliveries were
 * refused, and of which namespace ended rows went early. In memory, and of so many at most.
 */
#pragma once

#include "journal/journal.h"

#include "base/hash.h"

/* A refusal is worth a hint for so long. */
#define JOURNAL_REFUSED_MS   (60LL * 60 * 1000)
#define JOURNAL_MEMORY_ITEMS 4096

struct journal_memory_item {
	UT_hash_handle hh;
	char *key; /* "namespace/name", or "namespace" */
	int64_t noted_ms;
	enum journal_limit limit;
	size_t n_refused;
	int64_t kept_since_ms; /* journal time */
};

/* Zeroed: empty. */
struct journal_memory {
	struct journal_memory_item *items; /* the one noted longest ago first */
};

void journal_memory_release(struct journal_memory *memory);
/* Times are journal time. */
void journal_memory_refused(struct journal_memory *memory, const char *key,
			    enum journal_limit limit, int64_t now_ms);
void journal_memory_cut(struct journal_memory *memory, const char *namespace_, int64_t seen_ms,
			int64_t now_ms);
/* NULL: nothing was noted. */
const struct journal_memory_item *journal_memory_find(const struct journal_memory *memory,
						      const char *key);
