/*
 * The journal's interface, on the caller's thread: submits operations, and delivers their results.
 */
#include "journal/core.h"

#include "journal/row.h"
#include "journal/schema.h"
#include "journal/sql.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

/* Limit of ops whose results have not been delivered yet. */
#define MAX_OPS   4096
#define MAX_BYTES (16 * 1024 * 1024)

static int64_t journal_now(const struct journal *journal)
{
	return journal->time_base_ms + clock_mono_ms(journal->options.clock);
}

/*
 * The journal's own time goes with the monotonic clock: a wall clock that jumps neither ends nor
 * stretches the window in which deliveries are known again. At start it is the wall clock's, but
 * never before what has been stored.
 */
static int set_time(struct journal *journal)
{
	const struct clock *clock = journal->options.clock;
	int64_t now_ms = clock_wall_ms(clock);
	int64_t newest_ms = now_ms;
	int rc =
		journal_sql_int(journal->writer.db,
				"SELECT seen_ms FROM change ORDER BY seq DESC LIMIT 1", &newest_ms);

	if (newest_ms > now_ms)
		now_ms = newest_ms;
	journal->now_ms = now_ms;
	journal->time_base_ms = now_ms - clock_mono_ms(clock);
	return rc;
}

static int open_connections(struct journal *journal, struct err *err)
{
	CLEANUP(mem_free) char *path = journal_folder_path(journal->folder.path, JOURNAL_FILE);
	sqlite3 *db = NULL;
	int rc = journal_schema_open(&db, &journal->folder, err);

	if (rc != ERR_OK)
		return rc;
	rc = journal_writer_init(&journal->writer, db,
				 &(struct journal_writer_options){
					 .dedupe_window_ms = journal->options.dedupe_window_ms,
					 .size_bytes = journal->options.size_bytes,
					 .max_replaced = journal->options.max_replaced,
					 .folder_fd = journal->folder.fd});
	if (rc == SQLITE_OK)
		rc = set_time(journal);
	if (rc == SQLITE_OK)
		rc = journal_reader_init(&journal->reader, path, 0);
	if (rc == SQLITE_OK)
		rc = journal_pending_load(&journal->pending, journal->reader.db);
	if (rc != SQLITE_OK)
		return err_set(err, ERR_UNAVAILABLE, "journal %s: %s", path, sqlite3_errstr(rc));
	journal->reader.version = JOURNAL_VERSION;
	memcpy(journal->stats.rows, journal->writer.rows, sizeof(journal->stats.rows));
	return ERR_OK;
}

static void init_lock(struct journal *journal)
{
	pthread_condattr_t attr;
	int failed = pthread_mutex_init(&journal->lock, NULL);

	failed |= pthread_condattr_init(&attr);
	failed |= pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	failed |= pthread_cond_init(&journal->is_needed, &attr);
	assert(!failed); /* they fail for want of memory alone, and that ends it everywhere */
	(void)pthread_condattr_destroy(&attr);
}

/* IS_CLEAN: nothing failed, and the log may be removed. */
static void release(struct journal *journal, bool is_clean)
{
	journal_reader_release(&journal->reader);
	journal_writer_release(&journal->writer, is_clean);
	journal_folder_release(&journal->folder);
	journal_ops_release(&journal->done);
	journal_ops_release(&journal->held);
	journal_pending_release(&journal->pending);
	journal_memory_release(&journal->memory);
	(void)pthread_cond_destroy(&journal->is_needed);
	(void)pthread_mutex_destroy(&journal->lock);
	free(journal);
}

static void discard(struct journal **journal)
{
	if (*journal)
		release(*journal, false);
}

int journal_open(struct journal **out, const struct journal_options *options, struct err *err)
{
	CLEANUP(discard) struct journal *journal = mem_new(1, sizeof(*journal));
	int rc;

	journal->options = *options;
	journal->options.data_dir = NULL;
	init_lock(journal);
	atomic_store(&journal->is_writable, true);
	rc = journal_folder_open(&journal->folder, options->data_dir, err);
	if (rc == ERR_OK)
		rc = open_connections(journal, err);
	if (rc == ERR_OK && options->wake)
		rc = journal_worker_start(journal, err);
	if (rc != ERR_OK)
		return rc;
	*out = TAKE(journal);
	return ERR_OK;
}

void journal_finish(struct journal *journal)
{
	journal_worker_stop(journal);
}

