/* What the receiver leaves for the status annotations, and when it wakes the controller for it. */
#include "receiver/notes.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct world {
	struct clock *clock;
	struct receiver receiver;
	struct delivery delivery;
};

static int64_t no_time(void *arg)
{
	(void)arg;
	return 1000;
}

static void no_random(void *arg, void *out, size_t n)
{
	(void)arg;
	memset(out, 0, n);
}

static int set_up(void **state)
{
	const struct clock_source source = {no_time, no_time, no_random, NULL};
	struct world *w = mem_new(1, sizeof(*w));

	w->clock = clock_new(&source);
	w->receiver.opt.services = mem_new(1, sizeof(struct services));
	*(struct services *)w->receiver.opt.services =
		(struct services){.clock = w->clock,
				  .activity = activity_new(),
				  .queue = queue_new(w->clock, 0, NULL, NULL)};
	w->delivery = (struct delivery){.receiver = &w->receiver,
					.route.type = HOOK_GITHUB,
					.key = "shop/cart",
					.uid = "u1",
					.accepted_ms = 5000};
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	activity_free(w->receiver.opt.services->activity);
	queue_free(w->receiver.opt.services->queue);
	free((void *)w->receiver.opt.services);
	clock_free(w->clock);
	free(w);
	return 0;
}

static const struct hook_activity *activity_of(const struct world *w)
{
	return activity_find(w->receiver.opt.services->activity, "u1", HOOK_GITHUB);
}

static void the_newest_outcome_is_noted_with_its_time(void **state)
{
	struct world *w = *state;
	const struct delivery_change change = {.ref = "refs/heads/main"};

	note_outcome(&w->delivery, &change, OUTCOME_START, "cart-7", NULL);
	assert_int_equal(activity_of(w)->last_ms, 5000);
	assert_non_null(strstr(activity_of(w)->last, "main"));
	assert_non_null(strstr(activity_of(w)->last, "-> cart-7"));
	assert_int_equal(activity_of(w)->ignored, 0);
}

static void a_push_that_builds_nothing_is_also_noted_as_ignored(void **state)
{
	struct world *w = *state;
	const struct delivery_change change = {.ref = "refs/heads/wip"};

	note_outcome(&w->delivery, &change, OUTCOME_REF_MISMATCH, NULL, "");
	assert_int_equal(activity_of(w)->ignored, 1);
	assert_int_equal(activity_of(w)->ignored_reason, OUTCOME_REF_MISMATCH);
	assert_string_equal(activity_of(w)->ignored_what, "refs/heads/wip");
}

static void pings_duplicates_and_what_waits_are_not_ignored(void **state)
{
	static const enum outcome outcomes[] = {OUTCOME_PING, OUTCOME_DUPLICATE, OUTCOME_QUEUED};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++)
		note_outcome(&w->delivery, NULL, outcomes[i], NULL, NULL);
	assert_int_equal(activity_of(w)->ignored, 0);
}

/* Deliveries that come before the status is written are shown by one look. */
static void the_controller_is_woken_once_until_it_has_looked(void **state)
{
	struct world *w = *state;
	struct queue *queue = w->receiver.opt.services->queue;

	note_bound(&w->delivery);
	assert_string_equal(queue_get(queue), "shop/cart");
	queue_done(queue, "shop/cart");
	note_bound(&w->delivery);
	assert_null(queue_get(queue));
	activity_get(w->receiver.opt.services->activity, "u1", HOOK_GITHUB)->is_dirty = false;
	note_bound(&w->delivery);
	assert_string_equal(queue_get(queue), "shop/cart");
	queue_done(queue, "shop/cart");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_newest_outcome_is_noted_with_its_time, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_push_that_builds_nothing_is_also_noted_as_ignored,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(pings_duplicates_and_what_waits_are_not_ignored,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_controller_is_woken_once_until_it_has_looked,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
