/*
 * Requests to rotate a webhook secret: annotation buildhook.io/rotate on the BuildConfig ("any
 * text" for all of its Secrets, "github=any text" for those of one TYPE), and the record of what
 * was acted on, on the Secret. Pure.
 */
#pragma once

#include "base/buf.h"
#include "buildconfig/buildconfig.h"

/* The BuildConfig asks for this Secret to be rotated, and RECORD (of the Secret) does not say that
 * it was done. */
bool rotation_is_wanted(const struct buildconfig *bc, const char *secret, const char *record);
/*
 * RECORD with this BuildConfig's present request as done: an entry "UID/DIGEST" for each
 * BuildConfig that ever asked, with a space between. A request is recorded by its digest, as its
 * text may be anything.
 */
void rotation_put_record(struct buf *out, const struct buildconfig *bc, const char *record);
