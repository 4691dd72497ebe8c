#define _GNU_SOURCE /* dl_iterate_phdr */
#include "base/mem.h"

#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* glibc keeps freed blocks up to this size at hand for malloc(), but before 2.41 not for calloc(),
 * which takes several times as long. (Release notes of glibc 2.41.) */
#define READY_BYTES 1032

void mem_require(bool worked)
{
	if (!worked)
		abort();
}

void *mem_new(size_t count, size_t size)
{
	size_t n = 0;
	bool is_small = !__builtin_mul_overflow(count, size, &n) && n > 0 && n <= READY_BYTES;
	void *p = is_small ? malloc(n) : calloc(count ? count : 1, size ? size : 1);

	mem_require(p);
	if (is_small)
		memset(p, 0, n);
	return p;
}

void *mem_take_spare(struct mem_spare *spare, size_t size)
{
	void *block = TAKE(spare->block);

	if (!block)
		return mem_new(1, size);
	return memset(block, 0, size);
}

void mem_give_spare(struct mem_spare *spare, void *block)
{
	void *other = TAKE(spare->block);

#ifdef __SANITIZE_ADDRESS__ /* would not see a use after free */
	free(block);
#else
	spare->block = block;
#endif
	free(other);
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

/* Only segments that nobody can write: what relocation or initialisation has written into the
 * others is not in the file. */
static int unmap_segments(struct dl_phdr_info *info, size_t size, void *arg)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)size;
	(void)arg;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uintptr_t begin = info->dlpi_addr + segment->p_vaddr,
			  end = begin + segment->p_memsz;

		if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W))
			continue;
		begin &= ~(page - 1);
		end &= ~(page - 1);
		/* The kernel's own (vdso) refuses it. */
		(void)madvise((void *)begin, end - begin, MADV_DONTNEED);
	}
	return 0;
}

void mem_settle(void)
{
	mem_trim();
	(void)dl_iterate_phdr(unmap_segments, NULL);
}
