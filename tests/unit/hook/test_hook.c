/* Events that never build, bodies that are large or hostile, and deliveries that end early. */
#include "sender.h"

#include "hook/host.h"

#include <stdio.h>

static const char push_body[] =
	"{\"ref\":\"refs/heads/main\",\"after\":\"6113728f27ae82c7b1a177c8d03f9e96e0adf246\"}";

/* Sends to the URL with the secret in it, so that these tests need no signature. */
static struct hook_delivery *send(struct sender *s, enum hook_type type, const char *header,
				  const char *event)
{
	s->is_path_proven = true;
	if (!sender_header(s, "Content-Type", &(size_t){0}).n)
		sender_put(s, "Content-Type", "application/json");
	if (header)
		sender_put(s, header, event);
	return sender_send(s, type);
}

static const char *const github_events[] = {
	"branch_protection_configuration",
	"branch_protection_rule",
	"check_run",
	"check_suite",
	"code_scanning_alert",
	"commit_comment",
	"create",
	"custom_property",
	"custom_property_values",
	"delete",
	"dependabot_alert",
	"deploy_key",
	"deployment",
	"deployment_protection_rule",
	"deployment_review",
	"deployment_status",
	"discussion",
	"discussion_comment",
	"fork",
	"github_app_authorization",
	"gollum",
	"installation",
	"installation_repositories",
	"installation_target",
	"issue_comment",
	"issue_dependencies",
	"issues",
	"label",
	"marketplace_purchase",
	"member",
	"membership",
	"merge_group",
	"meta",
	"milestone",
	"org_block",
	"organization",
	"package",
	"page_build",
	"personal_access_token_request",
	"project",
	"project_card",
	"project_column",
	"projects_v2",
	"projects_v2_item",
	"projects_v2_status_update",
	"public",
	"pull_request",
	"pull_request_review",
	"pull_request_review_comment",
	"pull_request_review_thread",
	"registry_package",
	"release",
	"repository",
	"repository_advisory",
	"repository_dispatch",
	"repository_import",
	"repository_ruleset",
	"repository_vulnerability_alert",
	"secret_scanning_alert",
	"secret_scanning_alert_location",
	"secret_scanning_scan",
	"security_advisory",
	"security_and_analysis",
	"sponsorship",
	"star",
	"status",
	"sub_issues",
	"team",
	"team_add",
	"watch",
	"workflow_dispatch",
	"workflow_job",
	"workflow_run",
	NULL,
};

static const char *const gitea_events[] = {
	"create",
	"delete",
	"fork",
	"issues",
	"issue_assign",
	"issue_label",
	"issue_milestone",
	"issue_comment",
	"pull_request",
	"pull_request_assign",
	"pull_request_label",
	"pull_request_milestone",
	"pull_request_comment",
	"pull_request_review_approved",
	"pull_request_review_rejected",
	"pull_request_review_comment",
	"pull_request_review_request",
	"pull_request_sync",
	"wiki",
	"repository",
	"release",
	"package",
	"status",
	"workflow_run",
	"workflow_job",
	NULL,
};

static const char *const gitlab_events[] = {
	"Issue Hook",
	"Confidential Issue Hook",
	"Note Hook",
	"Confidential Note Hook",
	"Merge Request Hook",
	"Wiki Page Hook",
	"Pipeline Hook",
	"Job Hook",
	"Deployment Hook",
	"Feature Flag Hook",
	"Release Hook",
	"Emoji Hook",
	"Milestone Hook",
	"Member Hook",
	"Subgroup Hook",
	"Project Hook",
	"Resource Access Token Hook",
	"Vulnerability Hook",
	"Service Hook",
	"System Hook",
	NULL,
};

static const char *const cloud_events[] = {
	"repo:fork",
	"repo:updated",
	"repo:transfer",
	"repo:commit_comment_created",
	"repo:commit_status_created",
	"repo:commit_status_updated",
	"issue:created",
	"issue:updated",
	"issue:comment_created",
	"pullrequest:created",
	"pullrequest:updated",
	"pullrequest:approved",
	"pullrequest:unapproved",
	"pullrequest:fulfilled",
	"pullrequest:rejected",
	"pullrequest:changes_request_created",
	"pullrequest:changes_request_removed",
	"pullrequest:comment_created",
	"pullrequest:comment_updated",
	"pullrequest:comment_deleted",
	"pullrequest:comment_resolved",
	NULL,
};

static const char *const dc_events[] = {
	"project:modified",
	"repo:modified",
	"repo:forked",
	"repo:comment:added",
	"repo:comment:edited",
	"repo:comment:deleted",
	"repo:secret_detected",
	"mirror:repo_synchronized",
	"pr:opened",
	"pr:from_ref_updated",
	"pr:to_ref_updated",
	"pr:modified",
	"pr:reviewer:updated",
	"pr:reviewer:approved",
	"pr:reviewer:unapproved",
	"pr:reviewer:needs_work",
	"pr:reviewer:changes_requested",
	"pr:merged",
	"pr:declined",
	"pr:deleted",
	"pr:comment:added",
	"pr:comment:edited",
	"pr:comment:deleted",
	NULL,
};

