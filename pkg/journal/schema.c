/*
 * The tables, their versions, and the checks that a file is a journal of ours before it is written
 * to.
 */
#include "journal/schema.h"

#include "journal/row.h"
#include "journal/sql.h"

#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEW_FILE JOURNAL_FILE ".new"

/* "BHJ1", at byte 68 of the file. */
#define APPLICATION_ID      0x42484a31
#define APPLICATION_ID_TEXT "1112033841"

#define HEADER_BYTES      100
#define HEADER_MAGIC      "SQLite format 3"
#define HEADER_VERSION_AT 60
#define HEADER_APP_AT     68

#define CHUNK_BYTES (64 * 1024)

/*
 * seen_ms is the journal's own time, which wall-clock jumps don't move; accepted_ms is what people
 * read. Indexes are in order of acceptance within equal keys: each entry ends with the rowid, which
 * is seq.
 */
static const char version_1[] =
	"CREATE TABLE change ("
	"seq INTEGER PRIMARY KEY,"
	"state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 5),"
	"seen_ms INTEGER NOT NULL, accepted_ms INTEGER NOT NULL,"
	"gap_number INTEGER NOT NULL, gap_ms INTEGER NOT NULL, attempts INTEGER NOT NULL,"
	"next_attempt_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL,"
	"uid TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL,"
	"host TEXT NOT NULL, delivery_id TEXT NOT NULL, ref TEXT NOT NULL, commit_id TEXT NOT NULL,"
	"author_name TEXT NOT NULL, author_email TEXT NOT NULL, committer_name TEXT NOT NULL,"
	"committer_email TEXT NOT NULL, message TEXT NOT NULL, pusher TEXT NOT NULL,"
	"env_json TEXT NOT NULL, options_json TEXT NOT NULL, warning TEXT NOT NULL,"
	"build TEXT NOT NULL, reason TEXT NOT NULL,"
	"delivery_sum INTEGER NOT NULL, content_sum INTEGER NOT NULL, progress_sum INTEGER NOT "
	"NULL) STRICT;"
	"CREATE TABLE probe (filler BLOB) STRICT;"
	"CREATE INDEX by_state ON change (state, seen_ms);"
	"CREATE INDEX pending ON change (namespace, name) WHERE state < 2;";

/*
 * The big texts of a row are in a table of their own: SQLite writes a row whole whenever its state
 * changes. A row that is there already is charged for an ordinary one. Nothing is rewritten: a big
 * journal must not need its size once more. body_digest is only filled for hosts that deliver again
 * under another id.
 */
static const char version_2[] =
	"ALTER TABLE change ADD COLUMN before TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE change ADD COLUMN body_digest TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE change ADD COLUMN bytes INTEGER NOT NULL DEFAULT 2048;"
	"CREATE INDEX ended ON change (namespace, seq) WHERE state > 1;"
	"CREATE TABLE extra (change_seq INTEGER PRIMARY KEY, env TEXT NOT NULL, "
	"options TEXT NOT NULL) STRICT;";

/* Step I leads from version I to version I + 1. */
static const char *const steps[] = {version_1, version_2};
static_assert(ARRAY_LEN(steps) == JOURNAL_VERSION, "each version has its step");

static int refuse(struct err *err, const char *why)
{
	return err_set(err, ERR_INVALID, "%s", why);
}

static bool is_damage(int rc)
{
	return rc == SQLITE_NOTADB || (rc & 0xff) == SQLITE_CORRUPT || rc == SQLITE_ERROR ||
	       rc == SQLITE_READONLY_ROLLBACK;
}

static int set_error(struct err *err, int code, const char *what, const char *text, int rc)
{
	int cause = journal_sql_errno(rc);

	return err_set(err, code, "%s: %s%s%s", what, text, cause ? ": " : "",
		       cause ? strerror(cause) : "");
}

static int fail(struct err *err, sqlite3 *db, int rc, const char *what)
{
	return set_error(err, is_damage(rc) ? ERR_INVALID : ERR_UNAVAILABLE, what,
			 db ? sqlite3_errmsg(db) : sqlite3_errstr(rc), rc);
}

/* Of a file that has been checked: what fails is the disk, whatever SQLite takes it for. */
static int fail_write(struct err *err, int rc, const char *what)
{
	return set_error(err, ERR_UNAVAILABLE, what, sqlite3_errstr(rc), rc);
}

static uint32_t read_u32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Bytes read, 0 of what is no regular file, or -1. */
static ssize_t read_header(const struct journal_folder *folder, unsigned char *out)
{
	int fd = openat(folder->fd, JOURNAL_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st = {0};
	ssize_t n = -1;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0)
		n = S_ISREG(st.st_mode) ? pread(fd, out, HEADER_BYTES, 0) : 0;
	(void)close(fd);
	return n;
}

