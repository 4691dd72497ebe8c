/*
 * The reader's inner loops, which take most of the time that a large payload costs: where a run of
 * plain text, of white space or of digits ends.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/*
 * Where a string's text must stop: at a quote, a backslash, a control character or a byte above
 * ASCII. These special bytes are found for 64 bytes at once: then the next one is a shift away, and
 * its search does not wait for memory.
 */
struct reader_scan {
	const char *block;
	uint64_t bits; /* its special bytes, and all that are not in the chunk */
};

/* The first block from P on that has a special byte; the last one has END. */
struct reader_scan reader_scan_at(const char *p, const char *end);

/* The first special byte from P on, or END. P may lie before the block of SCAN. */
static inline const char *reader_find_special(struct reader_scan *scan, const char *p,
					      const char *end)
{
	size_t at = (size_t)(p - scan->block);
	uint64_t rest = at < 64 ? scan->bits >> at : 0;

	if (rest)
		return p + __builtin_ctzll(rest);
	*scan = reader_scan_at(at < 64 ? scan->block + 64 : p, end);
	return scan->block + __builtin_ctzll(scan->bits);
}

static inline bool reader_is_space(char c)
{
	return (unsigned char)c <= ' ' && (c == ' ' || c == '\n' || c == '\t' || c == '\r');
}

static inline const char *reader_skip_space(const char *p, const char *end)
{
	if (p == end || !reader_is_space(*p))
		return p;
#ifdef __SSE2__
	for (const __m128i space = _mm_set1_epi8(' '); end - p > 16; p += 16) {
		/* A run of white space is mostly one line end and the indentation after it. */
		__m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(p + 1));
		unsigned mask = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, space));

		if (mask != 0xffff) {
			p += 1 + __builtin_ctz(~mask);
			break;
		}
	}
#endif
	while (p < end && reader_is_space(*p))
		p++;
	return p;
}

static inline bool reader_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The end of an integer that lies in one chunk, as most numbers do; else NULL. */
static inline const char *reader_find_integer_end(const char *p, const char *end)
{
	const char *digits = p + (*p == '-');

	for (p = digits; p < end && reader_is_digit(*p); p++)
		;
	if (p == digits || p == end || (*digits == '0' && p > digits + 1))
		return NULL;
	return *p == '.' || *p == 'e' || *p == 'E' ? NULL : p;
}

/* The character that the letter after a backslash stands for, or 0. */
static inline char reader_unescape(char letter)
{
	switch (letter) {
	case 'b':
		return '\b';
	case 'f':
		return '\f';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	case '"':
	case '\\':
	case '/':
		return letter;
	default:
		return 0;
	}
}
