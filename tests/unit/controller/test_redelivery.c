/* Annotation buildhook.io/redeliver: a delivery is built once more (controller/redelivery.c). */
#include "parts.h"

static int n_patches;
static char patch[1000];

static int serve(struct parts *p, const struct kube_request *request, char body[PARTS_BODY_BYTES])
{
	if (request->method != KUBE_MERGE_PATCH)
		return 200;
	n_patches++;
	assert_string_equal(request->path, "/apis/build.openshift.io/v1/namespaces/shop/"
					   "buildconfigs/cart?fieldManager=buildhook");
	(void)snprintf(patch, sizeof(patch), "%.*s", STR_ARG(request->body));
	if (p->status == 200)
		parts_format_buildconfig(body,
					 (struct parts_buildconfig){"shop", "cart", "u1", 9000, 0});
	else
		(void)snprintf(body, PARTS_BODY_BYTES,
			       "{\"kind\":\"Status\",\"reason\":\"Conflict\"}");
	return p->status;
}

/* ANNOTATIONS: members of metadata.annotations. */
static void ask(struct parts *p, const char *annotations)
{
	static int version = 100;
	CLEANUP(json_freep) cJSON *doc = NULL;
	char text[PARTS_BODY_BYTES];

	(void)snprintf(text, sizeof(text),
		       "{\"kind\":\"BuildConfig\",\"metadata\":{\"namespace\":\"shop\",\"name\":"
		       "\"cart\",\"uid\":\"u1\",\"resourceVersion\":\"%d\",\"annotations\":{%s}}}",
		       ++version, annotations);
	assert_int_equal(json_parse(&doc, str_of(text), NULL), 0);
	kube_store_put(p->services.store, doc, p->base.mono_ms);
}

#define ASK(request) "\"buildhook.io/redeliver\":\"" request "\""

static struct observed observe_redelivery(struct object *object)
{
	struct observed seen = {.bc = object_buildconfig(object)};

	redelivery_observe(&seen, object);
	return seen;
}

static void act(struct parts *p, struct object *object)
{
	n_patches = 0;
	queue_add(p->services.queue, object->key);
	assert_string_equal(queue_get(p->services.queue), object->key);
	assert_true(observe_redelivery(object).wants_redelivery);
	redelivery_act(object);
	parts_go(p, 20);
	assert_null(object->work);
}

static struct journal_waiting waiting(struct parts *p)
{
	struct journal_waiting out = {0};

	journal_read_waiting(p->services.journal, "shop/cart", &out);
	return out;
}

static void what_is_asked_for_is_seen_until_it_is_done(void **state)
{
	static const struct {
		const char *annotations;
		bool is_wanted;
	} cases[] = {
		{"", false},
		{ASK(""), false},
		{ASK("d1 a"), true},
		{ASK("d1 a") ",\"buildhook.io/redelivered\":\"d1 a\"", false},
		{ASK("d1 b") ",\"buildhook.io/redelivered\":\"d1 a\"", true},
		{ASK("d1 a") ",\"buildhook.io/ignore\":\"true\"", false},
	};
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		ask(p, cases[i].annotations);
		if (observe_redelivery(object).wants_redelivery != cases[i].is_wanted)
			fail_msg("case %zu", i);
		/* Of what is done nothing is remembered. */
		assert_int_equal(object->redelivery.request != 0, cases[i].is_wanted);
	}
}

