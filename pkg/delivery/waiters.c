/* Waiters in a hash table by the seq of their change, in lists in order of arrival. */
#include "delivery/waiters.h"

#include "base/hash.h"
#include "base/mem.h"

#include <utlist.h>

struct waiter {
	struct waiter *prev, *next;
	struct topic *topic;
	void (*fn)(void *arg, const struct progress *progress);
	void *arg;
};

/* A change that at least one delivery waits for. */
struct topic {
	UT_hash_handle hh;
	struct waiters *waiters; /* the table; NULL while the waiters of this change are called */
	int64_t seq;
	struct waiter *waits;
};

struct waiters {
	struct topic *topics; /* by seq */
};

struct waiters *waiters_new(void)
{
	return mem_new(1, sizeof(struct waiters));
}

static struct topic *find_topic(const struct waiters *waiters, int64_t seq)
{
	struct topic *topic = NULL;

	HASH_FIND(hh, waiters->topics, &seq, sizeof(seq), topic);
	return topic;
}

static struct topic *get_topic(struct waiters *waiters, int64_t seq)
{
	struct topic *topic = find_topic(waiters, seq);

	if (topic)
		return topic;
	topic = mem_new(1, sizeof(*topic));
	topic->waiters = waiters;
	topic->seq = seq;
	HASH_ADD(hh, waiters->topics, seq, sizeof(seq), topic);
	return topic;
}

struct waiter *waiters_add(struct waiters *waiters, int64_t seq,
			   void (*fn)(void *arg, const struct progress *progress), void *arg)
{
	struct waiter *wait = mem_new(1, sizeof(*wait));

	wait->topic = get_topic(waiters, seq);
	wait->fn = fn;
	wait->arg = arg;
	DL_APPEND(wait->topic->waits, wait);
	return wait;
}

static void remove_topic(struct topic *topic)
{
	HASH_DEL(topic->waiters->topics, topic);
	mem_free(&topic);
}

void waiters_cancel(struct waiter *wait)
{
	struct topic *topic = NULL;

	if (!wait)
		return;
	topic = wait->topic;
	DL_DELETE(topic->waits, wait);
	mem_free(&wait);
	if (!topic->waits && topic->waiters)
		remove_topic(topic);
}

bool waiters_has(const struct waiters *waiters, int64_t seq)
{
	return find_topic(waiters, seq) != NULL;
}

void waiters_notify(struct waiters *waiters, int64_t seq, const struct progress *progress)
{
	CLEANUP(mem_free) struct topic *topic = find_topic(waiters, seq);

	if (!topic)
		return;
	/* The change leaves the table first, so that a function that waits again waits for the next
	 * report. */
	HASH_DEL(waiters->topics, topic);
	topic->waiters = NULL;
	while (topic->waits) {
		CLEANUP(mem_free) struct waiter *wait = topic->waits;

		DL_DELETE(topic->waits, wait);
		wait->fn(wait->arg, progress);
	}
}

void waiters_free(struct waiters *waiters)
{
	if (!waiters)
		return;
	while (waiters->topics)
		waiters_cancel(waiters->topics->waits);
	mem_free(&waiters);
}
