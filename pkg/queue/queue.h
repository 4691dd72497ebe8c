/*
 * The work queue of keys ("namespace/name"), with the semantics of client-go's workqueue: a key
 * that is waiting is there once; a key that is being worked on is not given out again until it is
 * done, and comes back if it was added meanwhile. With delayed adds, and back-off per key. Order:
 * first added, first given. A key that is in none of these states takes no memory.
 */
#pragma once

#include "base/clock.h"

struct queue;

struct queue_backoff {
	int64_t base_ms; /* above 0 */
	int64_t max_ms;  /* at least base_ms */
};

struct queue_stats {
	size_t depth;   /* keys that can be got; one that is worked on and was added again cannot */
	size_t working; /* given out and not done */
	size_t delayed; /* keys with an add that waits for its time */
	uint64_t adds;  /* those of a key that waited already do not count */
	uint64_t retries;          /* calls of queue_add_backoff() */
	int64_t oldest_working_ms; /* age of the key longest in work, 0 without one */
};

/*
 * ON_READY is called (never from within a call of the queue's caller: by a timer) after keys have
 * become available. It gets them until there are none, or remembers to come back: it is not called
 * again for those.
 */
struct queue *queue_new(struct clock *clock, const struct queue_backoff *backoff,
			void (*on_ready)(void *arg), void *arg);
void queue_free(struct queue *queue);

void queue_add(struct queue *queue, const char *key);
/*
 * Adds the key when the time has come. A key has one such time, the earliest that was asked for;
 * adding the key at once leaves it as it is. Without a delay as queue_add().
 */
void queue_add_after(struct queue *queue, const char *key, int64_t delay_ms);
/*
 * After the key's back-off, which doubles with each call until queue_forget(). Full jitter within
 * the upper half.
 */
void queue_add_backoff(struct queue *queue, const char *key);
/* The key's back-off starts anew. */
void queue_forget(struct queue *queue, const char *key);

/* The next key to work on, lent until queue_done(), or NULL. */
const char *queue_get(struct queue *queue);
/* KEY, got before, is no longer worked on. */
void queue_done(struct queue *queue, const char *key);

void queue_read_stats(const struct queue *queue, struct queue_stats *out);
