/*
 * Runs simulated worlds: sim [--seeds N] [--from SEED] [--trace] [--stop]. A world that fails
 * prints its seed; --stop ends after it.
 */
#include "world.h"

#include "base/log.h"

#include <stdarg.h>

#define ACTIVE_MS (4 * 60 * 1000)
#define HEAL_MS   (15 * 60 * 1000)
#define QUIET_MS  (30 * 60 * 1000)
#define TICK_MS   200

uint64_t world_below(struct world *w, uint64_t bound)
{
	w->state = w->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (w->state >> 33) % bound;
}

bool world_chance(struct world *w, unsigned percent)
{
	return world_below(w, 100) < percent;
}

void world_fail(struct world *w, const char *format, ...)
{
	va_list args;

	if (*w->failure)
		return;
	va_start(args, format);
	(void)vsnprintf(w->failure, sizeof(w->failure), format, args);
	va_end(args);
}

void world_trace(const struct world *w, const char *format, ...)
{
	va_list args;

	if (!w->is_traced)
		return;
	printf("%8.3f ", (double)w->now_ms / 1000);
	va_start(args, format);
	(void)vprintf(format, args);
	va_end(args);
	putchar('\n');
}

static int64_t mono_ms(void *arg)
{
	return ((struct world *)arg)->now_ms;
}

static int64_t wall_ms(void *arg)
{
	return 1790000000000 + ((struct world *)arg)->now_ms;
}

static void random_bytes(void *arg, void *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((unsigned char *)out)[i] = (unsigned char)world_below(arg, 256);
}

static void on_api_change(void *arg)
{
	struct replica *r = arg;

	builder_resume(r->builder);
}

static void start_replica(struct world *w, struct replica *r)
{
	struct kube_transport transport = transport_of(r);

	r->client = kube_client_new_over(w->clock, &transport);
	kube_client_on_change(r->client, on_api_change, r);
	r->builder = builder_new(&(struct builder_options){
		.clock = w->clock,
		.client = r->client,
		.pod = {.builder_image = "builder"},
		.keeps_pods = w->keeps_pods,
		.max_builds = w->max_builds,
		.instance = "sim",
	});
	builder_start(r->builder);
	r->is_up = true;
}

/* As kill -9: what was sent may still arrive. */
static void kill_replica(struct replica *r)
{
	r->is_up = false;
	builder_free(r->builder);
	kube_client_free(r->client);
}

static void run_until(struct world *w, int64_t until_ms, bool is_active)
{
	int64_t tick_ms = w->now_ms;

	while (w->now_ms < until_ms && !*w->failure) {
		int64_t next_ms = clock_next_ms(w->clock);

		if (next_ms < 0 || w->now_ms + next_ms > tick_ms)
			w->now_ms = tick_ms;
		else
			w->now_ms += next_ms;
		clock_run(w->clock);
		if (w->now_ms < tick_ms)
			continue;
		tick_ms += TICK_MS;
		cluster_step(w);
		if (!is_active)
			continue;
		if (world_chance(w, 8))
			cluster_act(w);
		for (size_t i = 0; i < REPLICAS; i++) {
			struct replica *r = &w->replicas[i];

			if (world_chance(w, 1) && r->is_up) {
				world_trace(w, "replica %zu is killed", i);
				kill_replica(r);
			} else if (world_chance(w, 10) && !r->is_up) {
				start_replica(w, r);
			} else if (world_chance(w, 2) && r->is_up) {
				transport_cut(w, r, true);
			}
		}
	}
}

static bool run_world(uint64_t seed, bool is_traced)
{
	struct world w = {.seed = seed, .state = seed * 7919 + 17, .is_traced = is_traced};
	struct clock_source source = {mono_ms, wall_ms, random_bytes, &w};
	size_t n_requests;

	w.clock = clock_new(&source);
	w.keeps_pods = world_chance(&w, 75);
	w.max_builds = world_chance(&w, 25) ? 1 + world_below(&w, 3) : 0;
	for (size_t i = 0; i < REPLICAS; i++) {
		w.replicas[i].world = &w;
		start_replica(&w, &w.replicas[i]);
	}
	run_until(&w, ACTIVE_MS, true);
	w.is_healing = true;
	for (size_t i = 0; i < REPLICAS; i++)
		if (!w.replicas[i].is_up)
			start_replica(&w, &w.replicas[i]);
	run_until(&w, ACTIVE_MS + HEAL_MS, false);
	if (!*w.failure)
		cluster_check_end(&w);
	n_requests = w.n_requests;
	run_until(&w, ACTIVE_MS + HEAL_MS + QUIET_MS, false);
	if (w.n_requests != n_requests)
		world_fail(&w, "%zu requests in a quiet world", w.n_requests - n_requests);
	for (size_t i = 0; i < REPLICAS; i++)
		if (w.replicas[i].is_up)
			kill_replica(&w.replicas[i]);
	transport_free(&w);
	api_free(&w);
	clock_free(w.clock);
	if (*w.failure)
		printf("seed %llu: %s\n", (unsigned long long)seed, w.failure);
	return !*w.failure;
}

int main(int argc, char **argv)
{
	unsigned long long seeds = 100, from = 1, n_passed = 0, n_failed = 0;
	const char *counts = getenv("COUNTS");
	bool is_traced = false, stops = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc)
			seeds = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--from") == 0 && i + 1 < argc)
			from = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--trace") == 0)
			is_traced = true;
		else if (strcmp(argv[i], "--stop") == 0)
			stops = true;
	}
	log_init(is_traced ? LOG_INFO : LOG_ERROR, LOG_TEXT);
	for (unsigned long long seed = from; seed < from + seeds && !(stops && n_failed); seed++) {
		if (run_world(seed, is_traced))
			n_passed++;
		else
			n_failed++;
	}
	printf("builders' worlds: %llu passed, %llu failed\n", n_passed, n_failed);
	if (counts) {
		FILE *file = fopen(counts, "a");

		if (file) {
			(void)fprintf(file, "%llu %llu\n", n_passed, n_failed);
			(void)fclose(file);
		}
	}
	return n_failed > 0;
}
