#include "world.h"

#define DAY_MS (24LL * 3600 * 1000)

static void an_added_change_is_pending_and_comes_back_whole(void **state)
{
	struct world *world = *state;
	CLEANUP(release_kept) struct kept kept = {0};
	struct journal_change change = sample("d1", "refs/heads/main");
	struct told told;

	change.env_json = "[{\"name\":\"A\",\"value\":\"1\"}]";
	change.options_json = "{\"noCache\":true}";
	change.warning = "left out: PATH";
	change.pusher = "alice";
	change.committer_email = "bob@example.com";
	change.next_attempt_ms = START_MS + 5;
	world_must_open(world);
	told = add(world, &change, 1);
	assert_int_equal(told.status, ERR_OK);
	assert_int_equal(told.results[0].added, JOURNAL_NEW);
	assert_true(told.results[0].seq > 0);

	world_reopen(world);
	assert_int_equal(each_pending(world, 10, keep, &kept), 1);
	assert_int_equal(kept.rows[0]->seq, told.results[0].seq);
	assert_int_equal(kept.rows[0]->state, JOURNAL_ACCEPTED);
	assert_int_equal(kept.rows[0]->accepted_ms, START_MS);
	assert_int_equal(kept.rows[0]->next_attempt_ms, START_MS + 5);
	for (size_t i = 0; i < JOURNAL_CHANGE_TEXTS; i++) {
		const char *text = journal_change_text(&change, i);

		assert_string_equal(journal_change_text(kept.rows[0], i), text ? text : "");
	}
}

static void nothing_is_told_before_collect(void **state)
{
	struct world *world = *state;
	struct journal_change change = sample("d1", "refs/heads/main");
	struct told told = {0};

	world_must_open(world);
	assert_int_not_equal(journal_add(world->journal, &change, 1, on_added, &told), 0);
	assert_int_equal(told.n, 0);
	journal_collect(world->journal);
	assert_int_equal(told.n, 1);
	journal_collect(world->journal);
	assert_int_equal(told.n, 1);
}

static void who_forgets_is_not_told_but_the_row_is_stored(void **state)
{
	struct world *world = *state;
	struct journal_change changes[] = {sample("d1", "a"), sample("d2", "b"), sample("d3", "c")};
	struct told told[3] = {0};
	uint64_t tickets[3];

	world_must_open(world);
	for (size_t i = 0; i < 3; i++)
		tickets[i] = journal_add(world->journal, &changes[i], 1, on_added, &told[i]);
	journal_forget(world->journal, tickets[1]);
	journal_collect(world->journal);
	assert_int_equal(told[0].n, 1);
	assert_int_equal(told[1].n, 0);
	assert_int_equal(told[2].n, 1);
	assert_int_equal(count_pending(world), 3);
}

static void who_only_asks_is_told_what_would_come_of_it(void **state)
{
	struct world *world = *state;
	struct journal_change changes[] = {sample("d1", "refs/heads/main"),
					   sample("d1", "refs/heads/ended"),
					   sample("d1", "refs/heads/new")};
	struct told told = {0};

	world_must_open(world);
	(void)add_one(world, "d1", "refs/heads/main");
	(void)write_state(world, add_one(world, "d1", "refs/heads/ended").seq, JOURNAL_FAILED, "",
			  "because");
	assert_int_not_equal(journal_ask(world->journal, changes, 3, on_added, &told), 0);
	journal_collect(world->journal);
	assert_int_equal(told.status, ERR_OK);
	assert_int_equal(told.results[0].added, JOURNAL_DUPLICATE);
	assert_int_equal(told.results[1].added, JOURNAL_REVIVED);
	assert_int_equal(told.results[2].added, JOURNAL_NEW);
	assert_int_equal(count_pending(world), 1);
	assert_int_equal(add_one(world, "d1", "refs/heads/new").added, JOURNAL_NEW);
}

static struct journal *forgetful;

