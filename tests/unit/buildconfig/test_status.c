#include "buildconfig/status.h"

#include "fixture.h"

#define GITHUB    0
#define GITLAB    1
#define T0        INT64_C(1795467011000) /* 2026-11-23T20:50:11Z */
#define T0_LINE   "2026-11-23T20:50:11Z push main aaaaaaa by bob -> cart-6"
#define PING_LINE "2026-11-23T20:50:11Z ping"
#define HOOK      "'triggers':[{'type':'GitHub','github':{'secretReference':{'name':'s'}}}]"
#define SOURCE    "'source':{'git':{'uri':'u','ref':'master'}}," HOOK

#define OLD_ADDRESS "your Git host still calls OpenShift's own github URL"

#define STATUS CLEANUP(status_release) struct status

static struct status_input usable(void)
{
	struct status_input input = {.now_ms = T0 + 60000, .provision = true};

	for (size_t i = 0; i < HOOK_TYPES; i++)
		for (size_t j = 0; j < BUILDCONFIG_MAX_SECRETS; j++)
			input.hooks[i].secrets[j].state = STATUS_SECRET_USABLE;
	return input;
}

static const char *value(const struct status *status, const char *fact)
{
	for (size_t i = 0; i < status->n; i++)
		if (strcmp(status->items[i].key + strlen(BUILDCONFIG_ANNOTATION_PREFIX), fact) == 0)
			return status->items[i].value;
	return "(none)";
}

/* The object as it is after an apply of STATUS. */
static struct buildconfig *apply(const struct status *status, const char *spec)
{
	CLEANUP(buf_release) struct buf annotations = BUF_INIT(16 * 1024);

	for (size_t i = 0; i < status->n; i++) {
		buf_printf(&annotations, "%s\"%s\":", i ? "," : "", status->items[i].key);
		buf_put_json(&annotations, str_of(status->items[i].value));
	}
	return make_bc(spec, buf_text(&annotations));
}

static void a_hook_shows_five_facts_and_a_hint(void **state)
{
	struct status_input input = usable();
	STATUS status;
	BC bc = make_bc("'source':{'git':{'uri':'u','ref':'master'}},'triggers':[{'type':'GitHub','"
			"github':{}}]",
			"");

	(void)state;
	input.public_url = "https://hooks.example.com/";
	input.hooks[GITHUB] = (struct status_hook){
		.secrets = {{.state = STATUS_SECRET_USABLE}},
		.activity = {.last_ms = T0 + 999,
			     .last = "push main 3f2a1b0 by alice -> cart-7",
			     .refused = 3,
			     .refused_ms = T0 + 1000,
			     .refused_why = "signature does not match the secret",
			     .ignored_reason = OUTCOME_REF_MISMATCH,
			     .ignored_row = 3,
			     .ignored_what = "refs/heads/main"},
	};
	status_make(&status, bc, &input);
	assert_int_equal(status.n, 6);
	assert_true(status.is_complete);
	assert_string_equal(value(&status, "github-state"), "Ready");
	assert_string_equal(value(&status, "github-url"),
			    "https://hooks.example.com/hooks/shop/cart/github");
	assert_string_equal(value(&status, "github-secret"), "cart-github-webhook");
	assert_string_equal(value(&status, "github-last"),
			    "2026-11-23T20:50:11Z push main 3f2a1b0 by alice -> cart-7");
	assert_string_equal(
		value(&status, "github-refused"),
		"2026-11-23T20:50:12Z 3 since start, last: signature does not match the secret");
	assert_string_equal(value(&status, "hint"),
			    "3 pushes to \"main\" were ignored: this BuildConfig builds "
			    "\"master\". Set spec.source.git.ref.");
}

static void nothing_is_said_of_what_is_not_there(void **state)
{
	struct status_input input = usable();
	STATUS plain, ignored, quiet;
	BC without = make_bc("'source':{'git':{'uri':'u'}}", "");
	BC left_alone = make_bc(SOURCE, "'buildhook.io/ignore':'true','buildhook.io/x':'y'");
	BC new_one = make_bc(SOURCE, "");

	(void)state;
	status_make(&plain, without, &input);
	assert_int_equal(plain.n, 0);
	status_make(&ignored, left_alone, &input);
	assert_int_equal(ignored.n, 0);
	status_make(&quiet, new_one, &input);
	assert_int_equal(quiet.n, 3);
	assert_string_equal(value(&quiet, "github-url"), "/hooks/shop/cart/github");
}

