/*
 * A bounded, incremental JSON reader for payloads from outside (RFC 8259, strict). The caller names
 * the fields it wants; the reader checks the whole document as its bytes come, in fixed memory
 * whatever the input, and hands over those fields' values in document order. Not for the API
 * server's answers, which are cJSON documents (doc/json.h).
 *
 * Refused: depth over READER_MAX_DEPTH, invalid UTF-8, lone surrogates, a byte order mark, control
 * characters in strings, anything after the value; among the wanted fields also a repeated key, and
 * U+0000 in a value or in a key beside it. Keys are compared case-sensitively, after their escapes
 * are resolved.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#define READER_MAX_DEPTH  64
#define READER_MAX_FIELDS 64

enum reader_type {
	READER_NULL,
	READER_FALSE,
	READER_TRUE,
	READER_NUMBER,
	READER_STRING,
	READER_OBJECT, /* begins; its wanted members follow, then READER_END */
	READER_ARRAY,  /* as READER_OBJECT */
	READER_END,    /* of the object or array that this field began with */
};

struct reader_value {
	enum reader_type type;
	/* The string without escapes, or the number as written; lent until the callback returns. */
	struct str text;
	/* The text was longer than max_bytes and is cut (a string at a character boundary). */
	bool is_cut;
};

typedef void (*reader_fn)(void *arg, int field, const struct reader_value *value);

struct reader_field {
	/*
	 * "/push/changes/ * /new/name" without the spaces: a star stands for every element of an
	 * array, never for a member. "" is the document itself. No path stands twice.
	 */
	const char *path;
	int field;          /* given to the callback */
	uint32_t max_bytes; /* of the text; what is longer comes cut */
};

struct reader;

/* The wanted fields, prepared for any number of readers. */
struct reader_paths;

/* FIELDS must outlive the paths. At most READER_MAX_FIELDS. */
struct reader_paths *reader_paths_new(const struct reader_field *fields, size_t n_fields);
void reader_paths_free(struct reader_paths *paths);

/* PATHS must outlive the reader. */
struct reader *reader_new(const struct reader_paths *paths, reader_fn fn, void *arg);
void reader_free(struct reader *reader);
/* For CLEANUP. */
void reader_freep(struct reader **reader);

/*
 * Reads on. ERR_INVALID at the first byte that cannot be part of a valid document, with its
 * position (the first byte is byte 1), what was found and what was expected; every later call
 * returns the same.
 */
int reader_feed(struct reader *reader, struct str bytes, struct err *err);
/* No more bytes: ERR_INVALID unless the document is complete. Only reader_free() may follow. */
int reader_finish(struct reader *reader, struct err *err);
/* For error messages: "a string", "an object", "null". */
const char *reader_type_name(enum reader_type type);
