/* Does anything on a plain Kubernetes run Builds (controller/runner.c)? */
#include "parts.h"

static const char *list; /* the API server's answer */
static int n_lists;

static int serve(struct parts *p, const struct kube_request *request, char body[PARTS_BODY_BYTES])
{
	if (!strstr(request->path, "/namespaces/shop/builds?limit=500"))
		return 200;
	n_lists++;
	(void)snprintf(body, PARTS_BODY_BYTES, "%s", list);
	return p->status;
}

static struct observed observe_runner(struct object *object)
{
	struct observed seen = {.bc = object_buildconfig(object)};

	runner_observe(&seen, object);
	return seen;
}

static void look(struct parts *p, struct object *object)
{
	n_lists = 0;
	queue_add(p->services.queue, object->key);
	assert_string_equal(queue_get(p->services.queue), object->key);
	runner_act(object);
	parts_go(p, 10);
	assert_null(object->work);
	assert_int_equal(n_lists, 1);
}

/* Number 4 has been raised, and its Build should have begun to run. */
static void expect_build(struct parts *p, struct object *object)
{
	p->controller->run_seen_ms = 0;
	parts_put_buildconfig(p, 3);
	(void)observe_runner(object);
	parts_put_buildconfig(p, 4);
	(void)observe_runner(object);
	parts_go(p, 60000);
	assert_true(observe_runner(object).wants_run_look);
	assert_int_equal(observe_runner(object).run_wait_ms, 0);
}

#define BUILD(name, phase)                                                                         \
	"{\"metadata\":{\"name\":\"" name "\"},\"status\":{\"phase\":\"" phase "\"}}"
#define LIST(items) "{\"items\":[" items "]}"

static void a_new_build_has_a_minute_to_begin(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

	parts_put_buildconfig(p, 3);
	assert_false(observe_runner(object).wants_run_look);
	parts_put_buildconfig(p, 4);
	assert_int_equal(observe_runner(object).run_wait_ms, 60000);
	/* One that comes meanwhile does not put it off. */
	parts_go(p, 59999);
	parts_put_buildconfig(p, 5);
	assert_int_equal(observe_runner(object).run_wait_ms, 1);
	assert_int_equal(object->runner.version, 4);
}

static void openshift_runs_its_builds(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

	p->controller->opt.backend = CONTROLLER_OPENSHIFT;
	parts_put_buildconfig(p, 3);
	(void)observe_runner(object);
	parts_put_buildconfig(p, 4);
	assert_false(observe_runner(object).wants_run_look);
}

static void a_list_shows_whether_anything_runs(void **state)
{
	static const struct {
		const char *list;
		bool is_unrun, is_seen;
	} cases[] = {
		{LIST(BUILD("cart-4", "New")), true, false},
		{LIST(BUILD("cart-4", "")), true, false},
		{LIST("{\"metadata\":{\"name\":\"cart-4\"}}"), true, false},
		/* It ran long ago. */
		{LIST(BUILD("cart-3", "Complete") "," BUILD("cart-4", "New")), true, false},
		{LIST(BUILD("cart-4", "New") "," BUILD("other-1", "Pending")), false, true},
		{LIST(BUILD("cart-4", "New") "," BUILD("other-1", "Running")), false, true},
		{LIST(BUILD("cart-4", "Complete")), false, true},
		{LIST(BUILD("cart-4", "Failed")), false, true},
		/* Deleted meanwhile. */
		{LIST(BUILD("cart-3", "New")), false, false},
		{LIST(""), false, false},
		{"{}", false, false},
	};
	struct parts *p = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

		expect_build(p, object);
		list = cases[i].list;
		look(p, object);
		if ((object->runner.unrun != NULL) != cases[i].is_unrun ||
		    (p->controller->run_seen_ms != 0) != cases[i].is_seen)
			fail_msg("case %zu", i);
		if (cases[i].is_unrun)
			assert_string_equal(object->runner.unrun, "cart-4");
		assert_int_equal(observe_runner(object).wants_run_look, cases[i].is_unrun);
	}
}

