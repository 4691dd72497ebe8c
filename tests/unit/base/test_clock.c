#include "base/clock.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* A clock whose time moves only when the test sets it. */
struct world {
	int64_t now_ms;
	uint64_t random;
	struct clock *clock;
	char fired[64]; /* a letter for each timer that has fired, in order */
	struct ringer {
		struct world *world;
		struct timer timer;
		char letter;
		struct ringer *starts; /* the timer that it starts when it fires, with delay 0 */
		struct ringer *stops;
	} a, b, c;
};

static int64_t read_now(void *arg)
{
	return ((struct world *)arg)->now_ms;
}

static void give_random(void *arg, void *out, size_t n)
{
	struct world *w = arg;

	assert_int_equal(n, sizeof(w->random));
	memcpy(out, &w->random, n);
}

static void init_world(struct world *w)
{
	const struct clock_source source = {read_now, read_now, give_random, w};

	*w = (struct world){.now_ms = 1000, .clock = NULL};
	w->clock = clock_new(&source);
	w->a = (struct ringer){.world = w, .letter = 'a'};
	w->b = (struct ringer){.world = w, .letter = 'b'};
	w->c = (struct ringer){.world = w, .letter = 'c'};
}

static void release_world(struct world *w)
{
	clock_free(w->clock);
}

static void ring(void *arg)
{
	struct ringer *r = arg;
	struct world *w = r->world;

	w->fired[strlen(w->fired)] = r->letter;
	assert_false(timer_running(&r->timer));
	if (r->starts)
		timer_start(w->clock, &r->starts->timer, 0, ring, r->starts);
	if (r->stops)
		timer_stop(w->clock, &r->stops->timer);
}

static void start(struct ringer *r, int64_t delay_ms)
{
	timer_start(r->world->clock, &r->timer, delay_ms, ring, r);
}

static void run_at(struct world *w, int64_t now_ms)
{
	w->now_ms = now_ms;
	clock_run(w->clock);
}

static void timers_fire_once_when_they_are_due(void **state)
{
	CLEANUP(release_world) struct world w;

	(void)state;
	init_world(&w);
	assert_int_equal(clock_next_ms(w.clock), -1);
	start(&w.a, 50);
	assert_true(timer_running(&w.a.timer));
	assert_int_equal(clock_next_ms(w.clock), 50);
	run_at(&w, 1049);
	assert_string_equal(w.fired, "");
	assert_int_equal(clock_next_ms(w.clock), 1);
	run_at(&w, 1050);
	assert_string_equal(w.fired, "a");
	run_at(&w, 2000);
	assert_string_equal(w.fired, "a");
	assert_int_equal(clock_next_ms(w.clock), -1);
}

static void order_is_by_time_and_then_by_start(void **state)
{
	CLEANUP(release_world) struct world w;

	(void)state;
	init_world(&w);
	start(&w.c, 10);
	start(&w.b, 20);
	start(&w.a, 10);
	assert_int_equal(clock_next_ms(w.clock), 10);
	run_at(&w, 5000);
	assert_string_equal(w.fired, "cab");
}

static void overdue_is_now_and_a_delay_below_zero_is_none(void **state)
{
	CLEANUP(release_world) struct world w;

	(void)state;
	init_world(&w);
	start(&w.a, 10);
	w.now_ms = 3000;
	assert_int_equal(clock_next_ms(w.clock), 0);
	start(&w.b, -500);
	assert_int_equal(w.b.timer.due_ms, 3000);
	start(&w.c, INT64_MAX);
	assert_int_equal(w.c.timer.due_ms, INT64_MAX);
	run_at(&w, 3000);
	assert_string_equal(w.fired, "ab");
}

static void a_running_timer_is_set_anew(void **state)
{
	CLEANUP(release_world) struct world w;

	(void)state;
	init_world(&w);
	start(&w.a, 10);
	start(&w.a, 100);
	run_at(&w, 1050);
	assert_string_equal(w.fired, "");
	run_at(&w, 1100);
	assert_string_equal(w.fired, "a");
}

static void a_stopped_timer_does_not_fire(void **state)
{
	CLEANUP(release_world) struct world w;

	(void)state;
	init_world(&w);
	timer_stop(w.clock, &w.a.timer);
	start(&w.a, 10);
	start(&w.b, 10);
	timer_stop(w.clock, &w.a.timer);
	timer_stop(w.clock, &w.a.timer);
	run_at(&w, 1010);
	assert_string_equal(w.fired, "b");
}

