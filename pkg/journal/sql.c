#include "journal/sql.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>

void journal_sql_closep(sqlite3 **db)
{
	(void)sqlite3_close_v2(*db);
	*db = NULL;
}

void journal_sql_finalizep(sqlite3_stmt **stmt)
{
	(void)sqlite3_finalize(*stmt);
	*stmt = NULL;
}

int journal_sql_open(sqlite3 **out, const char *path, int flags)
{
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX, NULL);

	if (rc != SQLITE_OK) {
		journal_sql_closep(&db);
		return rc;
	}
	(void)sqlite3_extended_result_codes(db, 1);
	(void)sqlite3_busy_timeout(db, JOURNAL_SQL_BUSY_MS);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	*out = db;
	return SQLITE_OK;
}

int journal_sql_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out)
{
	return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
}

int journal_sql_exec(sqlite3 *db, const char *sql)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

int journal_sql_int(sqlite3 *db, const char *sql, int64_t *out)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

	if (rc != SQLITE_OK)
		return rc;
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*out = sqlite3_column_int64(stmt, 0);
	rc = rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
	journal_sql_finalizep(&stmt);
	return rc;
}

void journal_sql_bind_int(sqlite3_stmt *stmt, int parameter, int64_t value)
{
	int rc = sqlite3_bind_int64(stmt, parameter, value);

	assert(rc == SQLITE_OK);
}

void journal_sql_bind_text(sqlite3_stmt *stmt, int parameter, const char *text)
{
	int rc = sqlite3_bind_text(stmt, parameter, text, -1, SQLITE_STATIC);

	assert(rc == SQLITE_OK);
}

int journal_sql_run(sqlite3_stmt *stmt)
{
	(void)sqlite3_step(stmt);
	return sqlite3_reset(stmt); /* the code of the step, if that failed */
}

int journal_sql_errno(int rc)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	if ((rc & 0xff) != SQLITE_IOERR && (rc & 0xff) != SQLITE_CANTOPEN)
		return 0;
	return vfs->xGetLastError(vfs, 0, NULL);
}

bool journal_sql_is_passing(int rc)
{
	int cause = journal_sql_errno(rc);

	switch (rc & 0xff) {
	case SQLITE_FULL:
	case SQLITE_NOMEM:
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return true;
	case SQLITE_IOERR:
		/* SQLite takes only ENOSPC for a full disk, and says nothing of the cause when it
		 * can't grow the index of the log. */
		return rc == SQLITE_IOERR_SHMSIZE ||
		       (rc == SQLITE_IOERR_WRITE && (cause == EDQUOT || cause == EFBIG));
	default:
		return false;
	}
}
