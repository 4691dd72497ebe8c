#include "journal/reader.h"

#include "journal/change.h"
#include "journal/row.h"
#include "journal/sql.h"

#include "base/buf.h"
#include "base/mem.h"

#include <assert.h>

enum { GET, RECENT, OLDEST_PENDING };

/* Of the first two the end: journal_row_select() comes before it. */
static const char *const texts[JOURNAL_QUERIES] = {
	[GET] = "WHERE seq = ?1",
	[RECENT] = "WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
	[OLDEST_PENDING] =
		"SELECT min(seen_ms) FROM (SELECT min(seen_ms) AS seen_ms FROM change "
		"WHERE state = 0 UNION ALL SELECT min(seen_ms) FROM change WHERE state = 1)",
};

int journal_reader_init(struct journal_reader *out, const char *path, int flags)
{
	struct journal_reader reader = {0};
	int rc = journal_sql_open(&reader.db, path, SQLITE_OPEN_READONLY | flags);

	if (rc != SQLITE_OK)
		return rc;
	(void)sqlite3_db_config(reader.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	rc = journal_sql_exec(reader.db, "PRAGMA cache_size=-512");
	if (rc != SQLITE_OK)
		journal_reader_release(&reader);
	else
		*out = reader;
	return rc;
}

void journal_reader_release(struct journal_reader *reader)
{
	for (size_t i = 0; i < JOURNAL_QUERIES; i++)
		journal_sql_finalizep(&reader->queries[i]);
	journal_sql_closep(&reader->db);
}

/* The caller binds its parameters, all of them numbers. */
static int ask(struct journal_reader *reader, int query, sqlite3_stmt **out)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT(4096);
	sqlite3_stmt **stmt = &reader->queries[query];
	int rc = SQLITE_OK;

	if (!*stmt) {
		if (query != OLDEST_PENDING)
			buf_put_str(&sql, str_of(journal_row_select(reader->version)));
		buf_put_str(&sql, str_of(texts[query]));
		rc = journal_sql_prepare(reader->db, sql.data, stmt);
	}
	assert(!*stmt || !sqlite3_stmt_busy(*stmt));
	*out = *stmt;
	return rc;
}

/* Tells every row, and ends the read: a log that is being read cannot start over. */
static int tell_rows(sqlite3_stmt *stmt, journal_row_fn fn, void *arg, size_t *n)
{
	int rc = SQLITE_ROW;

	for (*n = 0; rc == SQLITE_ROW;) {
		struct journal_change change = {0};

		rc = sqlite3_step(stmt);
		if (rc == SQLITE_ROW && !journal_row_read(stmt, &change))
			rc = SQLITE_CORRUPT;
		if (rc == SQLITE_ROW) {
			fn(arg, &change);
			(*n)++;
		}
	}
	(void)sqlite3_reset(stmt);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int64_t limit_of(size_t max)
{
	return max > INT64_MAX ? INT64_MAX : (int64_t)max;
}

static void keep_copy(void *arg, const struct journal_change *change)
{
	*(struct journal_change **)arg = journal_change_copy(change);
}

int journal_reader_get(struct journal_reader *reader, int64_t seq, struct journal_change **out)
{
	sqlite3_stmt *stmt = NULL;
	size_t n = 0;
	int rc = ask(reader, GET, &stmt);

	if (rc != SQLITE_OK)
		return rc;
	journal_sql_bind_int(stmt, 1, seq);
	return tell_rows(stmt, keep_copy, out, &n);
}

int journal_reader_recent(struct journal_reader *reader, int64_t before_seq, size_t max,
			  journal_row_fn fn, void *arg, size_t *n)
{
	sqlite3_stmt *stmt = NULL;
	int rc = ask(reader, RECENT, &stmt);

	if (rc != SQLITE_OK)
		return rc;
	journal_sql_bind_int(stmt, 1, before_seq);
	journal_sql_bind_int(stmt, 2, limit_of(max));
	return tell_rows(stmt, fn, arg, n);
}

/* The one number that the query gives; untouched where that is NULL. */
static int read_number(sqlite3_stmt *stmt, int64_t *out)
{
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW && sqlite3_column_type(stmt, 0) != SQLITE_NULL)
		*out = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_reset(stmt);
	return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

int journal_reader_oldest_pending(struct journal_reader *reader, int64_t *out_seen_ms)
{
	sqlite3_stmt *stmt = NULL;
	int rc = ask(reader, OLDEST_PENDING, &stmt);

	return rc == SQLITE_OK ? read_number(stmt, out_seen_ms) : rc;
}
