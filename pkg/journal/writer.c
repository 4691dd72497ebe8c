#include "journal/writer.h"

#include "journal/change.h"
#include "journal/row.h"
#include "journal/sql.h"

#include "base/mem.h"

enum { BEGIN, COMMIT, ROLLBACK, FIND, INSERT, REMOVE, STATE_OF, UPDATE };

static const char *const texts[JOURNAL_STATEMENTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[FIND] = "SELECT c.seq, state, seen_ms, build, reason FROM known AS k CROSS JOIN change AS "
		 "c "
		 "ON c.seq = k.seq WHERE k.delivery_sum = ?5 "
		 "AND uid = ?1 AND type = ?2 AND delivery_id = ?3 AND ref = ?4",
	[INSERT] =
		"INSERT INTO change (" JOURNAL_ROW_COLUMNS ") VALUES (" JOURNAL_ROW_PARAMETERS ")",
	[REMOVE] = "DELETE FROM change WHERE seq = ?1",
	[STATE_OF] = "SELECT state FROM change WHERE seq = ?1",
	[UPDATE] =
		"UPDATE change SET state = ?2, gap_number = ?3, gap_ms = ?4, attempts = ?5, "
		"next_attempt_ms = ?6, ended_ms = ?7, progress_sum = ?8, build = ?9, reason = ?10 "
		"WHERE seq = ?1",
};

/* What is there of a change already; seq 0: nothing. */
struct known {
	int64_t seq;
	int64_t state;
	int64_t seen_ms;
};

static int on_log_written(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct journal_writer *writer = arg;

	(void)db;
	(void)name;
	if (pages < writer->log_pages)
		writer->checkpoint_at_pages = 0;
	writer->log_pages = pages;
	return SQLITE_OK;
}

/*
 * Delivery ids are random, so an index over them in the file would have a page written for nearly
 * every row. Here it is in memory, about 16 bytes a row, made anew at each start; SQLite takes it
 * back together with the rows.
 */
static const char make_known[] =
	"PRAGMA temp_store=MEMORY;"
	"CREATE TEMP TABLE known (delivery_sum INTEGER, seq INTEGER, PRIMARY KEY (delivery_sum, "
	"seq)) "
	"WITHOUT ROWID;"
	"INSERT INTO known SELECT delivery_sum, seq FROM change;"
	"CREATE TEMP TRIGGER on_insert AFTER INSERT ON main.change "
	"BEGIN INSERT INTO known VALUES (new.delivery_sum, new.seq); END;"
	"CREATE TEMP TRIGGER on_delete AFTER DELETE ON main.change "
	"BEGIN DELETE FROM known WHERE delivery_sum = old.delivery_sum AND seq = old.seq; END;";

/* The code of the step that gave them, unless there is no such state. */
static int count_state(struct journal_writer *writer, int64_t state, int64_t n)
{
	if (state < 0 || state >= JOURNAL_STATES)
		return SQLITE_CORRUPT;
	writer->rows[state] = (size_t)n;
	return SQLITE_ROW;
}

