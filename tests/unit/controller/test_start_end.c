/* The reports of a start that has ended or has to wait. */
#include "parts.h"

#include "controller/build_body.h"

struct told_sender {
	int n;
	enum progress_kind kind;
	char build[64], message[200], json[64];
};

static void on_progress(void *arg, const struct progress *progress)
{
	struct told_sender *told = arg;

	told->n++;
	told->kind = progress->kind;
	(void)snprintf(told->build, sizeof(told->build), "%s", progress->build);
	(void)snprintf(told->message, sizeof(told->message), "%s", progress->message);
	(void)snprintf(told->json, sizeof(told->json), "%.*s", STR_ARG(progress->build_json));
}

static void release_start(struct work *work)
{
	struct start *s = (struct start *)work;

	journal_change_freep(&s->change);
	free(s);
}

/* Begins the start of one push, whose sender waits. */
static struct start *begin(struct parts *p, struct object *object, struct told_sender *told)
{
	struct start *s = mem_new(1, sizeof(*s));
	int64_t seq = parts_push(p, "d1", "refs/heads/main");

	(void)waiters_add(p->services.waiters, seq, on_progress, told);
	s->change = journal_read_row(p->services.journal, seq);
	assert_non_null(s->change);
	s->seen.wall_ms = p->base.wall_ms;
	s->seen.mono_ms = p->base.mono_ms;
	s->n_open = 1;
	queue_add(p->services.queue, object->key);
	assert_non_null(queue_get(p->services.queue));
	work_begin(&s->work, object, release_start);
	return s;
}

struct row {
	enum journal_state state;
	char build[64], reason[200];
	int attempts;
	int64_t next_attempt_ms, gap_number;
};

static void keep_row(void *arg, const struct journal_change *change)
{
	struct row *row = arg;

	row->state = change->state;
	row->attempts = (int)change->attempts;
	row->next_attempt_ms = change->next_attempt_ms;
	row->gap_number = change->gap_number;
	(void)snprintf(row->build, sizeof(row->build), "%s", change->build);
	(void)snprintf(row->reason, sizeof(row->reason), "%s", change->reason);
}

static struct row newest_row(struct parts *p)
{
	struct row row = {0};

	parts_go(p, 1);
	journal_each_recent(p->services.journal, 1, keep_row, &row);
	return row;
}

/* The one Event so far. */
static void expect_event(struct parts *p, const char *reason, const char *note)
{
	assert_int_equal(p->n_requests, 1);
	assert_non_null(strstr(p->path, "/events"));
	assert_non_null(strstr(p->body, reason));
	assert_non_null(strstr(p->body, note));
}

static void a_started_build_is_told_to_all(void **state)
{
	static const char build[] = "{\"metadata\":{\"name\":\"cart-8\"}}";
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
	CLEANUP(json_freep) cJSON *doc = NULL;
	struct told_sender told = {0};
	struct start *s;
	struct row row;

	parts_put_buildconfig(p, 7);
	s = begin(p, object, &told);
	start_get_trouble(object)->is_refused = true;
	object->throttled_reads = 2;
	s->seen.number = 8;
	(void)snprintf(s->seen.build, sizeof(s->seen.build), "cart-8");
	assert_int_equal(json_parse(&doc, str_of(build), NULL), 0);
	start_succeed(s, &(struct kube_response){.doc = doc, .text = str_of(build)});
	/* The sender does not wait for the row. */
	assert_int_equal(told.kind, PROGRESS_STARTED);
	assert_string_equal(told.build, "cart-8");
	assert_string_equal(told.json, build);
	start_close(s);
	row = newest_row(p);
	assert_int_equal(row.state, JOURNAL_STARTED);
	assert_string_equal(row.build, "cart-8");
	assert_null(object->trouble);
	assert_null(object->work);
	assert_int_equal(object->throttled_reads, 0);
	assert_string_equal(queue_get(p->services.queue), "shop/cart");
	assert_non_null(
		strstr(activity_find(p->services.activity, "u1", HOOK_GITHUB)->built, "-> cart-8"));
	expect_event(p, "BuildTriggered", "started build cart-8 for github delivery d1");
}

/* The number was known from a list, and reading it found that it is gone. */
static void a_build_that_cannot_be_read_is_told_by_its_name_alone(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
	struct told_sender told = {0};
	struct start *s = begin(p, object, &told);

	(void)snprintf(s->seen.build, sizeof(s->seen.build), "cart-8");
	start_succeed(s, &(struct kube_response){.err = {.code = ERR_NOTFOUND}});
	start_close(s);
	(void)newest_row(p);
	assert_string_equal(told.build, "cart-8");
	assert_string_equal(told.json, "");
	/* Without the BuildConfig no Event can be sent. */
	assert_int_equal(p->n_requests, 0);
}

