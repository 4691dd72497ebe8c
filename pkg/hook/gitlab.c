/* GitLab. */
#include "hook/push.h"

#include "hook/ref.h"
#include "hook/verify.h"

/*
 * GitLab names no head commit: the pushed commits come as a list of at most 20, total_commits_count
 * says how many there are, and a new branch without commits of its own lists none. checkout_sha is
 * the commit to build: of an annotated tag the one behind it, and null when the ref was deleted.
 * (GitLab docs, "Webhook events", push events and tag events.)
 */
static const struct hook_field fields[] = {
	HOOK_TEXT("/object_kind", object_kind),
	HOOK_TEXT("/event_name", event_name),
	HOOK_REF("/ref", push.ref),
	HOOK_ID("/after", push.after),
	HOOK_ID("/checkout_sha", push.checkout),
	{"/commits/*", hook_read_commit, 0, 0},
	HOOK_TEXT("/commits/*/id", commit.id),
	HOOK_PERSON("/commits/*/author", commit.author, "email"),
	HOOK_MESSAGE("/commits/*/message", commit.message),
	HOOK_COMMIT_FILES("/commits/*/added"),
	HOOK_COMMIT_FILES("/commits/*/modified"),
	HOOK_COMMIT_FILES("/commits/*/removed"),
	{"/total_commits_count", hook_read_total, 0, HOOK_MAX_TEXT_BYTES},
	HOOK_URL("/project/git_http_url", clone_url),
	HOOK_URL("/project/git_ssh_url", ssh_url),
	HOOK_URL("/project/web_url", page_url),
	HOOK_NAME("/project/default_branch", default_branch),
	HOOK_TEXT("/user_username", pusher),
	HOOK_TEXT("/user_name", sender),
};

#define SYSTEM_HOOK "System Hook"

/*
 * A system hook, which an administrator makes for all projects of a GitLab, names its event in the
 * payload alone. (GitLab docs, "System hooks".)
 */
static bool is_push(const struct hook_decode *d)
{
	struct str kind = str_of(d->object_kind ? d->object_kind : d->event_name);

	return str_eq(kind, STR("push")) || str_eq(kind, STR("tag_push"));
}

static int finish(struct hook_decode *d, struct err *err)
{
	const struct hook_push *push = &d->push;
	bool lists_all = push->has_total && push->total_commits == push->n_commits;

	if (strcmp(d->event->name, SYSTEM_HOOK) == 0) {
		d->event->hook_owner = "a system hook";
		if (!is_push(d)) {
			d->event->kind = DELIVERY_OTHER;
			return 0;
		}
	}
	return hook_push_finish(d, push->checkout ? push->checkout : push->after, lists_all, err);
}

/* Beside a signature the token is not accepted: otherwise the weaker proof would be enough. */
static void take_proof(struct hook_verify *v)
{
	struct str token;

	hook_verify_take_standard(v);
	if (!v->is_any_sent &&
	    hook_verify_find_header(v, "X-Gitlab-Token", "X-Gitlab-Token" HOOK_REPEATED, &token))
		hook_verify_take_token(v, token, "X-Gitlab-Token is not the secret");
}

/* Idempotency-Key stays the same when a delivery is tried or sent again; X-Gitlab-Event-UUID and
 * X-Gitlab-Webhook-UUID do not name a delivery. (GitLab docs, "Webhooks".) */
const struct hook_host hook_gitlab = {
	.name = "gitlab",
	.type = HOOK_GITLAB,
	.media = "application/json",
	.event_header = "X-Gitlab-Event",
	.push_events = {"Push Hook", "Tag Push Hook", SYSTEM_HOOK},
	.id_headers = {"Idempotency-Key", "webhook-id"},
	.take_proof = take_proof,
	.absent = HOOK_ABSENT("X-Gitlab-Token or webhook-signature"),
	.fields = fields,
	.n_fields = ARRAY_LEN(fields),
	.finish = finish,
};