static void a_timer_may_stop_another_that_is_due_too(void **state)
{
	CLEANUP(release_world) struct world w;

	(void)state;
	init_world(&w);
	w.a.stops = &w.b;
	start(&w.a, 1);
	start(&w.b, 1);
	start(&w.c, 1);
	run_at(&w, 1001);
	assert_string_equal(w.fired, "ac");
}

static void timers_started_meanwhile_wait_for_the_next_run(void **state)
{
	CLEANUP(release_world) struct world w;

	(void)state;
	init_world(&w);
	w.a.starts = &w.a;
	w.b.starts = &w.c;
	start(&w.a, 1);
	start(&w.b, 1);
	start(&w.c, 1); /* b starts it again before it has fired */
	run_at(&w, 1001);
	assert_string_equal(w.fired, "ab");
	assert_int_equal(clock_next_ms(w.clock), 0);
	run_at(&w, 1001);
	assert_string_equal(w.fired, "abac");
}

static void freeing_the_clock_stops_its_timers(void **state)
{
	struct world w;

	(void)state;
	init_world(&w);
	start(&w.a, 1);
	release_world(&w);
	assert_false(timer_running(&w.a.timer));
}

/* Counts its calls in ARG. */
static void count(void *arg)
{
	(*(size_t *)arg)++;
}

/* Each run fires exactly the timers that are due and not stopped; a simple model says which. */
static void many_timers_are_started_and_stopped_at_random(void **state)
{
	enum { N = 500 };
	CLEANUP(release_world) struct world w;
	static struct timer timers[N];
	uint32_t seed = 7;
	size_t n_fired = 0;

	(void)state;
	init_world(&w);
	memset(timers, 0, sizeof(timers));
	for (int round = 0; round < 20000; round++) {
		struct timer *t = NULL;
		int64_t first = -1;
		size_t n_due = 0;

		seed = seed * 1664525 + 1013904223;
		t = &timers[(seed >> 8) % N];
		if ((seed >> 20) % 4)
			timer_start(w.clock, t, (seed >> 22) % 300, count, &n_fired);
		else
			timer_stop(w.clock, t);
		if (round % 50)
			continue;
		w.now_ms += (seed >> 24) % 20;
		for (size_t i = 0; i < N; i++)
			n_due += timer_running(&timers[i]) && timers[i].due_ms <= w.now_ms;
		n_fired = 0;
		run_at(&w, w.now_ms);
		assert_int_equal(n_fired, n_due);
		for (size_t i = 0; i < N; i++) {
			if (!timer_running(&timers[i]))
				continue;
			assert_true(timers[i].due_ms > w.now_ms);
			if (first < 0 || timers[i].due_ms - w.now_ms < first)
				first = timers[i].due_ms - w.now_ms;
		}
		assert_int_equal(clock_next_ms(w.clock), first);
	}
}

static void random_numbers_stay_below_their_bound(void **state)
{
	static const uint64_t bounds[] = {1, 2, 3, 1000, UINT64_MAX};
	CLEANUP(release_world) struct world w;

	(void)state;
	init_world(&w);
	for (size_t i = 0; i < ARRAY_LEN(bounds); i++) {
		w.random = 0;
		assert_int_equal(clock_random_below(w.clock, bounds[i]), 0);
		w.random = UINT64_MAX;
		assert_int_equal(clock_random_below(w.clock, bounds[i]), bounds[i] - 1);
	}
	w.random = UINT64_MAX / 2;
	assert_in_range(clock_random_below(w.clock, 1000), 499, 500);
}

static void the_real_clocks_move_forward(void **state)
{
	int64_t mono = clock_real_mono_ms(NULL);

	(void)state;
	assert_true(clock_real_mono_ms(NULL) >= mono);
	assert_true(clock_real_wall_ms(NULL) > 1700000000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_fire_once_when_they_are_due),
		cmocka_unit_test(order_is_by_time_and_then_by_start),
		cmocka_unit_test(overdue_is_now_and_a_delay_below_zero_is_none),
		cmocka_unit_test(a_running_timer_is_set_anew),
		cmocka_unit_test(a_stopped_timer_does_not_fire),
		cmocka_unit_test(a_timer_may_stop_another_that_is_due_too),
		cmocka_unit_test(timers_started_meanwhile_wait_for_the_next_run),
		cmocka_unit_test(freeing_the_clock_stops_its_timers),
		cmocka_unit_test(many_timers_are_started_and_stopped_at_random),
		cmocka_unit_test(random_numbers_stay_below_their_bound),
		cmocka_unit_test(the_real_clocks_move_forward),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
