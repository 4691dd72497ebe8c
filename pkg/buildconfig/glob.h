/*
 * Lists of globs, as users write them into annotations. glob_matches() itself is declared in
 * verdict.h.
 */
#pragma once

#include "base/str.h"

/* As glob_matches(); what each step costs is taken off *BUDGET. When that is 0, the answer means
 * nothing. */
bool glob_matches_within(struct str pattern, struct str text, size_t *budget);
/* Takes the next glob, trimmed and not empty, from a list with commas or line breaks between; "\,"
 * is a comma within one. */
bool glob_next(struct str *list, struct str *glob);
/* "!docs" gives "docs" and true. */
bool glob_is_exclusion(struct str *glob);
/* It has no character that means something. */
bool glob_is_literal(struct str glob);
