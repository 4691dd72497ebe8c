/* Asks the person at the terminal. Reads /dev/tty, so that it works while stdin is a pipe. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/*
 * One line without echo, into OUT, which is to be wiped. ERR_UNAVAILABLE where there is no
 * terminal. The text is shown before: "Token for github.com: ".
 */
int prompt_secret(struct buf *out, const char *text, struct err *err);
/* True for y or yes. False without a terminal. */
bool prompt_confirm(const char *text);
