/* "Exactly one build" of docs/architecture.md, sentence by sentence: a situation, and the step that
 * must follow. */
#include "controller/start_plan.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW_MS  INT64_C(1795000000000)
#define NOW     "2026-11-18T11:06:40Z"
#define LONGAGO "2026-11-18T11:00:00Z"

static const struct journal_change row = {.seq = 7,
					  .state = JOURNAL_ACCEPTED,
					  .accepted_ms = NOW_MS - 10000,
					  .uid = "u1",
					  .namespace_ = "shop",
					  .name = "cart",
					  .type = "github",
					  .host = "github",
					  .delivery_id = "d1",
					  .ref = "refs/heads/main"};
static const struct journal_change starting_row = {.seq = 7,
						   .state = JOURNAL_STARTING,
						   .accepted_ms = NOW_MS - 10000,
						   .uid = "u1",
						   .namespace_ = "shop",
						   .name = "cart",
						   .type = "github",
						   .host = "github",
						   .delivery_id = "d1",
						   .ref = "refs/heads/main"};

enum backend { KUBERNETES, OPENSHIFT };

static struct start_seen begin(enum backend backend, const struct journal_change *change)
{
	struct start_seen s = {.is_openshift = backend == OPENSHIFT,
			       .wall_ms = NOW_MS,
			       .mono_ms = 1000000,
			       .memory = {.known_version = -1, .last_version = 1000}};

	start_begin(&s, change);
	return s;
}

static struct start_step plan_of(const struct start_seen *s)
{
	struct start_step next;

	start_plan(s, &next);
	return next;
}

static cJSON *parse(const char *fmt, ...)
{
	char text[1024];
	cJSON *doc = NULL;
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	assert_int_equal(json_parse(&doc, str_of(text), NULL), 0);
	return doc;
}

static void learn_version(struct start_seen *s, int64_t version)
{
	CLEANUP(json_freep)
	cJSON *bc = parse("{\"metadata\":{\"uid\":\"u1\"},\"status\":{\"lastVersion\":%d}}",
			  (int)version);

	start_learn_buildconfig(s, bc);
}

static void learn_no_own(struct start_seen *s)
{
	CLEANUP(json_freep) cJSON *list = parse("{\"items\":[]}");

	start_learn_own(s, list, false);
}

static cJSON *build(int number, const char *label, const char *ref, const char *accepted,
		    const char *created)
{
	return parse("{\"metadata\":{\"name\":\"cart-%d\",\"resourceVersion\":\"%d\","
		     "\"creationTimestamp\":\"%s\",\"labels\":{\"" BUILD_DELIVERY_LABEL
		     "\":\"%s\"},\"annotations\":{\"openshift.io/build.number\":\"%d\","
		     "\"" BUILD_REF_ANNOTATION "\":\"%s\",\"" BUILD_ACCEPTED_ANNOTATION
		     "\":\"%s\"}}}",
		     number, 100 + number, created, label, number, ref, accepted);
}

/* A Build of another delivery, without annotations about its push. */
static void learn_other(struct start_seen *s, int number, const char *created)
{
	CLEANUP(json_freep) cJSON *doc = build(number, "another", "", "", created);

	start_learn_build(s, number, doc);
}

static void take_step(struct start_seen *s, struct start_step *next)
{
	*next = plan_of(s);
	start_remember(s, next);
}

/* "The reconciler reads the BuildConfig, then looks for a Build with the change's label." */
static void the_buildconfig_is_read_before_own_builds_are_asked_for(void **state)
{
	struct start_seen s = begin(KUBERNETES, &row);

	(void)state;
	assert_int_equal(plan_of(&s).kind, START_READ_BC);
	learn_version(&s, 3);
	assert_int_equal(plan_of(&s).kind, START_LIST_OWN);
	/* The list is consistent: no Build is known that a cached list would have to contain. */
	assert_string_equal(plan_of(&s).fresh, "");
}

