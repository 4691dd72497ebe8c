/*
 * SQLite lacks memory for one allocation, for each in turn of those that an operation makes. What
 * is told of it is so, nothing is lost, and the journal is sound when it is opened again, which
 * checks every page and row.
 */
#include "world.h"

#include "files.h"
#include "memory.h"

#include "journal/core.h"

#define MINUTE_MS 60000

/*
 * The next to fail, where some hundreds or thousands are made by compiling SQL, most of them: one
 * in so many, but each of the last ones. The least that there are of one statement are six. LONG=1:
 * each.
 */
static long next(long k, long n, long step)
{
	return is_long() || k >= n - 30 ? k + 1 : k + step;
}

static void start_counting(void)
{
	memory_fail(LONG_MAX, false);
}

static long stop_counting(void)
{
	long n = memory.n_calls;

	memory_fail(0, false);
	return n;
}

struct text {
	char p[512];
};

static void put(struct text *text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct text *text, const char *fmt, ...)
{
	size_t n = strlen(text->p);
	va_list args;

	va_start(args, fmt);
	assert_true(vsnprintf(text->p + n, sizeof(text->p) - n, fmt, args) <
		    (int)(sizeof(text->p) - n));
	va_end(args);
}

/* Rows of one delivery, newest first. */
struct looked_for {
	const char *id;
	struct text found;
};

static void find_row(void *arg, const struct journal_change *change)
{
	struct looked_for *look = arg;

	if (strcmp(change->delivery_id, look->id) == 0)
		put(&look->found, "%s %s %d %s;", change->ref, journal_state_name(change->state),
		    change->attempts, change->build);
}

static void assert_rows(struct world *world, const char *id, const char *expected)
{
	struct looked_for look = {.id = id};

	journal_each_recent(world->journal, SIZE_MAX, find_row, &look);
	assert_null(journal_failure(world->journal));
	assert_string_equal(look.found.p, expected);
}

static void count_state(void *arg, const struct journal_change *change)
{
	((size_t *)arg)[change->state]++;
}

/* The journal counts along; that it counts right is seen by what is there. */
static void assert_counts(struct world *world)
{
	size_t rows[JOURNAL_STATES] = {0};
	struct journal_stats stats = {0};

	journal_each_recent(world->journal, SIZE_MAX, count_state, rows);
	journal_read_stats(world->journal, &stats);
	assert_null(journal_failure(world->journal));
	assert_memory_equal(stats.rows, rows, sizeof(rows));
}

static void assert_recovery(struct world *world)
{
	world_advance(world, 1100);
	journal_collect(world->journal);
	assert_null(journal_failure(world->journal));
	assert_true(journal_is_writable(world->journal));
}

/* Writes. */

static void ask_for_two(struct world *world, const char *id, int64_t seq, struct told *told)
{
	const struct journal_change two[] = {sample(id, "a"), sample(id, "b")};

	(void)seq;
	assert_int_not_equal(journal_add(world->journal, two, 2, on_added, told), 0);
}

static void ask_for_one(struct world *world, const char *id, int64_t seq, struct told *told)
{
	struct journal_change change = sample(id, "a");

	(void)seq;
	assert_int_not_equal(journal_add(world->journal, &change, 1, on_added, told), 0);
}

/* The host's copy under another id; what is found is the first. */
static void ask_for_copy(struct world *world, const char *id, int64_t seq, struct told *told)
{
	struct journal_change change = sample("copy", "a");

	(void)seq;
	change.body_digest = id;
	assert_int_not_equal(journal_add(world->journal, &change, 1, on_added, told), 0);
}

static void ask_for_big(struct world *world, const char *id, int64_t seq, struct told *told)
{
	struct journal_change change = sample(id, "a");

	(void)seq;
	change.options_json = "{}";
	assert_int_not_equal(journal_add(world->journal, &change, 1, on_added, told), 0);
}

