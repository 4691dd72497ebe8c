/*
 * One start from the row to the end, against an API server that answers as the test says: a Build
 * is made there by another replica after we have asked for our own by label, and before we look at
 * the earlier ones by number.
 */
#include "../journal/world.h"

#include "buildconfig/buildconfig.h"
#include "controller/build_body.h"
#include "controller/controller.h"

#define BUILDCONFIG                                                                                \
	"{\"apiVersion\":\"build.openshift.io/v1\",\"kind\":\"BuildConfig\",\"metadata\":{"        \
	"\"namespace\":\"shop\",\"name\":\"cart\",\"uid\":\"%s\",\"resourceVersion\":\"%d\"},"     \
	"\"spec\":{\"source\":{\"git\":{\"uri\":\"https://git.example.com/cart.git\"}},"           \
	"\"strategy\":{\"type\":\"Docker\",\"dockerStrategy\":{}},\"triggers\":[{\"type\":"        \
	"\"GitHub\",\"github\":{\"secret\":\"inline\"}}]},\"status\":{\"lastVersion\":%d}}"
#define BUILD                                                                                      \
	"{\"apiVersion\":\"build.openshift.io/v1\",\"kind\":\"Build\",\"metadata\":{"              \
	"\"namespace\":\"shop\",\"name\":\"cart-%d\",\"resourceVersion\":\"50%d\",\"labels\":{"    \
	"\"" BUILD_DELIVERY_LABEL                                                                  \
	"\":\"%s\"},\"annotations\":{\"openshift.io/build.number\":\"%d\"}}}"
#define GIVE_UP_MS 10000

/* One request under way. */
struct call {
	struct kube_call *call;
	struct timer timer;
	struct start_world *w;
	int status;
	char body[1100];
};

struct start_world {
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
	char label[BUILD_DELIVERY_LABEL_CHARS +
		   1]; /* of the Build with number 1, once it is made */
	bool is_made;
	const char *uid; /* of the BuildConfig */
	int resource_version;
	bool is_replaced_now;     /* when our own Builds are asked for */
	int n_posts;              /* that start a build */
	int n_looks;              /* at the Build with number 1 */
	int version;              /* status.lastVersion */
	int n_refusals;           /* starts that a quota refuses, after lastVersion was raised */
	bool is_listed;           /* the Build with number 1 is listed as ours */
	char list_path[400];      /* of the newest list of our own Builds */
	struct progress progress; /* what a delivery was told last */
	char text[1024];          /* its build_json or message */
};

#define QUOTA                                                                                      \
	"{\"kind\":\"Status\",\"reason\":\"Forbidden\",\"message\":\"builds.build.openshift.io "   \
	"\\\"cart-%d\\\" is forbidden: exceeded quota: small\",\"details\":{\"kind\":\"builds\","  \
	"\"name\":\"cart-%d\"}}"

static void answer(struct call *call, int status, const char *body)
{
	call->status = status;
	(void)snprintf(call->body, sizeof(call->body), "%s", body);
}

/* Into the cache. */
static void put_buildconfig(struct start_world *w)
{
	char text[1024];
	cJSON *doc;

	(void)snprintf(text, sizeof(text), BUILDCONFIG, w->uid, w->resource_version, 0);
	assert_int_equal(json_parse(&doc, str_of(text), NULL), 0);
	kube_store_put(w->store, doc, w->base.mono_ms);
	cJSON_Delete(doc);
}

static void replace_buildconfig(struct start_world *w)
{
	w->is_replaced_now = false;
	w->uid = "u2";
	w->resource_version++;
	put_buildconfig(w);
}