static void a_buildconfig_that_is_gone_replaced_or_paused_ends_the_change(void **state)
{
	static const struct {
		const char *doc;
		enum journal_state state;
		enum outcome outcome;
	} cases[] = {
		{NULL, JOURNAL_FAILED, OUTCOME_FAILED},
		{"{\"metadata\":{\"uid\":\"u2\"}}", JOURNAL_FAILED, OUTCOME_FAILED},
		{"{\"metadata\":{}}", JOURNAL_FAILED, OUTCOME_FAILED},
		{"{\"metadata\":{\"uid\":\"u1\",\"annotations\":{\"openshift.io/"
		 "build-config.paused\":\"True\"}}}",
		 JOURNAL_IGNORED, OUTCOME_PAUSED},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(json_freep) cJSON *doc = cases[i].doc ? parse("%s", cases[i].doc) : NULL;
		struct start_seen s = begin(OPENSHIFT, &row);

		start_learn_buildconfig(&s, doc);
		assert_int_equal(plan_of(&s).kind, START_END);
		assert_int_equal(plan_of(&s).state, cases[i].state);
		assert_int_equal(plan_of(&s).outcome, cases[i].outcome);
	}
}

/* "Own label found: done." Its text comes from a read of its own, for the answer. */
static void an_own_build_that_is_listed_is_read_and_the_start_has_succeeded(void **state)
{
	static const enum backend backends[] = {KUBERNETES, OPENSHIFT};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
		struct start_seen s = begin(backends[i], &starting_row);
		CLEANUP(json_freep)
		cJSON *own = build(2, s.label, row.ref, NOW, NOW);
		CLEANUP(json_freep) cJSON *list = json_new_object();

		json_append(json_put_array(list, "items"), json_copy(own));
		learn_version(&s, 2);
		start_learn_own(&s, list, false);
		assert_int_equal(plan_of(&s).kind, START_GET_BUILD);
		assert_int_equal(plan_of(&s).number, 2);
		start_learn_build(&s, 2, i == 0 ? own : NULL); /* deleted since: it was built */
		assert_int_equal(plan_of(&s).kind, START_SUCCEED);
		assert_string_equal(s.build, "cart-2");
	}
}

/* "Before each request every number that is not known yet is looked at." */
static void numbers_that_are_not_known_are_looked_at_from_the_newest_down(void **state)
{
	struct start_seen s = begin(KUBERNETES, &row);
	struct start_step next;

	(void)state;
	s.memory.known_version = 1;
	learn_version(&s, 3);
	learn_no_own(&s);
	take_step(&s, &next);
	assert_int_equal(next.kind, START_GET_BUILD);
	assert_int_equal(next.number, 3);
	learn_other(&s, 3, NOW);
	take_step(&s, &next);
	assert_int_equal(next.number, 2);
	learn_other(&s, 2, NOW);
	take_step(&s, &next);
	assert_int_equal(next.kind, START_CREATE);
	assert_int_equal(next.number, 4);
	assert_int_equal(s.memory.known_version, 3);
}

static void at_most_sixty_four_numbers_are_looked_at(void **state)
{
	struct start_seen s = begin(OPENSHIFT, &row);
	struct start_step next;
	int n = 0;

	(void)state;
	learn_version(&s, 500);
	learn_no_own(&s);
	for (take_step(&s, &next); next.kind == START_GET_BUILD; take_step(&s, &next), n++)
		learn_other(&s, (int)next.number, NOW);
	assert_int_equal(n, START_MAX_LOOKS);
	assert_int_equal(next.kind, START_RECORD);
}

/* A start that is taken up again continues its look at earlier Builds where it was. */
static void a_look_that_was_interrupted_does_not_begin_again(void **state)
{
	struct start_seen s = begin(KUBERNETES, &row), again = begin(KUBERNETES, &row);
	struct start_step next;

	(void)state;
	learn_version(&s, 9);
	learn_no_own(&s);
	take_step(&s, &next);
	learn_other(&s, 9, NOW);
	take_step(&s, &next);
	assert_int_equal(next.number, 8);
	again.memory = s.memory;
	learn_version(&again, 9);
	learn_no_own(&again);
	assert_int_equal(plan_of(&again).number, 8);
	/* lastVersion has moved: the new numbers were not looked at. */
	learn_version(&again, 10);
	learn_no_own(&again);
	assert_int_equal(plan_of(&again).number, 10);
}

/* "It may be of this delivery, or of a newer push of the ref, after which this one must not be
 * built." */
