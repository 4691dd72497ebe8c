/* Which keys are worked on and when: controller.c, and work.c below it. */
#include "parts.h"

#include "controller/build_body.h"

static size_t n_objects(const struct parts *p)
{
	return HASH_COUNT(p->controller->objects);
}

static void sync_store(struct parts *p)
{
	kube_store_begin_list(p->services.store, NULL);
	kube_store_end_list(p->services.store, NULL);
}

static void a_key_of_nothing_is_forgotten(void **state)
{
	struct parts *p = *state;

	sync_store(p);
	queue_add(p->services.queue, "shop/none");
	parts_go(p, 10);
	assert_int_equal(n_objects(p), 0);
	assert_true(controller_is_idle(p->controller));
	assert_int_equal(p->n_requests, 0);
}

/* Before that a BuildConfig that was not read yet would look like a deleted one. */
static void nothing_is_worked_on_before_the_cache_is_synced(void **state)
{
	struct parts *p = *state;

	(void)parts_push(p, "d1", "refs/heads/main");
	queue_add(p->services.queue, "shop/cart");
	parts_go(p, 100);
	assert_int_equal(p->n_requests, 0);
	assert_false(controller_is_idle(p->controller));
	sync_store(p);
	controller_resume(p->controller);
	parts_go(p, 10);
	assert_int_not_equal(p->n_requests, 0);
}

static void a_resume_takes_up_what_waits_in_the_journal(void **state)
{
	struct parts *p = *state;

	(void)parts_push(p, "d1", "refs/heads/main");
	sync_store(p);
	controller_resume(p->controller);
	parts_go(p, 1);
	assert_int_equal(n_objects(p), 1);
	assert_non_null(strstr(p->path, "/buildconfigs/cart"));
}

static void what_is_remembered_of_builds_goes_with_the_buildconfig(void **state)
{
	struct parts *p = *state;
	struct object *object;

	sync_store(p);
	controller_resume(p->controller);
	parts_put_buildconfig(p, 3);
	parts_go(p, 1000);
	object = p->controller->objects;
	assert_non_null(object);
	object->order.known_version = 3;
	parts_put_buildconfig(p, 3);
	assert_int_equal(object->order.known_version, 3);
	parts_put(p, (struct parts_buildconfig){"shop", "cart", "u2", 1000, 0});
	assert_int_equal(object->order.known_version, -1);
	assert_int_equal(object->cached_version, 0);
}

static void put_text(struct parts *p, const char *text)
{
	CLEANUP(json_freep) cJSON *doc = NULL;

	assert_int_equal(json_parse(&doc, str_of(text), NULL), 0);
	kube_store_put(p->services.store, doc, p->base.mono_ms);
}

/* With nothing to show and nothing to do. */
static void put_ignored(struct parts *p, int version, int last_version)
{
	char text[PARTS_BODY_BYTES];

	(void)snprintf(
		text, sizeof(text),
		"{\"kind\":\"BuildConfig\",\"metadata\":{\"namespace\":\"shop\",\"name\":\"cart\","
		"\"uid\":\"u1\",\"resourceVersion\":\"%d\",\"annotations\":{"
		"\"buildhook.io/ignore\":\"true\"}},\"spec\":{\"strategy\":{\"type\":\"Docker\"},"
		"\"triggers\":[{\"type\":\"GitHub\",\"github\":{\"secret\":\"inline\"}}]},"
		"\"status\":{\"lastVersion\":%d}}",
		version, last_version);
	put_text(p, text);
}

static void nothing_is_remembered_of_a_buildconfig_at_rest(void **state)
{
	struct parts *p = *state;

	kube_store_begin_list(p->services.store, NULL);
	put_ignored(p, 1001, 3);
	kube_store_end_list(p->services.store, NULL);
	controller_resume(p->controller);
	parts_go(p, 1000);
	assert_int_equal(n_objects(p), 0);
	put_ignored(p, 1002, 3);
	assert_int_equal(n_objects(p), 1);
	parts_go(p, 1000);
	assert_int_equal(n_objects(p), 0);
	assert_int_equal(p->n_requests, 0);
}

/* A number that rose while nothing was remembered is somebody else's Build. */
static void a_buildconfig_at_rest_is_known_when_something_happens(void **state)
{
	struct parts *p = *state;

	kube_store_begin_list(p->services.store, NULL);
	put_ignored(p, 1001, 3);
	kube_store_end_list(p->services.store, NULL);
	controller_resume(p->controller);
	parts_go(p, 100000);
	assert_int_equal(n_objects(p), 0);
	put_ignored(p, 1002, 4);
	parts_go(p, 4000);
	assert_int_equal(p->n_requests, 0);
	parts_go(p, 2000);
	assert_int_equal(p->n_requests, 1);
	assert_non_null(strstr(p->path, "/builds/cart-4"));
	/* As long as another's Build of that number may come. */
	assert_int_equal(n_objects(p), 1);
}

static int n_secret_reads;

static int count_secret_reads(struct parts *p, const struct kube_request *request,
			      char body[PARTS_BODY_BYTES])
{
	(void)p;
	if (!strstr(request->path, "/secrets/hook"))
		return 200;
	n_secret_reads++;
	(void)snprintf(
		body, PARTS_BODY_BYTES, "%s",
		"{\"kind\":\"Secret\",\"metadata\":{\"namespace\":\"shop\",\"name\":\"hook\","
		"\"uid\":\"s1\",\"resourceVersion\":\"8\"},\"data\":{\"WebHookSecretKey\":"
		"\"c2VjcmV0\"}}");
	return 200;
}

