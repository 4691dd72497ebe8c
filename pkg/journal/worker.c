#include "journal/core.h"

#include "journal/sql.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>

#define BATCH_OPS   256
#define BATCH_BYTES (4 * 1024 * 1024)
#define PROBE_MS    1000
#define PRUNE_MS    60000

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

/* What did not succeed is either tried again, by a probe, or the end. */
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
	pthread_mutex_lock(&journal->lock);
	while (journal->waiting.head && journal->running.n < BATCH_OPS &&
	       journal->running.bytes < BATCH_BYTES)
		journal_ops_put(&journal->running, journal_ops_take(&journal->waiting));
	pthread_mutex_unlock(&journal->lock);
	return journal->running.head != NULL;
}

static void refuse_batch(struct journal *journal)
{
	for (struct journal_op *op = journal->running.head; op; op = op->next)
		op->status = ERR_UNAVAILABLE;
}

static double commit_batch(struct journal *journal)
{
	double start = now_seconds();
	int rc;

	if (!atomic_load(&journal->is_writable)) {
		refuse_batch(journal);
		return -1;
	}
	rc = journal_writer_commit(&journal->writer, &journal->running);
	note(journal, "write", rc);
	return rc == SQLITE_OK ? now_seconds() - start : -1;
}

/* SECONDS: of the commit, or less than 0. */
static void publish(struct journal *journal, double seconds)
{
	bool is_dirty;

	pthread_mutex_lock(&journal->lock);
	journal_ops_append(&journal->done, &journal->running);
	memcpy(journal->rows, journal->writer.rows, sizeof(journal->rows));
	journal->log_bytes = (int64_t)journal->writer.log_pages * 4096;
	if (seconds >= 0 && journal->n_seconds < JOURNAL_MAX_SECONDS)
		journal->seconds[journal->n_seconds++] = seconds;
	is_dirty = journal->done.head && !journal->is_woken;
	journal->is_woken = journal->is_woken || is_dirty;
	pthread_mutex_unlock(&journal->lock);
	if (is_dirty)
		wake(journal);
}

static void prune(struct journal *journal)
{
	bool more = false;
	int64_t now_ms;

	pthread_mutex_lock(&journal->lock);
	now_ms = journal->now_ms;
	pthread_mutex_unlock(&journal->lock);
	note(journal, "prune", journal_writer_prune(&journal->writer, now_ms, &more));
	journal->prune_at_ms = mono_ms(journal) + (more ? 0 : PRUNE_MS);
}

static void probe(struct journal *journal)
{
	int rc = journal_writer_probe(&journal->writer);

	note(journal, "write", rc);
	if (rc == SQLITE_OK)
		atomic_store(&journal->is_writable, true);
}

static void keep_up(struct journal *journal)
{
	int64_t now_ms = mono_ms(journal);

	if (atomic_load(&journal->is_writable))
		note(journal, "checkpoint", journal_writer_checkpoint(&journal->writer));
	else if (!atomic_load(&journal->has_failed) && now_ms >= journal->probe_at_ms)
		probe(journal);
	if (atomic_load(&journal->is_writable) && now_ms >= journal->prune_at_ms)
		prune(journal);
}

/* One batch, if any waits, and the upkeep that is due. */
static void work(struct journal *journal)
{
	if (take_batch(journal))
		publish(journal, commit_batch(journal));
	keep_up(journal);
	publish(journal, -1);
}

void journal_worker_finish(struct journal *journal)
{
	do
		work(journal);
	while (journal->waiting.head);
}

/* Until there is something to do, with the lock held. */
static void wait_for_need(struct journal *journal)
{
	int64_t due_ms =
		atomic_load(&journal->is_writable) ? journal->prune_at_ms : journal->probe_at_ms;
	struct timespec due = {.tv_sec = due_ms / 1000, .tv_nsec = due_ms % 1000 * 1000000};
	int rc = 0;

	while (rc == 0 && !journal->waiting.head && !journal->is_stopping)
		rc = atomic_load(&journal->has_failed)
			     ? pthread_cond_wait(&journal->is_needed, &journal->lock)
			     : pthread_cond_timedwait(&journal->is_needed, &journal->lock, &due);
}

static void *run(void *arg)
{
	struct journal *journal = arg;
	bool is_over = false;

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
		note(journal, "checkpoint", journal_writer_finish(&journal->writer));
}
