#include "queue/queue.h"

#include "base/mem.h"
#include "metrics/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Of AddressSanitizer, whose header is not part of GCC's package. */
size_t __sanitizer_get_current_allocated_bytes(void);

struct world {
	int64_t now_ms;
	uint64_t random;
	struct clock *clock;
	struct queue *queue;
	int n_ready;
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

static void on_ready(void *arg)
{
	((struct world *)arg)->n_ready++;
}

static void init_world(struct world *w)
{
	const struct clock_source source = {read_now, read_now, give_random, w};

	*w = (struct world){.now_ms = 5000};
	w->clock = clock_new(&source);
	w->queue = queue_new(w->clock, 0, on_ready, w);
}

static void release_world(struct world *w)
{
	queue_free(w->queue);
	assert_int_equal(clock_next_ms(w->clock), -1);
	clock_free(w->clock);
}

static void pass_ms(struct world *w, int64_t ms)
{
	w->now_ms += ms;
	clock_run(w->clock);
}

static struct queue_stats stats_of(const struct world *w)
{
	struct queue_stats stats = {0};

	queue_read_stats(w->queue, &stats);
	return stats;
}

static void check_got(struct world *w, const char *key)
{
	const char *got = queue_get(w->queue);

	assert_non_null(got);
	assert_string_equal(got, key);
}

static void keys_come_in_the_order_they_were_added(void **state)
{
	CLEANUP(release_world) struct world w;

	(void)state;
	init_world(&w);
	assert_null(queue_get(w.queue));
	queue_add(w.queue, "shop/b");
	queue_add(w.queue, "shop/a");
	queue_add(w.queue, "shop/c");
	check_got(&w, "shop/b");
	check_got(&w, "shop/a");
	check_got(&w, "shop/c");
	assert_null(queue_get(w.queue));
}

static void a_waiting_key_is_there_once(void **state)
{
	CLEANUP(release_world) struct world w;

	(void)state;
	init_world(&w);
	queue_add(w.queue, "a");
	queue_add(w.queue, "b");
	queue_add(w.queue, "a");
	assert_int_equal(stats_of(&w).depth, 2);
	assert_int_equal(stats_of(&w).adds, 2);
	check_got(&w, "a");
	check_got(&w, "b");
	assert_null(queue_get(w.queue));
}

static void a_key_in_work_comes_back_only_when_it_is_done(void **state)
{
	CLEANUP(release_world) struct world w;
	const char *key = NULL;

	(void)state;
	init_world(&w);
	queue_add(w.queue, "a");
	key = queue_get(w.queue);
	queue_add(w.queue, "a");
	queue_add(w.queue, "b");
	queue_add(w.queue, "a");
	assert_int_equal(stats_of(&w).adds, 3);
	assert_int_equal(stats_of(&w).depth, 1);
	check_got(&w, "b");
	assert_null(queue_get(w.queue));
	queue_done(w.queue, key);
	check_got(&w, "a");
	queue_done(w.queue, "a");
	assert_null(queue_get(w.queue));
}

static void on_ready_is_called_by_a_timer_once_for_all_that_waits(void **state)
{
	CLEANUP(release_world) struct world w;

	(void)state;
	init_world(&w);
	queue_add(w.queue, "a");
	queue_add(w.queue, "b");
	assert_int_equal(w.n_ready, 0);
	assert_int_equal(clock_next_ms(w.clock), 0);
	pass_ms(&w, 0);
	assert_int_equal(w.n_ready, 1);
	pass_ms(&w, 100);
	assert_int_equal(w.n_ready, 1);

	check_got(&w, "a");
	queue_add(w.queue, "a");
	pass_ms(&w, 0);
	assert_int_equal(w.n_ready, 1); /* it cannot be got */
	queue_done(w.queue, "a");
	pass_ms(&w, 0);
	assert_int_equal(w.n_ready, 2);

	check_got(&w, "b");
	check_got(&w, "a");
	queue_add(w.queue, "c");
	check_got(&w, "c");
	pass_ms(&w, 0);
	assert_int_equal(w.n_ready, 2); /* it has been got already */
}

static void a_delayed_key_comes_when_its_time_has_come(void **state)
{
	CLEANUP(release_world) struct world w;

	(void)state;
	init_world(&w);
	queue_add_after(w.queue, "a", 50);
	assert_int_equal(stats_of(&w).delayed, 1);
	assert_int_equal(stats_of(&w).adds, 0);
	pass_ms(&w, 49);
	assert_null(queue_get(w.queue));
	pass_ms(&w, 1);
	assert_int_equal(stats_of(&w).delayed, 0);
	check_got(&w, "a");
}

static void no_delay_is_an_add(void **state)
{
	CLEANUP(release_world) struct world w;

	(void)state;
	init_world(&w);
	queue_add_after(w.queue, "a", 0);
	queue_add_after(w.queue, "b", -5);
	check_got(&w, "a");
	check_got(&w, "b");
	assert_int_equal(stats_of(&w).delayed, 0);
}

static void the_earliest_time_counts(void **state)
{
	CLEANUP(release_world) struct world w;

	(void)state;
	init_world(&w);
	queue_add_after(w.queue, "a", 50);
	queue_add_after(w.queue, "a", 80);
	queue_add_after(w.queue, "b", 80);
	queue_add_after(w.queue, "b", 50);
	assert_int_equal(stats_of(&w).delayed, 2);
	pass_ms(&w, 50);
	check_got(&w, "a");
	check_got(&w, "b");
	queue_done(w.queue, "a");
	queue_done(w.queue, "b");
	pass_ms(&w, 50);
	assert_null(queue_get(w.queue));
}

/* As in client-go: a delayed add stays when the key is added at once. */
static void an_add_leaves_the_delayed_one(void **state)
{
	CLEANUP(release_world) struct world w;

	(void)state;
	init_world(&w);
	queue_add_after(w.queue, "a", 50);
	queue_add(w.queue, "a");
	check_got(&w, "a");
	queue_done(w.queue, "a");
	pass_ms(&w, 50);
	check_got(&w, "a");
}

static void a_delayed_add_of_a_key_in_work_waits_for_done(void **state)
{
	CLEANUP(release_world) struct world w;

	(void)state;
	init_world(&w);
	queue_add(w.queue, "a");
	check_got(&w, "a");
	queue_add_after(w.queue, "a", 10);
	pass_ms(&w, 10);
	assert_null(queue_get(w.queue));
	queue_done(w.queue, "a");
	check_got(&w, "a");
}

/* "At most one round": a key of another namespace is next, however many wait before it. */
static void namespaces_take_turns(void **state)
{
	static const char *const expected[] = {"loud/0",  "quiet/a", "loud/1", "quiet/b",
					       "other/c", "loud/2",  "loud/3"};
	CLEANUP(release_world) struct world w;
	char key[32];

	(void)state;
	init_world(&w);
	for (int i = 0; i < 10000; i++) {
		(void)snprintf(key, sizeof(key), "loud/%d", i);
		queue_add(w.queue, key);
	}
	queue_add(w.queue, "quiet/a");
	queue_add(w.queue, "quiet/b");
	check_got(&w, expected[0]);
	check_got(&w, expected[1]);
	queue_add(w.queue, "other/c");
	for (size_t i = 2; i < ARRAY_LEN(expected); i++)
		check_got(&w, expected[i]);
	assert_int_equal(stats_of(&w).depth, 10003 - ARRAY_LEN(expected));
}

static void a_namespace_that_waits_is_served_before_another_is_served_twice(void **state)
{
	CLEANUP(release_world) struct world w;
	char key[32];
	int since[5] = {0};

	(void)state;
	init_world(&w);
	for (int i = 0; i < 500; i++) {
		(void)snprintf(key, sizeof(key), "n%d/%d", i % 7 % 5, i);
		queue_add(w.queue, key);
	}
	for (int i = 0; i < 5 * 70; i++) {
		const char *got = queue_get(w.queue);
		int n = got[1] - '0';

		for (int other = 0; other < 5; other++)
			since[other]++;
		assert_true(since[n] <= 5);
		since[n] = 0;
	}
}

static void one_namespace_has_no_more_in_work_than_it_may(void **state)
{
	CLEANUP(release_world) struct world w;

	(void)state;
	init_world(&w);
	queue_free(w.queue);
	w.queue = queue_new(w.clock, 2, on_ready, &w);
	queue_add(w.queue, "loud/a");
	queue_add(w.queue, "loud/b");
	queue_add(w.queue, "loud/c");
	check_got(&w, "loud/a");
	check_got(&w, "loud/b");
	assert_null(queue_get(w.queue));
	queue_add(w.queue, "quiet/a");
	check_got(&w, "quiet/a");
	clock_run(w.clock);
	w.n_ready = 0;
	/* One that is done and was added again waits behind the third. */
	queue_add(w.queue, "loud/a");
	queue_done(w.queue, "loud/a");
	clock_run(w.clock);
	assert_int_equal(w.n_ready, 1);
	check_got(&w, "loud/c");
	assert_null(queue_get(w.queue));
	queue_done(w.queue, "loud/b");
	check_got(&w, "loud/a");
}

static void metrics_show_how_long_keys_wait_and_are_worked_on(void **state)
{
	CLEANUP(release_world) struct world w;
	CLEANUP(buf_release) struct buf text = BUF_INIT(64 * 1024);
	struct metrics *metrics = metrics_new();

	(void)state;
	init_world(&w);
	queue_set_metrics(w.queue, metrics, "buildconfig");
	queue_add(w.queue, "shop/a");
	pass_ms(&w, 2000);
	check_got(&w, "shop/a");
	pass_ms(&w, 500);
	assert_int_equal(stats_of(&w).working_ms, 500);
	queue_done(w.queue, "shop/a");
	metrics_format(metrics, &text);
	assert_non_null(strstr(text.data,
			       "workqueue_queue_duration_seconds_sum{name=\"buildconfig\"} 2\n"));
	assert_non_null(strstr(text.data,
			       "workqueue_work_duration_seconds_sum{name=\"buildconfig\"} 0.5\n"));
	metrics_free(metrics);
}

static void the_oldest_in_work_tells_its_age(void **state)
{
	CLEANUP(release_world) struct world w;

	(void)state;
	init_world(&w);
	assert_int_equal(stats_of(&w).oldest_working_ms, 0);
	queue_add(w.queue, "a");
	queue_add(w.queue, "b");
	pass_ms(&w, 500);
	check_got(&w, "a");
	pass_ms(&w, 30);
	check_got(&w, "b");
	pass_ms(&w, 10);
	assert_int_equal(stats_of(&w).working, 2);
	assert_int_equal(stats_of(&w).oldest_working_ms, 40);
	queue_done(w.queue, "a");
	assert_int_equal(stats_of(&w).oldest_working_ms, 10);
	queue_done(w.queue, "b");
	assert_int_equal(stats_of(&w).oldest_working_ms, 0);
	assert_int_equal(stats_of(&w).working, 0);
}

static void work_on_many(struct world *w, int from)
{
	char key[32];

	for (int i = from; i < from + 1000; i++) {
		(void)snprintf(key, sizeof(key), "shop/app-%d", i);
		queue_add(w->queue, key);
		check_got(w, key);
		queue_add_after(w->queue, key, 100);
		queue_done(w->queue, key);
	}
	pass_ms(w, 100);
	for (int i = from; i < from + 1000; i++) {
		(void)snprintf(key, sizeof(key), "shop/app-%d", i);
		check_got(w, key);
		queue_done(w->queue, key);
	}
	clock_run(w->clock);
}

static void a_key_that_is_done_takes_no_memory(void **state)
{
	CLEANUP(release_world) struct world w;
	size_t before = 0;

	(void)state;
	init_world(&w);
	work_on_many(&w, 0); /* the clock keeps what it had to grow to */
	before = __sanitizer_get_current_allocated_bytes();
	work_on_many(&w, 1000);
	assert_int_equal(__sanitizer_get_current_allocated_bytes(), before);
}

/* If the cost of a call grew with the number of keys this test would take minutes. */
static void a_hundred_thousand_keys_are_no_burden(void **state)
{
	enum { N = 100000 };
	CLEANUP(release_world) struct world w;
	char key[32];

	(void)state;
	init_world(&w);
	for (int i = 0; i < N; i++) {
		(void)snprintf(key, sizeof(key), "shop/app-%d", i);
		queue_add(w.queue, key);
		queue_add_after(w.queue, key, 1 + i % 977);
	}
	for (int i = 0; i < N; i++)
		assert_non_null(queue_get(w.queue));
	assert_int_equal(stats_of(&w).working, N);
	for (int i = N - 1; i >= 0; i--) {
		(void)snprintf(key, sizeof(key), "shop/app-%d", i);
		queue_done(w.queue, key);
	}
	assert_int_equal(stats_of(&w).delayed, N);
	pass_ms(&w, 1000);
	assert_int_equal(stats_of(&w).delayed, 0);
	assert_int_equal(stats_of(&w).depth, N);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_come_in_the_order_they_were_added),
		cmocka_unit_test(namespaces_take_turns),
		cmocka_unit_test(a_namespace_that_waits_is_served_before_another_is_served_twice),
		cmocka_unit_test(one_namespace_has_no_more_in_work_than_it_may),
		cmocka_unit_test(metrics_show_how_long_keys_wait_and_are_worked_on),
		cmocka_unit_test(a_waiting_key_is_there_once),
		cmocka_unit_test(a_key_in_work_comes_back_only_when_it_is_done),
		cmocka_unit_test(on_ready_is_called_by_a_timer_once_for_all_that_waits),
		cmocka_unit_test(a_delayed_key_comes_when_its_time_has_come),
		cmocka_unit_test(no_delay_is_an_add),
		cmocka_unit_test(the_earliest_time_counts),
		cmocka_unit_test(an_add_leaves_the_delayed_one),
		cmocka_unit_test(a_delayed_add_of_a_key_in_work_waits_for_done),
		cmocka_unit_test(the_oldest_in_work_tells_its_age),
		cmocka_unit_test(a_key_that_is_done_takes_no_memory),
		cmocka_unit_test(a_hundred_thousand_keys_are_no_burden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
