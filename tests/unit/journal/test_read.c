#include "world.h"

#include "files.h"

#include <sys/stat.h>
#include <sys/wait.h>

static struct journal_add_result add_of(struct world *world, const char *name,
					const char *delivery_id)
{
	struct journal_change change = sample(delivery_id, "refs/heads/main");
	struct told told;

	change.name = name;
	told = add(world, &change, 1);
	assert_int_equal(told.status, ERR_OK);
	return told.results[0];
}

static void what_waits_is_known_by_buildconfig_in_order(void **state)
{
	struct world *world = *state;
	CLEANUP(release_kept) struct kept kept = {0};
	struct journal_waiting waiting;
	int64_t seq;

	world_must_open(world);
	(void)add_of(world, "cart", "d1");
	seq = add_of(world, "cart", "d2").seq;
	(void)add_of(world, "other", "d3");
	(void)add_of(world, "cart", "d4");
	(void)add_of(world, "cart", "d5");
	assert_int_equal(write_state(world, seq, JOURNAL_STARTED, "cart-1", ""), ERR_OK);
	assert_int_equal(each_pending(world, 2, keep, &kept), 2);
	assert_string_equal(kept.rows[0]->delivery_id, "d1");
	assert_string_equal(kept.rows[1]->delivery_id, "d4");
	journal_read_waiting(world->journal, "shop/none", &waiting);
	assert_int_equal(waiting.n, 0);
	journal_each_waiting(world->journal, "shop/none", 0, keep_seq, NULL);
}

static void read_cart(struct world *world, struct journal_waiting *out)
{
	journal_read_waiting(world->journal, "shop/cart", out);
}

/* As told, as read at a start, and by the BuildConfig's uid. */
static void the_oldest_of_what_waits_is_known_with_what_replaces_it(void **state)
{
	struct world *world = *state;
	struct journal_change other = sample("d3", "refs/heads/main");
	struct journal_waiting waiting;
	int64_t first, second;

	world_must_open(world);
	other.uid = "another";
	(void)add(world, &other, 1);
	first = add_one(world, "d1", "refs/heads/next").seq;
	second = add_one(world, "d2", "refs/heads/main").seq;
	read_cart(world, &waiting);
	assert_int_equal(waiting.n, 3);
	assert_false(waiting.is_replaced);
	assert_int_equal(waiting.newest_seq, second);
	assert_int_equal(write_state(world, waiting.seq, JOURNAL_FAILED, "", ""), ERR_OK);
	(void)add_one(world, "d4", "refs/heads/next");
	for (int i = 0; i < 2; i++) {
		read_cart(world, &waiting);
		assert_int_equal(waiting.seq, first);
		assert_true(waiting.is_replaced);
		assert_false(waiting.is_starting);
		world_reopen(world);
	}
	assert_int_equal(write_state(world, first, JOURNAL_STARTING, "", ""), ERR_OK);
	for (int i = 0; i < 2; i++) {
		read_cart(world, &waiting);
		assert_true(waiting.is_starting);
		world_reopen(world);
	}
	assert_int_equal(write_state(world, first, JOURNAL_STARTED, "", ""), ERR_OK);
	read_cart(world, &waiting);
	assert_int_equal(waiting.seq, second);
	assert_false(waiting.is_replaced);
	assert_null(journal_read_row(world->journal, second + 100));
}

static void what_is_newer_than_one_is_told_newest_first(void **state)
{
	struct world *world = *state;
	CLEANUP(release_seqs) struct seqs seqs = {0};
	int64_t first;

	world_must_open(world);
	first = add_one(world, "d1", "refs/heads/main").seq;
	(void)add_one(world, "d2", "refs/heads/main");
	(void)add_one(world, "d3", "refs/heads/main");
	journal_each_waiting(world->journal, "shop/cart", first, keep_seq, &seqs);
	assert_int_equal(seqs.n, 2);
	assert_int_equal(seqs.seq[0], first + 2);
	assert_int_equal(seqs.seq[1], first + 1);
}

/* One that failed and came again is behind those that came in between. */
static void a_revived_change_is_the_newest(void **state)
{
	struct world *world = *state;
	CLEANUP(release_kept) struct kept kept = {0};
	int64_t seq;

	world_must_open(world);
	seq = add_of(world, "cart", "d1").seq;
	(void)add_of(world, "cart", "d2");
	assert_int_equal(write_state(world, seq, JOURNAL_FAILED, "", "422"), ERR_OK);
	assert_int_equal(add_of(world, "cart", "d1").added, JOURNAL_REVIVED);
	(void)each_pending(world, 9, keep, &kept);
	assert_int_equal(kept.n, 2);
	assert_string_equal(kept.rows[0]->delivery_id, "d2");
	assert_string_equal(kept.rows[1]->delivery_id, "d1");
}

struct keys {
	char text[256];
};

