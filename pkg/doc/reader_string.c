/*
 * The parts of the reader's strings that are not plain text: escapes, surrogate pairs, UTF-8
 * characters of several bytes (checked), control characters (refused). Each may be cut by the end
 * of a chunk.
 */
#include "doc/reader_state.h"

#include <assert.h>

static void keep_character(struct reader *r, unsigned c)
{
	char bytes[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		bytes[i] = (char)(0x80 | (c & 0x3f));
	bytes[0] = (char)(lead[n] | c);
	reader_keep(r, bytes, n);
}

/* The escape has ended before P: plain text continues. */
static const char *end_escape(struct reader *r, const char *p, unsigned c)
{
	if (r->is_kept)
		keep_character(r, c);
	r->high_surrogate = 0;
	r->begin = p;
	r->state = IN_STRING;
	return p;
}

static const char *end_hex(struct reader *r, const char *p)
{
	unsigned unit = r->unit;
	bool is_low = unit >= 0xdc00 && unit <= 0xdfff;

	if (is_low != (r->high_surrogate != 0))
		return reader_fail(r, p - 1, "half of a surrogate pair in a string");
	if (is_low)
		return end_escape(r, p,
				  0x10000 + ((r->high_surrogate - 0xd800) << 10) + (unit - 0xdc00));
	if (unit == 0 && r->is_kept)
		return reader_fail(r, p - 1, "U+0000 in %s",
				   r->is_key ? "a key" : r->value->field->path);
	if (unit < 0xd800 || unit > 0xdfff)
		return end_escape(r, p, unit);
	r->high_surrogate = unit;
	r->state = AT_LOW_SURROGATE;
	return p;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

static const char *read_hex(struct reader *r, const char *p, const char *end)
{
	while (p < end && r->hex_n < 4) {
		int value = hex_value(*p);

		if (value < 0)
			return reader_unexpected(r, p);
		r->unit = r->unit << 4 | (unsigned)value;
		r->hex_n++;
		p++;
	}
	return r->hex_n == 4 ? end_hex(r, p) : p;
}

static const char *begin_hex(struct reader *r, const char *p)
{
	r->state = IN_HEX;
	r->hex_n = 0;
	r->unit = 0;
	return p + 1;
}

static const char *read_escape(struct reader *r, const char *p)
{
	char c = reader_unescape(*p);

	if (c)
		return end_escape(r, p + 1, (unsigned char)c);
	return *p == 'u' ? begin_hex(r, p) : reader_unexpected(r, p);
}

/* RFC 3629, section 4: the ranges of the bytes after the first, which rule out overlong forms,
 * surrogates and what is too large. */
static const char *begin_character(struct reader *r, const char *p)
{
	unsigned char c = (unsigned char)*p;

	if (c < 0xc2 || c > 0xf4)
		return reader_fail(r, p, "no UTF-8 character begins with byte 0x%02x", c);
	r->more = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	r->low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	r->high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	r->state = IN_CHARACTER;
	return p + 1;
}

static const char *read_character(struct reader *r, const char *p, const char *end)
{
	while (p < end && r->more > 0) {
		unsigned char c = (unsigned char)*p;

		if (c < r->low || c > r->high)
			return reader_unexpected(r, p);
		r->low = 0x80;
		r->high = 0xbf;
		r->more--;
		p++;
	}
	if (r->more == 0)
		r->state = IN_STRING;
	return p;
}

static const char *begin_escape(struct reader *r, const char *p, const char *end)
{
	reader_keep_run(r, p);
	r->begin = NULL;
	r->state = IN_ESCAPE;
	return p + 1 < end ? read_escape(r, p + 1) : p + 1;
}

const char *reader_read_special(struct reader *r, const char *p, const char *end)
{
	unsigned char c = (unsigned char)*p;

	if (c == '\\')
		return begin_escape(r, p, end);
	if (c < 0x20)
		return reader_fail(r, p, "byte 0x%02x in a string, where only its escape may stand",
				   c);
	while (p && p < end && (unsigned char)*p >= 0x80 && r->state == IN_STRING) {
		p = begin_character(r, p);
		p = p ? read_character(r, p, end) : NULL;
	}
	return p;
}

const char *reader_read_within_string(struct reader *r, const char *p, const char *end)
{
	switch (r->state) {
	case IN_CHARACTER:
		return read_character(r, p, end);
	case IN_ESCAPE:
		return read_escape(r, p);
	case IN_HEX:
		return read_hex(r, p, end);
	case AT_LOW_SURROGATE:
		r->state = AT_LOW_SURROGATE_U;
		return *p == '\\' ? p + 1 : reader_unexpected(r, p);
	case AT_LOW_SURROGATE_U:
		return *p == 'u' ? begin_hex(r, p) : reader_unexpected(r, p);
	default:
		assert(!"a state within a string");
		return NULL;
	}
}
