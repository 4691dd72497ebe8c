#include "controller/plan.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct buildconfig bc = {.namespace_ = "shop", .name = "cart", .uid = "u1"};
static const struct kube_secret unknown = {.state = KUBE_SECRET_UNKNOWN};
static const struct kube_secret missing = {.state = KUBE_SECRET_MISSING, .fetched_ms = 100};
static const struct kube_secret denied = {.state = KUBE_SECRET_DENIED, .fetched_ms = 100};
static const struct kube_secret ours = {.state = KUBE_SECRET_PRESENT,
					.fetched_ms = 100,
					.is_ours = true,
					.has_key = true,
					.value = STR("v")};
static const struct kube_secret ours_empty = {
	.state = KUBE_SECRET_PRESENT, .fetched_ms = 100, .is_ours = true};
static const struct kube_secret foreign = {.state = KUBE_SECRET_PRESENT, .fetched_ms = 100};

static struct observed quiet(void)
{
	return (struct observed){.bc = &bc,
				 .wall_ms = 1000,
				 .is_api_up = true,
				 .api_trouble = "the API server does not answer",
				 .waits_for = "",
				 .is_provisioning = true};
}

static struct observed with_secret(const struct kube_secret *secret, bool is_owned)
{
	struct observed seen = quiet();

	seen.secrets[0] =
		(struct observed_secret){.name = "s", .secret = secret, .is_owned = is_owned};
	seen.n_secrets = 1;
	return seen;
}

static struct observed with_change(void)
{
	struct observed seen = with_secret(&ours, true);

	seen.n_changes = 1;
	seen.change = (struct observed_change){.seq = 7};
	return seen;
}

static struct action planned(const struct observed *seen)
{
	struct action next;

	plan(seen, &next);
	return next;
}

static void a_quiet_world_needs_nothing(void **state)
{
	struct observed seen = with_secret(&ours, true);
	struct action next = planned(&seen);

	(void)state;
	assert_int_equal(next.kind, ACTION_NONE);
	assert_int_equal(next.wait_ms, -1);
	assert_string_equal(next.waiting, "");
}

