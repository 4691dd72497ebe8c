/*
 * Removes a member from JSON text without printing the text again: a parsed object is never printed
 * back, because numbers over 2^53 would change.
 */
#pragma once

#include "base/buf.h"

/*
 * Appends TEXT, an object, to OUT, without member KEY of its member PARENT. TEXT must be valid JSON
 * (it was parsed before). It is appended as it is where there is no such member.
 */
void json_put_without(struct buf *out, struct str text, const char *parent, const char *key);
