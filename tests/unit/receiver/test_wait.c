/* From a proof that holds to the answer, through the journal (receiver/wait.c). */
#include "proof_world.h"

#include "doc/json.h"

#define PUSH                                                                                       \
	"{\"ref\":\"refs/heads/main\",\"after\":\"3f2a1b0000000000000000000000000000000000\","     \
	"\"repository\":{\"default_branch\":\"main\"},\"commits\":[]}"

/* A push of main that is proved by the secret in the path. */
static struct test_request *push(struct proof_world *w, const char *id, bool is_dry_run)
{
	struct test_request *r = NULL;

	put_buildconfig(w, "u", "", INLINE("abc"));
	r = new_request(w, IN_PATH("abc"), strlen(PUSH));
	test_request_put(r, "X-GitHub-Event", "push");
	test_request_put(r, "X-GitHub-Delivery", id);
	test_request_put(r, "Content-Type", "application/json");
	if (is_dry_run)
		test_request_put(r, "X-Buildhook-Dry-Run", "true");
	begin(w);
	feed(w, STR(PUSH));
	finish(w);
	return r;
}

#define PUSH_OF(file)                                                                              \
	"{\"ref\":\"refs/heads/main\",\"after\":\"3f2a1b0000000000000000000000000000000000\","     \
	"\"repository\":{\"default_branch\":\"main\"},\"commits\":[{\"id\":"                       \
	"\"3f2a1b0000000000000000000000000000000000\",\"added\":[\"" file "\"]}]}"

static struct test_request *push_file(struct proof_world *w, const char *path, struct str body)
{
	struct test_request *r = new_request(w, path, (int64_t)body.n);

	test_request_put(r, "X-GitHub-Event", "push");
	test_request_put(r, "X-GitHub-Delivery", "d-file");
	test_request_put(r, "X-Buildhook-Dry-Run", "true");
	test_request_put(r, "Content-Type", "application/json");
	begin(w);
	feed(w, body);
	finish(w);
	journal_collect(w->services.journal);
	pass(w, 500);
	return r;
}

/* Commits the journal's pending writes. Returns the seq of the newest change that waits. */
static int64_t store(struct proof_world *w)
{
	struct journal_waiting waiting;

	journal_collect(w->services.journal);
	journal_read_waiting(w->services.journal, "shop/cart", &waiting);
	return waiting.newest_seq;
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
	assert_non_null(strstr(r->fields.data, "X-Buildhook-Delivery: d-"));
}

/* File names are remembered only where a rule asks for them. */
static void the_files_of_a_push_are_compared_where_there_is_a_rule(void **state)
{
	static const struct {
		const char *annotation, *docs, *app;
	} cases[] = {
		{"", "DryRun", "DryRun"},
		{",\"annotations\":{\"buildhook.io/paths\":\"\"}", "DryRun", "DryRun"},
		{",\"annotations\":{\"buildhook.io/paths\":\"app/**\"}", "PathsUnchanged",
		 "DryRun"},
	};
	struct proof_world *w = *state;

	bring_up(w);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		put_buildconfig(w, "u", cases[i].annotation, INLINE("abc"));
		expect(push_file(w, IN_PATH("abc"), STR(PUSH_OF("docs/index.md"))), 200,
		       cases[i].docs, "");
		expect(push_file(w, IN_PATH("abc"), STR(PUSH_OF("app/main.c"))), 200, cases[i].app,
		       "");
	}
}

/* Where there is no BuildConfig, no rule says which refs are wanted. */
static void a_push_to_no_hook_is_read_to_its_end_and_refused(void **state)
{
	static const char body[] =
		"{\"push\":{\"changes\":[{\"new\":{\"type\":\"branch\",\"name\":\"main\","
		"\"target\":{\"hash\":\"3f2a1b0000000000000000000000000000000000\"}}}]}}";
	struct proof_world *w = *state;
	struct test_request *r = NULL;

	bring_up(w);
	r = new_request(w, "/hooks/shop/cart/bitbucket", strlen(body));
	test_request_put(r, "X-Event-Key", "repo:push");
	test_request_put(r, "Content-Type", "application/json");
	/* Without a proof of the right shape the body is not read. */
	test_request_put(r, "X-Hub-Signature",
			 "sha256=0000000000000000000000000000000000000000000000000000000000000000");
	begin(w);
	feed(w, str_of(body));
	finish(w);
	pass(w, 500);
	assert_int_equal(r->status, 401);
}

static void a_build_that_starts_in_time_is_the_answer(void **state)
{
	struct proof_world *w = *state;
	CLEANUP(journal_change_freep) struct journal_change *row = NULL;
	struct test_request *r = NULL;
	int64_t seq = 0;

	bring_up(w);
	r = push(w, "d-1", false);
	assert_int_equal(r->status, 0);
	seq = store(w);
	pass(w, 3999);
	assert_int_equal(r->status, 0);
	row = journal_read_row(w->services.journal, seq);
	assert_string_equal(row->ref, "refs/heads/main");
	assert_string_equal(row->commit, "3f2a1b0000000000000000000000000000000000");
	waiters_notify(w->services.waiters, seq,
		       &(struct progress){.kind = PROGRESS_STARTED,
					  .build = "cart-7",
					  .build_json = STR("{\"kind\":\"Build\"}"),
					  .message = ""});
	assert_int_equal(r->status, 200);
	assert_string_equal(r->answer.data, "{\"kind\":\"Build\"}");
	assert_non_null(strstr(r->fields.data, "X-Buildhook-Message: started cart-7 for a push of "
					       "main 3f2a1b0\n"));
	assert_non_null(strstr(r->fields.data, "X-Buildhook-Delivery: d-"));
}

