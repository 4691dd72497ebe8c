/*
 * One start from the row to the end, against an API server that answers as the test says: another
 * replica makes a Build after this one has listed its own by label, and before it looks at earlier
 * ones by number.
 */
#include "controller/build_body.h"

#include "parts.h"

#define BUILD                                                                                      \
	"{\"apiVersion\":\"build.openshift.io/v1\",\"kind\":\"Build\",\"metadata\":{"              \
	"\"namespace\":\"shop\",\"name\":\"cart-%d\",\"resourceVersion\":\"50%d\",\"labels\":{"    \
	"\"" BUILD_DELIVERY_LABEL                                                                  \
	"\":\"%s\"},\"annotations\":{\"openshift.io/build.number\":\"%d\"}}}"
#define GONE       "{\"kind\":\"Status\",\"reason\":\"NotFound\",\"details\":{\"name\":\"cart\"}}"
#define GIVE_UP_MS 10000

struct start_world {
	struct parts p;
	char label[BUILD_DELIVERY_LABEL_CHARS +
		   1]; /* delivery of the Build with number 1, once it is made */
	bool is_made;
	struct parts_buildconfig bc;
	bool is_replaced_now;     /* the BuildConfig is replaced when our own Builds are listed */
	int n_posts;              /* requests that start a build */
	int n_looks;              /* reads of the Build with number 1 */
	int n_refusals;           /* starts that a quota refuses, after lastVersion was raised */
	int read_status;          /* of the next read of the BuildConfig, which fails; 0: none */
	int list_status;          /* the same of the next list of our own Builds */
	bool is_gone;             /* the BuildConfig is not there */
	bool is_listed;           /* the Build with number 1 is listed as ours */
	char list_path[400];      /* path of the newest list of our own Builds */
	struct progress progress; /* what a delivery was told last */
	char text[1024];          /* its build_json or message */
};

#define QUOTA                                                                                      \
	"{\"kind\":\"Status\",\"reason\":\"Forbidden\",\"message\":\"builds.build.openshift.io "   \
	"\\\"cart-%d\\\" is forbidden: exceeded quota: small\",\"details\":{\"kind\":\"builds\","  \
	"\"name\":\"cart-%d\"}}"

/* The store is old: it has lastVersion 0. */
static void put_buildconfig(struct start_world *w)
{
	struct parts_buildconfig cached = w->bc;

	cached.last_version = 0;
	parts_put(&w->p, cached);
}

static void replace_buildconfig(struct start_world *w)
{
	w->is_replaced_now = false;
	w->bc.uid = "u2";
	w->bc.resource_version++;
	put_buildconfig(w);
}

static void put_build(char body[PARTS_BODY_BYTES], int number, const char *label)
{
	(void)snprintf(body, PARTS_BODY_BYTES, BUILD, number, number, label, number);
}

/* STATUS, once; else 200. */
static int take_status(int *status)
{
	int taken = *status ? *status : 200;

	*status = 0;
	return taken;
}

static int serve(struct parts *p, const struct kube_request *request, char body[PARTS_BODY_BYTES])
{
	struct start_world *w = (struct start_world *)p;
	bool is_post = request->method == KUBE_POST;
	char build[1024];

	if (strstr(request->path, "/builds?labelSelector=")) {
		(void)snprintf(w->list_path, sizeof(w->list_path), "%s", request->path);
		(void)snprintf(build, sizeof(build), BUILD, 1, 1, w->label, 1);
		(void)snprintf(body, PARTS_BODY_BYTES, "{\"kind\":\"BuildList\",\"items\":[%s]}",
			       w->is_listed ? build : "");
		w->is_made = true;
		if (w->is_replaced_now)
			replace_buildconfig(w);
		return take_status(&w->list_status);
	} else if (strstr(request->path, "/builds/cart-1") && w->is_made) {
		w->n_looks++;
		put_build(body, 1, w->label);
	} else if (is_post && (strstr(request->path, "/instantiate") ||
			       strstr(request->path, "/builds?fieldManager"))) {
		int number = ++w->bc.last_version;

		w->n_posts++;
		if (w->n_refusals > 0) {
			w->n_refusals--;
			(void)snprintf(body, PARTS_BODY_BYTES, QUOTA, number, number);
			return 403;
		}
		put_build(body, number, "ours");
		return 201;
	} else if (strstr(request->path, "/buildconfigs/cart")) {
		parts_format_buildconfig(body, w->bc);
		if (!w->is_gone)
			return take_status(&w->read_status);
		(void)snprintf(body, PARTS_BODY_BYTES, "%s", GONE);
		return 404;
	}
	return 200;
}

