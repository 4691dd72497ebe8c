/* The few ways in which the journal talks to SQLite. Codes are SQLite's own, extended ones. */
#pragma once

#include "base/err.h"

#include <sqlite3.h>

#include <stdbool.h>
#include <stdint.h>

/* How long a statement waits for another connection. */
#define JOURNAL_SQL_BUSY_MS 5000

/* For CLEANUP. */
void journal_sql_closep(sqlite3 **db);
void journal_sql_finalizep(sqlite3_stmt **stmt);

/* SQLITE_OPEN_* flags; NOMUTEX is added: a connection belongs to one thread. */
int journal_sql_open(sqlite3 **out, const char *path, int flags);
/* The last one of a statement that is kept for long. */
int journal_sql_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out);
/* Runs SQL, any rows unseen. */
int journal_sql_exec(sqlite3 *db, const char *sql);
/* The first column of the first row. */
int journal_sql_int(sqlite3 *db, const char *sql, int64_t *out);
/*
 * A parameter of a statement that is not running. There is nothing in it that can fail: the text,
 * which must live until the statement has run, is not copied.
 */
void journal_sql_bind_int(sqlite3_stmt *stmt, int parameter, int64_t value);
void journal_sql_bind_text(sqlite3_stmt *stmt, int parameter, const char *text);
/* Steps a statement that gives no rows, and makes it ready for the next time. */
int journal_sql_run(sqlite3_stmt *stmt);

/*
 * The errno behind a failure to read or write, 0 without one; asked for at once. SQLite notes it
 * with the connection (sqlite3_system_errno()) unless it was a commit that failed.
 */
int journal_sql_errno(int rc);
/*
 * True for what can pass without a restart: no space, no memory, another process at the same file.
 * Everything else means that the file or the disk cannot be trusted.
 */
bool journal_sql_is_passing(int rc);