static void an_earlier_build_decides_by_its_label_its_ref_and_its_time(void **state)
{
	static const struct {
		bool is_own;
		const char *ref, *accepted;
		enum start_step_kind kind;
	} cases[] = {
		{true, "refs/heads/main", LONGAGO, START_SUCCEED},
		{false, "refs/heads/main", NOW, START_END},
		{false, "refs/heads/main", LONGAGO, START_CREATE},
		{false, "refs/heads/dev", NOW, START_CREATE},
		{false, "refs/tags/main", NOW, START_CREATE},
		/* More than five minutes ahead: some clock was wrong. */
		{false, "refs/heads/main", "2026-11-18T11:11:41Z", START_CREATE},
		{false, "refs/heads/main", "2026-11-18T11:11:40Z", START_END},
		{false, "refs/heads/main", "yesterday", START_CREATE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct start_seen s = begin(KUBERNETES, &row);
		CLEANUP(json_freep)
		cJSON *doc = build(1, cases[i].is_own ? s.label : "another", cases[i].ref,
				   cases[i].accepted, NOW);

		learn_version(&s, 1);
		learn_no_own(&s);
		start_learn_build(&s, 1, doc);
		assert_int_equal(plan_of(&s).kind, cases[i].kind);
		if (cases[i].kind == START_END) {
			assert_int_equal(plan_of(&s).outcome, OUTCOME_SUPERSEDED);
			assert_int_equal(plan_of(&s).by, 1);
		}
	}
}

/* The Build was looked at for a newer change, for which it did not matter. */
static void a_change_older_than_a_known_build_looks_at_all_again(void **state)
{
	struct start_seen s = begin(KUBERNETES, &row);

	(void)state;
	s.memory.known_version = 3;
	learn_version(&s, 3);
	learn_no_own(&s);
	assert_int_equal(plan_of(&s).kind, START_CREATE);
	s.memory.known_accepted_ms = row.accepted_ms + 1;
	assert_int_equal(plan_of(&s).kind, START_GET_BUILD);
	assert_int_equal(plan_of(&s).number, 3);
}

/*
 * OpenShift: "One whose Build is missing may still get it, and is waited for until the server must
 * have given up (65 s)." On Kubernetes a number without a Build is free: no Build can still come.
 */
static void a_missing_build_is_waited_for_on_openshift_alone(void **state)
{
	static const struct {
		enum backend backend;
		int64_t missing_ms;
		enum start_step_kind kind;
		int64_t wait_ms;
	} cases[] = {
		{KUBERNETES, 0, START_CREATE, 0},     {OPENSHIFT, 0, START_WAIT, 1000},
		{OPENSHIFT, 5000, START_WAIT, 5000},  {OPENSHIFT, 40000, START_WAIT, 25000},
		{OPENSHIFT, 64999, START_WAIT, 1},    {OPENSHIFT, 65000, START_RECORD, 0},
		{OPENSHIFT, 900000, START_RECORD, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct start_seen s = begin(cases[i].backend, &row);
		struct start_step next;

		learn_version(&s, 1);
		learn_no_own(&s);
		start_learn_build(&s, 1, NULL);
		s.mono_ms += cases[i].missing_ms;
		next = plan_of(&s);
		assert_int_equal(next.kind, cases[i].kind);
		assert_int_equal(next.wait_ms, cases[i].wait_ms);
		if (next.kind == START_WAIT)
			assert_int_equal(next.number, 1);
	}
}

/* "Since when it is missing stands in the journal"; the cache may have known it for longer. */
static void a_wait_goes_on_after_a_restart_and_counts_from_what_the_cache_saw(void **state)
{
	struct journal_change change = row;

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct start_seen s;

		change.gap_number = i == 1 ? 2 : 1;
		change.gap_ms = i == 2 ? NOW_MS + 5000 : NOW_MS - 64000;
		s = begin(OPENSHIFT, &change);
		s.cached_version = 1;
		s.cached_version_ms = i == 3 ? s.mono_ms - 65000 : s.mono_ms;
		learn_version(&s, 1);
		learn_no_own(&s);
		start_learn_build(&s, 1, NULL);
		/* 0: the row's time. 1: another number's. 2: the clock was set back. 3: the
		 * cache's. */
		assert_int_equal(plan_of(&s).kind, i == 3 ? START_RECORD : START_WAIT);
		assert_int_equal(plan_of(&s).wait_ms, i == 0 ? 1000 : i == 3 ? 0 : 1000);
		assert_int_equal(plan_of(&s).missing_ms, i == 0 ? 64000 : 0);
	}
}

static void below_an_old_build_or_a_settled_gap_nothing_is_to_come(void **state)
{
	struct start_seen s = begin(OPENSHIFT, &row);
	struct start_step next;

	(void)state;
	learn_version(&s, 3);
	learn_no_own(&s);
	take_step(&s, &next);
	learn_other(&s, 3, LONGAGO);
	take_step(&s, &next);
	start_learn_build(&s, 2, NULL);
	take_step(&s, &next);
	assert_int_equal(next.kind, START_GET_BUILD);
	assert_int_equal(next.number, 1);
	assert_int_equal(s.memory.gap_number, 0);
}

/* "The row says that there may be a request before there is one." */
static void openshift_records_the_start_and_sends_the_version_as_compare_and_set(void **state)
{
	struct start_seen s = begin(OPENSHIFT, &row);
	struct journal_change change = row;

	(void)state;
	learn_version(&s, 0);
	learn_no_own(&s);
	assert_int_equal(plan_of(&s).kind, START_RECORD);
	change.state = JOURNAL_STARTING;
	s.change = &change;
	assert_int_equal(plan_of(&s).kind, START_INSTANTIATE);
	assert_int_equal(plan_of(&s).number, 0);
	/* "lastVersion has moved: start again." */
	s.is_stale = true;
	assert_int_equal(plan_of(&s).kind, START_WAIT);
	assert_int_equal(plan_of(&s).number, 0);
}

/* A name beyond lastVersion may be that of a deleted BuildConfig's Build, and free again later. */
static void a_name_that_was_taken_is_looked_at_again_when_last_version_reaches_it(void **state)
{
	struct start_seen s = begin(KUBERNETES, &row);

	(void)state;
	s.memory.known_version = 1;
	s.memory.last_version = 0;
	learn_version(&s, 1);
	learn_no_own(&s);
	assert_int_equal(plan_of(&s).kind, START_GET_BUILD);
	assert_int_equal(plan_of(&s).number, 1);
}

/* "The name is the lock: whoever comes second looks whose it is." */
static void kubernetes_moves_on_from_a_name_that_is_taken(void **state)
{
	struct start_seen s = begin(KUBERNETES, &row);
	struct start_step next;

	(void)state;
	s.memory.known_version = 5; /* lastVersion is behind */
	learn_version(&s, 3);
	learn_no_own(&s);
	take_step(&s, &next);
	assert_int_equal(next.kind, START_CREATE);
	assert_int_equal(next.number, 6);
	s.tried = 6;
	assert_int_equal(plan_of(&s).kind, START_GET_BUILD);
	assert_int_equal(plan_of(&s).number, 6);
	learn_other(&s, 6, NOW);
	take_step(&s, &next);
	assert_int_equal(next.kind, START_CREATE);
	assert_int_equal(next.number, 7);
	assert_int_equal(s.memory.known_version, 6);
	/* The Build was there a moment ago and was deleted. */
	s.tried = 7;
	s.at_tried = LOOK_NONE;
	start_learn_build(&s, 7, NULL);
	assert_int_equal(plan_of(&s).number, 8);
}

static void kubernetes_takes_its_own_build_and_yields_to_a_newer_push(void **state)
{
	(void)state;
	for (int is_own = 0; is_own < 2; is_own++) {
		struct start_seen s = begin(KUBERNETES, &row);
		CLEANUP(json_freep)
		cJSON *doc = build(1, is_own ? s.label : "another", row.ref, NOW, NOW);

		learn_version(&s, 0);
		learn_no_own(&s);
		s.tried = 1;
		start_learn_build(&s, 1, doc);
		assert_int_equal(plan_of(&s).kind, is_own ? START_SUCCEED : START_END);
	}
}

/* "status.lastVersion is raised afterwards", on Kubernetes. */
static void the_version_is_raised_after_success_and_read_again_after_a_conflict(void **state)
{
	static const enum backend backends[] = {KUBERNETES, OPENSHIFT};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
		struct start_seen s = begin(backends[i], &starting_row);
		CLEANUP(json_freep) cJSON *made = build(1, s.label, row.ref, NOW, NOW);

		learn_version(&s, 0);
		learn_no_own(&s);
		start_learn_made(&s, made);
		assert_int_equal(plan_of(&s).kind, START_SUCCEED);
		s.is_told = true;
		if (backends[i] == OPENSHIFT) {
			assert_int_equal(plan_of(&s).kind, START_DONE);
			continue;
		}
		assert_int_equal(plan_of(&s).kind, START_RAISE);
		assert_int_equal(plan_of(&s).number, 1);
		s.is_read = false;
		assert_int_equal(plan_of(&s).kind, START_READ_BC);
		learn_version(&s, 1);
		assert_int_equal(plan_of(&s).kind, START_DONE);
		learn_version(&s, 0);
		s.is_raise_over = true;
		assert_int_equal(plan_of(&s).kind, START_DONE);
	}
}

