/* The writer's batches: additions, with what is recognised and what is bounded, and changes of
 * state. */
#include "journal/writer.h"

#include "journal/change.h"
#include "journal/row.h"
#include "journal/sql.h"

#include "base/fnv.h"
#include "base/mem.h"

enum {
	BEGIN,
	COMMIT,
	ROLLBACK,
	FIND,
	FIND_BODY,
	NEWEST_OF_REF,
	INSERT,
	INSERT_EXTRA,
	REMOVE,
	UPDATE,
};

#define FOUND "SELECT c.seq, state, seen_ms, build, reason FROM known AS k CROSS JOIN change AS c "

static const char *const texts[JOURNAL_STATEMENTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[FIND] = FOUND "ON c.seq = k.seq WHERE k.sum = fingerprint(?1, ?3) AND uid = ?1 AND "
		       "type = ?2 AND delivery_id = ?3 AND ref = ?4 "
		       "ORDER BY k.seq DESC LIMIT 1",
	[FIND_BODY] =
		FOUND "ON c.seq = k.seq WHERE k.sum = fingerprint(?1, ?3, ?4) AND uid = ?1 AND "
		      "type = ?2 AND body_digest = ?3 AND ref = ?4 ORDER BY k.seq DESC LIMIT 1",
	[NEWEST_OF_REF] =
		"SELECT c.seq, state, commit_id, build FROM known AS k CROSS JOIN change AS c "
		"ON c.seq = k.seq WHERE k.sum = fingerprint(?1, ?2) AND uid = ?1 AND ref = ?2 "
		"AND body_digest <> '' AND c.seq > ?3 ORDER BY k.seq DESC LIMIT 256",
	[INSERT] =
		"INSERT INTO change (" JOURNAL_ROW_COLUMNS ") VALUES (" JOURNAL_ROW_PARAMETERS ")",
	[INSERT_EXTRA] = "INSERT INTO extra VALUES (?1, ?2, ?3)",
	[REMOVE] = "DELETE FROM change WHERE seq = ?1",
	[UPDATE] =
		"UPDATE change SET state = ?2, gap_number = ?3, gap_ms = ?4, attempts = ?5, "
		"next_attempt_ms = ?6, ended_ms = ?7, progress_sum = ?8, build = ?9, reason = ?10 "
		"WHERE seq = ?1",
};

/* The row of a change that is stored already; seq 0: none. */
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

/* 32 bits over texts; whoever finds a row by it compares the texts, too. */
static void fingerprint(sqlite3_context *context, int n, sqlite3_value **texts_)
{
	uint64_t sum = FNV_64_INIT;

	for (int i = 0; i < n; i++)
		sum = fnv_64_text(sum, (const char *)sqlite3_value_text(texts_[i]));
	sqlite3_result_int64(context, (int32_t)(sum ^ sum >> 32));
}

/*
 * Delivery ids are random, so an index over them in the file would have a page written for nearly
 * every row. Here it is in memory, about 16 bytes a row, made at each start; SQLite takes it back
 * together with the rows. A row is in it by its delivery; where it has a digest of its body, by
 * that, and by its ref, too.
 *
 * share: the ended rows of each namespace.
 */
