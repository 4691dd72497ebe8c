/*
 * One namespace has two thousand BuildConfigs that all have a build to start and a status to write.
 * The API server takes one request at a time, a millisecond each. Another namespace's push and
 * status come about as soon as if it were alone.
 */
#include "../journal/world.h"

#include "buildconfig/buildconfig.h"
#include "controller/build_body.h"
#include "controller/controller.h"

#include <utlist.h>

#define LOUD          2000
#define PER_NAMESPACE 16
#define REQUESTS      4   /* read the BuildConfig, list, create, raise */
#define STATUS_MS     200 /* between two status writes of all */
#define BUILDCONFIG                                                                                \
	"{\"apiVersion\":\"build.openshift.io/v1\",\"kind\":\"BuildConfig\",\"metadata\":{"        \
	"\"namespace\":\"%s\",\"name\":\"%s\",\"uid\":\"%s\",\"resourceVersion\":\"%d\"},"         \
	"\"spec\":{\"source\":{\"git\":{\"uri\":\"https://git.example.com/cart.git\"}},"           \
	"\"strategy\":{\"type\":\"Docker\",\"dockerStrategy\":{}},\"triggers\":[{\"type\":"        \
	"\"GitHub\",\"github\":{\"secret\":\"inline\"}}]},\"status\":{\"lastVersion\":0}}"
#define BUILD                                                                                      \
	"{\"metadata\":{\"name\":\"cart-1\",\"resourceVersion\":\"7\",\"annotations\":{"           \
	"\"openshift.io/build.number\":\"1\"}}}"

struct call {
	struct kube_call *call;
	struct fair_world *w;
	int status;
	char body[1024];
	struct call *prev, *next;
};

struct fair_world {
	struct world base;
	struct services services;
	struct kube_client *client;
	struct kube_store *store;
	struct kube_secrets *secrets;
	struct metrics *metrics;
	struct waiters *waiters;
	struct activity *activity;
	struct queue *queue;
	struct controller *controller;
	struct call *calls;
	struct timer serve;
	int64_t built_ms, status_ms; /* of the quiet namespace */
	int n_built;
};

static void put_text(char out[1024], const char *namespace_, const char *name)
{
	char uid[64];

	(void)snprintf(uid, sizeof(uid), "%.20s-%.20s", namespace_, name);
	(void)snprintf(out, 1024, BUILDCONFIG, namespace_, name, uid, 1);
}

static void answer(struct call *call, const struct kube_request *request)
{
	char namespace_[64], name[64];

	call->status = 200;
	if (strstr(request->path, "/builds?labelSelector=")) {
		(void)snprintf(call->body, sizeof(call->body), "{\"items\":[]}");
	} else if (strstr(request->path, "/builds?fieldManager")) {
		call->status = 201;
		call->w->n_built++;
		(void)snprintf(call->body, sizeof(call->body), BUILD);
	} else if (sscanf(request->path,
			  "/apis/build.openshift.io/v1/namespaces/%63[^/]/buildconfigs/%63[^/?]",
			  namespace_, name) == 2) {
		put_text(call->body, namespace_, name);
		if (strstr(request->path, "force=true") && strcmp(namespace_, "quiet") == 0)
			call->w->status_ms = call->w->base.mono_ms;
	} else {
		(void)snprintf(call->body, sizeof(call->body), "{}");
	}
}

/* The oldest request: the server takes one at a time. */
static void serve_one(void *arg)
{
	struct fair_world *w = arg;
	struct call *call = w->calls;
	const struct http_client_answer came = {.status = call->status,
						.content_type = STR("application/json"),
						.body = str_of(call->body)};

	DL_DELETE(w->calls, call);
	kube_transport_done(call->call, &came);
	free(call);
	if (w->calls && !timer_running(&w->serve))
		timer_start(w->base.clock, &w->serve, 1, serve_one, w);
}

static void *on_start(void *ctx, struct kube_call *kube_call, const struct kube_request *request)
{
	struct fair_world *w = ctx;
	struct call *call = mem_new(1, sizeof(*call));

	call->call = kube_call;
	call->w = w;
	answer(call, request);
	DL_APPEND(w->calls, call);
	if (!timer_running(&w->serve))
		timer_start(w->base.clock, &w->serve, 1, serve_one, w);
	return call;
}

static void on_cancel(void *ctx, void *handle)
{
	struct fair_world *w = ctx;
	struct call *call = handle;

	DL_DELETE(w->calls, call);
	free(call);
	if (!w->calls)
		timer_stop(w->base.clock, &w->serve);
}

static void *parse(void *arg, const cJSON *doc)
{
	(void)arg;
	return buildconfig_parse(doc);
}

static void free_parsed(void *object)
{
	buildconfig_free(object);
}

static void on_object(void *arg, const char *key, const void *old, const void *new_)
{
	struct fair_world *w = arg;

	if (w->controller)
		controller_on_change(w->controller, key, old, new_);
}

static void on_queue(void *arg)
{
	controller_run(((struct fair_world *)arg)->controller);
}

static void ignore(void *arg, const struct kube_response *response)
{
	(void)arg;
	(void)response;
}

static void go_for(struct fair_world *w, int64_t ms)
{
	for (int64_t i = 0; i < ms; i++) {
		world_advance(&w->base, 1);
		clock_run(w->base.clock);
		journal_collect(w->base.journal);
	}
}

