#include "reflector_world.h"

#include "base/log.h"

static void a_list_in_pages_is_followed_by_a_watch(void **state)
{
	struct world *w = *state;

	expect_path(w, LIST);
	assert_int_equal(kube_reflector_age_ms(w->reflector), -1);
	bytes(w, PAGE_OF("10", "c/1", ITEM("a", "1", "one")));
	end(w);
	expect_path(w, PAGE("c%2F1"));
	assert_false(kube_store_is_synced(w->store));
	bytes(w, LIST_OF("10", ITEM("b", "2", "two")));
	end(w);
	assert_true(kube_store_is_synced(w->store));
	assert_int_equal(kube_store_count(w->store), 2);
	assert_int_equal(w->n_states, 1);
	expect_path(w, WATCH("10"));
}

static void events_change_the_store(void **state)
{
	struct world *w = *state;

	synced(w);
	bytes(w, EVENT("MODIFIED", ITEM("a", "11", "two")));
	expect_object(w, "n/a", "two");
	bytes(w, EVENT("ADDED", ITEM("b", "12", "b")) EVENT("DELETED", ITEM("a", "13", "two")));
	assert_null(kube_store_find(w->store, "n/a"));
	bytes(w, EVENT("DELETED", ITEM("unknown", "14", "x")) EVENT("ADDED", ITEM("b", "12", "b")));
	assert_int_equal(kube_store_count(w->store), 1);
}

static void a_watch_that_ends_at_its_time_goes_on_from_there(void **state)
{
	struct world *w = *state;

	synced(w);
	bytes(w, EVENT("MODIFIED", ITEM("a", "11", "two")));
	pass(w, 60000);
	end(w);
	expect_path(w, WATCH("11"));
	assert_int_equal(w->n_lists, 1);
	assert_string_equal(kube_reflector_error(w->reflector), "");
}

static void an_hour_of_bookmarks_needs_no_list(void **state)
{
	struct world *w = *state;

	synced(w);
	for (int i = 0; i < 60; i++) {
		pass(w, 60000);
		assert_non_null(w->call);
		bytes(w, i == 59 ? BOOKMARK("99") : BOOKMARK("50"));
		if (i % 5 == 4)
			end(w);
	}
	expect_path(w, WATCH("99"));
	assert_int_equal(w->n_lists, 1);
	assert_string_equal(kube_reflector_error(w->reflector), "");
}

static void a_cut_event_is_dropped_and_asked_for_again(void **state)
{
	struct world *w = *state;

	synced(w);
	bytes(w, EVENT("MODIFIED",
		       ITEM("a", "11", "two")) "{\"type\":\"MODIFIED\",\"object\":{\"meta");
	cut(w);
	assert_null(w->call);
	assert_string_not_equal(kube_reflector_error(w->reflector), "");
	pass(w, 1600);
	expect_path(w, WATCH("11"));
	expect_object(w, "n/a", "two");
	bytes(w, "");
	assert_string_equal(kube_reflector_error(w->reflector), "");
	bytes(w, EVENT("MODIFIED", ITEM("a", "12", "three")));
	expect_object(w, "n/a", "three");
}

static void after_410_it_lists_what_is_not_older(void **state)
{
	struct world *w = *state;

	synced(w);
	bytes(w, BOOKMARK("20"));
	end(w);
	bytes(w, BOOKMARK("21"));
	end(w);
	expect_path(w, WATCH("21"));
	bytes(w, BOOKMARK("22"));
	bytes(w, EVENT("ERROR", "{\"kind\":\"Status\",\"code\":410,\"message\":\"too old\"}"));
	pass(w, 0);
	expect_path(w, LIST "&resourceVersion=22" NOT_OLDER);
	bytes(w, LIST_OF("30", ITEM("b", "29", "b")));
	end(w);
	assert_null(kube_store_find(w->store, "n/a"));
	expect_path(w, WATCH("30"));
}

