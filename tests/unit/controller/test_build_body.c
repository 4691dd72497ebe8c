#include "controller/build_body.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct journal_change push = {
	.accepted_ms = 1795467011123, /* 2026-11-23T20:50:11.123Z */
	.uid = "0a1b",
	.namespace_ = "shop",
	.name = "cart",
	.type = "github",
	.host = "gitea",
	.delivery_id = "d-1",
	.ref = "refs/heads/main",
	.commit = "3f2a1b0c3f2a1b0c3f2a1b0c3f2a1b0c3f2a1b0c",
	.author_name = "Alice",
	.author_email = "alice@example.com",
	.committer_name = "Bob",
	.committer_email = "",
	.message = "Mend \"it\"\nfor good",
	.pusher = "alice",
	.env_json = "",
	.options_json = "",
	.warning = "",
	.build = "",
	.reason = "",
};

static const char bc_text[] =
	"{\"metadata\":{\"name\":\"cart\",\"uid\":\"0a1b\",\"labels\":{\"app\":\"cart\","
	"\"buildconfig\":\"forged\"},"
	"\"annotations\":{\"mine\":\"1\"}},"
	"\"spec\":{\"source\":{\"git\":{\"uri\":\"https://x/cart.git\",\"ref\":\"main\"}},"
	"\"strategy\":{\"dockerStrategy\":{\"env\":[{\"name\":\"A\",\"value\":\"old\"},{\"name\":"
	"\"B\",\"value\":\"b\"}],"
	"\"buildArgs\":[{\"name\":\"V\",\"value\":\"1\"}],\"noCache\":false}},"
	"\"output\":{\"to\":{\"kind\":\"ImageStreamTag\",\"name\":\"cart:latest\"}},"
	"\"resources\":{\"limits\":{\"cpu\":\"1\"}},\"postCommit\":{\"script\":\"make test\"},"
	"\"completionDeadlineSeconds\":600,\"nodeSelector\":null,\"mountTrustedCA\":true,"
	"\"runPolicy\":\"Parallel\","
	"\"successfulBuildsHistoryLimit\":5,\"triggers\":[{\"type\":\"GitHub\"}]},\"status\":{"
	"\"lastVersion\":6}}";

static cJSON *parse(const char *text)
{
	cJSON *doc = NULL;

	assert_int_equal(json_parse(&doc, str_of(text), NULL), 0);
	return doc;
}

static void assert_json(const cJSON *doc, const char *expected)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(65536);

	if (doc)
		json_format(&text, doc);
	assert_string_equal(buf_text(&text), expected);
}

static cJSON *body_of(const struct journal_change *change, const char *bc)
{
	CLEANUP(json_freep) cJSON *doc = parse(bc);

	return build_body(doc, change, 7, 1795467012000);
}

static void the_build_is_what_openshifts_generator_makes(void **state)
{
	CLEANUP(json_freep) cJSON *build = body_of(&push, bc_text);
	char label[BUILD_DELIVERY_LABEL_CHARS + 1], labels[400];

	(void)state;
	assert_string_equal(json_str_at(build, "kind"), "Build");
	assert_string_equal(json_str_at(build, "apiVersion"), "build.openshift.io/v1");
	assert_string_equal(json_str_at(build, "metadata/name"), "cart-7");
	assert_string_equal(json_str_at(build, "metadata/namespace"), "shop");
	build_delivery_label(label, &push);
	assert_true(snprintf(labels, sizeof(labels),
			     "{\"app\":\"cart\",\"buildconfig\":\"cart\",\"openshift.io/"
			     "build-config.name\":\"cart\","
			     "\"openshift.io/build.start-policy\":\"Parallel\",\"buildhook.io/"
			     "delivery\":\"%s\"}",
			     label) > 0);
	assert_json(json_at(build, "metadata/labels"), labels);
	assert_json(
		json_at(build, "metadata/annotations"),
		"{\"openshift.io/build-config.name\":\"cart\",\"openshift.io/build.number\":\"7\","
		"\"buildhook.io/delivery-id\":\"d-1\",\"buildhook.io/provider\":\"gitea\","
		"\"buildhook.io/accepted\":\"2026-11-23T20:50:11.123Z\",\"buildhook.io/"
		"ref\":\"refs/heads/main\"}");
	assert_json(json_at(build, "metadata/ownerReferences"),
		    "[{\"apiVersion\":\"build.openshift.io/"
		    "v1\",\"kind\":\"BuildConfig\",\"name\":\"cart\","
		    "\"uid\":\"0a1b\",\"controller\":true}]");
	assert_json(
		json_at(build, "status"),
		"{\"phase\":\"New\",\"conditions\":[{\"type\":\"New\",\"status\":\"True\","
		"\"lastUpdateTime\":\"2026-11-23T20:50:12Z\",\"lastTransitionTime\":\"2026-11-"
		"23T20:50:12Z\"}],"
		"\"config\":{\"kind\":\"BuildConfig\",\"name\":\"cart\",\"namespace\":\"shop\"}}");
}

