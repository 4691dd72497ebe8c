#include "delivery/waiters.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

struct asker {
	struct waiters *waiters;
	struct waiter *wait;
	int n_told;
	enum progress_kind kind;
	int turn; /* order of its call, from 1 */
	int *turns;
	struct asker *cancels;
	bool waits_again;
};

static void on_progress(void *arg, const struct progress *item)
{
	struct asker *w = arg;

	w->wait = NULL;
	w->n_told++;
	w->kind = item->kind;
	w->turn = ++*w->turns;
	if (w->cancels)
		waiters_cancel(TAKE(w->cancels->wait));
	if (w->waits_again)
		w->wait = waiters_add(w->waiters, 7, on_progress, w);
}

struct world {
	struct waiters *waiters;
	int turns;
	struct asker a, b, c;
};

static void init_world(struct world *w)
{
	*w = (struct world){.waiters = waiters_new()};
	w->a = w->b = w->c = (struct asker){.waiters = w->waiters, .turns = &w->turns};
}

static void release_world(struct world *w)
{
	waiters_free(w->waiters);
}

static void wait_for(struct asker *w, int64_t seq)
{
	w->wait = waiters_add(w->waiters, seq, on_progress, w);
}

static void tell(struct world *w, int64_t seq, enum progress_kind kind)
{
	const struct progress item = {.kind = kind, .build = "", .message = ""};

	waiters_notify(w->waiters, seq, &item);
}

static void who_waits_is_told_once(void **state)
{
	CLEANUP(release_world) struct world w;

	(void)state;
	init_world(&w);
	tell(&w, 7, PROGRESS_STARTED);
	wait_for(&w.a, 7);
	assert_true(waiters_has(w.waiters, 7));
	assert_false(waiters_has(w.waiters, 8));
	tell(&w, 8, PROGRESS_STARTED);
	assert_int_equal(w.a.n_told, 0);
	tell(&w, 7, PROGRESS_ENDED);
	assert_int_equal(w.a.n_told, 1);
	assert_int_equal(w.a.kind, PROGRESS_ENDED);
	assert_false(waiters_has(w.waiters, 7));
	tell(&w, 7, PROGRESS_STARTED);
	assert_int_equal(w.a.n_told, 1);
}

static void all_who_wait_for_a_change_are_told_in_their_order(void **state)
{
	CLEANUP(release_world) struct world w;

	(void)state;
	init_world(&w);
	wait_for(&w.b, 7);
	wait_for(&w.a, 7);
	wait_for(&w.c, 7);
	tell(&w, 7, PROGRESS_STARTED);
	assert_int_equal(w.b.turn, 1);
	assert_int_equal(w.a.turn, 2);
	assert_int_equal(w.c.turn, 3);
}

static void who_cancelled_is_not_told(void **state)
{
	CLEANUP(release_world) struct world w;

	(void)state;
	init_world(&w);
	wait_for(&w.a, 7);
	wait_for(&w.b, 7);
	waiters_cancel(NULL);
	waiters_cancel(w.a.wait);
	assert_true(waiters_has(w.waiters, 7));
	tell(&w, 7, PROGRESS_STARTED);
	assert_int_equal(w.a.n_told, 0);
	assert_int_equal(w.b.n_told, 1);

	wait_for(&w.a, 7);
	waiters_cancel(w.a.wait);
	assert_false(waiters_has(w.waiters, 7));
}

static void one_who_is_told_may_cancel_the_next(void **state)
{
	CLEANUP(release_world) struct world w;

	(void)state;
	init_world(&w);
	w.a.cancels = &w.b;
	wait_for(&w.a, 7);
	wait_for(&w.b, 7);
	wait_for(&w.c, 7);
	tell(&w, 7, PROGRESS_STARTED);
	assert_int_equal(w.a.n_told, 1);
	assert_int_equal(w.b.n_told, 0);
	assert_int_equal(w.c.n_told, 1);
}

static void one_who_is_told_may_cancel_the_last(void **state)
{
	CLEANUP(release_world) struct world w;

	(void)state;
	init_world(&w);
	w.a.cancels = &w.b;
	wait_for(&w.a, 7);
	wait_for(&w.b, 7);
	tell(&w, 7, PROGRESS_STARTED);
	assert_int_equal(w.b.n_told, 0);

	/* Also of another change. */
	wait_for(&w.a, 7);
	wait_for(&w.b, 8);
	tell(&w, 7, PROGRESS_STARTED);
	assert_int_equal(w.a.n_told, 2);
	assert_false(waiters_has(w.waiters, 8));
}

static void one_who_waits_anew_is_told_the_next_news(void **state)
{
	CLEANUP(release_world) struct world w;

	(void)state;
	init_world(&w);
	w.a.waits_again = true;
	wait_for(&w.a, 7);
	wait_for(&w.b, 7);
	tell(&w, 7, PROGRESS_WAITING);
	assert_int_equal(w.a.n_told, 1);
	assert_int_equal(w.b.n_told, 1);
	assert_true(waiters_has(w.waiters, 7));
	tell(&w, 7, PROGRESS_STARTED);
	assert_int_equal(w.a.n_told, 2);
	assert_int_equal(w.b.n_told, 1);
}

static void freeing_tells_nobody(void **state)
{
	struct world w;

	(void)state;
	init_world(&w);
	wait_for(&w.a, 7);
	wait_for(&w.b, 7);
	wait_for(&w.c, 8);
	release_world(&w);
	assert_int_equal(w.turns, 0);
	waiters_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_waits_is_told_once),
		cmocka_unit_test(all_who_wait_for_a_change_are_told_in_their_order),
		cmocka_unit_test(who_cancelled_is_not_told),
		cmocka_unit_test(one_who_is_told_may_cancel_the_next),
		cmocka_unit_test(one_who_is_told_may_cancel_the_last),
		cmocka_unit_test(one_who_waits_anew_is_told_the_next_news),
		cmocka_unit_test(freeing_tells_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
