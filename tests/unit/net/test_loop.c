#include "base/mem.h"
#include "net/loop.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../faults.h"

#include <event2/event.h>
#include <sys/eventfd.h>

FAULT(struct event_config *, event_config_new, (void), (), NULL)
FAULT(struct event_base *, event_base_new_with_config, (const struct event_config *config),
      (config), NULL)
FAULT(struct event *, event_new,
      (struct event_base * base, evutil_socket_t fd, short what, event_callback_fn fn, void *arg),
      (base, fd, what, fn, arg), NULL)
FAULT(int, event_add, (struct event * event, const struct timeval *wait), (event, wait), -1)
FAULT(int, event_base_loop, (struct event_base * base, int flags), (base, flags), -1)
FAULT(int, eventfd, (unsigned count, int flags), (count, flags), -1)
FAULT(ssize_t, read, (int fd, void *out, size_t n), (fd, out, n), -1)

struct world {
	struct clock *clock;
	struct loop *loop;
	struct timer timer, other;
	struct loop_watch *watch;
	struct loop_wakeup *wakeup;
	int pipe[2];
	int n_calls;
	int what;
	int64_t fired_ms;
};

static int set_up(void **state)
{
	const struct clock_source source = {clock_real_mono_ms, clock_real_wall_ms, NULL, NULL};
	struct world *world = mem_new(1, sizeof(*world));
	world->clock = clock_new(&source);
	world->loop = loop_new(world->clock);
	assert_int_equal(pipe(world->pipe), 0);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	loop_watch_free(world->watch);
	loop_wakeup_free(world->wakeup);
	loop_free(world->loop);
	clock_free(world->clock);
	close(world->pipe[0]);
	close(world->pipe[1]);
	free(world);
	return 0;
}

static void stop(void *arg)
{
	struct world *world = arg;
	world->fired_ms = clock_mono_ms(world->clock);
	loop_stop(world->loop);
}

static void timers_fire_in_time(void **state)
{
	struct world *world = *state;
	static const int64_t delays[] = {0, 1, 5, 40};
	for (size_t i = 0; i < ARRAY_LEN(delays); i++) {
		int64_t began_ms = clock_mono_ms(world->clock);
		timer_start(world->clock, &world->timer, delays[i], stop, world);
		loop_run(world->loop);
		assert_true(world->fired_ms - began_ms >= delays[i]);
		assert_true(world->fired_ms - began_ms < delays[i] + 1000);
	}
}

static void start_sooner(void *arg, int what)
{
	struct world *world = arg;
	(void)what;
	loop_watch_change(world->watch, 0);
	timer_start(world->clock, &world->timer, 10, stop, world);
}

static void a_timer_of_a_callback_ends_a_longer_wait(void **state)
{
	struct world *world = *state;
	int64_t began_ms = clock_mono_ms(world->clock);
	timer_start(world->clock, &world->other, 5000, stop, world);
	world->watch = loop_watch_fd(world->loop, world->pipe[1], LOOP_WRITE, start_sooner, world);
	loop_run(world->loop);
	assert_true(world->fired_ms - began_ms < 1000);
	timer_stop(world->clock, &world->other);
}

static void on_ready(void *arg, int what)
{
	struct world *world = arg;
	world->n_calls++;
	world->what = what;
	loop_watch_free(TAKE(world->watch));
	loop_stop(world->loop);
}

static void a_watch_tells_what_is_ready_and_may_free_itself(void **state)
{
	struct world *world = *state;
	world->watch =
		loop_watch_fd(world->loop, world->pipe[1], LOOP_READ | LOOP_WRITE, on_ready, world);
	loop_run(world->loop);
	assert_int_equal(world->what, LOOP_WRITE);
	world->watch = loop_watch_fd(world->loop, world->pipe[0], 0, on_ready, world);
	assert_int_equal(write(world->pipe[1], "x", 1), 1);
	timer_start(world->clock, &world->timer, 20, stop, world);
	loop_run(world->loop);
	assert_int_equal(world->n_calls, 1);
	loop_watch_change(world->watch, LOOP_READ);
	loop_run(world->loop);
	assert_int_equal(world->n_calls, 2);
	assert_int_equal(world->what, LOOP_READ);
}