static int count_rows(struct journal_writer *writer)
{
	CLEANUP(journal_sql_finalizep) sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(writer->db, "SELECT state, count(*) FROM change GROUP BY state",
				    -1, &stmt, NULL);

	while (rc == SQLITE_OK || rc == SQLITE_ROW) {
		rc = sqlite3_step(stmt);
		if (rc == SQLITE_ROW)
			rc = count_state(writer, sqlite3_column_int64(stmt, 0),
					 sqlite3_column_int64(stmt, 1));
	}
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int journal_writer_init(struct journal_writer *out, sqlite3 *db, int64_t dedupe_window_ms)
{
	int rc = SQLITE_OK;

	*out = (struct journal_writer){
		.db = db, .bounds = journal_default_bounds, .dedupe_window_ms = dedupe_window_ms};
	/* Our own hook takes the place of automatic checkpoints, which keep their errors to
	 * themselves. */
	(void)sqlite3_wal_hook(db, on_log_written, out);
	rc = journal_sql_exec(db, make_known);
	for (size_t i = 0; rc == SQLITE_OK && i < JOURNAL_STATEMENTS; i++)
		rc = journal_sql_prepare(db, texts[i], &out->statements[i]);
	if (rc == SQLITE_OK)
		rc = journal_sql_int(db, "SELECT max(seq) FROM change", &out->last_seq);
	if (rc == SQLITE_OK)
		rc = count_rows(out);
	if (rc != SQLITE_OK)
		journal_writer_release(out, false);
	return rc;
}

int journal_writer_finish(struct journal_writer *writer)
{
	return journal_sql_exec(writer->db, "PRAGMA wal_checkpoint(TRUNCATE)");
}

void journal_writer_release(struct journal_writer *writer, bool is_clean)
{
	for (size_t i = 0; i < JOURNAL_STATEMENTS; i++)
		journal_sql_finalizep(&writer->statements[i]);
	if (writer->db)
		(void)sqlite3_db_config(writer->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !is_clean,
					NULL);
	journal_sql_closep(&writer->db);
}

static void copy_text(char *out, size_t cap, sqlite3_stmt *stmt, int column)
{
	const char *text = (const char *)sqlite3_column_text(stmt, column);
	struct str cut = str_cut_utf8(str_of(text), cap - 1);

	if (cut.n > 0)
		memcpy(out, cut.p, cut.n);
	out[cut.n] = '\0';
}

static int find(struct journal_writer *writer, const struct journal_change *change,
		struct known *out, struct journal_add_result *result)
{
	sqlite3_stmt *stmt = writer->statements[FIND];
	const char *const key[] = {change->uid, change->type, change->delivery_id, change->ref};
	int rc;

	for (int i = 0; i < (int)ARRAY_LEN(key); i++)
		journal_sql_bind_text(stmt, i + 1, key[i]);
	journal_sql_bind_int(stmt, 5, journal_row_delivery_sum(change));
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW) {
		*out = (struct known){sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1),
				      sqlite3_column_int64(stmt, 2)};
		copy_text(result->build, sizeof(result->build), stmt, 3);
		copy_text(result->reason, sizeof(result->reason), stmt, 4);
	}
	(void)sqlite3_reset(stmt);
	if (rc == SQLITE_ROW && (out->state < 0 || out->state >= JOURNAL_STATES))
		return SQLITE_CORRUPT;
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int remove_row(struct journal_writer *writer, int64_t seq)
{
	journal_sql_bind_int(writer->statements[REMOVE], 1, seq);
	return journal_sql_run(writer->statements[REMOVE]);
}

static int insert(struct journal_writer *writer, const struct journal_op *op, size_t i,
		  size_t *rows)
{
	sqlite3_stmt *stmt = writer->statements[INSERT];
	struct journal_change change = *op->changes[i];
	int rc;

	change.seq = ++writer->last_seq;
	change.state = JOURNAL_ACCEPTED;
	change.gap_number = 0;
	change.gap_ms = 0;
	change.attempts = 0;
	change.ended_ms = 0;
	change.build = "";
	change.reason = "";
	journal_row_bind(stmt, &change, op->now_ms);
	rc = journal_sql_run(stmt);
	if (rc != SQLITE_OK)
		return rc;
	op->results[i].seq = change.seq;
	rows[JOURNAL_ACCEPTED]++;
	return SQLITE_OK;
}

/*
 * One that still waits is known however old it is. One that started is known within the window; the
 * others never led to a build, so the sender may try again.
 */
static bool is_duplicate(const struct journal_writer *writer, const struct known *known,
			 int64_t now_ms)
{
	if (known->seq == 0)
		return false;
	if (journal_state_is_pending((enum journal_state)known->state))
		return true;
	return known->state == JOURNAL_STARTED &&
	       now_ms - known->seen_ms < writer->dedupe_window_ms;
}

