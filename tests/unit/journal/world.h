/*
 * What the journal's tests share: a folder that goes with the test, a clock that they set, changes
 * to add, and what was told of them.
 */
#pragma once

#include "journal/change.h"

#include "base/mem.h"

/* cmocka wants these before itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WINDOW_MS (72LL * 3600 * 1000)
#define START_MS  1795000000000LL

struct world {
	char base[64]; /* removed in the end */
	char dir[300]; /* the data folder, below it */
	int64_t mono_ms;
	int64_t wall_ms;
	struct clock *clock;
	struct journal *journal;
	/* As in struct journal_options. */
	int64_t size_bytes;
	size_t max_replaced;
	void (*on_superseded)(void *arg, int64_t seq);
	void *on_superseded_arg;
};

struct told {
	int n;
	int status;
	size_t n_results;
	struct journal_add_result results[4];
};

/* LONG=1 in the environment: every case of what is otherwise sampled. */
static inline bool is_long(void)
{
	const char *text = getenv("LONG");

	return text && *text && strcmp(text, "0") != 0;
}

static inline int64_t world_mono(void *arg)
{
	return ((struct world *)arg)->mono_ms;
}

static inline int64_t world_wall(void *arg)
{
	return ((struct world *)arg)->wall_ms;
}

static inline void world_random(void *arg, void *out, size_t n)
{
	(void)arg;
	memset(out, 4, n);
}

static inline void world_advance(struct world *world, int64_t ms)
{
	world->mono_ms += ms;
	world->wall_ms += ms;
}

