/*
 * The secrets of the hook that a delivery is for: fetched by name from the API server where they
 * are not fresh.
 *
 * A delivery to a hook that does not exist, and one whose secrets are all inline, asks for a Secret
 * that does not exist instead, under the same limits. So neither the status nor the time of an
 * answer shows what exists, whether the API server is fast, slow or gone.
 */
#pragma once

#include "receiver/delivery.h"

/* NULL where there is no such hook. */
const struct buildconfig_hook *lookup_find_hook(const struct delivery *d);
/*
 * Fetches what is older than MAX_AGE_MS and calls FN(d), from within this call where nothing has to
 * be waited for. CANNOT_ASK is set where the API server did not answer within WAIT_MS, or could not
 * be asked: what was known before is then still valid. Beyond the limits (ask_limit.h) the cached
 * Secrets are used. NEEDS_DECOY: also a hook whose secrets are all inline waits, for the Secret
 * that does not exist.
 */
void lookup_start(struct delivery *d, int64_t max_age_ms, int64_t wait_ms, bool needs_decoy,
		  void (*fn)(struct delivery *d));
/* Copies the hook's secrets, as they are known now, into the delivery. */
void lookup_collect(struct delivery *d);