static void serve(struct call *call, const struct kube_request *request)
{
	struct start_world *w = call->w;
	bool is_post = request->method == KUBE_POST;
	char body[1024];

	answer(call, 200, "{}");
	if (strstr(request->path, "/builds?labelSelector=")) {
		(void)snprintf(w->list_path, sizeof(w->list_path), "%s", request->path);
		(void)snprintf(body, sizeof(body), BUILD, 1, 1, w->label, 1);
		(void)snprintf(call->body, sizeof(call->body),
			       "{\"kind\":\"BuildList\",\"items\":[%s]}", w->is_listed ? body : "");
		w->is_made = true;
		if (w->is_replaced_now)
			replace_buildconfig(w);
	} else if (strstr(request->path, "/builds/cart-1") && w->is_made) {
		w->n_looks++;
		(void)snprintf(body, sizeof(body), BUILD, 1, 1, w->label, 1);
		answer(call, 200, body);
	} else if (is_post && (strstr(request->path, "/instantiate") ||
			       strstr(request->path, "/builds?fieldManager"))) {
		w->n_posts++;
		w->version++;
		if (w->n_refusals > 0) {
			w->n_refusals--;
			(void)snprintf(body, sizeof(body), QUOTA, w->version, w->version);
			answer(call, 403, body);
			return;
		}
		(void)snprintf(body, sizeof(body), BUILD, w->version, w->version, "ours",
			       w->version);
		answer(call, 201, body);
	} else if (strstr(request->path, "/buildconfigs/cart")) {
		(void)snprintf(body, sizeof(body), BUILDCONFIG, w->uid, w->resource_version,
			       w->version);
		answer(call, 200, body);
	}
}

static void on_due(void *arg)
{
	struct call *call = arg;
	const struct http_client_answer came = {.status = call->status,
						.content_type = STR("application/json"),
						.body = str_of(call->body)};

	kube_transport_done(call->call, &came);
	free(call);
}

static void *on_start(void *ctx, struct kube_call *kube_call, const struct kube_request *request)
{
	struct start_world *w = ctx;
	struct call *call = mem_new(1, sizeof(*call));

	call->call = kube_call;
	call->w = w;
	serve(call, request);
	timer_start(w->base.clock, &call->timer, 1, on_due, call);
	return call;
}

static void on_cancel(void *ctx, void *handle)
{
	struct call *call = handle;

	timer_stop(((struct start_world *)ctx)->base.clock, &call->timer);
	free(call);
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
	struct start_world *w = arg;

	if (w->controller)
		controller_on_change(w->controller, key, old, new_);
}

static void on_queue(void *arg)
{
	controller_run(((struct start_world *)arg)->controller);
}

static void make_controller(struct start_world *w, enum controller_backend backend)
{
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
		.backend = backend,
		.public_url = "",
		.instance = "one",
		.give_up_ms = WINDOW_MS,
		.status_interval_ms = 5000,
		.resync_ms = WINDOW_MS,
		.secret_ttl_ms = 30000,
		.rotation_grace_ms = WINDOW_MS,
		.build_burst = 5,
	});
}

static void make_parts(struct start_world *w)
{
	const struct kube_transport transport = {.ctx = w, .start = on_start, .cancel = on_cancel};

	world_must_open(&w->base);
	w->client = kube_client_new_over(w->base.clock, &transport);
	w->store = kube_store_new(&(struct kube_store_type){
		.parse = parse, .free = free_parsed, .on_change = on_object, .arg = w});
	w->secrets = kube_secrets_new(&(struct kube_secrets_options){
		.client = w->client, .clock = w->base.clock, .ttl_ms = 30000});
	w->metrics = metrics_new();
	w->waiters = waiters_new();
	w->activity = activity_new();
	w->queue = queue_new(w->base.clock, 16, on_queue, w);
}

static int setup(void **state)
{
	struct start_world *w = calloc(1, sizeof(*w));

	*state = w;
	if (!w || world_init(&w->base) != 0)
		return -1;
	w->uid = "u1";
	w->resource_version = 1;
	w->version = 1;
	make_parts(w);
	return 0;
}

