#include "world.h"

#include "../faults.h"

#include "journal/core.h"

#include <limits.h>
#include <sqlite3.h>
#include <sys/stat.h>

#define MINUTE_MS 60000

/* The index of the log can't grow: SQLite makes it longer by writing its last byte, and nothing
 * else one byte at a time. */
static bool is_index_full;

ssize_t pwrite64(int fd, const void *bytes, size_t n, off_t at);
ssize_t pwrite64(int fd, const void *bytes, size_t n, off_t at)
{
	static ssize_t (*real)(int, const void *, size_t, off_t);

	if (is_index_full && n == 1) {
		errno = ENOSPC;
		return -1;
	}
	if (!real)
		fault_find(&real, "pwrite64");
	return real(fd, bytes, n, at);
}

static const struct {
	enum journal_state state;
	const char *text;
} ended[] = {{JOURNAL_STARTED, "started"},
	     {JOURNAL_FAILED, "failed"},
	     {JOURNAL_SUPERSEDED, "superseded"},
	     {JOURNAL_IGNORED, "ignored"}};

static void keep_id(void *arg, const struct journal_change *change)
{
	char *text = arg;

	assert_true(strlen(text) + strlen(change->delivery_id) + 2 < 256);
	(void)strcat(strcat(text, change->delivery_id), " ");
}

/* The delivery ids of all rows, newest first. */
static void assert_rows(struct world *world, const char *expected)
{
	char text[256] = "";

	journal_each_recent(world->journal, 100, keep_id, text);
	assert_null(journal_failure(world->journal));
	assert_string_equal(text, expected);
}

static int64_t add_ended(struct world *world, const char *id, enum journal_state state)
{
	int64_t seq = add_one(world, id, "refs/heads/main").seq;

	assert_int_equal(write_state(world, seq, state, "", ""), ERR_OK);
	return seq;
}

static void supersede_row(void *arg, const struct journal_change *change)
{
	const struct journal_update update = {.seq = change->seq, .state = JOURNAL_SUPERSEDED};

	journal_write(arg, &update, NULL, NULL);
}

/* Upkeep comes once a minute, in small parts. */
static void let_it_tidy(struct world *world)
{
	for (int i = 0; i < 10; i++) {
		world_advance(world, MINUTE_MS);
		journal_collect(world->journal);
	}
}

static void rows_that_have_ended_go_when_their_time_is_over(void **state)
{
	struct world *world = *state;

	world_must_open(world);
	for (size_t i = 0; i < ARRAY_LEN(ended); i++)
		(void)add_ended(world, ended[i].text, ended[i].state);
	(void)add_one(world, "waits", "refs/heads/main");
	world_advance(world, WINDOW_MS - 20LL * MINUTE_MS);
	(void)add_ended(world, "young", JOURNAL_STARTED);
	let_it_tidy(world);
	assert_rows(world, "young waits ignored superseded failed started ");
	world_advance(world, 11LL * MINUTE_MS);
	let_it_tidy(world);
	assert_rows(world, "young waits ");
	world_reopen(world);
	assert_rows(world, "young waits ");
}

/* In an hour of process time the wall clock jumped by a month. */
static void a_jump_of_the_wall_clock_takes_nothing_away(void **state)
{
	struct world *world = *state;

	world_must_open(world);
	(void)add_ended(world, "d1", JOURNAL_STARTED);
	world->wall_ms += 30LL * 24 * 3600 * 1000;
	let_it_tidy(world);
	assert_rows(world, "d1 ");
}

static void where_there_are_too_many_those_that_may_come_again_go_first(void **state)
{
	struct world *world = *state;
	struct journal_stats stats = {0};

	world_must_open(world);
	world->journal->writer.bounds.max_ended = 3;
	(void)add_ended(world, "s1", JOURNAL_STARTED);
	(void)add_ended(world, "s2", JOURNAL_STARTED);
	(void)add_ended(world, "f1", JOURNAL_FAILED);
	(void)add_ended(world, "s3", JOURNAL_STARTED);
	(void)add_ended(world, "o1", JOURNAL_SUPERSEDED);
	(void)add_ended(world, "s4", JOURNAL_STARTED);
	(void)add_one(world, "waits", "refs/heads/main");
	let_it_tidy(world);
	assert_rows(world, "waits s4 s3 s2 ");
	journal_read_stats(world->journal, &stats);
	assert_int_equal(stats.rows[JOURNAL_STARTED], 3);
	assert_int_equal(stats.rows[JOURNAL_FAILED] + stats.rows[JOURNAL_SUPERSEDED], 0);
	assert_int_equal(stats.rows[JOURNAL_ACCEPTED], 1);
}

