/*
 * The work queue of keys ("namespace/name"), with the semantics of client-go's workqueue: a key
 * that waits is in it once; a key that is being worked on is not given out again until it is done,
 * and comes back if it was added meanwhile. With delayed adds.
 *
 * Namespaces take turns: each call of queue_get() gives a key of the next namespace, and of that
 * the key that was added first. So a namespace with thousands of keys delays another's key by one
 * key at most. A key without a slash is a namespace of its own. A key that neither waits, nor is
 * delayed, nor is worked on takes no memory.
 */
#pragma once

#include "base/clock.h"

struct metrics;
struct queue;

struct queue_stats {
	size_t depth;     /* keys that wait; one that is worked on and was added again does not */
	size_t working;   /* given out and not done */
	size_t delayed;   /* keys with an add that waits for its time */
	uint64_t adds;    /* not counting adds of a key that waited already */
	uint64_t retries; /* adds after a delay, as client-go counts them */
	int64_t oldest_working_ms; /* age of the key longest in work, 0 without one */
	int64_t working_ms;        /* sum of the ages of all keys in work */
};

/*
 * MAX_PER_NAMESPACE: keys of one namespace in work at a time; more wait, also where nothing else
 * does. 0: any number.
 *
 * ON_READY is called (by a timer, never from within a call of the queue) after keys have become
 * available. It must get keys until there are none, or come back for the rest by itself: it is not
 * called again for those.
 */
struct queue *queue_new(struct clock *clock, size_t max_per_namespace, void (*on_ready)(void *arg),
			void *arg);
void queue_free(struct queue *queue);
/* Observes how long keys wait and are worked on, as workqueue_*_duration_seconds{name=NAME}.
 * METRICS is borrowed. */
void queue_set_metrics(struct queue *queue, struct metrics *metrics, const char *name);

void queue_add(struct queue *queue, const char *key);
/*
 * Adds the key when the time has come. A key has one such time, the earliest that was asked for;
 * adding the key at once leaves it as it is. Without a delay the same as queue_add().
 */
void queue_add_after(struct queue *queue, const char *key, int64_t delay_ms);

/* The next key to work on, lent until queue_done(), or NULL. */
const char *queue_get(struct queue *queue);
/* KEY, which queue_get() gave out, is no longer worked on. */
void queue_done(struct queue *queue, const char *key);

void queue_read_stats(const struct queue *queue, struct queue_stats *out);