static void the_state_says_what_to_do(void **state)
{
	static const struct {
		enum status_secret_state secret;
		bool provision;
		const char *problem;
		const char *state;
	} cases[] = {
		{STATUS_SECRET_USABLE, true, NULL, "Ready"},
		{STATUS_SECRET_MISSING, true, NULL,
		 "NotReady: Secret \"s\" does not exist, buildhook is about to make it"},
		{STATUS_SECRET_MISSING, false, NULL,
		 "NotReady: Secret \"s\" does not exist: create it with key WebHookSecretKey"},
		{STATUS_SECRET_MISSING, true, "create it: 403 forbidden",
		 "NotReady: Secret \"s\": create it: 403 forbidden"},
		{STATUS_SECRET_DENIED, true, NULL,
		 "NotReady: Secret \"s\" may not be read: grant buildhook's ServiceAccount get on "
		 "Secrets in this namespace"},
		{STATUS_SECRET_UNUSABLE, true, "",
		 "NotReady: Secret \"s\" has no usable value: put one into its key "
		 "WebHookSecretKey"},
		{STATUS_SECRET_UNKNOWN, true, NULL, "(none)"},
	};
	BC bc = make_bc(SOURCE, "");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct status_input input = {.provision = cases[i].provision};
		STATUS status;

		input.hooks[GITHUB].secrets[0] = (struct status_secret){
			.state = cases[i].secret, .problem = cases[i].problem};
		status_make(&status, bc, &input);
		assert_string_equal(value(&status, "github-state"), cases[i].state);
		assert_int_equal(status.is_complete, cases[i].secret != STATUS_SECRET_UNKNOWN);
	}
}

static void one_secret_that_works_is_enough_and_the_other_a_hint(void **state)
{
	struct status_input input = {.provision = true};
	STATUS status;
	BC bc = make_bc("'triggers':[{'type':'GitHub','github':{'secretReference':{'name':'gone'},'"
			"secret':'hunter2'}}]",
			"");

	(void)state;
	input.hooks[GITHUB].secrets[0].state = STATUS_SECRET_DENIED;
	status_make(&status, bc, &input);
	assert_string_equal(value(&status, "github-state"), "Ready");
	assert_string_equal(value(&status, "github-secret"), "gone, (inline)");
	assert_non_null(strstr(value(&status, "hint"), "fix: Secret \"gone\" may not be read"));
}

static void an_inline_secret_is_never_shown(void **state)
{
	struct status_input input = usable();
	STATUS status;
	BC bc = make_bc("'triggers':[{'type':'GitHub','github':{'secret':'hunter2'}}]", "");

	(void)state;
	status_make(&status, bc, &input);
	for (size_t i = 0; i < status.n; i++)
		assert_null(strstr(status.items[i].value, "hunter2"));
}

static void a_broken_trigger_is_told_where_people_look(void **state)
{
	struct status_input input = usable();
	STATUS wrong, half;
	BC number = make_bc("'triggers':[{'type':'GitHub','github':{'secret':5}}]", "");
	BC member = make_bc("'triggers':[{'type':'GitHub'}]", "");

	(void)state;
	status_make(&wrong, number, &input);
	assert_string_equal(value(&wrong, "github-state"),
			    "NotReady: spec.triggers[0].github.secret is a number, not text");
	status_make(&half, member, &input);
	assert_string_equal(value(&half, "hint"),
			    "fix: spec.triggers[0] has type GitHub, but no object \"github\"");
}

