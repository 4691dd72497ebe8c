/* From a proof that holds over the journal to the answer: admit.c, wait.c. */
#include "proof_world.h"

#include "doc/json.h"

#define PUSH                                                                                       \
	"{\"ref\":\"refs/heads/main\",\"after\":\"3f2a1b0000000000000000000000000000000000\","     \
	"\"repository\":{\"default_branch\":\"main\"},\"commits\":[]}"

/* A push of main that is proved by the secret in the path. */
static struct test_request *push(struct world *w, bool is_dry_run)
{
	struct test_request *r = NULL;

	put_buildconfig(w, "u", "", INLINE("abc"));
	r = new_request(w, IN_PATH("abc"), strlen(PUSH));
	test_request_put(r, "X-GitHub-Event", "push");
	test_request_put(r, "X-GitHub-Delivery", "d-1");
	test_request_put(r, "Content-Type", "application/json");
	if (is_dry_run)
		test_request_put(r, "X-Buildhook-Dry-Run", "true");
	begin(w);
	feed(w, STR(PUSH));
	finish(w);
	return r;
}

static void stored(struct world *w, int status, struct journal_add_result result)
{
	journal_add_fn fn = TAKE(w->stored);

	assert_non_null(fn);
	fn(w->stored_arg, status, &result, 1);
}

static void expect(const struct test_request *r, int status, const char *reason, const char *says)
{
	CLEANUP(json_freep) cJSON *doc = NULL;

	assert_int_equal(r->status, status);
	assert_int_equal(json_parse(&doc, buf_str(&r->answer), NULL), 0);
	assert_string_equal(json_str_at(doc, "reason"), reason);
	if (!strstr(json_str_at(doc, "message"), says))
		fail_msg("no \"%s\" in \"%s\"", says, json_str_at(doc, "message"));
	assert_non_null(strstr(r->fields.data, "X-Buildhook-Message: "));
	assert_non_null(strstr(r->fields.data, "X-Buildhook-Delivery: d-1\n"));
}

static void a_build_that_starts_in_time_is_the_answer(void **state)
{
	struct world *w = *state;
	struct test_request *r = NULL;

	bring_up(w);
	r = push(w, false);
	assert_string_equal(w->row, "github refs/heads/main 3f2a1b0");
	assert_int_equal(r->status, 0);
	stored(w, ERR_OK, (struct journal_add_result){.added = JOURNAL_NEW, .seq = 7});
	pass(w, 3999);
	assert_int_equal(r->status, 0);
	waiters_notify(w->waiters, 7,
		       &(struct progress){.kind = PROGRESS_STARTED,
					  .build = "cart-7",
					  .build_json = STR("{\"kind\":\"Build\"}"),
					  .message = ""});
	assert_int_equal(r->status, 200);
	assert_string_equal(r->answer.data, "{\"kind\":\"Build\"}");
	assert_non_null(strstr(r->fields.data, "X-Buildhook-Message: started cart-7 for a push of "
					       "main 3f2a1b0\n"));
	assert_non_null(strstr(r->fields.data, "X-Buildhook-Delivery: d-1\n"));
}

static void a_build_without_its_text_is_a_status(void **state)
{
	struct world *w = *state;
	struct test_request *r = push(w, false);

	stored(w, ERR_OK, (struct journal_add_result){.added = JOURNAL_NEW, .seq = 7});
	waiters_notify(
		w->waiters, 7,
		&(struct progress){.kind = PROGRESS_STARTED, .build = "cart-7", .message = ""});
	expect(r, 200, "Started", "started cart-7 for a push of main 3f2a1b0");
}

static void what_does_not_start_in_time_is_queued(void **state)
{
	struct world *w = *state;
	struct test_request *r = NULL;

	bring_up(w);
	r = push(w, false);
	stored(w, ERR_OK, (struct journal_add_result){.added = JOURNAL_NEW, .seq = 7});
	pass(w, 3999);
	assert_int_equal(r->status, 0);
	pass(w, 1);
	expect(r, 202, "Queued", "its build starts later");
}

