/* What the build controller does next: each test is a world of one BuildConfig, and the first
 * action in it. */
#include "builder/plan.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MAX_BUILDS 4

/*
 * A world, written as text: "2:Pending" is cart-2; after it the phase of its Pod, if there is one.
 */
struct world {
	struct build builds[MAX_BUILDS];
	struct pod pods[MAX_BUILDS];
	struct seen_build seen[MAX_BUILDS];
	struct seen_config config;
	struct build_config settings;
	char names[MAX_BUILDS][16], uids[MAX_BUILDS][8];
};

static struct seen_build *add(struct world *w, int number, enum build_phase phase)
{
	size_t i = w->config.n++;
	struct build *b = &w->builds[i];

	assert_true(i < MAX_BUILDS);
	(void)snprintf(w->names[i], sizeof(w->names[i]), "cart-%d", number);
	(void)snprintf(w->uids[i], sizeof(w->uids[i]), "u%d", number);
	*b = (struct build){.namespace_ = "shop",
			    .name = w->names[i],
			    .uid = w->uids[i],
			    .version = "1",
			    .config = "cart",
			    .number = number,
			    .phase = phase,
			    .reason = "",
			    .message = "",
			    .strategy = "Docker",
			    .pod_name = "",
			    .deadline_s = 60,
			    .ended_ms = build_phase_is_end(phase) ? 1000 : 0};
	w->seen[i] = (struct seen_build){.build = b};
	w->config.builds = w->seen;
	w->config.keeps_pods = true;
	return &w->seen[i];
}

static struct pod *give_pod(struct world *w, struct seen_build *s, enum pod_phase phase)
{
	struct pod *pod = &w->pods[s - w->seen];

	*pod = (struct pod){.name = "cart-build",
			    .uid = "p",
			    .version = "1",
			    .owner_uid = s->build->uid,
			    .build = s->build->name,
			    .phase = phase,
			    .reason = "",
			    .message = "",
			    .trouble = "",
			    .disruption = "",
			    .has_containers = true,
			    .fetch = {"", "", "", NULL, NULL, ""},
			    .build_report = {"", "", "", NULL, NULL, ""}};
	s->pod = pod;
	return pod;
}

static struct builder_action planned(const struct world *w)
{
	struct builder_action next;

	builder_plan(&w->config, &next);
	return next;
}

static void check_next(const struct world *w, enum builder_action_kind kind,
		       const struct seen_build *s)
{
	struct builder_action next = planned(w);

	assert_int_equal(next.kind, kind);
	if (s)
		assert_ptr_equal(next.target, s);
}

static void check_write(const struct world *w, const struct seen_build *s, enum build_phase phase,
			const char *reason)
{
	struct builder_action next = planned(w);

	assert_int_equal(next.kind, BUILDER_WRITE);
	assert_ptr_equal(next.target, s);
	assert_int_equal(next.write.phase, phase);
	assert_string_equal(next.write.reason, reason);
}

static void nothing_is_done_where_there_is_nothing(void **state)
{
	struct world w = {0};

	(void)state;
	check_next(&w, BUILDER_NONE, NULL);
	assert_int_equal(planned(&w).wait_ms, -1);
}

static void a_new_build_gets_its_pod(void **state)
{
	struct world w = {0};
	struct seen_build *s = add(&w, 1, BUILD_NEW);

	(void)state;
	check_next(&w, BUILDER_CREATE_POD, s);
}

