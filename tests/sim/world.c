#include "world.h"

#include "ledger.h"
#include "replica.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <utlist.h>

#define MAX_GAP_MS  12000
#define REST_MS     (40 * 60 * 1000)
#define LAST_MS     (2 * 60 * 1000)
#define MAX_REST_MS (4 * 3600 * 1000)
#define QUIET_MS    (70 * 60 * 1000)
#define MAX_LIFE_MS 60000
/* In QUIET_MS: another replica's words are replaced after 10, 20 and 40 minutes. */
#define MAX_REFUSED_APPLIES 8

/* SplitMix64 (Steele, Lea, Flood). */
static uint64_t next_random(struct rng *rng)
{
	uint64_t z = rng->state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

uint64_t world_below(struct world *w, uint64_t bound)
{
	return next_random(&w->rng) % bound;
}

bool world_chance(struct world *w, unsigned percent)
{
	return world_below(w, 100) < percent;
}

void world_random(struct world *w, void *out, size_t n)
{
	unsigned char *bytes = out;

	for (size_t i = 0; i < n; i++)
		bytes[i] = (unsigned char)next_random(&w->rng);
}

int64_t world_wall_ms(const struct world *w)
{
	return WORLD_EPOCH_MS + w->now_ms;
}

void world_fail(struct world *w, const char *fmt, ...)
{
	va_list args;

	if (*w->failure)
		return;
	va_start(args, fmt);
	(void)vsnprintf(w->failure, sizeof(w->failure), fmt, args);
	va_end(args);
	world_trace(w, "BROKEN: %s", w->failure);
}

void world_trace(struct world *w, const char *fmt, ...)
{
	va_list args;

	if (!w->is_verbose)
		return;
	(void)printf("%9.3f ", (double)w->now_ms / 1000);
	va_start(args, fmt);
	(void)vprintf(fmt, args);
	va_end(args);
	(void)printf("\n");
}

static int64_t mono_ms(void *arg)
{
	const struct world *w = arg;

	return w->now_ms;
}

static int64_t wall_ms(void *arg)
{
	return world_wall_ms(arg);
}

static void random_bytes(void *arg, void *out, size_t n)
{
	world_random(arg, out, n);
}

/* Whose timer is due first, -1 for the world's own; *WAIT_MS until then, -1 when nothing is. */
static int find_next(struct world *w, int64_t *wait_ms)
{
	int next = -1;

	*wait_ms = clock_next_ms(w->clock);
	for (size_t i = 0; i < w->n_replicas; i++) {
		int64_t ms = w->replicas[i]->is_up ? clock_next_ms(w->replicas[i]->clock) : -1;
		bool is_first =
			*wait_ms < 0 || ms < *wait_ms || (ms == *wait_ms && world_chance(w, 50));

		if (ms < 0 || !is_first)
			continue;
		*wait_ms = ms;
		next = (int)i;
	}
	return next;
}

void world_go(struct world *w, int64_t until_ms)
{
	while (!*w->failure) {
		int64_t wait_ms = -1;
		int next = find_next(w, &wait_ms);

		if (wait_ms < 0 || w->now_ms + wait_ms > until_ms)
			break;
		w->now_ms += wait_ms;
		w->steps++;
		if (next >= 0) {
			replica_run(w->replicas[next]);
			continue;
		}
		clock_run(w->clock);
		for (size_t i = 0; i < w->n_replicas; i++)
			replica_follow_up(w->replicas[i]);
	}
	if (w->now_ms < until_ms)
		w->now_ms = until_ms;
}

static void live(struct world *w, size_t n_actions)
{
	for (size_t i = 0; i < w->n_replicas; i++)
		replica_start(w->replicas[i]);
	world_go(w, w->now_ms + (int64_t)world_below(w, MAX_GAP_MS));
	for (size_t i = 0; i < n_actions && !*w->failure; i++) {
		action_random(w);
		world_go(w, w->now_ms + (int64_t)world_below(w, world_chance(w, 5) ? 20 * MAX_GAP_MS
										   : MAX_GAP_MS));
	}
}

static bool is_pending(const struct world *w)
{
	for (size_t i = 0; i < w->n_replicas; i++) {
		struct journal_stats stats;

		journal_read_stats(w->replicas[i]->journal, &stats);
		if (stats.rows[JOURNAL_ACCEPTED] + stats.rows[JOURNAL_STARTING] > 0)
			return true;
	}
	return false;
}

/* Each start that the server refuses after it has raised the number leaves a gap, and the next one
 * waits a minute for what may still come there. */
static void go_until_all_ended(struct world *w, int64_t least_ms)
{
	int64_t patience_ms = w->now_ms + MAX_REST_MS;

	world_go(w, w->now_ms + least_ms);
	while (!*w->failure && w->now_ms < patience_ms && is_pending(w))
		world_go(w, w->now_ms + least_ms);
}

/* Nothing may need a longer life than a process that crashes again and again has. */
static void crash_until_all_ended(struct world *w)
{
	int64_t patience_ms = w->now_ms + MAX_REST_MS;

	while (!*w->failure && is_pending(w)) {
		world_go(w, w->now_ms + (int64_t)world_below(w, MAX_LIFE_MS));
		for (size_t i = 0; i < w->n_replicas; i++)
			action_restart(w, w->replicas[i]);
		if (w->now_ms > patience_ms)
			world_fail(w, "what is pending does not end while there are crashes");
	}
}

/*
 * One replica has starts that are refused, the others have not: they must not replace each other's
 * state. The words of a day are written a few times, not once in five seconds.
 */
static void refuse_starts(struct world *w)
{
	const struct api_object *bc = NULL;
	size_t n_applies = 0, n = 0;

	action_push_refused(w);
	world_go(w, w->now_ms + LAST_MS);
	DL_FOREACH (w->api->objects[API_BUILDCONFIG], bc)
		n++;
	n_applies = w->api->n_applies;
	world_go(w, w->now_ms + QUIET_MS);
	if (w->api->n_applies > n_applies + n * MAX_REFUSED_APPLIES)
		world_fail(w,
			   "the status of %zu BuildConfigs was written %zu times while starts "
			   "were refused",
			   n, w->api->n_applies - n_applies);
	w->api->quota = SIZE_MAX;
	go_until_all_ended(w, LAST_MS);
	world_go(w, w->now_ms + REST_MS);
}

static void come_to_rest(struct world *w)
{
	size_t n_writes = 0;

	action_heal(w);
	if (w->is_crashing)
		crash_until_all_ended(w);
	go_until_all_ended(w, REST_MS);
	/* A replica whose watch was behind may have created a Secret for a deleted BuildConfig. */
	api_collect_garbage(w->api);
	action_push_last(w);
	go_until_all_ended(w, LAST_MS);
	action_repeat_refused(w);
	go_until_all_ended(w, LAST_MS);
	if (!*w->failure)
		check_at_rest(w);
	n_writes = w->api->n_writes;
	world_go(w, w->now_ms + QUIET_MS);
	if (w->api->n_writes != n_writes)
		world_fail(w, "%zu writes in a quiet world", w->api->n_writes - n_writes);
	if (!*w->failure)
		check_at_rest(w);
	if (w->n_replicas > 1 && w->seed / 4 % 5 == 0)
		refuse_starts(w);
	if (!*w->failure)
		check_at_rest(w);
}

static void init(struct world *w, const struct world_options *options)
{
	const struct clock_source source = {mono_ms, wall_ms, random_bytes, w};

	*w = (struct world){.seed = options->seed,
			    .rng = {options->seed},
			    .now_ms = 1000000,
			    .backend = options->backend,
			    .n_replicas = options->n_replicas,
			    .is_crashing = options->is_crashing,
			    .is_verbose = options->is_verbose};
	w->is_backend_found = world_chance(w, 70);
	w->has_public_url = world_chance(w, 40);
	w->has_route = world_chance(w, 30);
	w->clock = clock_new(&source);
	w->ledger = ledger_new();
	w->api = api_new(w);
	action_populate(w);
	for (size_t i = 0; i < w->n_replicas; i++)
		w->replicas[i] = replica_new(w, i, options->folder);
}

static void release(struct world *w)
{
	for (size_t i = 0; i < w->n_replicas; i++)
		replica_free(w->replicas[i]);
	api_free(w->api);
	ledger_free(w->ledger);
	clock_free(w->clock);
}

bool world_run(const struct world_options *options, size_t *steps, char *message, size_t size)
{
	struct world w;

	init(&w, options);
	live(&w, options->n_actions);
	if (!*w.failure)
		come_to_rest(&w);
	if (options->log_fd >= 0)
		check_logs(&w, options->log_fd);
	*steps += w.steps;
	(void)snprintf(message, size, "%s", w.failure);
	release(&w);
	return !*message;
}
