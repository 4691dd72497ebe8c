/* What a delivery whose proof holds is to do: from its payload into the journal (receiver/admit.c).
 */
#include "proof_world.h"

#include "doc/json.h"

#define COMMIT                "3f2a1b0000000000000000000000000000000000"
#define TRIGGER(type, member) "{\"type\":\"" type "\",\"" member "\":{\"secret\":\"abc\"}}"
#define URL                                                                                        \
	"/apis/build.openshift.io/v1/namespaces/shop/"                                             \
	"buildconfigs/cart/webhooks/abc/"
#define PUSH                                                                                       \
	"{\"ref\":\"refs/heads/main\","                                                            \
	"\"after\":\"" COMMIT "\",\"pusher\":{\"name\":\"alice\"},\"repository\":{"                \
	"\"default_branch\":\"main\"},\"head_commit\":{\"id\":\"" COMMIT "\",\"message\":"         \
	"\"Mend the cart\",\"author\":{\"name\":\"Alice\",\"email\":\"alice@example.com\"},"       \
	"\"committer\":{\"name\":\"Carol\",\"email\":\"carol@example.com\"}},\"commits\":[]}"

/* NULL: without that header. */
struct sent {
	const char *type;
	const char *event_header, *event;
	const char *id;
	bool is_dry_run;
	const char *body;
};

static struct test_request *send(struct proof_world *w, struct sent sent)
{
	static char path[200];
	struct test_request *r = NULL;

	(void)snprintf(path, sizeof(path), URL "%s", sent.type);
	r = new_request(w, path, (int64_t)strlen(sent.body));
	test_request_put(r, "Content-Type", "application/json");
	test_request_put(r, sent.event_header, sent.event);
	if (sent.id)
		test_request_put(r, "X-GitHub-Delivery", sent.id);
	if (sent.is_dry_run)
		test_request_put(r, "X-Buildhook-Dry-Run", "true");
	begin(w);
	feed(w, str_of(sent.body));
	finish(w);
	journal_collect(w->services.journal);
	return r;
}

static struct test_request *push(struct proof_world *w, const char *id, const char *body)
{
	return send(w, (struct sent){"github", "X-GitHub-Event", "push", id, false, body});
}

static struct journal_waiting waiting(struct proof_world *w)
{
	struct journal_waiting waiting = {0};

	journal_read_waiting(w->services.journal, "shop/cart", &waiting);
	return waiting;
}

static const char *reason_of(struct test_request *r, char out[64])
{
	CLEANUP(json_freep) cJSON *doc = NULL;

	assert_int_equal(json_parse(&doc, buf_str(&r->answer), NULL), 0);
	(void)snprintf(out, 64, "%s", json_str_at(doc, "reason"));
	return out;
}

static void what_the_git_host_says_is_in_the_row(void **state)
{
	struct proof_world *w = *state;
	CLEANUP(journal_change_freep) struct journal_change *row = NULL;

	put_buildconfig(w, "u", "", INLINE("abc"));
	(void)push(w, "d-1", PUSH);
	row = journal_read_row(w->services.journal, waiting(w).newest_seq);
	assert_non_null(row);
	assert_int_equal(row->accepted_ms, w->base.wall_ms);
	assert_string_equal(row->uid, "u");
	assert_string_equal(row->namespace_, "shop");
	assert_string_equal(row->name, "cart");
	assert_string_equal(row->type, "github");
	assert_string_equal(row->host, "github");
	assert_string_equal(row->delivery_id, "d-1");
	assert_string_equal(row->ref, "refs/heads/main");
	assert_string_equal(row->commit, COMMIT);
	assert_string_equal(row->author_name, "Alice");
	assert_string_equal(row->author_email, "alice@example.com");
	assert_string_equal(row->committer_name, "Carol");
	assert_string_equal(row->committer_email, "carol@example.com");
	assert_string_equal(row->message, "Mend the cart");
	assert_string_equal(row->pusher, "alice");
}

