/* Prometheus' text format, version 0.0.4. */
#include "metrics/internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int metrics_compare(const struct metrics_series *a, const struct metrics_series *b)
{
	const char *left = a->values, *right = b->values;
	int order = strcmp(a->family->name, b->family->name);

	/* Two families of one name would be a mistake in this program; even then the order must not
	 * depend on chance. */
	if (a->family != b->family)
		return order ? order : (a->family < b->family ? -1 : 1);
	for (size_t i = 0; i < METRICS_MAX_LABELS && a->family->labels[i] && !order; i++) {
		order = strcmp(left, right);
		left += strlen(left) + 1;
		right += strlen(right) + 1;
	}
	return order;
}

static void put_escaped(struct buf *out, const char *text, bool in_quotes)
{
	for (; *text; text++) {
		if (*text == '\n')
			buf_put_str(out, STR("\\n"));
		else if (*text == '\\' || (in_quotes && *text == '"'))
			buf_printf(out, "\\%c", *text);
		else
			buf_put_char(out, *text);
	}
}

void metrics_put_head(struct buf *out, const struct metrics_family *family)
{
	static const char *const kinds[] = {"counter", "gauge", "histogram"};

	buf_printf(out, "# HELP %s ", family->name);
	put_escaped(out, family->help, false);
	buf_printf(out, "\n# TYPE %s %s\n", family->name, kinds[family->kind]);
}

/* In as few digits as give the same number again. */
static void put_number(struct buf *out, double value)
{
	char text[32] = "";

	if (isnan(value) || isinf(value)) {
		buf_put_str(out, isnan(value) ? STR("NaN") : value > 0 ? STR("+Inf") : STR("-Inf"));
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		(void)snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	buf_put_str(out, str_of(text));
}

/* Name and labels, with the upper bound of a bucket where LE is given. */
static void put_name(struct buf *out, const struct metrics_series *series, const char *suffix,
		     const double *le)
{
	const char *value = series->values;
	const char *before = "{";

	buf_printf(out, "%s%s", series->family->name, suffix);
	for (size_t i = 0; i < METRICS_MAX_LABELS && series->family->labels[i]; i++) {
		buf_printf(out, "%s%s=\"", before, series->family->labels[i]);
		put_escaped(out, value, true);
		buf_put_char(out, '"');
		value += strlen(value) + 1;
		before = ",";
	}
	if (le) {
		buf_printf(out, "%sle=\"", before);
		put_number(out, *le);
		buf_put_char(out, '"');
		before = ",";
	}
	buf_put_str(out, before[0] == ',' ? STR("} ") : STR(" "));
}

static void put_value(struct buf *out, const struct metrics_series *series, const char *suffix)
{
	put_name(out, series, suffix, NULL);
	put_number(out, series->value);
	buf_put_char(out, '\n');
}

static void put_histogram(struct buf *out, const struct metrics_series *series)
{
	const struct metrics_family *family = series->family;
	uint64_t count = 0;

	for (size_t i = 0; i <= family->n_buckets; i++) {
		double le = i < family->n_buckets ? family->buckets[i] : INFINITY;

		count += series->counts[i];
		put_name(out, series, "_bucket", &le);
		buf_printf(out, "%" PRIu64 "\n", count);
	}
	put_value(out, series, "_sum");
	put_name(out, series, "_count", NULL);
	buf_printf(out, "%" PRIu64 "\n", count);
}

void metrics_put_series(struct buf *out, const struct metrics_series *series)
{
	if (series->family->kind == METRICS_HISTOGRAM)
		put_histogram(out, series);
	else
		put_value(out, series, "");
}
