/* Timers in a binary heap, ordered by due time and, where equal, by start. */
#include "base/clock.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

struct clock {
	struct clock_source source;
	/* A binary heap: no timer fires before the one at (slot - 1) / 2. */
	struct timer **heap;
	size_t n;
	size_t cap;
	uint64_t next_seq;
};

struct clock *clock_new(const struct clock_source *source)
{
	struct clock *clock = mem_new(1, sizeof(*clock));

	clock->source = *source;
	return clock;
}

void clock_free(struct clock *clock)
{
	if (!clock)
		return;
	for (size_t i = 0; i < clock->n; i++)
		clock->heap[i]->slot = 0;
	free(clock->heap);
	free(clock);
}

int64_t clock_mono_ms(const struct clock *clock)
{
	return clock->source.mono_ms(clock->source.arg);
}

int64_t clock_wall_ms(const struct clock *clock)
{
	return clock->source.wall_ms(clock->source.arg);
}

void clock_random(struct clock *clock, void *out, size_t n)
{
	clock->source.random(clock->source.arg, out, n);
}

uint64_t clock_random_below(struct clock *clock, uint64_t bound)
{
	uint64_t r = 0;

	assert(bound > 0);
	clock_random(clock, &r, sizeof(r));
	/* The number is scaled, not drawn again until it fits: that always ends, and the bias is
	 * below BOUND in 2^64. */
	return (uint64_t)(((unsigned __int128)r * bound) >> 64);
}

static bool fires_before(const struct timer *a, const struct timer *b)
{
	return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->seq < b->seq;
}

static void place(struct clock *clock, struct timer *timer, size_t i)
{
	clock->heap[i] = timer;
	timer->slot = i + 1;
}

static void sift_up(struct clock *clock, struct timer *timer, size_t i)
{
	while (i > 0 && fires_before(timer, clock->heap[(i - 1) / 2])) {
		place(clock, clock->heap[(i - 1) / 2], i);
		i = (i - 1) / 2;
	}
	place(clock, timer, i);
}

static void sift_down(struct clock *clock, struct timer *timer, size_t i)
{
	for (size_t child = 2 * i + 1; child < clock->n; child = 2 * i + 1) {
		if (child + 1 < clock->n &&
		    fires_before(clock->heap[child + 1], clock->heap[child]))
			child++;
		if (!fires_before(clock->heap[child], timer))
			break;
		place(clock, clock->heap[child], i);
		i = child;
	}
	place(clock, timer, i);
}

void timer_stop(struct clock *clock, struct timer *timer)
{
	size_t i = timer->slot - 1;
	struct timer *last = NULL;

	if (!timer_running(timer))
		return;
	assert(i < clock->n && clock->heap[i] == timer);
	timer->slot = 0;
	last = clock->heap[--clock->n];
	if (last == timer)
		return;
	sift_down(clock, last, i);
	sift_up(clock, last, last->slot - 1);
}

void timer_start(struct clock *clock, struct timer *timer, int64_t delay_ms, timer_fn fn, void *arg)
{
	timer_stop(clock, timer);
	if (clock->n == clock->cap) {
		size_t cap = clock->cap ? clock->cap * 2 : 16;

		clock->heap = mem_resize(clock->heap, cap, sizeof(struct timer *));
		clock->cap = cap;
	}
	timer->fn = fn;
	timer->arg = arg;
	if (__builtin_add_overflow(clock_mono_ms(clock), delay_ms > 0 ? delay_ms : 0,
				   &timer->due_ms))
		timer->due_ms = INT64_MAX;
	timer->seq = clock->next_seq++;
	sift_up(clock, timer, clock->n++);
}

bool timer_running(const struct timer *timer)
{
	return timer->slot > 0;
}

int64_t clock_next_ms(const struct clock *clock)
{
	int64_t now = 0;

	if (clock->n == 0)
		return -1;
	now = clock_mono_ms(clock);
	return clock->heap[0]->due_ms > now ? clock->heap[0]->due_ms - now : 0;
}

void clock_run(struct clock *clock)
{
	int64_t now = clock_mono_ms(clock);
	uint64_t started_before = clock->next_seq;

	/* A timer that a function called here starts is due at NOW or later and has a higher seq,
	 * so it comes after all that may fire. */
	while (clock->n > 0) {
		struct timer *timer = clock->heap[0];

		if (timer->due_ms > now || timer->seq >= started_before)
			break;
		timer_stop(clock, timer);
		timer->fn(timer->arg);
	}
}

static int64_t read_ms(clockid_t id)
{
	struct timespec t = {0};

	if (clock_gettime(id, &t))
		abort();
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_real_mono_ms(void *arg)
{
	(void)arg;
	return read_ms(CLOCK_MONOTONIC);
}

int64_t clock_real_wall_ms(void *arg)
{
	(void)arg;
	return read_ms(CLOCK_REALTIME);
}