/* Its answer waits for the journal: what was answered with 2xx is never lost. */
static void nothing_is_answered_before_the_row_is_stored(void **state)
{
	struct proof_world *w = *state;
	struct test_request *r = NULL;
	struct delivery *d = NULL;

	put_buildconfig(w, "u", "", INLINE("abc"));
	r = new_request(w, URL "github", (int64_t)strlen(PUSH));
	test_request_put(r, "Content-Type", "application/json");
	test_request_put(r, "X-GitHub-Event", "push");
	test_request_put(r, "X-GitHub-Delivery", "d-1");
	begin(w);
	feed(w, STR(PUSH));
	finish(w);
	d = r->request.user;
	assert_int_equal(d->phase, PHASE_STORE);
	assert_int_equal(r->status, 0);
	pass(w, 60000);
	assert_int_equal(r->status, 0);
	journal_collect(w->services.journal);
	assert_int_equal(d->phase, PHASE_BUILD);
}

static void what_builds_nothing_is_answered_with_its_reason_and_noted(void **state)
{
	static const struct {
		const char *event, *body, *reason;
		uint64_t ignored; /* pings are not */
	} cases[] = {
		{"push", "{\"ref\":\"refs/heads/other\",\"after\":\"" COMMIT "\"}", "RefMismatch",
		 1},
		{"push",
		 "{\"ref\":\"refs/heads/main\",\"deleted\":true,\"after\":"
		 "\"0000000000000000000000000000000000000000\"}",
		 "RefDeleted", 1},
		{"push", "{\"ref\":\"refs/tags/v1\",\"after\":\"" COMMIT "\"}", "TagIgnored", 1},
		{"issues", "{}", "EventIgnored", 1},
		{"ping", "{\"zen\":\"x\"}", "Ping", 0},
	};
	struct proof_world *w = *state;
	char reason[64];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sent sent = {"github", "X-GitHub-Event", cases[i].event, "d-1",
				    true,     cases[i].body};
		struct test_request *r = NULL;

		activity_drop(w->services.activity, "u");
		put_buildconfig(w, "u", ",\"annotations\":{\"buildhook.io/refs\":\"main\"}",
				INLINE("abc"));
		r = send(w, sent);
		assert_int_equal(r->status, 200);
		assert_string_equal(reason_of(r, reason), cases[i].reason);
		/* A dry run leaves nothing. */
		assert_null(hook_activity_of(w));
		sent.is_dry_run = false;
		r = send(w, sent);
		assert_int_equal(r->status, 200);
		assert_string_equal(reason_of(r, reason), cases[i].reason);
		assert_non_null(hook_activity_of(w));
		assert_int_equal(hook_activity_of(w)->ignored, cases[i].ignored);
	}
	assert_int_equal(waiting(w).newest_seq, 0);
}

/* GitLab switches a hook off for good after four 4xx. */
static void what_cannot_be_read_is_400_and_200_for_gitlab(void **state)
{
	static const struct {
		struct sent sent;
		int status;
	} cases[] = {
		{{"github", "X-GitHub-Event", "push", "d-1", false, "{\"ref\":5}"}, 400},
		{{"gitlab", "X-Gitlab-Event", "Push Hook", NULL, false, "{\"ref\":5}"}, 200},
	};
	static const enum hook_type types[] = {HOOK_GITHUB, HOOK_GITLAB};
	struct proof_world *w = *state;
	char reason[64];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sent sent = cases[i].sent;
		struct test_request *r = NULL;

		put_buildconfig(w, "u", "", INLINE("abc") "," TRIGGER("GitLab", "gitlab"));
		sent.is_dry_run = true;
		r = send(w, sent);
		assert_int_equal(r->status, cases[i].status);
		assert_null(activity_find(w->services.activity, "u", types[i]));
		r = send(w, cases[i].sent);
		assert_int_equal(r->status, cases[i].status);
		assert_string_equal(reason_of(r, reason), "Unreadable");
		assert_non_null(activity_find(w->services.activity, "u", types[i]));
	}
	assert_int_equal(waiting(w).newest_seq, 0);
}

/* One without an id must not be taken for another one without an id. */
static void a_delivery_without_an_id_gets_a_random_one(void **state)
{
	struct proof_world *w = *state;
	CLEANUP(journal_change_freep) struct journal_change *row = NULL;

	put_buildconfig(w, "u", "", INLINE("abc"));
	(void)push(w, NULL, PUSH);
	row = journal_read_row(w->services.journal, waiting(w).newest_seq);
	assert_non_null(row);
	/* The random bytes of this world are all 4. */
	assert_string_equal(row->delivery_id, "04040404040404040404040404040404");
}

