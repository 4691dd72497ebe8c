/*
 * Counters, gauges and histograms, and their text in Prometheus' exposition format. Families are
 * declared once as static data; their series are found by label values. Label values come from
 * closed sets of this program, never from outside, except in families that are cleared before each
 * rendering. For one thread.
 */
#pragma once

#include "base/buf.h"

#define METRICS_MAX_LABELS 5

enum metrics_kind { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };

struct metrics;
struct metrics_series;

struct metrics_family {
	const char *name;
	const char *help;
	enum metrics_kind kind;
	const char *labels[METRICS_MAX_LABELS]; /* names, NULL after the last */
	const double *buckets;                  /* histogram: upper bounds, rising, without +Inf */
	size_t n_buckets;
};

struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

/*
 * The series of FAMILY with these label VALUES (as many as it has labels), made at the first call
 * and then 0; lent until metrics_free(). Callers on a hot path keep the pointer.
 */
struct metrics_series *metrics_get(struct metrics *metrics, const struct metrics_family *family,
				   const char *const *values);
/* Frees the series of FAMILY. Only for families of which no caller keeps a series. */
void metrics_clear(struct metrics *metrics, const struct metrics_family *family);
void metrics_add(struct metrics_series *series, double amount);
void metrics_set(struct metrics_series *series, double value);
/* Histogram. */
void metrics_observe(struct metrics_series *series, double value);

/* Called before each rendering, to set what is read rather than counted. */
void metrics_on_collect(struct metrics *metrics, void (*fn)(void *arg), void *arg);
/* Sorted by name, then by label values. A family is shown from its first metrics_get() on, so
 * owners of a family without labels call that at start: it is then shown as 0. */
void metrics_format(struct metrics *metrics, struct buf *out);

/* Buckets for durations in seconds, from 1 ms to 60 s. */
extern const double metrics_seconds[];
extern const size_t metrics_n_seconds;
