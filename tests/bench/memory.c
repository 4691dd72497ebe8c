/*
 * Counts the memory of a BuildConfig: the whole program with an API server in memory and virtual
 * time (tests/sim), which has N BuildConfigs and has written their status, and is started anew.
 *
 *     memory N      prints the bytes of the heap that each BuildConfig takes in the new process
 */
#include "bench/world.h"
#include "torture/torture.h"

#include "base/log.h"

#include <malloc.h>
#include <stdio.h>

/* Five statuses are written a second. */
#define WRITES_A_SECOND 5
#define SETTLE_MS       60000

static void add_numbered(size_t i)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "app-%06zu", i);
	add_buildconfig(name);
}

/* What the program holds after it has started and come to rest. */
static size_t measure(void)
{
	struct replica *replica = t.w.replicas[0];
	size_t before = 0, after = 0;

	replica_crash(replica, true);
	before = mallinfo2().uordblks + mallinfo2().hblkhd;
	replica_start(replica);
	torture_go_for(SETTLE_MS);
	after = mallinfo2().uordblks + mallinfo2().hblkhd;
	return after - before;
}

int main(int argc, char **argv)
{
	struct torture_result outcome = {0};
	size_t n = argc == 2 ? (size_t)atol(argv[1]) : 0, one = 0, all = 0;

	if (n < 2) {
		(void)printf("usage: memory N\n");
		return 2;
	}
	t.outcome = &outcome;
	(void)snprintf(t.folder, sizeof(t.folder), "%s", "/tmp/memory-XXXXXX");
	if (!mkdtemp(t.folder))
		return 1;
	log_init(LOG_ERROR, LOG_JSON);
	torture_make_world(CONTROLLER_KUBERNETES);
	add_numbered(0);
	replica_start(t.w.replicas[0]);
	torture_go_for(SETTLE_MS);
	one = measure();
	for (size_t i = 1; i < n; i++)
		add_numbered(i);
	torture_go_for((int64_t)n * 1000 / WRITES_A_SECOND + SETTLE_MS);
	all = measure();
	(void)printf("%zu\n", (all - one) / (n - 1));
	return *outcome.failure != '\0';
}
