/* Queries, on a connection of their own that never writes. One thread; no two rows of one query are
 * lent at a time. */
#pragma once

#include "journal/journal.h"

#include <sqlite3.h>

#define JOURNAL_QUERIES 3

struct journal_reader {
	sqlite3 *db;
	int64_t version;                        /* of the file; set by the caller */
	sqlite3_stmt *queries[JOURNAL_QUERIES]; /* prepared when first asked */
};

typedef void (*journal_row_fn)(void *arg, const struct journal_change *change);

/* An SQLite code. FLAGS: SQLITE_OPEN_URI or 0. */
int journal_reader_init(struct journal_reader *out, const char *path, int flags);
void journal_reader_release(struct journal_reader *reader);

/* Each gives an SQLite code, SQLITE_CORRUPT also for a row whose sums are wrong. */
/* *OUT is for the caller to free, and NULL where there is no such row. */
int journal_reader_get(struct journal_reader *reader, int64_t seq, struct journal_change **out);
/* The newest first, of those older than BEFORE_SEQ; *N counts the rows told. */
int journal_reader_recent(struct journal_reader *reader, int64_t before_seq, size_t max,
			  journal_row_fn fn, void *arg, size_t *n);
/* Journal time at which the oldest pending row was accepted; untouched without one. */
int journal_reader_oldest_pending(struct journal_reader *reader, int64_t *out_seen_ms);