static void check_other(enum hook_type type, const char *host, const char *header,
			const char *id_header, const char *event)
{
	CLEANUP(sender_freep) struct hook_delivery *delivery = NULL;
	const struct delivery_event *out = NULL;
	struct sender s = {.body = STR("{\"action\": \"any\"}")};
	struct err err = {0};

	sender_put(&s, id_header, "7");
	delivery = send(&s, type, header, event);
	assert_true(hook_delivery_holds(delivery));
	if (hook_delivery_finish(delivery, &out, &err))
		fail_msg("%s: %s", event, err.msg);
	assert_int_equal(out->kind, DELIVERY_OTHER);
	assert_string_equal(out->provider, host);
	assert_string_equal(out->name, event);
	assert_string_equal(hook_delivery_id(delivery), "7");
	assert_int_equal(out->n_changes, 0);
}

static void every_other_event_is_one_that_does_not_build(void **state)
{
	static const struct {
		enum hook_type type;
		const char *host;
		const char *header, *id_header;
		const char *const *events;
	} cases[] = {
		{HOOK_GITHUB, "github", "X-GitHub-Event", "X-GitHub-Delivery", github_events},
		{HOOK_GITHUB, "gitea", "X-Gitea-Event", "X-Gitea-Delivery", gitea_events},
		{HOOK_GITHUB, "forgejo", "X-Forgejo-Event", "X-Forgejo-Delivery", gitea_events},
		{HOOK_GITHUB, "gogs", "X-Gogs-Event", "X-Gogs-Delivery", gitea_events},
		{HOOK_GITLAB, "gitlab", "X-Gitlab-Event", "Idempotency-Key", gitlab_events},
		{HOOK_BITBUCKET, "bitbucket", "X-Event-Key", "X-Request-UUID", cloud_events},
		{HOOK_BITBUCKET, "bitbucket-dc", "X-Event-Key", "X-Request-Id", dc_events},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t k = 0; cases[i].events[k]; k++)
			check_other(cases[i].type, cases[i].host, cases[i].header,
				    cases[i].id_header, cases[i].events[k]);
}

static void a_saved_delivery_is_read_without_a_proof(void **state)
{
	struct sender s = {.body = STR("{\"ref\":\"refs/heads/main\",\"after\":"
				       "\"4d1f0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f\"}"),
			   .has_no_secret = true};
	struct hook_request request;
	CLEANUP(sender_freep) struct hook_delivery *delivery = NULL;
	const struct delivery_event *event = NULL;
	struct err err = {0};

	(void)state;
	sender_put(&s, "X-GitHub-Event", "push");
	sender_put(&s, "Content-Type", "application/json");
	sender_put(&s, "X-Hub-Signature-256", "sha256=of somebody else");
	request = sender_request(&s, HOOK_GITHUB);
	request.needs_no_proof = true;
	delivery = hook_delivery_new(&request);
	sender_feed(&s, delivery);
	assert_true(hook_delivery_holds(delivery));
	assert_int_equal(hook_delivery_finish(delivery, &event, &err), 0);
	assert_string_equal(event->changes[0].ref, "refs/heads/main");
}