static void only_ask(struct world *world, const char *id, int64_t seq, struct told *told)
{
	struct journal_change change = sample(id, "a");

	(void)seq;
	assert_int_not_equal(journal_ask(world->journal, &change, 1, on_added, told), 0);
}

static void write_attempt(struct world *world, const char *id, int64_t seq, struct told *told)
{
	const struct journal_update update = {.seq = seq, .state = JOURNAL_STARTING, .attempts = 3};

	(void)id;
	journal_write(world->journal, &update, on_written, told);
}

static void write_end(struct world *world, const char *id, int64_t seq, struct told *told)
{
	const struct journal_update update = {
		.seq = seq, .state = JOURNAL_STARTED, .build = "cart-7"};

	(void)id;
	journal_write(world->journal, &update, on_written, told);
}

static const struct write {
	const char *name;
	int first; /* the state of a row that is there before; -1: none is */
	void (*ask)(struct world *world, const char *id, int64_t seq, struct told *told);
	const char *before, *after;
} writes[] = {
	{"a delivery of two", -1, ask_for_two, "", "b accepted 0 ;a accepted 0 ;"},
	{"one that comes again", JOURNAL_FAILED, ask_for_one, "a failed 0 ;", "a accepted 0 ;"},
	{"a duplicate", JOURNAL_STARTED, ask_for_one, "a started 0 ;", "a started 0 ;"},
	{"a copy", JOURNAL_STARTED, ask_for_copy, "a started 0 ;", "a started 0 ;"},
	{"one with options", -1, ask_for_big, "", "a accepted 0 ;"},
	{"a question", -1, only_ask, "", ""},
	{"an attempt", JOURNAL_ACCEPTED, write_attempt, "a accepted 0 ;", "a starting 3 ;"},
	{"an end", JOURNAL_ACCEPTED, write_end, "a accepted 0 ;", "a started 0 cart-7;"},
};

static bool seq_is_written(const struct write *write)
{
	return write->ask == write_attempt || write->ask == write_end;
}

static int64_t make_first(struct world *world, const char *id, int state)
{
	struct journal_change change = sample(id, "a");
	struct told told;
	int64_t seq;

	if (state < 0)
		return 0;
	change.body_digest = id;
	told = add(world, &change, 1);
	assert_int_equal(told.status, ERR_OK);
	seq = told.results[0].seq;
	if (state != JOURNAL_ACCEPTED)
		assert_int_equal(write_state(world, seq, (enum journal_state)state, "", ""),
				 ERR_OK);
	return seq;
}

/* With no upkeep due that would come in between, and nothing in SQLite's cache. */
static void reopen_tidied(struct world *world)
{
	world_reopen(world);
	journal_collect(world->journal);
}

static void write_without(struct world *world, const struct write *write, long k, int *n_refused)
{
	struct told told = {0};
	char id[16];
	int64_t seq;

	(void)snprintf(id, sizeof(id), "w%ld", k);
	seq = make_first(world, id, write->first);
	reopen_tidied(world);
	memory_fail(k, false);
	write->ask(world, id, seq, &told);
	journal_collect(world->journal);
	memory_fail(0, false);
	assert_int_equal(told.n, 1);
	if (told.status != ERR_OK) {
		(*n_refused)++;
		assert_false(journal_is_writable(world->journal));
		assert_rows(world, id, write->before);
		assert_recovery(world);
		/* What changes a row is kept meanwhile; what is added has to come again. */
		assert_int_equal(told.status, seq_is_written(write) ? ERR_LIMIT : ERR_UNAVAILABLE);
		if (!seq_is_written(write)) {
			write->ask(world, id, seq, &told);
			journal_collect(world->journal);
			assert_int_equal(told.status, ERR_OK);
		}
	}
	assert_rows(world, id, write->after);
	assert_counts(world);
}

