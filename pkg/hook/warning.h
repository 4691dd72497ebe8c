/* The parts of a payload that are left out and the reasons, in one bounded line for people. */
#pragma once

#include "base/buf.h"

#define HOOK_MAX_WARNING_BYTES 512

struct hook_warning {
	struct buf text;
	size_t n_more; /* entries for which there was no room */
};

void hook_warning_release(struct hook_warning *warning);
/* WHAT may be from outside; WHY continues it. */
void hook_warning_add(struct hook_warning *warning, struct str what, const char *why);
/* The line, owned by the caller; NULL when there is nothing to warn of. */
char *hook_warning_take(struct hook_warning *warning);