static void forget_the_next(void *arg, int status, const struct journal_add_result *results,
			    size_t n)
{
	uint64_t *ticket = arg;

	assert_int_equal(status, ERR_OK);
	assert_int_equal(n, 1);
	assert_int_equal(results->added, JOURNAL_NEW);
	journal_forget(forgetful, *ticket);
}

static void one_that_is_told_may_forget_another_of_the_same_batch(void **state)
{
	struct world *world = *state;
	struct journal_change first = sample("d1", "refs/heads/main");
	struct journal_change second = sample("d2", "refs/heads/main");
	struct told told = {0};
	uint64_t ticket = 0;

	world_must_open(world);
	forgetful = world->journal;
	(void)journal_add(world->journal, &first, 1, forget_the_next, &ticket);
	ticket = journal_add(world->journal, &second, 1, on_added, &told);
	journal_collect(world->journal);
	assert_int_equal(told.n, 0);
	assert_int_equal(count_pending(world), 2);
}

static void close_stores_what_waits_and_tells_nobody(void **state)
{
	struct world *world = *state;
	struct journal_change change = sample("d1", "refs/heads/main");
	struct told told = {0};

	world_must_open(world);
	(void)journal_add(world->journal, &change, 1, on_added, &told);
	world_reopen(world);
	assert_int_equal(told.n, 0);
	assert_int_equal(count_pending(world), 1);
}

static void what_differs_in_one_part_of_the_key_is_another_change(void **state)
{
	struct world *world = *state;
	struct journal_change changes[] = {
		sample("d1", "refs/heads/main"), sample("d1", "refs/heads/main"),
		sample("d1", "refs/heads/main"), sample("d2", "refs/heads/main"),
		sample("d1", "refs/tags/main"),
	};

	changes[1].uid = "another";
	changes[2].type = "generic";
	world_must_open(world);
	for (size_t i = 0; i < ARRAY_LEN(changes); i++)
		assert_int_equal(add(world, &changes[i], 1).results[0].added, JOURNAL_NEW);
	assert_int_equal(count_pending(world), ARRAY_LEN(changes));
}

/* What a redelivery finds, by what had become of the first delivery. */
static void a_redelivery_is_known_by_what_became_of_the_first(void **state)
{
	static const struct {
		enum journal_state state;
		enum journal_added added;
		size_t pending;
	} cases[] = {
		{JOURNAL_ACCEPTED, JOURNAL_DUPLICATE, 1}, {JOURNAL_STARTING, JOURNAL_DUPLICATE, 1},
		{JOURNAL_STARTED, JOURNAL_DUPLICATE, 0},  {JOURNAL_FAILED, JOURNAL_REVIVED, 1},
		{JOURNAL_SUPERSEDED, JOURNAL_REVIVED, 1}, {JOURNAL_IGNORED, JOURNAL_REVIVED, 1},
	};
	struct world *world = *state;
	size_t pending = 0;

	world_must_open(world);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char id[8];
		struct journal_add_result first;
		struct journal_add_result again;

		(void)snprintf(id, sizeof(id), "d%zu", i);
		first = add_one(world, id, "refs/heads/main");
		assert_int_equal(write_state(world, first.seq, cases[i].state, "cart-7", "because"),
				 ERR_OK);
		again = add_one(world, id, "refs/heads/main");
		assert_int_equal(again.added, cases[i].added);
		assert_int_equal(again.state, cases[i].state);
		assert_string_equal(again.build, "cart-7");
		assert_string_equal(again.reason, "because");
		if (cases[i].added == JOURNAL_REVIVED)
			assert_true(again.seq > first.seq);
		else
			assert_int_equal(again.seq, first.seq);
		pending += cases[i].pending;
		assert_int_equal(count_pending(world), pending);
	}
}