static void a_write_is_refused_whole_and_taken_when_there_is_memory_again(void **state)
{
	struct world *world = *state;

	/* A newer change of a ref ends those that it replaces. */
	world->max_replaced = 1;
	world_must_open(world);
	for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
		int n_refused = 0;
		long k = 1;

		world_close(world);
		(void)snprintf(world->dir, sizeof(world->dir), "%s/%zu", world->base, i);
		world_must_open(world);
		do
			write_without(world, &writes[i], k++, &n_refused);
		while (memory.has_failed);
		print_message("%s: %ld allocations, %d refused\n", writes[i].name, k - 2,
			      n_refused);
		assert_true(n_refused > 0);
	}
}

static void close_without(struct world *world, long k)
{
	struct told told = {0};
	struct looked_for look = {0};
	char id[16];

	(void)snprintf(id, sizeof(id), "c%ld", k);
	look.id = id;
	journal_collect(world->journal);
	ask_for_two(world, id, 0, &told);
	memory_fail(k, false);
	world_close(world);
	memory_fail(0, false);
	world_must_open(world);
	assert_int_equal(told.n, 0);
	journal_each_recent(world->journal, SIZE_MAX, find_row, &look);
	if (look.found.p[0])
		assert_string_equal(look.found.p, writes[0].after);
	else
		assert_true(memory.has_failed);
}

static void what_waits_at_the_end_is_stored_whole_or_not_at_all(void **state)
{
	struct world *world = *state;
	long k = 1;

	world_must_open(world);
	do
		close_without(world, k++);
	while (memory.has_failed);
	print_message("%ld allocations\n", k - 2);
}

/* Upkeep. */

static void end_row(void *arg, const struct journal_change *change)
{
	struct journal *journal = arg;
	const struct journal_update update = {.seq = change->seq, .state = JOURNAL_FAILED};

	journal_write(journal, &update, NULL, NULL);
}

static void set_low_bounds(struct world *world)
{
	struct journal_bounds *bounds = &world->journal->writer.bounds;

	bounds->max_ended = 2;
	bounds->spare_pages = 1;
	bounds->checkpoint_pages = 1;
}

/* Rows that are too many, and the room of one that was big. */
static void make_work(struct world *world, long k)
{
	CLEANUP(mem_free) char *extra = mem_new(1, 8001);
	char id[16];
	struct journal_change changes[] = {sample(id, "a"), sample(id, "b"), sample(id, "c")};

	(void)snprintf(id, sizeof(id), "u%ld", k);
	changes[0].env_json = memset(extra, 'x', 8000);
	assert_int_equal(add(world, changes, 3).status, ERR_OK);
	(void)each_pending(world, 3, end_row, world->journal);
	journal_collect(world->journal);
}

/* All that is due at once: the log goes into the file, rows and pages go. */
static void tidy(struct world *world)
{
	world_advance(world, MINUTE_MS + 1);
	journal_collect(world->journal);
}

static void tidy_without(struct world *world, long k)
{
	struct journal_stats stats = {0};

	make_work(world, k);
	memory_fail(k, false);
	tidy(world);
	memory_fail(0, false);
	if (!journal_is_writable(world->journal))
		assert_recovery(world);
	assert_counts(world);
	for (int i = 0; i < 3; i++)
		tidy(world);
	assert_counts(world);
	journal_read_stats(world->journal, &stats);
	assert_int_equal(stats.rows[JOURNAL_FAILED], 2);
	assert_true(stats.log_bytes < 200 * 4096);
}

static void upkeep_that_stops_half_way_is_done_later(void **state)
{
	struct world *world = *state;
	bool is_over = false;
	long n;

	world_must_open(world);
	set_low_bounds(world);
	make_work(world, 0);
	start_counting();
	tidy(world);
	n = stop_counting();
	for (long k = 1; !is_over; k = next(k, n, 9)) {
		tidy_without(world, k);
		is_over = !memory.has_failed;
	}
	print_message("%ld allocations\n", n);
}

