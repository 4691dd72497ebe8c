/* Keeps the file in bounds: checkpoints the log, removes old rows and free pages, and reserves
 * room for the ends of acknowledged changes. */
#include "journal/writer.h"

#include "journal/row.h"
#include "journal/schema.h"
#include "journal/sql.h"

#include "base/mem.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define PRUNE_ROWS 500
/* Rows removed of one namespace at a time; afterwards another namespace may have more. */
#define CUT_ROWS     100
#define VACUUM_PAGES "256"
/* An ordinary delivery, written to log and file. */
#define ROOM_BYTES (16 * 1024)
/* How long a checkpoint of a log that is too long waits for readers; every commit waits behind
 * it. */
#define RESTART_BUSY_MS 100

const struct journal_bounds journal_default_bounds = {
	.max_ended = 200000,
	.size_bytes = 1024LL * 1024 * 1024,
	.checkpoint_pages = 1000, /* as SQLite's own */
	.spare_pages = 2048,
};

/* UNKNOWN where there is no such file, or it cannot be looked at. */
static int64_t length_of(const struct journal_writer *writer, const char *name, int64_t unknown)
{
	struct stat st = {0};

	return fstatat(writer->options.folder_fd, name, &st, 0) == 0 ? st.st_size : unknown;
}

/*
 * Where statvfs() fails, the configured size alone bounds the journal. Pages that are in the log
 * alone take their room in the file at the next checkpoint.
 */
static void look_at_disk(const struct journal_writer *writer, struct journal_figures *out)
{
	struct statvfs disk = {0};
	bool is_known = fstatvfs(writer->options.folder_fd, &disk) == 0;
	int64_t grows = out->file_bytes - length_of(writer, JOURNAL_FILE, out->file_bytes);

	out->whole_disk_bytes = is_known ? (int64_t)disk.f_blocks * (int64_t)disk.f_frsize
					 : writer->bounds.size_bytes;
	out->disk_bytes = is_known ? (int64_t)disk.f_bavail * (int64_t)disk.f_frsize - grows
				   : writer->bounds.size_bytes;
}

int journal_writer_measure(struct journal_writer *writer)
{
	int64_t pages = 0;
	int64_t free_pages = 0;
	int64_t ended = 0;
	int rc = journal_sql_int(writer->db, "PRAGMA page_count", &pages);

	if (rc == SQLITE_OK)
		rc = journal_sql_int(writer->db, "PRAGMA freelist_count", &free_pages);
	if (rc == SQLITE_OK)
		rc = journal_sql_int(writer->db, "SELECT sum(bytes) FROM share", &ended);
	if (rc != SQLITE_OK)
		return rc;
	writer->figures = (struct journal_figures){
		.size_bytes = writer->bounds.size_bytes,
		.file_bytes = pages * JOURNAL_PAGE_BYTES,
		.free_bytes = free_pages * JOURNAL_PAGE_BYTES,
		.log_bytes = length_of(writer, JOURNAL_FILE "-wal", 0),
		.ended_bytes = ended,
	};
	look_at_disk(writer, &writer->figures);
	journal_space_measure(&writer->space, &writer->figures);
	writer->is_estimate = false;
	return SQLITE_OK;
}

bool journal_writer_has_room(const struct journal_writer *writer)
{
	return writer->space.room_bytes >= ROOM_BYTES && writer->space.waiting_bytes >= ROOM_BYTES;
}

/* Half: it is not made again for each page that was taken of it. */
bool journal_writer_has_reserve(const struct journal_writer *writer)
{
	return writer->figures.free_bytes >= writer->space.reserve_bytes / 2 &&
	       writer->figures.log_bytes >= writer->space.reserve_bytes / 2;
}

/* Waits for readers only briefly; a later checkpoint takes what they held back. */
static int put_log_into_file(struct journal_writer *writer, int mode)
{
	int rc;

	(void)sqlite3_busy_timeout(writer->db, RESTART_BUSY_MS);
	rc = sqlite3_wal_checkpoint_v2(writer->db, NULL, mode, NULL, NULL);
	(void)sqlite3_busy_timeout(writer->db, JOURNAL_SQL_BUSY_MS);
	return rc == SQLITE_BUSY ? SQLITE_OK : rc;
}