static void the_newest_line_wins(void **state)
{
	static const struct {
		const char *held;
		int64_t ours_ms;
		bool is_dirty;
		const char *shown;
	} cases[] = {
		{"", T0, true, "2026-11-23T20:50:11Z ours"},
		{T0_LINE, 0, false, T0_LINE},
		{T0_LINE, T0 - 1000, true, T0_LINE},
		{T0_LINE, T0 + 1000, false, "2026-11-23T20:50:12Z ours"},
		/* within one second */
		{T0_LINE, T0 + 500, true, "2026-11-23T20:50:11Z ours"},
		{T0_LINE, T0 + 500, false, T0_LINE},
		/* lines that buildhook cannot have written */
		{"garbage", T0, false, "2026-11-23T20:50:11Z ours"},
		{"garbage", 0, false, "(none)"},
		{"2026-11-23T21:50:11Z from the future", T0, false, "2026-11-23T20:50:11Z ours"},
		{"2026-11-23T20:50:11Z a\\u001b[31mb", 0, false,
		 "2026-11-23T20:50:11Z a\xEF\xBF\xBD[31mb"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct status_input input = usable();
		char held[256] = "";
		STATUS status;

		if (*cases[i].held)
			(void)snprintf(held, sizeof(held), "'buildhook.io/github-last':'%s'",
				       cases[i].held);
		BC bc = make_bc(SOURCE, held);
		SET(input.hooks[GITHUB].activity.last, "ours");
		input.hooks[GITHUB].activity.last_ms = cases[i].ours_ms;
		input.hooks[GITHUB].activity.is_dirty = cases[i].is_dirty;
		status_make(&status, bc, &input);
		assert_string_equal(value(&status, "github-last"), cases[i].shown);
	}
}

static void keys_of_hooks_that_are_gone_disappear(void **state)
{
	struct status_input input = usable();
	STATUS status;
	BC bc = make_bc(SOURCE,
			"'buildhook.io/gitlab-state':'Ready','buildhook.io/gitlab-last':'" T0_LINE
			"'");

	(void)state;
	status_make(&status, bc, &input);
	assert_string_equal(value(&status, "gitlab-state"), "(none)");
	assert_string_equal(value(&status, "gitlab-last"), "(none)");
	assert_int_equal(status_compare(&status, bc), STATUS_CHANGED);
}

static void a_state_that_is_not_known_stays_as_it_is(void **state)
{
	struct status_input input = {.now_ms = T0};
	STATUS status;
	BC bc = make_bc(SOURCE,
			"'buildhook.io/github-state':'Ready','buildhook.io/github-secret':'s',"
			"'buildhook.io/github-url':'/hooks/shop/cart/github'");

	(void)state;
	status_make(&status, bc, &input);
	assert_int_equal(status_compare(&status, bc), STATUS_SAME);
	assert_false(status.is_complete);
}

static void the_hint_is_kept_by_those_who_know_nothing_newer(void **state)
{
#define HINT(text) "'buildhook.io/hint':'" text "','buildhook.io/github-last':'" PING_LINE "'"
#define WERE       "2 pushes to \\\"main\\\" were ignored: this BuildConfig builds "
	static const struct {
		const char *held;
		int64_t ours_ms;
		uint64_t mismatches;
		const char *shown;
	} cases[] = {
		{HINT("a push came from elsewhere"), 0, 0, "a push came from elsewhere"},
		{HINT("a push came from elsewhere"), T0 - 5000, 1, "a push came from elsewhere"},
		{HINT("a push came from elsewhere"), T0 + 5000, 0, "(none)"},
		{HINT("a push came from elsewhere"), T0 + 5000, 1,
		 "1 push to \"main\" was ignored: this BuildConfig builds \"master\". Set "
		 "spec.source.git.ref."},
		{HINT("fix: spec is wrong"), 0, 0, "(none)"},
		{HINT(WERE "\\\"dev\\\". Set spec.source.git.ref."), 0, 0, "(none)"},
		{HINT(WERE "\\\"master\\\". Set spec.source.git.ref."), 0, 0,
		 "2 pushes to \"main\" were ignored: this BuildConfig builds \"master\". Set "
		 "spec.source.git.ref."},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct status_input input = usable();
		STATUS status;
		BC bc = make_bc(SOURCE, cases[i].held);

		input.hooks[GITHUB].activity.last_ms = cases[i].ours_ms;
		SET(input.hooks[GITHUB].activity.last, "x");
		input.hooks[GITHUB].activity.ignored_reason = OUTCOME_REF_MISMATCH;
		input.hooks[GITHUB].activity.ignored_row = cases[i].mismatches;
		SET(input.hooks[GITHUB].activity.ignored_what, "refs/heads/main");
		status_make(&status, bc, &input);
		assert_string_equal(value(&status, "hint"), cases[i].shown);
	}
}

static void a_mended_ref_takes_the_hint_away(void **state)
{
	struct status_input input = usable();
	STATUS status;
	BC bc = make_bc("'source':{'git':{'uri':'u','ref':'main'}}," HOOK, "");

	(void)state;
	input.hooks[GITHUB].activity.last_ms = T0;
	SET(input.hooks[GITHUB].activity.last, "x");
	input.hooks[GITHUB].activity.ignored_reason = OUTCOME_REF_MISMATCH;
	input.hooks[GITHUB].activity.ignored_row = 2;
	SET(input.hooks[GITHUB].activity.ignored_what, "refs/heads/main");
	status_make(&status, bc, &input);
	assert_string_equal(value(&status, "hint"), "(none)");
}

static void the_callers_hint_comes_last(void **state)
{
	struct status_input input = usable();
	STATUS alone, behind;
	BC bc = make_bc(SOURCE, "");

	(void)state;
	input.origin = "your Git host still calls OpenShift's own github URL";
	status_make(&alone, bc, &input);
	assert_string_equal(value(&alone, "hint"),
			    "your Git host still calls OpenShift's own github URL");
	input.hooks[GITHUB].activity.last_ms = T0;
	SET(input.hooks[GITHUB].activity.last, "x");
	SET(input.hooks[GITHUB].activity.hint, "a push came from elsewhere");
	status_make(&behind, bc, &input);
	assert_string_equal(value(&behind, "hint"), "a push came from elsewhere");
}

static void the_callers_hint_goes_with_a_delivery_well_after_it(void **state)
{
	static const struct {
		int64_t hint_ms;
		const char *shown;
	} cases[] = {{T0 + 1000, OLD_ADDRESS},
		     {T0 - 60 * 1000, OLD_ADDRESS},
		     {T0 - 3600 * 1000, "(none)"}};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
		struct status_input input = usable();
		bool is_held = i % 2;
		BC bc = make_bc(SOURCE, is_held ? "'buildhook.io/github-last':'" T0_LINE "'" : "");
		STATUS status;

		input.origin = OLD_ADDRESS;
		input.origin_ms = cases[i / 2].hint_ms;
		if (!is_held) {
			input.hooks[GITHUB].activity.last_ms = T0;
			SET(input.hooks[GITHUB].activity.last, "x");
		}
		status_make(&status, bc, &input);
		assert_string_equal(value(&status, "hint"), cases[i / 2].shown);
	}
}