static void keep_key(void *arg, const char *key)
{
	struct keys *keys = arg;
	size_t n = strlen(keys->text);

	(void)snprintf(keys->text + n, sizeof(keys->text) - n, "%s ", key);
}

static void each_key_with_pending_changes_comes_once(void **state)
{
	struct world *world = *state;
	static const char *const names[][2] = {{"b", "x"}, {"a", "z"}, {"b", "x"}, {"b", "a"},
					       {"a", "z"}, {"c", "c"}, {"aa", ""}};
	struct keys keys = {0};

	world_must_open(world);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char id[8];
		struct journal_change change = sample(id, "refs/heads/main");
		int64_t seq;

		(void)snprintf(id, sizeof(id), "d%zu", i);
		change.namespace_ = names[i][0];
		change.name = names[i][1];
		seq = add(world, &change, 1).results[0].seq;
		if (names[i][0][0] == 'c')
			assert_int_equal(write_state(world, seq, JOURNAL_IGNORED, "", "Paused"),
					 ERR_OK);
	}
	journal_each_waiting_key(world->journal, keep_key, &keys);
	assert_string_equal(keys.text, "b/x a/z b/a aa/ ");
}

static void recent_changes_come_newest_first(void **state)
{
	struct world *world = *state;
	CLEANUP(release_kept) struct kept kept = {0};

	world_must_open(world);
	(void)add_of(world, "cart", "d1");
	(void)add_of(world, "other", "d2");
	(void)add_of(world, "cart", "d3");
	(void)add_of(world, "cart", "d4");
	journal_each_recent(world->journal, 3, keep, &kept);
	assert_int_equal(kept.n, 3);
	assert_string_equal(kept.rows[0]->delivery_id, "d4");
	assert_string_equal(kept.rows[2]->delivery_id, "d2");
}

static void stats_count_rows_also_after_a_restart(void **state)
{
	struct world *world = *state;
	struct journal_stats stats = {0};
	int64_t seq;

	world_must_open(world);
	journal_read_stats(world->journal, &stats);
	assert_int_equal(stats.oldest_pending_ms, 0);
	seq = add_one(world, "d1", "refs/heads/main").seq;
	(void)add_one(world, "d2", "refs/heads/main");
	world_advance(world, 1500);
	(void)add_one(world, "d3", "refs/heads/main");
	world_advance(world, 500);
	for (int i = 0; i < 2; i++) {
		journal_read_stats(world->journal, &stats);
		assert_int_equal(stats.rows[JOURNAL_ACCEPTED], 3);
		assert_int_equal(stats.oldest_pending_ms, 2000);
		world_reopen(world);
	}
	assert_int_equal(write_state(world, seq, JOURNAL_STARTING, "", ""), ERR_OK);
	assert_int_equal(write_state(world, seq + 1, JOURNAL_SUPERSEDED, "", ""), ERR_OK);
	journal_read_stats(world->journal, &stats);
	assert_int_equal(stats.rows[JOURNAL_ACCEPTED], 1);
	assert_int_equal(stats.rows[JOURNAL_STARTING], 1);
	assert_int_equal(stats.rows[JOURNAL_SUPERSEDED], 1);
	assert_int_equal(stats.oldest_pending_ms, 2000);
	assert_true(stats.log_bytes > 0);
}

/* The wall clock is a day ahead of the monotonic one: the age of what waits is not. */
static void the_age_of_what_waits_does_not_jump_with_the_wall_clock(void **state)
{
	struct world *world = *state;
	struct journal_stats stats = {0};

	world_must_open(world);
	(void)add_one(world, "d1", "refs/heads/main");
	world->wall_ms += 24LL * 3600 * 1000;
	world->mono_ms += 10;
	journal_read_stats(world->journal, &stats);
	assert_int_equal(stats.oldest_pending_ms, 10);
}

static void each_commit_is_timed_once(void **state)
{
	struct world *world = *state;
	double seconds[4] = {-1, -1, -1, -1};

	world_must_open(world);
	(void)add_one(world, "d1", "refs/heads/main");
	(void)add_one(world, "d2", "refs/heads/main");
	assert_int_equal(journal_take_commit_seconds(world->journal, seconds, 4), 2);
	assert_true(seconds[0] >= 0 && seconds[0] < 60);
	assert_int_equal(journal_take_commit_seconds(world->journal, seconds, 4), 0);
}

#define FAILED 77

static size_t read_all(const char *dir)
{
	struct err err = {0};
	size_t n = 0;

	if (journal_read_file(dir, SIZE_MAX, count, &n, &err) != ERR_OK)
		return FAILED;
	return n;
}