static const char make_indexes[] =
	"PRAGMA temp_store=MEMORY;"
	"CREATE TEMP TABLE known (sum INTEGER, seq INTEGER, PRIMARY KEY (sum, seq)) WITHOUT ROWID;"
	"INSERT INTO known SELECT fingerprint(uid, delivery_id), seq FROM change;"
	"INSERT OR IGNORE INTO known SELECT fingerprint(uid, body_digest, ref), seq FROM change "
	"WHERE body_digest <> '';"
	"INSERT OR IGNORE INTO known SELECT fingerprint(uid, ref), seq FROM change "
	"WHERE body_digest <> '';"
	"CREATE TEMP TABLE share (namespace TEXT PRIMARY KEY, n INTEGER, bytes INTEGER) WITHOUT "
	"ROWID;"
	"INSERT INTO share SELECT namespace, count(*), sum(bytes) FROM change WHERE state > 1 "
	"GROUP BY namespace;"
	"CREATE TEMP TRIGGER on_insert AFTER INSERT ON main.change BEGIN "
	"INSERT INTO known VALUES (fingerprint(new.uid, new.delivery_id), new.seq);"
	"INSERT OR IGNORE INTO known SELECT fingerprint(new.uid, new.body_digest, new.ref), "
	"new.seq "
	"WHERE new.body_digest <> '';"
	"INSERT OR IGNORE INTO known SELECT fingerprint(new.uid, new.ref), new.seq "
	"WHERE new.body_digest <> '';"
	"END;"
	"CREATE TEMP TRIGGER on_end AFTER UPDATE OF state ON main.change "
	"WHEN new.state > 1 AND old.state < 2 BEGIN "
	"INSERT INTO share VALUES (new.namespace, 1, new.bytes) ON CONFLICT (namespace) "
	"DO UPDATE SET n = n + 1, bytes = bytes + excluded.bytes;"
	"END;"
	"CREATE TEMP TRIGGER on_delete AFTER DELETE ON main.change BEGIN "
	"DELETE FROM extra WHERE change_seq = old.seq;"
	"DELETE FROM known WHERE seq = old.seq AND sum = fingerprint(old.uid, old.delivery_id);"
	"DELETE FROM known WHERE seq = old.seq AND sum = fingerprint(old.uid, old.body_digest, "
	"old.ref);"
	"DELETE FROM known WHERE seq = old.seq AND sum = fingerprint(old.uid, old.ref);"
	"UPDATE share SET n = n - 1, bytes = bytes - old.bytes WHERE namespace = old.namespace;"
	"DELETE FROM share WHERE namespace = old.namespace AND n = 0;"
	"END;";

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

/* Reads the index of what waits, at the start and after a transaction that failed. */
static int refresh(struct journal_writer *writer)
{
	int rc;

	if (!writer->is_stale)
		return SQLITE_OK;
	journal_pending_release(&writer->pending);
	rc = journal_pending_load(&writer->pending, writer->db);
	writer->is_stale = rc != SQLITE_OK;
	return rc;
}

int journal_writer_init(struct journal_writer *out, sqlite3 *db,
			const struct journal_writer_options *options)
{
	int rc;

	*out = (struct journal_writer){
		.db = db, .bounds = journal_default_bounds, .options = *options, .is_stale = true};
	if (options->size_bytes > 0)
		out->bounds.size_bytes = options->size_bytes;
	/* Replaces SQLite's automatic checkpoints, which do not report their errors. */
	(void)sqlite3_wal_hook(db, on_log_written, out);
	/* The indexes cannot be made without it. */
	(void)sqlite3_create_function_v2(db, "fingerprint", -1,
					 SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS,
					 NULL, fingerprint, NULL, NULL, NULL);
	rc = journal_sql_exec(db, make_indexes);
	for (size_t i = 0; rc == SQLITE_OK && i < JOURNAL_STATEMENTS; i++)
		rc = journal_sql_prepare(db, texts[i], &out->statements[i]);
	if (rc == SQLITE_OK)
		rc = journal_sql_int(db, "SELECT max(seq) FROM change", &out->last_seq);
	if (rc == SQLITE_OK)
		rc = count_rows(out);
	if (rc == SQLITE_OK)
		rc = refresh(out);
	if (rc == SQLITE_OK)
		rc = journal_writer_measure(out);
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
	journal_pending_release(&writer->pending);
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

/* By FIND or FIND_BODY. */
static int find(struct journal_writer *writer, int statement, const char *const *key, int n,
		struct known *out, struct journal_add_result *result)
{
	sqlite3_stmt *stmt = writer->statements[statement];
	int rc;

	for (int i = 0; i < n; i++)
		journal_sql_bind_text(stmt, i + 1, key[i]);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW) {
		*out = (struct known){sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1),
				      sqlite3_column_int64(stmt, 2)};
		copy_text(result->build, sizeof(result->build), stmt, 3);
		copy_text(result->reason, sizeof(result->reason), stmt, 4);
		result->seq = out->seq;
		result->state = (enum journal_state)out->state;
	}
	(void)sqlite3_reset(stmt);
	if (rc == SQLITE_ROW && (out->state < 0 || out->state >= JOURNAL_STATES))
		return SQLITE_CORRUPT;
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* A change that still waits is a duplicate however old it is; one that started, within the
 * window. All others never led to a build, so the sender may try again. */
