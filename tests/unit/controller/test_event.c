#include "controller/event.h"

#include "parts.h"

static const struct buildconfig cart = {.namespace_ = "shop", .name = "cart", .uid = "u1"};

static void send_event(struct parts *p, const char *note)
{
	event_send(p->controller, &cart, EVENT_WARNING, "BuildTriggerFailed", note);
	parts_go(p, 10);
}

static void the_first_is_an_event_that_names_the_buildconfig(void **state)
{
	struct parts *p = *state;
	cJSON *doc = NULL;

	send_event(p, "exceeded quota: small\x1b[31m");
	assert_int_equal(p->n_requests, 1);
	assert_int_equal(p->method, KUBE_POST);
	assert_string_equal(p->path, "/apis/events.k8s.io/v1/namespaces/shop/events");
	assert_int_equal(json_parse(&doc, str_of(p->body), NULL), 0);
	assert_string_equal(json_str_at(doc, "type"), "Warning");
	assert_string_equal(json_str_at(doc, "reason"), "BuildTriggerFailed");
	assert_string_equal(json_str_at(doc, "regarding/uid"), "u1");
	assert_string_equal(json_str_at(doc, "regarding/kind"), "BuildConfig");
	assert_string_equal(json_str_at(doc, "reportingInstance"), "one");
	assert_non_null(strstr(json_str_at(doc, "note"), "exceeded quota: small"));
	assert_null(strchr(json_str_at(doc, "note"), 0x1b));
	cJSON_Delete(doc);
}

/* "Series instead of repeats", at most once a minute. */
static void repeats_count_up_the_series_of_the_first(void **state)
{
	struct parts *p = *state;
	char first[sizeof(p->path) + 1];

	send_event(p, "a");
	(void)snprintf(first, sizeof(first), "%s/", p->path);
	for (int i = 0; i < 5; i++)
		send_event(p, "a");
	assert_int_equal(p->n_requests, 1);
	parts_go(p, 60000);
	send_event(p, "a");
	assert_int_equal(p->n_requests, 2);
	assert_int_equal(p->method, KUBE_MERGE_PATCH);
	assert_int_equal(strncmp(p->path, first, strlen(first)), 0);
	assert_non_null(strstr(p->body, "\"count\":7"));
	/* Another note makes another Event; so does the same note after ten minutes. */
	send_event(p, "b");
	assert_int_equal(p->method, KUBE_POST);
	parts_go(p, 600000);
	send_event(p, "a");
	assert_int_equal(p->n_requests, 4);
	assert_int_equal(p->method, KUBE_POST);
}

static void a_series_needs_a_first_event_that_was_stored(void **state)
{
	struct parts *p = *state;

	p->status = 403;
	send_event(p, "a");
	parts_go(p, 60000);
	p->status = 200;
	send_event(p, "a");
	assert_int_equal(p->n_requests, 1);
}

static void a_flood_of_events_is_bounded(void **state)
{
	struct parts *p = *state;
	char note[32];

	for (int i = 0; i < 1000; i++) {
		(void)snprintf(note, sizeof(note), "%d", i);
		event_send(p->controller, &cart, EVENT_NORMAL, "WebhookIgnored", note);
	}
	assert_int_equal(p->n_requests, 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PARTS_TEST(the_first_is_an_event_that_names_the_buildconfig),
		PARTS_TEST(repeats_count_up_the_series_of_the_first),
		PARTS_TEST(a_series_needs_a_first_event_that_was_stored),
		PARTS_TEST(a_flood_of_events_is_bounded),
	};

	return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
