/* The journal with its thread and the real clock: what is told is on disk, whenever the process is
 * killed. */
#include "world.h"

#include "../faults.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define MAX_IDS 4000000

FAULT(int, pthread_create,
      (pthread_t * out, const pthread_attr_t *attr, void *(*run)(void *), void *arg),
      (out, attr, run, arg), fault_pthread_create.error)

struct live {
	struct journal *journal;
	struct clock *clock;
	int wake_fd;
	size_t n_waiting;
	size_t n_told;
	uint64_t next_id;
	int ack_fd; /* where the ids of what was told are written to; -1 without */
};

static void on_wake(void *arg)
{
	(void)eventfd_write(((struct live *)arg)->wake_fd, 1);
}

static int live_open(struct live *live, const char *dir)
{
	static const struct clock_source source = {clock_real_mono_ms, clock_real_wall_ms,
						   world_random, NULL};
	const struct journal_options options = {
		.data_dir = dir,
		.clock = clock_new(&source),
		.dedupe_window_ms = WINDOW_MS,
		.wake = on_wake,
		.wake_arg = live,
	};
	struct err err = {0};
	int rc;

	live->clock = options.clock;
	live->wake_fd = eventfd(0, EFD_CLOEXEC);
	rc = journal_open(&live->journal, &options, &err);
	if (rc != ERR_OK)
		print_message("%s\n", err.msg);
	return rc;
}

static void live_close(struct live *live)
{
	journal_close(live->journal);
	clock_free(live->clock);
	(void)close(live->wake_fd);
}

/* False after ten seconds without a wake. */
static bool wait_and_collect(struct live *live)
{
	struct pollfd poll_fd = {live->wake_fd, POLLIN, 0};
	eventfd_t n;

	if (poll(&poll_fd, 1, 10000) != 1)
		return false;
	(void)eventfd_read(live->wake_fd, &n);
	journal_collect(live->journal);
	return true;
}

struct asked {
	struct live *live;
	uint64_t id;
};

static void on_stored(void *arg, int status, const struct journal_add_result *results, size_t n)
{
	struct asked *asked = arg;
	struct live *live = asked->live;
	bool is_good = status == ERR_OK && n == 1 && results->added == JOURNAL_NEW;

	if (is_good && live->ack_fd >= 0 &&
	    write(live->ack_fd, &asked->id, sizeof(asked->id)) != sizeof(asked->id))
		_exit(3);
	live->n_told += is_good;
	live->n_waiting--;
	free(asked);
}

static void ask(struct live *live)
{
	char id[32];
	struct journal_change change = sample(id, "refs/heads/main");
	struct asked *asked = mem_new(1, sizeof(*asked));
	char namespace_[16];

	*asked = (struct asked){live, live->next_id++};
	spread(&change, namespace_, asked->id);
	(void)snprintf(id, sizeof(id), "%llu", (unsigned long long)asked->id);
	if (journal_add(live->journal, &change, 1, on_stored, asked) == 0) {
		free(asked);
		return;
	}
	live->n_waiting++;
}

/* Also those that come while others are being told. */
static void whatever_is_asked_is_told(void **state)
{
	struct world *world = *state;
	struct live live = {.ack_fd = -1};
	const size_t n_all = 5000;
	struct journal_stats stats = {0};

	assert_int_equal(live_open(&live, world->dir), ERR_OK);
	while (live.n_told < n_all) {
		while (live.n_waiting < 200 && live.next_id < n_all)
			ask(&live);
		assert_true(wait_and_collect(&live));
	}
	journal_read_stats(live.journal, &stats);
	assert_int_equal(stats.rows[JOURNAL_ACCEPTED], n_all);
	live_close(&live);
}

static void an_idle_journal_wakes_nobody(void **state)
{
	struct world *world = *state;
	struct live live = {.ack_fd = -1};
	struct pollfd poll_fd = {.events = POLLIN};

	assert_int_equal(live_open(&live, world->dir), ERR_OK);
	ask(&live);
	assert_true(wait_and_collect(&live));
	poll_fd.fd = live.wake_fd;
	assert_int_equal(poll(&poll_fd, 1, 100), 0);
	live_close(&live);
}

