#define _GNU_SOURCE
#include "world.h"

#include "files.h"

#include "journal/core.h"

#include "base/buf.h"

#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define USED_BYTES (16 * 4096)

static void assert_refused(struct world *world, const char *why)
{
	struct err err = {0};

	assert_int_equal(world_open(world, &err), ERR_INVALID);
	assert_null(world->journal);
	if (!strstr(err.msg, why) || !strstr(err.msg, " && mv journal.db journal.db.bad"))
		fail_msg("\"%s\" says nothing of \"%s\"", err.msg, why);
}

static void run_sql(const struct world *world, const char *name, const char *sql)
{
	char path[PATH_MAX];
	sqlite3 *db = NULL;

	path_of(path, world, name);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void the_folder_is_made_for_its_owner_alone_with_those_above_it(void **state)
{
	struct world *world = *state;
	struct stat st = {0};
	char path[PATH_MAX];

	(void)snprintf(world->dir, sizeof(world->dir), "%s/a/b/", world->base);
	world_must_open(world);
	assert_int_equal(stat(world->dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	for (size_t i = 0; i < 4; i++) {
		static const char *const names[] = {"journal.db", "journal.db-wal",
						    "journal.db-shm", "lock"};

		path_of(path, world, names[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
	assert_false(is_there(world, "journal.db.new"));
}

static void a_folder_that_others_may_use_is_refused(void **state)
{
	static const mode_t modes[] = {0777, 0750, 0701, 02770, 0704};
	struct world *world = *state;

	assert_int_equal(mkdir(world->dir, 0700), 0);
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		struct err err = {0};

		assert_int_equal(chmod(world->dir, modes[i]), 0);
		assert_int_equal(world_open(world, &err), ERR_DENIED);
		assert_non_null(strstr(err.msg, "chmod 700"));
		assert_false(is_there(world, "journal.db"));
	}
}

static void a_folder_of_another_owner_is_refused(void **state)
{
	struct world *world = *state;
	struct err err = {0};

	if (geteuid() != 0)
		skip();
	assert_int_equal(mkdir(world->dir, 0700), 0);
	assert_int_equal(chown(world->dir, 12345, 12345), 0);
	assert_int_equal(world_open(world, &err), ERR_DENIED);
	assert_non_null(strstr(err.msg, "12345"));
	assert_non_null(strstr(err.msg, "chown"));
}

static void what_is_no_folder_is_refused(void **state)
{
	struct world *world = *state;
	struct err err = {0};

	(void)snprintf(world->dir, sizeof(world->dir), "/dev/null");
	assert_int_equal(world_open(world, &err), ERR_DENIED);
	(void)snprintf(world->dir, sizeof(world->dir), "/dev/null/data");
	assert_int_equal(world_open(world, &err), ERR_DENIED);
	(void)snprintf(world->dir, sizeof(world->dir), "/dev/null/a/data");
	assert_int_equal(world_open(world, &err), ERR_DENIED);
}

/* It is others' also: of root, and open to them. */
static void the_root_folder_is_refused(void **state)
{
	struct world *world = *state;
	struct err err = {0};

	(void)snprintf(world->dir, sizeof(world->dir), "//");
	assert_int_equal(world_open(world, &err), ERR_DENIED);
	assert_non_null(strstr(err.msg, "name a subfolder of it"));
}

static void a_folder_without_a_name_is_refused(void **state)
{
	struct world *world = *state;
	struct err err = {0};

	world->dir[0] = '\0';
	assert_int_equal(world_open(world, &err), ERR_UNAVAILABLE);
	assert_non_null(strstr(err.msg, "make the data folder"));
}

static void a_lock_that_is_none_is_refused(void **state)
{
	struct world *world = *state;
	struct err err = {0};
	char path[PATH_MAX];

	assert_int_equal(mkdir(world->dir, 0700), 0);
	path_of(path, world, "lock");
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(world_open(world, &err), ERR_UNAVAILABLE);
	assert_non_null(strstr(err.msg, "open the lock in"));
}

static void the_folder_may_be_named_from_where_one_is(void **state)
{
	struct world *world = *state;
	char dir[sizeof(world->dir)];
	char here[PATH_MAX];

	memcpy(dir, world->dir, sizeof(dir));
	assert_non_null(getcwd(here, sizeof(here)));
	assert_int_equal(chdir(world->base), 0);
	(void)snprintf(world->dir, sizeof(world->dir), "data");
	make_journal(world, 1);
	assert_int_equal(chdir(here), 0);
	memcpy(world->dir, dir, sizeof(dir));
	world_must_open(world);
	assert_int_equal(count_pending(world), 1);
}

/* The Nth descriptor that is wanted cannot be had. Returns how many it takes. */
static int open_without_descriptors(struct world *world)
{
	struct rlimit limit;
	rlim_t before;
	int rc = ERR_UNAVAILABLE;
	int n = 0;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	before = limit.rlim_cur;
	for (; rc != ERR_OK; n++) {
		struct err err = {0};
		int lowest = dup(0);

		assert_true(lowest >= 0 && n < 32);
		(void)close(lowest);
		limit.rlim_cur = (rlim_t)(lowest + n);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		rc = world_open(world, &err);
		limit.rlim_cur = before;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		if (rc != ERR_OK && rc != ERR_UNAVAILABLE)
			fail_msg("%d descriptors: %s", n, err.msg);
	}
	world_close(world);
	return n;
}

static void without_descriptors_it_does_not_start_and_blames_no_file(void **state)
{
	struct world *world = *state;

	assert_true(open_without_descriptors(world) > 3);
	make_journal(world, 3);
	assert_true(open_without_descriptors(world) > 3);
	world_must_open(world);
	assert_int_equal(count_pending(world), 3);
}

static void a_second_process_is_refused_and_told_who_has_it(void **state)
{
	struct world *world = *state;
	struct world second = *world;
	struct err err = {0};
	char pid[32];

	make_journal(world, 1);
	world_must_open(world);
	(void)snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
	assert_int_equal(world_open(&second, &err), ERR_EXISTS);
	assert_non_null(strstr(err.msg, pid));
	/* And does no harm. */
	(void)add_one(world, "new", "refs/heads/main");
	world_reopen(world);
	assert_int_equal(count_pending(world), 2);
}

static void a_killed_process_leaves_no_lock(void **state)
{
	struct world *world = *state;
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		world_must_open(world);
		(void)add_one(world, "d1", "refs/heads/main");
		_exit(7);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), 7);
	world_must_open(world);
	assert_int_equal(count_pending(world), 1);
}

static void a_file_that_is_no_journal_is_refused_and_left_alone(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		const char *why;
	} cases[] = {
		{"", 0, "not an SQLite file"},
		{"hello", 5, "not an SQLite file"},
		{"SQLite format 3", 16, "not an SQLite file"},
		{NULL, 8192, "not an SQLite file"},
	};
	struct world *world = *state;
	CLEANUP(mem_free) char *zeros = mem_new(1, 8192);

	assert_int_equal(mkdir(world->dir, 0700), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct image before = {(unsigned char *)(cases[i].bytes ? cases[i].bytes : zeros),
				       cases[i].n};

		store(world, "journal.db", before.bytes, before.n);
		assert_refused(world, cases[i].why);
		assert_same_file(world, "journal.db", &before);
	}
}

static void what_is_no_file_is_refused_and_not_waited_for(void **state)
{
	struct world *world = *state;
	struct err err = {0};
	char path[PATH_MAX];

	assert_int_equal(mkdir(world->dir, 0700), 0);
	path_of(path, world, "journal.db");
	assert_int_equal(mkdir(path, 0700), 0);
	assert_refused(world, "not an SQLite file");
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_refused(world, "not an SQLite file");
	assert_int_equal(unlink(path), 0);
	/* Whoever could put a link there could have it point at what is not theirs. */
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(world_open(world, &err), ERR_DENIED);
}

static void also_in_a_folder_with_a_long_name_the_message_says_what_to_do(void **state)
{
	struct world *world = *state;
	char name[200];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	(void)snprintf(world->dir, sizeof(world->dir), "%s/%s", world->base, name);
	make_journal(world, 1);
	store(world, "journal.db", "hello", 5);
	assert_refused(world, "not an SQLite file");
}

static void another_programs_file_is_refused_and_left_alone(void **state)
{
	struct world *world = *state;

	assert_int_equal(mkdir(world->dir, 0700), 0);
	for (int is_wal = 0; is_wal < 2; is_wal++) {
		CLEANUP(release_image) struct image before = {0};

		drop(world, "journal.db");
		run_sql(world, "journal.db",
			is_wal ? "PRAGMA journal_mode=WAL; CREATE TABLE t (a)"
			       : "PRAGMA application_id=77; CREATE TABLE t (a)");
		before = load(world, "journal.db");
		assert_refused(world, "another program's file");
		assert_same_file(world, "journal.db", &before);
	}
}

static void a_newer_journal_is_refused_and_left_alone(void **state)
{
	struct world *world = *state;
	CLEANUP(release_image) struct image before = {0};

	make_journal(world, 3);
	run_sql(world, "journal.db", "PRAGMA user_version=3");
	before = load(world, "journal.db");
	assert_refused(world, "newer version");
	assert_same_file(world, "journal.db", &before);
}

/* A journal whose file is as it was before SQL, and whose log alone has what that wrote. */
static struct image leave_in_the_log(struct world *world, const char *sql, struct image *log)
{
	struct image before;
	char path[PATH_MAX];
	sqlite3 *db = NULL;

	path_of(path, world, "journal.db");
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	before = load(world, "journal.db");
	*log = load(world, "journal.db-wal");
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	store(world, "journal.db", before.bytes, before.n);
	store(world, "journal.db-wal", log->bytes, log->n);
	return before;
}

static void assert_not_read(struct world *world, const char *why)
{
	struct err err = {0};

	assert_int_equal(journal_read_file(world->dir, 9, count, NULL, &err), ERR_INVALID);
	assert_non_null(strstr(err.msg, why));
}

/* The version may still be in the log alone, after a newer program was killed. */
static void what_is_not_ours_is_noticed_by_its_log_and_left_alone(void **state)
{
	static const struct {
		const char *sql;
		const char *why;
	} cases[] = {
		{"PRAGMA user_version=9", "newer version"},
		{"PRAGMA user_version=0", "damaged: no version"},
		{"PRAGMA application_id=77", "another program's file"},
	};
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(release_image) struct image before = {0};
		CLEANUP(release_image) struct image log = {0};

		(void)snprintf(world->dir, sizeof(world->dir), "%s/%zu", world->base, i);
		make_journal(world, 3);
		before = leave_in_the_log(world, cases[i].sql, &log);
		assert_not_read(world, cases[i].why);
		assert_refused(world, cases[i].why);
		assert_same_file(world, "journal.db", &before);
		assert_same_file(world, "journal.db-wal", &log);
	}
}

static void one_set_aside_as_the_message_says_makes_room_for_an_empty_one(void **state)
{
	struct world *world = *state;
	CLEANUP(release_image) struct image log = {0};
	char from[PATH_MAX];
	char to[PATH_MAX];

	/* With a log that belongs to it, as after a kill: it must not get into the next one. */
	make_journal(world, 3);
	world_must_open(world);
	(void)add_one(world, "more", "refs/heads/main");
	log = load(world, "journal.db-wal");
	assert_true(log.n > 0);
	world_close(world);
	store(world, "journal.db-wal", log.bytes, log.n);

	path_of(from, world, "journal.db");
	path_of(to, world, "journal.db.bad");
	assert_int_equal(rename(from, to), 0);
	world_must_open(world);
	assert_int_equal(count_pending(world), 0);
	(void)add_one(world, "d1", "refs/heads/main");
	world_reopen(world);
	assert_int_equal(count_pending(world), 1);
	assert_same_file(world, "journal.db-wal.old", &log);
}

static void what_a_killed_creation_left_is_no_hindrance(void **state)
{
	struct world *world = *state;

	assert_int_equal(mkdir(world->dir, 0700), 0);
	store(world, "journal.db.new", "half", 4);
	store(world, "journal.db.new-journal", "half", 4);
	world_must_open(world);
	assert_false(is_there(world, "journal.db.new"));
	assert_false(is_there(world, "journal.db.new-journal"));
}

/* What it would not have made itself is not taken away. */
static void a_folder_in_the_way_of_a_new_journal_is_named(void **state)
{
	struct world *world = *state;
	struct err err = {0};
	char path[PATH_MAX];

	assert_int_equal(mkdir(world->dir, 0700), 0);
	path_of(path, world, "journal.db.new");
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(world_open(world, &err), ERR_UNAVAILABLE);
	assert_non_null(strstr(err.msg, "journal.db.new"));
	assert_true(is_there(world, "journal.db.new"));
}

/* A journal of the other kind, which SQLite would roll the file back with. */
static void a_rollback_journal_beside_it_is_not_carried_out(void **state)
{
	struct world *world = *state;
	CLEANUP(release_image) struct image file = {0};
	char other[1024];

	memset(other, 'x', sizeof(other));
	make_journal(world, 3);
	file = load(world, "journal.db");
	store(world, "journal.db-journal", other, sizeof(other));
	assert_refused(world, "can't be read");
	assert_same_file(world, "journal.db", &file);
	drop(world, "journal.db-journal");
	world_must_open(world);
	assert_int_equal(count_pending(world), 3);
}

/* At byte 47, sqlite.org/fileformat.html, "schema format number": 4 at most. */
static void a_file_of_a_format_that_there_is_not_is_damage(void **state)
{
	struct world *world = *state;
	CLEANUP(release_image) struct image file = {0};

	make_journal(world, 3);
	file = load(world, "journal.db");
	file.bytes[47] ^= 0x10;
	store(world, "journal.db", file.bytes, file.n);
	assert_refused(world, "unsupported file format");
	assert_same_file(world, "journal.db", &file);
}

/* As bits fall over where the tables are described, and leave SQL that is right. */
static void tables_that_are_not_as_they_were_made_are_damage(void **state)
{
	static const char *const changes[] = {
		"replace(sql, 'state < 2', 'state < 3') WHERE name = 'pending'",
		"replace(sql, 'AND 5', 'AND 1') WHERE name = 'change'",
		"replace(sql, 'filler', 'giller') WHERE name = 'probe'",
	};
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		char sql[256];

		(void)snprintf(world->dir, sizeof(world->dir), "%s/%zu", world->base, i);
		(void)snprintf(sql, sizeof(sql),
			       "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = %s",
			       changes[i]);
		make_journal(world, 1);
		run_sql(world, "journal.db", sql);
		assert_refused(world, "damaged: its tables");
	}
}

