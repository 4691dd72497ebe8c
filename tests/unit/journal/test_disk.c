/* A disk that fails, fills up or loses its power, call by call, and memory that runs out: what was
 * told is there afterwards, and once. */
#include "world.h"

#include "disk.h"
#include "memory.h"

#include "journal/core.h"

#define MAX_ROWS  256
#define MINUTE_MS 60000

/* What the journal has told of a row; its number is in its ref. */
struct fact {
	int64_t seq;
	size_t first, n;  /* the rows of its delivery */
	bool is_stored;   /* told so */
	int attempts;     /* told to be written */
	bool may_be_over; /* a write that ends it was asked for */
	bool is_over;     /* told so */
};

struct life {
	struct world world;
	struct fact facts[MAX_ROWS];
	size_t n;
	bool is_told_failure; /* something was not stored */
};

struct asked {
	struct life *life;
	size_t row;
	int attempts;
	bool is_end;
};

static void on_row_added(void *arg, int status, const struct journal_add_result *results, size_t n)
{
	CLEANUP(mem_free) struct asked *asked = arg;

	asked->life->is_told_failure = asked->life->is_told_failure || status != ERR_OK;
	for (size_t i = 0; status == ERR_OK && i < n; i++) {
		asked->life->facts[asked->row + i].is_stored = true;
		asked->life->facts[asked->row + i].seq = results[i].seq;
	}
}

static void on_row_written(void *arg, int status)
{
	CLEANUP(mem_free) struct asked *asked = arg;
	struct fact *fact = &asked->life->facts[asked->row];

	/* ERR_LIMIT: it is kept until there is room. */
	asked->life->is_told_failure = asked->life->is_told_failure || status == ERR_UNAVAILABLE;
	if (status != ERR_OK)
		return;
	fact->is_over = fact->is_over || asked->is_end;
	if (asked->attempts > fact->attempts)
		fact->attempts = asked->attempts;
}

static struct asked *new_asked(struct life *life, size_t row)
{
	struct asked *asked = mem_new(1, sizeof(*asked));

	*asked = (struct asked){.life = life, .row = row};
	return asked;
}

/* A delivery of N changes, whose first is row FIRST: once more, or for the first time. */
static void deliver(struct life *life, size_t first, size_t n)
{
	struct asked *asked = new_asked(life, first);
	char id[16];
	char refs[3][32];
	struct journal_change changes[3];

	(void)snprintf(id, sizeof(id), "d%zu", first);
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(refs[i], sizeof(refs[i]), "refs/heads/%zu", first + i);
		changes[i] = sample(id, refs[i]);
		life->facts[first + i].first = first;
		life->facts[first + i].n = n;
	}
	if (journal_add(life->world.journal, changes, n, on_row_added, asked) == 0)
		mem_free(&asked);
}

static void deliver_new(struct life *life, size_t n)
{
	if (life->n + n > MAX_ROWS)
		return;
	deliver(life, life->n, n);
	life->n += n;
}

static void write_row(struct life *life, size_t row, bool is_end)
{
	struct fact *fact = &life->facts[row];
	struct asked *asked = NULL;
	struct journal_update update = {
		.seq = fact->seq,
		.state = is_end ? JOURNAL_STARTED : JOURNAL_STARTING,
		.attempts = fact->attempts + 1,
	};

	if (!fact->is_stored || fact->may_be_over)
		return;
	asked = new_asked(life, row);
	asked->attempts = update.attempts;
	asked->is_end = is_end;
	fact->may_be_over = is_end;
	journal_write(life->world.journal, &update, on_row_written, asked);
}

static void shrink_bounds(struct life *life)
{
	struct journal_bounds *bounds = &life->world.journal->writer.bounds;

	bounds->checkpoint_pages = 12;
	bounds->max_ended = 6;
	bounds->spare_pages = 2;
}

static void pass_time(struct life *life, int64_t ms)
{
	world_advance(&life->world, ms);
	journal_collect(life->world.journal);
}

/* What is found of each row. */
struct found {
	const struct life *life;
	size_t times[MAX_ROWS];
	int attempts[MAX_ROWS];
	bool is_over[MAX_ROWS];
};

static void find_row(void *arg, const struct journal_change *change)
{
	struct found *found = arg;
	size_t row = (size_t)strtoull(change->ref + strlen("refs/heads/"), NULL, 10);

	assert_true(row < found->life->n);
	found->times[row]++;
	found->attempts[row] = change->attempts;
	found->is_over[row] = change->state == JOURNAL_STARTED;
}

