/* Copies of a journal's row, for those who need it longer than it is lent. */
#pragma once

#include "journal/journal.h"

/* One block: free() it. Texts that are NULL become "". */
struct journal_change *journal_change_copy(const struct journal_change *change);
/* For CLEANUP. */
void journal_change_freep(struct journal_change **change);
