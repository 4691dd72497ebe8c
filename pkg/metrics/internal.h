/*
 * A series as metrics.c keeps it and format.c writes it.
 */
#pragma once

#include "base/hash.h"
#include "metrics/metrics.h"

struct metrics_series {
	UT_hash_handle hh;
	const struct metrics_family *family;
	char *key;
	const char *values; /* within key: the label values, each with its NUL */
	double value;       /* histogram: the sum */
	uint64_t *counts;   /* histogram: how many values fell into each bucket, +Inf last */
};

/* The order of rendering, as qsort(3) wants it. */
int metrics_compare(const struct metrics_series *a, const struct metrics_series *b);
/* HELP and TYPE. */
void metrics_put_head(struct buf *out, const struct metrics_family *family);
/* The sample of a series, or all those of a histogram. */
void metrics_put_series(struct buf *out, const struct metrics_series *series);
