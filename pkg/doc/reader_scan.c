/* The search for special bytes, 16 or 32 at a time where the processor can. */
#include "doc/reader_scan.h"

#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#include <sys/platform/x86.h>

/*
 * With bit 1 turned, the quote is the only special byte above the control characters but for the
 * backslash. As signed numbers, bytes above ASCII are below them.
 */
static inline uint64_t special_16(const char *p)
{
	const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
	const __m128i turned = _mm_xor_si128(bytes, _mm_set1_epi8('"' ^ ' '));
	const __m128i special = _mm_or_si128(_mm_cmplt_epi8(turned, _mm_set1_epi8(' ' + 1)),
					     _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));

	return (unsigned)_mm_movemask_epi8(special);
}

/* A bit for each of the 64 bytes at P that is special. */
static inline uint64_t special_64(const char *p)
{
	return special_16(p) | special_16(p + 16) << 16 | special_16(p + 32) << 32 |
	       special_16(p + 48) << 48;
}

static bool has_avx2;

__attribute__((constructor)) static void look_at_cpu(void)
{
	has_avx2 = CPU_FEATURE_ACTIVE(AVX2);
}

__attribute__((target("avx2"))) static inline uint64_t special_32(const char *p)
{
	const __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)p);
	const __m256i turned = _mm256_xor_si256(bytes, _mm256_set1_epi8('"' ^ ' '));
	const __m256i special =
		_mm256_or_si256(_mm256_cmpgt_epi8(_mm256_set1_epi8(' ' + 1), turned),
				_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('\\')));

	return (unsigned)_mm256_movemask_epi8(special);
}

__attribute__((target("avx2"))) static struct reader_scan scan_avx2(const char *p, const char *end)
{
	for (; end - p >= 64; p += 64) {
		uint64_t bits = special_32(p) | special_32(p + 32) << 32;

		if (bits)
			return (struct reader_scan){p, bits};
	}
	return (struct reader_scan){p, 0};
}
#else
static bool is_special(char c)
{
	return c == '"' || c == '\\' || (signed char)c < ' ';
}

static inline uint64_t special_64(const char *p)
{
	uint64_t bits = 0;

	for (int i = 0; i < 64; i++)
		bits |= (uint64_t)is_special(p[i]) << i;
	return bits;
}
#endif

static struct reader_scan scan_plain(const char *p, const char *end)
{
	for (; end - p >= 64; p += 64) {
		uint64_t bits = special_64(p);

		if (bits)
			return (struct reader_scan){p, bits};
	}
	return (struct reader_scan){p, 0};
}

static uint64_t special_last(const char *p, const char *end)
{
	char last[64];

	memset(last, '"', sizeof(last));
	memcpy(last, p, (size_t)(end - p));
	return special_64(last);
}

struct reader_scan reader_scan_at(const char *p, const char *end)
{
	struct reader_scan scan;

#ifdef __x86_64__
	if (has_avx2)
		scan = scan_avx2(p, end);
	else
#endif
		scan = scan_plain(p, end);
	if (!scan.bits)
		scan.bits = special_last(scan.block, end);
	return scan;
}
