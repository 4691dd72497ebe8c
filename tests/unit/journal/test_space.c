#include "world.h"

#include "journal/space.h"

#define KIB 1024LL
#define MIB (1024 * KIB)

/* A journal of 64 MiB on a disk of 1 GiB, of which 4 MiB are taken. */
static const struct journal_figures ordinary = {
	.size_bytes = 64 * MIB,
	.file_bytes = 3 * MIB,
	.log_bytes = 1 * MIB,
	.whole_disk_bytes = 1024 * MIB,
	.disk_bytes = 1000 * MIB,
};

static struct journal_space measure(const struct journal_figures *figures)
{
	struct journal_space space;

	journal_space_measure(&space, figures);
	return space;
}

static void the_log_and_the_reserve_are_never_given_to_rows(void **state)
{
	struct journal_space space = measure(&ordinary);

	(void)state;
	assert_int_equal(space.log_limit_bytes, 4 * MIB);
	assert_int_equal(space.reserve_bytes, 512 * KIB);
	assert_int_equal(space.hold_bytes, 64 * MIB - 4 * MIB - 2 * space.reserve_bytes);
	assert_int_equal(space.waiting_bytes, space.hold_bytes);
	/* 60 MiB are free, of which the log may still take three. */
	assert_int_equal(space.room_bytes, 57 * MIB - space.reserve_bytes);
}

static void others_on_the_disk_leave_less_and_free_pages_are_room(void **state)
{
	struct journal_figures figures = ordinary;

	(void)state;
	figures.disk_bytes = 8 * MIB;
	assert_int_equal(measure(&figures).hold_bytes, 12 * MIB - 4 * MIB - MIB);
	assert_int_equal(measure(&figures).room_bytes, 8 * MIB - 3 * MIB - 512 * KIB);
	figures.disk_bytes = 0;
	assert_true(measure(&figures).room_bytes < 0);
	assert_int_equal(measure(&figures).waiting_bytes, 0);
	figures.free_bytes = 5 * MIB;
	assert_int_equal(measure(&figures).room_bytes, 5 * MIB - 3 * MIB - 512 * KIB);
}