static void check_row(const struct found *found, size_t i, const char *where)
{
	const struct fact *fact = &found->life->facts[i];

	if (found->times[i] > 1)
		fail_msg("%s: row %zu is there twice", where, i);
	if (fact->is_stored && !fact->may_be_over && found->times[i] == 0)
		fail_msg("%s: row %zu was told to be stored, and is lost", where, i);
	if (found->times[i] == 1 && !found->is_over[i] && fact->is_over)
		fail_msg("%s: row %zu was told to have ended, and waits", where, i);
	if (found->times[i] == 1 && found->attempts[i] < fact->attempts)
		fail_msg("%s: of row %zu %d attempts are known, %d were told", where, i,
			 found->attempts[i], fact->attempts);
	if (found->times[i] == 0 && !fact->may_be_over && found->times[fact->first] == 1 &&
	    !found->life->facts[fact->first].may_be_over)
		fail_msg("%s: of delivery %zu a part is stored", where, fact->first);
}

/* The journal is opened on a disk that is well: opening checks every page and row of it. */
static void check_after(struct life *life, const char *where)
{
	struct found found = {.life = life};
	struct err err = {0};

	if (world_open(&life->world, &err) != ERR_OK)
		fail_msg("%s: %s", where, err.msg);
	journal_each_recent(life->world.journal, SIZE_MAX, find_row, &found);
	if (journal_failure(life->world.journal))
		fail_msg("%s: %s", where, journal_failure(life->world.journal));
	for (size_t i = 0; i < life->n; i++)
		check_row(&found, i, where);
}

/* The senders send again what they were not told of; then it is all there. */
static void check_redelivery(struct life *life, const char *where)
{
	for (size_t i = 0; i < life->n; i += life->facts[i].n)
		if (!life->facts[i].is_stored)
			deliver(life, i, life->facts[i].n);
	journal_collect(life->world.journal);
	for (size_t i = 0; i < life->n; i++)
		if (!life->facts[i].is_stored)
			fail_msg("%s: row %zu is not taken", where, i);
	world_close(&life->world);
	check_after(life, where);
}

static void init_life(struct life *life, uint64_t seed)
{
	disk_start(seed);
	assert_int_equal(world_init(&life->world), 0);
	/* Small, so that most of its calls are for rows and not for the reserve. */
	life->world.size_bytes = 2 * 1024 * 1024;
}

static void release_life(struct life *life)
{
	world_close(&life->world);
	disk_stop();
	world_release(&life->world);
}

/* Power. */

/* One that has ended and gone would be another. */
static bool may_come_again(const struct life *life, size_t row)
{
	const struct fact *first = &life->facts[life->facts[row].first];
	bool is_over = false;

	for (size_t i = 0; i < first->n; i++)
		is_over = is_over || first[i].may_be_over;
	return !is_over;
}

static void do_something(struct life *life)
{
	size_t row = life->n ? disk_random(life->n) : 0;

	switch (disk_random(8)) {
	case 0:
	case 1:
	case 2:
		deliver_new(life, 1 + disk_random(3));
		break;
	case 3:
		if (life->n && may_come_again(life, row))
			deliver(life, life->facts[row].first, life->facts[row].n);
		break;
	case 4:
		if (life->n)
			write_row(life, row, true);
		break;
	case 5:
		pass_time(life, MINUTE_MS + 1);
		break;
	default:
		if (life->n)
			write_row(life, row, false);
		break;
	}
	if (disk_random(3) > 0)
		journal_collect(life->world.journal);
}

/* Until the power goes, at the Nth call of this life. */
static void live_until_call(struct life *life, long n)
{
	struct err err = {0};

	disk_fail(DISK_POWER, n, true);
	if (world_open(&life->world, &err) != ERR_OK)
		return;
	shrink_bounds(life);
	for (int i = 0; i < 400 && !disk.is_dead; i++)
		do_something(life);
	journal_collect(life->world.journal);
	if (disk.is_dead || disk_random(2))
		disk.is_dead = true;
	world_close(&life->world);
}

static int lose_power(uint64_t seed, int losses)
{
	CLEANUP(release_life) struct life life = {0};
	int told = 0;

	init_life(&life, seed);
	for (int i = 0; i < losses; i++) {
		char where[64];

		(void)snprintf(where, sizeof(where), "seed %llu, loss %d", (unsigned long long)seed,
			       i);
		/* Some in the first calls: while it is made, opened or recovered. */
		live_until_call(&life, 1 + (long)disk_random(disk_random(3) ? 600 : 60));
		disk_settle(true);
		check_after(&life, where);
		world_close(&life.world);
		disk_settle(false);
	}
	world_must_open(&life.world);
	check_redelivery(&life, "at last");
	for (size_t i = 0; i < life.n; i++)
		told += life.facts[i].is_stored;
	return told;
}

