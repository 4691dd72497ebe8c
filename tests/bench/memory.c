/*
 * Counts the memory of a BuildConfig: the whole program with an API server in memory and virtual
 * time (tests/sim), which has N BuildConfigs and has written their status, and is started anew.
 *
 *     memory N      prints the bytes of the heap that each BuildConfig takes in the new process
 */
#include "torture/alloc.h"
#include "torture/torture.h"

#include "sim/api.h"

#include "base/log.h"

#include <malloc.h>
#include <stdio.h>

/* Five statuses are written a second. */
#define WRITES_A_SECOND 5
#define SETTLE_MS       60000

/* No request without sockets is made here. */
void http_abort_all(struct replica *replica)
{
	(void)replica;
}

bool http_has_fed(const struct replica *replica)
{
	(void)replica;
	return false;
}

void http_check_patience(struct replica *replica)
{
	(void)replica;
}

bool alloc_pause(void)
{
	return false;
}

void alloc_resume(bool was_armed)
{
	(void)was_armed;
}

static void add_buildconfig(size_t i)
{
	cJSON *doc = json_new_object(), *metadata = NULL, *spec = NULL, *git = NULL,
	      *trigger = NULL;
	char name[32], uri[80];

	(void)snprintf(name, sizeof(name), "app-%06zu", i);
	(void)snprintf(uri, sizeof(uri), "https://git.example.com/shop/%s.git", name);
	json_put_str(doc, "apiVersion", "build.openshift.io/v1");
	json_put_str(doc, "kind", "BuildConfig");
	metadata = json_put_object(doc, "metadata");
	json_put_str(metadata, "namespace", "shop");
	json_put_str(metadata, "name", name);
	spec = json_put_object(doc, "spec");
	git = json_put_object(json_put_object(spec, "source"), "git");
	json_put_str(git, "uri", uri);
	json_put_str(git, "ref", "main");
	json_put_object(json_put_object(spec, "strategy"), "dockerStrategy");
	trigger = json_append(json_put_array(spec, "triggers"), json_new_object());
	json_put_str(trigger, "type", "GitHub");
	json_put_str(json_put_object(trigger, "github"), "secret", "It's a Secret to Everybody");
	(void)api_add(t.w.api, API_BUILDCONFIG, doc);
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
	add_buildconfig(0);
	replica_start(t.w.replicas[0]);
	torture_go_for(SETTLE_MS);
	one = measure();
	for (size_t i = 1; i < n; i++)
		add_buildconfig(i);
	torture_go_for((int64_t)n * 1000 / WRITES_A_SECOND + SETTLE_MS);
	all = measure();
	(void)printf("%zu\n", (all - one) / (n - 1));
	return *outcome.failure != '\0';
}
