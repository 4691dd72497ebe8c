/*
 * uthash on mem.h's allocation, so that running out of memory aborts. The tables are intrusive: an
 * item has a UT_hash_handle and a key of its own, and belongs to whoever made it.
 */
#pragma once

#include "base/mem.h"

#include <stdlib.h>

#define uthash_malloc(n)   mem_new(1, (n))
#define uthash_free(p, n)  mem_free(&(p))
#define uthash_fatal(text) abort()

#include <uthash.h>
