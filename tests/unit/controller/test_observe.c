#include "parts.h"

static struct observed seen_of(struct object *object)
{
	CLEANUP(observation_release) struct observation o = {0};

	observe(&o, object);
	return o.seen;
}

static void nothing_is_seen_where_nothing_is(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
	struct observed seen = seen_of(object);

	assert_null(seen.bc);
	assert_int_equal(seen.n_changes, 0);
	assert_true(seen.is_api_up);
}

static void the_oldest_change_is_seen_and_whether_a_newer_one_replaces_it(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
	int64_t first = parts_push(p, "d1", "refs/heads/main");

	(void)parts_push(p, "d2", "refs/heads/dev");
	assert_int_equal(seen_of(object).n_changes, 2);
	assert_int_equal(seen_of(object).change.seq, first);
	assert_false(seen_of(object).change.has_successor);
	(void)parts_push(p, "d3", "refs/heads/main");
	assert_true(seen_of(object).change.has_successor);
}

static void the_flood_limit_says_when_the_next_build_may_start(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

	assert_int_equal(seen_of(object).token_wait_ms, 0);
	token_bucket_take(&object->bucket, &p->controller->limit, p->base.mono_ms);
	/* 12 a minute */
	assert_int_equal(seen_of(object).token_wait_ms, 5000);
}

/* The trouble of starts is dropped when no change waits. */
static void a_wait_for_another_build_is_seen_until_its_time(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

	(void)parts_push(p, "d1", "refs/heads/main");
	*start_get_trouble(object) = (struct start_trouble){.until_ms = p->base.mono_ms + 3000,
							    .outside = "cart-8 is made"};
	assert_int_equal(seen_of(object).start_wait_ms, 3000);
	assert_string_equal(seen_of(object).waits_for, "cart-8 is made");
	parts_go(p, 3000);
	assert_int_equal(seen_of(object).start_wait_ms, 0);
}

static void what_starts_waited_for_is_forgotten_when_nothing_waits(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

	start_get_trouble(object)->until_ms = INT64_MAX;
	assert_int_equal(seen_of(object).start_wait_ms, 0);
	assert_null(object->trouble);
}

/* The time is that at which the store saw the number first. */
static void a_last_version_is_remembered_with_its_time(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
	int64_t began_ms = p->base.mono_ms;

	parts_put_buildconfig(p, 3);
	(void)seen_of(object);
	parts_go(p, 100);
	(void)seen_of(object);
	assert_int_equal(object->cached_version, 3);
	assert_int_equal(object->cached_version_ms, began_ms);
	parts_put_buildconfig(p, 4);
	(void)seen_of(object);
	assert_int_equal(object->cached_version_ms, began_ms + 100);
}

/* While the API server is down, the senders get its exact trouble. */
static void the_reason_why_the_api_server_is_away_is_told(void **state)
{
	static const struct {
		int status;
		const char *why;
	} cases[] = {{401, "the API server answered 401"},
		     {503, "the API server answered 503"},
		     {0, "the API server does not answer"}};
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		p->status = cases[i].status;
		(void)kube_start(p->services.client, &(struct kube_request){.path = "/x"},
				 parts_ignore, NULL);
		/* Longer than from one probe to the next. */
		parts_go(p, 30000);
		assert_false(seen_of(object).is_api_up);
		assert_string_equal(seen_of(object).api_trouble, cases[i].why);
	}
}

struct told_once {
	int n;
	char message[100];
};

static void on_progress(void *arg, const struct progress *progress)
{
	struct told_once *told = arg;

	told->n++;
	assert_int_equal(progress->kind, PROGRESS_WAITING);
	(void)snprintf(told->message, sizeof(told->message), "%s", progress->message);
}

/* The line of the newest delivery keeps its reason: a second push that waits does not remove it. */
static void those_that_wait_are_told_why_once_and_the_line_says_it(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
	struct told_once first = {0}, second = {0};
	const struct hook_activity *line;
	int64_t seq = parts_push(p, "d1", "refs/heads/main");

	(void)waiters_add(p->services.waiters, seq, on_progress, &first);
	*start_get_trouble(object) =
		(struct start_trouble){.why = "exceeded quota: small", .outside = "a quota"};
	tell_waiting(object, seq, object->trouble->outside);
	assert_int_equal(first.n, 1);
	assert_string_equal(first.message, "a quota");
	seq = parts_push(p, "d2", "refs/heads/dev");
	(void)waiters_add(p->services.waiters, seq, on_progress, &second);
	tell_waiting(object, seq, object->trouble->outside);
	tell_waiting(object, seq, object->trouble->outside);
	assert_int_equal(first.n, 1);
	assert_int_equal(second.n, 1);
	line = activity_find(p->services.activity, "u1", HOOK_GITHUB);
	assert_non_null(line);
	assert_non_null(strstr(line->last, "dev"));
	assert_non_null(strstr(line->last, "-> waiting, exceeded quota: small"));
	assert_true(line->is_dirty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PARTS_TEST(nothing_is_seen_where_nothing_is),
		PARTS_TEST(the_oldest_change_is_seen_and_whether_a_newer_one_replaces_it),
		PARTS_TEST(the_flood_limit_says_when_the_next_build_may_start),
		PARTS_TEST(a_wait_for_another_build_is_seen_until_its_time),
		PARTS_TEST(what_starts_waited_for_is_forgotten_when_nothing_waits),
		PARTS_TEST(a_last_version_is_remembered_with_its_time),
		PARTS_TEST(the_reason_why_the_api_server_is_away_is_told),
		PARTS_TEST(those_that_wait_are_told_why_once_and_the_line_says_it),
	};

	return cmocka_run_group_tests_name("observe", tests, NULL, NULL);
}