/* Each replica has its own view of one second's deliveries; all orders of writes are tried. */
static void replicas_do_not_undo_each_other(void **state)
{
	static const char *const lines[2] = {"push main aaa -> cart-1",
					     "push main bbb -> ignored: RefMismatch"};

	(void)state;
	for (int first = 0; first < 2; first++) {
		struct buildconfig *object = make_bc(SOURCE, "");
		bool is_dirty[2] = {true, true};
		int writes = 0;

		for (int turn = 0; turn < 20; turn++) {
			int replica = (turn + first) % 2;
			struct status_input input = usable();
			struct hook_activity *hook = &input.hooks[GITHUB].activity;
			STATUS status;

			hook->last_ms = T0 + 100 * replica;
			SET(hook->last, lines[replica]);
			hook->ignored_reason = OUTCOME_REF_MISMATCH;
			hook->ignored_row = (uint64_t)replica;
			SET(hook->ignored_what, "refs/heads/main");
			hook->refused = 1 + (uint64_t)replica;
			hook->refused_ms = T0 + 300;
			SET(hook->refused_why, "no");
			hook->is_dirty = is_dirty[replica];
			status_make(&status, object, &input);
			if (status_compare(&status, object) == STATUS_SAME)
				continue;
			writes++;
			is_dirty[replica] = false;
			struct buildconfig *written = apply(&status, SOURCE);
			buildconfig_free(object);
			object = written;
		}
		assert_int_equal(writes, 2);
		buildconfig_free(object);
	}
}

static void what_was_applied_is_the_same(void **state)
{
	struct status_input input = usable();
	STATUS status, again;
	BC bc = make_bc(SOURCE, "'buildhook.io/hint':'old'");

	(void)state;
	input.hooks[GITHUB].activity.last_ms = T0;
	SET(input.hooks[GITHUB].activity.last, "push m\xC3\xA4in \"x\" -> \\");
	SET(input.hooks[GITHUB].activity.hint, "a push came from h\x01");
	status_make(&status, bc, &input);
	assert_int_equal(status_compare(&status, bc), STATUS_CHANGED);
	BC after = apply(&status, SOURCE);
	assert_int_equal(status_compare(&status, after), STATUS_SAME);
	status_make(&again, after, &input);
	assert_int_equal(status_compare(&again, after), STATUS_SAME);
}

