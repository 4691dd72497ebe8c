#include "hook/push.h"

#include "hook/ref.h"

/*
 * GitLab names no head commit: the pushed commits come as a list of at most 20, total_commits_count
 * says how many there are, and a new branch without commits of its own lists none. checkout_sha is
 * the commit to build: of an annotated tag the one behind it, and null when the ref was deleted.
 * (GitLab docs, "Webhook events", push events and tag events.)
 */
static const struct hook_field fields[] = {
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

static int finish(struct hook_decode *d, struct err *err)
{
	const struct hook_push *push = &d->push;
	bool lists_all = push->has_total && push->total_commits == push->n_commits;

	return hook_push_finish(d, push->checkout ? push->checkout : push->after, lists_all, err);
}

const struct hook_decoder hook_gitlab = {fields, ARRAY_LEN(fields), finish};
