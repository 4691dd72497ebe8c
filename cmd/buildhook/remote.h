/* The refs of a Git repository, as `git ls-remote` lists them: one request over HTTP. */
#pragma once

#include "base/err.h"

#include "base/str.h"

struct loop;

#define REMOTE_COMMIT_CHARS 64

/*
 * The commit that REF ("refs/heads/main", "HEAD") is at into COMMIT (REMOTE_COMMIT_CHARS + 1
 * bytes); of an annotated tag the commit. ERR_NOTFOUND: it has no such ref. ERR_UNAVAILABLE: the
 * repository is private or unreachable, or its address is of another protocol.
 */
int remote_find(char *commit, struct loop *loop, const char *uri, const char *ref, struct err *err);
