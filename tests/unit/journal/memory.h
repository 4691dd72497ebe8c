/* SQLite's memory, which tests can make fail: the Kth allocation, or all from it on. For the start
 * of main(). */
#pragma once

#include <assert.h>
#include <sqlite3.h>
#include <stdbool.h>

static struct memory {
	sqlite3_mem_methods real;
	long fail_at; /* counted from 1; 0: none */
	long n_calls;
	bool is_lasting;
	bool has_failed;
} memory;

static inline void memory_fail(long at, bool is_lasting)
{
	memory.fail_at = at;
	memory.is_lasting = is_lasting;
	memory.n_calls = 0;
	memory.has_failed = memory.has_failed && at == 0;
}

static inline bool memory_fails(void)
{
	bool is_hit;

	if (!memory.fail_at)
		return false;
	memory.n_calls++;
	is_hit = memory.n_calls == memory.fail_at ||
		 (memory.is_lasting && memory.n_calls > memory.fail_at);
	memory.has_failed = memory.has_failed || is_hit;
	return is_hit;
}

static inline void *memory_new(int n)
{
	return memory_fails() ? NULL : memory.real.xMalloc(n);
}

static inline void *memory_resize(void *p, int n)
{
	return memory_fails() ? NULL : memory.real.xRealloc(p, n);
}

/* Without the pool that each connection has, so that every allocation counts. */
static inline void memory_start(void)
{
	sqlite3_mem_methods methods;

	assert(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory.real) == SQLITE_OK);
	methods = memory.real;
	methods.xMalloc = memory_new;
	methods.xRealloc = memory_resize;
	assert(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK);
	assert(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) == SQLITE_OK);
}