/* A quarter is theirs: what they have beyond it goes as soon as others need the room. */
static void ended_rows_give_way_beyond_a_quarter(void **state)
{
	static const struct {
		int64_t disk_mib, ended_mib;
		bool is_short;
	} cases[] = {
		{1000, 0, false},
		{1000, 20, false}, /* there is room */
		{3, 1, false},     /* there is none, and they have less than a quarter */
		{3, 30, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct journal_figures figures = ordinary;

		figures.disk_bytes = cases[i].disk_mib * MIB;
		figures.ended_bytes = cases[i].ended_mib * MIB;
		assert_int_equal(measure(&figures).is_short, cases[i].is_short);
	}
	struct journal_figures figures = ordinary;
	figures.ended_bytes = 40 * MIB;
	assert_int_equal(measure(&figures).waiting_bytes, measure(&figures).hold_bytes - 16 * MIB);
	assert_int_equal(measure(&figures).free_bytes, measure(&figures).room_bytes + 24 * MIB);
}

static void the_bound_that_is_met_first_is_named(void **state)
{
	static const struct {
		struct journal_pending_sum config, in_namespace, all, more;
		int64_t room_bytes;
		enum journal_limit limit;
	} cases[] = {
		{{999, 0}, {999, 0}, {999, 0}, {1, KIB}, 64 * MIB, JOURNAL_LIMIT_NONE},
		{{1000, 0}, {1000, 0}, {1000, 0}, {1, KIB}, 64 * MIB, JOURNAL_LIMIT_BUILDCONFIG},
		{{1, 16 * MIB},
		 {1, 16 * MIB},
		 {1, 16 * MIB},
		 {1, 1},
		 64 * MIB,
		 JOURNAL_LIMIT_BUILDCONFIG},
		/* What repeats others asks for nothing. */
		{{1000, 0}, {1000, 0}, {1000, 0}, {0, 0}, 0, JOURNAL_LIMIT_NONE},
		{{1, 16 * MIB}, {1, 16 * MIB}, {1, 16 * MIB}, {0, 0}, 0, JOURNAL_LIMIT_NONE},
		/* What takes the place of a smaller one asks for the difference. */
		{{1, 16 * MIB},
		 {1, 16 * MIB},
		 {1, 16 * MIB},
		 {0, 1},
		 64 * MIB,
		 JOURNAL_LIMIT_BUILDCONFIG},
		/* At least twice as much is left. */
		{{0, 0}, {0, 0}, {0, 0}, {1, 4 * KIB}, 12 * KIB, JOURNAL_LIMIT_NONE},
		{{0, 0}, {0, 0}, {0, 0}, {1, 4 * KIB}, 12 * KIB - 1, JOURNAL_LIMIT_DISK},
		{{0, 0}, {0, 0}, {9, 60 * MIB}, {1, MIB}, 64 * MIB, JOURNAL_LIMIT_DISK},
		/* A quarter of all rows and of what may be held. */
		{{0, 0}, {25000, 0}, {25000, 0}, {1, 1}, 64 * MIB, JOURNAL_LIMIT_NAMESPACE},
		{{0, 0}, {9, 15 * MIB}, {9, 15 * MIB}, {1, 1}, 64 * MIB, JOURNAL_LIMIT_NAMESPACE},
		/* Half of the rows and bytes that others leave. */
		{{0, 0}, {10001, 0}, {80000, 0}, {1, 1}, 64 * MIB, JOURNAL_LIMIT_NAMESPACE},
		{{0, 0}, {9000, 0}, {80000, 0}, {1, 1}, 64 * MIB, JOURNAL_LIMIT_NONE},
		{{0, 0}, {1, 5 * MIB}, {9, 50 * MIB}, {1, MIB}, 64 * MIB, JOURNAL_LIMIT_NAMESPACE},
		{{0, 0}, {1, 3 * MIB}, {9, 50 * MIB}, {1, 100 * KIB}, 64 * MIB, JOURNAL_LIMIT_NONE},
		/* Of what the file has room for, too. */
		{{0, 0}, {1, 3 * MIB}, {9, 50 * MIB}, {1, 1}, 6 * MIB, JOURNAL_LIMIT_NAMESPACE},
		/* The last eighth is for those that have little. */
		{{0, 0}, {3, 96 * KIB}, {9, 53 * MIB}, {1, 32 * KIB}, 64 * MIB, JOURNAL_LIMIT_NONE},
		{{0, 0}, {4, 128 * KIB}, {9, 53 * MIB}, {1, 1}, 64 * MIB, JOURNAL_LIMIT_NAMESPACE},
		{{0, 0}, {194, 0}, {90000, 0}, {1, 1}, 64 * MIB, JOURNAL_LIMIT_NONE},
		{{0, 0}, {195, 0}, {90000, 0}, {1, 1}, 64 * MIB, JOURNAL_LIMIT_NAMESPACE},
		/* Others have filled it. */
		{{0, 0}, {1, KIB}, {99999, MIB}, {1, KIB}, 64 * MIB, JOURNAL_LIMIT_DISK},
		{{0, 0}, {1, KIB}, {9, 59 * MIB}, {1, KIB}, 64 * MIB, JOURNAL_LIMIT_DISK},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct journal_space space = measure(&ordinary);

		space.room_bytes = cases[i].room_bytes;
		space.free_bytes = cases[i].room_bytes;
		if (journal_space_check(&space, &cases[i].config, &cases[i].in_namespace,
					&cases[i].all, &cases[i].more) != cases[i].limit)
			fail_msg("case %zu", i);
	}
}

/* It goes a part at a time, so it may be that there is no room yet. */
static void room_that_ended_rows_still_have_is_the_disks_bound(void **state)
{
	static const struct journal_pending_sum none, more = {1, 4 * KIB};
	struct journal_space space = measure(&ordinary);

	(void)state;
	space.room_bytes = 8 * KIB;
	assert_int_equal(journal_space_check(&space, &none, &none, &none, &more),
			 JOURNAL_LIMIT_NONE);
	space.room_bytes--;
	assert_int_equal(journal_space_check(&space, &none, &none, &none, &more),
			 JOURNAL_LIMIT_DISK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_log_and_the_reserve_are_never_given_to_rows),
		cmocka_unit_test(others_on_the_disk_leave_less_and_free_pages_are_room),
		cmocka_unit_test(ended_rows_give_way_beyond_a_quarter),
		cmocka_unit_test(the_bound_that_is_met_first_is_named),
		cmocka_unit_test(room_that_ended_rows_still_have_is_the_disks_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