static void refusals_alone_are_told_apart(void **state)
{
	struct status_input input = usable();
	STATUS before, refused, changed;
	BC bc = make_bc(SOURCE, "");

	(void)state;
	status_make(&before, bc, &input);
	BC held = apply(&before, SOURCE);
	input.hooks[GITHUB].activity.refused = 1;
	input.hooks[GITHUB].activity.refused_ms = T0;
	SET(input.hooks[GITHUB].activity.refused_why, "no");
	status_make(&refused, held, &input);
	assert_int_equal(status_compare(&refused, held), STATUS_REFUSED);
	input.hooks[GITHUB].activity.last_ms = T0;
	SET(input.hooks[GITHUB].activity.last, "x");
	status_make(&changed, held, &input);
	assert_int_equal(status_compare(&changed, held), STATUS_CHANGED | STATUS_REFUSED);
}

static uint64_t fingerprint_of(const char *version, const char *annotations)
{
	struct status_input input = usable();
	CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
	STATUS status;

	buf_printf(&text,
		   "{'metadata':{'namespace':'shop','name':'cart','resourceVersion':'%s','"
		   "annotations':{%s}},"
		   "'spec':{" SOURCE "}}",
		   version, annotations);
	BC bc = parse_bc(text.data);
	status_make(&status, bc, &input);
	return status_fingerprint(&status, bc);
}

static void a_key_that_will_not_go_is_tried_once(void **state)
{
#define HELD                                                                                       \
	"'buildhook.io/github-state':'Ready','buildhook.io/github-secret':'s',"                    \
	"'buildhook.io/github-url':'/hooks/shop/cart/github'"
	(void)state;
	assert_true(fingerprint_of("1", HELD ",'buildhook.io/gitlab-state':'x'") ==
		    fingerprint_of("2", HELD ",'buildhook.io/gitlab-state':'x'"));
	assert_true(fingerprint_of("1", HELD ",'buildhook.io/gitlab-state':'x'") !=
		    fingerprint_of("2", HELD ",'buildhook.io/gitlab-state':'y'"));
	/* The annotation was removed twice, so it is written twice. */
	assert_true(fingerprint_of("1", "") != fingerprint_of("2", ""));
}

static void the_document_holds_names_uid_and_annotations_alone(void **state)
{
	struct status_input input = usable();
	CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
	STATUS status;
	BC bc = make_bc(SOURCE, "'buildhook.io/refs':'x','a.io/b':'c'");

	(void)state;
	status_make(&status, bc, &input);
	CLEANUP(json_freep) cJSON *doc = status_document(&status, bc);
	json_format(&text, doc);
	assert_string_equal(
		text.data,
		"{\"apiVersion\":\"build.openshift.io/v1\",\"kind\":\"BuildConfig\",\"metadata\":{"
		"\"name\":\"cart\",\"namespace\":\"shop\",\"uid\":\"u-1\",\"annotations\":{"
		"\"buildhook.io/github-state\":\"Ready\","
		"\"buildhook.io/github-url\":\"/hooks/shop/cart/github\","
		"\"buildhook.io/github-secret\":\"s\"}}}");
}