static void close_carries_out_what_waits(void **state)
{
	struct world *world = *state;
	struct live live = {.ack_fd = -1};
	char ids[300][8];

	assert_int_equal(live_open(&live, world->dir), ERR_OK);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		struct journal_change change = sample(ids[i], "refs/heads/main");

		(void)snprintf(ids[i], sizeof(ids[i]), "d%zu", i);
		(void)journal_add(live.journal, &change, 1, NULL, NULL);
	}
	live_close(&live);
	world_must_open(world);
	assert_int_equal(count_pending(world), ARRAY_LEN(ids));
}

static void a_forgotten_one_is_not_told_wherever_it_is(void **state)
{
	struct world *world = *state;
	struct live live = {.ack_fd = -1};
	struct told told = {0};

	assert_int_equal(live_open(&live, world->dir), ERR_OK);
	for (int i = 0; i < 300; i++) {
		char id[16];
		struct journal_change change = sample(id, "refs/heads/main");
		uint64_t ticket;

		(void)snprintf(id, sizeof(id), "f%d", i);
		ticket = journal_add(live.journal, &change, 1, on_added, &told);
		/* In time for some to be waiting, running or done. */
		if (i % 3 == 0)
			(void)usleep((useconds_t)(i % 7 * 50));
		journal_forget(live.journal, ticket);
		ask(&live);
		while (live.n_waiting > 0)
			assert_true(wait_and_collect(&live));
	}
	assert_int_equal(told.n, 0);
	assert_int_equal(live.n_told, 300);
	live_close(&live);
}

/* What waits may be there, unread: the process is to end, also where nothing comes that is to be
 * written. */
static void on_status(void *arg, int status, const struct journal_add_result *results, size_t n)
{
	(void)results;
	(void)n;
	*(int *)arg = status;
}

/* What came of one, whenever that is told. */
static int ask_for_status(struct live *live, const char *id)
{
	struct journal_change change = sample(id, "refs/heads/main");
	int status = 1;

	assert_int_not_equal(journal_add(live->journal, &change, 1, on_status, &status), 0);
	while (status == 1)
		assert_true(wait_and_collect(live));
	return status;
}

static void who_cannot_read_is_woken_to_hear_of_it(void **state)
{
	struct world *world = *state;
	struct live live = {.ack_fd = -1};
	static const char garbage[16 * 4096];
	CLEANUP(mem_free) char *extra = mem_new(1, JOURNAL_MAX_EXTRA + 1);
	struct journal_change change = sample("d1", "refs/heads/main");
	char path[400];
	int fd;

	world_must_open(world);
	/* Pages of it that nobody has looked at. */
	change.env_json = memset(extra, 'x', JOURNAL_MAX_EXTRA);
	(void)add(world, &change, 1);
	world_close(world);
	assert_int_equal(live_open(&live, world->dir), ERR_OK);
	(void)snprintf(path, sizeof(path), "%s/journal.db", world->dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, garbage, sizeof(garbage), 4096), sizeof(garbage));
	(void)close(fd);
	assert_null(journal_read_row(live.journal, 1));
	assert_true(wait_and_collect(&live));
	assert_non_null(journal_failure(live.journal));
	assert_false(journal_is_writable(live.journal));
	/* Whoever asks yet is told, and stays so. */
	assert_int_equal(ask_for_status(&live, "d2"), ERR_UNAVAILABLE);
	assert_int_equal(ask_for_status(&live, "d3"), ERR_UNAVAILABLE);
	live_close(&live);
}

static void where_no_thread_can_be_made_it_does_not_start(void **state)
{
	struct world *world = *state;
	struct live live = {.ack_fd = -1};

	fault_arm(&fault_pthread_create, 1, EAGAIN);
	assert_int_equal(live_open(&live, world->dir), ERR_UNAVAILABLE);
	assert_null(live.journal);
	live_close(&live);
	assert_int_equal(live_open(&live, world->dir), ERR_OK);
	live_close(&live);
}

/* Of a file that may not grow further; as with a full disk, nobody has to tell it of room. */
static void room_that_came_back_is_found_without_being_asked_for(void **state)
{
	struct world *world = *state;
	struct live live = {.ack_fd = -1};
	const struct rlimit little = {4096, RLIM_INFINITY};
	const struct rlimit much = {RLIM_INFINITY, RLIM_INFINITY};

	assert_int_equal(live_open(&live, world->dir), ERR_OK);
	assert_int_equal(ask_for_status(&live, "d1"), ERR_OK);
	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	assert_int_equal(ask_for_status(&live, "d2"), ERR_UNAVAILABLE);
	assert_false(journal_is_writable(live.journal));
	assert_int_equal(ask_for_status(&live, "d3"), ERR_UNAVAILABLE);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &much), 0);
	for (int i = 0; i < 1000 && !journal_is_writable(live.journal); i++)
		(void)usleep(10000);
	assert_null(journal_failure(live.journal));
	assert_int_equal(ask_for_status(&live, "d2"), ERR_OK);
	live_close(&live);
	world_must_open(world);
	assert_int_equal(count_pending(world), 2);
}