/*
 * "A list not older than the newest Build made here" has all Builds up to its number. Whatever else
 * makes numbers known ends that.
 */
static void the_list_is_cheap_after_a_build_made_here_and_consistent_after_anything_else(
	void **state)
{
	struct start_seen s = begin(OPENSHIFT, &starting_row);
	CLEANUP(json_freep) cJSON *made = build(1, s.label, row.ref, NOW, NOW);
	struct start_seen next_start, after_another;
	struct start_step next;

	(void)state;
	learn_version(&s, 0);
	learn_no_own(&s);
	take_step(&s, &next);
	start_learn_made(&s, made);

	next_start = begin(OPENSHIFT, &starting_row);
	next_start.memory = s.memory;
	learn_version(&next_start, 1);
	assert_string_equal(plan_of(&next_start).fresh, "101");
	after_another = next_start;
	learn_version(&next_start, 65);
	assert_string_equal(plan_of(&next_start).fresh, "101");
	/* Too many to look at each: only a consistent list has them all. */
	learn_version(&next_start, 66);
	assert_string_equal(plan_of(&next_start).fresh, "");

	learn_version(&after_another, 2);
	learn_no_own(&after_another);
	take_step(&after_another, &next);
	learn_other(&after_another, 2, NOW);
	take_step(&after_another, &next);
	assert_int_equal(after_another.memory.known_version, 2);
	assert_string_equal(after_another.memory.fresh, "");
}