static int setup(void **state)
{
	struct fair_world *w = calloc(1, sizeof(*w));
	const struct kube_transport transport = {.ctx = w, .start = on_start, .cancel = on_cancel};

	*state = w;
	if (!w || world_init(&w->base) != 0)
		return -1;
	world_must_open(&w->base);
	w->client = kube_client_new_over(w->base.clock, &transport);
	w->store = kube_store_new(&(struct kube_store_type){
		.parse = parse, .free = free_parsed, .on_change = on_object, .arg = w});
	w->secrets = kube_secrets_new(&(struct kube_secrets_options){
		.client = w->client, .clock = w->base.clock, .ttl_ms = 30000});
	w->metrics = metrics_new();
	w->waiters = waiters_new();
	w->activity = activity_new();
	w->queue = queue_new(w->base.clock, PER_NAMESPACE, on_queue, w);
	w->services = (struct services){
		.clock = w->base.clock,
		.queue = w->queue,
		.client = w->client,
		.store = w->store,
		.secrets = w->secrets,
		.journal = w->base.journal,
		.waiters = w->waiters,
		.activity = w->activity,
		.metrics = w->metrics,
	};
	w->controller = controller_new(&(struct controller_options){
		.services = &w->services,
		.backend = CONTROLLER_KUBERNETES,
		.public_url = "",
		.instance = "one",
		.give_up_ms = WINDOW_MS,
		.status_interval_ms = 5000,
		.resync_ms = WINDOW_MS,
		.secret_ttl_ms = 30000,
		.rotation_grace_ms = WINDOW_MS,
		.build_burst = 5,
	});
	return 0;
}

static int teardown(void **state)
{
	struct fair_world *w = *state;

	controller_free(w->controller);
	kube_secrets_free(w->secrets);
	kube_client_free(w->client);
	kube_store_free(w->store);
	queue_free(w->queue);
	waiters_free(w->waiters);
	activity_free(w->activity);
	metrics_free(w->metrics);
	world_release(&w->base);
	free(w);
	return 0;
}

static void put_buildconfig(struct fair_world *w, const char *namespace_, const char *name)
{
	char text[1024];
	cJSON *doc;

	put_text(text, namespace_, name);
	assert_int_equal(json_parse(&doc, str_of(text), NULL), 0);
	kube_store_put(w->store, doc, w->base.mono_ms);
	cJSON_Delete(doc);
}

static void on_progress(void *arg, const struct progress *progress)
{
	struct fair_world *w = arg;

	assert_int_equal(progress->kind, PROGRESS_STARTED);
	w->built_ms = w->base.mono_ms;
}

static int64_t push(struct fair_world *w, const char *namespace_, const char *name)
{
	struct journal_change change = sample(name, "refs/heads/main");
	char uid[64], key[64];
	struct told told;

	(void)snprintf(uid, sizeof(uid), "%s-%s", namespace_, name);
	(void)snprintf(key, sizeof(key), "%s/%s", namespace_, name);
	change.uid = uid;
	change.namespace_ = namespace_;
	change.name = name;
	told = add(&w->base, &change, 1);
	assert_int_equal(told.status, ERR_OK);
	queue_add(w->queue, key);
	return told.results[0].seq;
}

static void one_namespace_delays_another_by_at_most_its_keys_in_work(void **state)
{
	struct fair_world *w = *state;
	int64_t began_ms;
	char name[32];
	int n_loud;

	(void)kube_start(w->client, &(struct kube_request){.path = "/readyz"}, ignore, NULL);
	go_for(w, 10);
	kube_store_begin_list(w->store, NULL);
	for (int i = 0; i < LOUD; i++) {
		(void)snprintf(name, sizeof(name), "app-%d", i);
		put_buildconfig(w, "loud", name);
		(void)push(w, "loud", name);
	}
	put_buildconfig(w, "quiet", "cart");
	kube_store_end_list(w->store, NULL);
	controller_resume(w->controller);
	go_for(w, 500);

	began_ms = w->base.mono_ms;
	n_loud = w->n_built;
	(void)waiters_add(w->waiters, push(w, "quiet", "cart"), on_progress, w);
	go_for(w, 1000);
	print_message("built after %lld ms, while %d others were\n",
		      (long long)(w->built_ms - began_ms), w->n_built - n_loud);
	assert_true(w->built_ms > began_ms);
	/* Each of its requests waits behind one of each key of the other that is in work. */
	assert_in_range(w->built_ms - began_ms, 1, REQUESTS * (PER_NAMESPACE + 1) + 10);
	/* And the other goes on meanwhile: nothing was held back. */
	assert_in_range(w->n_built - n_loud, 200, LOUD);
}

/* The two thousand statuses take 400 s. */
static void one_namespace_delays_the_status_of_another_by_one_write(void **state)
{
	struct fair_world *w = *state;
	int64_t began_ms;
	char name[32];

	(void)kube_start(w->client, &(struct kube_request){.path = "/readyz"}, ignore, NULL);
	go_for(w, 10);
	kube_store_begin_list(w->store, NULL);
	for (int i = 0; i < LOUD; i++) {
		(void)snprintf(name, sizeof(name), "app-%d", i);
		put_buildconfig(w, "loud", name);
	}
	kube_store_end_list(w->store, NULL);
	controller_resume(w->controller);
	go_for(w, 5000);
	began_ms = w->base.mono_ms;
	put_buildconfig(w, "quiet", "cart");
	go_for(w, 1000);
	print_message("status after %lld ms\n", (long long)(w->status_ms - began_ms));
	assert_in_range(w->status_ms - began_ms, 0, 2 * STATUS_MS + PER_NAMESPACE);
}

#define FAIR_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAIR_TEST(one_namespace_delays_another_by_at_most_its_keys_in_work),
		FAIR_TEST(one_namespace_delays_the_status_of_another_by_one_write),
	};

	return cmocka_run_group_tests_name("fair", tests, NULL, NULL);
}
