/* BuildConfigs of which nothing has to be remembered. */
#pragma once

#include "buildconfig/buildconfig.h"

struct object;
struct observation;

/* The limits on status writes have no more to do with the last one. */
#define WRITTEN_MS 60000
/* Every BuildConfig was looked at once since the cache was synced. */
#define RECALLED_MS INT64_C(600000)

/* O was observed of OBJECT, and needs no action and no time. */
bool rest_is_possible(const struct object *object, const struct observation *o);
/* OBJECT, which is new, knows what it knew when it came to rest. BC: what it was then. */
void rest_recall(struct object *object, const struct buildconfig *bc);
