#include "metrics/metrics.h"

#include "base/mem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct metrics_family deliveries = {.name = "buildhook_deliveries_total",
						 .help = "Deliveries by result.",
						 .kind = METRICS_COUNTER,
						 .labels = {"type", "result"}};
static const struct metrics_family depth = {
	.name = "buildhook_depth", .help = "Keys that wait.", .kind = METRICS_GAUGE};

static void release_metrics(struct metrics **metrics)
{
	metrics_free(*metrics);
}

static void check_text(struct metrics *metrics, const char *text)
{
	CLEANUP(buf_release) struct buf out = BUF_INIT(65536);

	metrics_format(metrics, &out);
	assert_false(out.overflow);
	assert_string_equal(buf_text(&out), text);
}

static struct metrics_series *get_delivery(struct metrics *m, const char *type, const char *result)
{
	const char *values[] = {type, result};

	return metrics_get(m, &deliveries, values);
}

static void nothing_is_shown_of_families_nobody_got(void **state)
{
	CLEANUP(release_metrics) struct metrics *m = metrics_new();

	(void)state;
	check_text(m, "");
}

static void a_family_without_labels_is_there_as_0(void **state)
{
	CLEANUP(release_metrics) struct metrics *m = metrics_new();

	(void)state;
	metrics_get(m, &depth, NULL);
	check_text(m, "# HELP buildhook_depth Keys that wait.\n"
		      "# TYPE buildhook_depth gauge\n"
		      "buildhook_depth 0\n");
}

static void series_are_found_by_their_values(void **state)
{
	CLEANUP(release_metrics) struct metrics *m = metrics_new();
	struct metrics_series *a = get_delivery(m, "github", "queued");

	(void)state;
	assert_ptr_equal(get_delivery(m, "github", "queued"), a);
	assert_ptr_not_equal(get_delivery(m, "github", "ignored"), a);
	/* Label values that join to the same text make different series. */
	assert_ptr_not_equal(get_delivery(m, "ab", "c"), get_delivery(m, "a", "bc"));
	assert_ptr_not_equal(get_delivery(m, "", "x"), get_delivery(m, "x", ""));
	assert_ptr_not_equal((void *)metrics_get(m, &depth, NULL), (void *)a);
}

static void order_does_not_depend_on_who_was_first(void **state)
{
	static const char text[] =
		"# HELP buildhook_deliveries_total Deliveries by result.\n"
		"# TYPE buildhook_deliveries_total counter\n"
		"buildhook_deliveries_total{type=\"generic\",result=\"queued\"} 1\n"
		"buildhook_deliveries_total{type=\"github\",result=\"ignored\"} 2\n"
		"buildhook_deliveries_total{type=\"github\",result=\"queued\"} 3\n"
		"# HELP buildhook_depth Keys that wait.\n"
		"# TYPE buildhook_depth gauge\n"
		"buildhook_depth 4\n";
	CLEANUP(release_metrics) struct metrics *one = metrics_new();
	CLEANUP(release_metrics) struct metrics *other = metrics_new();

	(void)state;
	metrics_set(metrics_get(one, &depth, NULL), 4);
	metrics_add(get_delivery(one, "github", "queued"), 3);
	metrics_add(get_delivery(one, "github", "ignored"), 2);
	metrics_add(get_delivery(one, "generic", "queued"), 1);
	check_text(one, text);

	metrics_add(get_delivery(other, "generic", "queued"), 1);
	metrics_add(get_delivery(other, "github", "ignored"), 1);
	metrics_add(get_delivery(other, "github", "queued"), 3);
	metrics_add(get_delivery(other, "github", "ignored"), 1);
	metrics_set(metrics_get(other, &depth, NULL), 9);
	metrics_set(metrics_get(other, &depth, NULL), 4);
	check_text(other, text);
}

static void buckets_are_cumulative_and_hold_their_bound(void **state)
{
	static const double bounds[] = {0.1, 1, 2.5};
	static const struct metrics_family seconds = {.name = "s",
						      .help = "h",
						      .kind = METRICS_HISTOGRAM,
						      .labels = {"verb"},
						      .buckets = bounds,
						      .n_buckets = ARRAY_LEN(bounds)};
	CLEANUP(release_metrics) struct metrics *m = metrics_new();
	const char *values[] = {"GET"};
	struct metrics_series *series = metrics_get(m, &seconds, values);

	(void)state;
	metrics_observe(series, 0.1);
	metrics_observe(series, 0.5);
	metrics_observe(series, 1);
	metrics_observe(series, 100);
	metrics_observe(series, 0);
	check_text(m, "# HELP s h\n"
		      "# TYPE s histogram\n"
		      "s_bucket{verb=\"GET\",le=\"0.1\"} 2\n"
		      "s_bucket{verb=\"GET\",le=\"1\"} 4\n"
		      "s_bucket{verb=\"GET\",le=\"2.5\"} 4\n"
		      "s_bucket{verb=\"GET\",le=\"+Inf\"} 5\n"
		      "s_sum{verb=\"GET\"} 101.6\n"
		      "s_count{verb=\"GET\"} 5\n");
}

