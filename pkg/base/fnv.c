#include "base/fnv.h"

#include <string.h>

uint32_t fnv_32(const char *text)
{
	uint32_t sum = 0x811c9dc5;

	for (; *text; text++)
		sum = (sum ^ (unsigned char)*text) * 0x01000193;
	return sum;
}

uint64_t fnv_64(uint64_t sum, const void *p, size_t n)
{
	const unsigned char *bytes = p;

	for (size_t i = 0; i < n; i++)
		sum = (sum ^ bytes[i]) *
		      0x100000001b3; /* NOLINT(clang-analyzer-core.*): N are there */
	return sum;
}

uint64_t fnv_64_text(uint64_t sum, const char *text)
{
	return fnv_64(sum, text ? text : "", text ? strlen(text) + 1 : 1);
}