/* VACUUM puts the tables before the indexes, ANALYZE adds one. */
static void what_an_admin_may_do_to_it_is_no_damage(void **state)
{
	struct world *world = *state;

	make_journal(world, 3);
	run_sql(world, "journal.db", "VACUUM");
	world_must_open(world);
	world_close(world);
	run_sql(world, "journal.db", "ANALYZE");
	world_must_open(world);
	assert_int_equal(count_pending(world), 3);
}

static void damage_is_noticed_also_where_there_is_no_log(void **state)
{
	struct world *world = *state;
	CLEANUP(release_image) struct image file = {0};

	make_journal(world, 3);
	run_sql(world, "journal.db", "PRAGMA journal_mode=DELETE");
	file = load(world, "journal.db");
	assert_true(file.n > 4 * 4096);
	memset(file.bytes + 3 * 4096, 0, 4096); /* an index */
	store(world, "journal.db", file.bytes, file.n);
	assert_refused(world, "damaged");
	assert_same_file(world, "journal.db", &file);
}

static void compare_delivery(void *arg, const struct journal_change *change)
{
	int *seen = arg;
	char id[16];

	(void)snprintf(id, sizeof(id), "d%d", (*seen)++);
	assert_string_equal(change->delivery_id, id);
	assert_string_equal(change->ref, "refs/heads/main");
}

