#include "parts.h"

#include "journal/core.h"

/* Makes the status, and reads its hint; "" without one. */
static void read_hint(struct object *object, char *out, size_t size)
{
	CLEANUP(observation_release) struct observation o = {0};

	observe(&o, object);
	*out = '\0';
	for (size_t i = 0; i < o.status.n; i++)
		if (strcmp(o.status.items[i].key, "buildhook.io/hint") == 0)
			(void)snprintf(out, size, "%s", o.status.items[i].value);
}

/* Stores one push more than may wait. */
static void push_until_refused(struct parts *p)
{
	struct journal_change change;
	struct told told = {.status = ERR_OK};
	char ref[32];

	for (int i = 0; told.status == ERR_OK; i++) {
		assert_true(i <= 1000);
		(void)snprintf(ref, sizeof(ref), "refs/heads/%d", i);
		change = sample(ref, ref);
		change.uid = "u1";
		told = add(&p->base, &change, 1);
	}
	assert_int_equal(told.status, ERR_LIMIT);
}

static void a_bound_that_refused_deliveries_is_an_event_and_a_hint_for_a_time(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
	char hint[256];

	parts_put_buildconfig(p, 0);
	status_settle(object, object_buildconfig(object));
	parts_go(p, 10);
	assert_int_equal(p->n_requests, 0);

	push_until_refused(p);
	status_settle(object, object_buildconfig(object));
	parts_go(p, 10);
	assert_int_equal(p->n_requests, 1);
	assert_string_equal(p->path, "/apis/events.k8s.io/v1/namespaces/shop/events");
	assert_non_null(strstr(p->body, "\"reason\":\"WebhookRefused\""));
	assert_non_null(strstr(p->body, "1,000 changes or 16 MiB of this BuildConfig"));
	read_hint(object, hint, sizeof(hint));
	assert_non_null(strstr(hint, "too much waits (1,000 changes or 16 MiB"));

	/* The same refusal gives one Event. */
	status_settle(object, object_buildconfig(object));
	parts_go(p, 600001);
	assert_int_equal(p->n_requests, 1);
	read_hint(object, hint, sizeof(hint));
	assert_null(strstr(hint, "too much waits"));

	/* Another one, after the series has ended, is the next. */
	push_until_refused(p);
	status_settle(object, object_buildconfig(object));
	parts_go(p, 10);
	assert_int_equal(p->n_requests, 2);
}

/* Each refused delivery makes the controller look at the status. Events of other BuildConfigs
 * displace the series. */
static void a_flood_of_refused_deliveries_is_an_event_a_minute(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
	int n_before;

	parts_put_buildconfig(p, 0);
	push_until_refused(p);
	status_settle(object, object_buildconfig(object));
	for (int i = 0; i < 300; i++) {
		char note[32];

		(void)snprintf(note, sizeof(note), "other %d", i);
		event_send(p->controller, object_buildconfig(object), EVENT_NORMAL,
			   "WebhookIgnored", note);
		parts_go(p, 2);
	}
	n_before = p->n_requests;
	for (int i = 0; i < 10; i++) {
		push_until_refused(p);
		status_settle(object, object_buildconfig(object));
		parts_go(p, 10);
	}
	assert_int_equal(p->n_requests, n_before);
	parts_go(p, 60000);
	status_settle(object, object_buildconfig(object));
	parts_go(p, 10);
	assert_int_equal(p->n_requests, n_before + 1);
	assert_non_null(strstr(p->body, "\"reason\":\"WebhookRefused\""));
}

/* Rows of namespace shop that had ended were removed early. */
static void a_namespace_whose_deliveries_are_forgotten_early_reads_it_in_the_hint(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
	char hint[256];

	parts_put_buildconfig(p, 0);
	for (int i = 0; i < 3; i++) {
		char id[16];

		(void)snprintf(id, sizeof(id), "d%d", i);
		assert_int_equal(write_state(&p->base, parts_push(p, id, "refs/heads/main"),
					     JOURNAL_STARTED, "cart-1", ""),
				 ERR_OK);
		world_advance(&p->base, 60000);
	}
	read_hint(object, hint, sizeof(hint));
	assert_null(strstr(hint, "--dedupe-window"));
	p->base.journal->writer.bounds.max_ended = 1;
	for (int i = 0; i < 10; i++) {
		world_advance(&p->base, 6000);
		journal_collect(p->base.journal);
	}
	read_hint(object, hint, sizeof(hint));
	assert_string_equal(hint, "too many deliveries for --dedupe-window: repeated ones are "
				  "recognised for 2 minutes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PARTS_TEST(a_bound_that_refused_deliveries_is_an_event_and_a_hint_for_a_time),
		PARTS_TEST(a_flood_of_refused_deliveries_is_an_event_a_minute),
		PARTS_TEST(a_namespace_whose_deliveries_are_forgotten_early_reads_it_in_the_hint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
