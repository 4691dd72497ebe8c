/*
 * The work queue of keys ("namespace/name"), with the semantics of client-go's workqueue: a key that is waiting is there once;
 * a key that is being worked on is not given out again until it is done, and comes back if it was added meanwhile. With
 * delayed adds, and back-off per key. Order: first added, first given.
 */
#pragma once

#include "base/clock.h"

struct queue;

struct queue_backoff {
	int64_t base_ms;
	int64_t max_ms;
};

struct queue_stats {
	size_t depth;      /* keys that wait */
	size_t working;    /* given out and not done */
	size_t delayed;
	uint64_t adds;
	uint64_t retries;
	int64_t oldest_working_ms; /* age of the key longest in work, 0 without one */
};

/* ON_READY is called (never from within a call of the queue's caller: by a timer) when a key waits. */
struct queue *queue_new(struct clock *clock, const struct queue_backoff *backoff, void (*on_ready)(void *arg), void *arg);
void queue_free(struct queue *queue);

void queue_add(struct queue *queue, const char *key);
/* At the earliest of this time and any other add of the key that is waiting for its time. */
void queue_add_after(struct queue *queue, const char *key, int64_t delay_ms);
/* After the key's back-off, which doubles with each call until queue_forget(). Full jitter within the upper half. */
void queue_add_backoff(struct queue *queue, const char *key);
/* The key's back-off starts anew. */
void queue_forget(struct queue *queue, const char *key);

/* The next key to work on, lent until queue_done(), or NULL. */
const char *queue_get(struct queue *queue);
/* KEY is no longer worked on. */
void queue_done(struct queue *queue, const char *key);

void queue_read_stats(const struct queue *queue, struct queue_stats *out);