/*
 * One bit of the file falls over. Either it is noticed, and the file stays as it is, or it is in a
 * byte that means nothing, and all that waits is there.
 */
static void a_flipped_bit_is_noticed_or_means_nothing(void **state)
{
	struct world *world = *state;
	CLEANUP(release_image) struct image sound = {0};
	const int n_rows = 40;
	int noticed = 0;
	int tries = 0;

	make_journal(world, n_rows);
	sound = load(world, "journal.db");
	/* Behind that are free pages alone. */
	sound.n = sound.n < USED_BYTES ? sound.n : USED_BYTES;
	for (size_t at = 0; at < sound.n; at += is_long() || at < 112 ? 1 : 151, tries++) {
		struct err err = {0};
		int rc;

		sound.bytes[at] ^= (unsigned char)(1 << at % 8);
		store(world, "journal.db", sound.bytes, sound.n);
		rc = world_open(world, &err);
		if (rc == ERR_OK) {
			int seen = 0;

			(void)each_pending(world, SIZE_MAX, compare_delivery, &seen);
			if (seen != n_rows || journal_failure(world->journal))
				fail_msg("byte %zu: %d rows, %s", at, seen,
					 journal_failure(world->journal));
			world_close(world);
		} else {
			noticed++;
			if (rc != ERR_INVALID)
				fail_msg("byte %zu: %s", at, err.msg);
			assert_same_file(world, "journal.db", &sound);
		}
		sound.bytes[at] ^= (unsigned char)(1 << at % 8);
		drop(world, "journal.db-wal");
		drop(world, "journal.db-shm");
	}
	/* The rest are in pages that are half empty. */
	if (noticed < tries / 8)
		fail_msg("%d of %d noticed", noticed, tries);
	print_message("%d of %d", noticed, tries);
}