static void a_histogram_without_labels_has_le_alone(void **state)
{
	static const struct metrics_family f = {
		.name = "s", .help = "h", .kind = METRICS_HISTOGRAM, .n_buckets = 0};
	CLEANUP(release_metrics) struct metrics *m = metrics_new();

	(void)state;
	metrics_get(m, &f, NULL);
	check_text(m,
		   "# HELP s h\n# TYPE s histogram\ns_bucket{le=\"+Inf\"} 0\ns_sum 0\ns_count 0\n");
}

static void special_characters_are_escaped(void **state)
{
	static const struct metrics_family f = {
		.name = "x", .help = "a\\b\n\"c\"", .kind = METRICS_GAUGE, .labels = {"l"}};
	CLEANUP(release_metrics) struct metrics *m = metrics_new();
	const char *values[] = {"a\\b\n\"c\""};

	(void)state;
	metrics_get(m, &f, values);
	check_text(m, "# HELP x a\\\\b\\n\"c\"\n# TYPE x gauge\nx{l=\"a\\\\b\\n\\\"c\\\"\"} 0\n");
}

static void numbers_are_short_and_exact(void **state)
{
	static const struct {
		double value;
		const char *text;
	} cases[] = {
		{0.1, "0.1"},
		{-2, "-2"},
		{1.0 / 3, "0.3333333333333333"},
		{0.1 + 0.2, "0.30000000000000004"},
		{1795467011.123, "1795467011.123"},
		{9007199254740991.0, "9007199254740991"},
		{INFINITY, "+Inf"},
		{-INFINITY, "-Inf"},
		{NAN, "NaN"},
	};
	CLEANUP(release_metrics) struct metrics *m = metrics_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_release) struct buf out = BUF_INIT(1024);
		CLEANUP(buf_release) struct buf end = BUF_INIT(64);

		metrics_set(metrics_get(m, &depth, NULL), cases[i].value);
		metrics_format(m, &out);
		buf_printf(&end, "\nbuildhook_depth %s\n", cases[i].text);
		assert_true(str_ends(buf_str(&out), buf_str(&end)));
	}
}

struct counted {
	struct metrics *metrics;
	int calls;
};

static void on_collect(void *arg)
{
	struct counted *c = arg;

	metrics_set(metrics_get(c->metrics, &depth, NULL), ++c->calls);
}

static void what_is_read_is_set_before_each_rendering(void **state)
{
	CLEANUP(release_metrics) struct metrics *m = metrics_new();
	struct counted a = {m, 0}, b = {m, 5};

	(void)state;
	metrics_on_collect(m, on_collect, &a);
	metrics_on_collect(m, on_collect, &b);
	check_text(m, "# HELP buildhook_depth Keys that wait.\n"
		      "# TYPE buildhook_depth gauge\n"
		      "buildhook_depth 6\n");
	check_text(m, "# HELP buildhook_depth Keys that wait.\n"
		      "# TYPE buildhook_depth gauge\n"
		      "buildhook_depth 7\n");
	assert_int_equal(a.calls, 2);
}

static void the_buckets_for_seconds_rise(void **state)
{
	(void)state;
	assert_true(metrics_seconds[0] == 0.001 && metrics_seconds[metrics_n_seconds - 1] == 60);
	for (size_t i = 1; i < metrics_n_seconds; i++)
		assert_true(metrics_seconds[i] > metrics_seconds[i - 1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_shown_of_families_nobody_got),
		cmocka_unit_test(a_family_without_labels_is_there_as_0),
		cmocka_unit_test(series_are_found_by_their_values),
		cmocka_unit_test(order_does_not_depend_on_who_was_first),
		cmocka_unit_test(buckets_are_cumulative_and_hold_their_bound),
		cmocka_unit_test(a_histogram_without_labels_has_le_alone),
		cmocka_unit_test(special_characters_are_escaped),
		cmocka_unit_test(numbers_are_short_and_exact),
		cmocka_unit_test(what_is_read_is_set_before_each_rendering),
		cmocka_unit_test(the_buckets_for_seconds_rise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