void journal_close(struct journal *journal)
{
	if (!journal)
		return;
	journal_finish(journal);
	release(journal, journal_is_writable(journal));
}

const char *journal_failure(const struct journal *journal)
{
	return atomic_load(&journal->has_failed) ? journal->failure : NULL;
}

bool journal_is_writable(const struct journal *journal)
{
	return atomic_load(&journal->is_writable);
}

static uint64_t submit(struct journal *journal, struct journal_op *op)
{
	op->ticket = ++journal->last_ticket;
	op->now_ms = journal_now(journal);
	op->wall_ms = clock_wall_ms(journal->options.clock);
	pthread_mutex_lock(&journal->lock);
	journal->now_ms = op->now_ms;
	journal_ops_put(&journal->waiting, op);
	pthread_mutex_unlock(&journal->lock);
	/* Without the lock: the thread that wakes up takes it first, and would sleep again. */
	pthread_cond_signal(&journal->is_needed);
	return journal->last_ticket;
}

/* Submits OP and returns its ticket; frees OP and returns 0 where too many wait already. */
static uint64_t submit_bounded(struct journal *journal, struct journal_op *op, void *arg)
{
	bool is_full;

	pthread_mutex_lock(&journal->lock);
	is_full =
		journal->waiting.n + journal->running.n + journal->done.n >= MAX_OPS ||
		journal->waiting.bytes + journal->running.bytes + journal->done.bytes + op->bytes >
			MAX_BYTES;
	pthread_mutex_unlock(&journal->lock);
	if (is_full) {
		journal_op_free(op);
		return 0;
	}
	op->arg = arg;
	return submit(journal, op);
}

uint64_t journal_add(struct journal *journal, const struct journal_change *changes, size_t n,
		     journal_add_fn fn, void *arg)
{
	struct journal_op *op = journal_op_new_add(changes, n);

	op->on_added = fn;
	return submit_bounded(journal, op, arg);
}

uint64_t journal_ask(struct journal *journal, const struct journal_change *changes, size_t n,
		     journal_add_fn fn, void *arg)
{
	struct journal_op *op = journal_op_new_add(changes, n);

	op->is_question = true;
	op->on_added = fn;
	return submit_bounded(journal, op, arg);
}

void journal_write(struct journal *journal, const struct journal_update *update,
		   void (*fn)(void *arg, int status), void *arg)
{
	struct journal_op *op = journal_op_new_write(update);

	op->on_written = fn;
	op->arg = arg;
	(void)submit(journal, op);
}

void journal_forget(struct journal *journal, uint64_t ticket)
{
	const struct journal_ops *const lists[] = {&journal->waiting, &journal->running,
						   &journal->done};

	pthread_mutex_lock(&journal->lock);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct journal_op *op = journal_ops_find(lists[i], ticket);

		if (op)
			op->on_added = NULL;
	}
	pthread_mutex_unlock(&journal->lock);
}

/* Results that arrive after this cause another wake-up. */
static size_t begin_collect(struct journal *journal)
{
	size_t n;

	pthread_mutex_lock(&journal->lock);
	journal->now_ms = journal_now(journal);
	journal->is_woken = false;
	n = journal->done.n;
	pthread_mutex_unlock(&journal->lock);
	return n;
}

static void note_added(struct journal *journal, const struct journal_op *op)
{
	for (size_t i = 0; i < op->n_changes; i++) {
		const struct journal_add_result *result = &op->results[i];
		struct journal_change change = *op->changes[i];

		if (result->added != JOURNAL_NEW && result->added != JOURNAL_REVIVED)
			continue;
		change.seq = result->seq;
		change.state = JOURNAL_ACCEPTED;
		journal_pending_put(&journal->pending, &change, journal_row_bytes(&change));
		if (result->superseded == 0)
			continue;
		change = (struct journal_change){.seq = result->superseded,
						 .state = JOURNAL_SUPERSEDED};
		journal_pending_update(&journal->pending, &change);
		if (journal->options.on_superseded)
			journal->options.on_superseded(journal->options.on_superseded_arg,
						       result->superseded);
	}
}

static void note_refused(struct journal *journal, const struct journal_op *op,
			 enum journal_limit limit)
{
	char key[2 * JOURNAL_MAX_TEXT + 2];