static void what_was_told_survives_losses_of_power(void **state)
{
	const uint64_t seeds = is_long() ? 250 : 12;
	const int losses = 6;
	int told = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= seeds; seed++)
		told += lose_power(seed, losses);
	print_message("%d losses of power, %d rows, none lost\n", (int)seeds * losses, told);
	assert_true(told > (int)seeds * 20);
}

/* Failures, one after the other. */

struct fault {
	enum disk_fault kind;
	bool is_lasting;
	const char *name;
};

static const struct fault faults[] = {
	{DISK_EIO, false, "an I/O error"},       {DISK_EIO, true, "I/O errors"},
	{DISK_FULL, false, "no space for once"}, {DISK_FULL, true, "no space"},
	{DISK_SHORT, false, "a short write"},    {DISK_SHORT, true, "short writes"},
	{DISK_QUOTA, true, "no quota"},          {DISK_SYNC, false, "a failed sync"},
	{DISK_SYNC, true, "failed syncs"},
};

static bool is_about_space(const struct fault *fault)
{
	return fault->kind == DISK_FULL || fault->kind == DISK_SHORT || fault->kind == DISK_QUOTA;
}

/* A journal as a kill leaves it: with a log. */
static void leave_a_log(struct life *life)
{
	world_must_open(&life->world);
	for (int i = 0; i < 12; i++)
		deliver_new(life, 1 + i % 3);
	journal_collect(life->world.journal);
	for (size_t i = 0; i < life->n; i += 2)
		write_row(life, i, i % 4 == 0);
	journal_collect(life->world.journal);
	disk.is_dead = true;
	world_close(&life->world);
	disk_settle(true);
}

/* All that a journal does: adding, writing, putting the log into the file, pruning, reading. */
static void live_a_day(struct life *life)
{
	struct journal_stats stats = {0};

	for (int i = 0; i < 12; i++) {
		deliver_new(life, 1 + (size_t)i % 2);
		if (i % 3 == 0)
			deliver(life, life->facts[life->n / 2].first, life->facts[life->n / 2].n);
		journal_collect(life->world.journal);
		write_row(life, life->n - 1, false);
		write_row(life, life->n / 2, true);
		journal_collect(life->world.journal);
		if (i % 4 == 3)
			pass_time(life, MINUTE_MS + 1);
	}
	journal_read_stats(life->world.journal, &stats);
}

/* It finds out within about a second, and takes what comes then. */
static void check_recovery(struct life *life, const char *where)
{
	disk_fail(DISK_OK, 0, false);
	pass_time(life, 1100);
	pass_time(life, 1100);
	if (journal_failure(life->world.journal) || !journal_is_writable(life->world.journal))
		fail_msg("%s: no recovery, %s", where, journal_failure(life->world.journal));
	life->is_told_failure = false;
	deliver_new(life, 1);
	journal_collect(life->world.journal);
	if (life->is_told_failure)
		fail_msg("%s: not taken after the recovery", where);
}

static void check_life(struct life *life, const struct fault *fault, const char *where)
{
	const char *failure = journal_failure(life->world.journal);

	if (!is_about_space(fault)) {
		if (life->is_told_failure && !failure)
			fail_msg("%s: something was not stored, and it goes on", where);
		return;
	}
	if (failure)
		fail_msg("%s: %s", where, failure);
	check_recovery(life, where);
}

/* True when the Kth call that this fault may hit was made. */
static bool fail_at(const struct fault *fault, long k, bool has_log)
{
	CLEANUP(release_life) struct life life = {0};
	struct err err = {0};
	char where[80];
	bool is_hit;
	int rc;

	(void)snprintf(where, sizeof(where), "%s at call %ld, %s", fault->name, k,
		       has_log ? "after a kill" : "from nothing");
	init_life(&life, (uint64_t)k);
	if (has_log)
		leave_a_log(&life);
	disk_fail(fault->kind, k, fault->is_lasting);
	rc = world_open(&life.world, &err);
	if (rc == ERR_OK) {
		shrink_bounds(&life);
		live_a_day(&life);
		check_life(&life, fault, where);
		world_close(&life.world);
	} else if (rc != ERR_UNAVAILABLE) {
		fail_msg("%s: %s", where, err.msg);
	}
	is_hit = disk.has_failed;
	disk_settle(disk_random(2));
	check_after(&life, where);
	check_redelivery(&life, where);
	return is_hit;
}

static void fail_one_after_the_other(const struct fault *fault, bool has_log, long step)
{
	long k = 1;
	long n = 0;

	for (; fail_at(fault, k, has_log); k += step)
		n++;
	print_message("%s, %s: %ld of %ld calls\n", fault->name,
		      has_log ? "after a kill" : "from nothing", n, k - step);
	assert_true(k > 1);
}