static void lines_say_what_came_and_what_became_of_it(void **state)
{
	static const struct {
		struct status_line line;
		const char *text;
	} cases[] = {
		{{.event = "push",
		  .ref = "refs/heads/main",
		  .commit = "3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a",
		  .who = "alice",
		  .build = "cart-7"},
		 "push main 3f2a1b0 by alice -> cart-7"},
		{{.event = "push",
		  .ref = "refs/heads/main",
		  .who = "alice",
		  .reason = OUTCOME_REF_MISMATCH,
		  .why = "this BuildConfig builds master"},
		 "push main by alice -> ignored: RefMismatch, this BuildConfig builds master"},
		{{.event = "push", .ref = "refs/tags/v1", .reason = OUTCOME_TAG_IGNORED},
		 "push tag v1 -> ignored: TagIgnored"},
		{{.event = "push",
		  .ref = "refs/heads/x",
		  .is_delete = true,
		  .commit = "0000",
		  .reason = OUTCOME_REF_DELETED},
		 "delete x -> ignored: RefDeleted"},
		{{.event = "push",
		  .ref = "refs/heads/main",
		  .reason = OUTCOME_QUEUED,
		  .why = "the API server is away"},
		 "push main -> waiting, the API server is away"},
		{{.event = "push", .ref = "refs/heads/main"}, "push main -> waiting"},
		{{.event = "push",
		  .ref = "refs/heads/main",
		  .reason = OUTCOME_FAILED,
		  .why = "quota"},
		 "push main -> failed, quota"},
		{{.event = "ping", .reason = OUTCOME_PING}, "ping"},
		{{.event = "issues", .who = "a\nb", .reason = OUTCOME_EVENT_IGNORED},
		 "issues by a\xEF\xBF\xBD"
		 "b -> ignored: EventIgnored"},
		{{.event = "push"}, "push -> waiting"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[256];

		status_format_last(text, sizeof(text), &cases[i].line);
		assert_string_equal(text, cases[i].text);
	}
}

static void long_parts_leave_room_for_the_outcome(void **state)
{
	char ref[1025], text[256], small[20];
	const struct status_line line = {
		.event = "push", .ref = ref, .commit = "3f2a1b0", .who = ref, .build = "cart-7"};

	(void)state;
	for (size_t i = 0; i + 2 < sizeof(ref); i += 2)
		memcpy(ref + i, "\xC3\xA4", 3);
	status_format_last(text, sizeof(text), &line);
	assert_non_null(strstr(text, " -> cart-7"));
	assert_true(strlen(text) + 21 <= STATUS_VALUE_BYTES);
	assert_true(str_is_utf8(str_of(text)));
	status_format_last(small, sizeof(small), &line);
	assert_true(str_is_utf8(str_of(small)));
}

static void values_are_cut_at_two_hundred_bytes(void **state)
{
	struct status_input input = usable();
	char hint[1025];
	STATUS status;
	BC bc = make_bc(SOURCE, "");

	(void)state;
	memset(hint, 'x', 1024);
	for (size_t i = 1; i < 1024; i += 2)
		memcpy(hint + i, "\xC3\xA4", i + 2 < 1025 ? 2 : 1);
	hint[1024] = '\0';
	input.origin = hint;
	status_make(&status, bc, &input);
	assert_int_equal(strlen(value(&status, "hint")), 199);
	assert_true(str_is_utf8(str_of(value(&status, "hint"))));
}

static void what_was_built_stays_beside_an_ignored_push(void **state)
{
	static const struct {
		const char *held_last, *held_built;
		int64_t ours_ms, built_ms;
		const char *ours;
		const char *last, *built;
	} cases[] = {
		/* Another process has written the line of the build. */
		{T0_LINE, "", T0 + 5000, 0, "push wip -> ignored: RefMismatch",
		 "2026-11-23T20:50:16Z push wip -> ignored: RefMismatch", T0_LINE},
		{"2026-11-23T20:50:16Z push wip -> ignored: RefMismatch", T0_LINE, 0, 0, "",
		 "2026-11-23T20:50:16Z push wip -> ignored: RefMismatch", T0_LINE},
		/* The newest delivery is the one that built: one line is enough. */
		{"", "", T0, T0, "push main -> cart-7", "2026-11-23T20:50:11Z push main -> cart-7",
		 "(none)"},
		{T0_LINE, "", 0, 0, "", T0_LINE, "(none)"},
		/* No outcome ends in the name of a Build. */
		{"2026-11-23T20:50:11Z push main -> waiting", "", T0 + 5000, 0, "ping",
		 "2026-11-23T20:50:16Z ping", "(none)"},
		{"2026-11-23T20:50:11Z push main -> ignored: SkipCI, cart-7", "", T0 + 5000, 0,
		 "ping", "2026-11-23T20:50:16Z ping", "(none)"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct status_input input = usable();
		char held[512];
		STATUS status;

		(void)snprintf(held, sizeof(held),
			       "'buildhook.io/github-last':'%s','buildhook.io/github-built':'%s'",
			       cases[i].held_last, cases[i].held_built);
		BC bc = make_bc(SOURCE, held);
		SET(input.hooks[GITHUB].activity.last, cases[i].ours);
		input.hooks[GITHUB].activity.last_ms = cases[i].ours_ms;
		SET(input.hooks[GITHUB].activity.built, cases[i].ours);
		input.hooks[GITHUB].activity.built_ms = cases[i].built_ms;
		status_make(&status, bc, &input);
		assert_string_equal(value(&status, "github-last"), cases[i].last);
		assert_string_equal(value(&status, "github-built"), cases[i].built);
	}
}

static void outcomes_of_all_replicas_are_one_list(void **state)
{
	struct unbuilt_line ours[] = {
		{T0 + 2000, "github push b -> ignored: RefMismatch"},
		{T0 + 9000, "github refused: signature does not match the secret"},
	};
	struct status_input input = usable();
	STATUS status, again;
	BC bc = make_bc(SOURCE,
			"'buildhook.io/recent':'2026-11-23T20:50:14Z gitlab issues -> ignored: "
			"EventIgnored\\n2026-11-23T20:50:12Z github refused: no signature\\n"
			"2026-11-23T20:50:10Z github push b -> ignored: RefMismatch\\n"
			"2026-11-23T20:50:09Z github push a -> ignored: RefMismatch\\ngarbage\\n"
			"2026-11-23T23:50:09Z github push f -> ignored: RefMismatch'");

	(void)state;
	input.unbuilt = ours;
	input.n_unbuilt = ARRAY_LEN(ours);
	status_make(&status, bc, &input);
	assert_string_equal(value(&status, "recent"),
			    "2026-11-23T20:50:20Z github refused: signature does not match the "
			    "secret\n"
			    "2026-11-23T20:50:14Z gitlab issues -> ignored: EventIgnored\n"
			    "2026-11-23T20:50:13Z github push b -> ignored: RefMismatch\n"
			    "2026-11-23T20:50:09Z github push a -> ignored: RefMismatch");
	BC after = apply(&status, SOURCE);
	status_make(&again, after, &input);
	assert_int_equal(status_compare(&again, after), STATUS_SAME);
}

static void ten_unbuilt_are_two_kibibytes_at_most(void **state)
{
	struct unbuilt_line ours[ACTIVITY_UNBUILT];
	struct status_input input = usable();
	char texts[ACTIVITY_UNBUILT][600];
	STATUS status;
	BC bc = make_bc(SOURCE, "'buildhook.io/recent':'2026-11-23T20:00:00Z github push -> old'");

	(void)state;
	for (size_t i = 0; i < ACTIVITY_UNBUILT; i++) {
		memset(texts[i], 'x', sizeof(texts[i]));
		(void)snprintf(texts[i], sizeof(texts[i]), "github push %zu", i);
		texts[i][strlen(texts[i])] = '\x1b';
		texts[i][sizeof(texts[i]) - 1] = '\0';
		ours[i] = (struct unbuilt_line){T0 + 1000 * (int64_t)i, texts[i]};
	}
	input.unbuilt = ours;
	input.n_unbuilt = ARRAY_LEN(ours);
	status_make(&status, bc, &input);
	const char *recent = value(&status, "recent");
	assert_true(strlen(recent) <= 2048 && str_is_utf8(str_of(recent)));
	assert_null(strchr(recent, '\x1b'));
	assert_null(strstr(recent, "old"));
	assert_memory_equal(recent, "2026-11-23T20:50:20Z github push 9", 34);
}

static void a_secret_of_a_deleted_namesake_is_not_ready(void **state)
{
	struct status_input input = usable();
	STATUS status;
	BC bc = make_bc(SOURCE, "");

	(void)state;
	input.hooks[GITHUB].secrets[0].state = STATUS_SECRET_FORMER;
	status_make(&status, bc, &input);
	assert_non_null(strstr(value(&status, "github-state"),
			       "NotReady: Secret \"s\" belongs to a deleted BuildConfig"));
}

static void the_state_says_what_is_still_accepted_and_what_waits(void **state)
{
	struct status_input input = usable();
	STATUS rotated, waiting, refused;
	BC bc = make_bc(SOURCE, "");

	(void)state;
	input.hooks[GITHUB].secrets[0].previous_until_ms = T0 + 3600 * 1000;
	status_make(&rotated, bc, &input);
	assert_string_equal(value(&rotated, "github-state"),
			    "Ready, the old secret is accepted until 2026-11-23T21:50:11Z");
	assert_int_equal(rotated.states[GITHUB], STATUS_READY);
	assert_int_equal(status_read_state(value(&rotated, "github-state")), STATUS_READY);
	input.hooks[GITHUB].secrets[0].previous_until_ms = T0;
	input.waiting = "the API server does not answer";
	status_make(&waiting, bc, &input);
	assert_string_equal(value(&waiting, "github-state"),
			    "Ready, a build waits: the API server does not answer");
	input.is_start_refused = true;
	input.waiting = "buildhook may not create Builds: grant it";
	status_make(&refused, bc, &input);
	assert_string_equal(value(&refused, "github-state"),
			    "NotReady: buildhook may not create Builds: grant it");
	assert_int_equal(refused.states[GITHUB], STATUS_NOT_READY);
}

static void the_trouble_of_another_replicas_start_stays(void **state)
{
	static const struct {
		const char *held, *waiting;
		bool is_refused, is_kept;
	} cases[] = {
		{"NotReady: exceeded quota", "", false, true},
		{"Ready, a build waits: more builds than the limit were asked for", "", false,
		 true},
		{"NotReady: exceeded quota", "more builds than the limit", false, true},
		{"NotReady: exceeded quota: used 3", "exceeded quota: used 4", true, true},
		/* This replica's trouble is worse or the same, or the hook itself does not work. */
		{"Ready, a build waits: more builds than the limit", "exceeded quota", true, false},
		{"NotReady: exceeded quota", "exceeded quota", true, false},
		{"NotReady: Secret \"s\" does not exist", "", false, false},
		{"Ready", "", false, false},
		{"417", "", false, false},
		{"", "", false, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_release) struct buf annotations = BUF_INIT(1024);
		struct status_input input = usable();
		STATUS status, same;
		char ours[200];

		buf_put_str(&annotations, STR("\"buildhook.io/github-state\":"));
		buf_put_json(&annotations, str_of(cases[i].held));
		BC bc = make_bc(SOURCE, annotations.data);
		input.waiting = cases[i].waiting;
		input.is_start_refused = cases[i].is_refused;
		status_make(&status, bc, &input);
		(void)snprintf(ours, sizeof(ours), "%s", value(&status, "github-state"));
		assert_int_equal(status_is_milder(&status, bc), cases[i].is_kept);
		status_keep_trouble(&status, bc);
		assert_string_equal(value(&status, "github-state"),
				    cases[i].is_kept ? cases[i].held : ours);
		if (cases[i].is_kept)
			assert_int_equal(status_trouble(&status, bc), status_trouble(NULL, bc));
		/* This replica reports a Secret that does not work, whatever the object shows. */
		input.hooks[GITHUB].secrets[0].state = STATUS_SECRET_MISSING;
		status_make(&same, bc, &input);
		assert_false(status_is_milder(&same, bc));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hook_shows_five_facts_and_a_hint),
		cmocka_unit_test(nothing_is_said_of_what_is_not_there),
		cmocka_unit_test(the_state_says_what_to_do),
		cmocka_unit_test(one_secret_that_works_is_enough_and_the_other_a_hint),
		cmocka_unit_test(an_inline_secret_is_never_shown),
		cmocka_unit_test(a_broken_trigger_is_told_where_people_look),
		cmocka_unit_test(the_newest_line_wins),
		cmocka_unit_test(keys_of_hooks_that_are_gone_disappear),
		cmocka_unit_test(a_state_that_is_not_known_stays_as_it_is),
		cmocka_unit_test(the_hint_is_kept_by_those_who_know_nothing_newer),
		cmocka_unit_test(a_mended_ref_takes_the_hint_away),
		cmocka_unit_test(the_callers_hint_comes_last),
		cmocka_unit_test(the_callers_hint_goes_with_a_delivery_well_after_it),
		cmocka_unit_test(replicas_do_not_undo_each_other),
		cmocka_unit_test(what_was_applied_is_the_same),
		cmocka_unit_test(refusals_alone_are_told_apart),
		cmocka_unit_test(a_key_that_will_not_go_is_tried_once),
		cmocka_unit_test(the_document_holds_names_uid_and_annotations_alone),
		cmocka_unit_test(lines_say_what_came_and_what_became_of_it),
		cmocka_unit_test(long_parts_leave_room_for_the_outcome),
		cmocka_unit_test(values_are_cut_at_two_hundred_bytes),
		cmocka_unit_test(what_was_built_stays_beside_an_ignored_push),
		cmocka_unit_test(outcomes_of_all_replicas_are_one_list),
		cmocka_unit_test(ten_unbuilt_are_two_kibibytes_at_most),
		cmocka_unit_test(a_secret_of_a_deleted_namesake_is_not_ready),
		cmocka_unit_test(the_state_says_what_is_still_accepted_and_what_waits),
		cmocka_unit_test(the_trouble_of_another_replicas_start_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