static int teardown(void **state)
{
	struct start_world *w = *state;

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

static void ignore(void *arg, const struct kube_response *response)
{
	(void)arg;
	(void)response;
}

static void go_for(struct start_world *w, int64_t ms)
{
	for (int64_t i = 0; i < ms; i++) {
		world_advance(&w->base, 1);
		clock_run(w->base.clock);
		journal_collect(w->base.journal);
	}
}

/* The cache is behind: it does not know of number 1. */
static void sync_store(struct start_world *w)
{
	kube_store_begin_list(w->store, NULL);
	put_buildconfig(w);
	kube_store_end_list(w->store, NULL);
	controller_resume(w->controller);
}

struct end {
	enum journal_state state;
	char build[64];
};

static void keep_end(void *arg, const struct journal_change *change)
{
	struct end *end = arg;

	end->state = change->state;
	(void)snprintf(end->build, sizeof(end->build), "%s", change->build);
}

/* Build cart-1 is of delivery MADE_BY; ours is "d1". */
static void start_beside(struct start_world *w, struct end *out, enum controller_backend backend,
			 const char *made_by)
{
	struct journal_change change = sample("d1", "refs/heads/main");
	struct journal_change theirs = sample(made_by, "refs/heads/main");

	change.uid = theirs.uid = "u1";
	build_delivery_label(w->label, &theirs);
	make_controller(w, backend);
	(void)kube_start(w->client, &(struct kube_request){.path = "/readyz"}, ignore, NULL);
	go_for(w, 10);
	sync_store(w);
	assert_int_equal(add(&w->base, &change, 1).status, ERR_OK);
	queue_add(w->queue, "shop/cart");
	for (int64_t i = 0; i < GIVE_UP_MS && out->state != JOURNAL_STARTED; i++) {
		go_for(w, 1);
		journal_each_recent(w->base.journal, 1, keep_end, out);
	}
	assert_true(w->is_made);
	assert_int_equal(out->state, JOURNAL_STARTED);
}

static void check_own(void **state, enum controller_backend backend)
{
	struct start_world *w = *state;
	struct end end = {0};

	start_beside(w, &end, backend, "d1");
	assert_string_equal(end.build, "cart-1");
	go_for(w, GIVE_UP_MS);
	assert_int_equal(w->n_posts, 0);
}

static void openshift_takes_a_build_that_another_replica_makes_of_this_delivery(void **state)
{
	check_own(state, CONTROLLER_OPENSHIFT);
}

static void kubernetes_takes_a_build_that_another_replica_makes_of_this_delivery(void **state)
{
	check_own(state, CONTROLLER_KUBERNETES);
}

static void check_foreign(void **state, enum controller_backend backend)
{
	struct start_world *w = *state;
	struct end end = {0};

	start_beside(w, &end, backend, "another");
	assert_string_equal(end.build, "cart-2");
	assert_int_equal(w->n_posts, 1);
}

static void openshift_starts_a_build_beside_that_of_another_delivery(void **state)
{
	check_foreign(state, CONTROLLER_OPENSHIFT);
}

static void kubernetes_starts_a_build_beside_that_of_another_delivery(void **state)
{
	check_foreign(state, CONTROLLER_KUBERNETES);
}

/* Its successor counts from 1 again: what was looked at of the one says nothing of the other. */
static void builds_of_a_buildconfig_that_is_replaced_within_a_start_are_looked_at_anew(void **state)
{
	struct start_world *w = *state;
	struct journal_change change = sample("d2", "refs/heads/main");
	struct end end = {0};

	w->is_replaced_now = true;
	start_beside(w, &end, CONTROLLER_OPENSHIFT, "another");
	end.state = JOURNAL_ACCEPTED;
	w->n_looks = 0;
	change.uid = "u2";
	assert_int_equal(add(&w->base, &change, 1).status, ERR_OK);
	queue_add(w->queue, "shop/cart");
	go_for(w, GIVE_UP_MS);
	journal_each_recent(w->base.journal, 1, keep_end, &end);
	assert_int_equal(end.state, JOURNAL_STARTED);
	assert_int_equal(w->n_looks, 1);
}

static void keep_progress(void *arg, const struct progress *progress)
{
	struct start_world *w = arg;

	w->progress = *progress;
	(void)snprintf(w->text, sizeof(w->text), "%.*s%s", STR_ARG(progress->build_json),
		       progress->message);
}

/* The second delivery of the BuildConfig, which somebody waits for. */
static void deliver_again(struct start_world *w)
{
	struct journal_change change = sample("d2", "refs/heads/main");
	struct told told;

	change.uid = "u1";
	told = add(&w->base, &change, 1);
	assert_int_equal(told.status, ERR_OK);
	(void)waiters_add(w->waiters, told.results[0].seq, keep_progress, w);
	queue_add(w->queue, "shop/cart");
}

/* Each refusal raised lastVersion, and nobody makes a Build of its number. */
static void openshift_waits_for_no_number_that_a_quota_has_used_up(void **state)
{
	struct start_world *w = *state;
	struct end end = {0};

	w->n_refusals = 3;
	start_beside(w, &end, CONTROLLER_OPENSHIFT, "another");
	assert_string_equal(end.build, "cart-5");
	assert_int_equal(w->n_posts, 4);
}

static void a_git_host_hears_of_a_quota_in_a_few_words(void **state)
{
	struct start_world *w = *state;
	struct end end = {0};

	start_beside(w, &end, CONTROLLER_OPENSHIFT, "another");
	w->n_refusals = 1;
	deliver_again(w);
	go_for(w, 500);
	assert_int_equal(w->progress.kind, PROGRESS_WAITING);
	assert_string_equal(w->text, "exceeded quota: small");
}

static void a_build_of_this_delivery_that_another_replica_made_is_shown_whole(void **state)
{
	struct start_world *w = *state;
	struct journal_change theirs = sample("d2", "refs/heads/main");
	struct end end = {0};
	char expected[1024];

	start_beside(w, &end, CONTROLLER_KUBERNETES, "another");
	theirs.uid = "u1";
	build_delivery_label(w->label, &theirs);
	w->is_listed = true;
	deliver_again(w);
	go_for(w, 500);
	(void)snprintf(expected, sizeof(expected), BUILD, 1, 1, w->label, 1);
	assert_int_equal(w->progress.kind, PROGRESS_STARTED);
	assert_string_equal(w->text, expected);
	assert_int_equal(w->n_posts, 1);
}

static void a_start_after_one_of_ours_needs_no_consistent_list(void **state)
{
	struct start_world *w = *state;
	struct end end = {0};

	start_beside(w, &end, CONTROLLER_OPENSHIFT, "another");
	assert_null(strstr(w->list_path, "resourceVersion"));
	deliver_again(w);
	go_for(w, 500);
	assert_int_equal(w->n_posts, 2);
	assert_non_null(
		strstr(w->list_path, "&resourceVersion=502&resourceVersionMatch=NotOlderThan"));
}

#define START_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		START_TEST(openshift_takes_a_build_that_another_replica_makes_of_this_delivery),
		START_TEST(kubernetes_takes_a_build_that_another_replica_makes_of_this_delivery),
		START_TEST(openshift_starts_a_build_beside_that_of_another_delivery),
		START_TEST(kubernetes_starts_a_build_beside_that_of_another_delivery),
		START_TEST(openshift_waits_for_no_number_that_a_quota_has_used_up),
		START_TEST(a_git_host_hears_of_a_quota_in_a_few_words),
		START_TEST(a_build_of_this_delivery_that_another_replica_made_is_shown_whole),
		START_TEST(a_start_after_one_of_ours_needs_no_consistent_list),
		START_TEST(
			builds_of_a_buildconfig_that_is_replaced_within_a_start_are_looked_at_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