static void while_the_hint_stands_the_look_is_repeated(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

	expect_build(p, object);
	list = LIST(BUILD("cart-4", "New"));
	look(p, object);
	assert_in_range(observe_runner(object).run_wait_ms, 299980, 300000);
	parts_go(p, 300000);
	list = LIST(BUILD("cart-4", "Running"));
	look(p, object);
	assert_null(object->runner.unrun);
	assert_false(observe_runner(object).wants_run_look);
}

/* The next number is looked at again. */
static void a_list_that_failed_says_nothing(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

	expect_build(p, object);
	list = "{\"kind\":\"Status\"}";
	p->status = 403;
	look(p, object);
	assert_null(object->runner.unrun);
	assert_int_equal(p->controller->run_seen_ms, 0);
	assert_false(observe_runner(object).wants_run_look);
	parts_put_buildconfig(p, 5);
	assert_true(observe_runner(object).wants_run_look);
}

static void after_a_build_ran_nothing_is_listed_for_an_hour(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

	expect_build(p, object);
	p->controller->run_seen_ms = p->base.mono_ms;
	object->runner.unrun = mem_strdup("cart-4");
	assert_false(observe_runner(object).wants_run_look);
	/* Another BuildConfig's look has shown it. */
	assert_null(object->runner.unrun);
	world_advance(&p->base, 3599999);
	parts_put_buildconfig(p, 5);
	assert_false(observe_runner(object).wants_run_look);
	world_advance(&p->base, 1);
	parts_put_buildconfig(p, 6);
	assert_true(observe_runner(object).wants_run_look);
}

/* All BuildConfigs together cause at most six lists a minute. */
static void lists_are_ten_seconds_apart(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *first = parts_new_object(p);
	CLEANUP(parts_free_object) struct object *second = parts_new_object(p);

	expect_build(p, first);
	second->runner = (struct runner_memory){
		.has_seen_version = true, .seen_version = 3, .version = 4, .look_ms = 1};
	assert_int_equal(observe_runner(second).run_wait_ms, 0);
	list = LIST("");
	look(p, first);
	assert_int_equal(observe_runner(second).run_wait_ms, 10000 - 10);
	parts_go(p, 9990);
	assert_int_equal(observe_runner(second).run_wait_ms, 0);
}

/* An earlier process may have left the hint. */
static void a_hint_that_was_left_is_looked_at_once(void **state)
{
	static const char text[] =
		"{\"kind\":\"BuildConfig\",\"metadata\":{\"namespace\":\"shop\",\"name\":\"cart\","
		"\"uid\":\"u1\",\"resourceVersion\":\"5000\",\"annotations\":{"
		"\"buildhook.io/hint\":\"nothing runs\"}},\"status\":{\"lastVersion\":4}}";
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
	CLEANUP(json_freep) cJSON *doc = NULL;

	assert_int_equal(json_parse(&doc, str_of(text), NULL), 0);
	kube_store_put(p->services.store, doc, p->base.mono_ms);
	assert_true(observe_runner(object).wants_run_look);
	assert_int_equal(object->runner.version, 4);
	list = LIST("");
	look(p, object);
	assert_false(observe_runner(object).wants_run_look);
}

static int setup(void **state)
{
	int rc = parts_setup(state);
	struct parts *p = *state;

	if (rc != 0)
		return rc;
	p->serve = serve;
	p->controller->opt.backend = CONTROLLER_KUBERNETES;
	return 0;
}

#define RUNNER_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, parts_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUNNER_TEST(a_new_build_has_a_minute_to_begin),
		RUNNER_TEST(openshift_runs_its_builds),
		RUNNER_TEST(a_list_shows_whether_anything_runs),
		RUNNER_TEST(while_the_hint_stands_the_look_is_repeated),
		RUNNER_TEST(a_list_that_failed_says_nothing),
		RUNNER_TEST(after_a_build_ran_nothing_is_listed_for_an_hour),
		RUNNER_TEST(lists_are_ten_seconds_apart),
		RUNNER_TEST(a_hint_that_was_left_is_looked_at_once),
	};

	return cmocka_run_group_tests_name("runner", tests, NULL, NULL);
}