static int refuse_newer(int64_t version, struct err *err)
{
	return err_set(err, ERR_INVALID,
		       "written by a newer version (layout %lld, not %d): see docs/upgrade.md",
		       (long long)version, JOURNAL_VERSION);
}

/* Before SQLite sees the file at all: it rolls back or recovers what it opens. (Format:
 * sqlite.org/fileformat.html) */
static int check_header(const struct journal_folder *folder, struct err *err)
{
	unsigned char head[HEADER_BYTES] = {0};
	ssize_t n = read_header(folder, head);

	if (n < 0)
		return journal_folder_fail(err, "read " JOURNAL_FILE " in", folder->path);
	if (n < HEADER_BYTES || memcmp(head, HEADER_MAGIC, sizeof(HEADER_MAGIC)) != 0)
		return refuse(err, "not an SQLite file");
	if (read_u32(head + HEADER_APP_AT) != APPLICATION_ID)
		return refuse(err, "another program's file");
	if (read_u32(head + HEADER_VERSION_AT) > JOURNAL_VERSION)
		return refuse_newer(read_u32(head + HEADER_VERSION_AT), err);
	return ERR_OK;
}

int journal_schema_check(sqlite3 *db, int64_t *version, struct err *err)
{
	int64_t application = 0;
	int rc = journal_sql_int(db, "PRAGMA application_id", &application);

	if (rc == SQLITE_OK)
		rc = journal_sql_int(db, "PRAGMA user_version", version);
	if (rc != SQLITE_OK)
		return fail(err, db, rc, "can't be read");
	if (application != APPLICATION_ID)
		return refuse(err, "another program's file");
	if (*version < 1)
		return refuse(err, "damaged: no version");
	if (*version > JOURNAL_VERSION)
		return refuse_newer(*version, err);
	return ERR_OK;
}

/*
 * Reads one of the two files that DB has open, SQLITE_FCNTL_FILE_POINTER or _JOURNAL_POINTER, and
 * writes it in place if IS_REWRITTEN.
 */
static int pass_through(sqlite3 *db, int which, bool is_rewritten)
{
	CLEANUP(mem_free) char *bytes = mem_new(1, CHUNK_BYTES);
	sqlite3_file *file = NULL;
	sqlite3_int64 size = 0;
	int rc = sqlite3_file_control(db, "main", which, (void *)&file);

	assert(rc == SQLITE_OK); /* it looks up what the connection has */
	if (!file->pMethods)
		return SQLITE_OK; /* there is no log */
	rc = file->pMethods->xFileSize(file, &size);
	for (sqlite3_int64 at = 0; rc == SQLITE_OK && at < size; at += CHUNK_BYTES) {
		int n = size - at < CHUNK_BYTES ? (int)(size - at) : CHUNK_BYTES;

		rc = file->pMethods->xRead(file, bytes, n, at);
		if (rc == SQLITE_OK && is_rewritten)
			rc = file->pMethods->xWrite(file, bytes, n, at);
	}
	return rc == SQLITE_OK && is_rewritten ? file->pMethods->xSync(file, SQLITE_SYNC_FULL) : rc;
}

/* Whole, not quick: an index that lost an entry would hide a build that waits. 100,000 rows take
 * 0.2 s. */
static int ask_for_damage(sqlite3 *db, char *verdict, size_t size)
{
	CLEANUP(journal_sql_finalizep) sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &stmt, NULL);
	const char *text = NULL;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc != SQLITE_ROW)
		return rc;
	text = (const char *)sqlite3_column_text(stmt, 0);
	assert(text); /* SQLite has made it whole */
	(void)snprintf(verdict, size, "%s", text);
	return SQLITE_OK;
}

static int check_pages(sqlite3 *db, struct err *err)
{
	char verdict[128] = "";
	int rc = ask_for_damage(db, verdict, sizeof(verdict));

	if (rc != SQLITE_OK)
		return fail(err, db, rc, "can't be read");
	if (strcmp(verdict, "ok") != 0)
		return err_set(err, ERR_INVALID, "damaged: %.100s", verdict);
	return ERR_OK;
}

static int check_rows(sqlite3 *db, int64_t version, struct err *err)
{
	CLEANUP(journal_sql_finalizep) sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, journal_row_select(version), -1, &stmt, NULL);

	while (rc == SQLITE_OK || rc == SQLITE_ROW) {
		struct journal_change change = {0};

		rc = sqlite3_step(stmt);
		if (rc == SQLITE_ROW && !journal_row_read(stmt, &change))
			return err_set(err, ERR_INVALID, "damaged: row %lld",
				       (long long)change.seq);
	}
	return rc == SQLITE_DONE ? ERR_OK : fail(err, db, rc, "can't be read");
}

