#include "hook/push.h"

#include "hook/ref.h"

/* GitHub docs, "Webhook events and payloads", push: "the commits array includes a maximum of 2048
 * commits". */
#define LISTED_COMMITS 2048

/*
 * head_commit is null and deleted true when the ref was deleted. Author and committer of a commit
 * are objects with name, email and username. (GitHub docs, "Webhook events and payloads", push.)
 */
static const struct hook_field fields[] = {
	HOOK_REF("/ref", push.ref),
	HOOK_ID("/after", push.after),
	HOOK_FLAG("/deleted", push.is_deleted),
	HOOK_FLAG("/forced", push.is_forced),
	HOOK_ID("/head_commit/id", push.head.id),
	HOOK_PERSON("/head_commit/author", push.head.author, "email"),
	HOOK_PERSON("/head_commit/committer", push.head.committer, "email"),
	HOOK_MESSAGE("/head_commit/message", push.head.message),
	{"/commits/*", hook_read_commit, 0, 0},
	HOOK_COMMIT_FILES("/commits/*/added"),
	HOOK_COMMIT_FILES("/commits/*/modified"),
	HOOK_COMMIT_FILES("/commits/*/removed"),
	HOOK_URL("/repository/clone_url", clone_url),
	HOOK_URL("/repository/ssh_url", ssh_url),
	HOOK_URL("/repository/html_url", page_url),
	HOOK_NAME("/repository/default_branch", default_branch),
	HOOK_TEXT("/pusher/name", pusher),
	HOOK_TEXT("/sender/login", sender),
};

/*
 * After the push of an annotated tag, "after" is the tag object, and head_commit the commit behind
 * it. After a forced push the list has what was added, not what was given up, so files that only
 * the old commits touched are missing from it.
 */
static int finish(struct hook_decode *d, struct err *err)
{
	const struct hook_push *push = &d->push;
	bool is_tag = hook_ref_is_tag(str_of(push->ref));
	bool lists_all = !push->is_forced && push->n_commits < LISTED_COMMITS;

	return hook_push_finish(d, is_tag && push->head.id ? push->head.id : push->after, lists_all,
				err);
}

const struct hook_decoder hook_github = {fields, ARRAY_LEN(fields), finish};