/* Metrics and annotations have a closed set of providers. */
static void hosts_have_fixed_names(void **state)
{
	static const char *const names[] = {"forgejo", "gitea",     "gogs",         "github",
					    "gitlab",  "bitbucket", "bitbucket-dc", "generic"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_string_equal(hook_hosts[i]->name, names[i]);
	assert_null(hook_hosts[ARRAY_LEN(names)]);
	assert_string_equal(hook_delivery_provider(NULL), "unknown");
	for (enum hook_type type = 0; type < HOOK_TYPES; type++)
		assert_int_equal(hook_host_named(type)->type, type);
}

/* The message of a push that cannot be read; "" when it can. */
static void read_push(char *out, size_t size, struct sender *s)
{
	CLEANUP(sender_freep)
	struct hook_delivery *delivery = send(s, HOOK_GITHUB, "X-GitHub-Event", "push");
	const struct delivery_event *event = NULL;
	struct err err = {0};

	assert_true(hook_delivery_holds(delivery));
	if (!hook_delivery_finish(delivery, &event, &err)) {
		assert_int_equal(event->n_changes, 1);
		assert_string_equal(event->changes[0].ref, "refs/heads/main");
	}
	(void)snprintf(out, size, "%s", err.msg);
}

/* N times PIECE between BEFORE and AFTER. */
static char *repeat(const char *before, const char *piece, size_t n, const char *after)
{
	size_t step = strlen(piece), at = strlen(before);
	char *text = mem_new(at + n * step + strlen(after) + 1, 1);

	memcpy(text, before, at);
	for (size_t i = 0; i < n; i++, at += step)
		memcpy(text + at, piece, step);
	memcpy(text + at, after, strlen(after));
	return text;
}

static void deep_documents_cannot_be_read(void **state)
{
	static const char *const pieces[] = {"[", "{\"a\":", "[{\"commits\":"};
	char message[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		CLEANUP(mem_free) char *body = repeat("", pieces[i], 100000, "");
		struct sender s = {.body = str_of(body), .piece = 4096};

		read_push(message, sizeof(message), &s);
		assert_true(str_contains(str_of(message), STR("deep")));
	}
}

static void large_documents_are_read_to_the_end(void **state)
{
	CLEANUP(mem_free)
	char *body = repeat("{\"zeros\":[0", ",0", 4 * 1024 * 1024,
			    "],\"ref\":\"refs/heads/main\",\"after\":"
			    "\"6113728f27ae82c7b1a177c8d03f9e96e0adf246\"}");
	struct sender s = {.body = str_of(body), .piece = 65536};
	char message[256];

	(void)state;
	read_push(message, sizeof(message), &s);
	assert_string_equal(message, "");
}

static void large_forms_cannot_be_read(void **state)
{
	CLEANUP(mem_free)
	char *body = repeat("payload=%7B%22a%22%3A%22", "x", HOOK_MAX_FORM_BYTES, "%22%7D");
	struct sender s = {.body = str_of(body), .piece = 65536};
	char message[256];

	(void)state;
	sender_put(&s, "Content-Type", "application/x-www-form-urlencoded");
	read_push(message, sizeof(message), &s);
	assert_true(
		str_contains(str_of(message),
			     STR("at most 1048576 are read: set the content type of the webhook")));
}

/* NAME is the JSON of one file's, with a comma behind it. */
static void check_files(const char *name, size_t n_files, bool are_all)
{
	CLEANUP(mem_free)
	char *body = repeat("{\"ref\":\"refs/heads/main\",\"after\":"
			    "\"6113728f27ae82c7b1a177c8d03f9e96e0adf246\","
			    "\"commits\":[{\"added\":[",
			    name, n_files - 1, "\"last-file.c\"]}]}");
	struct sender s = {.body = str_of(body)};
	CLEANUP(sender_freep)
	struct hook_delivery *delivery = send(&s, HOOK_GITHUB, "X-GitHub-Event", "push");
	const struct delivery_event *event = NULL;

	assert_true(hook_delivery_holds(delivery));
	assert_int_equal(hook_delivery_finish(delivery, &event, NULL), 0);
	assert_int_equal(event->have_all_files, are_all);
	assert_true(event->files_bytes <= DELIVERY_MAX_FILES_BYTES);
	assert_int_equal(event->files[event->files_bytes - 1], 0);
}

#define LONG_NAME "\"a-folder/another-folder/a-third-one/and-a-file-with-a-long-name.txt\","

/* GitHub names at most 3000 files of a commit. */
static void more_files_than_fit_or_are_sent_are_not_all(void **state)
{
	(void)state;
	check_files("\"dir/a-file.c\",", 1, true);
	check_files("\"dir/a-file.c\",", 2999, true);
	check_files("\"dir/a-file.c\",", 3000, false);
	check_files("\"dir/a-file.c\",", 3001, false);
	check_files("\"dir/a-file.c\",", 50000, false);
	/* 65536 bytes hold 963 names of 67 letters and a NUL, and the last. */
	check_files(LONG_NAME, 964, true);
	check_files(LONG_NAME, 965, false);
}

static void a_longer_list_of_commits_than_github_sends_is_not_all(void **state)
{
	static const struct {
		size_t n;
		bool are_all;
	} cases[] = {{2047, true}, {2048, false}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(mem_free)
		char *body = repeat("{\"ref\":\"refs/heads/main\",\"after\":"
				    "\"6113728f27ae82c7b1a177c8d03f9e96e0adf246\","
				    "\"commits\":[{\"added\":[\"a\"]}",
				    ",{\"added\":[\"b\"]}", cases[i].n - 1, "]}");
		struct sender s = {.body = str_of(body)};
		CLEANUP(sender_freep)
		struct hook_delivery *delivery = send(&s, HOOK_GITHUB, "X-GitHub-Event", "push");
		const struct delivery_event *event = NULL;

		assert_true(hook_delivery_holds(delivery));
		assert_int_equal(hook_delivery_finish(delivery, &event, NULL), 0);
		assert_int_equal(event->have_all_files, cases[i].are_all);
	}
}

int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
					      void (*on_free)(const volatile void *));

static size_t n_allocations;