static void a_delivery_is_stored_once_more_and_then_told(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
	CLEANUP(journal_change_freep) struct journal_change *row = NULL;
	int64_t first = parts_push(p, "d1", "refs/heads/main");
	char version[64];

	assert_int_equal(write_state(&p->base, first, JOURNAL_STARTED, "cart-1", ""), ERR_OK);
	ask(p, ASK("d1 a"));
	(void)snprintf(version, sizeof(version), "\"resourceVersion\":\"%s\"",
		       object_buildconfig(object)->resource_version);
	parts_go(p, 5000);
	act(p, object);
	assert_int_equal(waiting(p).n, 1);
	row = journal_read_row(p->services.journal, waiting(p).seq);
	assert_non_null(row);
	assert_string_equal(row->delivery_id, "d1 a");
	assert_string_equal(row->ref, "refs/heads/main");
	assert_in_range(row->accepted_ms, p->base.wall_ms - 20, p->base.wall_ms);
	assert_int_equal(n_patches, 1);
	assert_non_null(strstr(patch, "\"buildhook.io/redelivered\":\"d1 a\""));
	/* Nobody else may have written it meanwhile. */
	assert_non_null(strstr(patch, version));
}

/* They were pushed in this order. */
static void the_changes_of_a_delivery_keep_their_order(void **state)
{
	static const char *const refs[] = {"refs/heads/b", "refs/heads/a", "refs/heads/c"};
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
	int64_t newest = 0;

	for (size_t i = 0; i < ARRAY_LEN(refs); i++)
		(void)write_state(&p->base, parts_push(p, "d1", refs[i]), JOURNAL_STARTED, "x", "");
	ask(p, ASK("d1 a"));
	act(p, object);
	newest = waiting(p).newest_seq;
	assert_int_equal(waiting(p).n, ARRAY_LEN(refs));
	for (size_t i = 0; i < ARRAY_LEN(refs); i++) {
		CLEANUP(journal_change_freep)
		struct journal_change *row =
			journal_read_row(p->services.journal, newest - 2 + (int64_t)i);

		assert_non_null(row);
		assert_string_equal(row->ref, refs[i]);
	}
}

/* A crash between the two writes does the same. */
static void a_claim_that_failed_is_tried_again_and_stores_nothing_twice(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

	(void)parts_push(p, "d1", "refs/heads/main");
	ask(p, ASK("d1 a"));
	p->status = 409;
	act(p, object);
	assert_int_equal(n_patches, 1);
	assert_int_equal(waiting(p).n, 2);
	assert_in_range(observe_redelivery(object).redelivery_wait_ms, 4970, 5000);
	parts_go(p, 5000);
	assert_int_equal(observe_redelivery(object).redelivery_wait_ms, 0);
	p->status = 200;
	act(p, object);
	assert_int_equal(n_patches, 1);
	assert_int_equal(waiting(p).n, 2);
}

/* Another replica may hold it, and has a minute to say so. */
static void a_delivery_that_is_not_here_is_unknown_after_a_minute(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

	(void)parts_push(p, "d1", "refs/heads/main");
	ask(p, ASK("d2 a"));
	act(p, object);
	assert_int_equal(n_patches, 0);
	assert_int_equal(waiting(p).n, 1);
	assert_false(observe_redelivery(object).wants_redelivery);
	assert_int_equal(observe_redelivery(object).redelivery_wait_ms, 60000 - 20);
	parts_go(p, 59979);
	assert_false(redelivery_is_unknown(object));
	parts_go(p, 1);
	assert_true(redelivery_is_unknown(object));
	/* Another request is a new search. */
	ask(p, ASK("d1 b"));
	assert_true(observe_redelivery(object).wants_redelivery);
	assert_false(redelivery_is_unknown(object));
}

static int setup(void **state)
{
	int rc = parts_setup(state);

	if (rc == 0)
		((struct parts *)*state)->serve = serve;
	return rc;
}

#define REDELIVERY_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, parts_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		REDELIVERY_TEST(what_is_asked_for_is_seen_until_it_is_done),
		REDELIVERY_TEST(a_delivery_is_stored_once_more_and_then_told),
		REDELIVERY_TEST(the_changes_of_a_delivery_keep_their_order),
		REDELIVERY_TEST(a_claim_that_failed_is_tried_again_and_stores_nothing_twice),
		REDELIVERY_TEST(a_delivery_that_is_not_here_is_unknown_after_a_minute),
	};

	return cmocka_run_group_tests_name("redelivery", tests, NULL, NULL);
}
