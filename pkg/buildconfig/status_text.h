/*
 * The words of the status annotations, one function for each value. For status.c and hint.c.
 */
#pragma once

#include "buildconfig/status.h"

/* How hints about the object itself begin, as opposed to those that deliveries give rise to. */
#define STATUS_FIX "fix: "

/* STATUS_NO_STATE, with nothing written, where a Secret that may be the good one has not been asked
 * for. */
enum status_state status_put_state(struct buf *out, const struct buildconfig *bc,
				   const struct status_input *input, size_t type);
void status_put_url(struct buf *out, const struct buildconfig *bc, const char *public_url,
		    size_t type);
/* VALUE says that builds wait, of a hook that is ready. */
bool status_says_waiting(const char *value);
/* VALUE names a Secret as what keeps the hook from being ready. */
bool status_says_secret(const char *value);
/* Names, separated by commas; never a value. */
void status_put_secrets(struct buf *out, const struct buildconfig_hook *hook);
/* The line about refused requests, without its time. */
void status_put_refused(struct buf *out, const struct hook_activity *hook);
/* Which secret does not work although another does; false, with nothing written, if none. */
bool status_put_hook_fix(struct buf *out, const struct buildconfig_hook *hook,
			 const struct status_hook *seen, bool provision);
/* NAME, clean, cut and in quotes. */
void status_put_name(struct buf *out, struct str name);
/* LINE ends in the name of a Build of BC: that delivery started it. */
bool status_is_build_line(const struct buildconfig *bc, const char *line);
