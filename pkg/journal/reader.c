#include "journal/reader.h"

#include "journal/row.h"
#include "journal/sql.h"

#include "base/mem.h"

#include <assert.h>

enum { PENDING, RECENT, NEXT_KEY, OLDEST_PENDING };

static const char *const texts[JOURNAL_QUERIES] = {
	[PENDING] = "SELECT " JOURNAL_ROW_COLUMNS " FROM change INDEXED BY pending "
		    "WHERE state < 2 AND namespace = ?1 AND name = ?2 ORDER BY seq LIMIT ?3",
	[RECENT] = "SELECT " JOURNAL_ROW_COLUMNS " FROM change WHERE seq < ?1 ORDER BY seq DESC "
		   "LIMIT ?2",
	/* Jumps from key to key, however many rows each has. */
	[NEXT_KEY] =
		"SELECT namespace, name FROM change INDEXED BY pending "
		"WHERE state < 2 AND (namespace, name) > (?1, ?2) ORDER BY namespace, name LIMIT 1",
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

/* Up to two texts; the other parameters are numbers that the caller binds. */
static int ask(struct journal_reader *reader, int query, const char *a, const char *b,
	       sqlite3_stmt **out)
{
	sqlite3_stmt **stmt = &reader->queries[query];
	int rc = *stmt ? SQLITE_OK : journal_sql_prepare(reader->db, texts[query], stmt);

	if (rc != SQLITE_OK)
		return rc;
	assert(!sqlite3_stmt_busy(*stmt));
	if (a)
		rc = sqlite3_bind_text(*stmt, 1, a, -1, SQLITE_TRANSIENT);
	if (b && rc == SQLITE_OK)
		rc = sqlite3_bind_text(*stmt, 2, b, -1, SQLITE_TRANSIENT);
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

int journal_reader_pending(struct journal_reader *reader, const char *namespace_, const char *name,
			   size_t max, journal_row_fn fn, void *arg, size_t *n)
{
	sqlite3_stmt *stmt = NULL;
	int rc = ask(reader, PENDING, namespace_, name, &stmt);

	if (rc != SQLITE_OK)
		return rc;
	journal_sql_bind_int(stmt, 3, limit_of(max));
	return tell_rows(stmt, fn, arg, n);
}

int journal_reader_recent(struct journal_reader *reader, int64_t before_seq, size_t max,
			  journal_row_fn fn, void *arg, size_t *n)
{
	sqlite3_stmt *stmt = NULL;
	int rc = ask(reader, RECENT, NULL, NULL, &stmt);

	if (rc != SQLITE_OK)
		return rc;
	journal_sql_bind_int(stmt, 1, before_seq);
	journal_sql_bind_int(stmt, 2, limit_of(max));
	return tell_rows(stmt, fn, arg, n);
}

int journal_reader_pending_keys(struct journal_reader *reader,
				void (*fn)(void *arg, const char *namespace_, const char *name),
				void *arg)
{
	CLEANUP(mem_free) char *namespace_ = mem_strdup("");
	CLEANUP(mem_free) char *name = mem_strdup("");
	int rc = SQLITE_ROW;

	while (rc == SQLITE_ROW) {
		sqlite3_stmt *stmt = NULL;

		rc = ask(reader, NEXT_KEY, namespace_, name, &stmt);
		if (rc != SQLITE_OK)
			return rc;
		rc = sqlite3_step(stmt);
		if (rc == SQLITE_ROW) {
			mem_free(&namespace_);
			mem_free(&name);
			namespace_ = mem_strdup((const char *)sqlite3_column_text(stmt, 0));
			name = mem_strdup((const char *)sqlite3_column_text(stmt, 1));
		}
		(void)sqlite3_reset(stmt);
		/* A namespace that is NULL is behind no other. */
		if (rc == SQLITE_ROW && !name)
			return SQLITE_CORRUPT;
		if (rc == SQLITE_ROW)
			fn(arg, namespace_, name);
	}
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
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
	int rc = ask(reader, OLDEST_PENDING, NULL, NULL, &stmt);

	return rc == SQLITE_OK ? read_number(stmt, out_seen_ms) : rc;
}
