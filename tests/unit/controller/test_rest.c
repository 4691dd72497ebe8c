/* Of which BuildConfigs nothing has to be remembered, and what is known of them when something
 * happens again (controller/rest.c). */
#include "parts.h"

#include "controller/start_plan.h"

/* An ignored BuildConfig has nothing to show, and nothing to do. */
static void put_quiet(struct parts *p, int last_version)
{
	static int version = 100;
	CLEANUP(json_freep) cJSON *doc = NULL;
	char text[PARTS_BODY_BYTES];

	(void)snprintf(
		text, sizeof(text),
		"{\"kind\":\"BuildConfig\",\"metadata\":{\"namespace\":\"shop\",\"name\":\"cart\","
		"\"uid\":\"u1\",\"resourceVersion\":\"%d\",\"annotations\":{"
		"\"buildhook.io/ignore\":\"true\"}},\"spec\":{\"triggers\":[{\"type\":\"GitHub\","
		"\"github\":{\"secret\":\"inline\"}}]},\"status\":{\"lastVersion\":%d}}",
		++version, last_version);
	assert_int_equal(json_parse(&doc, str_of(text), NULL), 0);
	kube_store_put(p->services.store, doc, p->base.mono_ms);
}

static struct object *recalled(struct parts *p)
{
	struct object *object = parts_new_object(p);

	rest_recall(object, object_buildconfig(object));
	return object;
}

static bool is_at_rest(struct object *object)
{
	CLEANUP(observation_release) struct observation o = {0};

	observe(&o, object);
	return rest_is_possible(object, &o);
}

static void what_was_recalled_can_rest_again(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = recalled(p);

	assert_true(is_at_rest(object));
}

static void a_key_without_a_buildconfig_cannot_rest(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = recalled(p);

	kube_store_remove(p->services.store, "shop/cart");
	assert_false(is_at_rest(object));
}

static void a_change_that_waits_keeps_it_from_rest(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = recalled(p);

	(void)parts_push(p, "d1", "refs/heads/main");
	assert_false(is_at_rest(object));
}

static void what_its_object_does_not_show_keeps_it_from_rest(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = recalled(p);
	CLEANUP(observation_release) struct observation o = {0};
	static char text[] = "x";
	struct work work = {0};
	struct start_trouble trouble = {0};
	const struct object quiet = *object;

	observe(&o, object);
	assert_true(rest_is_possible(object, &o));
#define KEEPS_AWAKE(member, value)                                                                 \
	do {                                                                                       \
		__typeof__(object->member) before = object->member;                                \
		object->member = value;                                                            \
		if (rest_is_possible(object, &o))                                                  \
			fail_msg(#member);                                                         \
		object->member = before;                                                           \
	} while (0)
	KEEPS_AWAKE(work, &work);
	KEEPS_AWAKE(has_status_turn, true);
	KEEPS_AWAKE(bucket.used, 1e9);
	KEEPS_AWAKE(trouble, &trouble);
	KEEPS_AWAKE(throttled_reads, 1);
	KEEPS_AWAKE(told_seq, 1);
	KEEPS_AWAKE(order.known_version, 3);
	KEEPS_AWAKE(order.gap_number, 3);
	KEEPS_AWAKE(order.look_back.seq, 1);
	KEEPS_AWAKE(status.knows_trouble, false);
	KEEPS_AWAKE(status.trouble, quiet.status.trouble + 1);
	KEEPS_AWAKE(status.refused_ms, 1);
	KEEPS_AWAKE(status.retry_ms, 1);
	KEEPS_AWAKE(status.due_ms, 1);
	KEEPS_AWAKE(status.failures, 1);
	KEEPS_AWAKE(status.others_ms, 1);
	KEEPS_AWAKE(status.others_n, 1);
	KEEPS_AWAKE(status.bound_told, 1);
	KEEPS_AWAKE(status.is_not_ready_told, true);
	KEEPS_AWAKE(status.ignored_told[HOOK_TYPES - 1], 1);
	KEEPS_AWAKE(status.refused_told[0], 1);
	KEEPS_AWAKE(secrets.failures, 1);
	KEEPS_AWAKE(origin.has_looked_version, false);
	KEEPS_AWAKE(origin.looked_version, 2);
	KEEPS_AWAKE(origin.hint, text);
	KEEPS_AWAKE(origin.hint_ms, 1);
	KEEPS_AWAKE(runner.version, 3);
	KEEPS_AWAKE(runner.unrun, text);
	KEEPS_AWAKE(redelivery.request, 1);
	KEEPS_AWAKE(redelivery.since_ms, 1);
	KEEPS_AWAKE(redelivery.retry_ms, 1);
	KEEPS_AWAKE(redelivery.before_seq, 1);
	KEEPS_AWAKE(redelivery.is_searched, true);
	assert_true(rest_is_possible(object, &o));
}

static void a_status_write_is_remembered_for_a_minute(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = recalled(p);

	object->status.written_ms = p->base.mono_ms;
	world_advance(&p->base, WRITTEN_MS - 1);
	assert_false(is_at_rest(object));
	world_advance(&p->base, 1);
	assert_true(is_at_rest(object));
}

/* Who raised it may still make its Build. */
static void a_new_number_keeps_it_from_rest_for_a_time(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = recalled(p);

	world_advance(&p->base, 1000);
	put_quiet(p, 4);
	(void)is_at_rest(object);
	object->origin.looked_version = 4;
	world_advance(&p->base, START_SETTLED_MS - 1);
	assert_false(is_at_rest(object));
	world_advance(&p->base, 1);
	assert_true(is_at_rest(object));
}

/* A number that rose meanwhile is found by comparison with what is recalled. */
static void what_is_recalled_is_what_was_known(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *early = recalled(p);
	CLEANUP(parts_free_object) struct object *late = NULL;

	assert_int_equal(early->cached_version, 3);
	assert_int_equal(early->origin.looked_version, 3);
	assert_int_equal(early->runner.seen_version, 3);
	assert_int_equal(early->cached_version_ms, p->controller->synced_ms);
	/* Not every BuildConfig has been looked at since the cache was synced. */
	assert_false(early->runner.has_seen_version);
	world_advance(&p->base, RECALLED_MS);
	late = recalled(p);
	assert_true(late->runner.has_seen_version);
	assert_int_equal(late->cached_version_ms, p->base.mono_ms - START_SETTLED_MS);
}

static int setup(void **state)
{
	int rc = parts_setup(state);
	struct parts *p = *state;

	if (rc != 0)
		return rc;
	p->controller->synced_ms = p->base.mono_ms;
	put_quiet(p, 3);
	return 0;
}

#define REST_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, parts_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		REST_TEST(what_was_recalled_can_rest_again),
		REST_TEST(a_key_without_a_buildconfig_cannot_rest),
		REST_TEST(a_change_that_waits_keeps_it_from_rest),
		REST_TEST(what_its_object_does_not_show_keeps_it_from_rest),
		REST_TEST(a_status_write_is_remembered_for_a_minute),
		REST_TEST(a_new_number_keeps_it_from_rest_for_a_time),
		REST_TEST(what_is_recalled_is_what_was_known),
	};

	return cmocka_run_group_tests_name("rest", tests, NULL, NULL);
}