/* The child: asks as fast as it can until it is killed. */
static void ask_until_killed(const char *dir, uint64_t first_id, int ack_fd)
{
	struct live live = {.ack_fd = ack_fd, .next_id = first_id};

	if (live_open(&live, dir) != ERR_OK)
		_exit(2);
	for (;;) {
		while (live.n_waiting < 64)
			ask(&live);
		if (!wait_and_collect(&live))
			_exit(4);
	}
}

struct acks {
	uint64_t *ids;
	size_t n;
	size_t cap;
};

/* At most MAX, or until the other end is closed. */
static void read_acks(struct acks *acks, int fd, size_t max)
{
	uint64_t id;

	for (; max > 0 && read(fd, &id, sizeof(id)) == sizeof(id); max--) {
		if (acks->n == acks->cap) {
			acks->cap = acks->cap ? 2 * acks->cap : 1024;
			acks->ids = mem_resize(acks->ids, acks->cap, sizeof(id));
		}
		acks->ids[acks->n++] = id;
	}
}

static void mark(void *arg, const struct journal_change *change)
{
	unsigned long long id = strtoull(change->delivery_id, NULL, 10);

	assert_true(id < MAX_IDS);
	((bool *)arg)[id] = true;
}

static void run_and_kill(const char *dir, uint64_t first_id, struct acks *acks)
{
	int ends[2];
	int status = 0;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		(void)close(ends[0]);
		ask_until_killed(dir, first_id, ends[1]);
	}
	(void)close(ends[1]);
	read_acks(acks, ends[0], 1);
	(void)usleep((useconds_t)(1000 + random() % 49000));
	assert_int_equal(kill(child, SIGKILL), 0);
	read_acks(acks, ends[0], SIZE_MAX);
	assert_int_equal(waitpid(child, &status, 0), child);
	(void)close(ends[0]);
	assert_true(WIFSIGNALED(status));
}

static void check_acks(struct world *world, const struct acks *acks)
{
	CLEANUP(mem_free) bool *found = mem_new(MAX_IDS, sizeof(*found));

	world_must_open(world);
	journal_each_recent(world->journal, SIZE_MAX, mark, found);
	assert_null(journal_failure(world->journal));
	for (size_t i = 0; i < acks->n; i++)
		if (!found[acks->ids[i]])
			fail_msg("%llu was acknowledged, and is lost",
				 (unsigned long long)acks->ids[i]);
	world_close(world);
}

/* One journal through many kills: what was acknowledged early must survive all later ones. */
static void kill_again_and_again(int kills, size_t *n_acks)
{
	CLEANUP(world_release) struct world world = {0};
	struct acks acks = {0};

	assert_int_equal(world_init(&world), 0);
	for (int i = 0; i < kills; i++)
		run_and_kill(world.dir, acks.n ? acks.ids[acks.n - 1] + 1000 : 0, &acks);
	check_acks(&world, &acks);
	*n_acks += acks.n;
	free(acks.ids);
}

static void what_was_told_survives_kill_9(void **state)
{
	const int rounds = is_long() ? 40 : 2;
	const int kills = is_long() ? 25 : 8;
	size_t n_acks = 0;

	(void)state;
	srandom(20261123);
	for (int i = 0; i < rounds; i++)
		kill_again_and_again(kills, &n_acks);
	print_message("%d kills, %zu acknowledged, none lost\n", rounds * kills, n_acks);
	assert_true(n_acks > (size_t)(rounds * kills) * 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(whatever_is_asked_is_told),
		WORLD_TEST(an_idle_journal_wakes_nobody),
		WORLD_TEST(close_carries_out_what_waits),
		WORLD_TEST(a_forgotten_one_is_not_told_wherever_it_is),
		WORLD_TEST(where_no_thread_can_be_made_it_does_not_start),
		WORLD_TEST(room_that_came_back_is_found_without_being_asked_for),
		WORLD_TEST(who_cannot_read_is_woken_to_hear_of_it),
		cmocka_unit_test(what_was_told_survives_kill_9),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
