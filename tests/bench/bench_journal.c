/*
 * How many deliveries a second the journal makes durable with 256 senders who each wait for their
 * answer, compared, in the same run and folder, with rows of the same size that SQLite alone
 * commits in batches of 32.
 *
 *     bench_journal FOLDER [SECONDS]
 */
#include "journal/journal.h"

#include "base/mem.h"

#include <inttypes.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define SENDERS 256
#define BATCH   32
/* Of one BuildConfig, one namespace and all wait at most 1,000, 25,000 and 100,000
 * (journal/space.c). */
#define PER_BUILDCONFIG 500
#define PER_NAMESPACE   2000
#define MAX_ROWS        80000

struct bench {
	struct journal *journal;
	struct clock *clock;
	int wake_fd;
	int64_t end_ms;
	uint64_t n_asked;
	uint64_t n_stored;
	size_t n_waiting;
};

static void no_random(void *arg, void *out, size_t n)
{
	(void)arg;
	memset(out, 0, n);
}

static void wake(void *arg)
{
	const struct bench *bench = arg;

	(void)eventfd_write(bench->wake_fd, 1);
}

static void must(bool is_good, const char *what)
{
	if (!is_good) {
		(void)fprintf(stderr, "bench_journal: %s\n", what);
		exit(1);
	}
}

struct texts {
	char id[64], uid[64], namespace_[32], name[32];
};

static struct journal_change delivery(uint64_t i, struct texts *t)
{
	(void)snprintf(t->id, sizeof(t->id), "%08" PRIx64 "-72d3-11e3-8144-f2c3%08" PRIx64,
		       i * 2654435761U % 4294967296U, i);
	(void)snprintf(t->uid, sizeof(t->uid), "5f0c3a9e-0000-4000-8000-%012" PRIx64,
		       i / PER_BUILDCONFIG);
	(void)snprintf(t->namespace_, sizeof(t->namespace_), "shop-%" PRIu64, i / PER_NAMESPACE);
	(void)snprintf(t->name, sizeof(t->name), "cart-%" PRIu64, i / PER_BUILDCONFIG);
	return (struct journal_change){
		.accepted_ms = clock_real_wall_ms(NULL),
		.uid = t->uid,
		.namespace_ = t->namespace_,
		.name = t->name,
		.type = "github",
		.host = "github",
		.delivery_id = t->id,
		.ref = "refs/heads/main",
		.commit = "3f2a1b04c5d6e7f8091a2b3c4d5e6f708192a3b4",
		.author_name = "Alice Example",
		.author_email = "alice@example.com",
		.committer_name = "Alice Example",
		.committer_email = "alice@example.com",
		.message = "Mend the cart: prices with more than two decimals were cut",
		.pusher = "alice",
		.env_json = "",
		.options_json = "",
		.warning = "",
		.before = "",
		.body_digest = "",
	};
}

static void send_next(struct bench *bench);

static void on_stored(void *arg, int status, const struct journal_add_result *results, size_t n)
{
	struct bench *bench = arg;

	must(status == ERR_OK && n == 1 && results->added == JOURNAL_NEW, "not stored");
	bench->n_stored++;
	bench->n_waiting--;
	if (clock_mono_ms(bench->clock) < bench->end_ms && bench->n_asked < MAX_ROWS)
		send_next(bench);
}

static void send_next(struct bench *bench)
{
	struct texts texts;
	const struct journal_change change = delivery(bench->n_asked++, &texts);

	must(journal_add(bench->journal, &change, 1, on_stored, bench) != 0, "refused");
	bench->n_waiting++;
}

