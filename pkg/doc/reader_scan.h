/*
 * The reader's two inner loops: where a run of plain text in a string ends, and where a run of
 * white space ends. They take most of the time that a large payload costs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* A quote, a backslash, a control character or a byte above ASCII: what a string's text must stop
 * at. */
static inline bool reader_is_special(char c)
{
	return c == '"' || c == '\\' || (signed char)c < 0x20;
}

static inline const char *reader_find_special(const char *p, const char *end)
{
#ifdef __SSE2__
	const __m128i quote = _mm_set1_epi8('"');
	const __m128i backslash = _mm_set1_epi8('\\');
	const __m128i space = _mm_set1_epi8(' ');

	for (; end - p >= 16; p += 16) {
		__m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
		/* The bytes are compared as signed numbers, so that those above ASCII are below the
		 * space, too. */
		__m128i special = _mm_or_si128(_mm_cmplt_epi8(bytes, space),
					       _mm_or_si128(_mm_cmpeq_epi8(bytes, quote),
							    _mm_cmpeq_epi8(bytes, backslash)));
		unsigned mask = (unsigned)_mm_movemask_epi8(special);

		if (mask)
			return p + __builtin_ctz(mask);
	}
#endif
	while (p < end && !reader_is_special(*p))
		p++;
	return p;
}

static inline bool reader_is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static inline const char *reader_skip_space(const char *p, const char *end)
{
	if (p < end && !reader_is_space(*p))
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