static void learn_none_beside(struct start_seen *s)
{
	CLEANUP(json_freep) cJSON *list = parse("{\"items\":[]}");

	start_learn_own(s, list, true);
}

/* A start after one that made Build 1 here. */
static struct start_seen begin_after_one(void)
{
	struct start_seen s = begin(KUBERNETES, &row);

	s.memory = (struct start_memory){.known_version = 1, .last_version = 1, .fresh = "101"};
	return s;
}

/* "The two reads go side by side": either may be answered first. */
static void a_list_that_need_not_be_consistent_goes_beside_the_read(void **state)
{
	struct start_seen s = begin_after_one();
	struct start_seen list_first = s;

	(void)state;
	assert_int_equal(plan_of(&s).kind, START_READ_BOTH);
	assert_string_equal(plan_of(&s).fresh, "101");
	learn_version(&s, 1);
	learn_none_beside(&s);
	assert_int_equal(plan_of(&s).kind, START_CREATE);
	assert_int_equal(plan_of(&s).number, 2);
	learn_none_beside(&list_first);
	learn_version(&list_first, 1);
	assert_int_equal(plan_of(&list_first).kind, START_CREATE);
	assert_int_equal(plan_of(&list_first).number, 2);
}

/* The list may be older than lastVersion: "each later number is read by name". */
static void a_list_beside_the_read_says_nothing_of_later_numbers(void **state)
{
	struct start_seen s = begin_after_one();

	(void)state;
	learn_none_beside(&s);
	learn_version(&s, 65);
	assert_int_equal(plan_of(&s).kind, START_GET_BUILD);
	assert_int_equal(plan_of(&s).number, 65);
	/* Too many to read each. */
	learn_version(&s, 66);
	assert_int_equal(plan_of(&s).kind, START_LIST_OWN);
	assert_string_equal(plan_of(&s).fresh, "");
	learn_no_own(&s);
	assert_int_equal(plan_of(&s).kind, START_GET_BUILD);
}

/* The list was refused: the server's cache is behind (504). */
static void a_list_beside_the_read_that_failed_is_asked_for_again(void **state)
{
	struct start_seen s = begin_after_one();

	(void)state;
	*s.memory.fresh = 0;
	learn_version(&s, 1);
	assert_int_equal(plan_of(&s).kind, START_LIST_OWN);
	assert_string_equal(plan_of(&s).fresh, "");
}

