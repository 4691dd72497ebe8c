/* Gitea, Forgejo and Gogs. */
#include "hook/push.h"

#include "hook/ref.h"
#include "hook/verify.h"

/*
 * GitHub's form without created, deleted and forced: a ref that is new or gone shows in before and
 * after. The commits are the newest few, and total_commits says how many there are; Gogs has
 * neither total_commits nor head_commit. (Gitea's source, services/webhook and modules/structs;
 * Gogs docs, "Webhooks".)
 */
static const struct hook_field fields[] = {
	HOOK_REF("/ref", push.ref),
	HOOK_TEXT("/before", push.before),
	HOOK_ID("/after", push.after),
	HOOK_ID("/head_commit/id", push.head.id),
	HOOK_PERSON("/head_commit/author", push.head.author, "email"),
	HOOK_PERSON("/head_commit/committer", push.head.committer, "email"),
	HOOK_MESSAGE("/head_commit/message", push.head.message),
	{"/commits/*", hook_read_commit, 0, 0},
	HOOK_TEXT("/commits/*/id", commit.id),
	HOOK_PERSON("/commits/*/author", commit.author, "email"),
	HOOK_PERSON("/commits/*/committer", commit.committer, "email"),
	HOOK_MESSAGE("/commits/*/message", commit.message),
	HOOK_COMMIT_FILES("/commits/*/added"),
	HOOK_COMMIT_FILES("/commits/*/modified"),
	HOOK_COMMIT_FILES("/commits/*/removed"),
	{"/total_commits", hook_read_total, 0, HOOK_MAX_TEXT_BYTES},
	HOOK_URL("/repository/clone_url", clone_url),
	HOOK_URL("/repository/ssh_url", ssh_url),
	HOOK_URL("/repository/html_url", page_url),
	HOOK_NAME("/repository/default_branch", default_branch),
	HOOK_TEXT("/pusher/login", pusher),
	HOOK_TEXT("/sender/login", sender),
};

/*
 * For a new branch Gitea lists the newest commits of its history, so that the list says nothing
 * about this push.
 */
static int finish(struct hook_decode *d, struct err *err)
{
	const struct hook_push *push = &d->push;
	bool is_tag = hook_ref_is_tag(str_of(push->ref));
	bool is_new = hook_id_is_zero(str_of(push->before));
	bool lists_all = !is_new && push->has_total && push->total_commits == push->n_commits;
	bool is_test = str_eq(str_of(push->ref), STR(HOOK_TEST_REF));

	/* The button "Test Delivery" sends a push that goes from zeros to zeros; the ref that a
	 * real push deletes was somewhere before. */
	if (is_test || (is_new && hook_id_is_zero(str_of(push->after)))) {
		d->event->kind = DELIVERY_PING;
		return 0;
	}
	if (push->before && strlen(push->before) < sizeof(d->event->before))
		memcpy(d->event->before, push->before, strlen(push->before) + 1);
	return hook_push_finish(d, is_tag && push->head.id ? push->head.id : push->after, lists_all,
				err);
}

/* These hosts also send X-Hub-Signature-256, like GitHub, but the signature in their own header is
 * the proof. (Gitea's source, services/webhook.) */
#define RELATIVE(lower, Name)                                                                      \
	{                                                                                          \
		.name = lower, .type = HOOK_GITHUB,                                                \
		.media = "application/json or application/x-www-form-urlencoded",                  \
		.takes_form = true, .replays_as_new = true, .event_header = "X-" Name "-Event",    \
		.push_events = {"push"},                                                           \
		.target_headers = {"X-" Name "-Hook-Installation-Target-Type",                     \
				   "X-Gitea-Hook-Installation-Target-Type"},                       \
		.id_headers = {"X-" Name "-Delivery"},                                             \
		.signature = HOOK_BARE_RULE("X-" Name "-Signature"),                               \
		.absent = HOOK_ABSENT("X-" Name "-Signature"), .fields = fields,                   \
		.n_fields = ARRAY_LEN(fields), .finish = finish,                                   \
	}

const struct hook_host hook_gitea = RELATIVE("gitea", "Gitea");
const struct hook_host hook_forgejo = RELATIVE("forgejo", "Forgejo");
const struct hook_host hook_gogs = RELATIVE("gogs", "Gogs");