static void what_cannot_start_now_is_queued_at_once(void **state)
{
	struct world *w = *state;
	struct test_request *r = NULL;

	/* The API server has not answered yet. */
	r = push(w, false);
	stored(w, ERR_OK, (struct journal_add_result){.added = JOURNAL_NEW, .seq = 7});
	pass(w, 0);
	expect(r, 202, "Queued", "its build starts later");
	bring_up(w);
	r = push(w, false);
	stored(w, ERR_OK, (struct journal_add_result){.added = JOURNAL_NEW, .seq = 8});
	waiters_notify(w->waiters, 8,
		       &(struct progress){.kind = PROGRESS_WAITING,
					  .build = "",
					  .message = "5 builds started already"});
	expect(r, 202, "Queued", "5 builds started already");
}

static void what_ends_without_a_build_says_why(void **state)
{
	struct world *w = *state;
	struct test_request *r = push(w, false);

	stored(w, ERR_OK, (struct journal_add_result){.added = JOURNAL_NEW, .seq = 7});
	waiters_notify(w->waiters, 7,
		       &(struct progress){.kind = PROGRESS_ENDED,
					  .build = "",
					  .outcome = OUTCOME_FAILED,
					  .message = "the quota is used up"});
	expect(r, 200, "Failed", "the quota is used up");
}

static void a_repeated_delivery_names_its_build_and_a_command_that_works(void **state)
{
	struct world *w = *state;
	struct journal_add_result result = {
		.added = JOURNAL_DUPLICATE, .seq = 7, .build = "cart-7"};
	struct test_request *r = push(w, false);

	stored(w, ERR_OK, result);
	expect(r, 200, "Duplicate",
	       "started build cart-7; to build again: kubectl buildhook start cart");
	receiver_set_openshift(w->receiver);
	r = push(w, false);
	stored(w, ERR_OK, result);
	expect(r, 200, "Duplicate", "started build cart-7; to build again: oc start-build cart");
	result.build[0] = '\0';
	r = push(w, true);
	stored(w, ERR_OK, result);
	expect(r, 200, "Duplicate", "its build has not started yet");
}

static void a_dry_run_names_the_ref_and_leaves_no_note(void **state)
{
	struct world *w = *state;
	struct test_request *r = push(w, true);

	stored(w, ERR_OK, (struct journal_add_result){.added = JOURNAL_NEW});
	expect(r, 200, "DryRun", "dry run: this would build refs/heads/main 3f2a1b0");
	assert_null(hook_activity_of(w));
}

static void what_cannot_be_stored_is_503(void **state)
{
	struct world *w = *state;
	struct test_request *r = push(w, false);

	stored(w, ERR_UNAVAILABLE, (struct journal_add_result){0});
	expect(r, 503, "ServiceUnavailable", "could not be stored");
	w->refuses_rows = true;
	r = push(w, false);
	expect(r, 503, "ServiceUnavailable", "too many deliveries");
}

static void a_client_that_leaves_forgets_its_row_and_its_wait(void **state)
{
	struct world *w = *state;

	(void)push(w, false);
	forget_request(w);
	assert_null(w->stored);
	(void)push(w, false);
	stored(w, ERR_OK, (struct journal_add_result){.added = JOURNAL_NEW, .seq = 7});
	forget_request(w);
	assert_false(waiters_has(w->waiters, 7));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		IN_WORLD(a_build_that_starts_in_time_is_the_answer),
		IN_WORLD(a_build_without_its_text_is_a_status),
		IN_WORLD(what_does_not_start_in_time_is_queued),
		IN_WORLD(what_cannot_start_now_is_queued_at_once),
		IN_WORLD(what_ends_without_a_build_says_why),
		IN_WORLD(a_repeated_delivery_names_its_build_and_a_command_that_works),
		IN_WORLD(a_dry_run_names_the_ref_and_leaves_no_note),
		IN_WORLD(what_cannot_be_stored_is_503),
		IN_WORLD(a_client_that_leaves_forgets_its_row_and_its_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
