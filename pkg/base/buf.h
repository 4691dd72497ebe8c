/*
 * A growing byte buffer with a maximum. Every buffer states its limit when it is made; what does
 * not fit sets `overflow`, keeps what was there before, and ignores all later appends, so that a
 * chain of appends is checked once. data is NUL-terminated whenever it is not NULL (the NUL is not
 * part of len).
 */
#pragma once

#include "base/str.h"

struct buf {
	char *data;
	size_t len;
	size_t cap;
	size_t limit; /* of len */
	bool overflow;
};

#define BUF_INIT(limit_bytes)                                                                      \
	{                                                                                          \
		.limit = (limit_bytes)                                                             \
	}

/* Leaves an empty buffer with the same limit, which may be used again. */
void buf_release(struct buf *b);
/* For buffers that hold a secret: overwrites the bytes, then releases. */
void buf_wipe(struct buf *b);
/* Empties without giving the memory back. Ends an overflow, too. */
void buf_clear(struct buf *b);
/* Room for N more bytes, or for as many as the limit leaves, so that they are put without growing
 * the buffer step by step. */
void buf_reserve(struct buf *b, size_t n);
/* The part of buf_put() that makes room. */
void buf_put_growing(struct buf *b, const void *p, size_t n);

/* Here for the compiler's sake: an answer and its log record are some 150 appends, nearly all of
 * which find room. */
static inline void buf_put(struct buf *b, const void *p, size_t n)
{
	bool has_room = b->data && b->len + n < b->cap && n <= b->limit - b->len && !b->overflow;

	if (!has_room || n == 0) {
		buf_put_growing(b, p, n);
		return;
	}
	memcpy(b->data + b->len, p, n);
	b->len += n;
	b->data[b->len] = '\0';
}

static inline void buf_put_str(struct buf *b, struct str s)
{
	buf_put(b, s.p, s.n);
}

static inline void buf_put_char(struct buf *b, char c)
{
	buf_put(b, &c, 1);
}

void buf_put_number(struct buf *b, uint64_t n);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct str buf_str(const struct buf *b);
/* NUL-terminated, never NULL; valid until the buffer changes. */
const char *buf_text(const struct buf *b);
/* Gives the NUL-terminated text to the caller (never NULL) and leaves the buffer empty. */
char *buf_take(struct buf *b);

/*
 * Text from outside, made fit for one line that people read: control characters (C0, DEL, C1),
 * bidirectional controls, line and paragraph separators and bytes that are not UTF-8 become U+FFFD
 * each. At most MAX_BYTES are put (and so taken), cut at a character boundary.
 */
void buf_put_clean(struct buf *b, struct str s, size_t max_bytes);
/* As a JSON string with its quotes; S must be valid UTF-8. */
void buf_put_json(struct buf *b, struct str s);