static void the_spec_is_the_common_part_of_the_buildconfigs(void **state)
{
	CLEANUP(json_freep) cJSON *build = body_of(&push, bc_text);
	static const char revision[] = "{\"type\":\"Git\",\"git\":{\"commit\":"
				       "\"3f2a1b0c3f2a1b0c3f2a1b0c3f2a1b0c3f2a1b0c\","
				       "\"author\":{\"name\":\"Alice\",\"email\":\"alice@example."
				       "com\"},\"committer\":{\"name\":\"Bob\"},"
				       "\"message\":\"Mend \\\"it\\\"\\nfor good\"}}";
	char causes[900];

	(void)state;
	assert_string_equal(json_str_at(build, "spec/serviceAccount"), "builder");
	assert_json(json_at(build, "spec/source"),
		    "{\"git\":{\"uri\":\"https://x/cart.git\",\"ref\":\"main\"},\"type\":\"Git\"}");
	assert_string_equal(json_str_at(build, "spec/strategy/type"), "Docker");
	assert_json(json_at(build, "spec/output"),
		    "{\"to\":{\"kind\":\"ImageStreamTag\",\"name\":\"cart:latest\"}}");
	assert_json(json_at(build, "spec/resources"), "{\"limits\":{\"cpu\":\"1\"}}");
	assert_json(json_at(build, "spec/postCommit"), "{\"script\":\"make test\"}");
	assert_int_equal(json_int_at(build, "spec/completionDeadlineSeconds", 0), 600);
	assert_true(json_bool_at(build, "spec/mountTrustedCA", false));
	assert_json(json_at(build, "spec/revision"), revision);
	assert_true(
		snprintf(causes, sizeof(causes),
			 "[{\"message\":\"GitHub "
			 "WebHook\",\"githubWebHook\":{\"revision\":%s,\"secret\":\"<secret>\"}}]",
			 revision) > 0);
	assert_json(json_at(build, "spec/triggeredBy"), causes);
	assert_null(json_at(build, "spec/nodeSelector"));
	assert_null(json_at(build, "spec/triggers"));
	assert_null(json_at(build, "spec/runPolicy"));
	assert_null(json_at(build, "spec/successfulBuildsHistoryLimit"));
}

