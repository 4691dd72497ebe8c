/* The metrics of OpenShift's build controller, which dashboards use, computed from the store at
 * each scrape. */
#include "builder/internal.h"

static const struct metrics_family build_total = {
	.name = "openshift_build_total",
	.help = "Counts builds by phase, reason, and strategy",
	.kind = METRICS_GAUGE,
	.labels = {"phase", "reason", "strategy"}};
/* Only of Builds that have not ended, and of at most MAX_ACTIVE. */
static const struct metrics_family active_seconds = {
	.name = "openshift_build_active_time_seconds",
	.help = "Shows the last transition time in unix epoch for running builds by namespace, "
		"name, "
		"phase, reason, and strategy",
	.kind = METRICS_GAUGE,
	.labels = {"namespace", "name", "phase", "reason", "strategy"}};
static const struct metrics_family oldest_seconds = {
	.name = "buildhook_build_oldest_seconds",
	.help = "Age of the oldest Build that has not ended, by phase; 0 without one.",
	.kind = METRICS_GAUGE,
	.labels = {"phase"}};

/* Reasons that this controller writes; all others are counted under the last. */
static const char *const reasons[] = {"",
				      "CannotCreateBuildPod",
				      "CannotCreateBuildPodSpec",
				      "InvalidOutputReference",
				      "InvalidImageReference",
				      "UnresolvableEnvironmentVariable",
				      "BuildPodDeleted",
				      "BuildPodEvicted",
				      "BuildPodExists",
				      "CancelledBuild",
				      "DockerBuildFailed",
				      "FailedContainer",
				      "FetchSourceFailed",
				      "GenericBuildFailed",
				      "InvalidContextDirectory",
				      "ManageDockerfileFailed",
				      "NoBuildContainerStatus",
				      "OutOfMemoryKilled",
				      "PostCommitHookFailed",
				      "PullBuilderImageFailed",
				      "PushImageToRegistryFailed",
				      "Other"};
static const char *const strategies[] = {"Docker", "Source", "Custom", "JenkinsPipeline", ""};

#define MAX_ACTIVE 1000
#define REASONS    ARRAY_LEN(reasons)
#define STRATEGIES ARRAY_LEN(strategies)

struct build_series {
	struct builder *builder;
	struct metrics_series *total[BUILD_PHASES][REASONS][STRATEGIES]; /* NULL: never seen */
	double counts[BUILD_PHASES][REASONS][STRATEGIES];
	struct metrics_series *oldest[BUILD_COMPLETE];
	size_t n_active;
	int64_t oldest_ms[BUILD_COMPLETE]; /* wall clock of its creation, 0 without one */
};

static size_t index_of(const char *const *list, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i], text) == 0)
			return i;
	return n - 1;
}

/* The value is the time since which the Build exists, or once it runs, since when it runs (as on
 * OpenShift). */
static void show_active(struct build_series *series, const struct build *build)
{
	int64_t since_s =
		(build->phase == BUILD_RUNNING ? build->started_ms : build->created_ms) / 1000;
	const char *const labels[] = {
		build->namespace_, build->name, build_phase_names[build->phase],
		reasons[index_of(reasons, REASONS, build->reason)],
		strategies[index_of(strategies, STRATEGIES, build->strategy)]};

	if (since_s > 0 && series->n_active++ < MAX_ACTIVE)
		metrics_set(metrics_get(series->builder->opt.metrics, &active_seconds, labels),
			    (double)since_s);
}

static void count(void *arg, const char *key, const void *object)
{
	struct build_series *series = arg;
	const struct build *build = object;
	int64_t *oldest_ms;

	(void)key;
	series->counts[build->phase][index_of(reasons, REASONS, build->reason)]
		      [index_of(strategies, STRATEGIES, build->strategy)]++;
	if (build_phase_is_end(build->phase))
		return;
	show_active(series, build);
	oldest_ms = &series->oldest_ms[build->phase];
	if (*oldest_ms == 0 || build->created_ms < *oldest_ms)
		*oldest_ms = build->created_ms;
}

static void set_total(struct build_series *series, size_t phase, size_t reason, size_t strategy)
{
	struct metrics_series **total = &series->total[phase][reason][strategy];
	double n = series->counts[phase][reason][strategy];
	const char *const labels[] = {build_phase_names[phase], reasons[reason],
				      strategies[strategy]};

	if (n > 0 && !*total)
		*total = metrics_get(series->builder->opt.metrics, &build_total, labels);
	if (*total)
		metrics_set(*total, n);
}

static void collect(void *arg)
{
	struct build_series *series = arg;
	int64_t now_ms = clock_wall_ms(series->builder->opt.clock);

	memset(series->counts, 0, sizeof(series->counts));
	memset(series->oldest_ms, 0, sizeof(series->oldest_ms));
	series->n_active = 0;
	metrics_clear(series->builder->opt.metrics, &active_seconds);
	kube_store_each(series->builder->builds, count, series);
	for (size_t p = 0; p < BUILD_PHASES; p++)
		for (size_t r = 0; r < REASONS; r++)
			for (size_t s = 0; s < STRATEGIES; s++)
				set_total(series, p, r, s);
	for (size_t p = 0; p < BUILD_COMPLETE; p++)
		metrics_set(series->oldest[p],
			    series->oldest_ms[p] == 0
				    ? 0
				    : (double)(now_ms - series->oldest_ms[p]) / 1000);
}

void builder_metrics_init(struct builder *builder)
{
	struct build_series *series;

	if (!builder->opt.metrics)
		return;
	series = mem_new(1, sizeof(*series));
	series->builder = builder;
	for (size_t p = 0; p < BUILD_COMPLETE; p++)
		series->oldest[p] =
			metrics_get(builder->opt.metrics, &oldest_seconds, &build_phase_names[p]);
	metrics_on_collect(builder->opt.metrics, collect, series);
	builder->series = series;
}

void builder_metrics_free(struct builder *builder)
{
	free(builder->series);
}