/* Bitbucket tells of all refs of a push at once. */
static void each_ref_of_a_delivery_has_a_row_in_its_order(void **state)
{
#define CHANGE(branch)                                                                             \
	"{\"new\":{\"type\":\"branch\",\"name\":\"" branch "\",\"target\":{\"hash\":\"" COMMIT     \
	"\"}}}"
	struct proof_world *w = *state;
	static const char *const refs[] = {"refs/heads/b", "refs/heads/a"};
	int64_t newest = 0;

	put_buildconfig(w, "u", ",\"annotations\":{\"buildhook.io/refs\":\"a,b\"}",
			TRIGGER("Bitbucket", "bitbucket"));
	(void)send(w, (struct sent){"bitbucket", "X-Event-Key", "repo:push", NULL, false,
				    "{\"push\":{\"changes\":[" CHANGE("b") "," CHANGE(
					    "other") "," CHANGE("a") "]}}"});
	newest = waiting(w).newest_seq;
	assert_int_equal(waiting(w).n, ARRAY_LEN(refs));
	for (size_t i = 0; i < ARRAY_LEN(refs); i++) {
		CLEANUP(journal_change_freep)
		struct journal_change *row =
			journal_read_row(w->services.journal, newest - 1 + (int64_t)i);

		assert_non_null(row);
		assert_string_equal(row->ref, refs[i]);
	}
}

/* Stores pushes of other refs until one is refused. */
static void fill(struct proof_world *w)
{
	struct told told = {.status = ERR_OK};
	char ref[32];

	for (int i = 0; told.status == ERR_OK; i++) {
		struct journal_change change = sample(ref, ref);

		assert_true(i <= 1000);
		(void)snprintf(ref, sizeof(ref), "refs/heads/%d", i);
		change.uid = "u";
		told = add(&w->base, &change, 1);
	}
	assert_int_equal(told.status, ERR_LIMIT);
}

/* Who floods is named, as only their deliveries are refused; the status says so, too. */
static void a_buildconfig_with_too_many_changes_is_503(void **state)
{
	struct proof_world *w = *state;
	struct test_request *r = NULL;

	fill(w);
	put_buildconfig(w, "u", "", INLINE("abc"));
	r = push(w, "d-1", PUSH);
	assert_int_equal(r->status, 503);
	assert_non_null(strstr(r->answer.data, "too many changes of cart wait"));
	assert_non_null(strstr(r->fields.data, "Retry-After: "));
	assert_string_equal(queue_get(w->services.queue), "shop/cart");
	queue_done(w->services.queue, "shop/cart");
}

static void what_the_disk_does_not_take_is_503(void **state)
{
	struct proof_world *w = *state;
	struct test_request *r = NULL;

	put_buildconfig(w, "u", "", INLINE("abc"));
	r = new_request(w, URL "github", (int64_t)strlen(PUSH));
	test_request_put(r, "Content-Type", "application/json");
	test_request_put(r, "X-GitHub-Event", "push");
	begin(w);
	feed(w, STR(PUSH));
	finish(w);
	collect_on_broken_disk(w);
	assert_int_equal(r->status, 503);
	assert_non_null(strstr(r->answer.data, "could not be stored; send it again later"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		IN_WORLD(what_the_git_host_says_is_in_the_row),
		IN_WORLD(nothing_is_answered_before_the_row_is_stored),
		IN_WORLD(what_builds_nothing_is_answered_with_its_reason_and_noted),
		IN_WORLD(what_cannot_be_read_is_400_and_200_for_gitlab),
		IN_WORLD(a_delivery_without_an_id_gets_a_random_one),
		IN_WORLD(each_ref_of_a_delivery_has_a_row_in_its_order),
		IN_WORLD(a_buildconfig_with_too_many_changes_is_503),
		IN_WORLD(what_the_disk_does_not_take_is_503),
	};

	return cmocka_run_group_tests_name("admit", tests, NULL, NULL);
}
