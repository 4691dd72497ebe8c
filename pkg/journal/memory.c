#include "journal/memory.h"

static struct journal_memory_item *find(const struct journal_memory *memory, const char *key)
{
	struct journal_memory_item *item = NULL;

	HASH_FIND_STR(memory->items, key, item);
	return item;
}

const struct journal_memory_item *journal_memory_find(const struct journal_memory *memory,
						      const char *key)
{
	return find(memory, key);
}

static void drop(struct journal_memory *memory, struct journal_memory_item *item)
{
	HASH_DEL(memory->items, item);
	free(item->key);
	free(item);
}

void journal_memory_release(struct journal_memory *memory)
{
	while (memory->items)
		drop(memory, memory->items);
}

/* Puts it behind all others; uthash keeps the order in which items were added. */
static struct journal_memory_item *note(struct journal_memory *memory, const char *key,
					int64_t now_ms)
{
	struct journal_memory_item *item = find(memory, key);

	if (item) {
		HASH_DEL(memory->items, item);
		if (now_ms - item->noted_ms >= JOURNAL_REFUSED_MS)
			item->n_refused = 0;
	} else {
		item = mem_new(1, sizeof(*item));
		item->key = mem_strdup(key);
	}
	// NOLINTNEXTLINE(clang-analyzer-*): uthash is not followed
	item->noted_ms = now_ms;
	// NOLINTNEXTLINE(clang-analyzer-*): uthash is not followed
	HASH_ADD_KEYPTR(hh, memory->items, item->key, strlen(item->key), item);
	// NOLINTNEXTLINE(clang-analyzer-*): uthash is not followed
	if (HASH_COUNT(memory->items) > JOURNAL_MEMORY_ITEMS)
		drop(memory, memory->items);
	// NOLINTNEXTLINE(clang-analyzer-*): ITEM is the newest, and the oldest is dropped
	return item;
}

void journal_memory_refused(struct journal_memory *memory, const char *key,
			    enum journal_limit limit, int64_t now_ms)
{
	struct journal_memory_item *item = note(memory, key, now_ms);

	item->limit = limit;
	item->n_refused++;
}

void journal_memory_cut(struct journal_memory *memory, const char *namespace_, int64_t seen_ms,
			int64_t now_ms)
{
	note(memory, namespace_, now_ms)->kept_since_ms = seen_ms;
}