static void each_state_of_a_secret_has_its_action(void **state)
{
	static const struct {
		const struct kube_secret *secret;
		bool is_owned, is_provisioning;
		enum action_kind kind;
	} cases[] = {
		{&unknown, false, true, ACTION_FETCH_SECRET},
		{&unknown, false, false, ACTION_FETCH_SECRET},
		{&missing, false, true, ACTION_CREATE_SECRET},
		{&missing, false, false, ACTION_NONE},
		{&denied, false, true, ACTION_NONE},
		{&ours, true, true, ACTION_NONE},
		{&ours, false, true, ACTION_OWN_SECRET},
		{&ours, false, false, ACTION_NONE},
		{&ours_empty, true, true, ACTION_COMPLETE_SECRET},
		{&ours_empty, false, true, ACTION_COMPLETE_SECRET},
		{&foreign, false, true, ACTION_NONE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct observed seen = with_secret(cases[i].secret, cases[i].is_owned);

		seen.is_provisioning = cases[i].is_provisioning;
		assert_int_equal(planned(&seen).kind, cases[i].kind);
	}
}

static void a_secret_of_a_deleted_namesake_is_left_to_the_garbage_collector(void **state)
{
	struct observed seen = with_secret(&ours, false);
	struct action next;

	(void)state;
	seen.secrets[0].is_former = true;
	next = planned(&seen);
	assert_int_equal(next.kind, ACTION_NONE);
	assert_int_equal(next.wait_ms, FORMER_INTERVAL_MS);
}

static void a_secret_fetched_before_the_recheck_is_fetched_again(void **state)
{
	struct observed seen = with_secret(&ours, true);

	(void)state;
	seen.recheck_ms = 101;
	assert_int_equal(planned(&seen).kind, ACTION_FETCH_SECRET);
	seen.recheck_ms = 100;
	assert_int_equal(planned(&seen).kind, ACTION_NONE);
}

static void a_secret_that_failed_waits_for_its_time_and_status_does_not(void **state)
{
	struct observed seen = with_secret(&missing, false);
	struct action next;

	(void)state;
	seen.secret_wait_ms = 300;
	next = planned(&seen);
	assert_int_equal(next.kind, ACTION_NONE);
	assert_int_equal(next.wait_ms, 300);
	seen.is_status_stale = true;
	assert_int_equal(planned(&seen).kind, ACTION_WRITE_STATUS);
}

static void a_change_starts_before_anything_else(void **state)
{
	struct observed seen = with_change();
	struct action next;

	(void)state;
	seen.is_status_stale = true;
	seen.secrets[0].secret = &missing;
	next = planned(&seen);
	assert_int_equal(next.kind, ACTION_START_BUILD);
	assert_int_equal(next.seq, 7);
}

static void status_that_is_overdue_is_not_starved_by_builds(void **state)
{
	struct observed seen = with_change();

	(void)state;
	seen.is_status_stale = true;
	seen.is_status_overdue = true;
	assert_int_equal(planned(&seen).kind, ACTION_WRITE_STATUS);
}

static void a_change_of_a_deleted_buildconfig_is_settled(void **state)
{
	struct observed seen = with_change();

	(void)state;
	seen.bc = NULL;
	seen.n_secrets = 0;
	assert_int_equal(planned(&seen).kind, ACTION_START_BUILD);
}

static void a_change_waits_and_those_who_ask_are_told_why(void **state)
{
	struct observed away = with_change(), backing_off = with_change(), flooded = with_change();
	struct action next;

	(void)state;
	away.is_api_up = false;
	next = planned(&away);
	assert_int_equal(next.kind, ACTION_NONE);
	assert_string_equal(next.waiting, "the API server does not answer");
	backing_off.change.next_attempt_ms = 1500;
	next = planned(&backing_off);
	assert_int_equal(next.kind, ACTION_NONE);
	assert_int_equal(next.wait_ms, 500);
	assert_string_equal(next.waiting, "an earlier attempt failed and is tried again later");
	backing_off.waits_for = "the quota is used up";
	assert_string_equal(planned(&backing_off).waiting, "the quota is used up");
	flooded.token_wait_ms = 250;
	next = planned(&flooded);
	assert_int_equal(next.kind, ACTION_NONE);
	assert_int_equal(next.wait_ms, 250);
	assert_true(*next.waiting);
}

static void a_wall_clock_that_was_set_back_holds_no_change_up(void **state)
{
	struct observed seen = with_change();

	(void)state;
	seen.change.next_attempt_ms = seen.wall_ms + MAX_BACKOFF_MS + 1;
	assert_int_equal(planned(&seen).kind, ACTION_START_BUILD);
}

static void over_the_flood_limit_the_older_of_a_ref_is_superseded(void **state)
{
	struct observed seen = with_change();

	(void)state;
	seen.token_wait_ms = 250;
	seen.change.has_successor = true;
	assert_int_equal(planned(&seen).kind, ACTION_SUPERSEDE);
	seen.token_wait_ms = 0;
	assert_int_equal(planned(&seen).kind, ACTION_START_BUILD);
}

static void a_start_that_waits_for_another_build_lets_secrets_and_status_be_done(void **state)
{
	struct observed seen = with_change();
	struct action next;

	(void)state;
	seen.start_wait_ms = 3000;
	seen.waits_for = "another build, cart-8, is being made";
	next = planned(&seen);
	assert_int_equal(next.kind, ACTION_NONE);
	assert_int_equal(next.wait_ms, 3000);
	assert_string_equal(next.waiting, seen.waits_for);
	seen.is_status_stale = true;
	assert_int_equal(planned(&seen).kind, ACTION_WRITE_STATUS);
}

static void a_start_of_unknown_outcome_is_settled_in_spite_of_the_flood_limit(void **state)
{
	struct observed seen = with_change();

	(void)state;
	seen.token_wait_ms = 250;
	seen.change.has_successor = true;
	seen.change.is_uncertain = true;
	assert_int_equal(planned(&seen).kind, ACTION_START_BUILD);
}

static void nothing_is_asked_of_an_api_server_that_is_away(void **state)
{
	struct observed seen = with_secret(&missing, false);

	(void)state;
	seen.is_api_up = false;
	seen.is_status_stale = true;
	assert_int_equal(planned(&seen).kind, ACTION_NONE);
}

static void an_unknown_build_is_looked_at_last_and_not_too_soon(void **state)
{
	struct observed seen = with_secret(&ours, true);
	struct action next;

	(void)state;
	seen.has_unknown_build = true;
	seen.look_wait_ms = 5000;
	next = planned(&seen);
	assert_int_equal(next.kind, ACTION_NONE);
	assert_int_equal(next.wait_ms, 5000);
	seen.look_wait_ms = -1;
	assert_int_equal(planned(&seen).kind, ACTION_LOOK_AT_BUILD);
	seen.is_api_up = false;
	assert_int_equal(planned(&seen).kind, ACTION_NONE);
	seen.is_api_up = true;
	seen.is_status_stale = true;
	assert_int_equal(planned(&seen).kind, ACTION_WRITE_STATUS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unknown_build_is_looked_at_last_and_not_too_soon),
		cmocka_unit_test(a_quiet_world_needs_nothing),
		cmocka_unit_test(each_state_of_a_secret_has_its_action),
		cmocka_unit_test(a_secret_of_a_deleted_namesake_is_left_to_the_garbage_collector),
		cmocka_unit_test(a_secret_fetched_before_the_recheck_is_fetched_again),
		cmocka_unit_test(a_secret_that_failed_waits_for_its_time_and_status_does_not),
		cmocka_unit_test(a_change_starts_before_anything_else),
		cmocka_unit_test(status_that_is_overdue_is_not_starved_by_builds),
		cmocka_unit_test(a_change_of_a_deleted_buildconfig_is_settled),
		cmocka_unit_test(a_change_waits_and_those_who_ask_are_told_why),
		cmocka_unit_test(a_wall_clock_that_was_set_back_holds_no_change_up),
		cmocka_unit_test(over_the_flood_limit_the_older_of_a_ref_is_superseded),
		cmocka_unit_test(
			a_start_that_waits_for_another_build_lets_secrets_and_status_be_done),
		cmocka_unit_test(a_start_of_unknown_outcome_is_settled_in_spite_of_the_flood_limit),
		cmocka_unit_test(nothing_is_asked_of_an_api_server_that_is_away),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
