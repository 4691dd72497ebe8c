/* The journal's thread: takes what was submitted, commits it in batches, and wakes the loop. */
#include "journal/core.h"

#include "journal/sql.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>

#define BATCH_OPS   256
#define BATCH_BYTES (4 * 1024 * 1024)
#define PROBE_MS    1000
#define PRUNE_MS    60000
/* How old the last statvfs() may be: other programs use the disk, too. */
#define MEASURE_MS 100
/* Where there is little room: so few that they fit into the reserve, a page or two for each of the
 * table and its indexes. */
#define SMALL_BATCH_OPS 8

/* A clock belongs to one thread; this side has the same source only while it is on the caller's. */
static int64_t mono_ms(const struct journal *journal)
{
	return journal->has_thread ? clock_real_mono_ms(NULL)
				   : clock_mono_ms(journal->options.clock);
}

static double now_seconds(void)
{
	struct timespec now = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void wake(struct journal *journal)
{
	if (journal->options.wake)
		journal->options.wake(journal->options.wake_arg);
}

void journal_fail(struct journal *journal, const char *what, int rc)
{
	int cause = journal_sql_errno(rc);
	bool is_first;

	pthread_mutex_lock(&journal->lock);
	is_first = !atomic_load(&journal->has_failed);
	if (is_first)
		(void)snprintf(journal->failure, sizeof(journal->failure),
			       "journal: %s: %s (code %d)%s%s", what, sqlite3_errstr(rc), rc,
			       cause ? ": " : "", cause ? strerror(cause) : "");
	atomic_store(&journal->is_writable, false);
	atomic_store(&journal->has_failed, true);
	pthread_mutex_unlock(&journal->lock);
	if (is_first)
		wake(journal);
}

/* After an error: either a later probe tries again, or the journal has failed. */
static void note(struct journal *journal, const char *what, int rc)
{
	if (rc == SQLITE_OK)
		return;
	if (!journal_sql_is_passing(rc)) {
		journal_fail(journal, what, rc);
		return;
	}
	atomic_store(&journal->is_writable, false);
	journal->probe_at_ms = mono_ms(journal) + PROBE_MS;
}

static bool take_batch(struct journal *journal)
{
	bool is_short = !atomic_load(&journal->is_writable);
	size_t max_ops = is_short ? SMALL_BATCH_OPS : BATCH_OPS;
	size_t max_bytes = (size_t)journal->writer.space.log_limit_bytes / 4;

	if (max_bytes > BATCH_BYTES)
		max_bytes = BATCH_BYTES;
	pthread_mutex_lock(&journal->lock);
	while (journal->waiting.head && journal->running.n < max_ops &&
	       journal->running.bytes < max_bytes)
		journal_ops_put(&journal->running, journal_ops_take(&journal->waiting));
	pthread_mutex_unlock(&journal->lock);
	return journal->running.head != NULL;
}

/* Takes the place of an older one of the same row, so there are never more than rows. */
static void hold(struct journal *journal, const struct journal_op *op)
{
	struct journal_ops kept = {0};

	for (struct journal_op *held = journal_ops_take(&journal->held); held;
	     held = journal_ops_take(&journal->held))
		if (held->update.seq == op->update.seq)
			journal_op_free(held);
		else
			journal_ops_put(&kept, held);
	journal_ops_put(&kept, journal_op_copy_write(op));
	journal->held = kept;
}

/*
 * For want of room: what is added is refused, and what changes a row is kept until there is room.
 * Whoever started a build need not look whether it did.
 */
static void refuse_batch(struct journal *journal)
{
	bool has_failed = atomic_load(&journal->has_failed);

	for (struct journal_op *op = journal->running.head; op; op = op->next) {
		op->status = ERR_UNAVAILABLE;
		if (has_failed || op->kind != JOURNAL_OP_WRITE)
			continue;
		hold(journal, op);
		op->status = ERR_LIMIT;
	}
}

/* Write held ops first: otherwise an older state of a row would overwrite a newer one. */
static int commit_held(struct journal *journal)
{
	int rc = SQLITE_OK;

	while (rc == SQLITE_OK && journal->held.head) {
		struct journal_ops batch = {0};

		while (journal->held.head && batch.n < SMALL_BATCH_OPS)
			journal_ops_put(&batch, journal_ops_take(&journal->held));
		rc = journal_writer_commit(&journal->writer, &batch, false);
		if (rc == SQLITE_OK)
			journal_ops_release(&batch);
		journal_ops_append(&batch, &journal->held);
		journal->held = batch;
		if (rc == SQLITE_OK)
			rc = journal_writer_checkpoint(&journal->writer);
	}
	return rc;
}

static double commit_batch(struct journal *journal)
{
	double start = now_seconds();
	bool is_accepting = atomic_load(&journal->is_writable);
	int rc;

	if (atomic_load(&journal->has_failed) || journal->held.head) {
		refuse_batch(journal);
		return -1;
	}
	rc = journal_writer_commit(&journal->writer, &journal->running, is_accepting);
	if (rc != SQLITE_OK) {
		note(journal, "write", rc);
		refuse_batch(journal);
		return -1;
	}
	return now_seconds() - start;
}

/* SECONDS: of the commit, or less than 0. */
static void publish(struct journal *journal, double seconds)
{
	struct journal_writer *writer = &journal->writer;
	bool is_news;

	pthread_mutex_lock(&journal->lock);
	journal_ops_append(&journal->done, &journal->running);
	memcpy(journal->stats.rows, writer->rows, sizeof(writer->rows));
	journal->stats.log_bytes = (int64_t)writer->log_pages * JOURNAL_PAGE_BYTES;
	journal->stats.log_limit_bytes = writer->space.log_limit_bytes;
	journal->stats.room_bytes = writer->space.room_bytes;
	journal->stats.n_removed_early = writer->n_removed_early;
	if (writer->n_cuts > 0) {
		memcpy(journal->cuts, writer->cuts, sizeof(writer->cuts));
		journal->n_cuts = writer->n_cuts;
		writer->n_cuts = 0;
	}
	if (seconds >= 0 && journal->n_seconds < JOURNAL_MAX_SECONDS)
		journal->seconds[journal->n_seconds++] = seconds;
	is_news = (journal->done.head || journal->n_cuts > 0) && !journal->is_woken;
	journal->is_woken = journal->is_woken || is_news;
	pthread_mutex_unlock(&journal->lock);
	if (is_news)
		wake(journal);
}

static void prune(struct journal *journal)
{
	bool more = false;
	int64_t now_ms;
	int rc;

	pthread_mutex_lock(&journal->lock);
	now_ms = journal->now_ms;
	pthread_mutex_unlock(&journal->lock);
	rc = journal_writer_prune(&journal->writer, now_ms, &more);
	note(journal, "prune", rc);
	journal->prune_at_ms = mono_ms(journal) + (more ? 0 : PRUNE_MS);
}

/* Accepts changes again once there is room and all held ops are written. */
static void probe(struct journal *journal)
{
	int rc = commit_held(journal);

	if (rc == SQLITE_OK)
		rc = journal_writer_probe(&journal->writer);
	journal->probe_at_ms = mono_ms(journal) + PROBE_MS;
	note(journal, "write", rc);
	if (rc == SQLITE_OK)
		atomic_store(&journal->is_writable, true);
}

static bool has_failed(const struct journal *journal)
{
	return atomic_load(&journal->has_failed);
}

static void measure(struct journal *journal)
{
	const struct journal_writer *writer = &journal->writer;
	int64_t now_ms = mono_ms(journal);

	if (now_ms < journal->measure_at_ms && journal_writer_has_room(writer) &&
	    !writer->space.is_short)
		return;
	journal->measure_at_ms = now_ms + MEASURE_MS;
	note(journal, "measure", journal_writer_measure(&journal->writer));
	if (atomic_load(&journal->is_writable) && !journal_writer_has_room(writer))
		note(journal, "write", SQLITE_FULL);
}

static void keep_up(struct journal *journal)
{
	const struct journal_writer *writer = &journal->writer;

	note(journal, "checkpoint", journal_writer_checkpoint(&journal->writer));
	if (!has_failed(journal))
		measure(journal);
	if (!has_failed(journal) &&
	    (mono_ms(journal) >= journal->prune_at_ms || writer->space.is_short))
		prune(journal);
	if (!has_failed(journal) && mono_ms(journal) >= journal->probe_at_ms &&
	    (!atomic_load(&journal->is_writable) || !journal_writer_has_reserve(writer)))
		probe(journal);
}

/* One batch, if any waits, and the upkeep that is due. */
static void work(struct journal *journal)
{
	if (!has_failed(journal))
		measure(journal);
	if (take_batch(journal))
		publish(journal, commit_batch(journal));
	if (!has_failed(journal))
		keep_up(journal);
	publish(journal, -1);
}

void journal_worker_finish(struct journal *journal)
{
	do
		work(journal);
	while (journal->waiting.head);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Waits, with the lock held, until there is something to do. */
static void wait_for_need(struct journal *journal)
{
	bool needs_probe = !atomic_load(&journal->is_writable);
	int64_t due_ms =
		earlier(journal->prune_at_ms, needs_probe ? journal->probe_at_ms : INT64_MAX);
	struct timespec due;
	int rc = 0;

	due = (struct timespec){.tv_sec = due_ms / 1000, .tv_nsec = due_ms % 1000 * 1000000};
	while (rc == 0 && !journal->waiting.head && !journal->is_stopping)
		rc = atomic_load(&journal->has_failed)
			     ? pthread_cond_wait(&journal->is_needed, &journal->lock)
			     : pthread_cond_timedwait(&journal->is_needed, &journal->lock, &due);
}

static void *run(void *arg)
{
	struct journal *journal = arg;
	bool is_over = false;

	keep_up(journal);
	while (!is_over) {
		pthread_mutex_lock(&journal->lock);
		wait_for_need(journal);
		is_over = journal->is_stopping && !journal->waiting.head;
		pthread_mutex_unlock(&journal->lock);
		if (!is_over)
			work(journal);
	}
	return NULL;
}

int journal_worker_start(struct journal *journal, struct err *err)
{
	sigset_t all;
	sigset_t before;
	int rc;

	/* Signals are the loop's. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	journal->has_thread = true;
	journal->prune_at_ms = mono_ms(journal) + PRUNE_MS;
	rc = pthread_create(&journal->thread, NULL, run, journal);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0)
		return ERR_OK;
	journal->has_thread = false;
	return err_set(err, ERR_UNAVAILABLE, "journal: start its thread: %s", strerror(rc));
}

static void stop_thread(struct journal *journal)
{
	pthread_mutex_lock(&journal->lock);
	journal->is_stopping = true;
	pthread_cond_signal(&journal->is_needed);
	pthread_mutex_unlock(&journal->lock);
	(void)pthread_join(journal->thread, NULL);
	journal->has_thread = false;
}

void journal_worker_stop(struct journal *journal)
{
	if (journal->has_thread)
		stop_thread(journal);
	else
		journal_worker_finish(journal);
	if (!atomic_load(&journal->has_failed))
		note(journal, "write", commit_held(journal));
	if (!atomic_load(&journal->has_failed))
		note(journal, "checkpoint", journal_writer_finish(&journal->writer));
}