static void a_journal_that_another_process_has_can_be_read(void **state)
{
	struct world *world = *state;
	pid_t child;
	int status = 0;

	world_must_open(world);
	for (int i = 0; i < 150; i++) {
		char id[16];

		(void)snprintf(id, sizeof(id), "d%d", i);
		(void)add_one(world, id, "refs/heads/main");
	}
	/* As many as are asked for, also where that is as many as are read at a time. */
	for (size_t max = 63; max <= 129; max += 1 + (max == 65) * 61) {
		struct err err = {0};
		size_t n = 0;

		assert_int_equal(journal_read_file(world->dir, max, count, &n, &err), ERR_OK);
		assert_int_equal(n, max);
	}
	child = fork();
	if (child == 0)
		_exit(read_all(world->dir) == 150 ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	/* And it was not disturbed by that. */
	(void)add_one(world, "more", "refs/heads/main");
	world_reopen(world);
	assert_int_equal(count_pending(world), 151);
}

static void a_closed_journal_can_be_read_newest_first_up_to_a_maximum(void **state)
{
	struct world *world = *state;
	CLEANUP(release_kept) struct kept kept = {0};
	struct err err = {0};

	world_must_open(world);
	(void)add_one(world, "d1", "refs/heads/main");
	(void)add_one(world, "d2", "refs/heads/main");
	(void)add_one(world, "d3", "refs/heads/main");
	world_close(world);
	assert_int_equal(journal_read_file(world->dir, 2, keep, &kept, &err), ERR_OK);
	assert_int_equal(kept.n, 2);
	assert_string_equal(kept.rows[0]->delivery_id, "d3");
	assert_string_equal(kept.rows[1]->delivery_id, "d2");
}

/* As someone who may read the copy, and write nothing: root could. */
static size_t read_as_nobody(const char *dir, struct err *err)
{
	bool is_root = geteuid() == 0;
	size_t n = 0;
	int rc;

	if (is_root)
		assert_int_equal(seteuid(65534), 0);
	rc = journal_read_file(dir, SIZE_MAX, count, &n, err);
	if (is_root)
		assert_int_equal(seteuid(0), 0);
	return rc == ERR_OK ? n : FAILED;
}

static void copy(const struct world *world, const char *to, const char *names)
{
	char command[512];

	(void)snprintf(command, sizeof(command),
		       "to='%s'; rm -rf \"$to\" && mkdir \"$to\" && chmod 755 %s && cd %s && "
		       "cp %s \"$to\" && chmod 444 \"$to\"/* && chmod 555 \"$to\"",
		       to, world->base, world->dir, names);
	assert_int_equal(system(command), 0);
}

static void a_copy_in_a_folder_that_cannot_be_written_can_be_read(void **state)
{
	struct world *world = *state;
	struct err err = {0};
	char to[96];

	(void)snprintf(to, sizeof(to), "%s/copy?a#b%%41", world->base);
	world_must_open(world);
	(void)add_one(world, "d1", "refs/heads/main");
	world_reopen(world);
	(void)add_one(world, "d2", "refs/heads/main");
	(void)add_one(world, "d3", "refs/heads/main");
	copy(world, to, "journal.db journal.db-wal journal.db-shm");
	assert_int_equal(read_as_nobody(to, &err), 3);
	/* The log without its index: nothing is better than half. */
	copy(world, to, "journal.db journal.db-wal");
	assert_int_equal(read_as_nobody(to, &err), FAILED);
	assert_non_null(strstr(err.msg, "copy it and its -wal file to a folder"));
	copy(world, to, "journal.db");
	assert_int_equal(read_as_nobody(to, &err), 2);
	world_close(world);
	copy(world, to, "journal.db");
	assert_int_equal(read_as_nobody(to, &err), 3);
	/* A log in which nothing is. */
	store(world, "journal.db-wal", "", 0);
	copy(world, to, "journal.db journal.db-wal");
	assert_int_equal(read_as_nobody(to, &err), 3);
}

static void what_is_not_there_or_may_not_be_read_is_said_to_be_so(void **state)
{
	struct world *world = *state;
	struct err err = {0};

	assert_int_equal(journal_read_file(world->dir, 1, count, NULL, &err), ERR_NOTFOUND);
	assert_int_equal(mkdir(world->dir, 0700), 0);
	assert_int_equal(journal_read_file(world->dir, 1, count, NULL, &err), ERR_NOTFOUND);
	assert_int_equal(journal_read_file("/dev/null", 1, count, NULL, &err), ERR_DENIED);
	assert_non_null(strstr(err.msg, "/dev/null/journal.db"));
}

static void assert_not_read(struct world *world, const char *why)
{
	struct err err = {0};

	assert_int_equal(journal_read_file(world->dir, 1, count, NULL, &err), ERR_INVALID);
	assert_non_null(strstr(err.msg, world->dir));
	assert_non_null(strstr(err.msg, why));
}

static void what_is_no_journal_or_a_damaged_one_is_said_to_be_so(void **state)
{
	struct world *world = *state;
	CLEANUP(release_image) struct image image = {0};

	make_journal(world, 3);
	image = load(world, "journal.db");
	memset(image.bytes + 100, 0xff, 100); /* the root of all */
	store(world, "journal.db", image.bytes, image.n);
	assert_not_read(world, "malformed");
	memset(image.bytes, 'x', 4096);
	store(world, "journal.db", image.bytes, image.n);
	assert_not_read(world, "not a database");
}

/* More than one call of journal_find_delivery() looks at. */
#define MANY_ROWS 2100
#define BATCH     50

static size_t find(struct world *world, const char *uid, int64_t *before_seq, int64_t *out)
{
	return journal_find_delivery(world->journal, uid, "d1", *before_seq, before_seq, out, 4);
}

static void the_rows_of_a_delivery_are_found_a_bounded_number_at_a_time(void **state)
{
	struct world *world = *state;
	struct journal_change both[] = {sample("d1", "refs/heads/a"), sample("d1", "refs/heads/b")};
	struct journal_change other = sample("d1", "refs/heads/a");
	int64_t seqs[4], before_seq = 0;

	world_must_open(world);
	assert_int_equal(find(world, both[0].uid, &before_seq, seqs), 0);
	assert_int_equal(before_seq, 0);
	other.uid = "another";
	(void)add(world, &other, 1);
	(void)add(world, both, 2);
	assert_int_equal(find(world, both[0].uid, &before_seq, seqs), 2);
	assert_true(seqs[0] > seqs[1]);
	/* No more than there is place for: the newest. */
	int64_t newest = 0, next = 0;
	assert_int_equal(
		journal_find_delivery(world->journal, both[0].uid, "d1", 0, &next, &newest, 1), 1);
	assert_int_equal(newest, seqs[0]);
	for (int i = 0; i < MANY_ROWS; i += BATCH) {
		struct journal_change changes[BATCH];
		char ids[BATCH][16], uid[32];

		/* No BuildConfig may have that many that wait. */
		(void)snprintf(uid, sizeof(uid), "other-%d", i);

		for (int j = 0; j < BATCH; j++) {
			(void)snprintf(ids[j], sizeof(ids[j]), "x%d", i + j);
			changes[j] = sample(ids[j], "refs/heads/a");
			changes[j].uid = changes[j].name = uid;
		}
		(void)add(world, changes, BATCH);
	}
	before_seq = 0;
	assert_int_equal(find(world, both[0].uid, &before_seq, seqs), 0);
	assert_int_not_equal(before_seq, 0);
	assert_int_equal(find(world, both[0].uid, &before_seq, seqs), 2);
	assert_int_equal(before_seq, 0);
}

static void a_redelivery_replaces_no_other_change_and_is_not_replaced(void **state)
{
	struct world *world = *state;
	struct journal_waiting waiting;

	world_must_open(world);
	(void)add_one(world, "d1", "refs/heads/main");
	(void)add_one(world, "d1 again", "refs/heads/main");
	read_cart(world, &waiting);
	assert_int_equal(waiting.n, 2);
	assert_false(waiting.is_replaced);
	assert_int_equal(write_state(world, waiting.seq, JOURNAL_STARTED, "cart-1", ""), ERR_OK);
	(void)add_one(world, "d2", "refs/heads/main");
	read_cart(world, &waiting);
	assert_false(waiting.is_replaced);
	world_reopen(world);
	read_cart(world, &waiting);
	assert_int_equal(waiting.n, 2);
	assert_false(waiting.is_replaced);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(what_waits_is_known_by_buildconfig_in_order),
		WORLD_TEST(the_oldest_of_what_waits_is_known_with_what_replaces_it),
		WORLD_TEST(what_is_newer_than_one_is_told_newest_first),
		WORLD_TEST(a_revived_change_is_the_newest),
		WORLD_TEST(the_rows_of_a_delivery_are_found_a_bounded_number_at_a_time),
		WORLD_TEST(a_redelivery_replaces_no_other_change_and_is_not_replaced),
		WORLD_TEST(each_key_with_pending_changes_comes_once),
		WORLD_TEST(recent_changes_come_newest_first),
		WORLD_TEST(stats_count_rows_also_after_a_restart),
		WORLD_TEST(the_age_of_what_waits_does_not_jump_with_the_wall_clock),
		WORLD_TEST(each_commit_is_timed_once),
		WORLD_TEST(a_journal_that_another_process_has_can_be_read),
		WORLD_TEST(a_closed_journal_can_be_read_newest_first_up_to_a_maximum),
		WORLD_TEST(a_copy_in_a_folder_that_cannot_be_written_can_be_read),
		WORLD_TEST(what_is_not_there_or_may_not_be_read_is_said_to_be_so),
		WORLD_TEST(what_is_no_journal_or_a_damaged_one_is_said_to_be_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