	(void)snprintf(key, sizeof(key), "%s/%s", op->changes[0]->namespace_, op->changes[0]->name);
	journal_memory_refused(&journal->memory, key, limit, op->now_ms);
}

/* Update the index before the callback, so that the callback finds its row in it. */
static void note_told(struct journal *journal, const struct journal_op *op)
{
	if (op->kind == JOURNAL_OP_ADD && !op->is_question) {
		if (op->status == ERR_OK)
			note_added(journal, op);
		else
			note_refused(journal, op,
				     op->status == ERR_LIMIT ? op->results[0].limit
							     : JOURNAL_LIMIT_DISK);
	}
	if (op->kind == JOURNAL_OP_WRITE && op->status != ERR_UNAVAILABLE)
		journal_pending_update(&journal->pending, &op->update);
}

static void note_cuts(struct journal *journal)
{
	struct journal_cut cuts[JOURNAL_MAX_CUTS];
	size_t n;

	pthread_mutex_lock(&journal->lock);
	n = journal->n_cuts;
	memcpy(cuts, journal->cuts, sizeof(cuts));
	journal->n_cuts = 0;
	pthread_mutex_unlock(&journal->lock);
	for (size_t i = 0; i < n; i++)
		journal_memory_cut(&journal->memory, cuts[i].namespace_, cuts[i].seen_ms,
				   journal_now(journal));
}

void journal_collect(struct journal *journal)
{
	if (!journal->has_thread)
		journal_worker_finish(journal);
	note_cuts(journal);
	/* One at a time: a callback may still forget the results behind its own. */
	for (size_t n = begin_collect(journal); n > 0; n--) {
		struct journal_op *op;

		pthread_mutex_lock(&journal->lock);
		op = journal_ops_take(&journal->done);
		pthread_mutex_unlock(&journal->lock);
		note_told(journal, op);
		journal_op_tell(op);
		journal_op_free(op);
	}
}

const char *journal_state_name(enum journal_state state)
{
	static const char *const names[JOURNAL_STATES] = {
		[JOURNAL_ACCEPTED] = "accepted",     [JOURNAL_STARTING] = "starting",
		[JOURNAL_STARTED] = "started",       [JOURNAL_FAILED] = "failed",
		[JOURNAL_SUPERSEDED] = "superseded", [JOURNAL_IGNORED] = "ignored",
	};

	assert((unsigned)state < JOURNAL_STATES);
	return names[state];
}

/* Rows examined in one call of journal_find_delivery(), at most. */
#define FIND_ROWS 2000
/* The rows of one delivery are stored together. */
#define DELIVERY_ROWS 64