/* One allocation after the other fails also while it finds out whether it can store again. */
static void probe_without(struct world *world, long k)
{
	struct told told = {0};
	char id[16];

	(void)snprintf(id, sizeof(id), "p%ld", k);
	reopen_tidied(world);
	memory_fail(1, true);
	ask_for_two(world, id, 0, &told);
	journal_collect(world->journal);
	assert_int_equal(told.status, ERR_UNAVAILABLE);
	memory_fail(k, false);
	world_advance(world, 1100);
	journal_collect(world->journal);
	memory_fail(0, false);
	if (!journal_is_writable(world->journal))
		assert_recovery(world);
	assert_rows(world, id, "");
	ask_for_two(world, id, 0, &told);
	journal_collect(world->journal);
	assert_int_equal(told.status, ERR_OK);
	assert_rows(world, id, writes[0].after);
}

static void a_recovery_that_fails_is_tried_again(void **state)
{
	struct world *world = *state;
	long k = 1;

	world_must_open(world);
	do
		probe_without(world, k++);
	while (memory.has_failed);
	print_message("%ld allocations\n", k - 2);
}

/* Reads. */

static void put_row(void *arg, const struct journal_change *change)
{
	put(arg, "%s %s;", change->name, change->delivery_id);
}

static void read_row(struct world *world, struct text *out)
{
	CLEANUP(journal_change_freep)
	struct journal_change *row = journal_read_row(world->journal, 1);

	if (row)
		put_row(out, row);
}

static void read_recent(struct world *world, struct text *out)
{
	journal_each_recent(world->journal, 9, put_row, out);
}

static void read_age(struct world *world, struct text *out)
{
	struct journal_stats stats = {0};

	journal_read_stats(world->journal, &stats);
	if (stats.oldest_pending_ms > 0)
		put(out, "%lld", (long long)stats.oldest_pending_ms);
}

static void read_delivery(struct world *world, struct text *out)
{
	int64_t seqs[4], next_seq;
	size_t n = journal_find_delivery(world->journal, sample("d2", "a").uid, "d2", 0, &next_seq,
					 seqs, ARRAY_LEN(seqs));

	for (size_t i = 0; i < n; i++)
		put(out, "%lld;", (long long)seqs[i]);
	if (!journal_failure(world->journal))
		assert_int_equal(next_seq, 0);
}

static const struct read {
	const char *name;
	void (*read)(struct world *world, struct text *out);
	const char *whole;
} reads[] = {
	{"a row", read_row, "cart d0;"},
	{"what was", read_recent, "other d3;cart d2;other d1;cart d0;"},
	{"since when", read_age, "700"},
	{"a delivery", read_delivery, "3;"},
};

static void make_rows(struct world *world)
{
	world_must_open(world);
	for (int i = 0; i < 4; i++) {
		char id[16];
		struct journal_change change = sample(id, "a");

		(void)snprintf(id, sizeof(id), "d%d", i);
		change.name = i % 2 ? "other" : "cart";
		assert_int_equal(add(world, &change, 1).status, ERR_OK);
	}
}

/* False when it ended the journal. */
static bool read_without(struct world *world, const struct read *read, long k)
{
	struct text text = {0};

	world_reopen(world);
	memory_fail(k, false);
	read->read(world, &text);
	memory_fail(0, false);
	if (journal_failure(world->journal)) {
		assert_int_equal(strncmp(text.p, read->whole, strlen(text.p)), 0);
		return false;
	}
	assert_string_equal(text.p, read->whole);
	return true;
}