static void on_malloc(const volatile void *p, size_t size)
{
	(void)p;
	(void)size;
	n_allocations++;
}

static void on_free(const volatile void *p)
{
	(void)p;
}

static size_t count_allocations_of_commits(size_t n)
{
	CLEANUP(mem_free)
	char *body = repeat("{\"ref\":\"refs/heads/main\",\"after\":"
			    "\"6113728f27ae82c7b1a177c8d03f9e96e0adf246\",\"commits\":[",
			    "{\"id\":\"a\",\"author\":{\"name\":\"b\"},\"message\":\"c\"},", n - 1,
			    "{\"id\":\"a\"}]}");
	struct sender s = {.body = str_of(body)};
	size_t before = n_allocations;
	CLEANUP(sender_freep)
	struct hook_delivery *delivery = send(&s, HOOK_GITHUB, "X-Gitea-Event", "push");

	assert_true(hook_delivery_holds(delivery));
	return n_allocations - before;
}

/* A list may have thousands of commits. */
static void commits_that_are_not_kept_are_not_copied(void **state)
{
	size_t few = 0;

	(void)state;
	count_allocations_of_commits(
		1); /* OpenSSL and the reader prepare themselves at the first */
	assert_true(__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0);
	few = count_allocations_of_commits(100);
	assert_true(few > 0);
	assert_int_equal(count_allocations_of_commits(1000), few);
}

static void a_generic_payload_over_64_kib_is_ignored(void **state)
{
	static const char *const media[] = {"application/json", "application/yaml"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(media); i++) {
		CLEANUP(mem_free)
		char *body = repeat("{\"git\":{\"ref\":\"dev\"},\"x\":\"", "x", 65536, "\"}");
		struct sender s = {.body = str_of(body), .piece = 1000};
		CLEANUP(sender_freep) struct hook_delivery *delivery = NULL;
		const struct delivery_event *event = NULL;

		sender_put(&s, "Content-Type", media[i]);
		delivery = send(&s, HOOK_GENERIC, NULL, NULL);
		assert_true(hook_delivery_holds(delivery));
		assert_int_equal(hook_delivery_finish(delivery, &event, NULL), 0);
		assert_int_equal(event->n_changes, 1);
		assert_null(event->changes[0].ref);
		assert_true(str_contains(str_of(event->warning), STR("at most 65536")));
	}
}

/* 14,000 characters that JSON writes with six, sixteen times. */
static void yaml_that_aliases_make_too_long_is_ignored(void **state)
{
	CLEANUP(mem_free)
	char *body = repeat("a: &a \"", "\\x01", 14000,
			    "\"\nb: [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n");
	struct sender s = {.body = str_of(body)};
	CLEANUP(sender_freep) struct hook_delivery *delivery = NULL;
	const struct delivery_event *event = NULL;

	(void)state;
	sender_put(&s, "Content-Type", "application/yaml");
	delivery = send(&s, HOOK_GENERIC, NULL, NULL);
	assert_true(hook_delivery_holds(delivery));
	assert_int_equal(hook_delivery_finish(delivery, &event, NULL), 0);
	assert_true(str_contains(str_of(event->warning), STR("too long with its aliases")));
}

static void a_delivery_may_end_at_any_time(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof(push_body); n++) {
		struct sender s = {.body = {push_body, n}};
		CLEANUP(sender_freep)
		struct hook_delivery *delivery = send(&s, HOOK_GITHUB, "X-GitHub-Event", "push");

		assert_string_equal(hook_delivery_provider(delivery), "github");
	}
	hook_delivery_free(NULL);
}

static void every_cut_of_a_payload_cannot_be_read(void **state)
{
	char message[256];

	(void)state;
	for (size_t n = 0; n < sizeof(push_body) - 1; n++) {
		struct sender s = {.body = {push_body, n}};

		read_push(message, sizeof(message), &s);
		assert_true(str_starts(str_of(message), STR("payload: ")));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_other_event_is_one_that_does_not_build),
		cmocka_unit_test(a_saved_delivery_is_read_without_a_proof),
		cmocka_unit_test(hosts_have_fixed_names),
		cmocka_unit_test(deep_documents_cannot_be_read),
		cmocka_unit_test(large_documents_are_read_to_the_end),
		cmocka_unit_test(large_forms_cannot_be_read),
		cmocka_unit_test(more_files_than_fit_or_are_sent_are_not_all),
		cmocka_unit_test(a_longer_list_of_commits_than_github_sends_is_not_all),
		cmocka_unit_test(commits_that_are_not_kept_are_not_copied),
		cmocka_unit_test(a_generic_payload_over_64_kib_is_ignored),
		cmocka_unit_test(yaml_that_aliases_make_too_long_is_ignored),
		cmocka_unit_test(a_delivery_may_end_at_any_time),
		cmocka_unit_test(every_cut_of_a_payload_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
