/*
 * An index, in memory, of the rows that have not ended: for each BuildConfig the rows in order of
 * acceptance, the newest of each ref, and sums for the bounds. Nothing in it takes longer because
 * more rows wait. Rows of a deleted BuildConfig and of its successor of the same name are in one
 * list. The caller's side has one index, of what it has been told, and the writer another.
 */
#pragma once

#include "journal/journal.h"

#include "base/hash.h"

#include <sqlite3.h>

struct journal_pending_sum {
	size_t rows;
	int64_t bytes; /* journal_row_bytes() of each */
};

struct journal_pending_space {
	UT_hash_handle hh;
	char *name; /* of the namespace */
	struct journal_pending_sum sum;
};

struct journal_pending_config {
	UT_hash_handle hh;
	char *key;                        /* "namespace/name" */
	struct journal_pending_row *rows; /* by seq */
	struct journal_pending_row *refs; /* by ref_sum: the newest of each */
	struct journal_pending_space *space;
	struct journal_pending_sum sum;
	size_t n_replaced;
};

struct journal_pending_row {
	UT_hash_handle by_seq;
	UT_hash_handle by_ref; /* while it is the newest of its ref */
	struct journal_pending_row *prev, *next;
	struct journal_pending_config *config;
	int64_t seq;
	int64_t next_attempt_ms;
	uint64_t ref_sum; /* over BuildConfig (uid) and ref */
	int64_t bytes;
	bool is_starting;
	bool is_replaced; /* a newer row of the same ref came */
};

/* Zeroed: empty. */
struct journal_pending {
	struct journal_pending_config *configs;
	struct journal_pending_space *spaces;
	struct journal_pending_row *rows;
	struct journal_pending_sum sum;
};

/* Fills an empty index from the table. An SQLite code. */
int journal_pending_load(struct journal_pending *out, sqlite3 *db);
void journal_pending_release(struct journal_pending *pending);

/* A change that was accepted, newer than all that are there. */
void journal_pending_put(struct journal_pending *pending, const struct journal_change *change,
			 int64_t bytes);
/* The row takes the state of UPDATE: one that has ended is removed. One that is not there is passed
 * over. */
void journal_pending_update(struct journal_pending *pending, const struct journal_change *update);

/* Each is NULL where nothing waits. KEY: "namespace/name". */
struct journal_pending_row *journal_pending_find(const struct journal_pending *pending,
						 int64_t seq);
struct journal_pending_config *journal_pending_find_config(const struct journal_pending *pending,
							   const char *key);
struct journal_pending_config *journal_pending_config_of(const struct journal_pending *pending,
							 const struct journal_change *change);
struct journal_pending_space *journal_pending_find_space(const struct journal_pending *pending,
							 const char *namespace_);
/* The newest of CHANGE's BuildConfig and ref. CONFIG may be NULL. */
struct journal_pending_row *journal_pending_newest_of_ref(
	const struct journal_pending_config *config, const struct journal_change *change);
