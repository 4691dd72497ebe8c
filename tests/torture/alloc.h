/* Memory that runs out: the Kth allocation of the program and of all its libraries fails. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* From here on, allocation K (from 1; 0: none) fails, and with IS_LASTING all after it. */
void alloc_arm(size_t k, bool is_lasting);
/* How many there were since alloc_arm(). */
size_t alloc_disarm(void);
/* For what belongs to somebody else's process. */
bool alloc_pause(void);
void alloc_resume(bool was_armed);
