#include "journal/change.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(struct journal_change, member)

const size_t journal_change_texts[JOURNAL_CHANGE_TEXTS] = {
	AT(uid),          AT(namespace_),     AT(name),
	AT(type),         AT(host),           AT(delivery_id),
	AT(ref),          AT(commit),         AT(author_name),
	AT(author_email), AT(committer_name), AT(committer_email),
	AT(message),      AT(pusher),         AT(env_json),
	AT(options_json), AT(warning),        AT(build),
	AT(reason),       AT(before),         AT(body_digest),
};

const char *journal_change_text(const struct journal_change *change, size_t i)
{
	const char *text = NULL;

	memcpy(&text, (const char *)change + journal_change_texts[i], sizeof(text));
	return text;
}

struct journal_change *journal_change_copy(const struct journal_change *change)
{
	size_t bytes = sizeof(*change);
	struct journal_change *copy;
	char *to;

	for (size_t i = 0; i < JOURNAL_CHANGE_TEXTS; i++)
		bytes += str_of(journal_change_text(change, i)).n + 1;
	copy = mem_new(1, bytes);
	*copy = *change;
	to = (char *)(copy + 1);
	for (size_t i = 0; i < JOURNAL_CHANGE_TEXTS; i++) {
		struct str text = str_of(journal_change_text(change, i));

		memcpy((char *)copy + journal_change_texts[i], &to, sizeof(to));
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

bool journal_change_is_redelivery(const struct journal_change *change)
{
	return strchr(change->delivery_id, ' ') != NULL;
}
