#include "base/mem.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void mem_require(bool worked)
{
	if (!worked)
		abort();
}

void *mem_new(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);

	mem_require(p);
	return p;
}

void *mem_resize(void *p, size_t count, size_t size)
{
	void *resized = reallocarray(p, count ? count : 1, size ? size : 1);

	mem_require(resized);
	return resized;
}

char *mem_strndup(const char *s, size_t n)
{
	char *copy = NULL;

	if (!s)
		return NULL;
	copy = strndup(s, n);
	mem_require(copy);
	return copy;
}

char *mem_strdup(const char *s)
{
	return s ? mem_strndup(s, strlen(s)) : NULL;
}

void mem_wipe(void *p, size_t n)
{
	void **owner = p;

	if (*owner)
		explicit_bzero(*owner, n);
	free(*owner);
	*owner = NULL;
}

void mem_wipe_str(void *p)
{
	char **owner = p;

	mem_wipe(p, *owner ? strlen(*owner) : 0);
}

void mem_free(void *p)
{
	void **owner = p;

	free(*owner);
	*owner = NULL;
}

void mem_trim(void)
{
	(void)malloc_trim(0);
}