static void on_wake(void *arg)
{
	struct world *world = arg;
	world->n_calls++;
	loop_stop(world->loop);
}

static void *wake_often(void *arg)
{
	struct world *world = arg;
	for (int i = 0; i < 1000; i++)
		loop_wake(world->wakeup);
	return NULL;
}

static void another_thread_wakes_the_loop(void **state)
{
	struct world *world = *state;
	pthread_t thread;
	world->wakeup = loop_wakeup_new(world->loop, on_wake, world);
	assert_int_equal(pthread_create(&thread, NULL, wake_often, world), 0);
	loop_run(world->loop);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(world->n_calls, 1);
}

static void on_signal(void *arg, int signo)
{
	struct world *world = arg;
	world->what = signo;
	loop_stop(world->loop);
}

static void a_signal_is_a_callback(void **state)
{
	struct world *world = *state;
	world->watch = loop_on_signal(world->loop, SIGUSR1, on_signal, world);
	assert_int_equal(raise(SIGUSR1), 0);
	loop_run(world->loop);
	assert_int_equal(world->what, SIGUSR1);
}

static void dawdle(void *arg)
{
	struct world *world = arg;
	nanosleep(&(struct timespec){.tv_nsec = 60000000}, NULL);
	timer_start(world->clock, &world->timer, 5, stop, world);
}

static void a_stall_is_measured_and_a_wait_is_none(void **state)
{
	struct world *world = *state;
	timer_start(world->clock, &world->timer, 100, stop, world);
	loop_run(world->loop);
	assert_true(loop_take_stall_ms(world->loop) < 90);
	timer_start(world->clock, &world->timer, 0, dawdle, world);
	loop_run(world->loop);
	int64_t stall_ms = loop_take_stall_ms(world->loop);
	assert_true(stall_ms >= 59 && stall_ms < 5000);
	assert_int_equal(loop_take_stall_ms(world->loop), 0);
}

static void a_wake_that_is_already_taken_is_no_call(void **state)
{
	struct world *world = *state;
	world->wakeup = loop_wakeup_new(world->loop, on_wake, world);
	loop_wake(world->wakeup);
	fault_arm(&fault_read, 1, EAGAIN);
	timer_start(world->clock, &world->timer, 1000, stop, world);
	loop_run(world->loop);
	assert_false(fault_is_armed(&fault_read));
	assert_int_equal(world->n_calls, 1);
	timer_stop(world->clock, &world->timer);
}

static void use_all(void *arg)
{
	struct world world = {0};
	const struct clock_source source = {clock_real_mono_ms, clock_real_wall_ms, NULL, NULL};
	fault_arm(arg, 1, EMFILE);
	world.clock = clock_new(&source);
	world.loop = loop_new(world.clock);
	world.wakeup = loop_wakeup_new(world.loop, on_wake, &world);
	loop_wake(world.wakeup);
	loop_run(world.loop);
	loop_wakeup_free(world.wakeup);
	loop_free(world.loop);
	clock_free(world.clock);
}

static void without_what_the_loop_needs_the_process_ends(void **state)
{
	static struct fault none;
	static struct fault *const faults[] = {
		&fault_event_config_new, &fault_event_base_new_with_config,
		&fault_event_new,        &fault_event_add,
		&fault_event_base_loop,  &fault_eventfd,
	};
	(void)state;
	assert_false(fault_aborts(use_all, &none));
	for (size_t i = 0; i < ARRAY_LEN(faults); i++)
		assert_true(fault_aborts(use_all, faults[i]));
}

static void nothing_is_freed_where_there_is_nothing(void **state)
{
	(void)state;
	loop_free(NULL);
	loop_watch_free(NULL);
	loop_wakeup_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		IN_WORLD(timers_fire_in_time),
		IN_WORLD(a_timer_of_a_callback_ends_a_longer_wait),
		IN_WORLD(a_watch_tells_what_is_ready_and_may_free_itself),
		IN_WORLD(another_thread_wakes_the_loop),
		IN_WORLD(a_signal_is_a_callback),
		IN_WORLD(a_stall_is_measured_and_a_wait_is_none),
		IN_WORLD(a_wake_that_is_already_taken_is_no_call),
		cmocka_unit_test(without_what_the_loop_needs_the_process_ends),
		cmocka_unit_test(nothing_is_freed_where_there_is_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
