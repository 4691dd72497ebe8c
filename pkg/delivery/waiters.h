/*
 * Deliveries that wait for the outcome of a change: the receiver registers under the seq of the
 * change's row, the controller reports what happened. In memory only.
 */
#pragma once

#include "base/str.h"
#include "delivery/outcome.h"

struct waiters;
struct waiter;

enum progress_kind {
	PROGRESS_STARTED, /* build and build_json are set */
	PROGRESS_WAITING, /* the build cannot start now, and will start later; message says why */
	PROGRESS_ENDED,   /* failed, superseded or ignored: reason */
};

/* Texts are "" where there is nothing. */
struct progress {
	enum progress_kind kind;
	const char *build;
	struct str build_json;
	enum outcome outcome; /* of PROGRESS_ENDED */
	const char *message;
};

struct waiters *waiters_new(void);
/* Callers that still wait are not called. */
void waiters_free(struct waiters *waiters);
/*
 * FN is called once, from within waiters_notify(), and the wait is over. Any number may wait for
 * one change. The handle is for waiters_cancel(), and is valid until FN is called.
 */
struct waiter *waiters_add(struct waiters *waiters, int64_t seq,
			   void (*fn)(void *arg, const struct progress *progress), void *arg);
/* FN will not be called. WAIT may be NULL. */
void waiters_cancel(struct waiter *wait);
bool waiters_has(const struct waiters *waiters, int64_t seq);
/*
 * Calls all that wait for this change, in the order in which they were added. The functions called
 * may cancel other waits, and may wait again, for the next report.
 */
void waiters_notify(struct waiters *waiters, int64_t seq, const struct progress *progress);
