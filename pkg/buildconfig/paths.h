/*
 * Annotation buildhook.io/paths: the files of which one must have changed for a build. A list of
 * globs, in which the last one that matches a file decides about it; "!glob" leaves files out (a
 * list that begins so starts with all files), "contextDir" is everything below
 * spec.source.contextDir, and a plain name also matches everything below it. Pure.
 */
#pragma once

#include "base/str.h"

enum paths_answer {
	PATHS_CHANGED,
	PATHS_UNCHANGED,
	PATHS_TOO_MANY, /* files or globs to compare in the time allowed for a push */
};

/* FILES: each followed by a NUL; none are PATHS_UNCHANGED. */
enum paths_answer paths_compare(struct str list, struct str context_dir, struct str files);
