/*
 * The growing buffer, and the text formats that are appended to it: printf, cleaned text, JSON
 * strings.
 */
#include "base/buf.h"

#include "base/mem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_CAP 256

void buf_release(struct buf *b)
{
	size_t limit = b->limit;

	free(b->data);
	*b = (struct buf){.limit = limit};
}

void buf_wipe(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	buf_release(b);
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->overflow = false;
	if (b->data)
		b->data[0] = '\0';
}

/* Room for N more bytes and a NUL. False, with overflow set, where the limit forbids it. */
static bool reserve(struct buf *b, size_t n)
{
	size_t cap = b->cap ? b->cap : FIRST_CAP;

	if (b->overflow || n > b->limit - b->len) {
		b->overflow = true;
		return false;
	}
	if (b->data && b->len + n < b->cap)
		return true;
	while (cap <= b->len + n)
		cap = cap > b->limit / 2 ? b->limit + 1 : cap * 2;
	b->data = mem_resize(b->data, cap, 1);
	b->cap = cap;
	return true;
}

void buf_reserve(struct buf *b, size_t n)
{
	size_t most = b->limit - b->len;
	size_t cap = b->len + (n < most ? n : most) + 1;

	if (cap <= b->cap)
		return;
	b->data = mem_resize(b->data, cap, 1);
	b->data[b->len] = '\0';
	b->cap = cap;
}

void buf_put_growing(struct buf *b, const void *p, size_t n)
{
	if (!reserve(b, n))
		return;
	if (n)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void buf_put_number(struct buf *b, uint64_t n)
{
	char digits[20];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	buf_put(b, digits + i, sizeof(digits) - i);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list args, again;
	size_t room = b->cap > b->len ? b->cap - b->len : 0;
	int n = 0;

	va_start(args, fmt);
	va_copy(again, args);
	/* Most texts fit into the memory that the buffer already has. */
	n = vsnprintf(room ? b->data + b->len : NULL, room, fmt, args);
	assert(n >= 0);
	if (!reserve(b, (size_t)n)) {
		if (room)
			b->data[b->len] = '\0';
	} else {
		if ((size_t)n >= room)
			(void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
	va_end(args);
}

struct str buf_str(const struct buf *b)
{
	return str_range(b->data, b->len);
}

const char *buf_text(const struct buf *b)
{
	return b->len ? b->data : "";
}

char *buf_take(struct buf *b)
{
	char *text = b->data ? TAKE(b->data) : mem_new(1, 1);

	buf_release(b);
	return text;
}

/*
 * Characters that end a line, move the cursor or turn the reading direction: C0, DEL and C1; ALM,
 * LRM and RLM; line and paragraph separator; embeddings and overrides; isolates.
 */
static bool is_unfit(uint32_t c)
{
	return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x061C || c == 0x200E || c == 0x200F ||
	       (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

/* Puts the character that S begins with. Returns how many bytes of S that was, or 0: no room. */
static size_t put_clean_character(struct buf *b, struct str s, size_t max_bytes)
{
	static const struct str replacement = {"\xEF\xBF\xBD", 3};
	uint32_t c = 0;
	size_t n = str_decode_utf8(s, &c);
	struct str piece = n && !is_unfit(c) ? str_range(s.p, n) : replacement;

	if (piece.n > max_bytes)
		return 0;
	buf_put_str(b, piece);
	return n ? n : 1;
}

void buf_put_clean(struct buf *b, struct str s, size_t max_bytes)
{
	while (s.n && max_bytes && !b->overflow) {
		size_t before = b->len;
		size_t n = str_count_printable(str_range(s.p, s.n < max_bytes ? s.n : max_bytes));

		if (n)
			buf_put(b, s.p, n);
		else
			n = put_clean_character(b, s, max_bytes);
		if (n == 0)
			return;
		s = str_range(s.p + n, s.n - n);
		max_bytes -= b->len - before;
	}
}

static void put_json_escape(struct buf *b, char c)
{
	static const char named[] = "\"\\\b\f\n\r\t";
	static const char letters[] = "\"\\bfnrt";
	const char *at = c ? strchr(named, c) : NULL;

	if (at)
		buf_printf(b, "\\%c", letters[at - named]);
	else
		buf_printf(b, "\\u%04x", (unsigned)c);
}

/* The same byte eight times. */
#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

static bool is_any_zero(uint64_t eight)
{
	return (eight - EACH(1)) & ~eight & EACH(0x80);
}

/* How many bytes at the beginning of S stand in a JSON string as they are. */
static size_t count_unescaped(struct str s)
{
	size_t n = 0;

	for (uint64_t eight = 0; n + sizeof(eight) <= s.n; n += sizeof(eight)) {
		memcpy(&eight, s.p + n, sizeof(eight));
		if (is_any_zero(eight ^ EACH('"')) || is_any_zero(eight ^ EACH('\\')) ||
		    ((eight - EACH(' ')) & ~eight & EACH(0x80)))
			break;
	}
	while (n < s.n && (unsigned char)s.p[n] >= ' ' && s.p[n] != '"' && s.p[n] != '\\')
		n++;
	return n;
}

void buf_put_json(struct buf *b, struct str s)
{
	buf_put_char(b, '"');
	while (s.n) {
		size_t n = count_unescaped(s);

		buf_put(b, s.p, n);
		if (n < s.n)
			put_json_escape(b, s.p[n++]);
		s = str_range(s.p + n, s.n - n);
	}
	buf_put_char(b, '"');
}
