/*
 * Lists of globs, as users write them into annotations. glob_matches() itself is declared in
 * verdict.h.
 */
#pragma once

#include "base/str.h"

/* As glob_matches(); each step reduces *BUDGET. When it is 0, the result is undefined. */
bool glob_matches_within(struct str pattern, struct str text, size_t *budget);
/* Takes the next glob, trimmed and not empty, from a list with commas or line breaks between; "\,"
 * is a comma within one. */
bool glob_next(struct str *list, struct str *glob);
/* "!docs" gives "docs" and true. */
bool glob_is_exclusion(struct str *glob);
/* True without any special character. */
bool glob_is_literal(struct str glob);