static void a_revived_change_starts_from_the_beginning_with_what_came_last(void **state)
{
	struct world *world = *state;
	CLEANUP(release_kept) struct kept kept = {0};
	struct journal_change change = sample("d1", "refs/heads/main");
	struct journal_update update = {.state = JOURNAL_FAILED,
					.gap_number = 8,
					.gap_ms = 9,
					.attempts = 3,
					.reason = "422"};

	world_must_open(world);
	update.seq = add(world, &change, 1).results[0].seq;
	journal_write(world->journal, &update, NULL, NULL);
	change.message = "Again";
	change.accepted_ms = START_MS + DAY_MS;
	assert_int_equal(add(world, &change, 1).results[0].added, JOURNAL_REVIVED);
	(void)each_pending(world, 10, keep, &kept);
	assert_int_equal(kept.n, 1);
	assert_int_equal(kept.rows[0]->state, JOURNAL_ACCEPTED);
	assert_int_equal(kept.rows[0]->gap_number, 0);
	assert_int_equal(kept.rows[0]->gap_ms, 0);
	assert_int_equal(kept.rows[0]->attempts, 0);
	assert_int_equal(kept.rows[0]->ended_ms, 0);
	assert_string_equal(kept.rows[0]->reason, "");
	assert_string_equal(kept.rows[0]->message, "Again");
	assert_int_equal(kept.rows[0]->accepted_ms, START_MS + DAY_MS);
}

static void the_changes_of_a_delivery_are_told_each_and_a_ref_named_twice_counts_once(void **state)
{
	struct world *world = *state;
	const struct journal_change changes[] = {sample("d1", "refs/heads/main"),
						 sample("d1", "refs/heads/next"),
						 sample("d1", "refs/heads/main")};
	struct told told;

	world_must_open(world);
	told = add(world, changes, 3);
	assert_int_equal(told.n_results, 3);
	assert_int_equal(told.results[0].added, JOURNAL_NEW);
	assert_int_equal(told.results[1].added, JOURNAL_NEW);
	assert_int_equal(told.results[2].added, JOURNAL_DUPLICATE);
	assert_int_equal(told.results[2].seq, told.results[0].seq);
	assert_int_equal(count_pending(world), 2);
}

static void many_copies_at_once_are_one_change(void **state)
{
	struct world *world = *state;
	struct told told[100] = {0};
	int n_new = 0;

	world_must_open(world);
	for (size_t i = 0; i < ARRAY_LEN(told); i++) {
		struct journal_change change = sample("d1", "refs/heads/main");

		(void)journal_add(world->journal, &change, 1, on_added, &told[i]);
	}
	journal_collect(world->journal);
	for (size_t i = 0; i < ARRAY_LEN(told); i++) {
		assert_int_equal(told[i].n, 1);
		assert_int_equal(told[i].status, ERR_OK);
		n_new += told[i].results[0].added == JOURNAL_NEW;
	}
	assert_int_equal(n_new, 1);
	assert_int_equal(count_pending(world), 1);
}

static void a_row_that_has_ended_is_not_changed_any_more(void **state)
{
	struct world *world = *state;
	CLEANUP(release_kept) struct kept kept = {0};
	int64_t seq;

	world_must_open(world);
	seq = add_one(world, "d1", "refs/heads/main").seq;
	assert_int_equal(write_state(world, seq, JOURNAL_STARTED, "cart-1", ""), ERR_OK);
	assert_int_equal(write_state(world, seq, JOURNAL_FAILED, "", "late"), ERR_OK);
	assert_int_equal(write_state(world, seq + 100, JOURNAL_FAILED, "", "none"), ERR_OK);
	journal_each_recent(world->journal, 10, keep, &kept);
	assert_int_equal(kept.n, 1);
	assert_int_equal(kept.rows[0]->state, JOURNAL_STARTED);
	assert_string_equal(kept.rows[0]->build, "cart-1");
	assert_int_equal(kept.rows[0]->ended_ms, START_MS);
}

