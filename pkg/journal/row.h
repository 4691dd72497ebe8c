/*
 * One change as a row of the table, both ways. What a row says is covered by two sums, one over
 * what never changes in it and one over how far it has come, so that a flipped bit in the
 * file is not taken for a build to start.
 */
#pragma once

#include "journal/journal.h"

#include <sqlite3.h>

/* A row's columns; see schema.c. The two big texts are in a table of their own. */
#define JOURNAL_ROW_COLUMNS                                                                        \
	JOURNAL_ROW_COLUMNS_OF("env_json, options_json", "before, body_digest", "bytes")
#define JOURNAL_ROW_COLUMNS_OF(extra, later, bytes)                                                \
	"seq, state, seen_ms, accepted_ms, gap_number, gap_ms, attempts, next_attempt_ms, "        \
	"ended_ms, uid, namespace, name, type, host, delivery_id, ref, commit_id, author_name, "   \
	"author_email, committer_name, committer_email, message, pusher, " extra                   \
	", warning, build, reason, " later ", delivery_sum, content_sum, progress_sum, " bytes
#define JOURNAL_ROW_SELECT                                                                         \
	"SELECT " JOURNAL_ROW_COLUMNS_OF(                                                          \
		"coalesce(env, env_json), coalesce(options, options_json)", "before, body_digest", \
		"bytes") " FROM change LEFT JOIN extra ON change_seq = seq "
#define JOURNAL_ROW_PARAMETERS "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?"

/* SELECT and FROM for journal_row_read(), of a file of that version. */
const char *journal_row_select(int64_t version);

/* What a row is charged for beside its texts: numbers, index entries, and the longest reason that
 * it can end with, so that there is room for its end. */
#define JOURNAL_ROW_OVERHEAD 1280

static inline bool journal_state_is_pending(enum journal_state state)
{
	return state == JOURNAL_ACCEPTED || state == JOURNAL_STARTING;
}

/* For INSERT with the columns and parameters above, but for the two big texts, which stay empty.
 * SEEN_MS: journal time. None of the texts, which must live until it has run, is NULL. */
void journal_row_bind(sqlite3_stmt *stmt, const struct journal_change *change, int64_t seen_ms);
/* From a statement that selects the columns above; the texts are lent until its next step. False:
 * damaged. */
bool journal_row_read(sqlite3_stmt *stmt, struct journal_change *out);
/* Bytes that a change is charged for in the bounds (writer.h). */
int64_t journal_row_bytes(const struct journal_change *change);
/* Over state, the start and the end. */
int64_t journal_row_progress_sum(const struct journal_change *change);
