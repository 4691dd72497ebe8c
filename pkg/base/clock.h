/*
 * Time and chance: the wall clock, the monotonic clock, timers and random bytes. One of the two
 * seams of the program: tests put a simulated source here. A clock belongs to one thread.
 */
#pragma once

#include "base/str.h"

struct clock_source {
	/* Milliseconds that never jump; any origin. */
	int64_t (*mono_ms)(void *arg);
	/* Milliseconds since 1970-01-01T00:00:00Z. */
	int64_t (*wall_ms)(void *arg);
	/* Cryptographically strong bytes; cannot fail (aborts). */
	void (*random)(void *arg, void *out, size_t n);
	void *arg;
};

struct clock;
struct timer;

typedef void (*timer_fn)(void *arg);

/* Embedded in its owner, which stops it before it goes; a zeroed one is stopped. */
struct timer {
	timer_fn fn;
	void *arg;
	int64_t due_ms; /* monotonic */
	size_t slot;    /* 1 + index in the clock's heap; 0: stopped */
	uint64_t seq;   /* timers due at the same time fire in the order they were started */
};

struct clock *clock_new(const struct clock_source *source);
/* Timers that still run are stopped. */
void clock_free(struct clock *clock);

int64_t clock_mono_ms(const struct clock *clock);
int64_t clock_wall_ms(const struct clock *clock);
void clock_random(struct clock *clock, void *out, size_t n);
/* Uniform in [0, bound); BOUND > 0. For jitter. */
uint64_t clock_random_below(struct clock *clock, uint64_t bound);

/*
 * Fires FN(ARG) once after DELAY_MS (below 0 is 0), never from within this call. A running timer is
 * started again.
 */
void timer_start(struct clock *clock, struct timer *timer, int64_t delay_ms, timer_fn fn,
		 void *arg);
/* TIMER does not fire any more, even if it is due already. A stopped timer stays stopped. */
void timer_stop(struct clock *clock, struct timer *timer);
bool timer_running(const struct timer *timer);

/* Milliseconds until the first timer is due (0: now), or -1 without a timer. */
int64_t clock_next_ms(const struct clock *clock);
/*
 * Fires what is due, each timer stopped before its function is called. Timers started meanwhile
 * wait for the next call.
 */
void clock_run(struct clock *clock);

/* The real source's clocks (no random). */
int64_t clock_real_mono_ms(void *arg);
int64_t clock_real_wall_ms(void *arg);

#define CLOCK_TEXT_BYTES 32
/*
 * "2026-11-23T20:50:11Z", or with ".123" before the Z. OUT has CLOCK_TEXT_BYTES bytes. Times
 * outside the years 0 to 9999 are shown as the nearest within.
 */
void clock_format_rfc3339(char *out, int64_t wall_ms, bool with_ms);
/*
 * RFC 3339 with any offset and up to nine decimals, of which three count. False, and *OUT
 * untouched, when it is not that.
 */
bool clock_parse_rfc3339(struct str s, int64_t *out_wall_ms);
