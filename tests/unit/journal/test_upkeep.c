#include "world.h"

#include "../faults.h"

#include "journal/core.h"

#include <limits.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define MINUTE_MS 60000

/* The index of the log can't grow: SQLite makes it longer by writing its last byte, and nothing
 * else one byte at a time. */
static bool is_index_full;
static bool is_disk_full;

ssize_t pwrite64(int fd, const void *bytes, size_t n, off_t at);
ssize_t pwrite64(int fd, const void *bytes, size_t n, off_t at)
{
	static ssize_t (*real)(int, const void *, size_t, off_t);

	if (is_disk_full || (is_index_full && n == 1)) {
		errno = ENOSPC;
		return -1;
	}
	if (!real)
		fault_find(&real, "pwrite64");
	return real(fd, bytes, n, at);
}

FAULT(int, fstatat, (int fd, const char *name, struct stat *out, int flags), (fd, name, out, flags),
      -1)

/* What others leave of the disk. */
static int64_t left_bytes = INT64_MAX;
static struct fault fault_fstatvfs;

int fstatvfs(int fd, struct statvfs *out)
{
	static int (*real)(int, struct statvfs *);
	int rc;

	if (fault_hits(&fault_fstatvfs))
		return -1;
	if (!real)
		fault_find(&real, "fstatvfs");
	rc = real(fd, out);
	if (left_bytes < INT64_MAX)
		out->f_bavail = (fsblkcnt_t)left_bytes / out->f_frsize;
	return rc;
}

