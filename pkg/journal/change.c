#include "journal/change.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* Every text member, so that none is forgotten in one of the two passes. */
static const size_t texts[] = {
	offsetof(struct journal_change, uid),          offsetof(struct journal_change, namespace_),
	offsetof(struct journal_change, name),         offsetof(struct journal_change, type),
	offsetof(struct journal_change, host),         offsetof(struct journal_change, delivery_id),
	offsetof(struct journal_change, ref),          offsetof(struct journal_change, commit),
	offsetof(struct journal_change, author_name),  offsetof(struct journal_change, author_email),
	offsetof(struct journal_change, committer_name), offsetof(struct journal_change, committer_email),
	offsetof(struct journal_change, message),      offsetof(struct journal_change, pusher),
	offsetof(struct journal_change, env_json),     offsetof(struct journal_change, options_json),
	offsetof(struct journal_change, warning),      offsetof(struct journal_change, build),
	offsetof(struct journal_change, reason),
};

static const char **text_at(struct journal_change *change, size_t i)
{
	return (const char **)(void *)((char *)change + texts[i]);
}

struct journal_change *journal_change_copy(const struct journal_change *change)
{
	struct journal_change in = *change;
	size_t bytes = sizeof(in);
	struct journal_change *copy;
	char *to;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		bytes += str_of(*text_at(&in, i)).n + 1;
	copy = mem_new(1, bytes);
	*copy = in;
	to = (char *)(copy + 1);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct str text = str_of(*text_at(&in, i));

		*text_at(copy, i) = to;
		if (text.n > 0)
			memcpy(to, text.p, text.n);
		to += text.n + 1;
	}
	return copy;
}

void journal_change_freep(struct journal_change **change)
{
	free(*change);
	*change = NULL;
}
