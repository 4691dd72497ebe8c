#include "journal/writer.h"

#include "journal/row.h"
#include "journal/sql.h"

#include "base/mem.h"

/* So much in the log means that somebody reads and does not come to an end. */
#define LOG_LIMIT_PAGES (JOURNAL_LOG_LIMIT_BYTES / 4096)
#define PRUNE_ROWS      500
#define VACUUM_PAGES    "256"
#define PROBE_BYTES     "131072"
/* How long a log that has grown too long may wait for its readers, with every commit behind it. */
#define RESTART_BUSY_MS 100

const struct journal_bounds journal_default_bounds = {
	.max_pending = 1000000,
	.max_ended = 200000,
	.big_bytes = 512LL * 1024 * 1024,
	.full_bytes = 1024LL * 1024 * 1024,
	.checkpoint_pages = 1000, /* as SQLite's own */
	.spare_pages = 2048,
};

static int measure(struct journal_writer *writer, int64_t *free_pages)
{
	int64_t pages = 0;
	int rc = journal_sql_int(writer->db, "PRAGMA page_count", &pages);

	if (rc == SQLITE_OK)
		rc = journal_sql_int(writer->db, "PRAGMA freelist_count", free_pages);
	if (rc == SQLITE_OK)
		writer->used_bytes = (pages - *free_pages) * 4096;
	return rc;
}

/* Nobody who reads is waited for long; what they keep from going comes later. */
static int put_log_into_file(struct journal_writer *writer, int mode)
{
	int rc;

	(void)sqlite3_busy_timeout(writer->db, RESTART_BUSY_MS);
	rc = sqlite3_wal_checkpoint_v2(writer->db, NULL, mode, NULL, NULL);
	(void)sqlite3_busy_timeout(writer->db, JOURNAL_SQL_BUSY_MS);
	return rc == SQLITE_BUSY ? SQLITE_OK : rc;
}

int journal_writer_checkpoint(struct journal_writer *writer)
{
	int mode = writer->log_pages > LOG_LIMIT_PAGES ? SQLITE_CHECKPOINT_RESTART
						       : SQLITE_CHECKPOINT_PASSIVE;
	int64_t free_pages = 0;
	int rc;

	if (writer->checkpoint_at_pages < writer->bounds.checkpoint_pages)
		writer->checkpoint_at_pages = writer->bounds.checkpoint_pages;
	if (writer->log_pages < writer->checkpoint_at_pages)
		return SQLITE_OK;
	writer->checkpoint_at_pages = writer->log_pages + writer->bounds.checkpoint_pages;
	rc = put_log_into_file(writer, mode);
	return rc == SQLITE_OK ? measure(writer, &free_pages) : rc;
}

/* The oldest of one state. */
static int remove_oldest(struct journal_writer *writer, enum journal_state state, int64_t before_ms,
			 int64_t max, int64_t *removed)
{
	CLEANUP(journal_sql_finalizep) sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(
		writer->db,
		"DELETE FROM change WHERE seq IN (SELECT seq FROM change INDEXED BY by_state "
		"WHERE state = ?1 AND seen_ms < ?2 ORDER BY seen_ms LIMIT ?3)",
		-1, &stmt, NULL);

	if (rc != SQLITE_OK)
		return rc;
	journal_sql_bind_int(stmt, 1, state);
	journal_sql_bind_int(stmt, 2, before_ms);
	journal_sql_bind_int(stmt, 3, max);
	rc = journal_sql_run(stmt);
	if (rc != SQLITE_OK)
		return rc;
	*removed = sqlite3_changes64(writer->db);
	writer->rows[state] -= (size_t)*removed;
	return SQLITE_OK;
}

static int64_t count_ended(const struct journal_writer *writer)
{
	size_t n = 0;

	for (enum journal_state state = 0; state < JOURNAL_STATES; state++)
		if (!journal_state_is_pending(state))
			n += writer->rows[state];
	return (int64_t)n;
}

/* In an order such that what goes before its time is what may be delivered again anyway. */
static const enum journal_state ended[] = {JOURNAL_SUPERSEDED, JOURNAL_IGNORED, JOURNAL_FAILED,
					   JOURNAL_STARTED};

static int remove_old(struct journal_writer *writer, int64_t now_ms, int64_t *left)
{
	int64_t keep_ms = writer->dedupe_window_ms > JOURNAL_KEEP_MS ? writer->dedupe_window_ms
								     : JOURNAL_KEEP_MS;
	int rc = SQLITE_OK;

	for (size_t i = 0; rc == SQLITE_OK && i < ARRAY_LEN(ended); i++) {
		int64_t removed = 0;

		rc = remove_oldest(writer, ended[i], now_ms - keep_ms, *left, &removed);
		*left -= removed;
	}
	return rc;
}

static int remove_excess(struct journal_writer *writer, int64_t *left)
{
	int64_t excess = count_ended(writer) - (int64_t)writer->bounds.max_ended;
	int rc = SQLITE_OK;

	if (writer->used_bytes > writer->bounds.big_bytes)
		excess = *left;
	for (size_t i = 0; rc == SQLITE_OK && excess > 0 && i < ARRAY_LEN(ended); i++) {
		int64_t removed = 0;

		rc = remove_oldest(writer, ended[i], INT64_MAX, excess < *left ? excess : *left,
				   &removed);
		*left -= removed;
		excess -= removed;
	}
	return rc;
}

int journal_writer_prune(struct journal_writer *writer, int64_t now_ms, bool *more)
{
	int64_t left = PRUNE_ROWS;
	int64_t free_pages = 0;
	int rc = measure(writer, &free_pages);

	if (rc == SQLITE_OK)
		rc = remove_old(writer, now_ms, &left);
	if (rc == SQLITE_OK)
		rc = remove_excess(writer, &left);
	*more = left == 0;
	if (rc != SQLITE_OK || *more || free_pages <= writer->bounds.spare_pages)
		return rc;
	*more = true;
	return journal_sql_exec(writer->db, "PRAGMA incremental_vacuum(" VACUUM_PAGES ")");
}

int journal_writer_probe(struct journal_writer *writer)
{
	/* The log may be what fills the disk. */
	int rc = put_log_into_file(writer, SQLITE_CHECKPOINT_TRUNCATE);

	if (rc == SQLITE_OK)
		rc = journal_sql_exec(writer->db,
				      "INSERT INTO probe VALUES (zeroblob(" PROBE_BYTES "))");
	if (rc == SQLITE_OK)
		rc = journal_sql_exec(writer->db, "DELETE FROM probe");
	return rc;
}