static inline int world_init(struct world *world)
{
	const struct clock_source source = {world_mono, world_wall, world_random, world};

	*world = (struct world){.mono_ms = 5000, .wall_ms = START_MS};
	(void)snprintf(world->base, sizeof(world->base), "%s/journal.XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(world->base))
		return -1;
	(void)snprintf(world->dir, sizeof(world->dir), "%s/data", world->base);
	world->clock = clock_new(&source);
	return 0;
}

static inline int world_open(struct world *world, struct err *err)
{
	const struct journal_options options = {
		.data_dir = world->dir,
		.clock = world->clock,
		.dedupe_window_ms = WINDOW_MS,
		.size_bytes = world->size_bytes,
		.max_replaced = world->max_replaced,
		.on_superseded = world->on_superseded,
		.on_superseded_arg = world->on_superseded_arg,
	};

	return journal_open(&world->journal, &options, err);
}

static inline void world_must_open(struct world *world)
{
	struct err err = {0};

	if (world_open(world, &err) != ERR_OK)
		fail_msg("%s", err.msg);
}

static inline void world_close(struct world *world)
{
	journal_close(world->journal);
	world->journal = NULL;
}

static inline void world_reopen(struct world *world)
{
	world_close(world);
	world_must_open(world);
}

static inline void world_release(struct world *world)
{
	char command[256];

	world_close(world);
	clock_free(world->clock);
	(void)snprintf(command, sizeof(command), "chmod -R u+rwx %s; rm -rf %s", world->base,
		       world->base);
	if (system(command) != 0)
		abort();
}

static inline int world_setup(void **state)
{
	*state = calloc(1, sizeof(struct world));
	return *state ? world_init(*state) : -1;
}

static inline int world_teardown(void **state)
{
	world_release(*state);
	free(*state);
	return 0;
}

/* A test whose world is made before and cleared away after it. */
#define WORLD_TEST(fn) cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)

static inline struct journal_change sample(const char *delivery_id, const char *ref)
{
	return (struct journal_change){
		.accepted_ms = START_MS,
		.uid = "5f0c3a9e-0000-4000-8000-1d2c3b4a5968",
		.namespace_ = "shop",
		.name = "cart",
		.type = "github",
		.host = "github",
		.delivery_id = delivery_id,
		.ref = ref,
		.commit = "3f2a1b04c5d6e7f8091a2b3c4d5e6f708192a3b4",
		.author_name = "Alice",
		.message = "Mend the cart",
	};
}

/* Of so many changes those of one BuildConfig are few enough. TEXT is for the namespace. */
static inline void spread(struct journal_change *change, char text[16], size_t i)
{
	(void)snprintf(text, 16, "n%zu", i / 900 % 100000);
	change->namespace_ = text;
}

static inline void count_row(void *arg, const struct journal_change *change)
{
	(void)change;
	(*(size_t *)arg)++;
}

static inline void on_added(void *arg, int status, const struct journal_add_result *results,
			    size_t n)
{
	struct told *told = arg;

	told->n++;
	told->status = status;
	told->n_results = n;
	for (size_t i = 0; i < n && i < 4; i++)
		told->results[i] = results[i];
}

static inline void on_written(void *arg, int status)
{
	struct told *told = arg;

	told->n++;
	told->status = status;
}

/* Adds one and waits until it is told. */
static inline struct told add(struct world *world, const struct journal_change *changes, size_t n)
{
	struct told told = {0};

	assert_int_not_equal(journal_add(world->journal, changes, n, on_added, &told), 0);
	journal_collect(world->journal);
	assert_int_equal(told.n, 1);
	return told;
}

static inline struct journal_add_result add_one(struct world *world, const char *delivery_id,
						const char *ref)
{
	struct journal_change change = sample(delivery_id, ref);
	struct told told = add(world, &change, 1);

	assert_int_equal(told.status, ERR_OK);
	assert_int_equal(told.n_results, 1);
	return told.results[0];
}

static inline int write_state(struct world *world, int64_t seq, enum journal_state state,
			      const char *build, const char *reason)
{
	const struct journal_update update = {
		.seq = seq, .state = state, .build = build, .reason = reason};
	struct told told = {0};

	journal_write(world->journal, &update, on_written, &told);
	journal_collect(world->journal);
	assert_int_equal(told.n, 1);
	return told.status;
}

struct kept {
	struct journal_change *rows[16];
	size_t n;
};

static inline void keep(void *arg, const struct journal_change *change)
{
	struct kept *kept = arg;

	assert_true(kept->n < ARRAY_LEN(kept->rows));
	kept->rows[kept->n++] = journal_change_copy(change);
}

static inline void release_kept(struct kept *kept)
{
	for (size_t i = 0; i < kept->n; i++)
		journal_change_freep(&kept->rows[i]);
}

static inline void count(void *arg, const struct journal_change *change)
{
	(void)change;
	(*(size_t *)arg)++;
}

struct seqs {
	int64_t *seq;
	size_t n;
};

static inline void release_seqs(struct seqs *seqs)
{
	free(seqs->seq);
}

static inline void keep_seq(void *arg, int64_t seq)
{
	struct seqs *seqs = arg;

	if ((seqs->n & (seqs->n - 1)) == 0)
		seqs->seq = mem_resize(seqs->seq, 2 * seqs->n + 1, sizeof(seq));
	seqs->seq[seqs->n++] = seq;
}

/* The rows of a BuildConfig that wait, oldest first, at most MAX: as the index has them, and as the
 * file has each. */
static inline size_t each_pending(struct world *world, size_t max,
				  void (*fn)(void *arg, const struct journal_change *change),
				  void *arg)
{
	CLEANUP(release_seqs) struct seqs seqs = {0};
	size_t n = 0;

	journal_each_waiting(world->journal, "shop/cart", 0, keep_seq, &seqs);
	for (; n < max && n < seqs.n; n++) {
		CLEANUP(journal_change_freep)
		struct journal_change *row =
			journal_read_row(world->journal, seqs.seq[seqs.n - 1 - n]);

		if (!row)
			break;
		fn(arg, row);
	}
	return n;
}

static inline size_t count_pending(struct world *world)
{
	size_t n = 0;
	struct journal_waiting waiting;

	(void)each_pending(world, SIZE_MAX, count, &n);
	assert_null(journal_failure(world->journal));
	journal_read_waiting(world->journal, "shop/cart", &waiting);
	assert_int_equal(waiting.n, n);
	return n;
}
