/*
 * The state of a reader between two bytes, shared by the files that make it up: reader.c
 * (structure), reader_string.c (what is not plain text in strings), reader_scalar.c (numbers, true,
 * false, null), reader_text.c (the text of a value), reader_error.c.
 */
#pragma once

#include "doc/reader.h"
#include "doc/reader_paths.h"
#include "doc/reader_scan.h"

enum reader_state {
	/* Between two tokens, where white space may stand. */
	AT_VALUE,
	AT_FIRST_ELEMENT, /* a value or ']' */
	AT_KEY,
	AT_FIRST_KEY, /* a key or '}' */
	AT_COLON,
	AFTER_VALUE,
	AFTER_DOCUMENT,
	/* Within a token. */
	IN_STRING,
	IN_CHARACTER, /* of several bytes */
	IN_ESCAPE,
	IN_HEX,
	AT_LOW_SURROGATE,   /* its backslash */
	AT_LOW_SURROGATE_U, /* the letter after that */
	IN_LITERAL,
	IN_NUMBER,
};

enum reader_number_state {
	AFTER_MINUS,
	IN_INTEGER,
	AFTER_ZERO,
	AFTER_POINT,
	IN_FRACTION,
	AFTER_E,
	AFTER_E_SIGN,
	IN_EXPONENT,
};

struct reader {
	reader_fn fn;
	void *arg;
	const struct reader_paths *paths;
	struct err err; /* once set, nothing is read any more */

	uint64_t n_before; /* bytes of the chunks before this one */
	const char *chunk;
	struct reader_scan scan;

	enum reader_state state;
	unsigned depth;
	/* Indexed by depth, from 1 on. */
	bool is_object[READER_MAX_DEPTH + 1];
	const struct reader_node *container[READER_MAX_DEPTH + 1]; /* NULL: nothing wanted within */
	uint64_t seen[READER_MAX_DEPTH + 1]; /* bits of the wanted members that were there */
	/* The place of the value that is read or comes next; NULL: not wanted. */
	const struct reader_node *value;

	/* The string or number being read. */
	bool is_key;
	bool is_kept;      /* its text matters */
	size_t limit;      /* how many bytes of the text are kept at most */
	const char *begin; /* where the kept text begins in this chunk; NULL within an escape */
	char *text; /* a copy of its part in earlier chunks, at most limit + 1 bytes; NULL: none */
	size_t text_n;

	enum reader_number_state number;
	enum reader_type literal;
	unsigned literal_n;      /* letters read */
	unsigned hex_n;          /* digits read of an escape */
	unsigned unit;           /* their value: a UTF-16 code unit */
	unsigned high_surrogate; /* the unit before it, or 0 */
	unsigned char more; /* bytes of a character that are still to come; the next must be from
			       low to high */
	unsigned char low, high;
};

/*
 * Steps. Each reads on at P < END and returns how far it came, at least one byte, or NULL after an
 * error.
 */

/* In IN_STRING, what is not plain text: an escape, a character above ASCII, a control character. */
const char *reader_read_special(struct reader *r, const char *p, const char *end);
/* In the states from IN_CHARACTER to AT_LOW_SURROGATE_U. */
const char *reader_read_within_string(struct reader *r, const char *p, const char *end);
/* In AT_VALUE, what begins with neither a quote nor a bracket. */
const char *reader_begin_scalar(struct reader *r, const char *p, const char *end);
/* In IN_LITERAL and IN_NUMBER. */
const char *reader_read_scalar(struct reader *r, const char *p, const char *end);
/* Where a number ends; false if it lacks a digit there. */
bool reader_end_number(struct reader *r, const char *p);

/* Begins a text at P. */
void reader_begin_text(struct reader *r, const char *p, bool is_kept, size_t limit);
/* Begins the text of a value at P, which is kept if FIELD is not NULL. */
void reader_begin_value_text(struct reader *r, const char *p, const struct reader_field *field);
/* Copies the plain text before P, because an escape begins at P or the chunk ends there. */
void reader_keep_run(struct reader *r, const char *p);
void reader_keep(struct reader *r, const char *p, size_t n);
/* Passes over what is not wanted, from between two tokens of a container on where no value is known
 * to be wanted. Returns where the ordinary steps have to go on, perhaps at P. */
const char *reader_skip_unwanted(struct reader *r, const char *p, const char *end);
/* The text, which ends before P. */
struct str reader_end_text(struct reader *r, const char *p);
/* The field that NODE, which may be NULL, is the place of; else NULL. */
static inline const struct reader_field *reader_find_field(const struct reader_node *node)
{
	return node ? node->field : NULL;
}

/* The place of the elements of CONTAINER, which may be NULL; NULL: they are not wanted, or it is no
 * array. */
static inline const struct reader_node *reader_find_element(const struct reader_node *container)
{
	return container ? container->element : NULL;
}

/* Hands over a value of FIELD. */
void reader_emit(struct reader *r, const struct reader_field *field, enum reader_type type,
		 struct str text);
static inline void reader_end_value(struct reader *r)
{
	r->state = r->depth > 0 ? AFTER_VALUE : AFTER_DOCUMENT;
}

/* Both set the error and return NULL. */
const char *reader_fail(struct reader *r, const char *p, const char *fmt, ...)
	__attribute__((cold, format(printf, 3, 4)));
const char *reader_unexpected(struct reader *r, const char *p) __attribute__((cold));
/* What the reader expects next, in words. */
const char *reader_expectation(const struct reader *r) __attribute__((cold));
