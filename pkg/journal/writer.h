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
#include "journal/pending.h"
#include "journal/space.h"

#include <sqlite3.h>

/* Tests make them smaller. */
struct journal_bounds {
	size_t max_ended; /* ended rows go early beyond it */
	int64_t size_bytes;
	int checkpoint_pages;
	int64_t spare_pages; /* free ones that stay in the file */
};

extern const struct journal_bounds journal_default_bounds;

/* Ended rows are kept for people to look at, also where repeated deliveries are recognised for a
 * shorter time. */
#define JOURNAL_KEEP_MS (72LL * 3600 * 1000)

#define JOURNAL_STATEMENTS 10
#define JOURNAL_MAX_CUTS   8

/* Rows of a namespace that went before their time: up to that one of this journal time. */
struct journal_cut {
	char namespace_[64];
	int64_t seen_ms;
};

struct journal_writer_options {
	int64_t dedupe_window_ms;
	int64_t size_bytes; /* 0: the default */
	size_t max_replaced;
	int folder_fd; /* of the folder that the file is in */
};

struct journal_writer {
	sqlite3 *db;
	sqlite3_stmt *statements[JOURNAL_STATEMENTS];
	struct journal_writer_options options;
	struct journal_bounds bounds;
	int64_t last_seq;            /* given; never given again by this process */
	size_t rows[JOURNAL_STATES]; /* as committed */
	struct journal_pending pending;
	bool is_stale;                  /* pending may be of a transaction that failed */
	struct journal_figures figures; /* as last measured */
	struct journal_space space;
	bool is_estimate; /* space has not been measured since a row was added */
	int log_pages;    /* in the log after the last commit */
	int checkpoint_at_pages;
	/* For journal_read_limits(); taken away by whoever tells of them. */
	struct journal_cut cuts[JOURNAL_MAX_CUTS];
	size_t n_cuts;
	uint64_t n_removed_early;
};

/* Takes DB over, also on failure. */
int journal_writer_init(struct journal_writer *out, sqlite3 *db,
			const struct journal_writer_options *options);
/* Puts the log into the file, as far as nobody reads it. */
int journal_writer_finish(struct journal_writer *writer);
/* Removes the log if IS_CLEAN, else leaves it for the next start. */
void journal_writer_release(struct journal_writer *writer, bool is_clean);

/*
 * Sets the status and results of each; of additions only if IS_ACCEPTING, else they are
 * ERR_UNAVAILABLE. On failure nothing is stored and each is ERR_UNAVAILABLE.
 */
int journal_writer_commit(struct journal_writer *writer, const struct journal_ops *batch,
			  bool is_accepting);

/* Looks at file, log and disk: writer->space. */
int journal_writer_measure(struct journal_writer *writer);
/* Whether there is room for an ordinary delivery; as measured. */
bool journal_writer_has_room(const struct journal_writer *writer);
/* Whether the room that is kept for ends is there; as measured. */
bool journal_writer_has_reserve(const struct journal_writer *writer);
/* Puts the log into the file when it has grown. */
int journal_writer_checkpoint(struct journal_writer *writer);
/* Removes a few rows that are expired or too many, or some free pages; *MORE says that there is
 * more to remove, and nothing failed. */
int journal_writer_prune(struct journal_writer *writer, int64_t now_ms, bool *more);
/* Whether there is room: makes the reserve, or SQLITE_FULL. */
int journal_writer_probe(struct journal_writer *writer);