/* On a small disk the log is short, and goes into the file as soon as it has half of its room. */
static int checkpoint_pages(const struct journal_writer *writer)
{
	int64_t half = writer->space.log_limit_bytes / 2 / JOURNAL_PAGE_BYTES;

	if (!journal_writer_has_room(writer))
		half = writer->space.reserve_bytes / 2 / JOURNAL_PAGE_BYTES;
	return half < writer->bounds.checkpoint_pages ? (int)half : writer->bounds.checkpoint_pages;
}

int journal_writer_checkpoint(struct journal_writer *writer)
{
	int64_t limit_pages = writer->space.log_limit_bytes / JOURNAL_PAGE_BYTES;
	int every = checkpoint_pages(writer);
	int rc;

	if (writer->checkpoint_at_pages < every)
		writer->checkpoint_at_pages = every;
	if (writer->log_pages < writer->checkpoint_at_pages)
		return SQLITE_OK;
	writer->checkpoint_at_pages = writer->log_pages + every;
	rc = put_log_into_file(writer, writer->log_pages > limit_pages ? SQLITE_CHECKPOINT_RESTART
								       : SQLITE_CHECKPOINT_PASSIVE);
	return rc == SQLITE_OK ? journal_writer_measure(writer) : rc;
}

/*
 * Statement: DELETE with RETURNING state, seen_ms; its parameters are bound. *NEWEST_MS: of the
 * rows that went.
 */
static int remove_rows(struct journal_writer *writer, sqlite3_stmt *stmt, int64_t *left,
		       int64_t *newest_ms)
{
	size_t removed[JOURNAL_STATES] = {0};
	int rc;

	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		removed[(unsigned)sqlite3_column_int(stmt, 0) % JOURNAL_STATES]++;
		if (sqlite3_column_int64(stmt, 1) > *newest_ms)
			*newest_ms = sqlite3_column_int64(stmt, 1);
	}
	if (rc != SQLITE_DONE)
		return rc;
	for (size_t i = 0; i < JOURNAL_STATES; i++) {
		writer->rows[i] -= removed[i];
		*left -= (int64_t)removed[i];
	}
	return SQLITE_OK;
}

static int64_t keep_ms(const struct journal_writer *writer)
{
	return writer->options.dedupe_window_ms > JOURNAL_KEEP_MS ? writer->options.dedupe_window_ms
								  : JOURNAL_KEEP_MS;
}

static int remove_old(struct journal_writer *writer, int64_t now_ms, int64_t *left)
{
	int64_t newest_ms = 0;
	int rc = SQLITE_OK;

	for (enum journal_state state = JOURNAL_STARTED; rc == SQLITE_OK && state < JOURNAL_STATES;
	     state++) {
		CLEANUP(journal_sql_finalizep) sqlite3_stmt *stmt = NULL;

		rc = sqlite3_prepare_v2(
			writer->db,
			"DELETE FROM change WHERE seq IN (SELECT seq FROM change INDEXED BY "
			"by_state WHERE state = ?1 AND seen_ms < ?2 ORDER BY seen_ms LIMIT ?3) "
			"RETURNING state, seen_ms",
			-1, &stmt, NULL);
		if (rc != SQLITE_OK)
			return rc;
		journal_sql_bind_int(stmt, 1, state);
		journal_sql_bind_int(stmt, 2, now_ms - keep_ms(writer));
		journal_sql_bind_int(stmt, 3, *left);
		rc = remove_rows(writer, stmt, left, &newest_ms);
	}
	return rc;
}

static void note_cut(struct journal_writer *writer, const char *namespace_, int64_t seen_ms)
{
	struct journal_cut *cut = writer->cuts;

	while (cut < writer->cuts + writer->n_cuts && strcmp(cut->namespace_, namespace_) != 0)
		cut++;
	if (cut == writer->cuts + JOURNAL_MAX_CUTS)
		return; /* said at the next one */
	if (cut == writer->cuts + writer->n_cuts)
		writer->n_cuts++;
	(void)snprintf(cut->namespace_, sizeof(cut->namespace_), "%s", namespace_);
	cut->seen_ms = seen_ms;
}