static void an_attempt_is_remembered(void **state)
{
	struct world *world = *state;
	CLEANUP(release_kept) struct kept kept = {0};
	struct journal_update update = {.state = JOURNAL_STARTING,
					.gap_number = 18,
					.gap_ms = START_MS + 1,
					.attempts = 2,
					.next_attempt_ms = START_MS + 2,
					.reason = "409"};

	world_must_open(world);
	update.seq = add_one(world, "d1", "refs/heads/main").seq;
	journal_write(world->journal, &update, NULL, NULL);
	world_reopen(world);
	(void)each_pending(world, 10, keep, &kept);
	assert_int_equal(kept.n, 1);
	assert_int_equal(kept.rows[0]->state, JOURNAL_STARTING);
	assert_int_equal(kept.rows[0]->gap_number, 18);
	assert_int_equal(kept.rows[0]->gap_ms, START_MS + 1);
	assert_int_equal(kept.rows[0]->attempts, 2);
	assert_int_equal(kept.rows[0]->next_attempt_ms, START_MS + 2);
	assert_string_equal(kept.rows[0]->reason, "409");
	assert_int_equal(kept.rows[0]->ended_ms, 0);
}

/* WALL and MONO: how far each clock goes between a delivery that starts and its redelivery. */
static void the_dedupe_window_goes_with_time_and_not_with_the_wall_clock(void **state)
{
	static const struct {
		int64_t wall_ms;
		int64_t mono_ms;
		bool is_restarted;
		enum journal_added added;
	} cases[] = {
		{WINDOW_MS - 1, WINDOW_MS - 1, false, JOURNAL_DUPLICATE},
		{WINDOW_MS, WINDOW_MS, false, JOURNAL_NEW},
		{100 * DAY_MS, 1000, false, JOURNAL_DUPLICATE},
		{-100 * DAY_MS, 1000, false, JOURNAL_DUPLICATE},
		{-DAY_MS, WINDOW_MS, false, JOURNAL_NEW},
		{DAY_MS, 1000, true, JOURNAL_DUPLICATE},
		{-100 * DAY_MS, 1000, true, JOURNAL_DUPLICATE},
		{WINDOW_MS, 1000, true, JOURNAL_NEW},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(world_release) struct world world = {0};
		struct journal_add_result again;
		int64_t seq;

		(void)state;
		assert_int_equal(world_init(&world), 0);
		world_must_open(&world);
		seq = add_one(&world, "d1", "refs/heads/main").seq;
		assert_int_equal(write_state(&world, seq, JOURNAL_STARTED, "cart-1", ""), ERR_OK);
		world.wall_ms += cases[i].wall_ms;
		world.mono_ms += cases[i].mono_ms;
		if (cases[i].is_restarted)
			world_reopen(&world);
		again = add_one(&world, "d1", "refs/heads/main");
		if (again.added != cases[i].added)
			fail_msg("case %zu: %d", i, (int)again.added);
	}
}

static void what_waits_is_known_however_old_it_is(void **state)
{
	struct world *world = *state;

	world_must_open(world);
	(void)add_one(world, "d1", "refs/heads/main");
	world_advance(world, 10 * WINDOW_MS);
	assert_int_equal(add_one(world, "d1", "refs/heads/main").added, JOURNAL_DUPLICATE);
}

static void too_much_at_once_is_refused_and_too_much_text_too(void **state)
{
	struct world *world = *state;
	char id[16];
	int taken = 0;
	size_t n = 0;
	char *big = mem_new(1, JOURNAL_MAX_EXTRA + 1);

	world_must_open(world);
	for (uint64_t ticket = 1; ticket != 0; taken++) {
		struct journal_change change = sample(id, "refs/heads/main");
		char namespace_[16];

		spread(&change, namespace_, (size_t)taken);
		(void)snprintf(id, sizeof(id), "d%d", taken);
		ticket = journal_add(world->journal, &change, 1, NULL, NULL);
	}
	assert_int_equal(taken - 1, 4096);
	journal_collect(world->journal);
	journal_each_recent(world->journal, SIZE_MAX, count_row, &n);
	assert_int_equal(n, 4096);

	memset(big, 'x', JOURNAL_MAX_EXTRA);
	taken = 0;
	for (uint64_t ticket = 1; ticket != 0; taken++) {
		struct journal_change change = sample(id, "refs/heads/next");

		change.env_json = big;
		(void)snprintf(id, sizeof(id), "e%d", taken);
		ticket = journal_add(world->journal, &change, 1, NULL, NULL);
	}
	free(big);
	assert_in_range(taken, 200, 256);
}