static void a_start_that_failed_for_good_ends_its_row(void **state)
{
	static const struct {
		enum journal_state state;
		enum outcome outcome;
		bool has_event;
	} cases[] = {
		{JOURNAL_FAILED, OUTCOME_FAILED, true},
		{JOURNAL_IGNORED, OUTCOME_SUPERSEDED, false},
	};
	struct parts *p = *state;

	parts_put_buildconfig(p, 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
		struct told_sender told = {0};
		struct row row;

		p->n_requests = 0;
		start_fail(begin(p, object, &told), cases[i].state, cases[i].outcome, "no more");
		row = newest_row(p);
		assert_int_equal(row.state, cases[i].state);
		assert_string_equal(row.reason, "no more");
		assert_int_equal(told.kind, PROGRESS_ENDED);
		assert_string_equal(told.message, "no more");
		if (cases[i].has_event)
			expect_event(p, "BuildTriggerFailed", "no more");
		else
			assert_int_equal(p->n_requests, 0);
		assert_string_equal(queue_get(p->services.queue), "shop/cart");
		queue_done(p->services.queue, "shop/cart");
		parts_go(p, 10);
	}
}

static struct kube_response refusal(void)
{
	return (struct kube_response){
		.status = 403,
		.err = {.code = ERR_DENIED, .msg = "403 forbidden: exceeded quota: small"}};
}

static void a_refused_start_is_tried_again_after_the_back_off(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
	const struct kube_response response = refusal();
	struct told_sender told = {0};
	struct row row;

	parts_put_buildconfig(p, 0);
	start_retry(begin(p, object, &told), &response, "create Build cart-1", true);
	row = newest_row(p);
	assert_int_equal(row.state, JOURNAL_ACCEPTED);
	assert_int_equal(row.attempts, 1);
	assert_in_range(row.next_attempt_ms - p->base.wall_ms, 1, 2000);
	assert_string_equal(row.reason,
			    "create Build cart-1: 403 forbidden: exceeded quota: small");
	assert_int_equal(told.kind, PROGRESS_WAITING);
	assert_true(object->trouble->is_refused);
	expect_event(p, "BuildTriggerFailed", object->trouble->why);
}

static void the_servers_own_wait_is_kept_where_it_is_longer(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
	struct kube_response response = refusal();
	struct told_sender told = {0};

	response.retry_after_ms = 90000;
	start_retry(begin(p, object, &told), &response, "create Build cart-1", true);
	assert_in_range(newest_row(p).next_attempt_ms - p->base.wall_ms, 89000, 90000);
}

static void give_up_ends_only_what_it_limits(void **state)
{
	struct parts *p = *state;

	world_advance(&p->base, WINDOW_MS + 1);
	for (int is_limited = 0; is_limited < 2; is_limited++) {
		CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
		const struct kube_response response = refusal();
		struct told_sender told = {0};

		start_retry(begin(p, object, &told), &response, "read", is_limited);
		assert_int_equal(newest_row(p).state,
				 is_limited ? JOURNAL_FAILED : JOURNAL_ACCEPTED);
	}
}

/* Since when a Build is missing stands in the row, for the next process. */
static void a_wait_for_another_build_is_noted_once(void **state)
{
	const struct start_step step = {.number = 8, .wait_ms = 3000, .missing_ms = 1000};
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
	struct told_sender told = {0};
	struct start *s = begin(p, object, &told);

	s->seen.version = 8;
	start_await(s, &step);
	assert_int_equal(newest_row(p).gap_number, 8);
	assert_int_equal(object->trouble->until_ms, p->base.mono_ms - 1 + 3000);
	assert_false(object->trouble->is_refused);
	assert_non_null(strstr(object->trouble->why, "build cart-8 may still come"));
	assert_null(strstr(object->trouble->outside, "lastVersion"));
	assert_null(object->work);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PARTS_TEST(a_started_build_is_told_to_all),
		PARTS_TEST(a_build_that_cannot_be_read_is_told_by_its_name_alone),
		PARTS_TEST(a_start_that_failed_for_good_ends_its_row),
		PARTS_TEST(a_refused_start_is_tried_again_after_the_back_off),
		PARTS_TEST(the_servers_own_wait_is_kept_where_it_is_longer),
		PARTS_TEST(give_up_ends_only_what_it_limits),
		PARTS_TEST(a_wait_for_another_build_is_noted_once),
	};

	return cmocka_run_group_tests_name("start_end", tests, NULL, NULL);
}