static void a_410_for_the_watch_itself_is_the_same(void **state)
{
	struct world *w = *state;

	synced(w);
	fail_with(w, 410, "Expired", NULL);
	expect_path(w, LIST "&resourceVersion=10" NOT_OLDER);
}

static void where_that_is_refused_it_lists_the_newest(void **state)
{
	static const struct {
		int status;
		const char *reason;
	} cases[] = {{410, "Expired"}, {504, "Too large resource version"}, {400, "BadRequest"}};
	struct world *w = *state;

	synced(w);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bytes(w, BOOKMARK("20"));
		bytes(w, EVENT("ERROR", "{\"code\":410}"));
		pass(w, 0);
		expect_path(w, LIST "&resourceVersion=20" NOT_OLDER);
		fail_with(w, cases[i].status, cases[i].reason, NULL);
		expect_path(w, LIST);
		bytes(w, LIST_OF("10", ""));
		end(w);
	}
}

static void a_page_that_expired_starts_the_list_over(void **state)
{
	struct world *w = *state;

	bytes(w, PAGE_OF("10", "c1", ITEM("a", "1", "one")));
	end(w);
	bytes(w, PAGE_OF("10", "c2", ITEM("b", "2", "two")));
	end(w);
	expect_path(w, PAGE("c2"));
	fail_with(w, 410, "Expired", NULL);
	expect_path(w, LIST);
	assert_false(kube_store_is_synced(w->store));
	bytes(w, PAGE_OF("20", "c3", ITEM("b", "2", "two")));
	end(w);
	/* The second time it waits: the list may take longer than its continue tokens are valid. */
	fail_with(w, 410, "Expired", NULL);
	assert_null(w->call);
	pass(w, 1600);
	expect_path(w, LIST);
	bytes(w, LIST_OF("30", ITEM("b", "2", "two")));
	end(w);
	assert_int_equal(kube_store_count(w->store), 1);
	expect_path(w, WATCH("30"));
}

static void a_page_that_failed_is_asked_for_again(void **state)
{
	struct world *w = *state;

	bytes(w, PAGE_OF("10", "c1", ITEM("a", "1", "one")));
	end(w);
	bytes(w, "{\"items\":[" ITEM("b", "2", "two"));
	cut(w);
	assert_null(w->call);
	pass(w, 1600);
	expect_path(w, PAGE("c1"));
	fail_with(w, 503, "ServiceUnavailable", NULL);
	pass(w, 3200);
	expect_path(w, PAGE("c1"));
	bytes(w, LIST_OF("10", ITEM("b", "2", "two")));
	end(w);
	assert_int_equal(kube_store_count(w->store), 2);
}

static void error_events_back_off_and_resume(void **state)
{
	static const char *const events[] = {
		EVENT("ERROR", "{\"kind\":\"Status\",\"code\":429,\"message\":\"slow down\"}"),
		EVENT("ERROR", "{\"kind\":\"Status\",\"code\":500,\"message\":\"internal\"}"),
		EVENT("ERROR", "null"),
	};
	struct world *w = *state;

	synced(w);
	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		bytes(w, BOOKMARK("20"));
		bytes(w, events[i]);
		assert_null(w->call);
		pass(w, 60000);
		expect_path(w, WATCH("20"));
	}
	assert_int_equal(w->n_lists, 1);
}

static void what_is_no_watch_is_an_error(void **state)
{
	struct world *w = *state;

	synced(w);
	bytes(w, "<html>log in</html>");
	assert_null(w->call);
	assert_non_null(strstr(kube_reflector_error(w->reflector), "not a watch"));
	pass(w, 1600);
	expect_path(w, WATCH("10"));
}

static void what_is_no_list_is_an_error(void **state)
{
	static const char *const answers[] = {"<html>",       "{\"items\":[]}",
					      "{\"items\":[", "",
					      "[]",           "{\"metadata\":[],\"items\":[]}"};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		bytes(w, answers[i]);
		end(w);
		assert_false(kube_store_is_synced(w->store));
		assert_string_not_equal(kube_reflector_error(w->reflector), "");
		pass(w, 60000);
		expect_path(w, LIST);
	}
}