static int64_t size_of(const struct world *world, const char *name)
{
	char path[400];
	struct stat st = {0};

	(void)snprintf(path, sizeof(path), "%s/%s", world->dir, name);
	return stat(path, &st) == 0 ? st.st_size : 0;
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

static int64_t end_now(struct world *world, const char *namespace_, const char *id,
		       enum journal_state state)
{
	struct journal_change change = sample(id, "refs/heads/main");
	int64_t seq;

	change.namespace_ = namespace_;
	seq = add(world, &change, 1).results[0].seq;
	assert_int_equal(write_state(world, seq, state, "", ""), ERR_OK);
	return seq;
}

/* Nobody whose share is smaller loses one. */
static void where_too_many_have_ended_the_namespace_with_most_loses_its_oldest(void **state)
{
	struct world *world = *state;
	struct journal_stats stats = {0};
	struct journal_limits limits;

	world_must_open(world);
	(void)end_now(world, "depot", "small 1", JOURNAL_STARTED);
	world_advance(world, 1000);
	(void)end_now(world, "shop", "s1", JOURNAL_STARTED);
	(void)end_now(world, "shop", "f1", JOURNAL_FAILED);
	world_advance(world, 1000);
	(void)end_now(world, "shop", "s2", JOURNAL_STARTED);
	(void)end_now(world, "depot", "small 2", JOURNAL_SUPERSEDED);
	(void)end_now(world, "shop", "s3", JOURNAL_STARTED);
	(void)add_one(world, "waits", "refs/heads/main");
	journal_read_limits(world->journal, "shop/cart", &limits);
	assert_int_equal(limits.kept_since_ms, 0);
	world->journal->writer.bounds.max_ended = 4;
	let_it_tidy(world);
	assert_rows(world, "waits s3 small 2 s2 small 1 ");
	journal_read_stats(world->journal, &stats);
	assert_int_equal(stats.rows[JOURNAL_STARTED], 3);
	assert_int_equal(stats.rows[JOURNAL_FAILED], 0);
	assert_int_equal(stats.rows[JOURNAL_ACCEPTED], 1);
	assert_int_equal(stats.n_removed_early, 2);
	journal_read_limits(world->journal, "shop/cart", &limits);
	assert_int_equal(limits.kept_since_ms, START_MS + 1000);
	journal_read_limits(world->journal, "depot/cart", &limits);
	assert_int_equal(limits.kept_since_ms, 0);
	world_advance(world, WINDOW_MS);
	journal_read_limits(world->journal, "shop/cart", &limits);
	assert_int_equal(limits.kept_since_ms, 0);
}

static struct told add_to(struct world *world, const char *key, const char *id, const char *ref,
			  const char *extra)
{
	struct journal_change change = sample(id, ref);
	char namespace_[64];

	(void)snprintf(namespace_, sizeof(namespace_), "%.*s", (int)strcspn(key, "/"), key);
	change.namespace_ = namespace_;
	change.name = key + strcspn(key, "/") + 1;
	change.uid = key;
	change.env_json = extra;
	return add(world, &change, 1);
}

/* Adds changes of refs of their own until one is refused; how many were taken. */
static int flood(struct world *world, const char *key, const char *extra, enum journal_limit limit)
{
	static int last;
	struct told told = {0};
	int n = -1;

	for (; told.status == ERR_OK && n < 110000; n++) {
		char id[16], ref[32];

		(void)snprintf(id, sizeof(id), "f%d", last);
		(void)snprintf(ref, sizeof(ref), "refs/heads/f%d", last++);
		told = add_to(world, key, id, ref, extra);
	}
	assert_int_equal(told.status, ERR_LIMIT);
	assert_int_equal(told.results[0].limit, limit);
	return n;
}

static void of_one_buildconfig_a_thousand_changes_or_16_mib_wait(void **state)
{
	struct world *world = *state;
	CLEANUP(mem_free) char *extra = mem_new(1, JOURNAL_MAX_EXTRA + 1);
	struct journal_change both[] = {sample("both", "refs/heads/a"),
					sample("both", "refs/heads/b")};
	struct journal_change known;
	struct journal_limits limits;

	memset(extra, 'x', JOURNAL_MAX_EXTRA);
	world_must_open(world);
	assert_int_equal(flood(world, "shop/cart", "", JOURNAL_LIMIT_BUILDCONFIG), 1000);
	assert_in_range(flood(world, "shop/till", extra, JOURNAL_LIMIT_BUILDCONFIG), 240, 256);
	assert_true(journal_is_writable(world->journal));
	/* What is there already needs no room; all of a delivery is stored, or nothing. */
	known = sample("f0", "refs/heads/f0");
	known.uid = "shop/cart";
	assert_int_equal(add(world, &known, 1).results[0].added, JOURNAL_DUPLICATE);
	assert_int_equal(write_state(world, 1, JOURNAL_STARTED, "", ""), ERR_OK);
	assert_int_equal(add(world, both, 2).status, ERR_LIMIT);
	assert_int_equal(add(world, both, 1).status, ERR_OK);
	/* Its owner is told; others are not concerned. */
	journal_read_limits(world->journal, "shop/cart", &limits);
	assert_int_equal(limits.limit, JOURNAL_LIMIT_BUILDCONFIG);
	assert_int_equal(limits.n_refused, 2);
	assert_int_equal(limits.refused_ms, START_MS);
	journal_read_limits(world->journal, "shop/other", &limits);
	assert_int_equal(limits.limit, JOURNAL_LIMIT_NONE);
	assert_int_equal(add_to(world, "shop/other", "o1", "r", "").status, ERR_OK);
	world_advance(world, 61LL * MINUTE_MS);
	journal_read_limits(world->journal, "shop/cart", &limits);
	assert_int_equal(limits.limit, JOURNAL_LIMIT_NONE);
	assert_int_equal(add(world, both, 2).status, ERR_LIMIT);
	journal_read_limits(world->journal, "shop/cart", &limits);
	assert_int_equal(limits.n_refused, 1);
}

/* Sixteen namespaces flood a small journal with 32 KB each; a seventeenth is taken. Each of the
 * sixteen has had some, and is told that its share is used up. */
static void each_further_namespace_finds_room(void **state)
{
	struct world *world = *state;
	CLEANUP(mem_free) char *extra = mem_new(1, 32 * 1024);
	int total = 0;

	memset(extra, 'x', 32 * 1024 - 1);
	world->size_bytes = 64 * 1024 * 1024;
	world_must_open(world);
	for (int i = 0; i < 16; i++) {
		char key[32];
		int n;

		(void)snprintf(key, sizeof(key), "tenant-%d/cart", i);
		n = flood(world, key, extra, JOURNAL_LIMIT_NAMESPACE);
		print_message("namespace %d: %d changes\n", i, n);
		assert_true(n > 0);
		total += n;
		let_it_tidy(world);
		assert_true(journal_is_writable(world->journal));
	}
	assert_true(total > 1000);
	for (int i = 0; i < 3; i++) {
		char id[16];

		(void)snprintf(id, sizeof(id), "n%d", i);
		assert_int_equal(add_to(world, "quiet/cart", id, id, extra).status, ERR_OK);
	}
}

/* Of a small change that is replaced by a large one the difference counts. */
static void a_flood_of_larger_changes_of_the_same_refs_is_bounded_too(void **state)
{
	struct world *world = *state;
	CLEANUP(mem_free) char *extra = mem_new(1, JOURNAL_MAX_EXTRA + 1);
	struct told told = {0};
	int n = 0;

	memset(extra, 'x', JOURNAL_MAX_EXTRA);
	world->max_replaced = 1;
	world_must_open(world);
	for (; n < 900; n++) {
		char id[16];

		(void)snprintf(id, sizeof(id), "r%d", n);
		assert_int_equal(add_to(world, "shop/cart", id, id, "").status, ERR_OK);
	}
	for (n = 0; n < 900 && told.status == ERR_OK; n++) {
		char id[16], ref[16];

		(void)snprintf(id, sizeof(id), "s%d", n);
		(void)snprintf(ref, sizeof(ref), "r%d", n);
		told = add_to(world, "shop/cart", id, ref, extra);
	}
	assert_int_equal(told.status, ERR_LIMIT);
	assert_int_equal(told.results[0].limit, JOURNAL_LIMIT_BUILDCONFIG);
	assert_in_range(n, 220, 260);
}

static void what_is_in_the_log_alone_takes_its_room_of_the_disk_later(void **state)
{
	struct world *world = *state;
	const struct journal_writer *writer;
	CLEANUP(mem_free) char *extra = mem_new(1, JOURNAL_MAX_EXTRA + 1);
	int64_t grows;

	memset(extra, 'x', JOURNAL_MAX_EXTRA);
	world_must_open(world);
	writer = &world->journal->writer;
	left_bytes = 40LL * 1024 * 1024;
	for (int i = 0; i < 30; i++) {
		char id[16];

		(void)snprintf(id, sizeof(id), "l%d", i);
		assert_int_equal(add_to(world, "shop/cart", id, id, extra).status, ERR_OK);
	}
	assert_int_equal(journal_writer_measure(&world->journal->writer), SQLITE_OK);
	grows = writer->figures.file_bytes - size_of(world, "journal.db");
	assert_in_range(grows, 1024 * 1024, 2 * 1024 * 1024);
	assert_int_equal(writer->figures.disk_bytes, left_bytes - grows);
	left_bytes = INT64_MAX;
}

/* Between two measurements each row is charged twice. */
static void nobody_is_refused_because_of_an_estimate(void **state)
{
	struct world *world = *state;
	CLEANUP(mem_free) char *extra = mem_new(1, JOURNAL_MAX_EXTRA + 1);
	struct journal_writer *writer;

	memset(extra, 'x', JOURNAL_MAX_EXTRA);
	world_must_open(world);
	writer = &world->journal->writer;
	assert_int_equal(add_to(world, "shop/cart", "a", "a", "").status, ERR_OK);
	assert_int_equal(add_to(world, "shop/cart", "b", "b", "").status, ERR_OK);
	assert_true(writer->is_estimate);
	writer->space.room_bytes = 32 * 1024;
	assert_int_equal(add_to(world, "shop/cart", "c", "c", extra).status, ERR_OK);
	/* As measured. */
	writer->is_estimate = false;
	writer->space.room_bytes = 32 * 1024;
	assert_int_equal(add_to(world, "shop/cart", "d", "d", extra).status, ERR_LIMIT);
}

struct ends {
	int64_t seq[8];
	size_t n;
};

static void keep_end(void *arg, int64_t seq)
{
	struct ends *ends = arg;

	assert_true(ends->n < ARRAY_LEN(ends->seq));
	ends->seq[ends->n++] = seq;
}

/* Two builds may start at once: the oldest one, which may be being started, and two more. */
static void a_change_that_a_newer_one_replaces_ends_at_once(void **state)
{
	struct world *world = *state;
	struct ends ends = {0};
	struct journal_stats stats;
	struct journal_waiting waiting;
	struct told told;
	int64_t first;

	world->max_replaced = 2;
	world->on_superseded = keep_end;
	world->on_superseded_arg = &ends;
	world_must_open(world);
	first = add_one(world, "d1", "refs/heads/main").seq;
	for (int i = 2; i <= 4; i++) {
		char id[16];

		(void)snprintf(id, sizeof(id), "d%d", i);
		(void)add_one(world, id, "refs/heads/main");
	}
	(void)add_one(world, "d5", "refs/heads/next");
	assert_int_equal(ends.n, 1);
	assert_int_equal(ends.seq[0], first + 2);
	world_reopen(world);
	told = add_to(world, "shop/cart", "d6", "refs/heads/next", "");
	assert_int_equal(told.results[0].superseded, 0); /* another BuildConfig's uid */
	(void)add_one(world, "d7", "refs/heads/next");
	assert_int_equal(ends.n, 2);
	assert_int_equal(ends.seq[1], first + 4);
	journal_read_waiting(world->journal, "shop/cart", &waiting);
	assert_int_equal(waiting.n, 5);
	journal_read_stats(world->journal, &stats);
	assert_int_equal(stats.rows[JOURNAL_SUPERSEDED], 2);
	assert_rows(world, "d7 d6 d5 d4 d3 d2 d1 ");
	/* One that is known already replaces nothing. */
	(void)add_one(world, "d2", "refs/heads/main");
	assert_int_equal(ends.n, 2);
}

/* What it replaces makes room for it. */
static void a_change_that_is_replaced_does_not_count(void **state)
{
	struct world *world = *state;

	world->max_replaced = 1;
	world_must_open(world);
	(void)add_to(world, "shop/cart", "a", "refs/heads/a", "");
	(void)add_to(world, "shop/cart", "b", "refs/heads/a", "");
	assert_int_equal(flood(world, "shop/cart", "", JOURNAL_LIMIT_BUILDCONFIG), 998);
	for (int i = 0; i < 100; i++) {
		char id[16];

		(void)snprintf(id, sizeof(id), "m%d", i);
		assert_int_equal(add_to(world, "shop/cart", id, "refs/heads/a", "").status, ERR_OK);
	}
	assert_int_equal(add_to(world, "shop/cart", "other", "refs/heads/other", "").status,
			 ERR_LIMIT);
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
		char namespace_[16];

		spread(&change, namespace_, (size_t)i);
		(void)snprintf(id, sizeof(id), "d%d", i);
		assert_int_not_equal(journal_add(world->journal, &change, 1, NULL, NULL), 0);
	}
	journal_collect(world->journal);
	journal_each_recent(world->journal, 1100, supersede_row, world->journal);
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

static void add_many(struct world *world, int n, const char *extra)
{
	static int last;
	char id[16];
	struct journal_change change = sample(id, "refs/heads/main");

	change.env_json = extra;
	for (int i = 0; i < n; i++) {
		char namespace_[16];

		spread(&change, namespace_, (size_t)last * 5);
		(void)snprintf(id, sizeof(id), "m%d", last++);
		assert_int_equal(add(world, &change, 1).status, ERR_OK);
	}
}

static void end_row(void *arg, const struct journal_change *change)
{
	const struct journal_update update = {.seq = change->seq, .state = JOURNAL_STARTED};

	journal_write(arg, &update, NULL, NULL);
}

/* What has ended makes room for what comes, and in the end the file is small again. */
static void a_full_journal_takes_more_as_soon_as_some_has_ended(void **state)
{
	struct world *world = *state;
	CLEANUP(mem_free) char *extra = mem_new(1, JOURNAL_MAX_EXTRA + 1);
	struct journal_stats stats;
	int64_t big;
	int taken = 0;

	memset(extra, 'x', JOURNAL_MAX_EXTRA);
	world->size_bytes = 16LL * 1024 * 1024;
	world_must_open(world);
	world->journal->writer.bounds.spare_pages = 64;
	for (int round = 0; round < 10; round++) {
		taken += flood(world, "shop/cart", extra, JOURNAL_LIMIT_NAMESPACE);
		(void)each_pending(world, 1000, end_row, world->journal);
		journal_collect(world->journal);
		assert_int_equal(count_pending(world), 0);
	}
	big = size_of(world, "journal.db") + size_of(world, "journal.db-wal");
	assert_true(big < world->size_bytes);
	assert_true(taken > 300);
	journal_read_stats(world->journal, &stats);
	assert_true(stats.n_removed_early > 0);
	assert_true(stats.log_bytes < stats.log_limit_bytes);
	assert_int_equal(stats.log_limit_bytes, 1024 * 1024);
	world_advance(world, WINDOW_MS);
	for (int i = 0; i < 5; i++)
		let_it_tidy(world);
	world_reopen(world);
	assert_true(size_of(world, "journal.db") < 2 * 1024 * 1024);
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

static void a_disk_that_cannot_be_asked_is_as_large_as_the_journal_may_be(void **state)
{
	struct world *world = *state;
	struct journal_writer *writer;

	world->size_bytes = 64LL * 1024 * 1024;
	world_must_open(world);
	writer = &world->journal->writer;
	fault_arm(&fault_fstatvfs, 1, EIO);
	assert_int_equal(journal_writer_measure(writer), SQLITE_OK);
	assert_int_equal(writer->figures.disk_bytes, world->size_bytes);
	assert_int_equal(writer->figures.whole_disk_bytes, world->size_bytes);
	/* There is no log yet, or it cannot be looked at. */
	fault_arm(&fault_fstatat, 1, ENOENT);
	assert_int_equal(journal_writer_measure(writer), SQLITE_OK);
	assert_int_equal(writer->figures.log_bytes, 0);
	assert_int_equal(add_one(world, "d1", "refs/heads/main").added, JOURNAL_NEW);
}

static void an_ordinary_delivery_needs_room_on_the_disk_and_of_what_may_wait(void **state)
{
	struct world *world = *state;
	struct journal_writer *writer;

	world_must_open(world);
	writer = &world->journal->writer;
	assert_true(journal_writer_has_room(writer));
	writer->space.waiting_bytes = 1;
	assert_false(journal_writer_has_room(writer));
	assert_int_equal(journal_writer_measure(writer), SQLITE_OK);
	assert_true(journal_writer_has_room(writer));
	writer->space.room_bytes = 1;
	assert_false(journal_writer_has_room(writer));
}

static int ask_status(struct world *world, const char *id)
{
	struct journal_change change = sample(id, "refs/heads/main");
	struct told told = {0};

	assert_int_not_equal(journal_ask(world->journal, &change, 1, on_added, &told), 0);
	journal_collect(world->journal);
	assert_int_equal(told.n, 1);
	return told.status;
}

/* Nothing of SQLite's has failed: it is told before. */
static void where_others_fill_the_disk_nothing_is_accepted_and_what_waits_ends(void **state)
{
	struct world *world = *state;
	struct journal_change change = sample("more", "refs/heads/main");
	struct journal_limits limits;
	int64_t seq;

	world_must_open(world);
	seq = add_one(world, "d1", "refs/heads/main").seq;
	left_bytes = 0;
	let_it_tidy(world);
	assert_false(journal_is_writable(world->journal));
	assert_null(journal_failure(world->journal));
	assert_int_equal(add(world, &change, 1).status, ERR_UNAVAILABLE);
	journal_read_limits(world->journal, "shop/cart", &limits);
	assert_int_equal(limits.limit, JOURNAL_LIMIT_DISK);
	/* A question is answered from what is there. */
	assert_int_equal(ask_status(world, "d1"), ERR_OK);
	assert_int_equal(ask_status(world, "more"), ERR_LIMIT);
	assert_int_equal(write_state(world, seq, JOURNAL_STARTED, "cart-1", ""), ERR_OK);
	assert_rows(world, "d1 ");

	left_bytes = INT64_MAX;
	world_advance(world, 1100);
	journal_collect(world->journal);
	assert_true(journal_is_writable(world->journal));
	assert_int_equal(add(world, &change, 1).status, ERR_OK);
}

/* They are written a few at a time. */
static void many_ends_for_which_there_was_no_room_are_written_when_there_is(void **state)
{
	struct world *world = *state;
	struct journal_stats stats;

	world_must_open(world);
	for (int i = 1; i <= 20; i++) {
		char id[16];

		(void)snprintf(id, sizeof(id), "d%d", i);
		assert_int_equal(add_one(world, id, id).seq, i);
	}
	is_disk_full = true;
	for (int i = 1; i <= 20; i++)
		assert_int_equal(write_state(world, i, JOURNAL_STARTED, "cart-1", ""), ERR_LIMIT);
	is_disk_full = false;
	journal_read_stats(world->journal, &stats);
	assert_int_equal(stats.rows[JOURNAL_STARTED], 0);
	world_advance(world, 1100);
	journal_collect(world->journal);
	assert_true(journal_is_writable(world->journal));
	world_reopen(world);
	journal_read_stats(world->journal, &stats);
	assert_int_equal(stats.rows[JOURNAL_STARTED], 20);
	assert_int_equal(count_pending(world), 0);
}

static bool is_told_of_cut(struct world *world, size_t i)
{
	struct journal_limits limits;
	char key[40];

	(void)snprintf(key, sizeof(key), "n%zu/cart", i);
	journal_read_limits(world->journal, key, &limits);
	return limits.kept_since_ms != 0;
}

static void end_one_of_each(struct world *world, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char namespace_[32], id[64];

		(void)snprintf(namespace_, sizeof(namespace_), "n%zu", i);
		(void)snprintf(id, sizeof(id), "%s at %lld", namespace_, (long long)world->mono_ms);
		(void)end_now(world, namespace_, id, JOURNAL_STARTED);
	}
}

static void of_more_than_eight_namespaces_that_lose_rows_the_others_are_told_next(void **state)
{
	struct world *world = *state;
	size_t n_told = 0;

	world_must_open(world);
	world->journal->writer.bounds.max_ended = 0;
	end_one_of_each(world, 12);
	let_it_tidy(world);
	assert_rows(world, "");
	for (size_t i = 0; i < 12; i++)
		n_told += is_told_of_cut(world, i);
	assert_int_equal(n_told, 8);
	/* Also where one of them loses some twice. */
	for (size_t i = 0; i < 12; i++) {
		end_one_of_each(world, 1);
		if (is_told_of_cut(world, i))
			continue;
		char namespace_[32];
		(void)snprintf(namespace_, sizeof(namespace_), "n%zu", i);
		(void)end_now(world, namespace_, namespace_, JOURNAL_STARTED);
		let_it_tidy(world);
		assert_true(is_told_of_cut(world, i));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_disk_that_cannot_be_asked_is_as_large_as_the_journal_may_be),
		WORLD_TEST(an_ordinary_delivery_needs_room_on_the_disk_and_of_what_may_wait),
		WORLD_TEST(where_others_fill_the_disk_nothing_is_accepted_and_what_waits_ends),
		WORLD_TEST(many_ends_for_which_there_was_no_room_are_written_when_there_is),
		WORLD_TEST(of_more_than_eight_namespaces_that_lose_rows_the_others_are_told_next),
		WORLD_TEST(rows_that_have_ended_go_when_their_time_is_over),
		WORLD_TEST(a_jump_of_the_wall_clock_takes_nothing_away),
		WORLD_TEST(where_too_many_have_ended_the_namespace_with_most_loses_its_oldest),
		WORLD_TEST(of_one_buildconfig_a_thousand_changes_or_16_mib_wait),
		WORLD_TEST(each_further_namespace_finds_room),
		WORLD_TEST(a_flood_of_larger_changes_of_the_same_refs_is_bounded_too),
		WORLD_TEST(what_is_in_the_log_alone_takes_its_room_of_the_disk_later),
		WORLD_TEST(nobody_is_refused_because_of_an_estimate),
		WORLD_TEST(a_change_that_a_newer_one_replaces_ends_at_once),
		WORLD_TEST(a_change_that_is_replaced_does_not_count),
		WORLD_TEST(many_rows_go_in_parts),
		WORLD_TEST(a_full_journal_takes_more_as_soon_as_some_has_ended),
		WORLD_TEST(the_log_is_put_into_the_file_and_starts_over),
		WORLD_TEST(a_reader_that_comes_to_no_end_is_seen_by_the_size_of_the_log),
		WORLD_TEST(an_index_of_the_log_that_can_not_grow_is_no_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