static void a_build_without_its_text_is_a_status(void **state)
{
	struct proof_world *w = *state;
	struct test_request *r = push(w, "d-1", false);

	waiters_notify(
		w->services.waiters, store(w),
		&(struct progress){.kind = PROGRESS_STARTED, .build = "cart-7", .message = ""});
	expect(r, 200, "Started", "started cart-7 for a push of main 3f2a1b0");
}

static void what_does_not_start_in_time_is_queued(void **state)
{
	struct proof_world *w = *state;
	struct test_request *r = NULL;

	bring_up(w);
	r = push(w, "d-1", false);
	(void)store(w);
	pass(w, 3999);
	assert_int_equal(r->status, 0);
	pass(w, 1);
	expect(r, 202, "Queued", "its build starts later");
}

static void what_cannot_start_now_is_queued_at_once(void **state)
{
	struct proof_world *w = *state;
	struct test_request *r = NULL;

	/* The API server has not answered yet. */
	r = push(w, "d-1", false);
	(void)store(w);
	pass(w, 0);
	expect(r, 202, "Queued", "its build starts later");
	bring_up(w);
	r = push(w, "d-2", false);
	waiters_notify(w->services.waiters, store(w),
		       &(struct progress){.kind = PROGRESS_WAITING,
					  .build = "",
					  .message = "5 builds started already"});
	expect(r, 202, "Queued", "5 builds started already");
}

static void what_ends_without_a_build_says_why(void **state)
{
	struct proof_world *w = *state;
	struct test_request *r = push(w, "d-1", false);

	waiters_notify(w->services.waiters, store(w),
		       &(struct progress){.kind = PROGRESS_ENDED,
					  .build = "",
					  .outcome = OUTCOME_FAILED,
					  .message = "the quota is used up"});
	expect(r, 200, "Failed", "the quota is used up");
}

static void a_repeated_delivery_names_its_build_and_a_command_that_works(void **state)
{
	struct proof_world *w = *state;
	struct test_request *r = push(w, "d-1", false);
	int64_t seq = store(w);

	r = push(w, "d-1", true);
	(void)store(w);
	expect(r, 200, "Duplicate", "its build has not started yet");
	assert_int_equal(write_state(&w->base, seq, JOURNAL_STARTED, "cart-7", ""), ERR_OK);
	r = push(w, "d-1", false);
	(void)store(w);
	expect(r, 200, "Duplicate",
	       "started build cart-7; to build again: kubectl buildhook start cart");
	receiver_set_openshift(w->receiver);
	r = push(w, "d-1", false);
	(void)store(w);
	expect(r, 200, "Duplicate", "started build cart-7; to build again: oc start-build cart");
}

static void a_dry_run_names_the_ref_and_leaves_no_note_and_no_row(void **state)
{
	struct proof_world *w = *state;
	struct test_request *r = push(w, "d-1", true);

	assert_int_equal(store(w), 0);
	expect(r, 200, "DryRun", "dry run: this would build refs/heads/main 3f2a1b0");
	assert_null(hook_activity_of(w));
}

static void what_cannot_be_stored_is_503(void **state)
{
	struct proof_world *w = *state;
	struct test_request *r = push(w, "d-1", false);

	collect_on_broken_disk(w);
	expect(r, 503, "ServiceUnavailable", "could not be stored");
}

static void what_comes_while_too_much_is_being_stored_is_503(void **state)
{
	const struct journal_change change = sample("d-0", "refs/heads/main");
	struct proof_world *w = *state;

	while (journal_add(w->services.journal, &change, 1, ignore_added, NULL))
		;
	expect(push(w, "d-1", false), 503, "ServiceUnavailable", "too many deliveries");
}

static void a_client_that_leaves_forgets_its_wait_but_not_its_row(void **state)
{
	struct proof_world *w = *state;
	int64_t seq = 0;

	(void)push(w, "d-1", false);
	forget_request(w);
	assert_int_not_equal(store(w), 0);
	(void)push(w, "d-2", false);
	seq = store(w);
	forget_request(w);
	assert_false(waiters_has(w->services.waiters, seq));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		IN_WORLD(the_files_of_a_push_are_compared_where_there_is_a_rule),
		IN_WORLD(a_push_to_no_hook_is_read_to_its_end_and_refused),
		IN_WORLD(a_build_that_starts_in_time_is_the_answer),
		IN_WORLD(a_build_without_its_text_is_a_status),
		IN_WORLD(what_does_not_start_in_time_is_queued),
		IN_WORLD(what_cannot_start_now_is_queued_at_once),
		IN_WORLD(what_ends_without_a_build_says_why),
		IN_WORLD(a_repeated_delivery_names_its_build_and_a_command_that_works),
		IN_WORLD(a_dry_run_names_the_ref_and_leaves_no_note_and_no_row),
		IN_WORLD(what_cannot_be_stored_is_503),
		IN_WORLD(what_comes_while_too_much_is_being_stored_is_503),
		IN_WORLD(a_client_that_leaves_forgets_its_wait_but_not_its_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