static void five_minutes_of_refusals_are_few_requests(void **state)
{
	struct world *w = *state;
	int n_before = 0;

	w->chance = 0;
	synced(w);
	cut(w);
	n_before = w->n_started;
	for (int64_t ms = 0; ms < 300000; ms += 100) {
		if (w->call)
			refuse(w);
		pass(w, 100);
	}
	assert_true(w->n_started - n_before <= 20);
	assert_true(w->n_started - n_before >= 5);
	assert_int_equal(w->n_lists, 1);
	pass(w, 60000);
	expect_path(w, WATCH("10"));
}

static void a_throttled_watch_waits_as_long_as_it_is_told(void **state)
{
	struct world *w = *state;
	int n_before = 0;

	synced(w);
	n_before = w->n_started;
	for (int64_t ms = 0; ms < 60000; ms += 100) {
		if (w->call)
			fail_with(w, 429, "TooManyRequests", "1");
		pass(w, 100);
	}
	assert_true(w->n_started - n_before <= 72);
	assert_int_equal(w->n_lists, 1);
	if (!w->call)
		pass(w, 2000);
	fail_with(w, 429, "TooManyRequests", "3600");
	pass(w, 299000);
	assert_null(w->call);
	pass(w, 151000);
	expect_path(w, WATCH("10"));
}

static void a_mute_watch_is_begun_again_without_a_list(void **state)
{
	struct world *w = *state;

	synced(w);
	bytes(w, "");
	pass(w, 149999);
	assert_int_equal(w->n_watches, 1);
	assert_int_equal(kube_reflector_age_ms(w->reflector), 149999);
	pass(w, 1);
	assert_int_equal(w->n_watches, 2);
	expect_path(w, WATCH("10"));
	assert_string_not_equal(kube_reflector_error(w->reflector), "");
	/* Still silent: the age continues to grow. */
	pass(w, 30000);
	assert_int_equal(kube_reflector_age_ms(w->reflector), 180000);
	bytes(w, BOOKMARK("20"));
	assert_int_equal(kube_reflector_age_ms(w->reflector), 0);
	assert_string_equal(kube_reflector_error(w->reflector), "");
	assert_int_equal(w->n_lists, 1);
}

static void watches_that_stay_mute_lead_to_a_list(void **state)
{
	struct world *w = *state;

	synced(w);
	pass(w, 3 * 150000 + 1600);
	expect_path(w, LIST "&resourceVersion=10" NOT_OLDER);
	fail_with(w, 504, "Too large resource version: 10, current: 5", NULL);
	expect_path(w, LIST);
	bytes(w, LIST_OF("5", ""));
	end(w);
	expect_path(w, WATCH("5"));
}

static void a_watch_that_outlives_its_time_is_ended(void **state)
{
	struct world *w = *state;

	synced(w);
	for (int i = 0; i < 11; i++) {
		pass(w, 30000);
		if (i < 10)
			assert_int_equal(w->n_watches, 1);
		bytes(w, BOOKMARK("20"));
	}
	assert_int_equal(w->n_watches, 2);
	assert_int_equal(w->n_lists, 1);
}

static void a_watch_closed_at_once_is_not_begun_in_a_tight_loop(void **state)
{
	struct world *w = *state;

	synced(w);
	for (int64_t ms = 0; ms < 10000; ms += 10) {
		if (w->call)
			end(w);
		pass(w, 10);
	}
	assert_true(w->n_started < 12);
}

static void a_410_that_never_ends_is_not_a_tight_loop(void **state)
{
	struct world *w = *state;

	synced(w);
	for (int64_t ms = 0; ms < 60000; ms += 10) {
		if (w->call && w->is_watch) {
			fail_with(w, 410, "Expired", NULL);
		} else if (w->call) {
			bytes(w, LIST_OF("10", ""));
			end(w);
		}
		pass(w, 10);
	}
	assert_true(w->n_started < 24);
}