static void a_version_that_is_no_number_is_not_sent_back(void **state)
{
	struct start_seen s = begin(KUBERNETES, &row);
	CLEANUP(json_freep)
	cJSON *made = parse("{\"metadata\":{\"name\":\"cart-1\",\"resourceVersion\":\"1&x=\","
			    "\"annotations\":{\"openshift.io/build.number\":\"1\"}}}");

	(void)state;
	s.memory.known_version = 0;
	start_learn_made(&s, made);
	assert_int_equal(s.memory.known_version, 1);
	assert_string_equal(s.memory.fresh, "");
}

static struct kube_response answer(int status, int code, const char *message, const cJSON *doc)
{
	struct kube_response response = {.status = status, .doc = doc};

	err_set(&response.err, code, "%s", message);
	return response;
}

static void answers_mend_themselves_or_end_the_change(void **state)
{
	static const struct {
		enum backend backend;
		int status, code;
		const char *kind, *message;
		enum start_answer answer;
	} cases[] = {
		{KUBERNETES, 201, ERR_OK, "", "", START_ANSWER_MADE},
		{KUBERNETES, 409, ERR_EXISTS, "builds", "already exists", START_ANSWER_TAKEN},
		{KUBERNETES, 409, ERR_CONFLICT, "resourcequotas", "modified", START_ANSWER_RETRY},
		/* "Paused: 400. lastVersion not equal to status.lastVersion: 400." */
		{OPENSHIFT, 400, ERR_INVALID, "", "BuildConfig is paused", START_ANSWER_PAUSED},
		{OPENSHIFT, 400, ERR_INVALID, "", "the LastVersion(3) on build config",
		 START_ANSWER_STALE},
		/* "Conflicts are tried 3 times, then 409." "AlreadyExists for each old number." */
		{OPENSHIFT, 409, ERR_CONFLICT, "buildconfigs", "modified", START_ANSWER_STALE},
		{OPENSHIFT, 409, ERR_EXISTS, "builds", "already exists", START_ANSWER_STALE},
		/* "dockerStrategyOptions on a BuildConfig that is not a Docker build: 400." */
		{OPENSHIFT, 400, ERR_INVALID, "", "Cannot specify Docker build specific options",
		 START_ANSWER_FAIL},
		{OPENSHIFT, 422, ERR_INVALID, "Build", "is invalid: spec.source",
		 START_ANSWER_FAIL},
		{OPENSHIFT, 413, ERR_INVALID, "", "too large", START_ANSWER_FAIL},
		{OPENSHIFT, 422, ERR_INVALID, "ImageStreamTag",
		 "Error resolving ImageStreamTag ruby:3 in namespace shop", START_ANSWER_GIVE_UP},
		{OPENSHIFT, 422, ERR_INVALID, "ImageStreamImage",
		 "Error resolving ImageStreamImage ruby@sha256:1", START_ANSWER_GIVE_UP},
		/* "A missing service account builder is 500." */
		{OPENSHIFT, 500, ERR_UNAVAILABLE, "", "error getting push/pull secrets",
		 START_ANSWER_GIVE_UP},
		{OPENSHIFT, 403, ERR_DENIED, "builds", "exceeded quota", START_ANSWER_RETRY},
		{KUBERNETES, 401, ERR_DENIED, "", "Unauthorized", START_ANSWER_RETRY},
		{KUBERNETES, 408, ERR_UNAVAILABLE, "", "timeout", START_ANSWER_RETRY},
		{KUBERNETES, 429, ERR_LIMIT, "", "too many requests", START_ANSWER_RETRY},
		{KUBERNETES, 0, ERR_UNAVAILABLE, "", "connection refused", START_ANSWER_RETRY},
		/* The CRD is being created or removed; a namespace that is gone takes the
		 * BuildConfig along, and the next look at that ends the change. */
		{KUBERNETES, 404, ERR_NOTFOUND, "", "could not find the requested resource",
		 START_ANSWER_GIVE_UP},
		{KUBERNETES, 405, ERR_INVALID, "",
		 "create not allowed while the definition is "
		 "terminating",
		 START_ANSWER_GIVE_UP},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(json_freep)
		cJSON *doc = parse("{\"details\":{\"kind\":\"%s\"}}", cases[i].kind);
		struct start_seen s = begin(cases[i].backend, &row);
		struct kube_response response =
			answer(cases[i].status, cases[i].code, cases[i].message, doc);

		if (start_judge(&s, &response) != cases[i].answer)
			fail_msg("case %zu: %d %s: %d", i, cases[i].status, cases[i].message,
				 (int)start_judge(&s, &response));
	}
}