static void where_too_many_wait_more_are_refused_whole(void **state)
{
	struct world *world = *state;
	const struct journal_change two[] = {sample("d9", "refs/heads/a"),
					     sample("d9", "refs/heads/b")};
	struct journal_change one = sample("d8", "refs/heads/a");
	int64_t seq;

	world_must_open(world);
	world->journal->writer.bounds.max_pending = 3;
	seq = add_one(world, "d1", "refs/heads/main").seq;
	(void)add_one(world, "d2", "refs/heads/main");
	assert_int_equal(add(world, two, 2).status, ERR_LIMIT);
	assert_int_equal(add(world, &one, 1).status, ERR_OK);
	assert_int_equal(add(world, two, 2).status, ERR_LIMIT);
	assert_true(journal_is_writable(world->journal));
	assert_rows(world, "d8 d2 d1 ");
	assert_int_equal(write_state(world, seq, JOURNAL_FAILED, "", ""), ERR_OK);
	one.delivery_id = "d10";
	assert_int_equal(add(world, &one, 1).status, ERR_OK);
}

/* More than go in one part, and others that are too many besides. */
static void many_rows_go_in_parts(void **state)
{
	struct world *world = *state;
	struct journal_stats stats = {0};

	world_must_open(world);
	for (int i = 0; i < 1100; i++) {
		char id[16];
		struct journal_change change = sample(id, "refs/heads/main");

		(void)snprintf(id, sizeof(id), "d%d", i);
		assert_int_not_equal(journal_add(world->journal, &change, 1, NULL, NULL), 0);
	}
	journal_collect(world->journal);
	(void)each_pending(world, 1100, supersede_row, world->journal);
	(void)add_ended(world, "s1", JOURNAL_STARTED);
	(void)add_ended(world, "s2", JOURNAL_STARTED);
	world->journal->writer.bounds.max_ended = 1;
	world_advance(world, WINDOW_MS + 1);
	journal_collect(world->journal);
	journal_read_stats(world->journal, &stats);
	assert_int_equal(stats.rows[JOURNAL_SUPERSEDED], 600);
	assert_int_equal(stats.rows[JOURNAL_STARTED], 2);
	let_it_tidy(world);
	assert_rows(world, "");
}

static int64_t size_of(const struct world *world, const char *name)
{
	char path[400];
	struct stat st = {0};

	(void)snprintf(path, sizeof(path), "%s/%s", world->dir, name);
	return stat(path, &st) == 0 ? st.st_size : 0;
}

static void add_many(struct world *world, int n, const char *extra)
{
	static int last;
	char id[16];
	struct journal_change change = sample(id, "refs/heads/main");

	change.env_json = extra;
	for (int i = 0; i < n; i++) {
		(void)snprintf(id, sizeof(id), "m%d", last++);
		assert_int_equal(add(world, &change, 1).status, ERR_OK);
	}
}

static void end_row(void *arg, const struct journal_change *change)
{
	const struct journal_update update = {.seq = change->seq, .state = JOURNAL_STARTED};

	journal_write(arg, &update, NULL, NULL);
}

static void a_big_file_is_bounded_and_gives_room_back(void **state)
{
	struct world *world = *state;
	CLEANUP(mem_free) char *extra = mem_new(1, JOURNAL_MAX_EXTRA + 1);
	struct journal_change change = sample("one more", "refs/heads/main");
	int64_t big;

	memset(extra, 'x', JOURNAL_MAX_EXTRA);
	world_must_open(world);
	add_many(world, 100, extra);
	world->journal->writer.bounds.big_bytes = 2 * 1024 * 1024;
	world->journal->writer.bounds.full_bytes = 4 * 1024 * 1024;
	world->journal->writer.bounds.spare_pages = 64;
	let_it_tidy(world);
	big = size_of(world, "journal.db");
	assert_true(big > 4 * 1024 * 1024);
	assert_int_equal(add(world, &change, 1).status, ERR_LIMIT);
	assert_int_equal(each_pending(world, 1000, end_row, world->journal), 100);
	for (int i = 0; i < 5; i++)
		let_it_tidy(world);
	assert_int_equal(add(world, &change, 1).status, ERR_OK);
	world_reopen(world);
	assert_true(size_of(world, "journal.db") < big / 2);
}