/* The namespace that has most ended rows loses its oldest: nobody whose share is smaller does. */
static int remove_of_largest(struct journal_writer *writer, int64_t max, int64_t *left)
{
	CLEANUP(journal_sql_finalizep) sqlite3_stmt *largest = NULL;
	CLEANUP(journal_sql_finalizep) sqlite3_stmt *stmt = NULL;
	int64_t before = *left;
	int64_t newest_ms = 0;
	int rc = sqlite3_prepare_v2(writer->db,
				    "SELECT namespace FROM share ORDER BY bytes DESC LIMIT 1", -1,
				    &largest, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(
			writer->db,
			"DELETE FROM change WHERE seq IN (SELECT seq FROM change INDEXED BY ended "
			"WHERE state > 1 AND namespace = ?1 ORDER BY seq LIMIT ?2) "
			"RETURNING state, seen_ms",
			-1, &stmt, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(largest);
	if (rc != SQLITE_ROW)
		return rc == SQLITE_DONE ? SQLITE_OK : rc;
	journal_sql_bind_text(stmt, 1, (const char *)sqlite3_column_text(largest, 0));
	journal_sql_bind_int(stmt, 2, max);
	rc = remove_rows(writer, stmt, left, &newest_ms);
	if (rc != SQLITE_OK)
		return rc;
	writer->n_removed_early += (uint64_t)(before - *left);
	note_cut(writer, (const char *)sqlite3_column_text(largest, 0), newest_ms);
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

static int remove_excess(struct journal_writer *writer, int64_t *left)
{
	int64_t excess = count_ended(writer) - (int64_t)writer->bounds.max_ended;
	int rc = SQLITE_OK;

	if (writer->space.is_short)
		excess = *left;
	while (rc == SQLITE_OK && excess > 0 && *left > 0) {
		int64_t before = *left;
		int64_t max = excess < CUT_ROWS ? excess : CUT_ROWS;

		rc = remove_of_largest(writer, max < *left ? max : *left, left);
		excess = *left < before ? excess - (before - *left) : 0;
	}
	return rc;
}

static int64_t spare_pages(const struct journal_writer *writer)
{
	int64_t reserve = writer->space.reserve_bytes / JOURNAL_PAGE_BYTES;

	return writer->bounds.spare_pages > reserve ? writer->bounds.spare_pages : reserve;
}

int journal_writer_prune(struct journal_writer *writer, int64_t now_ms, bool *more)
{
	int64_t left = PRUNE_ROWS;
	int rc = journal_writer_measure(writer);

	if (rc == SQLITE_OK)
		rc = remove_old(writer, now_ms, &left);
	if (rc == SQLITE_OK)
		rc = remove_excess(writer, &left);
	if (rc == SQLITE_OK && left < PRUNE_ROWS)
		rc = journal_writer_measure(writer);
	*more = rc == SQLITE_OK && left == 0;
	if (rc != SQLITE_OK || *more ||
	    writer->figures.free_bytes / JOURNAL_PAGE_BYTES <= spare_pages(writer))
		return rc;
	rc = journal_sql_exec(writer->db, "PRAGMA incremental_vacuum(" VACUUM_PAGES ")");
	*more = rc == SQLITE_OK;
	return rc;
}

/*
 * The pages of a big value stay in the file as free ones, and the log as long as the value made it.
 * Both are ours then also where others fill the disk.
 */
static int make_reserve(struct journal_writer *writer)
{
	char insert[64];
	int rc;

	(void)snprintf(insert, sizeof(insert), "INSERT INTO probe VALUES (zeroblob(%lld))",
		       (long long)writer->space.reserve_bytes);
	rc = journal_sql_exec(writer->db, insert);
	if (rc == SQLITE_OK)
		rc = put_log_into_file(writer, SQLITE_CHECKPOINT_PASSIVE);
	if (rc == SQLITE_OK)
		rc = journal_sql_exec(writer->db, "DELETE FROM probe");
	return rc;
}

int journal_writer_probe(struct journal_writer *writer)
{
	bool is_long = writer->figures.log_bytes > 2 * writer->space.reserve_bytes;
	/* A long log may be what fills the disk; a short one is kept for what has to end. */
	int rc = put_log_into_file(writer, is_long ? SQLITE_CHECKPOINT_TRUNCATE
						   : SQLITE_CHECKPOINT_PASSIVE);

	if (rc == SQLITE_OK)
		rc = journal_writer_measure(writer);
	if (rc == SQLITE_OK && !journal_writer_has_room(writer))
		return SQLITE_FULL;
	if (rc == SQLITE_OK)
		rc = make_reserve(writer);
	return rc == SQLITE_OK ? journal_writer_measure(writer) : rc;
}
