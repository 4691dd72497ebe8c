/* The Pod of a Build, the Builds that can have none, and the status of an ended Build. */
#include "builder/pod.h"
#include "builder/status.h"

#include "base/clock.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct builder_pod_options options = {.builder_image = "builder:1",
						   .output_registry = "registry/apps"};

/* A Build with this spec. */
static struct build *new_build(const char *spec, const char *status)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(65536);
	CLEANUP(json_freep) cJSON *doc = NULL;

	buf_printf(
		&text,
		"{\"metadata\":{\"name\":\"cart-1\",\"namespace\":\"shop\",\"uid\":\"u\","
		"\"resourceVersion\":\"7\",\"annotations\":{\"openshift.io/build.number\":\"1\"}},"
		"\"spec\":%s,\"status\":%s}",
		spec, status);
	assert_int_equal(json_parse(&doc, buf_str(&text), NULL), 0);
	return build_parse(doc);
}

static void a_build_that_cannot_run_is_refused_with_a_reason(void **state)
{
	static const struct {
		const char *spec, *reason, *message;
	} cases[] = {
		{"{\"strategy\":{\"dockerStrategy\":{}},\"source\":{\"dockerfile\":\"FROM x\"}}",
		 NULL, NULL},
		{"{\"strategy\":{},\"source\":{\"dockerfile\":\"FROM x\"}}",
		 "CannotCreateBuildPodSpec", "dockerStrategy"},
		{"{\"strategy\":{\"jenkinsPipelineStrategy\":{}},\"source\":{}}",
		 "CannotCreateBuildPodSpec", "JenkinsPipeline"},
		{"{\"strategy\":{\"dockerStrategy\":{}},\"source\":{}}", "CannotCreateBuildPodSpec",
		 "no source"},
		{"{\"strategy\":{\"dockerStrategy\":{}},\"source\":{\"images\":[{}]}}",
		 "CannotCreateBuildPodSpec", "source.images"},
		{"{\"strategy\":{\"sourceStrategy\":{}},\"source\":{\"git\":{\"uri\":\"x\"}}}",
		 "InvalidImageReference", "names no builder image"},
		{"{\"strategy\":{\"dockerStrategy\":{\"env\":[{\"name\":\"A\",\"valueFrom\":{"
		 "\"secretKeyRef\":{}}}]}},\"source\":{\"dockerfile\":\"FROM x\"}}",
		 "UnresolvableEnvironmentVariable", "variable A"},
		{"{\"strategy\":{\"dockerStrategy\":{}},\"source\":{\"dockerfile\":\"FROM x\"},"
		 "\"output\":{\"to\":{\"kind\":\"Bucket\",\"name\":\"x\"}}}",
		 "InvalidOutputReference", "kind Bucket"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct build *build = new_build(cases[i].spec, "{}");
		struct builder_refusal refusal;

		builder_check(&refusal, build, &options);
		if (cases[i].reason) {
			assert_non_null(refusal.reason);
			assert_string_equal(refusal.reason, cases[i].reason);
			assert_non_null(strstr(refusal.message, cases[i].message));
		} else {
			assert_null(refusal.reason);
		}
		build_free(build);
	}
}

static void an_image_stream_is_a_name_in_the_registry(void **state)
{
	static const struct {
		const char *to, *image;
	} cases[] = {
		{"{\"kind\":\"ImageStreamTag\",\"name\":\"cart:2\"}", "registry/apps/shop/cart:2"},
		{"{\"kind\":\"ImageStreamTag\",\"name\":\"a:b\",\"namespace\":\"o\"}",
		 "registry/apps/o/a:b"},
		{"{\"kind\":\"ImageStream\",\"name\":\"cart\"}", "registry/apps/shop/cart:latest"},
		{"{\"kind\":\"DockerImage\",\"name\":\"quay.io/x:1\"}", "quay.io/x:1"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char spec[400];
		CLEANUP(buf_release) struct buf image = BUF_INIT(400);
		const struct builder_pod_options without = {.builder_image = "b"};
		struct builder_refusal refusal;
		struct build *build;

		(void)snprintf(
			spec, sizeof(spec),
			"{\"strategy\":{\"dockerStrategy\":{}},\"source\":{\"dockerfile\":\"F\"},"
			"\"output\":{\"to\":%s}}",
			cases[i].to);
		build = new_build(spec, "{}");
		assert_true(builder_output_image(&image, build, &options));
		assert_string_equal(image.data, cases[i].image);
		builder_check(&refusal, build, &without);
		assert_int_equal(refusal.reason != NULL, i != 3);
		build_free(build);
	}
}

static void secrets_are_mounted_where_they_are_used_and_nowhere_else(void **state)
{
	struct build *build = new_build(
		"{\"strategy\":{\"dockerStrategy\":{\"pullSecret\":{\"name\":\"pull\"}}},"
		"\"source\":{\"git\":{\"uri\":\"https://x\"},\"sourceSecret\":{\"name\":\"git\"}},"
		"\"output\":{\"to\":{\"kind\":\"DockerImage\",\"name\":\"x\"},\"pushSecret\":{"
		"\"name\":"
		"\"push\"}},\"completionDeadlineSeconds\":9,\"serviceAccount\":\"robot\"}",
		"{}");
	CLEANUP(json_freep) cJSON *pod = builder_pod(build, &options, NULL);
	CLEANUP(buf_release) struct buf fetch = BUF_INIT(65536), main_ = BUF_INIT(65536);
	const cJSON *spec = json_at(pod, "spec");

	(void)state;
	json_format(&fetch, cJSON_GetArrayItem(json_at(spec, "initContainers"), 0));
	json_format(&main_, cJSON_GetArrayItem(json_at(spec, "containers"), 0));
	assert_non_null(strstr(fetch.data, "\"mountPath\":\"/secrets/source\""));
	assert_null(strstr(fetch.data, "/secrets/push"));
	assert_null(strstr(main_.data, "/secrets/source"));
	assert_non_null(strstr(main_.data, "\"mountPath\":\"/secrets/push\""));
	assert_non_null(strstr(main_.data, "\"mountPath\":\"/secrets/pull\""));
	assert_false(json_bool_at(spec, "hostUsers", true));
	assert_int_equal(json_int_at(spec, "activeDeadlineSeconds", 0), 9);
	assert_string_equal(json_str_at(spec, "serviceAccountName"), "robot");
	build_free(build);
}

static void a_long_name_is_cut_for_the_pod_as_openshift_does(void **state)
{
	char name[254], out[BUILDER_NAME_BYTES];

	(void)state;
	build_pod_name(out, "cart-1");
	assert_string_equal(out, "cart-1-build");
	memset(name, 'a', 253);
	name[253] = 0;
	build_pod_name(out, name);
	assert_int_equal(strlen(out), 253);
	assert_string_equal(out + 253 - strlen("-build"), "-build");
}

static void the_end_of_a_failed_build_is_written_whole(void **state)
{
	struct build *build = new_build("{\"strategy\":{\"dockerStrategy\":{}}}",
					"{\"phase\":\"Running\",\"startTimestamp\":\"2026-01-01T00:"
					"00:00Z\",\"conditions\":[{"
					"\"type\":\"Running\",\"status\":\"True\","
					"\"lastTransitionTime\":\"2026-01-01T00:00:00Z\"}]}");
	struct pod pod = {.name = "cart-1-build",
			  .owner_uid = "u",
			  .fetch = {.reason = "", .message = "", .digest = "", .log_tail = ""},
			  .build_report = {"DockerBuildFailed", "no", "", NULL, NULL,
					   "one\ntwo\nthree\nfour\nfive\nsix\a\n"}};
	struct build_write write = {
		.phase = BUILD_FAILED, .reason = "DockerBuildFailed", .pod = &pod};
	CLEANUP(json_freep) cJSON *patch = NULL;
	const cJSON *status, *conditions;
	int64_t start_ms = 0;

	(void)state;
	assert_true(clock_parse_rfc3339(STR("2026-01-01T00:00:00Z"), &start_ms));
	(void)snprintf(write.message, sizeof(write.message), "why");
	patch = build_patch(build, &write, "registry/x:1", start_ms + 65999);
	status = json_at(patch, "status");
	assert_string_equal(json_str_at(patch, "metadata/resourceVersion"), "7");
	assert_string_equal(json_str_at(status, "phase"), "Failed");
	assert_string_equal(json_str_at(status, "logSnippet"),
			    "two\nthree\nfour\nfive\nsix\xef\xbf\xbd");
	assert_string_equal(json_str_at(status, "completionTimestamp"), "2026-01-01T00:01:05Z");
	assert_int_equal(json_int_at(status, "duration", 0), INT64_C(65000000000));
	assert_null(json_at(status, "startTimestamp"));
	conditions = json_at(status, "conditions");
	assert_int_equal(cJSON_GetArraySize(conditions), 2);
	assert_string_equal(json_str_at(cJSON_GetArrayItem(conditions, 0), "status"), "False");
	assert_string_equal(json_str_at(cJSON_GetArrayItem(conditions, 1), "type"), "Failed");
	assert_string_equal(json_str_at(cJSON_GetArrayItem(conditions, 1), "status"), "True");
	build_free(build);
}

/* The Pod runs a user's code: of its reported stages only OpenShift's are shown. */
static void stages_are_shown_as_openshift_does(void **state)
{
	CLEANUP(json_freep) cJSON *doc = NULL;
	CLEANUP(json_freep) cJSON *patch = NULL;
	struct build *build =
		new_build("{\"strategy\":{\"dockerStrategy\":{}}}", "{\"phase\":\"Running\"}");
	struct build_write write = {.phase = BUILD_COMPLETE, .reason = ""};
	struct pod *pod;
	const cJSON *stages;

	(void)state;
	assert_int_equal(
		json_parse(&doc,
			   STR("{\"metadata\":{\"name\":\"p\"},\"status\":{"
			       "\"initContainerStatuses\":[{\"state\":{\"terminated\":{"
			       "\"message\":\"buildhook {\\\"stages\\\":[[\\\"FetchInputs\\\","
			       "\\\"FetchGitSource\\\",1767225600500,1200]]}\\nlog\\n\"}}}],"
			       "\"containerStatuses\":[{\"state\":{\"terminated\":{"
			       "\"message\":\"buildhook "
			       "{\\\"stages\\\":[[\\\"Bitcoin\\\",\\\"x\\\",1,2],"
			       "[\\\"Build\\\",\\\"x\\\",\\\"y\\\",2],[7],9,[\\\"PushImage\\\","
			       "\\\"\\\","
			       "1767225602000,300]]}\\nlog\\n\"}}}]}}"),
			   NULL),
		0);
	pod = pod_parse(doc);
	write.pod = pod;
	patch = build_patch(build, &write, "", 0);
	stages = json_at(patch, "status/stages");
	assert_int_equal(cJSON_GetArraySize(stages), 2);
	assert_string_equal(json_str_at(cJSON_GetArrayItem(stages, 0), "name"), "FetchInputs");
	assert_string_equal(json_str_at(cJSON_GetArrayItem(stages, 0), "startTime"),
			    "2026-01-01T00:00:00Z");
	assert_int_equal(json_int_at(cJSON_GetArrayItem(stages, 0), "durationMilliseconds", 0),
			 1200);
	assert_string_equal(
		json_str_at(cJSON_GetArrayItem(json_at(cJSON_GetArrayItem(stages, 1), "steps"), 0),
			    "name"),
		"PushDockerImage");
	pod_free(pod);
	build_free(build);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_build_that_cannot_run_is_refused_with_a_reason),
		cmocka_unit_test(an_image_stream_is_a_name_in_the_registry),
		cmocka_unit_test(secrets_are_mounted_where_they_are_used_and_nowhere_else),
		cmocka_unit_test(a_long_name_is_cut_for_the_pod_as_openshift_does),
		cmocka_unit_test(the_end_of_a_failed_build_is_written_whole),
		cmocka_unit_test(stages_are_shown_as_openshift_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