static void each_secret_is_looked_at_every_five_minutes(void **state)
{
	static const char text[] =
		"{\"kind\":\"BuildConfig\",\"metadata\":{\"namespace\":\"shop\",\"name\":\"cart\","
		"\"uid\":\"u1\",\"resourceVersion\":\"7\"},\"spec\":{\"triggers\":[{\"type\":"
		"\"GitHub\",\"github\":{\"secretReference\":{\"name\":\"hook\"}}}]}}";
	struct parts *p = *state;

	n_secret_reads = 0;
	p->serve = count_secret_reads;
	kube_store_begin_list(p->services.store, NULL);
	put_text(p, text);
	kube_store_end_list(p->services.store, NULL);
	controller_resume(p->controller);
	parts_go(p, 1000);
	assert_int_equal(n_secret_reads, 1);
	for (int i = 1; i <= 4; i++) {
		parts_go(p, 300000);
		assert_int_equal(n_secret_reads, 1 + i);
	}
}

/* A new address is part of what the annotations show. */
static void a_new_public_address_is_written_to_all(void **state)
{
	struct parts *p = *state;

	sync_store(p);
	parts_put_buildconfig(p, 0);
	parts_go(p, 10000);
	p->n_requests = 0;
	controller_set_public_url(p->controller, "https://hooks.example.com");
	parts_go(p, 10000);
	assert_int_not_equal(p->n_requests, 0);
	assert_int_equal(p->method, KUBE_APPLY);
	assert_non_null(strstr(p->body, "https://hooks.example.com/hooks/shop/cart/github"));
}

struct test_work {
	struct work work;
	bool *is_released;
};

static void release_work(struct work *work)
{
	*((struct test_work *)work)->is_released = true;
	free(work);
}

static struct work *begin_work(struct object *object, bool *is_released)
{
	struct test_work *w = mem_new(1, sizeof(*w));

	w->is_released = is_released;
	queue_add(object->controller->opt.services->queue, object->key);
	assert_string_equal(queue_get(object->controller->opt.services->queue), object->key);
	work_begin(&w->work, object, release_work);
	return &w->work;
}

static void an_action_that_ends_brings_its_key_back_when_it_asked_for_that(void **state)
{
	static const struct {
		int64_t again_ms;
		int64_t comes_ms; /* when the key comes; -1: not within a minute */
	} cases[] = {{0, 0}, {500, 500}, {-1, -1}};
	struct parts *p = *state;

	p->is_running = false;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
		bool is_released = false;
		int64_t waited_ms = 0;
		struct work *work;

		work = begin_work(object, &is_released);
		assert_ptr_equal(object->work, work);
		assert_int_equal(p->controller->n_working, 1);
		work_end(work, RECONCILE_SUCCESS, cases[i].again_ms);
		assert_true(is_released);
		assert_null(object->work);
		assert_int_equal(p->controller->n_working, 0);
		while (!queue_get(p->services.queue) && waited_ms < 60000) {
			parts_go(p, 1);
			waited_ms++;
		}
		assert_int_equal(waited_ms, cases[i].comes_ms < 0 ? 60000 : cases[i].comes_ms);
		if (cases[i].comes_ms >= 0)
			queue_done(p->services.queue, object->key);
	}
}

static void a_key_is_split_at_its_slash(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
	char namespace_[KUBE_NAME_BYTES], name[KUBE_NAME_BYTES];

	object_split(object, namespace_, name);
	assert_string_equal(namespace_, "shop");
	assert_string_equal(name, "cart");
}

static void on_read(void *arg, const struct kube_response *response)
{
	struct work *work = arg;

	(void)response;
	work->call = NULL;
}

/* With resourceVersion the API server could answer from an old cache. */
static void reads_are_consistent(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
	bool is_released = false;
	struct work *work = begin_work(object, &is_released);

	work_get_buildconfig(work, "shop", "cart", on_read);
	assert_string_equal(p->path,
			    "/apis/build.openshift.io/v1/namespaces/shop/buildconfigs/cart");
	parts_go(p, 10);
	work_get_build(work, "shop", "cart", 7, on_read);
	assert_string_equal(p->path, "/apis/build.openshift.io/v1/namespaces/shop/builds/cart-7");
	parts_go(p, 10);
	work_end(work, RECONCILE_SUCCESS, -1);
	assert_true(is_released);
}

static int setup(void **state)
{
	int rc = parts_setup(state);

	if (rc == 0)
		((struct parts *)*state)->is_running = true;
	return rc;
}

#define CONTROLLER_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, parts_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONTROLLER_TEST(a_key_of_nothing_is_forgotten),
		CONTROLLER_TEST(nothing_is_worked_on_before_the_cache_is_synced),
		CONTROLLER_TEST(a_resume_takes_up_what_waits_in_the_journal),
		CONTROLLER_TEST(what_is_remembered_of_builds_goes_with_the_buildconfig),
		CONTROLLER_TEST(nothing_is_remembered_of_a_buildconfig_at_rest),
		CONTROLLER_TEST(a_buildconfig_at_rest_is_known_when_something_happens),
		CONTROLLER_TEST(each_secret_is_looked_at_every_five_minutes),
		CONTROLLER_TEST(a_new_public_address_is_written_to_all),
		CONTROLLER_TEST(an_action_that_ends_brings_its_key_back_when_it_asked_for_that),
		CONTROLLER_TEST(a_key_is_split_at_its_slash),
		CONTROLLER_TEST(reads_are_consistent),
	};

	return cmocka_run_group_tests_name("controller", tests, NULL, NULL);
}