/* To take what was read for all there is would lose builds. */
static void a_read_gives_all_or_ends_the_journal(void **state)
{
	struct world *world = *state;

	make_rows(world);
	world_advance(world, 700);
	for (size_t i = 0; i < ARRAY_LEN(reads); i++) {
		int n_ended = 0;
		bool is_over = false;
		long n;

		world_reopen(world);
		start_counting();
		reads[i].read(world, &(struct text){0});
		n = stop_counting();
		for (long k = 1; !is_over; k = next(k, n, 9)) {
			n_ended += !read_without(world, &reads[i], k);
			is_over = !memory.has_failed;
		}
		print_message("%s: %ld allocations, %d ended it\n", reads[i].name, n, n_ended);
		assert_true(n_ended > 0);
	}
}

static void the_file_is_read_whole_or_said_not_to_be(void **state)
{
	struct world *world = *state;
	int n_failed = 0;
	long k = 1;

	make_rows(world);
	world_close(world);
	do {
		struct text text = {0};
		struct err err = {0};
		int rc;

		memory_fail(k++, false);
		rc = journal_read_file(world->dir, 9, put_row, &text, &err);
		memory_fail(0, false);
		n_failed += rc != ERR_OK;
		if (rc == ERR_OK)
			assert_string_equal(text.p, "other d3;cart d2;other d1;cart d0;");
		else if (rc != ERR_UNAVAILABLE || !strstr(err.msg, "out of memory"))
			fail_msg("allocation %ld: %s", k - 1, err.msg);
	} while (memory.has_failed);
	print_message("%ld allocations, %d failed\n", k - 2, n_failed);
	assert_true(n_failed > 0);
}

/* The start. */

/* What is sound is never said to be damaged: the message would have it thrown away. */
static bool open_without(struct world *world, long k, size_t n_rows)
{
	struct err err = {0};
	int rc;

	memory_fail(k, false);
	rc = world_open(world, &err);
	memory_fail(0, false);
	if (rc != ERR_OK && rc != ERR_UNAVAILABLE)
		fail_msg("allocation %ld: %s", k, err.msg);
	if (rc != ERR_OK)
		world_must_open(world);
	assert_int_equal(count_pending(world), n_rows);
	(void)add_one(world, "more", "refs/heads/main");
	world_close(world);
	return memory.has_failed;
}

static void a_first_start_that_fails_is_no_hindrance(void **state)
{
	struct world *world = *state;
	bool is_over = false;
	long k = 1;

	for (; !is_over; k = next(k, LONG_MAX, 23)) {
		(void)snprintf(world->dir, sizeof(world->dir), "%s/%ld", world->base, k);
		is_over = !open_without(world, k, 0);
	}
	print_message("%ld allocations\n", k);
	assert_true(k > 500);
}

static void a_start_that_fails_leaves_file_and_log_sound(void **state)
{
	struct world *world = *state;
	CLEANUP(release_image) struct image file = {0};
	CLEANUP(release_image) struct image log = {0};
	bool is_over = false;
	long k = 1;

	make_journal(world, 3);
	world_must_open(world);
	(void)add_one(world, "in the log", "refs/heads/main");
	file = load(world, "journal.db");
	log = load(world, "journal.db-wal");
	assert_true(log.n > 0);
	world_close(world);
	for (; !is_over; k = next(k, LONG_MAX, 23)) {
		store(world, "journal.db", file.bytes, file.n);
		store(world, "journal.db-wal", log.bytes, log.n);
		is_over = !open_without(world, k, 4);
	}
	print_message("%ld allocations\n", k);
	assert_true(k > 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_write_is_refused_whole_and_taken_when_there_is_memory_again),
		WORLD_TEST(what_waits_at_the_end_is_stored_whole_or_not_at_all),
		WORLD_TEST(upkeep_that_stops_half_way_is_done_later),
		WORLD_TEST(a_recovery_that_fails_is_tried_again),
		WORLD_TEST(a_read_gives_all_or_ends_the_journal),
		WORLD_TEST(the_file_is_read_whole_or_said_not_to_be),
		WORLD_TEST(a_first_start_that_fails_is_no_hindrance),
		WORLD_TEST(a_start_that_fails_leaves_file_and_log_sound),
	};

	memory_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
