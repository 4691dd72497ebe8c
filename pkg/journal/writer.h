/*
 * The one connection that writes. It carries out whole batches, each in one transaction that is on
 * disk when the call returns, and keeps the file in bounds between them. Used by one thread at a
 * time; knows nothing of threads.
 *
 * Codes are SQLite's. After one that journal_sql_is_passing() does not let pass, the writer is not
 * used any more.
 */
#pragma once

#include "journal/op.h"

#include <sqlite3.h>

/* Tests make them smaller. */
struct journal_bounds {
	size_t max_pending; /* beyond it additions are refused: they would take days to start */
	size_t max_ended; /* beyond it ended rows go early, those first that may be delivered again
			     anyway */
	/* Of pages in use: ended rows go early beyond the first, additions are refused beyond the
	 * second. */
	int64_t big_bytes;
	int64_t full_bytes;
	int checkpoint_pages;
	int64_t spare_pages; /* free ones that stay in the file */
};

extern const struct journal_bounds journal_default_bounds;

/* Ended rows are kept for people to look at, also where deliveries are known again for a shorter
 * time. */
#define JOURNAL_KEEP_MS (72LL * 3600 * 1000)

#define JOURNAL_STATEMENTS 8

struct journal_writer {
	sqlite3 *db;
	sqlite3_stmt *statements[JOURNAL_STATEMENTS];
	struct journal_bounds bounds;
	int64_t dedupe_window_ms;
	int64_t last_seq;            /* given; never given again by this process */
	size_t rows[JOURNAL_STATES]; /* as committed */
	int64_t used_bytes;          /* as last looked at */
	int log_pages;               /* in the write-ahead log after the last commit */
	int checkpoint_at_pages;
};

/* Takes DB over, also on failure. */
int journal_writer_init(struct journal_writer *out, sqlite3 *db, int64_t dedupe_window_ms);
/* Puts the log into the file, as far as nobody reads it. */
int journal_writer_finish(struct journal_writer *writer);
/* Takes the log away if IS_CLEAN, else leaves it for the next start. */
void journal_writer_release(struct journal_writer *writer, bool is_clean);

/* Sets the status and results of each. On failure nothing is stored and each is ERR_UNAVAILABLE. */
int journal_writer_commit(struct journal_writer *writer, const struct journal_ops *batch);

/* Puts the log into the file when it has grown. */
int journal_writer_checkpoint(struct journal_writer *writer);
/* Takes away a few rows whose time is over, or some free pages; *MORE says that there are more. */
int journal_writer_prune(struct journal_writer *writer, int64_t now_ms, bool *more);
/* Whether there is room again: writes something and takes it back. */
int journal_writer_probe(struct journal_writer *writer);
