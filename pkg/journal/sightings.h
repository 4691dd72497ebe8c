/*
 * What has been seen of each hook since start, for the status annotations: the newest delivery's
 * line, refusals, pushes that were ignored. In memory; what must not be lost is in the journal.
 * Bounded: one entry per hook of a known BuildConfig.
 */
#pragma once

#include "base/str.h"

#define SIGHTINGS_LINE_BYTES 256

struct sightings;

/* The texts are NUL-terminated, "" where there is nothing. */
struct sighting {
	int64_t last_ms; /* wall clock of the newest delivery; 0 without */
	/* Its text without the time: "push main 3f2a1b0 by alice -> cart-7" */
	char last[SIGHTINGS_LINE_BYTES];
	uint64_t refused;
	int64_t refused_ms; /* wall clock of the newest refusal */
	char refused_why[SIGHTINGS_LINE_BYTES];
	uint64_t ref_mismatches;                 /* since the last build */
	char mismatch_ref[SIGHTINGS_LINE_BYTES]; /* short name of the newest mismatch */
	char hint[SIGHTINGS_LINE_BYTES];         /* a hint of the newest delivery, "" without */
	uint64_t ignored;                        /* deliveries that built nothing, since start */
	char ignored_line[SIGHTINGS_LINE_BYTES]; /* the newest of them, as `last` */
	/*
	 * Something was added since the status was last written; who adds it and finds this unset
	 * tells the controller.
	 */
	bool is_news;
};

struct sightings *sightings_new(void);
void sightings_free(struct sightings *sightings);
/* The entry of a hook, made if there is none; lent until sightings_drop() of its BuildConfig. */
struct sighting *sightings_get(struct sightings *sightings, const char *uid, const char *type);
/* NULL if there is none: for who only looks, as an entry takes more than a KiB. */
struct sighting *sightings_find(const struct sightings *sightings, const char *uid,
				const char *type);
/* The BuildConfig is gone. */
void sightings_drop(struct sightings *sightings, const char *uid);