static struct journal_add_result add_bytes(struct world *world, const char *id, const char *before,
					   const char *after, const char *digest)
{
	struct journal_change change = sample(id, "refs/heads/main");
	struct told told;

	change.host = "gitea";
	change.before = before;
	change.commit = after;
	change.body_digest = digest;
	told = add(world, &change, 1);
	assert_int_equal(told.status, ERR_OK);
	return told.results[0];
}

static void start_row(struct world *world, int64_t seq, const char *build)
{
	assert_int_equal(write_state(world, seq, JOURNAL_STARTED, build, ""), ERR_OK);
}

/* Gitea, Forgejo and Gogs replay under another id. */
static void the_same_bytes_under_another_id_are_the_same_delivery(void **state)
{
	struct world *world = *state;
	struct journal_add_result again;

	world_must_open(world);
	start_row(world, add_bytes(world, "d1", "0", "a", "A").seq, "cart-1");
	again = add_bytes(world, "d2", "0", "a", "A");
	assert_int_equal(again.added, JOURNAL_DUPLICATE);
	assert_string_equal(again.build, "cart-1");
	/* Other bytes, another ref and another hook are not. */
	assert_int_equal(add_bytes(world, "d3", "a", "b", "B").added, JOURNAL_NEW);
	/* After a newer one as well, while that waits and when it was built. */
	assert_int_equal(add_bytes(world, "d4", "0", "a", "A").added, JOURNAL_DUPLICATE);
	world_reopen(world);
	assert_int_equal(add_bytes(world, "d5", "a", "b", "B").added, JOURNAL_DUPLICATE);
	world_advance(world, WINDOW_MS);
	assert_int_equal(add_bytes(world, "d6", "0", "a", "A").added, JOURNAL_NEW);
}

static void other_refs_hooks_and_hosts_without_a_digest_are_not_compared(void **state)
{
	struct world *world = *state;
	struct journal_change changes[3];

	world_must_open(world);
	(void)add_bytes(world, "d1", "0", "a", "A");
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		changes[i] = sample("d2", "refs/heads/main");
		changes[i].body_digest = "A";
	}
	changes[0].ref = "refs/heads/next";
	changes[1].uid = "another";
	changes[2].type = "generic";
	for (size_t i = 0; i < ARRAY_LEN(changes); i++)
		assert_int_equal(add(world, &changes[i], 1).results[0].added, JOURNAL_NEW);
	assert_int_equal(add_bytes(world, "d3", "0", "a", "").added, JOURNAL_NEW);
	assert_int_equal(add_bytes(world, "d4", "0", "a", "").added, JOURNAL_NEW);
}

/* Each push begins where the newest one ended, with the same bytes every other time. */
static void a_branch_that_is_forced_back_and_forth_builds_each_time(void **state)
{
	struct world *world = *state;

	world_must_open(world);
	for (int i = 0; i < 4; i++) {
		char id[16];
		const char *const ends[] = {"a", "b"};

		(void)snprintf(id, sizeof(id), "d%d", i);
		start_row(world,
			  add_bytes(world, id, ends[i % 2], ends[1 - i % 2], ends[i % 2]).seq, "");
	}
	assert_int_equal(add_bytes(world, "replay", "b", "a", "b").added, JOURNAL_DUPLICATE);
	assert_int_equal(add_bytes(world, "forth", "a", "b", "a").added, JOURNAL_NEW);
}