static enum journal_added added_of(const struct journal_writer *writer, const struct known *known,
				   int64_t now_ms)
{
	if (known->seq == 0)
		return JOURNAL_NEW;
	if (journal_state_is_pending((enum journal_state)known->state))
		return JOURNAL_DUPLICATE;
	if (known->state != JOURNAL_STARTED)
		return JOURNAL_REVIVED;
	return now_ms - known->seen_ms < writer->options.dedupe_window_ms ? JOURNAL_DUPLICATE
									  : JOURNAL_NEW;
}

/* Looks at the changes of CHANGE's ref that are newer than KNOWN. */
static int compare_with_newer(struct journal_writer *writer, const struct journal_change *change,
			      int64_t known_seq, bool *is_back, struct journal_add_result *newer)
{
	sqlite3_stmt *stmt = writer->statements[NEWEST_OF_REF];
	bool is_newest = true;
	int rc = SQLITE_OK;

	*is_back = false;
	journal_sql_bind_text(stmt, 1, change->uid);
	journal_sql_bind_text(stmt, 2, change->ref);
	journal_sql_bind_int(stmt, 3, known_seq - 1);
	for (; newer->seq == 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW; is_newest = false) {
		if (is_newest)
			*is_back = *change->before &&
				   str_eq(str_of((const char *)sqlite3_column_text(stmt, 2)),
					  str_of(change->before));
		if (sqlite3_column_int64(stmt, 0) > known_seq &&
		    sqlite3_column_int64(stmt, 1) == JOURNAL_STARTED) {
			newer->seq = sqlite3_column_int64(stmt, 0);
			copy_text(newer->build, sizeof(newer->build), stmt, 3);
		}
	}
	(void)sqlite3_reset(stmt);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/*
 * Some hosts deliver the same bytes again under another id. They are the same delivery, unless the
 * branch was forced back meanwhile to where this push began. Where it never led to a build, a newer
 * change of the ref may have: then the older one is not built any more.
 */
static int judge_by_body(struct journal_writer *writer, const struct journal_op *op, size_t i)
{
	const struct journal_change *change = op->changes[i];
	const char *const key[] = {change->uid, change->type, change->body_digest, change->ref};
	struct journal_add_result found = {0};
	struct journal_add_result newer = {0};
	struct known known = {0};
	bool is_back = false;
	int rc = find(writer, FIND_BODY, key, ARRAY_LEN(key), &known, &found);

	if (rc != SQLITE_OK || known.seq == 0)
		return rc;
	rc = compare_with_newer(writer, change, known.seq, &is_back, &newer);
	if (rc != SQLITE_OK || is_back)
		return rc;
	found.added = added_of(writer, &known, op->now_ms);
	if (found.added == JOURNAL_REVIVED && newer.seq != 0) {
		newer.added = JOURNAL_OUTDATED;
		newer.state = JOURNAL_STARTED;
		found = newer;
	}
	op->results[i] = found;
	return SQLITE_OK;
}

/* The same ref named twice in one delivery. */
static bool is_repeated(const struct journal_op *op, size_t i, size_t *first)
{
	for (*first = 0; *first < i; (*first)++)
		if (strcmp(op->changes[*first]->ref, op->changes[i]->ref) == 0 &&
		    strcmp(op->changes[*first]->delivery_id, op->changes[i]->delivery_id) == 0)
			return true;
	return false;
}

/* Fills the result of change I, but for the seq of one that is to be stored. */
static int judge(struct journal_writer *writer, const struct journal_op *op, size_t i)
{
	const struct journal_change *change = op->changes[i];
	const char *const key[] = {change->uid, change->type, change->delivery_id, change->ref};
	struct journal_add_result *result = &op->results[i];
	struct known known = {0};
	size_t first = 0;
	int rc;

	*result = (struct journal_add_result){.added = JOURNAL_NEW};
	if (is_repeated(op, i, &first)) {
		result->added = JOURNAL_DUPLICATE;
		return SQLITE_OK;
	}
	rc = find(writer, FIND, key, ARRAY_LEN(key), &known, result);
	if (rc != SQLITE_OK)
		return rc;
	result->added = added_of(writer, &known, op->now_ms);
	if (known.seq == 0 && *change->body_digest && !journal_change_is_redelivery(change))
		return judge_by_body(writer, op, i);
	return SQLITE_OK;
}

static bool is_stored(const struct journal_add_result *result)
{
	return result->added == JOURNAL_NEW || result->added == JOURNAL_REVIVED;
}

/* Which waiting changes end because of those that come, and whether there is room for them. */
static enum journal_limit check_bounds(struct journal_writer *writer, const struct journal_op *op)
{
	static const struct journal_pending_sum none;
	const struct journal_pending *pending = &writer->pending;
	const struct journal_pending_config *config =
		journal_pending_config_of(pending, op->changes[0]);
	const struct journal_pending_space *in_namespace =
		journal_pending_find_space(pending, op->changes[0]->namespace_);
	struct journal_pending_sum more = {0};
	size_t n_replaced = config ? config->n_replaced : 0;

	for (size_t i = 0; i < op->n_changes; i++) {
		const struct journal_pending_row *older;

		if (!is_stored(&op->results[i]))
			continue;
		more.rows++;
		more.bytes += journal_row_bytes(op->changes[i]);
		older = journal_pending_newest_of_ref(config, op->changes[i]);
		if (!older || writer->options.max_replaced == 0)
			continue;
		/* The oldest may be being started. */
		if (older == older->config->rows || older->is_starting ||
		    n_replaced < writer->options.max_replaced) {
			n_replaced++;
			continue;
		}
		op->results[i].superseded = older->seq;
		more.rows--;
		more.bytes -= older->bytes;
	}
	return journal_space_check(&writer->space, config ? &config->sum : &none,
				   in_namespace ? &in_namespace->sum : &none, &pending->sum, &more);
}

static int remove_row(struct journal_writer *writer, const struct journal_add_result *known)
{
	int rc;

	journal_sql_bind_int(writer->statements[REMOVE], 1, known->seq);
	rc = journal_sql_run(writer->statements[REMOVE]);
	writer->rows[known->state]--;
	return rc;
}

static int insert(struct journal_writer *writer, const struct journal_op *op, size_t i)
{
	sqlite3_stmt *stmt = writer->statements[INSERT];
	struct journal_change change = *op->changes[i];
	int64_t bytes = journal_row_bytes(&change);
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
	if (*change.env_json || *change.options_json) {
		stmt = writer->statements[INSERT_EXTRA];
		journal_sql_bind_int(stmt, 1, change.seq);
		journal_sql_bind_text(stmt, 2, change.env_json);
		journal_sql_bind_text(stmt, 3, change.options_json);
		rc = journal_sql_run(stmt);
	}
	if (rc != SQLITE_OK)
		return rc;
	op->results[i].seq = change.seq;
	writer->rows[JOURNAL_ACCEPTED]++;
	writer->space.room_bytes -= 2 * bytes;
	writer->space.free_bytes -= 2 * bytes;
	writer->is_estimate = true;
	journal_pending_put(&writer->pending, &change, bytes);
	return SQLITE_OK;
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

static int update(struct journal_writer *writer, const struct journal_change *to, int64_t wall_ms)
{
	const struct journal_pending_row *row = journal_pending_find(&writer->pending, to->seq);
	struct journal_change change = *to;
	int rc;

	if (!row)
		return SQLITE_OK;
	if (!journal_state_is_pending(change.state))
		change.ended_ms = wall_ms;
	bind_update(writer->statements[UPDATE], &change);
	rc = journal_sql_run(writer->statements[UPDATE]);
	if (rc != SQLITE_OK)
		return rc;
	writer->rows[row->is_starting ? JOURNAL_STARTING : JOURNAL_ACCEPTED]--;
	writer->rows[change.state]++;
	journal_pending_update(&writer->pending, &change);
	return SQLITE_OK;
}

static int store(struct journal_writer *writer, struct journal_op *op, size_t i)
{
	struct journal_add_result *result = &op->results[i];
	const struct journal_change end = {.seq = result->superseded,
					   .state = JOURNAL_SUPERSEDED,
					   .build = "",
					   .reason = JOURNAL_REPLACED};
	size_t first = 0;
	int rc = SQLITE_OK;

	if (is_repeated(op, i, &first))
		result->seq = op->results[first].seq;
	if (!is_stored(result))
		return SQLITE_OK;
	if (result->superseded)
		rc = update(writer, &end, op->wall_ms);
	/* A revived change gets a new seq: it is ordered by when it came again. */
	if (rc == SQLITE_OK && result->seq != 0)
		rc = remove_row(writer, result);
	return rc == SQLITE_OK ? insert(writer, op, i) : rc;
}

static int add(struct journal_writer *writer, struct journal_op *op)
{
	enum journal_limit limit;
	int rc = SQLITE_OK;

	for (size_t i = 0; rc == SQLITE_OK && i < op->n_changes; i++)
		rc = judge(writer, op, i);
	if (rc != SQLITE_OK)
		return rc;
	limit = check_bounds(writer, op);
	/* Nobody is refused because of an estimate, unless nothing better can be had. */
	if (limit != JOURNAL_LIMIT_NONE && writer->is_estimate) {
		(void)journal_writer_measure(writer);
		limit = check_bounds(writer, op);
	}
	if (limit != JOURNAL_LIMIT_NONE) {
		op->status = ERR_LIMIT;
		for (size_t i = 0; i < op->n_changes; i++)
			op->results[i] = (struct journal_add_result){.limit = limit};
		return SQLITE_OK;
	}
	for (size_t i = 0; rc == SQLITE_OK && !op->is_question && i < op->n_changes; i++)
		rc = store(writer, op, i);
	return rc;
}

static int run_one(struct journal_writer *writer, struct journal_op *op, bool is_accepting)
{
	op->status = ERR_OK;
	if (op->kind == JOURNAL_OP_WRITE)
		return update(writer, &op->update, op->wall_ms);
	if (is_accepting || op->is_question)
		return add(writer, op);
	op->status = ERR_UNAVAILABLE;
	return SQLITE_OK;
}

static int run_all(struct journal_writer *writer, const struct journal_ops *batch,
		   bool is_accepting)
{
	int rc = journal_sql_run(writer->statements[BEGIN]);

	for (struct journal_op *op = batch->head; rc == SQLITE_OK && op; op = op->next)
		rc = run_one(writer, op, is_accepting);
	return rc == SQLITE_OK ? journal_sql_run(writer->statements[COMMIT]) : rc;
}

int journal_writer_commit(struct journal_writer *writer, const struct journal_ops *batch,
			  bool is_accepting)
{
	size_t rows[JOURNAL_STATES];
	int rc = refresh(writer);

	memcpy(rows, writer->rows, sizeof(rows));
	if (rc == SQLITE_OK)
		rc = run_all(writer, batch, is_accepting);
	if (rc == SQLITE_OK)
		return SQLITE_OK;
	memcpy(writer->rows, rows, sizeof(rows));
	if (!sqlite3_get_autocommit(writer->db))
		(void)journal_sql_run(writer->statements[ROLLBACK]);
	writer->is_stale = true;
	for (struct journal_op *op = batch->head; op; op = op->next)
		op->status = ERR_UNAVAILABLE;
	return rc;
}