/* What a kill or a power loss leaves of the log: its beginning. Commits that are whole in it are
 * there. */
static void a_torn_log_loses_only_its_end(void **state)
{
	struct world *world = *state;
	CLEANUP(release_image) struct image file = {0};
	CLEANUP(release_image) struct image log = {0};
	size_t commits[8]; /* size of the log after each */
	int last_rows = -1;

	make_journal(world, 1);
	world_must_open(world);
	for (size_t i = 0; i < ARRAY_LEN(commits); i++) {
		char id[16];

		(void)snprintf(id, sizeof(id), "d%zu", i + 1);
		(void)add_one(world, id, "refs/heads/main");
		commits[i] = 32 + (size_t)world->journal->writer.log_pages * (24 + 4096);
	}
	file = load(world, "journal.db");
	log = load(world, "journal.db-wal");
	log.n = commits[ARRAY_LEN(commits) - 1];
	world_close(world);

	for (size_t n = log.n; n > log.n - 4096; n -= is_long() ? 1 : 31) {
		size_t whole = 0;
		int seen = 0;

		while (whole < ARRAY_LEN(commits) && commits[whole] <= n)
			whole++;
		store(world, "journal.db", file.bytes, file.n);
		store(world, "journal.db-wal", log.bytes, n);
		world_must_open(world);
		(void)each_pending(world, SIZE_MAX, compare_delivery, &seen);
		assert_int_equal(seen, 1 + whole);
		last_rows = seen;
		world_close(world);
	}
	assert_int_equal(last_rows, ARRAY_LEN(commits));
}

