/*
 * Allocation that cannot fail, and ownership that releases itself. Running out of memory aborts: every untrusted
 * buffer has a bound, and a restart replays what was acknowledged.
 */
#pragma once

#include <stddef.h>

/* The variable is released by FN(&variable) at the end of its scope. Every owned local is declared with it. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Hands the pointer over and leaves NULL behind, so that a CLEANUP has nothing to do. */
#define TAKE(p)                       \
	({                            \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;           \
		taken_;               \
	})

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Zeroed memory for COUNT items of SIZE bytes; an overflow of the product aborts. */
void *mem_new(size_t count, size_t size);
/* As realloc(3); the bytes added are not zeroed. */
void *mem_resize(void *p, size_t count, size_t size);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);

/* The struct around a member, from the member's address. */
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

/* For CLEANUP: frees the pointer that P points at. */
void mem_free(void *p);

/* As mem_free(), after overwriting N bytes or the string: for secrets. */
void mem_wipe(void *p, size_t n);
