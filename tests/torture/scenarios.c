/* The scenarios: steps of the receiver, the journal and the start of a build. */
#include "alloc.h"
#include "torture.h"

static void run_replica(const struct scenario *s)
{
	(void)s;
	replica_start(t.w.replicas[0]);
	torture_go_for(ACT_MS);
}

static void prepare_nothing(const struct scenario *s)
{
	(void)s;
}

static void deliver(const struct scenario *s)
{
	request_send(t.w.replicas[0], &s->request, &t.status);
	torture_go_for(ACT_MS);
}

/* The change was stored, but its build not started, when the process was killed. */
static void leave_rows(const struct scenario *s)
{
	static const char *const refs[] = {"refs/heads/a", "refs/heads/b", "refs/tags/v1"};
	struct journal_change change = {.uid = t.w.api->objects[API_BUILDCONFIG]->uid,
					.namespace_ = "shop",
					.name = "cart",
					.type = "github",
					.host = "github",
					.delivery_id = "left",
					.accepted_ms = EPOCH_MS,
					.commit = "3f2a1b04c5d6e7f8091a2b3c4d5e6f708192a3b4"};

	t.w.replicas[0]->is_cut_off = true;
	run_replica(s);
	for (size_t i = 0; i < ARRAY_LEN(refs); i++) {
		change.ref = refs[i];
		(void)journal_add(t.w.replicas[0]->journal, &change, 1, NULL, NULL);
	}
	torture_go_for(1000);
	replica_crash(t.w.replicas[0], true);
	t.w.replicas[0]->is_cut_off = false;
}

static void prepare_delivered(const struct scenario *s)
{
	run_replica(s);
	deliver(s);
	t.status = 0;
}

static void prepare_cut_off(const struct scenario *s)
{
	run_replica(s);
	deliver(&(struct scenario){.request = {.file = "github/ping"}});
	t.status = 0;
	t.w.replicas[0]->is_cut_off = true;
}

static void prepare_without_secret(const struct scenario *s)
{
	api_remove(t.w.api, t.w.api->objects[API_SECRET]);
	run_replica(s);
}

static void deliver_twice_at_once(const struct scenario *s)
{
	request_send(t.w.replicas[0], &s->request, &t.status);
	deliver(s);
}

static void deliver_and_stop(const struct scenario *s)
{
	deliver(s);
	replica_crash(t.w.replicas[0], true);
}

/* Removes old rows, checkpoints the log, and lists the BuildConfigs again. */
static void pass_days(const struct scenario *s)
{
	(void)s;
	for (int i = 0; i < 8; i++) {
		t.w.now_ms += INT64_C(10 * 3600) * 1000;
		torture_go_for(ACT_MS);
	}
}

static void ask_for_new_secret(const struct scenario *s)
{
	struct api_object *bc = t.w.api->objects[API_BUILDCONFIG];
	cJSON *metadata = cJSON_GetObjectItemCaseSensitive(bc->doc, "metadata");
	bool was_armed = alloc_pause();

	(void)s;
	json_put_str(cJSON_GetObjectItemCaseSensitive(metadata, "annotations"),
		     "buildhook.io/rotate", "1");
	api_touch(t.w.api, bc);
	alloc_resume(was_armed);
	torture_go_for(ACT_MS);
}

static void keep_nothing(void *arg, const struct journal_change *change)
{
	(void)arg;
	(void)change;
}

static void read_journal(const struct scenario *s)
{
	struct err err = {0};

	(void)s;
	(void)journal_read_file(t.w.replicas[0]->folder, 100, keep_nothing, NULL, &err);
}

#define DELIVERY(FILE)                                                                             \
	{                                                                                          \
		.name = FILE, .prepare = run_replica, .act = deliver, .request = {.file = FILE }   \
	}
#define PATH_DELIVERY(FILE)                                                                        \
	{                                                                                          \
		.name = FILE " to OpenShift's URL", .prepare = run_replica, .act = deliver,        \
		.request = {                                                                       \
			.file = FILE,                                                              \
			.has_path_secret = true                                                    \
		}                                                                                  \
	}

const struct scenario scenarios[] = {
	{.name = "first start", .prepare = prepare_nothing, .act = run_replica},
	{.name = "start with rows that wait", .prepare = leave_rows, .act = run_replica},
	{.name = "redelivery",
	 .prepare = prepare_delivered,
	 .act = deliver,
	 .request = {.file = "github/push"}},
	{.name = "two copies at once",
	 .prepare = run_replica,
	 .act = deliver_twice_at_once,
	 .request = {.file = "github/push"}},
	{.name = "delivery while the API server is away",
	 .prepare = prepare_cut_off,
	 .act = deliver,
	 .request = {.file = "github/push"}},
	{.name = "dry run",
	 .prepare = run_replica,
	 .act = deliver,
	 .request = {.file = "github/push", .is_dry_run = true}},
	{.name = "delivery and clean stop",
	 .prepare = run_replica,
	 .act = deliver_and_stop,
	 .request = {.file = "github/push"}},
	{.name = "days without a delivery",
	 .prepare = prepare_delivered,
	 .act = pass_days,
	 .is_sent_once = true,
	 .request = {.file = "bitbucket-cloud/push-several-refs"}},
	{.name = "a Secret is made", .prepare = prepare_nothing, .act = prepare_without_secret},
	{.name = "a Secret is rotated", .prepare = run_replica, .act = ask_for_new_secret},
	{.name = "the journal is read",
	 .prepare = prepare_delivered,
	 .act = read_journal,
	 .request = {.file = "github/push"}},
	DELIVERY("github/push"),
	DELIVERY("github/push-form"),
	DELIVERY("github/push-new-tag"),
	DELIVERY("github/push-deleted-branch"),
	DELIVERY("github/push-long-message"),
	DELIVERY("github/push-sha256-repository"),
	DELIVERY("github/ping"),
	DELIVERY("github/event-pull-request"),
	DELIVERY("github/bad-truncated"),
	DELIVERY("github/push-wrong-signature"),
	DELIVERY("github/push-no-signature"),
	DELIVERY("github/head-text-plain"),
	PATH_DELIVERY("github/path-without-signature"),
	DELIVERY("gitea/push"),
	DELIVERY("gitea/push-new-branch"),
	DELIVERY("forgejo/push"),
	DELIVERY("gogs/push"),
	DELIVERY("gitlab/push"),
	DELIVERY("gitlab/push-many-commits"),
	DELIVERY("gitlab/tag-new"),
	DELIVERY("gitlab/signing-token"),
	DELIVERY("gitlab/bad-no-commit"),
	DELIVERY("gitlab/token-wrong"),
	DELIVERY("bitbucket-cloud/push"),
	DELIVERY("bitbucket-cloud/push-several-refs"),
	DELIVERY("bitbucket-cloud/push-renamed-branch"),
	DELIVERY("bitbucket-dc/push"),
	DELIVERY("bitbucket-dc/push-annotated-tag"),
	DELIVERY("bitbucket-dc/ping"),
	DELIVERY("generic/env"),
	DELIVERY("generic/env-many-warnings"),
	PATH_DELIVERY("generic/empty-body"),
	PATH_DELIVERY("generic/github-payload"),
};

const size_t n_scenarios = ARRAY_LEN(scenarios);
