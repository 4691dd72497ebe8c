/*
 * One namespace has 10,000 BuildConfigs (20,000 in the long form) that all have a build to start
 * and a status to write. The API server takes one request at a time, a millisecond each. Another
 * namespace's push and status come about as soon as if it were alone.
 */
#include "parts.h"

#define LOUD          (is_long() ? 20000 : 10000)
#define PER_NAMESPACE 16
#define REQUESTS      4   /* read the BuildConfig, list, create, raise */
#define STATUS_MS     200 /* time between two status writes */
#define BUILD                                                                                      \
	"{\"metadata\":{\"name\":\"cart-1\",\"resourceVersion\":\"7\",\"annotations\":{"           \
	"\"openshift.io/build.number\":\"1\"}}}"

struct fair_world {
	struct parts p;
	int64_t built_ms, status_ms; /* times of the quiet namespace */
	int n_built;
};

struct name {
	char name[64], uid[140];
};

static struct parts_buildconfig of_name(struct name *name, const char *namespace_)
{
	(void)snprintf(name->uid, sizeof(name->uid), "%s-%s", namespace_, name->name);
	return (struct parts_buildconfig){namespace_, name->name, name->uid, 1, 0};
}

static struct parts_buildconfig loud(struct name *name, int i)
{
	(void)snprintf(name->name, sizeof(name->name), "app-%d", i);
	return of_name(name, "loud");
}

static int serve(struct parts *p, const struct kube_request *request, char body[PARTS_BODY_BYTES])
{
	struct fair_world *w = (struct fair_world *)p;
	char namespace_[64];
	struct name name;

	if (strstr(request->path, "/builds?labelSelector=")) {
		(void)snprintf(body, PARTS_BODY_BYTES, "{\"items\":[]}");
	} else if (strstr(request->path, "/builds?fieldManager")) {
		w->n_built++;
		(void)snprintf(body, PARTS_BODY_BYTES, BUILD);
		return 201;
	} else if (sscanf(request->path,
			  "/apis/build.openshift.io/v1/namespaces/%63[^/]/buildconfigs/%63[^/?]",
			  namespace_, name.name) == 2) {
		parts_format_buildconfig(body, of_name(&name, namespace_));
		if (strstr(request->path, "force=true") && strcmp(namespace_, "quiet") == 0)
			w->status_ms = p->base.mono_ms;
	}
	return 200;
}

static int setup(void **state)
{
	struct fair_world *w = calloc(1, sizeof(*w));

	*state = w;
	if (!w || parts_init(&w->p) != 0)
		return -1;
	w->p.serve = serve;
	w->p.is_running = true;
	parts_start(&w->p, CONTROLLER_KUBERNETES, 5, 0);
	return 0;
}

static void on_progress(void *arg, const struct progress *progress)
{
	struct fair_world *w = arg;

	assert_int_equal(progress->kind, PROGRESS_STARTED);
	w->built_ms = w->p.base.mono_ms;
}

static int64_t push(struct fair_world *w, struct parts_buildconfig bc)
{
	int64_t seq = parts_push_to(&w->p, bc, bc.name, "refs/heads/main");
	char key[140];

	(void)snprintf(key, sizeof(key), "%s/%s", bc.namespace_, bc.name);
	queue_add(w->p.services.queue, key);
	return seq;
}

static void one_namespace_delays_another_by_at_most_its_keys_in_work(void **state)
{
	struct fair_world *w = *state;
	struct name name, cart = {.name = "cart"};
	struct parts_buildconfig quiet = of_name(&cart, "quiet");
	int64_t began_ms;
	int n_loud;

	kube_store_begin_list(w->p.services.store, NULL);
	for (int i = 0; i < LOUD; i++) {
		parts_put(&w->p, loud(&name, i));
		(void)push(w, loud(&name, i));
	}
	parts_put(&w->p, quiet);
	kube_store_end_list(w->p.services.store, NULL);
	controller_resume(w->p.controller);
	parts_go(&w->p, 500);

	began_ms = w->p.base.mono_ms;
	n_loud = w->n_built;
	(void)waiters_add(w->p.services.waiters, push(w, quiet), on_progress, w);
	parts_go(&w->p, 1000);
	print_message("built after %lld ms, while %d others were\n",
		      (long long)(w->built_ms - began_ms), w->n_built - n_loud);
	assert_true(w->built_ms > began_ms);
	/* Each of its requests waits behind at most one request of each key of the other namespace
	 * that is worked on. */
	assert_in_range(w->built_ms - began_ms, 1, REQUESTS * (PER_NAMESPACE + 1) + 10);
	/* The loud namespace's builds start meanwhile. */
	assert_in_range(w->n_built - n_loud, 200, LOUD);
}

/* All statuses take more than half an hour. */
static void one_namespace_delays_the_status_of_another_by_one_write(void **state)
{
	struct fair_world *w = *state;
	struct name name, cart = {.name = "cart"};
	int64_t began_ms;

	kube_store_begin_list(w->p.services.store, NULL);
	for (int i = 0; i < LOUD; i++)
		parts_put(&w->p, loud(&name, i));
	kube_store_end_list(w->p.services.store, NULL);
	controller_resume(w->p.controller);
	parts_go(&w->p, 5000);
	began_ms = w->p.base.mono_ms;
	parts_put(&w->p, of_name(&cart, "quiet"));
	parts_go(&w->p, 1000);
	print_message("status after %lld ms\n", (long long)(w->status_ms - began_ms));
	assert_in_range(w->status_ms - began_ms, 0, 2 * STATUS_MS + PER_NAMESPACE);
}

#define FAIR_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, parts_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAIR_TEST(one_namespace_delays_another_by_at_most_its_keys_in_work),
		FAIR_TEST(one_namespace_delays_the_status_of_another_by_one_write),
	};

	return cmocka_run_group_tests_name("fair", tests, NULL, NULL);
}