static void an_object_that_cannot_be_read_hurts_only_itself(void **state)
{
	struct world *w = *state;

	bytes(w, LIST_OF("10", "{\"a\":tru}," ITEM("b", "2", "two") ",5,{}"));
	end(w);
	assert_int_equal(kube_store_count(w->store), 1);
	bytes(w, "{\"type\":nul}\n" EVENT("ADDED", ITEM("c", "11", "c")));
	expect_object(w, "n/c", "c");
	bytes(w, "{}\n{\"type\":5}\n" EVENT("ADDED", "null") EVENT("NEW", "{}") "[5]");
	pass(w, 60000);
	expect_path(w, WATCH("11"));
}

static void a_version_is_handed_back_as_it_came(void **state)
{
	struct world *w = *state;

	bytes(w, LIST_OF("0-a b", ""));
	end(w);
	expect_path(w, WATCH("0-a%20b"));
	bytes(w, EVENT("ADDED", ITEM("a", "", "x")));
	pass(w, 60000);
	end(w);
	expect_path(w, WATCH("0-a%20b"));
}

static void a_denied_list_is_asked_for_again_and_tells_why(void **state)
{
	struct world *w = *state;

	fail_with(w, 403, "Forbidden", NULL);
	assert_string_equal(kube_reflector_error(w->reflector), "Forbidden");
	assert_int_equal(w->n_states, 1);
	pass(w, 1600);
	fail_with(w, 403, "Forbidden", NULL);
	assert_int_equal(w->n_states, 1);
	pass(w, 3200);
	synced(w);
	assert_string_equal(kube_reflector_error(w->reflector), "");
	assert_int_equal(w->n_states, 3);
}

static void restarts_are_counted_by_cause(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_release) struct buf text = BUF_INIT(65536);

	synced(w);
	pass(w, 150000);
	pass(w, 60000);
	end(w);
	cut(w);
	metrics_format(w->metrics, &text);
	assert_non_null(
		strstr(text.data,
		       "buildhook_watch_restarts_total{resource=\"things\",reason=\"mute\"} 1"));
	assert_non_null(strstr(text.data, "reason=\"closed\"} 1"));
	assert_non_null(strstr(text.data, "reason=\"cut\"} 1"));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_list_in_pages_is_followed_by_a_watch),
		TEST(events_change_the_store),
		TEST(a_watch_that_ends_at_its_time_goes_on_from_there),
		TEST(an_hour_of_bookmarks_needs_no_list),
		TEST(a_cut_event_is_dropped_and_asked_for_again),
		TEST(after_410_it_lists_what_is_not_older),
		TEST(a_410_for_the_watch_itself_is_the_same),
		TEST(where_that_is_refused_it_lists_the_newest),
		TEST(a_page_that_expired_starts_the_list_over),
		TEST(a_page_that_failed_is_asked_for_again),
		TEST(error_events_back_off_and_resume),
		TEST(what_is_no_watch_is_an_error),
		TEST(what_is_no_list_is_an_error),
		TEST(five_minutes_of_refusals_are_few_requests),
		TEST(a_throttled_watch_waits_as_long_as_it_is_told),
		TEST(a_mute_watch_is_begun_again_without_a_list),
		TEST(watches_that_stay_mute_lead_to_a_list),
		TEST(a_watch_that_outlives_its_time_is_ended),
		TEST(a_watch_closed_at_once_is_not_begun_in_a_tight_loop),
		TEST(a_410_that_never_ends_is_not_a_tight_loop),
		TEST(an_object_that_cannot_be_read_hurts_only_itself),
		TEST(a_version_is_handed_back_as_it_came),
		TEST(a_denied_list_is_asked_for_again_and_tells_why),
		TEST(restarts_are_counted_by_cause),
	};

	log_init(LOG_ERROR, LOG_TEXT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
