/* Damage that comes while the journal is open: nothing of it is taken for a build to start, and the
 * process ends. The next one refuses the file. */
#include "world.h"

#include "journal/core.h"
#include "journal/row.h"
#include "journal/sql.h"

#include <limits.h>
#include <sqlite3.h>

/* As a row changes when bits fall over in it. The columns may then also be NULL. */
static void damage(const struct world *world, const char *sql)
{
	static const char before[] =
		"PRAGMA ignore_check_constraints=ON; PRAGMA writable_schema=ON;"
		"UPDATE sqlite_schema SET sql = replace(sql, 'TEXT NOT NULL', 'TEXT')"
		"  WHERE name = 'change';"
		"PRAGMA writable_schema=RESET;";
	static const char after[] =
		"PRAGMA writable_schema=ON;"
		"UPDATE sqlite_schema SET sql = replace(sql, ' TEXT', ' TEXT NOT NULL')"
		"  WHERE name = 'change';";
	char path[PATH_MAX];
	sqlite3 *db = NULL;

	(void)snprintf(path, sizeof(path), "%s/journal.db", world->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, before, NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	assert_int_equal(sqlite3_changes(db), 1);
	assert_int_equal(sqlite3_exec(db, after, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void make_row(struct world *world, size_t i)
{
	if (world->journal)
		world_close(world);
	(void)snprintf(world->dir, sizeof(world->dir), "%s/%zu", world->base, i);
	world_must_open(world);
	(void)add_one(world, "d1", "refs/heads/main");
}

static void assert_ended(struct world *world)
{
	const char *failure = journal_failure(world->journal);

	assert_non_null(failure);
	assert_non_null(strstr(failure, "malformed"));
	assert_false(journal_is_writable(world->journal));
}

static const char *const damages[] = {
	"UPDATE change SET state = 6",
	"UPDATE change SET state = -1",
	"UPDATE change SET state = 2",
	"UPDATE change SET reason = NULL",
	"UPDATE change SET uid = NULL",
	"UPDATE change SET ref = 'refs/heads/next'",
	"UPDATE change SET message = 'Mend the cars'",
	"UPDATE change SET seen_ms = seen_ms + 64",
	"UPDATE change SET attempts = 4",
	"UPDATE change SET bytes = -1",
	"UPDATE change SET bytes = 1 << 30",
	"UPDATE change SET before = '3f2a1b0'",
	"UPDATE change SET body_digest = 'aa'",
	"UPDATE change SET content_sum = content_sum + 1",
	"UPDATE change SET progress_sum = progress_sum + 1",
};

static void a_row_that_was_damaged_is_not_told_and_ends_the_journal(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
		struct err err = {0};
		size_t n = 0;

		make_row(world, i);
		damage(world, damages[i]);
		if (i % 2)
			journal_each_recent(world->journal, 9, count, &n);
		else
			assert_null(journal_read_row(world->journal, 1));
		assert_int_equal(n, 0);
		assert_ended(world);
		world_close(world);
		assert_int_equal(journal_read_file(world->dir, 9, count, &n, &err), ERR_INVALID);
		assert_int_equal(n, 0);
		if (world_open(world, &err) != ERR_INVALID || !strstr(err.msg, "damaged"))
			fail_msg("%s: %s", damages[i], err.msg);
	}
}

/* What reads rows trusts in the state. */
static void a_state_that_there_is_not_is_damage_whatever_its_sum_says(void **state)
{
	static const int states[] = {-1, JOURNAL_STATES};
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		const struct journal_change change = {
			.state = (enum journal_state)states[i], .build = "", .reason = ""};
		char sql[128];
		size_t n = 0;

		make_row(world, i);
		(void)snprintf(sql, sizeof(sql),
			       "UPDATE change SET state = %d, progress_sum = %lld", states[i],
			       (long long)journal_row_progress_sum(&change));
		damage(world, sql);
		journal_each_recent(world->journal, 9, count, &n);
		assert_int_equal(n, 0);
		assert_ended(world);
	}
}

/* What it says of the delivery would be answered to its sender. */
static void a_redelivery_of_what_has_no_state_is_refused_and_ends_the_journal(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < 2; i++) {
		struct journal_change change = sample("d1", "refs/heads/main");

		make_row(world, i);
		damage(world, damages[i]);
		assert_int_equal(add(world, &change, 1).status, ERR_UNAVAILABLE);
		assert_ended(world);
	}
}

/* Between the check of the file and the count. */
static void rows_of_no_state_are_not_counted(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < 2; i++) {
		const struct journal_writer_options options = {.folder_fd = -1};
		struct journal_writer writer;
		char path[PATH_MAX];
		sqlite3 *db = NULL;

		make_row(world, i);
		world_close(world);
		damage(world, damages[i]);
		(void)snprintf(path, sizeof(path), "%s/journal.db", world->dir);
		assert_int_equal(journal_sql_open(&db, path, SQLITE_OPEN_READWRITE), SQLITE_OK);
		assert_int_equal(journal_writer_init(&writer, db, &options), SQLITE_CORRUPT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_row_that_was_damaged_is_not_told_and_ends_the_journal),
		WORLD_TEST(a_state_that_there_is_not_is_damage_whatever_its_sum_says),
		WORLD_TEST(a_redelivery_of_what_has_no_state_is_refused_and_ends_the_journal),
		WORLD_TEST(rows_of_no_state_are_not_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