static void one_that_never_built_is_tried_again_unless_a_newer_one_was_built(void **state)
{
	struct world *world = *state;
	struct journal_add_result again;
	int64_t first, second;

	world_must_open(world);
	first = add_bytes(world, "d1", "0", "a", "A").seq;
	assert_int_equal(write_state(world, first, JOURNAL_FAILED, "", "quota"), ERR_OK);
	again = add_bytes(world, "d2", "0", "a", "A");
	assert_int_equal(again.added, JOURNAL_REVIVED);
	assert_int_equal(write_state(world, again.seq, JOURNAL_SUPERSEDED, "", "newer"), ERR_OK);
	second = add_bytes(world, "d3", "a", "b", "B").seq;
	start_row(world, second, "cart-2");
	again = add_bytes(world, "d4", "0", "a", "A");
	assert_int_equal(again.added, JOURNAL_OUTDATED);
	assert_int_equal(again.seq, second);
	assert_string_equal(again.build, "cart-2");
	assert_int_equal(count_pending(world), 0);
	/* By its own id somebody asked for it. */
	assert_int_equal(add_bytes(world, "d2", "0", "a", "A").added, JOURNAL_REVIVED);
}

/* Asked for on purpose: neither de-duplication nor order stop it, but the same request is one. */
static void a_redelivery_is_a_change_of_its_own(void **state)
{
	struct world *world = *state;

	world_must_open(world);
	start_row(world, add_bytes(world, "d1", "0", "a", "A").seq, "cart-1");
	assert_int_equal(add_bytes(world, "d1 n1", "0", "a", "A").added, JOURNAL_NEW);
	assert_int_equal(add_bytes(world, "d1 n1", "0", "a", "A").added, JOURNAL_DUPLICATE);
	assert_int_equal(add_bytes(world, "d1 n2", "0", "a", "A").added, JOURNAL_NEW);
}

static void states_have_names(void **state)
{
	(void)state;
	assert_string_equal(journal_state_name(JOURNAL_ACCEPTED), "accepted");
	assert_string_equal(journal_state_name(JOURNAL_IGNORED), "ignored");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(an_added_change_is_pending_and_comes_back_whole),
		WORLD_TEST(nothing_is_told_before_collect),
		WORLD_TEST(who_forgets_is_not_told_but_the_row_is_stored),
		WORLD_TEST(who_only_asks_is_told_what_would_come_of_it),
		WORLD_TEST(one_that_is_told_may_forget_another_of_the_same_batch),
		WORLD_TEST(close_stores_what_waits_and_tells_nobody),
		WORLD_TEST(what_differs_in_one_part_of_the_key_is_another_change),
		WORLD_TEST(a_redelivery_is_known_by_what_became_of_the_first),
		WORLD_TEST(a_revived_change_starts_from_the_beginning_with_what_came_last),
		WORLD_TEST(
			the_changes_of_a_delivery_are_told_each_and_a_ref_named_twice_counts_once),
		WORLD_TEST(many_copies_at_once_are_one_change),
		WORLD_TEST(a_row_that_has_ended_is_not_changed_any_more),
		WORLD_TEST(an_attempt_is_remembered),
		cmocka_unit_test(the_dedupe_window_goes_with_time_and_not_with_the_wall_clock),
		WORLD_TEST(what_waits_is_known_however_old_it_is),
		WORLD_TEST(too_much_at_once_is_refused_and_too_much_text_too),
		WORLD_TEST(the_same_bytes_under_another_id_are_the_same_delivery),
		WORLD_TEST(other_refs_hooks_and_hosts_without_a_digest_are_not_compared),
		WORLD_TEST(a_branch_that_is_forced_back_and_forth_builds_each_time),
		WORLD_TEST(one_that_never_built_is_tried_again_unless_a_newer_one_was_built),
		WORLD_TEST(a_redelivery_is_a_change_of_its_own),
		cmocka_unit_test(states_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