static void no_failure_of_the_disk_makes_it_tell_what_is_not_so(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		fail_one_after_the_other(&faults[i], true, is_long() ? 1 : 29);
		fail_one_after_the_other(&faults[i], false, is_long() ? 1 : 37);
	}
}

static void end_read(sqlite3 **db)
{
	(void)sqlite3_exec(*db, "ROLLBACK", NULL, NULL, NULL);
	(void)sqlite3_close(*db);
}

/* Somebody reads, so that the log can't start over; there may be room all the same. */
static void a_reader_keeps_nobody_from_finding_that_there_is_room(void **state)
{
	CLEANUP(release_life) struct life life = {0};
	CLEANUP(end_read) sqlite3 *db = NULL;
	char path[PATH_MAX];

	(void)state;
	init_life(&life, 1);
	leave_a_log(&life);
	world_must_open(&life.world);
	deliver_new(&life, 1);
	journal_collect(life.world.journal);
	(void)snprintf(path, sizeof(path), "%s/journal.db", life.world.dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT count(*) FROM change", NULL, NULL, NULL),
			 SQLITE_OK);
	disk_fail(DISK_FULL, 1, true);
	deliver_new(&life, 1);
	journal_collect(life.world.journal);
	assert_true(life.is_told_failure);
	assert_false(journal_is_writable(life.world.journal));
	check_recovery(&life, "with a reader");
}

/*
 * After a sync that failed the kernel takes what it has in its cache for written. The next process
 * sees it there, and must not build on it; worst of all, the power goes while it starts.
 */
static bool lose_power_after_failed_sync(long k, long calls)
{
	CLEANUP(release_life) struct life life = {0};
	struct err err = {0};
	char where[80];
	bool is_hit;

	(void)snprintf(where, sizeof(where), "sync %ld failed, then no power at call %ld", k,
		       calls);
	init_life(&life, (uint64_t)(1000 * k + calls));
	leave_a_log(&life);
	disk_fail(DISK_SYNC, k, false);
	if (world_open(&life.world, &err) == ERR_OK) {
		shrink_bounds(&life);
		life.world.journal->writer.bounds.checkpoint_pages = 30;
		live_a_day(&life);
	}
	is_hit = disk.has_failed;
	world_close(&life.world);
	live_until_call(&life, calls);
	disk_settle(true);
	check_after(&life, where);
	return is_hit;
}

static void a_sync_that_failed_is_not_trusted_by_the_next_process(void **state)
{
	const long step = is_long() ? 3 : 17;
	long n = 0;

	(void)state;
	for (long calls = 1; calls < 200; calls += step)
		for (long k = 1; lose_power_after_failed_sync(k, calls); k += is_long() ? 1 : 7)
			n++;
	print_message("%ld restarts\n", n);
}

/* Memory. */

static void check_without_memory(struct life *life, const char *where)
{
	memory_fail(0, false);
	/* A read that fails may have hidden builds that wait: it ends the process. */
	if (!journal_failure(life->world.journal))
		check_recovery(life, where);
}

static bool lack_memory_at(long k, bool is_lasting, bool has_log)
{
	CLEANUP(release_life) struct life life = {0};
	struct err err = {0};
	char where[80];
	int rc;

	(void)snprintf(where, sizeof(where), "%s memory from allocation %ld, %s",
		       is_lasting ? "no" : "once no", k, has_log ? "after a kill" : "from nothing");
	init_life(&life, (uint64_t)k);
	if (has_log)
		leave_a_log(&life);
	memory_fail(k, is_lasting);
	rc = world_open(&life.world, &err);
	if (rc == ERR_OK) {
		shrink_bounds(&life);
		live_a_day(&life);
		check_without_memory(&life, where);
		world_close(&life.world);
	} else if (rc != ERR_UNAVAILABLE) {
		fail_msg("%s: %s", where, err.msg);
	}
	memory_fail(0, false);
	disk_settle(false);
	check_after(&life, where);
	check_redelivery(&life, where);
	return memory.has_failed;
}

static void memory_that_runs_out_makes_it_tell_nothing_that_is_not_so(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		long step = is_long() ? 1 : 293;
		long k = 1 + i * 31;

		while (lack_memory_at(k, i % 2, i / 2))
			k += step;
		print_message("%ld allocations\n", k - step);
		assert_true(k > 300);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sync_that_failed_is_not_trusted_by_the_next_process),
		cmocka_unit_test(what_was_told_survives_losses_of_power),
		cmocka_unit_test(memory_that_runs_out_makes_it_tell_nothing_that_is_not_so),
		cmocka_unit_test(no_failure_of_the_disk_makes_it_tell_what_is_not_so),
		cmocka_unit_test(a_reader_keeps_nobody_from_finding_that_there_is_room),
	};

	memory_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
