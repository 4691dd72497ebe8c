/* Series by family and label values, and the callbacks that bring them up to date for a scrape. */
#include "metrics/metrics.h"

#include "base/hash.h"
#include "base/mem.h"
#include "metrics/internal.h"

#include <assert.h>
#include <utlist.h>

/* A series is found by its family's address, then each label value with its NUL. */
enum { FAMILY_BYTES = sizeof(const void *), MAX_KEY_BYTES = 1024 };

const double metrics_seconds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
				  0.5,   1,      2.5,   5,    10,    30,   60};
const size_t metrics_n_seconds = ARRAY_LEN(metrics_seconds);

/* Callbacks before rendering. */
struct collector {
	void (*fn)(void *arg);
	void *arg;
	struct collector *next;
};

struct metrics {
	struct metrics_series *series; /* by key */
	struct collector *collectors;
	struct buf key; /* key of the series that is looked for; reused, so that no memory is
			   allocated */
};

struct metrics *metrics_new(void)
{
	struct metrics *metrics = mem_new(1, sizeof(*metrics));

	metrics->key = (struct buf)BUF_INIT(MAX_KEY_BYTES);
	return metrics;
}

static void free_series(struct metrics_series *series)
{
	mem_free(&series->key);
	mem_free(&series->counts);
	mem_free(&series);
}

void metrics_free(struct metrics *metrics)
{
	struct metrics_series *series = NULL, *next = NULL;
	struct collector *collector = NULL, *after = NULL;

	if (!metrics)
		return;
	HASH_ITER (hh, metrics->series, series, next) {
		HASH_DEL(metrics->series, series);
		free_series(series);
	}
	LL_FOREACH_SAFE (metrics->collectors, collector, after)
		free(collector);
	buf_release(&metrics->key);
	free(metrics);
}

static void put_key(struct buf *key, const struct metrics_family *family, const char *const *values)
{
	buf_clear(key);
	buf_put(key, &family, FAMILY_BYTES);
	for (size_t i = 0; i < METRICS_MAX_LABELS && family->labels[i]; i++)
		buf_put(key, values[i], strlen(values[i]) + 1);
	assert(!key->overflow);
}

static struct metrics_series *make_series(const struct metrics_family *family, struct str key)
{
	struct metrics_series *series = mem_new(1, sizeof(*series));

	series->family = family;
	series->key = str_dup(key);
	series->values = series->key + FAMILY_BYTES;
	if (family->kind == METRICS_HISTOGRAM)
		series->counts = mem_new(family->n_buckets + 1, sizeof(*series->counts));
	return series;
}

struct metrics_series *metrics_get(struct metrics *metrics, const struct metrics_family *family,
				   const char *const *values)
{
	struct metrics_series *series = NULL;
	struct str key = {0};

	put_key(&metrics->key, family, values);
	key = buf_str(&metrics->key);
	HASH_FIND(hh, metrics->series, key.p, key.n, series);
	if (series)
		return series;
	series = make_series(family, key);
	HASH_ADD_KEYPTR(hh, metrics->series, series->key, key.n, series);
	return series;
}

void metrics_clear(struct metrics *metrics, const struct metrics_family *family)
{
	struct metrics_series *series = NULL, *next = NULL;

	HASH_ITER (hh, metrics->series, series, next) {
		if (series->family != family)
			continue;
		HASH_DEL(metrics->series, series);
		free_series(series);
	}
}

void metrics_add(struct metrics_series *series, double amount)
{
	assert(series->family->kind != METRICS_HISTOGRAM);
	series->value += amount;
}

void metrics_set(struct metrics_series *series, double value)
{
	assert(series->family->kind != METRICS_HISTOGRAM);
	series->value = value;
}

void metrics_observe(struct metrics_series *series, double value)
{
	const struct metrics_family *family = series->family;
	size_t i = 0;

	assert(family->kind == METRICS_HISTOGRAM);
	while (i < family->n_buckets && value > family->buckets[i])
		i++;
	series->counts[i]++;
	series->value += value;
}

void metrics_on_collect(struct metrics *metrics, void (*fn)(void *arg), void *arg)
{
	struct collector *collector = mem_new(1, sizeof(*collector));

	collector->fn = fn;
	collector->arg = arg;
	LL_APPEND(metrics->collectors, collector);
}

static int compare_series(const void *a, const void *b)
{
	return metrics_compare(*(const struct metrics_series *const *)a,
			       *(const struct metrics_series *const *)b);
}

void metrics_format(struct metrics *metrics, struct buf *out)
{
	CLEANUP(mem_free) const struct metrics_series **sorted = NULL;
	const struct metrics_series *series = NULL;
	struct collector *collector = NULL;
	size_t n = 0;

	LL_FOREACH (metrics->collectors, collector)
		collector->fn(collector->arg);
	sorted = mem_new(HASH_COUNT(metrics->series), sizeof(const struct metrics_series *));
	for (series = metrics->series; series; series = series->hh.next)
		sorted[n++] = series;
	qsort(sorted, n, sizeof(const struct metrics_series *), compare_series);
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || sorted[i]->family != sorted[i - 1]->family)
			metrics_put_head(out, sorted[i]->family);
		metrics_put_series(out, sorted[i]);
	}
}