static int setup(void **state)
{
	struct start_world *w = calloc(1, sizeof(*w));

	*state = w;
	if (!w || parts_init(&w->p) != 0)
		return -1;
	w->p.serve = serve;
	w->p.is_running = true;
	w->bc = (struct parts_buildconfig){"shop", "cart", "u1", 1, 1};
	return 0;
}

static void sync_store(struct start_world *w)
{
	kube_store_begin_list(w->p.services.store, NULL);
	put_buildconfig(w);
	kube_store_end_list(w->p.services.store, NULL);
	controller_resume(w->p.controller);
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
	struct journal_change theirs = sample(made_by, "refs/heads/main");

	theirs.uid = "u1";
	build_delivery_label(w->label, &theirs);
	parts_start(&w->p, backend, 5, 0);
	sync_store(w);
	(void)parts_push(&w->p, "d1", "refs/heads/main");
	queue_add(w->p.services.queue, "shop/cart");
	for (int64_t i = 0; i < GIVE_UP_MS && out->state != JOURNAL_STARTED; i++) {
		parts_go(&w->p, 1);
		journal_each_recent(w->p.base.journal, 1, keep_end, out);
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
	parts_go(&w->p, GIVE_UP_MS);
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

/* The new BuildConfig counts from 1 again: Builds that were looked at for the old one must not
 * count for it. */
static void builds_of_a_buildconfig_that_is_replaced_within_a_start_are_looked_at_anew(void **state)
{
	struct start_world *w = *state;
	struct end end = {0};

	w->is_replaced_now = true;
	start_beside(w, &end, CONTROLLER_OPENSHIFT, "another");
	end.state = JOURNAL_ACCEPTED;
	w->n_looks = 0;
	(void)parts_push_to(&w->p, w->bc, "d2", "refs/heads/main");
	queue_add(w->p.services.queue, "shop/cart");
	parts_go(&w->p, GIVE_UP_MS);
	journal_each_recent(w->p.base.journal, 1, keep_end, &end);
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

/* The second delivery to the BuildConfig, whose sender waits. */
static void deliver_again(struct start_world *w)
{
	int64_t seq = parts_push(&w->p, "d2", "refs/heads/main");

	(void)waiters_add(w->p.services.waiters, seq, keep_progress, w);
	queue_add(w->p.services.queue, "shop/cart");
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
	parts_go(&w->p, 500);
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
	parts_go(&w->p, 500);
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
	parts_go(&w->p, 500);
	assert_int_equal(w->n_posts, 2);
	assert_non_null(
		strstr(w->list_path, "&resourceVersion=502&resourceVersionMatch=NotOlderThan"));
}

/* The start after one of ours reads the BuildConfig and its Builds side by side. */
static void a_start_whose_list_is_refused_beside_the_read_lists_consistently(void **state)
{
	struct start_world *w = *state;
	struct end end = {0};

	start_beside(w, &end, CONTROLLER_KUBERNETES, "another");
	w->list_status = 504;
	deliver_again(w);
	parts_go(&w->p, 500);
	assert_int_equal(w->n_posts, 2);
	assert_null(strstr(w->list_path, "resourceVersion"));
}

static void a_start_with_one_of_its_two_reads_failed_is_tried_again(void **state)
{
	struct start_world *w = *state;
	struct end end = {0};

	start_beside(w, &end, CONTROLLER_KUBERNETES, "another");
	w->read_status = 500;
	deliver_again(w);
	parts_go(&w->p, 500);
	assert_int_equal(w->progress.kind, PROGRESS_WAITING);
	assert_int_equal(w->n_posts, 1);
	w->list_status = 500;
	parts_go(&w->p, 2 * GIVE_UP_MS);
	journal_each_recent(w->p.base.journal, 1, keep_end, &end);
	assert_int_equal(w->n_posts, 2);
	assert_int_equal(end.state, JOURNAL_STARTED);
}

static void a_buildconfig_that_is_gone_ends_the_start_without_the_list(void **state)
{
	struct start_world *w = *state;
	struct end end = {0};

	start_beside(w, &end, CONTROLLER_OPENSHIFT, "another");
	w->is_gone = true;
	w->list_status = 500;
	deliver_again(w);
	parts_go(&w->p, 500);
	assert_int_equal(w->progress.kind, PROGRESS_ENDED);
	assert_int_equal(w->n_posts, 1);
}

#define START_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, parts_teardown)

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
		START_TEST(a_start_whose_list_is_refused_beside_the_read_lists_consistently),
		START_TEST(a_start_with_one_of_its_two_reads_failed_is_tried_again),
		START_TEST(a_buildconfig_that_is_gone_ends_the_start_without_the_list),
		START_TEST(
			builds_of_a_buildconfig_that_is_replaced_within_a_start_are_looked_at_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