static void phases_follow_the_pod(void **state)
{
	static const struct {
		enum build_phase phase;
		enum pod_phase pod;
		bool has_begun;
		enum builder_action_kind kind;
		enum build_phase becomes;
	} cases[] = {
		{BUILD_NEW, POD_PENDING, false, BUILDER_WRITE, BUILD_PENDING},
		{BUILD_NEW, POD_PENDING, true, BUILDER_WRITE, BUILD_RUNNING},
		{BUILD_NEW, POD_SUCCEEDED, true, BUILDER_WRITE, BUILD_COMPLETE},
		{BUILD_PENDING, POD_PENDING, true, BUILDER_WRITE, BUILD_RUNNING},
		{BUILD_PENDING, POD_RUNNING, true, BUILDER_WRITE, BUILD_RUNNING},
		{BUILD_RUNNING, POD_RUNNING, true, BUILDER_NONE, BUILD_RUNNING},
		{BUILD_RUNNING, POD_PENDING, false, BUILDER_NONE, BUILD_RUNNING},
		{BUILD_RUNNING, POD_UNKNOWN, false, BUILDER_NONE, BUILD_RUNNING},
		{BUILD_RUNNING, POD_SUCCEEDED, true, BUILDER_WRITE, BUILD_COMPLETE},
		{BUILD_RUNNING, POD_FAILED, true, BUILDER_WRITE, BUILD_FAILED},
		{BUILD_COMPLETE, POD_SUCCEEDED, true, BUILDER_NONE, BUILD_COMPLETE},
		{BUILD_CANCELLED, POD_FAILED, true, BUILDER_NONE, BUILD_CANCELLED},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w = {0};
		struct seen_build *s = add(&w, 1, cases[i].phase);
		struct builder_action next;

		give_pod(&w, s, cases[i].pod)->has_begun = cases[i].has_begun;
		w.builds[0].pod_name = cases[i].phase == BUILD_NEW ? "" : "cart-build";
		next = planned(&w);
		assert_int_equal(next.kind, cases[i].kind);
		if (next.kind == BUILDER_WRITE)
			assert_int_equal(next.write.phase, cases[i].becomes);
	}
}

static void a_pod_that_waits_shows_why_once(void **state)
{
	struct world w = {0};
	struct seen_build *s = add(&w, 1, BUILD_PENDING);

	(void)state;
	w.builds[0].pod_name = "cart-build";
	give_pod(&w, s, POD_PENDING)->trouble = "ErrImagePull: no such image";
	check_write(&w, s, BUILD_PENDING, "");
	assert_string_equal(planned(&w).write.message, "ErrImagePull: no such image");
	w.builds[0].message = "ErrImagePull: no such image";
	check_next(&w, BUILDER_NONE, NULL);
}

/* The Pod's Events say why; after two minutes the status points to them. */
static void a_pod_that_the_node_does_not_start_is_told_after_a_while(void **state)
{
	struct world w = {0};
	struct seen_build *s = add(&w, 1, BUILD_PENDING);
	struct pod *pod = give_pod(&w, s, POD_PENDING);
	struct builder_action next;

	(void)state;
	w.builds[0].pod_name = "cart-build";
	pod->has_no_sandbox = true;
	pod->started_ms = 1000;
	w.config.wall_ms = 100000;
	check_next(&w, BUILDER_NONE, NULL);
	assert_int_equal(planned(&w).wait_ms, 21000);
	w.config.wall_ms = 121000;
	next = planned(&w);
	assert_int_equal(next.kind, BUILDER_WRITE);
	assert_int_equal(next.write.phase, BUILD_PENDING);
	assert_non_null(strstr(next.write.message, "--host-users"));
	w.builds[0].message = next.write.message;
	check_next(&w, BUILDER_NONE, NULL);
}