static void the_log_is_put_into_the_file_and_starts_over(void **state)
{
	struct world *world = *state;
	CLEANUP(mem_free) char *extra = mem_new(1, JOURNAL_MAX_EXTRA + 1);

	memset(extra, 'x', JOURNAL_MAX_EXTRA);
	world_must_open(world);
	for (int i = 0; i < 40; i++)
		add_many(world, 20, extra);
	/* 50 MiB have gone through it. */
	assert_true(size_of(world, "journal.db-wal") < 12 * 1024 * 1024);
	world_close(world);
	assert_int_equal(size_of(world, "journal.db-wal"), 0);
}

static void a_reader_that_comes_to_no_end_is_seen_by_the_size_of_the_log(void **state)
{
	struct world *world = *state;
	CLEANUP(mem_free) char *extra = mem_new(1, JOURNAL_MAX_EXTRA + 1);
	char path[400];
	sqlite3 *db = NULL;
	sqlite3_stmt *stmt = NULL;
	struct journal_stats stats = {0};
	int64_t stuck;

	memset(extra, 'x', JOURNAL_MAX_EXTRA);
	world_must_open(world);
	add_many(world, 1, extra);
	(void)snprintf(path, sizeof(path), "%s/journal.db", world->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT * FROM change", -1, &stmt, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	while (stats.log_bytes <= JOURNAL_LOG_LIMIT_BYTES) {
		add_many(world, 50, extra);
		journal_read_stats(world->journal, &stats);
	}
	add_many(world, 100, extra);
	stuck = size_of(world, "journal.db-wal");
	assert_true(journal_is_writable(world->journal));
	(void)sqlite3_finalize(stmt);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	/* It recovers by itself when the reader is gone. */
	add_many(world, 200, extra);
	journal_read_stats(world->journal, &stats);
	assert_true(stats.log_bytes < JOURNAL_LOG_LIMIT_BYTES / 2);
	assert_true(size_of(world, "journal.db-wal") < stuck / 2);
}

/* It is longer when more than 16 MiB are in the log. */
static void an_index_of_the_log_that_can_not_grow_is_no_space(void **state)
{
	struct world *world = *state;
	CLEANUP(mem_free) char *extra = mem_new(1, JOURNAL_MAX_EXTRA + 1);
	char id[16];
	struct journal_change change = sample(id, "refs/heads/main");
	struct told told = {0};
	int n = 0;

	change.env_json = memset(extra, 'x', JOURNAL_MAX_EXTRA);
	world_must_open(world);
	world->journal->writer.bounds.checkpoint_pages = INT_MAX / 2;
	is_index_full = true;
	for (; told.status == ERR_OK && n < 400; n++) {
		(void)snprintf(id, sizeof(id), "i%d", n);
		told = add(world, &change, 1);
	}
	is_index_full = false;
	assert_int_equal(told.status, ERR_UNAVAILABLE);
	assert_false(journal_is_writable(world->journal));
	world_advance(world, 1100);
	journal_collect(world->journal);
	assert_true(journal_is_writable(world->journal));
	assert_int_equal(count_pending(world), n - 1);
	assert_int_equal(add(world, &change, 1).status, ERR_OK);
	world_reopen(world);
	assert_int_equal(count_pending(world), n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(rows_that_have_ended_go_when_their_time_is_over),
		WORLD_TEST(a_jump_of_the_wall_clock_takes_nothing_away),
		WORLD_TEST(where_there_are_too_many_those_that_may_come_again_go_first),
		WORLD_TEST(many_rows_go_in_parts),
		WORLD_TEST(where_too_many_wait_more_are_refused_whole),
		WORLD_TEST(a_big_file_is_bounded_and_gives_room_back),
		WORLD_TEST(the_log_is_put_into_the_file_and_starts_over),
		WORLD_TEST(a_reader_that_comes_to_no_end_is_seen_by_the_size_of_the_log),
		WORLD_TEST(an_index_of_the_log_that_can_not_grow_is_no_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
