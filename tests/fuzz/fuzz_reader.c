/*
 * However a document is cut into chunks, the reader says the same of it. What it hands over is
 * valid UTF-8 without U+0000, within its bound, and what begins also ends.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "doc/reader.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_BYTES 24

static const struct reader_field fields[] = {
	{"", 0, 0},
	{"/ref", 1, MAX_BYTES},
	{"/commits", 2, 0},
	{"/commits/*/id", 3, MAX_BYTES},
	{"/commits/*/added/*", 4, 5},
	{"/head/author/name", 5, MAX_BYTES},
	{"/*/ref", 6, 1},
	{"/a/*/*/b", 7, 3},
	{"/*", 8, MAX_BYTES},
};

struct seen {
	struct buf log;
	int open;
	int depth_of[ARRAY_LEN(fields)];
};

static void on_value(void *arg, int field, const struct reader_value *value)
{
	struct seen *seen = arg;
	int step = value->type == READER_OBJECT || value->type == READER_ARRAY ? 1
		   : value->type == READER_END                                 ? -1
									       : 0;

	assert(value->text.n <= fields[field].max_bytes);
	assert(str_is_utf8(value->text));
	assert(!value->text.n || !memchr(value->text.p, '\0', value->text.n));
	assert(*reader_type_name(value->type));
	seen->open += step;
	seen->depth_of[field] += step;
	assert(seen->depth_of[field] >= 0);
	buf_printf(&seen->log, "%d %d %d ", field, value->type, value->is_cut);
	buf_put_str(&seen->log, value->text);
	buf_put_char(&seen->log, '\n');
}

static void free_paths(struct reader_paths **paths)
{
	reader_paths_free(*paths);
}

/* In chunks of 1 to STEP bytes, in turn; of memory of their own, so that reading beyond is caught.
 */
static int read_in_chunks(struct seen *seen, struct str text, size_t step, struct err *err)
{
	CLEANUP(free_paths)
	struct reader_paths *paths = reader_paths_new(fields, ARRAY_LEN(fields));
	CLEANUP(reader_freep) struct reader *reader = reader_new(paths, on_value, seen);
	int rc = 0;

	for (size_t at = 0, n = 0; at < text.n && rc == 0; at += n) {
		CLEANUP(mem_free) char *chunk = NULL;

		n = step == text.n ? step : 1 + at % step;
		n = n < text.n - at ? n : text.n - at;
		chunk = mem_new(n, 1);
		memcpy(chunk, text.p + at, n);
		rc = reader_feed(reader, str_range(chunk, n), err);
	}
	return rc ? rc : reader_finish(reader, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_range((const char *)data + 1, size ? size - 1 : 0);
	struct seen whole = {.log = BUF_INIT(1024 * 1024)};
	struct seen pieces = {.log = BUF_INIT(1024 * 1024)};
	struct err err = {0};
	struct err err_of_pieces = {0};
	int rc = 0;

	if (size < 2)
		return 0;
	rc = read_in_chunks(&whole, text, text.n, &err);
	assert(read_in_chunks(&pieces, text, 1 + data[0] % 40, &err_of_pieces) == rc);
	assert(strcmp(err.msg, err_of_pieces.msg) == 0);
	assert(str_eq(buf_str(&whole.log), buf_str(&pieces.log)));
	assert(rc == 0 ? whole.open == 0 : rc == ERR_INVALID && *err.msg);
	buf_release(&whole.log);
	buf_release(&pieces.log);
	return 0;
}