static void make_many(struct world *world, int n)
{
	world_must_open(world);
	for (int i = 0; i < n; i++) {
		char id[16];
		struct journal_change change = sample(id, "refs/heads/main");
		char namespace_[16];

		spread(&change, namespace_, (size_t)i);
		(void)snprintf(id, sizeof(id), "d%d", i);
		assert_int_not_equal(journal_add(world->journal, &change, 1, NULL, NULL), 0);
		if (i % 1000 == 999)
			journal_collect(world->journal);
	}
	world_close(world);
}

/* Every column of every row, with nothing done about it. */
static int64_t time_of_reading(const struct world *world)
{
	int64_t start_ms = clock_real_mono_ms(NULL);
	sqlite3_stmt *stmt = NULL;
	sqlite3 *db = NULL;
	char path[PATH_MAX];
	int n = 0;

	path_of(path, world, "journal.db");
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT * FROM change", -1, &stmt, NULL),
			 SQLITE_OK);
	for (; sqlite3_step(stmt) == SQLITE_ROW; n++)
		for (int i = 0; i < sqlite3_column_count(stmt); i++)
			(void)sqlite3_column_text(stmt, i);
	assert_int_not_equal(n, 0);
	assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return clock_real_mono_ms(NULL) - start_ms;
}

static int64_t time_of_opening(struct world *world)
{
	int64_t start_ms = clock_real_mono_ms(NULL);
	int64_t ms;

	world_must_open(world);
	ms = clock_real_mono_ms(NULL) - start_ms;
	world_close(world);
	return ms;
}

