/*
 * FNV-1a: fingerprints, and sums that show accidental changes. Not for security: another text with
 * the same sum is easy to make.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint32_t fnv_32(const char *text);

/* Continues SUM, which begins with FNV_64_INIT, over more bytes. */
#define FNV_64_INIT UINT64_C(0xcbf29ce484222325)
uint64_t fnv_64(uint64_t sum, const void *p, size_t n);
/* Includes the end of TEXT, so that "ab", "c" and "a", "bc" have different sums. NULL is "". */
uint64_t fnv_64_text(uint64_t sum, const char *text);
