#include "journal/row.h"

#include "journal/change.h"
#include "journal/sql.h"

#include "base/fnv.h"
#include "base/mem.h"

enum {
	COLUMN_SEQ,
	COLUMN_STATE,
	COLUMN_SEEN,
	COLUMN_ACCEPTED,
	COLUMN_GAP_NUMBER,
	COLUMN_GAP,
	COLUMN_ATTEMPTS,
	COLUMN_NEXT_ATTEMPT,
	COLUMN_ENDED,
	COLUMN_TEXTS,
	COLUMN_DELIVERY_SUM = COLUMN_TEXTS + JOURNAL_CHANGE_TEXTS,
	COLUMN_CONTENT_SUM,
	COLUMN_PROGRESS_SUM,
	COLUMN_BYTES,
};

#define MAX_BYTES                                                                                  \
	(JOURNAL_ROW_OVERHEAD + JOURNAL_MAX_EXTRA + JOURNAL_CHANGE_TEXTS * JOURNAL_MAX_TEXT)

const char *journal_row_select(int64_t version)
{
	return version == 1 ? "SELECT " JOURNAL_ROW_COLUMNS_OF("env_json, options_json", "'', ''",
							       "2048") " FROM change "
			    : JOURNAL_ROW_SELECT;
}

static bool is_extra(size_t text)
{
	return journal_change_texts[text] == offsetof(struct journal_change, env_json) ||
	       journal_change_texts[text] == offsetof(struct journal_change, options_json);
}

static bool is_progress(size_t text)
{
	return journal_change_texts[text] == offsetof(struct journal_change, build) ||
	       journal_change_texts[text] == offsetof(struct journal_change, reason);
}

/* Columns that rows of the first layout do not have: "" adds nothing to a sum. */
static bool is_later(size_t text)
{
	return journal_change_texts[text] == offsetof(struct journal_change, before) ||
	       journal_change_texts[text] == offsetof(struct journal_change, body_digest);
}

static uint64_t add_later(uint64_t sum, size_t text, const char *value)
{
	return *value ? fnv_64_text(fnv_64(sum, &text, sizeof(text)), value) : sum;
}

static int64_t sum_content(const struct journal_change *change, int64_t seen_ms)
{
	const int64_t numbers[] = {seen_ms, change->accepted_ms};
	uint64_t sum = fnv_64(FNV_64_INIT, numbers, sizeof(numbers));

	for (size_t i = 0; i < JOURNAL_CHANGE_TEXTS; i++)
		if (is_later(i))
			sum = add_later(sum, i, journal_change_text(change, i));
		else if (!is_progress(i))
			sum = fnv_64_text(sum, journal_change_text(change, i));
	return (int64_t)sum;
}

int64_t journal_row_bytes(const struct journal_change *change)
{
	size_t bytes = JOURNAL_ROW_OVERHEAD;

	for (size_t i = 0; i < JOURNAL_CHANGE_TEXTS; i++)
		bytes += str_of(journal_change_text(change, i)).n;
	return (int64_t)bytes;
}

int64_t journal_row_progress_sum(const struct journal_change *change)
{
	const int64_t numbers[] = {change->state,    change->gap_number,      change->gap_ms,
				   change->attempts, change->next_attempt_ms, change->ended_ms};
	uint64_t sum = fnv_64(FNV_64_INIT, numbers, sizeof(numbers));

	return (int64_t)fnv_64_text(fnv_64_text(sum, change->build), change->reason);
}

void journal_row_bind(sqlite3_stmt *stmt, const struct journal_change *change, int64_t seen_ms)
{
	const struct {
		int column;
		int64_t value;
	} numbers[] = {
		{COLUMN_SEQ, change->seq},
		{COLUMN_STATE, change->state},
		{COLUMN_SEEN, seen_ms},
		{COLUMN_ACCEPTED, change->accepted_ms},
		{COLUMN_GAP_NUMBER, change->gap_number},
		{COLUMN_GAP, change->gap_ms},
		{COLUMN_ATTEMPTS, change->attempts},
		{COLUMN_NEXT_ATTEMPT, change->next_attempt_ms},
		{COLUMN_ENDED, change->ended_ms},
		{COLUMN_DELIVERY_SUM, 0},
		{COLUMN_CONTENT_SUM, sum_content(change, seen_ms)},
		{COLUMN_PROGRESS_SUM, journal_row_progress_sum(change)},
		{COLUMN_BYTES, journal_row_bytes(change)},
	};

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		journal_sql_bind_int(stmt, numbers[i].column + 1, numbers[i].value);
	for (int i = 0; i < JOURNAL_CHANGE_TEXTS; i++)
		journal_sql_bind_text(stmt, COLUMN_TEXTS + i + 1,
				      is_extra((size_t)i) ? ""
							  : journal_change_text(change, (size_t)i));
}

bool journal_row_read(sqlite3_stmt *stmt, struct journal_change *out)
{
	int64_t state = sqlite3_column_int64(stmt, COLUMN_STATE);
	int64_t bytes = sqlite3_column_int64(stmt, COLUMN_BYTES);

	*out = (struct journal_change){
		.seq = sqlite3_column_int64(stmt, COLUMN_SEQ),
		.state = (enum journal_state)state,
		.accepted_ms = sqlite3_column_int64(stmt, COLUMN_ACCEPTED),
		.gap_number = sqlite3_column_int64(stmt, COLUMN_GAP_NUMBER),
		.gap_ms = sqlite3_column_int64(stmt, COLUMN_GAP),
		.attempts = sqlite3_column_int(stmt, COLUMN_ATTEMPTS),
		.next_attempt_ms = sqlite3_column_int64(stmt, COLUMN_NEXT_ATTEMPT),
		.ended_ms = sqlite3_column_int64(stmt, COLUMN_ENDED),
	};
	for (int i = 0; i < JOURNAL_CHANGE_TEXTS; i++) {
		const char *text = (const char *)sqlite3_column_text(stmt, COLUMN_TEXTS + i);

		if (!text)
			return false;
		memcpy((char *)out + journal_change_texts[i], &text, sizeof(text));
	}
	return state >= 0 && state < JOURNAL_STATES && bytes >= 0 && bytes <= MAX_BYTES &&
	       sqlite3_column_int64(stmt, COLUMN_CONTENT_SUM) ==
		       sum_content(out, sqlite3_column_int64(stmt, COLUMN_SEEN)) &&
	       sqlite3_column_int64(stmt, COLUMN_PROGRESS_SUM) == journal_row_progress_sum(out);
}