/* The best of each of three, for whatever else the machine does. */
static void very_many_that_wait_are_no_obstacle(void **state)
{
	/* Of 100,000 that may wait, the last eighth is not for namespaces with so many. */
	const int n = is_long() ? 80000 : 10000;
	struct world *world = *state;
	int64_t reading_ms = INT64_MAX;
	int64_t opening_ms = INT64_MAX;
	size_t n_rows = 0;

	make_many(world, n);
	for (int i = 0; i < 3; i++) {
		int64_t read_ms = time_of_reading(world);
		int64_t open_ms = time_of_opening(world);

		reading_ms = read_ms < reading_ms ? read_ms : reading_ms;
		opening_ms = open_ms < opening_ms ? open_ms : opening_ms;
	}
	print_message("%d rows: read in %lld ms, opened in %lld ms\n", n, (long long)reading_ms,
		      (long long)opening_ms);
	assert_true(opening_ms <= 60 * (reading_ms + 1));
	world_must_open(world);
	journal_each_recent(world->journal, SIZE_MAX, count_row, &n_rows);
	assert_int_equal(n_rows, n);
}

/* tests/data/journal: 12 rows in all states, made by the program that had the first layout. */
static void use_version_1(struct world *world)
{
	char command[PATH_MAX + 64];

	assert_int_equal(mkdir(world->dir, 0700), 0);
	(void)snprintf(command, sizeof(command),
		       "install -m 600 tests/data/journal/version-1.db %s/journal.db", world->dir);
	assert_int_equal(system(command), 0);
}

static void put_row(void *arg, const struct journal_change *row)
{
	struct buf *out = arg;

	buf_printf(out, "%s %s %s/%s %s %s%s%s;", row->delivery_id, journal_state_name(row->state),
		   row->namespace_, row->name, row->ref, row->build, row->env_json,
		   row->options_json);
}

static void a_journal_of_the_first_layout_is_read_and_brought_up_to_date(void **state)
{
	static const char newest[] = "d11 started shop/cart refs/heads/5 cart-11;"
				     "d10 accepted shop/till refs/heads/4 ;";
	static const char with_extra[] = "d8 accepted shop/till refs/heads/2 "
					 "[{\"name\":\"A\",\"value\":\"1\"}]{\"noCache\":true};";
	struct world *world = *state;
	CLEANUP(buf_release) struct buf before = BUF_INIT(4096);
	CLEANUP(buf_release) struct buf after = BUF_INIT(4096);
	CLEANUP(mem_free) char *extra = mem_new(1, 1001);
	struct journal_change change = sample("new", "refs/heads/main");
	struct journal_waiting waiting;
	struct journal_stats stats;
	struct err err = {0};

	use_version_1(world);
	assert_int_equal(journal_read_file(world->dir, SIZE_MAX, put_row, &before, &err), ERR_OK);
	assert_int_equal(strncmp(before.data, newest, strlen(newest)), 0);
	assert_non_null(strstr(before.data, with_extra));
	world_must_open(world);
	journal_each_recent(world->journal, SIZE_MAX, put_row, &after);
	assert_string_equal(after.data, before.data);
	journal_read_stats(world->journal, &stats);
	assert_int_equal(stats.rows[JOURNAL_STARTED], 4);
	journal_read_waiting(world->journal, "shop/till", &waiting);
	assert_int_equal(waiting.n, 3);
	/* It is used as any other: what waits can end, and what comes is stored with all it has. */
	assert_int_equal(write_state(world, waiting.seq, JOURNAL_STARTED, "till-9", ""), ERR_OK);
	change.env_json = memset(extra, 'x', 1000);
	change.before = "3f2a";
	(void)add(world, &change, 1);
	for (int i = 0; i < 2; i++) {
		CLEANUP(release_kept) struct kept kept = {0};

		journal_each_recent(world->journal, 1, keep, &kept);
		assert_string_equal(kept.rows[0]->env_json, extra);
		assert_string_equal(kept.rows[0]->before, "3f2a");
		world_reopen(world);
	}
}

