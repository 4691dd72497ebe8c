/*
 * The reader's numbers and literals (true, false, null), which may begin in one chunk and end in
 * another. Numbers are checked byte by byte against RFC 8259, section 6.
 */
#include "doc/reader_state.h"

#include "doc/reader_scan.h"

#include <assert.h>
#include <string.h>

static const char *const literals[] = {
	[READER_NULL] = "null",
	[READER_FALSE] = "false",
	[READER_TRUE] = "true",
};

static const char *read_literal(struct reader *r, const char *p, const char *end)
{
	const struct reader_field *field = reader_find_field(r->value);
	const char *text = literals[r->literal];

	for (; p < end && text[r->literal_n]; p++, r->literal_n++) {
		if (*p != text[r->literal_n])
			return reader_unexpected(r, p);
	}
	if (text[r->literal_n])
		return p;
	if (field)
		reader_emit(r, field, r->literal, (struct str){0});
	reader_end_value(r);
	return p;
}

/* The state after one more character, or -1 where C is no part of the number. RFC 8259, section 6.
 */
static int next_number_state(enum reader_number_state state, char c)
{
	bool has_e = c == 'e' || c == 'E';

	switch (state) {
	case AFTER_MINUS:
		return c == '0' ? AFTER_ZERO : reader_is_digit(c) ? IN_INTEGER : -1;
	case IN_INTEGER:
		return reader_is_digit(c) ? IN_INTEGER
		       : c == '.'         ? AFTER_POINT
		       : has_e            ? AFTER_E
					  : -1;
	case AFTER_ZERO:
		return c == '.' ? AFTER_POINT : has_e ? AFTER_E : -1;
	case AFTER_POINT:
		return reader_is_digit(c) ? IN_FRACTION : -1;
	case IN_FRACTION:
		return reader_is_digit(c) ? IN_FRACTION : has_e ? AFTER_E : -1;
	case AFTER_E:
		return c == '+' || c == '-' ? AFTER_E_SIGN : reader_is_digit(c) ? IN_EXPONENT : -1;
	case AFTER_E_SIGN:
	case IN_EXPONENT:
		return reader_is_digit(c) ? IN_EXPONENT : -1;
	}
	return -1;
}

bool reader_end_number(struct reader *r, const char *p)
{
	bool is_complete = r->number == IN_INTEGER || r->number == AFTER_ZERO ||
			   r->number == IN_FRACTION || r->number == IN_EXPONENT;

	if (!is_complete)
		return false;
	if (r->is_kept)
		reader_emit(r, r->value->field, READER_NUMBER, reader_end_text(r, p));
	reader_end_value(r);
	return true;
}

static const char *read_number(struct reader *r, const char *p, const char *end)
{
	for (; p < end; p++) {
		int next = next_number_state(r->number, *p);

		if (next < 0)
			return reader_end_number(r, p) ? p : reader_unexpected(r, p);
		r->number = (enum reader_number_state)next;
	}
	return p;
}

static const char *begin_literal(struct reader *r, const char *p, const char *end,
				 enum reader_type literal)
{
	size_t n = strlen(literals[literal]);

	if ((size_t)(end - p) >= n && memcmp(p, literals[literal], n) == 0) {
		if (reader_find_field(r->value))
			reader_emit(r, r->value->field, literal, (struct str){0});
		reader_end_value(r);
		return p + n;
	}
	r->state = IN_LITERAL;
	r->literal = literal;
	r->literal_n = 0;
	return read_literal(r, p, end);
}

static const char *begin_number(struct reader *r, const char *p, const char *end)
{
	const struct reader_field *field = reader_find_field(r->value);
	const char *integer_end = reader_find_integer_end(p, end);

	if (integer_end) {
		if (field)
			reader_emit(r, field, READER_NUMBER,
				    str_range(p, (size_t)(integer_end - p)));
		reader_end_value(r);
		return integer_end;
	}
	reader_begin_value_text(r, p, field);
	r->state = IN_NUMBER;
	r->number = *p == '-' ? AFTER_MINUS : *p == '0' ? AFTER_ZERO : IN_INTEGER;
	return read_number(r, p + 1, end);
}

const char *reader_begin_scalar(struct reader *r, const char *p, const char *end)
{
	switch (*p) {
	case 't':
		return begin_literal(r, p, end, READER_TRUE);
	case 'f':
		return begin_literal(r, p, end, READER_FALSE);
	case 'n':
		return begin_literal(r, p, end, READER_NULL);
	default:
		return reader_is_digit(*p) || *p == '-' ? begin_number(r, p, end)
							: reader_unexpected(r, p);
	}
}

const char *reader_read_scalar(struct reader *r, const char *p, const char *end)
{
	assert(r->state == IN_LITERAL || r->state == IN_NUMBER);
	return r->state == IN_LITERAL ? read_literal(r, p, end) : read_number(r, p, end);
}