/* The SQL of all tables and indexes, for the caller to free. Their order means nothing (VACUUM
 * changes it), nor do tables of SQLite's own (ANALYZE makes one). */
static int read_schema(sqlite3 *db, char **out)
{
	CLEANUP(journal_sql_finalizep) sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(
		db,
		"SELECT coalesce(group_concat(sql, ';'), '') FROM (SELECT sql FROM "
		"sqlite_schema WHERE name NOT LIKE 'sqlite_%' "
		"ORDER BY type, name)",
		-1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc != SQLITE_ROW)
		return rc;
	*out = mem_strdup((const char *)sqlite3_column_text(stmt, 0));
	/* SQLITE_NOMEM where the text could not be made whole. */
	return sqlite3_reset(stmt);
}

/* As it is in a sound file of that version. */
static int read_expected_schema(int64_t version, char **out)
{
	CLEANUP(journal_sql_closep) sqlite3 *db = NULL;
	int rc = journal_sql_open(&db, ":memory:", SQLITE_OPEN_READWRITE);

	assert(version <= JOURNAL_VERSION);
	for (int64_t i = 0; rc == SQLITE_OK && i < version; i++)
		rc = journal_sql_exec(db, steps[i]);
	return rc == SQLITE_OK ? read_schema(db, out) : rc;
}

/* A bit that flipped in the SQL of a table may leave SQL that is right, and tables that are not
 * ours. */
static int check_schema(sqlite3 *db, int64_t version, struct err *err)
{
	CLEANUP(mem_free) char *found = NULL;
	CLEANUP(mem_free) char *expected = NULL;
	int rc = read_expected_schema(version, &expected);

	if (rc != SQLITE_OK)
		return fail(err, NULL, rc, "can't be checked");
	rc = read_schema(db, &found);
	if (rc != SQLITE_OK)
		return fail(err, db, rc, "can't be read");
	if (!str_eq(str_of(found), str_of(expected)))
		return refuse(err, "damaged: its tables");
	return ERR_OK;
}

static int check_content(sqlite3 *db, struct err *err)
{
	int64_t version = 0;
	int rc = journal_schema_check(db, &version, err);

	if (rc == ERR_OK)
		rc = check_schema(db, version, err);
	if (rc == ERR_OK)
		rc = check_pages(db, err);
	return rc == ERR_OK ? check_rows(db, version, err) : rc;
}

/* On a connection that only reads, and doesn't put the log into the file when it closes. */
static int check_file(const char *path, struct err *err)
{
	CLEANUP(journal_sql_closep) sqlite3 *db = NULL;
	int rc = journal_sql_open(&db, path, SQLITE_OPEN_READONLY);
	int code;

	if (rc != SQLITE_OK)
		return fail(err, NULL, rc, "can't be opened");
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	code = check_content(db, err);
	if (code != ERR_INVALID)
		return code;
	/* SQLite takes for damage also what the disk did not give. */
	rc = pass_through(db, SQLITE_FCNTL_FILE_POINTER, false);
	if (rc == SQLITE_OK)
		rc = pass_through(db, SQLITE_FCNTL_JOURNAL_POINTER, false);
	return rc == SQLITE_OK ? check_content(db, err) : fail(err, NULL, rc, "can't be read");
}

static int migrate(sqlite3 *db, struct err *err)
{
	int64_t version = 0;
	char done[64];
	int rc = journal_sql_int(db, "PRAGMA user_version", &version);

	if (rc == SQLITE_OK && version == JOURNAL_VERSION)
		return ERR_OK;
	if (rc == SQLITE_OK)
		rc = journal_sql_exec(db, "BEGIN IMMEDIATE");
	for (int64_t i = version; rc == SQLITE_OK && i < JOURNAL_VERSION; i++)
		rc = journal_sql_exec(db, steps[i]);
	(void)snprintf(done, sizeof(done), "PRAGMA user_version=%lld; COMMIT",
		       (long long)JOURNAL_VERSION);
	if (rc == SQLITE_OK)
		rc = journal_sql_exec(db, done);
	return rc == SQLITE_OK ? ERR_OK : fail_write(err, rc, "bring it up to date");
}

static int fill_new(const char *path, struct err *err)
{
	CLEANUP(journal_sql_closep) sqlite3 *db = NULL;
	int rc = journal_sql_open(&db, path, SQLITE_OPEN_READWRITE);

	if (rc == SQLITE_OK)
		rc = journal_sql_exec(db, "PRAGMA synchronous=FULL; PRAGMA auto_vacuum=INCREMENTAL;"
					  "PRAGMA application_id=" APPLICATION_ID_TEXT);
	if (rc == SQLITE_OK && migrate(db, err) != ERR_OK)
		return err->code;
	if (rc == SQLITE_OK)
		rc = journal_sql_exec(db, "PRAGMA journal_mode=WAL");
	return rc == SQLITE_OK ? ERR_OK : fail_write(err, rc, "make it");
}