/* "A quota that forbids the Build answers 403 after lastVersion was raised." */
static void a_refusal_of_the_next_build_by_name_uses_its_number_up(void **state)
{
	static const struct {
		enum backend backend;
		bool is_repeat, is_uncertain;
		const char *kind, *name;
		bool is_settled; /* no request of the change can be under way */
		int64_t known_version;
	} cases[] = {
		{OPENSHIFT, false, false, "builds", "cart-4", true, 4},
		{OPENSHIFT, false, false, "Build", "cart-4", true, 4},
		{OPENSHIFT, true, false, "builds", "cart-4", true, 4},
		{OPENSHIFT, false, true, "builds", "cart-4", false, 3},
		/* Refused before the number was raised: another replica may raise it next. */
		{OPENSHIFT, false, false, "buildconfigs", "cart", true, 3},
		{OPENSHIFT, true, false, "buildconfigs", "cart", false, 3},
		{OPENSHIFT, false, false, "builds", "cart-5", true, 3},
		{OPENSHIFT, false, false, "pods", "cart-4", true, 3},
		{KUBERNETES, false, false, "builds", "cart-4", true, 3},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(json_freep)
		cJSON *doc = parse("{\"details\":{\"kind\":\"%s\",\"name\":\"%s\"}}", cases[i].kind,
				   cases[i].name);
		struct start_seen s =
			begin(cases[i].backend, cases[i].is_repeat ? &starting_row : &row);
		struct kube_response response = answer(403, ERR_DENIED, "forbidden", doc);

		response.is_uncertain = cases[i].is_uncertain;
		s.memory.known_version = 3;
		(void)snprintf(s.memory.fresh, sizeof(s.memory.fresh), "103");
		learn_version(&s, 3);
		assert_int_equal(start_learn_refused(&s, &response), cases[i].is_settled);
		assert_int_equal(s.memory.known_version, cases[i].known_version);
		assert_string_equal(s.memory.fresh, "103");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_buildconfig_is_read_before_own_builds_are_asked_for),
		cmocka_unit_test(a_buildconfig_that_is_gone_replaced_or_paused_ends_the_change),
		cmocka_unit_test(an_own_build_that_is_listed_is_read_and_the_start_has_succeeded),
		cmocka_unit_test(numbers_that_are_not_known_are_looked_at_from_the_newest_down),
		cmocka_unit_test(at_most_sixty_four_numbers_are_looked_at),
		cmocka_unit_test(a_look_that_was_interrupted_does_not_begin_again),
		cmocka_unit_test(an_earlier_build_decides_by_its_label_its_ref_and_its_time),
		cmocka_unit_test(a_change_older_than_a_known_build_looks_at_all_again),
		cmocka_unit_test(a_missing_build_is_waited_for_on_openshift_alone),
		cmocka_unit_test(a_wait_goes_on_after_a_restart_and_counts_from_what_the_cache_saw),
		cmocka_unit_test(below_an_old_build_or_a_settled_gap_nothing_is_to_come),
		cmocka_unit_test(
			openshift_records_the_start_and_sends_the_version_as_compare_and_set),
		cmocka_unit_test(
			a_name_that_was_taken_is_looked_at_again_when_last_version_reaches_it),
		cmocka_unit_test(kubernetes_moves_on_from_a_name_that_is_taken),
		cmocka_unit_test(kubernetes_takes_its_own_build_and_yields_to_a_newer_push),
		cmocka_unit_test(
			the_version_is_raised_after_success_and_read_again_after_a_conflict),
		cmocka_unit_test(
			the_list_is_cheap_after_a_build_made_here_and_consistent_after_anything_else),
		cmocka_unit_test(a_list_that_need_not_be_consistent_goes_beside_the_read),
		cmocka_unit_test(a_list_beside_the_read_says_nothing_of_later_numbers),
		cmocka_unit_test(a_list_beside_the_read_that_failed_is_asked_for_again),
		cmocka_unit_test(a_version_that_is_no_number_is_not_sent_back),
		cmocka_unit_test(answers_mend_themselves_or_end_the_change),
		cmocka_unit_test(a_refusal_of_the_next_build_by_name_uses_its_number_up),
	};

	return cmocka_run_group_tests_name("start_plan", tests, NULL, NULL);
}
