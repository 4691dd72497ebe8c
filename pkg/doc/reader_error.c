/* The reader's errors: where it stopped, what it found, and what it expected there. */
#include "doc/reader_state.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const expectations[] = {
	[AT_VALUE] = "a value",
	[AT_FIRST_ELEMENT] = "a value or ']'",
	[AT_KEY] = "a key in quotes",
	[AT_FIRST_KEY] = "a key in quotes or '}'",
	[AT_COLON] = "':' after a key",
	[AFTER_VALUE] = "',' or ']' after a value",
	[AFTER_DOCUMENT] = "nothing after the document",
	[IN_STRING] = "the rest of a string",
	[IN_CHARACTER] = "the rest of a UTF-8 character",
	[IN_ESCAPE] = "one of \"\\/bfnrtu after a backslash",
	[IN_HEX] = "four hex digits after \\u",
	[AT_LOW_SURROGATE] = "the other half of a surrogate pair",
	[AT_LOW_SURROGATE_U] = "the other half of a surrogate pair",
	[IN_LITERAL] = "the rest of true, false or null",
	[IN_NUMBER] = "a digit",
};

const char *reader_expectation(const struct reader *r)
{
	if (r->state == AFTER_VALUE && r->is_object[r->depth])
		return "',' or '}' after a value";
	return expectations[r->state];
}

const char *reader_fail(struct reader *r, const char *p, const char *fmt, ...)
{
	char text[160];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	(void)err_set(&r->err, ERR_INVALID, "byte %llu: %s",
		      (unsigned long long)r->n_before + (unsigned long long)(p - r->chunk) + 1,
		      text);
	return NULL;
}

const char *reader_unexpected(struct reader *r, const char *p)
{
	unsigned char c = (unsigned char)*p;

	if (c > ' ' && c < 0x7f)
		return reader_fail(r, p, "expected %s, found '%c'", reader_expectation(r), c);
	return reader_fail(r, p, "expected %s, found byte 0x%02x", reader_expectation(r), c);
}
