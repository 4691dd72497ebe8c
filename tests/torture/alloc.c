#include "alloc.h"

#include <errno.h>
#include <stdlib.h>

/* glibc's allocator, under the names by which a program that replaces malloc can call it. */
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *p, size_t n);

static struct {
	bool is_armed, is_lasting;
	size_t k, n;
} state;

void alloc_arm(size_t k, bool is_lasting)
{
	state.k = k;
	state.is_lasting = is_lasting;
	state.n = 0;
	state.is_armed = true;
}

size_t alloc_disarm(void)
{
	state.is_armed = false;
	return state.n;
}

bool alloc_pause(void)
{
	bool was_armed = state.is_armed;

	state.is_armed = false;
	return was_armed;
}

void alloc_resume(bool was_armed)
{
	state.is_armed = was_armed;
}

static bool fails(void)
{
	if (!state.is_armed)
		return false;
	state.n++;
	if (state.k == 0 || state.n < state.k || (state.n > state.k && !state.is_lasting))
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t n)
{
	return fails() ? NULL : __libc_malloc(n);
}

void *calloc(size_t count, size_t size)
{
	return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *p, size_t n)
{
	return fails() ? NULL : __libc_realloc(p, n);
}
