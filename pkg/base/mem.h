/*
 * Allocation that cannot fail, and ownership that releases itself. Running out of memory aborts:
 * every untrusted buffer has a bound, and a restart replays what was acknowledged.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

/* The variable is released by FN(&variable) at the end of its scope. Every owned local has it. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Hands the pointer over and leaves NULL behind, so that a CLEANUP has nothing to do. */
#define TAKE(p)                                                                                    \
	({                                                                                         \
		__typeof__(p) taken_ = (p);                                                        \
		(p) = NULL;                                                                        \
		taken_;                                                                            \
	})

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The struct around a member, from the member's address. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Zeroed memory for COUNT items of SIZE bytes, never NULL; an overflow of the product aborts. */
void *mem_new(size_t count, size_t size);
/* As realloc(3), never NULL; the bytes added are not zeroed. */
void *mem_resize(void *p, size_t count, size_t size);
/* For calls of libraries that fail only without memory or with a broken installation: aborts unless
 * the call WORKED. */
void mem_require(bool worked);
/* NULL gives NULL. */
char *mem_strdup(const char *s);
/* The first N bytes of S, or all of it where it ends earlier. */
char *mem_strndup(const char *s, size_t n);

/*
 * Large structs that are made and freed with each delivery: the one that was freed last is kept,
 * since glibc takes longer to find such a block than to zero it. For one thread.
 */
struct mem_spare {
	void *block;
};
/* As mem_new(1, SIZE), which is the same for each call with SPARE. */
void *mem_take_spare(struct mem_spare *spare, size_t size);
/* Frees BLOCK, unless it is kept. */
void mem_give_spare(struct mem_spare *spare, void *block);

/* Gives free memory back to the system: what was freed between blocks in use stays with the process
 * otherwise. Takes milliseconds. */
void mem_trim(void);
/*
 * Gives back what only the start of the process has needed: as mem_trim(), and also unmaps the
 * pages of the program and its libraries, which come back from the page cache when they are used
 * again.
 */
void mem_settle(void);
/* For CLEANUP: P is the address of a pointer; frees what that points at and leaves NULL in it. */
void mem_free(void *p);
/* As mem_free(), after overwriting the first N bytes there: for secrets. */
void mem_wipe(void *p, size_t n);
/* For CLEANUP: as mem_wipe(), of a whole NUL-terminated string. */
void mem_wipe_str(void *p);