/* One of the first layout may be damaged, too. */
static void a_damaged_journal_of_the_first_layout_is_left_alone(void **state)
{
	struct world *world = *state;
	CLEANUP(release_image) struct image image = {0};
	unsigned char *at;

	use_version_1(world);
	image = load(world, "journal.db");
	at = memmem(image.bytes, image.n, "refs/heads/3", 12);
	assert_non_null(at);
	at[11] ^= 1;
	store(world, "journal.db", image.bytes, image.n);
	assert_refused(world, "damaged: row");
	assert_same_file(world, "journal.db", &image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(the_folder_is_made_for_its_owner_alone_with_those_above_it),
		WORLD_TEST(a_folder_that_others_may_use_is_refused),
		WORLD_TEST(a_folder_of_another_owner_is_refused),
		WORLD_TEST(what_is_no_folder_is_refused),
		WORLD_TEST(the_root_folder_is_refused),
		WORLD_TEST(a_folder_without_a_name_is_refused),
		WORLD_TEST(a_lock_that_is_none_is_refused),
		WORLD_TEST(the_folder_may_be_named_from_where_one_is),
		WORLD_TEST(without_descriptors_it_does_not_start_and_blames_no_file),
		WORLD_TEST(a_second_process_is_refused_and_told_who_has_it),
		WORLD_TEST(a_killed_process_leaves_no_lock),
		WORLD_TEST(a_file_that_is_no_journal_is_refused_and_left_alone),
		WORLD_TEST(what_is_no_file_is_refused_and_not_waited_for),
		WORLD_TEST(also_in_a_folder_with_a_long_name_the_message_says_what_to_do),
		WORLD_TEST(another_programs_file_is_refused_and_left_alone),
		WORLD_TEST(a_newer_journal_is_refused_and_left_alone),
		WORLD_TEST(what_is_not_ours_is_noticed_by_its_log_and_left_alone),
		WORLD_TEST(one_set_aside_as_the_message_says_makes_room_for_an_empty_one),
		WORLD_TEST(what_a_killed_creation_left_is_no_hindrance),
		WORLD_TEST(a_folder_in_the_way_of_a_new_journal_is_named),
		WORLD_TEST(a_rollback_journal_beside_it_is_not_carried_out),
		WORLD_TEST(a_file_of_a_format_that_there_is_not_is_damage),
		WORLD_TEST(tables_that_are_not_as_they_were_made_are_damage),
		WORLD_TEST(what_an_admin_may_do_to_it_is_no_damage),
		WORLD_TEST(damage_is_noticed_also_where_there_is_no_log),
		WORLD_TEST(a_flipped_bit_is_noticed_or_means_nothing),
		WORLD_TEST(a_torn_log_loses_only_its_end),
		WORLD_TEST(very_many_that_wait_are_no_obstacle),
		WORLD_TEST(a_journal_of_the_first_layout_is_read_and_brought_up_to_date),
		WORLD_TEST(a_damaged_journal_of_the_first_layout_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