/* A log that an unfinished attempt or a journal that was set aside left behind: it holds pages
 * of that other file, and SQLite would write them into this one. It is kept under another name. */
static int clear_names(const struct journal_folder *folder, struct err *err)
{
	static const char *const names[] = {
		NEW_FILE,        NEW_FILE "-journal", NEW_FILE "-wal",
		NEW_FILE "-shm", JOURNAL_FILE "-shm", JOURNAL_FILE "-journal"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (unlinkat(folder->fd, names[i], 0) != 0 && errno != ENOENT)
			return journal_folder_fail(err, names[i], folder->path);
	if (renameat(folder->fd, JOURNAL_FILE "-wal", folder->fd, JOURNAL_FILE "-wal.old") != 0 &&
	    errno != ENOENT)
		return journal_folder_fail(err, JOURNAL_FILE "-wal", folder->path);
	return ERR_OK;
}

static int create(const struct journal_folder *folder, struct err *err)
{
	CLEANUP(mem_free) char *path = journal_folder_path(folder->path, NEW_FILE);
	int rc = clear_names(folder, err);
	int fd = -1;

	if (rc != ERR_OK)
		return rc;
	fd = openat(folder->fd, NEW_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return journal_folder_fail(err, "make " NEW_FILE " in", folder->path);
	(void)close(fd);
	rc = fill_new(path, err);
	if (rc != ERR_OK)
		return rc;
	if (renameat(folder->fd, NEW_FILE, folder->fd, JOURNAL_FILE) != 0)
		return journal_folder_fail(err, "rename " NEW_FILE " in", folder->path);
	return journal_folder_sync(folder, err);
}

static int open_writer(sqlite3 **out, const char *path, struct err *err)
{
	CLEANUP(journal_sql_closep) sqlite3 *db = NULL;
	int64_t busy = 0;
	int rc = journal_sql_open(&db, path, SQLITE_OPEN_READWRITE);

	if (rc == SQLITE_OK)
		rc = journal_sql_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
					  "PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-2048;"
					  "PRAGMA journal_size_limit=4194304;"
					  "PRAGMA secure_delete=OFF");
	if (rc != SQLITE_OK)
		return fail_write(err, rc, "open it for writing");
	/*
	 * After an fsync that failed, the kernel takes pages for written that are not, and a
	 * restart reads them back from its cache. What is built on them, or put from there into the
	 * file, could outlive them; so they are written anew. The file itself needs none of this:
	 * SQLite takes nothing out of the log before it is in the file and synced.
	 */
	rc = pass_through(db, SQLITE_FCNTL_JOURNAL_POINTER, true);
	if (rc != SQLITE_OK)
		return fail_write(err, rc, "make its log durable");
	/* Without room, or with somebody who reads, it can be done later. */
	rc = journal_sql_int(db, "PRAGMA wal_checkpoint(TRUNCATE)", &busy);
	if (rc != SQLITE_OK && !journal_sql_is_passing(rc))
		return fail_write(err, rc, "put its log into it");
	rc = migrate(db, err);
	if (rc != ERR_OK)
		return rc;
	*out = TAKE(db);
	return ERR_OK;
}

/* The message of a program that does not start: it names a command, which must not be cut off. */
static int explain(struct err *out, const struct journal_folder *folder, const struct err *why)
{
	bool is_short = strlen(folder->path) <= 90;

	if (why->code != ERR_INVALID)
		return err_set(out, why->code, "journal %s/" JOURNAL_FILE ": %s", folder->path,
			       why->msg);
	return err_set(out, ERR_INVALID,
		       "journal: %.68s. To start without it (its waiting builds are lost): "
		       "cd %s && mv " JOURNAL_FILE " " JOURNAL_FILE ".bad",
		       why->msg, is_short ? folder->path : "DATA_DIR");
}

int journal_schema_open(sqlite3 **out, const struct journal_folder *folder, struct err *err)
{
	CLEANUP(mem_free) char *path = journal_folder_path(folder->path, JOURNAL_FILE);
	CLEANUP(journal_sql_closep) sqlite3 *db = NULL;
	struct err why = {0};
	int rc = ERR_OK;

	if (faccessat(folder->fd, JOURNAL_FILE, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
		rc = create(folder, &why);
	if (rc == ERR_OK)
		rc = check_header(folder, &why);
	if (rc == ERR_OK)
		rc = check_file(path, &why);
	if (rc == ERR_OK)
		rc = open_writer(&db, path, &why);
	if (rc == ERR_OK)
		rc = journal_folder_sync(folder, &why);
	if (rc != ERR_OK)
		return explain(err, folder, &why);
	*out = TAKE(db);
	return ERR_OK;
}
