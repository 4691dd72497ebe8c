/*
 * The words of the status annotations, one function for each value. For status.c.
 */
#pragma once

#include "buildconfig/status.h"

/* How hints about the object itself begin, as opposed to what deliveries told. */
#define STATUS_FIX "fix: "

/* False, with nothing written, where a Secret that may be the good one has not been asked for. */
bool status_put_state(struct buf *out, const struct buildconfig *bc,
		      const struct status_input *input, size_t type);
void status_put_url(struct buf *out, const struct buildconfig *bc, const char *public_url,
		    size_t type);
/* Names, separated by commas; never a value. */
void status_put_secrets(struct buf *out, const struct buildconfig_hook *hook);
/* Without its time. */
void status_put_refused(struct buf *out, const struct status_hook *hook);
/* What is wrong with the object although its hooks may work; false, with nothing written, when
 * nothing is. */
bool status_put_fix(struct buf *out, const struct buildconfig *bc,
		    const struct status_input *input);
/* HINT, as the object holds it, complains of something that is not so any more. */
bool status_is_outdated(struct str hint, const struct buildconfig *bc);
/* What deliveries since start told. */
void status_put_hint(struct buf *out, const struct buildconfig *bc,
		     const struct status_input *input);