static int find_delivery(sqlite3 *db, const char *uid, const char *id, int64_t from_seq,
			 int64_t to_seq, int64_t *out, size_t max, size_t *n)
{
	CLEANUP(journal_sql_finalizep) sqlite3_stmt *stmt = NULL;
	int rc = journal_sql_prepare(db,
				     "SELECT seq FROM change WHERE seq >= ?1 AND seq < ?2 AND "
				     "+uid = ?3 AND delivery_id = ?4 ORDER BY seq DESC",
				     &stmt);

	if (rc != SQLITE_OK)
		return rc;
	(void)sqlite3_bind_int64(stmt, 1, from_seq);
	(void)sqlite3_bind_int64(stmt, 2, to_seq);
	(void)sqlite3_bind_text(stmt, 3, uid, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(stmt, 4, id, -1, SQLITE_STATIC);
	while (*n < max && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
		out[(*n)++] = sqlite3_column_int64(stmt, 0);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Rows that can't be read may be builds that wait: to continue without them would lose those
 * builds. */
static void check_read(struct journal *journal, int rc)
{
	if (rc != SQLITE_OK)
		journal_fail(journal, "read", rc);
}

size_t journal_find_delivery(struct journal *journal, const char *uid, const char *id,
			     int64_t before_seq, int64_t *next_seq, int64_t *out, size_t max)
{
	int64_t first_seq = 0, last_seq = 0, from_seq = 0;
	size_t n = 0;
	int rc = journal_sql_int(journal->reader.db, "SELECT min(seq) FROM change", &first_seq);

	if (rc == SQLITE_OK && !before_seq)
		rc = journal_sql_int(journal->reader.db, "SELECT max(seq) FROM change", &last_seq);
	before_seq = before_seq ? before_seq : last_seq + 1;
	from_seq = before_seq - FIND_ROWS;
	if (rc == SQLITE_OK)
		rc = find_delivery(journal->reader.db, uid, id, from_seq, before_seq, out, max, &n);
	/* Some of its rows may be beyond the last that was looked at. */
	if (rc == SQLITE_OK && n > 0 && n < max)
		rc = find_delivery(journal->reader.db, uid, id, from_seq - DELIVERY_ROWS, from_seq,
				   out, max, &n);
	*next_seq = rc == SQLITE_OK && from_seq > first_seq ? from_seq : 0;
	check_read(journal, rc);
	return rc == SQLITE_OK ? n : 0;
}

void journal_read_waiting(const struct journal *journal, const char *key,
			  struct journal_waiting *out)
{
	const struct journal_pending_config *config =
		journal_pending_find_config(&journal->pending, key);

	*out = (struct journal_waiting){0};
	if (config)
		*out = (struct journal_waiting){.n = config->sum.rows,
						.newest_seq = config->rows->prev->seq,
						.seq = config->rows->seq,
						.next_attempt_ms = config->rows->next_attempt_ms,
						.is_starting = config->rows->is_starting,
						.is_replaced = config->rows->is_replaced};
}

void journal_each_waiting(const struct journal *journal, const char *key, int64_t after_seq,
			  void (*fn)(void *arg, int64_t seq), void *arg)
{
	const struct journal_pending_config *config =
		journal_pending_find_config(&journal->pending, key);
	size_t left = config ? config->sum.rows : 0;

	/* utlist: the head's prev is the tail. */
	for (const struct journal_pending_row *row = config ? config->rows->prev : NULL;
	     left > 0 && row->seq > after_seq; row = row->prev, left--)
		fn(arg, row->seq);
}

void journal_each_waiting_key(const struct journal *journal, void (*fn)(void *arg, const char *key),
			      void *arg)
{
	struct journal_pending_config *config, *next;

	HASH_ITER (hh, journal->pending.configs, config, next)
		fn(arg, config->key);
}

/* A time of the journal as one of the wall clock. */
static int64_t to_wall_ms(const struct journal *journal, int64_t time_ms)
{
	return clock_wall_ms(journal->options.clock) - (journal_now(journal) - time_ms);
}

void journal_read_limits(const struct journal *journal, const char *key, struct journal_limits *out)
{
	const struct journal_memory_item *item = journal_memory_find(&journal->memory, key);
	CLEANUP(mem_free) char *namespace_ = mem_strndup(key, strcspn(key, "/"));
	int64_t now_ms = journal_now(journal);

	*out = (struct journal_limits){0};
	if (item && now_ms - item->noted_ms < JOURNAL_REFUSED_MS)
		*out = (struct journal_limits){.limit = item->limit,
					       .refused_ms = to_wall_ms(journal, item->noted_ms),
					       .n_refused = item->n_refused};
	item = journal_memory_find(&journal->memory, namespace_);
	if (item && now_ms - item->kept_since_ms < journal->options.dedupe_window_ms)
		out->kept_since_ms = to_wall_ms(journal, item->kept_since_ms);
}

struct journal_change *journal_read_row(struct journal *journal, int64_t seq)
{
	struct journal_change *row = NULL;

	check_read(journal, journal_reader_get(&journal->reader, seq, &row));
	return row;
}

void journal_each_recent(struct journal *journal, size_t max, journal_row_fn fn, void *arg)
{
	size_t n = 0;

	check_read(journal, journal_reader_recent(&journal->reader, INT64_MAX, max, fn, arg, &n));
}

void journal_read_stats(struct journal *journal, struct journal_stats *out)
{
	int64_t now_ms = journal_now(journal);
	int64_t oldest_ms = now_ms;

	pthread_mutex_lock(&journal->lock);
	*out = journal->stats;
	pthread_mutex_unlock(&journal->lock);
	check_read(journal, journal_reader_oldest_pending(&journal->reader, &oldest_ms));
	out->oldest_pending_ms = now_ms - oldest_ms;
}

size_t journal_take_commit_seconds(struct journal *journal, double *out, size_t max)
{
	size_t n;

	pthread_mutex_lock(&journal->lock);
	n = journal->n_seconds < max ? journal->n_seconds : max;
	memcpy(out, journal->seconds, n * sizeof(*out));
	journal->n_seconds = 0;
	pthread_mutex_unlock(&journal->lock);
	return n;
}
