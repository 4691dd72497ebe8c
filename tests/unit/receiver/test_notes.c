/* What the receiver leaves for the status annotations, and when it wakes the controller for it. */
#include "proof_world.h"

#include "receiver/notes.h"

static struct delivery delivery_of(struct proof_world *w)
{
	return (struct delivery){.receiver = w->receiver,
				 .route.type = HOOK_GITHUB,
				 .key = "shop/cart",
				 .uid = "u",
				 .accepted_ms = 5000};
}

static void the_newest_outcome_is_noted_with_its_time(void **state)
{
	struct proof_world *w = *state;
	struct delivery d = delivery_of(w);
	const struct delivery_change change = {.ref = "refs/heads/main"};

	note_outcome(&d, &change, OUTCOME_START, "cart-7", NULL);
	assert_int_equal(hook_activity_of(w)->last_ms, 5000);
	assert_non_null(strstr(hook_activity_of(w)->last, "main"));
	assert_non_null(strstr(hook_activity_of(w)->last, "-> cart-7"));
	assert_int_equal(hook_activity_of(w)->ignored, 0);
}

static void a_push_that_builds_nothing_is_also_noted_as_ignored(void **state)
{
	struct proof_world *w = *state;
	struct delivery d = delivery_of(w);
	const struct delivery_change change = {.ref = "refs/heads/wip"};

	note_outcome(&d, &change, OUTCOME_REF_MISMATCH, NULL, "");
	assert_int_equal(hook_activity_of(w)->ignored, 1);
	assert_int_equal(hook_activity_of(w)->ignored_reason, OUTCOME_REF_MISMATCH);
	assert_string_equal(hook_activity_of(w)->ignored_what, "refs/heads/wip");
}

static void pings_duplicates_and_what_waits_are_not_ignored(void **state)
{
	static const enum outcome outcomes[] = {OUTCOME_PING, OUTCOME_DUPLICATE, OUTCOME_QUEUED};
	struct proof_world *w = *state;
	struct delivery d = delivery_of(w);

	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++)
		note_outcome(&d, NULL, outcomes[i], NULL, NULL);
	assert_int_equal(hook_activity_of(w)->ignored, 0);
}

/* Gitea's tests bear the name of pushes. */
static void a_test_of_gitea_is_not_shown_as_a_push(void **state)
{
	struct proof_world *w = *state;
	struct delivery d = delivery_of(w);
	struct delivery_event event = {.kind = DELIVERY_PING, .name = "push"};

	d.event = &event;
	note_outcome(&d, NULL, OUTCOME_PING, NULL, NULL);
	assert_string_equal(hook_activity_of(w)->last, "test");
}

/* Deliveries that come before the status is written are shown by one look. */
static void the_controller_is_woken_once_until_it_has_looked(void **state)
{
	struct proof_world *w = *state;
	struct delivery d = delivery_of(w);
	struct queue *queue = w->services.queue;

	note_bound(&d);
	assert_string_equal(queue_get(queue), "shop/cart");
	queue_done(queue, "shop/cart");
	note_bound(&d);
	assert_null(queue_get(queue));
	hook_activity_of(w)->is_dirty = false;
	note_bound(&d);
	assert_string_equal(queue_get(queue), "shop/cart");
	queue_done(queue, "shop/cart");
}

/* Refused requests may be written a minute later; nothing else waits for them. */
static void an_outcome_wakes_the_controller_after_refusals(void **state)
{
	struct proof_world *w = *state;
	struct delivery d = delivery_of(w);
	struct queue *queue = w->services.queue;
	struct hook_activity *activity = activity_get(w->services.activity, d.uid, HOOK_GITHUB);

	activity->is_dirty = activity->has_refusals_alone = true;
	note_outcome(&d, NULL, OUTCOME_PING, NULL, NULL);
	assert_string_equal(queue_get(queue), "shop/cart");
	queue_done(queue, "shop/cart");
	assert_false(activity->has_refusals_alone);
	note_outcome(&d, NULL, OUTCOME_PING, NULL, NULL);
	assert_null(queue_get(queue));
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
		cmocka_unit_test_setup_teardown(a_test_of_gitea_is_not_shown_as_a_push, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(the_controller_is_woken_once_until_it_has_looked,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_outcome_wakes_the_controller_after_refusals,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
