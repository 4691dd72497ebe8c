/* Waits until buildhook has done its part after a command has changed a BuildConfig. */
#pragma once

#include "target.h"

#define HOOK_WAIT_MS 30000

/*
 * Until the hook has a usable secret, which goes into SECRET, and its URL is written. TARGET is
 * read again. ERR_UNAVAILABLE after HOOK_WAIT_MS, with what is missing; errors of the API server
 * but 404 at once.
 */
int hook_wait_ready(struct target *target, struct session *session, const char *name,
		    enum hook_type type, struct buf *secret, struct err *err);
