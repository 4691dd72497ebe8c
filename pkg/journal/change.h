/* The texts of a change as a list, and copies of rows that are needed longer than they are lent. */
#pragma once

#include "journal/journal.h"

#define JOURNAL_CHANGE_TEXTS 21

/* The members of struct journal_change that are texts, as offsets, in the order in which the table
 * has them. */
extern const size_t journal_change_texts[JOURNAL_CHANGE_TEXTS];
/* Text member I; NULL where the caller left it out. */
const char *journal_change_text(const struct journal_change *change, size_t i);

/* One block: free() it. Texts that are NULL become "". */
struct journal_change *journal_change_copy(const struct journal_change *change);
/* For CLEANUP. */
void journal_change_freep(struct journal_change **change);
