/* Out-of-memory tests: makes the Kth allocation of the program and its libraries fail. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Makes allocation K from now fail (counted from 1; 0: none), and with IS_LASTING all after it. */
void alloc_arm(size_t k, bool is_lasting);
/* The number of allocations since alloc_arm(). */
size_t alloc_disarm(void);
/* Brackets code of another process (the API server): its allocations neither fail nor count. */
bool alloc_pause(void);
void alloc_resume(bool was_armed);
