/* Reads a journal's file without opening it for writing, while another process may have it open. */
#include "journal/change.h"
#include "journal/reader.h"
#include "journal/schema.h"

#include "base/buf.h"
#include "base/mem.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

/* Rows read in one transaction: SQLite cannot restart a log that is being read, and the caller
 * may be slow. */
#define CHUNK_ROWS 64

struct chunk {
	struct journal_change *rows[CHUNK_ROWS];
	size_t n;
};

static void release_chunk(struct chunk *chunk)
{
	for (size_t i = 0; i < chunk->n; i++)
		journal_change_freep(&chunk->rows[i]);
	chunk->n = 0;
}

static void keep_row(void *arg, const struct journal_change *change)
{
	struct chunk *chunk = arg;

	chunk->rows[chunk->n++] = journal_change_copy(change);
}

/* "file:PATH?immutable=1", with the characters that mean something in it escaped. */
static char *format_immutable(const char *path)
{
	CLEANUP(buf_release) struct buf uri = BUF_INIT(3 * PATH_MAX);

	buf_put_str(&uri, STR("file:"));
	for (const char *p = path; *p; p++)
		if (strchr("%?#", *p))
			buf_printf(&uri, "%%%02x", (unsigned)(unsigned char)*p);
		else
			buf_put_char(&uri, *p);
	buf_put_str(&uri, STR("?immutable=1"));
	return buf_take(&uri);
}

static bool has_log(const char *path)
{
	CLEANUP(buf_release) struct buf log = BUF_INIT(PATH_MAX + 8);
	struct stat st = {0};

	buf_printf(&log, "%s-wal", path);
	return stat(buf_str(&log).p, &st) == 0 && st.st_size > 0;
}

/* SQLite returns this for files that are no database at all, too. */
static int fail(struct err *err, int rc)
{
	bool is_bad = rc == SQLITE_NOTADB || (rc & 0xff) == SQLITE_CORRUPT;

	return err_set(err, is_bad ? ERR_INVALID : ERR_UNAVAILABLE, "can't be read: %s",
		       sqlite3_errstr(rc));
}

static int try_open(struct journal_reader *out, const char *path, int flags, struct err *err)
{
	CLEANUP(journal_reader_release) struct journal_reader reader = {0};
	int rc = journal_reader_init(&reader, path, flags);

	if (rc != SQLITE_OK)
		return fail(err, rc);
	rc = journal_schema_check(reader.db, &reader.version, err);
	if (rc != ERR_OK)
		return rc;
	*out = reader;
	reader = (struct journal_reader){0};
	return ERR_OK;
}

/*
 * SQLite reads a log with the help of an index beside it, which it makes if it is missing. In a
 * folder that can't be written to it can't even see that there is no log, but is content to be told
 * that nothing will change.
 */
static int open_file(struct journal_reader *out, const char *path, struct err *err)
{
	CLEANUP(mem_free) char *immutable = format_immutable(path);
	int rc = try_open(out, path, 0, err);

	if (rc != ERR_UNAVAILABLE)
		return rc;
	if (has_log(path))
		return err_wrap(err,
				"copy it and its -wal file to a folder that can be written to");
	return try_open(out, immutable, SQLITE_OPEN_URI, err);
}

static int read_rows(struct journal_reader *reader, size_t max, journal_row_fn fn, void *arg,
		     struct err *err)
{
	int64_t before_seq = INT64_MAX;
	size_t told = 0;

	while (told < max) {
		CLEANUP(release_chunk) struct chunk chunk = {0};
		size_t want = max - told < CHUNK_ROWS ? max - told : CHUNK_ROWS;
		int rc = journal_reader_recent(reader, before_seq, want, keep_row, &chunk, &want);

		if (rc != SQLITE_OK)
			return fail(err, rc);
		for (size_t i = 0; i < chunk.n; i++)
			fn(arg, chunk.rows[i]);
		if (chunk.n < CHUNK_ROWS)
			return ERR_OK;
		before_seq = chunk.rows[chunk.n - 1]->seq;
		told += chunk.n;
	}
	return ERR_OK;
}

int journal_read_file(const char *data_dir, size_t max, journal_row_fn fn, void *arg,
		      struct err *err)
{
	CLEANUP(mem_free) char *path = journal_folder_path(data_dir, JOURNAL_FILE);
	CLEANUP(journal_reader_release) struct journal_reader reader = {0};
	int rc;

	if (access(path, R_OK) != 0)
		return err_set(err, errno == ENOENT ? ERR_NOTFOUND : ERR_DENIED, "journal %s: %s",
			       path, strerror(errno));
	rc = open_file(&reader, path, err);
	if (rc == ERR_OK)
		rc = read_rows(&reader, max, fn, arg, err);
	return rc == ERR_OK ? ERR_OK : err_wrap(err, "journal %s", path);
}
