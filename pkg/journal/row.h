/*
 * One change as a row of the table, both ways. What a row says is covered by two sums, one over
 * what never changes in it and one over how far it has come, so that a bit that fell over in the
 * file is not taken for a build to start.
 */
#pragma once

#include "journal/journal.h"

#include <sqlite3.h>

/* As in the table; the last three are sums. */
#define JOURNAL_ROW_COLUMNS                                                                        \
	"seq, state, seen_ms, accepted_ms, gap_number, gap_ms, attempts, next_attempt_ms, "        \
	"ended_ms, uid, namespace, name, type, host, delivery_id, ref, commit_id, author_name, "   \
	"author_email, committer_name, committer_email, message, pusher, env_json, "               \
	"options_json, warning, build, reason, delivery_sum, content_sum, progress_sum"
#define JOURNAL_ROW_PARAMETERS "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?"

static inline bool journal_state_is_pending(enum journal_state state)
{
	return state == JOURNAL_ACCEPTED || state == JOURNAL_STARTING;
}

/* For INSERT with the columns and parameters above. SEEN_MS: journal time. None of the texts, which
 * must live until it has run, is NULL. */
void journal_row_bind(sqlite3_stmt *stmt, const struct journal_change *change, int64_t seen_ms);
/* From a statement that selects the columns above; the texts are lent until its next step. False:
 * damaged. */
bool journal_row_read(sqlite3_stmt *stmt, struct journal_change *out);
/* Over BuildConfig (uid), hook, delivery id and ref; 32 bits, for many of them are kept in memory.
 */
int64_t journal_row_delivery_sum(const struct journal_change *change);
/* Over state, the start and the end. */
int64_t journal_row_progress_sum(const struct journal_change *change);