static int add_one(struct journal_writer *writer, const struct journal_op *op, size_t i,
		   size_t *rows)
{
	struct journal_add_result *result = &op->results[i];
	struct known known = {0};
	int rc = find(writer, op->changes[i], &known, result);

	if (rc != SQLITE_OK)
		return rc;
	result->state = (enum journal_state)known.state;
	result->seq = known.seq;
	result->added = JOURNAL_DUPLICATE;
	if (is_duplicate(writer, &known, op->now_ms))
		return SQLITE_OK;
	result->added = JOURNAL_NEW;
	if (known.seq != 0 && known.state != JOURNAL_STARTED)
		result->added = JOURNAL_REVIVED;
	if (op->is_question)
		return SQLITE_OK;
	if (known.seq != 0) {
		/* It takes its place in the order anew. */
		rc = remove_row(writer, known.seq);
		rows[known.state]--;
	}
	return rc == SQLITE_OK ? insert(writer, op, i, rows) : rc;
}

static int add(struct journal_writer *writer, struct journal_op *op, size_t *rows)
{
	size_t pending = rows[JOURNAL_ACCEPTED] + rows[JOURNAL_STARTING];
	int rc = SQLITE_OK;

	if (pending + op->n_changes > writer->bounds.max_pending ||
	    writer->used_bytes > writer->bounds.full_bytes) {
		op->status = ERR_LIMIT;
		return SQLITE_OK;
	}
	for (size_t i = 0; rc == SQLITE_OK && i < op->n_changes; i++)
		rc = add_one(writer, op, i, rows);
	return rc;
}

/* The state of a row, or -1 without one. */
static int state_of(struct journal_writer *writer, int64_t seq, int64_t *out)
{
	sqlite3_stmt *stmt = writer->statements[STATE_OF];
	int rc;

	*out = -1;
	journal_sql_bind_int(stmt, 1, seq);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*out = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_reset(stmt);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static void bind_update(sqlite3_stmt *stmt, const struct journal_change *change)
{
	const int64_t numbers[] = {change->seq,        change->state,
				   change->gap_number, change->gap_ms,
				   change->attempts,   change->next_attempt_ms,
				   change->ended_ms,   journal_row_progress_sum(change)};

	for (int i = 0; i < (int)ARRAY_LEN(numbers); i++)
		journal_sql_bind_int(stmt, i + 1, numbers[i]);
	journal_sql_bind_text(stmt, 9, change->build);
	journal_sql_bind_text(stmt, 10, change->reason);
}

static int update(struct journal_writer *writer, const struct journal_op *op, size_t *rows)
{
	struct journal_change change = op->update;
	int64_t state = -1;
	int rc = state_of(writer, change.seq, &state);

	if (rc != SQLITE_OK || state < 0 || !journal_state_is_pending((enum journal_state)state))
		return rc;
	if (!journal_state_is_pending(change.state))
		change.ended_ms = op->wall_ms;
	bind_update(writer->statements[UPDATE], &change);
	rc = journal_sql_run(writer->statements[UPDATE]);
	if (rc != SQLITE_OK)
		return rc;
	rows[state]--;
	rows[change.state]++;
	return SQLITE_OK;
}

static int run_all(struct journal_writer *writer, const struct journal_ops *batch, size_t *rows)
{
	int rc = journal_sql_run(writer->statements[BEGIN]);

	for (struct journal_op *op = batch->head; rc == SQLITE_OK && op; op = op->next) {
		op->status = ERR_OK;
		rc = op->n_changes > 0 ? add(writer, op, rows) : update(writer, op, rows);
	}
	return rc == SQLITE_OK ? journal_sql_run(writer->statements[COMMIT]) : rc;
}

int journal_writer_commit(struct journal_writer *writer, const struct journal_ops *batch)
{
	size_t rows[JOURNAL_STATES];
	int rc;

	memcpy(rows, writer->rows, sizeof(rows));
	rc = run_all(writer, batch, rows);
	if (rc == SQLITE_OK) {
		memcpy(writer->rows, rows, sizeof(rows));
		return SQLITE_OK;
	}
	if (!sqlite3_get_autocommit(writer->db))
		(void)journal_sql_run(writer->statements[ROLLBACK]);
	for (struct journal_op *op = batch->head; op; op = op->next)
		op->status = ERR_UNAVAILABLE;
	return rc;
}
