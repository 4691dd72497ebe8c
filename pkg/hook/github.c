/* GitHub, also Enterprise Server. */
#include "hook/push.h"

#include "hook/ref.h"
#include "hook/verify.h"

/* GitHub docs, "Webhook events and payloads", push: "the commits array includes a maximum of 2048
 * commits". */
#define LISTED_COMMITS 2048
/* From the same page, commits[].added, .removed and .modified: "a maximum of 3000 changed files
 * will be reported per commit". */
#define LISTED_FILES 3000

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
 * it. After a forced push the list has the commits that were added, not those that were dropped, so
 * files that only the dropped ones touched are missing.
 */
static int finish(struct hook_decode *d, struct err *err)
{
	const struct hook_push *push = &d->push;
	bool is_tag = hook_ref_is_tag(str_of(push->ref));
	bool lists_all = !push->is_forced && push->n_commits < LISTED_COMMITS &&
			 push->max_commit_files < LISTED_FILES;

	return hook_push_finish(d, is_tag && push->head.id ? push->head.id : push->after, lists_all,
				err);
}

/* A SHA-1 signature proves too little, and is not checked: alone it is no proof, and beside the
 * secret in the URL it is passed over. */
static void take_proof(struct hook_verify *v)
{
	struct str sha1 = hook_header(v->request, "X-Hub-Signature", NULL);

	hook_verify_take_hex(v, &hook_github.signature);
	if (v->is_any_sent || v->request->is_path_proven || str_empty(sha1) ||
	    str_eq(sha1, STR("sha1=")))
		return;
	hook_verify_refuse_shape(
		v, "only X-Hub-Signature with SHA-1 is sent: X-Hub-Signature-256 is needed");
}

const struct hook_host hook_github = {
	.name = "github",
	.type = HOOK_GITHUB,
	.media = "application/json or application/x-www-form-urlencoded",
	.takes_form = true,
	.event_header = "X-GitHub-Event",
	.push_events = {"push"},
	.ping_event = "ping",
	.target_headers = {"X-GitHub-Hook-Installation-Target-Type"},
	.id_headers = {"X-GitHub-Delivery"},
	.signature = HOOK_HUB_RULE("X-Hub-Signature-256"),
	.take_proof = take_proof,
	.absent = HOOK_ABSENT("X-Hub-Signature-256"),
	.fields = fields,
	.n_fields = ARRAY_LEN(fields),
	.finish = finish,
};