static void each_type_has_its_cause(void **state)
{
	static const char *const types[][3] = {
		{"github", "GitHub WebHook", "githubWebHook"},
		{"gitlab", "GitLab WebHook", "gitlabWebHook"},
		{"bitbucket", "Bitbucket WebHook", "bitbucketWebHook"},
		{"generic", "Generic WebHook", "genericWebHook"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct journal_change change = push;
		CLEANUP(json_freep) cJSON *build = NULL;
		const cJSON *cause;

		change.type = types[i][0];
		build = body_of(&change, bc_text);
		cause = json_at(build, "spec/triggeredBy")->child;
		assert_string_equal(json_str_at(cause, "message"), types[i][1]);
		assert_string_equal(json_str_at(json_member(cause, types[i][2]), "secret"),
				    "<secret>");
	}
}

static void without_a_commit_there_is_no_revision(void **state)
{
	struct journal_change change = push;
	CLEANUP(json_freep) cJSON *build = NULL;

	(void)state;
	change.commit = "";
	build = body_of(&change, "{\"spec\":{\"serviceAccount\":\"robot\"}}");
	assert_null(json_at(build, "spec/revision"));
	assert_string_equal(json_str_at(build, "spec/serviceAccount"), "robot");
	assert_json(
		json_at(build, "spec/triggeredBy"),
		"[{\"message\":\"GitHub WebHook\",\"githubWebHook\":{\"secret\":\"<secret>\"}}]");
}

static void env_and_docker_options_override_by_name(void **state)
{
	struct journal_change change = push;
	CLEANUP(json_freep) cJSON *build = NULL;

	(void)state;
	change.env_json = "[{\"name\":\"A\",\"value\":\"new\"},{\"name\":\"C\",\"value\":\"c\"}]";
	change.options_json = "{\"buildArgs\":[{\"name\":\"V\",\"value\":\"2\"}],\"noCache\":true}";
	build = body_of(&change, bc_text);
	assert_json(json_at(build, "spec/strategy/dockerStrategy/env"),
		    "[{\"name\":\"B\",\"value\":\"b\"},{\"name\":\"A\",\"value\":\"new\"},{"
		    "\"name\":\"C\",\"value\":\"c\"}]");
	assert_json(json_at(build, "spec/strategy/dockerStrategy/buildArgs"),
		    "[{\"name\":\"V\",\"value\":\"2\"}]");
	assert_true(json_bool_at(build, "spec/strategy/dockerStrategy/noCache", false));
}

static void a_build_request_says_what_the_build_will_carry(void **state)
{
	struct journal_change change = push;
	CLEANUP(json_freep) cJSON *request = NULL;
	char label[BUILD_DELIVERY_LABEL_CHARS + 1];

	(void)state;
	change.env_json = "[{\"name\":\"A\",\"value\":\"new\"}]";
	request = build_request_body(&change, 6);
	build_delivery_label(label, &change);
	assert_string_equal(json_str_at(request, "kind"), "BuildRequest");
	assert_string_equal(json_str_at(request, "metadata/name"), "cart");
	assert_string_equal(
		json_member(json_at(request, "metadata/labels"), BUILD_DELIVERY_LABEL)->valuestring,
		label);
	assert_int_equal(json_int_at(request, "lastVersion", -1), 6);
	assert_json(json_at(request, "env"), "[{\"name\":\"A\",\"value\":\"new\"}]");
	assert_null(json_at(request, "dockerStrategyOptions"));
	assert_string_equal(json_str_at(request, "revision/git/commit"), change.commit);
}

static void the_delivery_label_tells_what_makes_deliveries_differ(void **state)
{
	struct journal_change others[] = {push, push, push, push, push};
	char first[BUILD_DELIVERY_LABEL_CHARS + 1], label[BUILD_DELIVERY_LABEL_CHARS + 1];

	(void)state;
	build_delivery_label(first, &push);
	/* printf '0a1b\0github\0d-1\0refs/heads/main' | sha256sum */
	assert_string_equal(first, "3dfab8976dffda478945a8693f6ce629");
	others[0].uid = "0a1c";
	others[1].type = "gitlab";
	others[2].delivery_id = "d-2";
	others[3].ref = "refs/tags/main";
	for (size_t i = 0; i < 4; i++) {
		build_delivery_label(label, &others[i]);
		assert_string_not_equal(label, first);
	}
	others[4].commit = "";
	build_delivery_label(label, &others[4]);
	assert_string_equal(label, first);
}

static void long_names_are_cut_as_openshift_cuts_them(void **state)
{
	char name[254], out[BUILD_NAME_BYTES], value[64];

	(void)state;
	memset(name, 'a', 253);
	name[253] = 0;
	build_name(out, name, 12);
	assert_int_equal(strlen(out), 253);
	/* 241 of the name, its FNV-1a hash, the number. */
	assert_memory_equal(out, name, 241);
	assert_string_equal(out + 241, "-df1f7590-12");
	name[62] = '-';
	build_label_value(value, name);
	assert_int_equal(strlen(value), 62);
	build_label_value(value, "cart");
	assert_string_equal(value, "cart");
}

static void control_characters_of_a_commit_reach_no_build_of_ours(void **state)
{
	struct journal_change change = push;
	CLEANUP(json_freep) cJSON *bc = parse(bc_text);

	(void)state;
	change.author_name = "A\x07lice\xE2\x80\xAE";
	change.message = "one\r\n\ttwo \xC2\x9B"
			 "31m";
	change.warning = "left out \x1b[31m";
	CLEANUP(json_freep) cJSON *build = build_body(bc, &change, 7, 0);
	CLEANUP(json_freep) cJSON *request = build_request_body(&change, 6);
	const cJSON *git = json_at(build, "spec/revision/git");
	assert_string_equal(json_str_at(git, "message"), "one\n\ttwo \xEF\xBF\xBD"
							 "31m");
	assert_string_equal(json_str_at(git, "author/name"), "A\xEF\xBF\xBDlice\xEF\xBF\xBD");
	assert_string_equal(
		json_member(json_at(build, "metadata/annotations"), "buildhook.io/warning")
			->valuestring,
		"left out \xEF\xBF\xBD[31m");
	/* OpenShift's own endpoint passes the message on as it came. */
	assert_string_equal(json_str_at(request, "revision/git/message"), change.message);
}

static void a_redelivery_has_a_label_of_its_own_and_the_hosts_id(void **state)
{
	struct journal_change again = push;
	char first[BUILD_DELIVERY_LABEL_CHARS + 1], second[BUILD_DELIVERY_LABEL_CHARS + 1];
	CLEANUP(json_freep) cJSON *bc = parse(bc_text);

	(void)state;
	again.delivery_id = "d-1 now";
	build_delivery_label(first, &push);
	build_delivery_label(second, &again);
	assert_string_not_equal(first, second);
	CLEANUP(json_freep) cJSON *build = build_body(bc, &again, 7, 0);
	const cJSON *annotations = json_at(build, "metadata/annotations");
	assert_string_equal(json_member(annotations, "buildhook.io/delivery-id")->valuestring,
			    "d-1");
	assert_string_equal(json_member(annotations, "buildhook.io/redelivered")->valuestring,
			    "now");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_build_is_what_openshifts_generator_makes),
		cmocka_unit_test(the_spec_is_the_common_part_of_the_buildconfigs),
		cmocka_unit_test(each_type_has_its_cause),
		cmocka_unit_test(without_a_commit_there_is_no_revision),
		cmocka_unit_test(env_and_docker_options_override_by_name),
		cmocka_unit_test(a_build_request_says_what_the_build_will_carry),
		cmocka_unit_test(the_delivery_label_tells_what_makes_deliveries_differ),
		cmocka_unit_test(long_names_are_cut_as_openshift_cuts_them),
		cmocka_unit_test(control_characters_of_a_commit_reach_no_build_of_ours),
		cmocka_unit_test(a_redelivery_has_a_label_of_its_own_and_the_hosts_id),
	};

	return cmocka_run_group_tests_name("build_body", tests, NULL, NULL);
}