/* Of all threads, since the start. */
static double cpu_us(void)
{
	struct rusage usage = {0};

	(void)getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

struct figures {
	double rows_per_s;
	double cpu_us_per_row;
};

static struct figures figures_of(uint64_t rows, int64_t took_ms, double cpu_before_us)
{
	return (struct figures){(double)rows * 1000 / (double)took_ms,
				(cpu_us() - cpu_before_us) / (double)rows};
}

static struct figures measure_journal(const char *folder, int seconds)
{
	const struct clock_source source = {clock_real_mono_ms, clock_real_wall_ms, no_random,
					    NULL};
	struct bench bench = {.clock = clock_new(&source), .wake_fd = eventfd(0, EFD_CLOEXEC)};
	const struct journal_options options = {.data_dir = folder,
						.clock = bench.clock,
						.dedupe_window_ms = 72LL * 3600 * 1000,
						.wake = wake,
						.wake_arg = &bench};
	struct err err = {0};
	double cpu_before_us = cpu_us();
	int64_t start_ms;
	int64_t took_ms;

	must(journal_open(&bench.journal, &options, &err) == ERR_OK, err.msg);
	start_ms = clock_mono_ms(bench.clock);
	bench.end_ms = start_ms + seconds * 1000LL;
	for (int i = 0; i < SENDERS; i++)
		send_next(&bench);
	while (bench.n_waiting > 0) {
		eventfd_t n;

		(void)eventfd_read(bench.wake_fd, &n);
		journal_collect(bench.journal);
	}
	took_ms = clock_mono_ms(bench.clock) - start_ms;
	journal_close(bench.journal);
	clock_free(bench.clock);
	(void)close(bench.wake_fd);
	return figures_of(bench.n_stored, took_ms, cpu_before_us);
}

/* The texts of a delivery as one: about what a row of the journal holds. */
static size_t format_row(char *out, size_t cap, uint64_t i)
{
	struct texts texts;
	const struct journal_change d = delivery(i, &texts);
	int n = snprintf(out, cap, "%s %s %s %s %s %s %s %s %s %s %s %s %s %s", d.uid, d.namespace_,
			 d.name, d.type, d.host, d.delivery_id, d.ref, d.commit, d.author_name,
			 d.author_email, d.committer_name, d.committer_email, d.message, d.pusher);

	return n < 0 ? 0 : (size_t)n;
}

static struct figures measure_bare(const char *folder, int seconds)
{
	CLEANUP(mem_free) char *path = mem_new(1, strlen(folder) + 16);
	sqlite3 *db = NULL;
	sqlite3_stmt *insert = NULL;
	int64_t start_ms = clock_real_mono_ms(NULL);
	int64_t now_ms = start_ms;
	double cpu_before_us = cpu_us();
	uint64_t n = 0;

	(void)sprintf(path, "%s/bare.db", folder);
	must(sqlite3_open(path, &db) == SQLITE_OK &&
		     sqlite3_exec(db,
				  "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
				  "CREATE TABLE t (id INTEGER PRIMARY KEY, row TEXT)",
				  NULL, NULL, NULL) == SQLITE_OK &&
		     sqlite3_prepare_v2(db, "INSERT INTO t (row) VALUES (?)", -1, &insert, NULL) ==
			     SQLITE_OK,
	     "open bare.db");
	for (; now_ms < start_ms + seconds * 1000LL; now_ms = clock_real_mono_ms(NULL)) {
		must(sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK, "begin");
		for (int i = 0; i < BATCH; i++) {
			char row[1024];
			size_t len = format_row(row, sizeof(row), n++);

			must(sqlite3_bind_text(insert, 1, row, (int)len, SQLITE_STATIC) ==
					     SQLITE_OK &&
				     sqlite3_step(insert) == SQLITE_DONE &&
				     sqlite3_reset(insert) == SQLITE_OK,
			     "insert");
		}
		must(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK, "commit");
	}
	(void)sqlite3_finalize(insert);
	(void)sqlite3_close(db);
	return figures_of(n, now_ms - start_ms, cpu_before_us);
}

int main(int argc, char **argv)
{
	int seconds = argc > 2 ? atoi(argv[2]) : 5;
	struct rusage usage = {0};
	struct figures journal;
	struct figures bare;

	must(argc > 1 && seconds > 0, "usage: bench_journal FOLDER [SECONDS]");
	journal = measure_journal(argv[1], seconds);
	bare = measure_bare(argv[1], seconds);
	(void)getrusage(RUSAGE_SELF, &usage);
	(void)printf("journal: %.0f rows/s, %.1f us of CPU each; SQLite alone: %.0f, %.1f us; "
		     "ratio %.2f; "
		     "at most %ld KiB resident\n",
		     journal.rows_per_s, journal.cpu_us_per_row, bare.rows_per_s,
		     bare.cpu_us_per_row, journal.rows_per_s / bare.rows_per_s, usage.ru_maxrss);
	return journal.rows_per_s * 2 >= bare.rows_per_s ? 0 : 1;
}
