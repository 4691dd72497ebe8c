/* The caller's token for a Git host: used once, kept nowhere, in no argument. */
#pragma once

#include "git_talk.h"

/* From the file at PATH, else from $BUILDHOOK_TOKEN, else asked for on the terminal, into TALK's
 * token field. */
int git_token_read(struct git_talk *talk, const char *path, struct err *err);