static void a_failed_pod_says_why(void **state)
{
	static const struct {
		struct pod pod;
		enum build_phase phase;
		const char *reason, *message;
	} cases[] = {
		{{.is_out_of_memory = true}, BUILD_FAILED, "OutOfMemoryKilled", "out of memory"},
		{{.reason = "Evicted", .message = "the node was low on disk"},
		 BUILD_FAILED,
		 "BuildPodEvicted",
		 "low on disk"},
		{{.reason = "DeadlineExceeded"},
		 BUILD_FAILED,
		 "GenericBuildFailed",
		 "completionDeadlineSeconds (60)"},
		{{.is_deleting = true}, BUILD_ERROR, "BuildPodDeleted", "was deleted"},
		{{.is_deleting = true, .disruption = "PodGC: node no longer exists"},
		 BUILD_FAILED,
		 "BuildPodEvicted",
		 "node no longer exists"},
		{{.fetch = {"FetchSourceFailed", "no such host", "", NULL, NULL, ""}},
		 BUILD_FAILED,
		 "FetchSourceFailed",
		 "Failed to fetch the input source. no such host"},
		{{.build_report = {"PushImageToRegistryFailed", "", "", NULL, NULL, ""}},
		 BUILD_FAILED,
		 "PushImageToRegistryFailed",
		 "Failed to push the image to the registry."},
		{{.build_report = {"MadeUp", "text", "", NULL, NULL, ""}},
		 BUILD_FAILED,
		 "GenericBuildFailed",
		 "check logs"},
		{{.message = ""}, BUILD_FAILED, "GenericBuildFailed", "check logs"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w = {0};
		struct seen_build *s = add(&w, 1, BUILD_RUNNING);
		struct pod *pod = give_pod(&w, s, POD_FAILED);

		pod->is_out_of_memory = cases[i].pod.is_out_of_memory;
		pod->is_deleting = cases[i].pod.is_deleting;
		if (cases[i].pod.reason)
			pod->reason = cases[i].pod.reason;
		if (cases[i].pod.message)
			pod->message = cases[i].pod.message;
		if (cases[i].pod.disruption)
			pod->disruption = cases[i].pod.disruption;
		if (cases[i].pod.fetch.reason)
			pod->fetch = cases[i].pod.fetch;
		if (cases[i].pod.build_report.reason)
			pod->build_report = cases[i].pod.build_report;
		check_write(&w, s, cases[i].phase, cases[i].reason);
		assert_non_null(strstr(planned(&w).write.message, cases[i].message));
	}
}

static void somebody_elses_pod_of_the_name_is_an_error(void **state)
{
	struct world w = {0};
	struct seen_build *s = add(&w, 1, BUILD_NEW);

	(void)state;
	give_pod(&w, s, POD_RUNNING)->owner_uid = "another";
	check_write(&w, s, BUILD_ERROR, "BuildPodExists");
	assert_null(planned(&w).write.pod);
}

static void a_pod_that_went_away_is_looked_for_before_it_is_an_error(void **state)
{
	struct world w = {0};
	struct seen_build *s = add(&w, 1, BUILD_RUNNING);

	(void)state;
	check_next(&w, BUILDER_LOOK_FOR_POD, s);
	s->is_pod_gone = true;
	check_write(&w, s, BUILD_ERROR, "BuildPodDeleted");
}

static void a_claimed_build_whose_pod_was_never_made_gets_it(void **state)
{
	struct world w = {0};
	struct seen_build *s = add(&w, 1, BUILD_PENDING);

	(void)state;
	s->is_pod_gone = true;
	check_next(&w, BUILDER_CREATE_POD, s);
	w.builds[0].pod_name = "cart-1-build";
	check_write(&w, s, BUILD_ERROR, "BuildPodDeleted");
}

static void a_cancelled_build_loses_its_pod_first(void **state)
{
	struct world w = {0};
	struct seen_build *s = add(&w, 1, BUILD_RUNNING);

	(void)state;
	w.builds[0].is_cancel_wanted = true;
	give_pod(&w, s, POD_RUNNING);
	check_next(&w, BUILDER_DELETE_POD, s);
	w.pods[0].is_deleting = true;
	check_write(&w, s, BUILD_CANCELLED, "CancelledBuild");
	s->pod = NULL;
	check_write(&w, s, BUILD_CANCELLED, "CancelledBuild");
}

static void a_pod_made_too_late_is_deleted(void **state)
{
	struct world w = {0};
	struct seen_build *s = add(&w, 1, BUILD_CANCELLED);

	(void)state;
	give_pod(&w, s, POD_PENDING);
	check_next(&w, BUILDER_DELETE_POD, s);
	assert_true(planned(&w).only_as_seen);
}

static void a_finished_pod_stays_unless_pods_are_not_kept(void **state)
{
	struct world w = {0};
	struct seen_build *s = add(&w, 1, BUILD_COMPLETE);

	(void)state;
	give_pod(&w, s, POD_SUCCEEDED);
	check_next(&w, BUILDER_NONE, NULL);
	w.config.keeps_pods = false;
	check_next(&w, BUILDER_DELETE_POD, s);
}

static void serial_runs_the_oldest_and_one_at_a_time(void **state)
{
	struct world w = {0};
	struct seen_build *running = add(&w, 1, BUILD_RUNNING), *first = add(&w, 2, BUILD_NEW);

	(void)state;
	add(&w, 3, BUILD_NEW);
	give_pod(&w, running, POD_RUNNING);
	check_next(&w, BUILDER_NONE, NULL);
	w.builds[0].phase = BUILD_COMPLETE;
	w.builds[0].ended_ms = 1000;
	w.pods[0].phase = POD_SUCCEEDED;
	check_next(&w, BUILDER_CREATE_POD, first);
}

static void serial_waits_for_the_pod_of_a_cancelled_build(void **state)
{
	struct world w = {0};
	struct seen_build *cancelled = add(&w, 1, BUILD_CANCELLED), *next = add(&w, 2, BUILD_NEW);

	(void)state;
	give_pod(&w, cancelled, POD_RUNNING)->is_deleting = true;
	check_next(&w, BUILDER_NONE, NULL);
	cancelled->pod = NULL;
	check_next(&w, BUILDER_CREATE_POD, next);
}

static void serial_latest_only_cancels_the_superseded_and_claims_the_newest(void **state)
{
	struct world w = {0};
	struct seen_build *old = add(&w, 1, BUILD_NEW), *newest = add(&w, 2, BUILD_NEW);

	(void)state;
	w.builds[0].policy = w.builds[1].policy = RUN_SERIAL_LATEST_ONLY;
	check_write(&w, old, BUILD_CANCELLED, "CancelledBuild");
	assert_non_null(strstr(planned(&w).write.message, "cart-2"));
	w.builds[0].phase = BUILD_CANCELLED;
	w.builds[0].ended_ms = 1000;
	check_write(&w, newest, BUILD_PENDING, "");
}

static void serial_latest_only_cancels_while_another_runs(void **state)
{
	struct world w = {0};
	struct seen_build *running = add(&w, 1, BUILD_RUNNING), *old = add(&w, 2, BUILD_NEW);

	(void)state;
	add(&w, 3, BUILD_NEW);
	for (size_t i = 0; i < 3; i++)
		w.builds[i].policy = RUN_SERIAL_LATEST_ONLY;
	give_pod(&w, running, POD_RUNNING);
	check_write(&w, old, BUILD_CANCELLED, "CancelledBuild");
	w.builds[1].phase = BUILD_CANCELLED;
	w.builds[1].ended_ms = 1000;
	check_next(&w, BUILDER_NONE, NULL);
}

static void parallel_builds_do_not_wait(void **state)
{
	struct world w = {0};
	struct seen_build *running = add(&w, 1, BUILD_RUNNING), *next = add(&w, 2, BUILD_NEW);

	(void)state;
	w.builds[0].policy = w.builds[1].policy = RUN_PARALLEL;
	give_pod(&w, running, POD_RUNNING);
	check_next(&w, BUILDER_CREATE_POD, next);
	w.config.is_full = true;
	check_next(&w, BUILDER_NONE, NULL);
	assert_true(planned(&w).waits_for_room);
}

static void a_build_that_can_never_run_ends_as_error(void **state)
{
	struct world w = {0};
	struct seen_build *s = add(&w, 1, BUILD_NEW);

	(void)state;
	s->refusal = "InvalidOutputReference";
	s->refusal_message = "no registry";
	check_write(&w, s, BUILD_ERROR, "InvalidOutputReference");
	w.builds[0].is_cancel_wanted = true;
	check_write(&w, s, BUILD_CANCELLED, "CancelledBuild");
}

static void a_refused_pod_is_shown_once_and_tried_again(void **state)
{
	struct world w = {0};
	struct seen_build *s = add(&w, 1, BUILD_NEW);

	(void)state;
	s->trouble = "CannotCreateBuildPod";
	s->trouble_message = "quota";
	s->retry_ms = 5000;
	check_write(&w, s, BUILD_NEW, "CannotCreateBuildPod");
	w.builds[0].reason = "CannotCreateBuildPod";
	w.builds[0].message = "quota";
	check_next(&w, BUILDER_NONE, NULL);
	assert_int_equal(planned(&w).wait_ms, 5000);
	s->retry_ms = 0;
	check_next(&w, BUILDER_CREATE_POD, s);
}

static void the_oldest_ended_build_over_the_limit_is_pruned(void **state)
{
	struct world w = {0};
	struct seen_build *good = add(&w, 1, BUILD_COMPLETE), *bad = add(&w, 2, BUILD_FAILED);

	(void)state;
	add(&w, 3, BUILD_COMPLETE);
	add(&w, 4, BUILD_RUNNING);
	give_pod(&w, &w.seen[3], POD_RUNNING);
	w.config.wall_ms = 61000;
	w.settings = (struct build_config){.successful = -1, .failed = -1};
	check_next(&w, BUILDER_NONE, NULL);
	w.config.config = &w.settings;
	check_next(&w, BUILDER_NONE, NULL);
	w.settings = (struct build_config){.successful = 1, .failed = 1};
	check_next(&w, BUILDER_PRUNE, good);
	w.settings = (struct build_config){.successful = 2, .failed = 0};
	check_next(&w, BUILDER_PRUNE, bad);
	w.builds[1].is_deleting = true;
	check_next(&w, BUILDER_NONE, NULL);
}

/* Another replica may be making the first Build a second time. */
static void a_young_first_build_is_not_pruned(void **state)
{
	struct world w = {0};
	struct seen_build *s = add(&w, 1, BUILD_COMPLETE);

	(void)state;
	give_pod(&w, s, POD_SUCCEEDED);
	w.builds[0].created_ms = 1000;
	w.settings = (struct build_config){.successful = 0, .failed = 0, .has_config_change = true};
	w.config.config = &w.settings;
	w.config.wall_ms = 21000;
	check_next(&w, BUILDER_NONE, NULL);
	assert_int_equal(planned(&w).wait_ms, 10000);
	w.config.wall_ms = 31000;
	check_next(&w, BUILDER_PRUNE, s);
}

static void a_config_change_starts_the_first_build(void **state)
{
	static const struct {
		const char *json;
		bool wants;
	} cases[] = {
		{"{'spec':{'triggers':[{'type':'ConfigChange'}]}}", true},
		{"{'spec':{'triggers':[{'type':'GitHub'},{'type':'ConfigChange'}]},"
		 "'status':{'lastVersion':0}}",
		 true},
		{"{'spec':{'triggers':[{'type':'ConfigChange'}]},'status':{'lastVersion':1}}",
		 false},
		{"{'spec':{'triggers':[{'type':'GitHub'}]}}", false},
		{"{'spec':{}}", false},
		{"{'metadata':{'annotations':{'openshift.io/build-config.paused':'true'}},"
		 "'spec':{'triggers':[{'type':'ConfigChange'}]}}",
		 false},
		{"{'metadata':{'deletionTimestamp':'2026-01-01T00:00:00Z'},"
		 "'spec':{'triggers':[{'type':'ConfigChange'}]}}",
		 false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(mem_free) char *json = mem_strdup(cases[i].json);
		CLEANUP(json_freep) cJSON *doc = NULL;
		CLEANUP(mem_free) struct build_config *config = NULL;
		struct world w = {0};

		for (char *c = json; *c; c++)
			*c = *c == '\'' ? '"' : *c;
		assert_int_equal(json_parse(&doc, str_of(json), NULL), 0);
		config = build_config_parse(doc);
		w.config.config = config;
		check_next(&w, cases[i].wants ? BUILDER_FIRST_BUILD : BUILDER_NONE, NULL);
	}
}

static void a_build_is_not_pruned_while_its_pod_may_run(void **state)
{
	struct world w = {0};
	struct seen_build *s = add(&w, 1, BUILD_CANCELLED);

	(void)state;
	w.settings = (struct build_config){.successful = 0, .failed = 0};
	w.config.config = &w.settings;
	w.config.wall_ms = 1000 + 59000; /* another replica may have made a Pod */
	check_next(&w, BUILDER_NONE, NULL);
	assert_int_equal(planned(&w).wait_ms, 1000);
	give_pod(&w, s, POD_RUNNING)->is_deleting = true;
	w.config.wall_ms = 1000 + 600000;
	check_next(&w, BUILDER_NONE, NULL);
	w.pods[0].phase = POD_FAILED;
	check_next(&w, BUILDER_PRUNE, s);
}

static void a_pod_that_the_watch_has_not_shown_is_waited_for(void **state)
{
	struct world w = {0};
	struct seen_build *s = add(&w, 1, BUILD_NEW);

	(void)state;
	add(&w, 2, BUILD_NEW);
	s->expected_ms = 3000;
	check_next(&w, BUILDER_NONE, NULL);
	assert_int_equal(planned(&w).wait_ms, 3000);
	s->expected_ms = 0;
	check_next(&w, BUILDER_CREATE_POD, s);
}

static void an_end_without_times_gets_them(void **state)
{
	struct world w = {0};
	struct seen_build *s = add(&w, 1, BUILD_FAILED);

	(void)state;
	w.builds[0].ended_ms = 0;
	w.builds[0].reason = "FetchSourceFailed";
	check_write(&w, s, BUILD_FAILED, "FetchSourceFailed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_done_where_there_is_nothing),
		cmocka_unit_test(a_new_build_gets_its_pod),
		cmocka_unit_test(phases_follow_the_pod),
		cmocka_unit_test(a_pod_that_waits_shows_why_once),
		cmocka_unit_test(a_failed_pod_says_why),
		cmocka_unit_test(a_pod_that_the_node_does_not_start_is_told_after_a_while),
		cmocka_unit_test(somebody_elses_pod_of_the_name_is_an_error),
		cmocka_unit_test(a_pod_that_went_away_is_looked_for_before_it_is_an_error),
		cmocka_unit_test(a_claimed_build_whose_pod_was_never_made_gets_it),
		cmocka_unit_test(a_cancelled_build_loses_its_pod_first),
		cmocka_unit_test(a_pod_made_too_late_is_deleted),
		cmocka_unit_test(a_finished_pod_stays_unless_pods_are_not_kept),
		cmocka_unit_test(serial_runs_the_oldest_and_one_at_a_time),
		cmocka_unit_test(serial_waits_for_the_pod_of_a_cancelled_build),
		cmocka_unit_test(serial_latest_only_cancels_the_superseded_and_claims_the_newest),
		cmocka_unit_test(serial_latest_only_cancels_while_another_runs),
		cmocka_unit_test(parallel_builds_do_not_wait),
		cmocka_unit_test(a_build_that_can_never_run_ends_as_error),
		cmocka_unit_test(a_refused_pod_is_shown_once_and_tried_again),
		cmocka_unit_test(the_oldest_ended_build_over_the_limit_is_pruned),
		cmocka_unit_test(a_build_is_not_pruned_while_its_pod_may_run),
		cmocka_unit_test(a_young_first_build_is_not_pruned),
		cmocka_unit_test(a_config_change_starts_the_first_build),
		cmocka_unit_test(a_pod_that_the_watch_has_not_shown_is_waited_for),
		cmocka_unit_test(an_end_without_times_gets_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
