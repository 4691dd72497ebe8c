/* Bitbucket Data Center (formerly Server). */
#include "hook/push.h"

#include "hook/ref.h"
#include "hook/verify.h"

/*
 * Each change names its ref in full, and toHash is zeros after a DELETE. Only newer
 * versions name the commits' authors, beside the changes: toCommit is the newest commit, commits a
 * list of a few. (Atlassian docs, "Event payload" of Bitbucket Data Center, push.)
 */
static void add_change(struct hook_decode *d, const struct hook_field *field)
{
	struct hook_draft *draft = &d->draft;
	bool is_delete = str_eq(str_of(draft->type), STR("DELETE")) ||
			 hook_id_is_zero(str_of(draft->commit.id));
	struct delivery_change *change = NULL;

	if (!draft->ref && !draft->ref_id)
		return hook_decode_lack(d, field, "found no full ref, expected one in ref/id");
	if (!is_delete && !draft->commit.id)
		return hook_decode_lack(d, field, "found no commit, expected one in toHash");
	change = hook_decode_add_change(d, draft->ref ? &draft->ref : &draft->ref_id, is_delete);
	if (change)
		change->commit = is_delete ? NULL : TAKE(draft->commit.id);
}

static const struct hook_field fields[] = {
	HOOK_CHANGES("/changes"),
	HOOK_REF("/changes/*/ref/id", draft.ref),
	HOOK_REF("/changes/*/refId", draft.ref_id),
	HOOK_ID("/changes/*/toHash", draft.commit.id),
	HOOK_NAME("/changes/*/type", draft.type),
	HOOK_ID("/toCommit/id", push.head.id),
	HOOK_PERSON("/toCommit/author", push.head.author, "emailAddress"),
	HOOK_PERSON("/toCommit/committer", push.head.committer, "emailAddress"),
	HOOK_MESSAGE("/toCommit/message", push.head.message),
	{"/commits/*", hook_read_commit, 0, 0},
	HOOK_TEXT("/commits/*/id", commit.id),
	HOOK_PERSON("/commits/*/author", commit.author, "emailAddress"),
	HOOK_PERSON("/commits/*/committer", commit.committer, "emailAddress"),
	HOOK_MESSAGE("/commits/*/message", commit.message),
	{"/repository/links/clone/*/href", hook_read_repository, 0, HOOK_MAX_URL_BYTES},
	HOOK_TEXT("/repository/project/key", project_key),
	HOOK_TEXT("/repository/slug", slug),
	HOOK_TEXT("/actor/name", pusher),
	HOOK_TEXT("/actor/displayName", sender),
};

/* toHash of an annotated tag is the tag object, toCommit the commit behind it. */
static void peel_tag(const struct hook_decode *d)
{
	struct delivery_change *change = d->event->changes;

	if (d->event->n_changes != 1 || change->is_delete || !d->push.head.id ||
	    !hook_ref_is_tag(str_of(change->ref)) || hook_id_is_zero(str_of(d->push.head.id)))
		return;
	mem_free(&change->commit);
	change->commit = mem_strdup(d->push.head.id);
}

/* The documented payload has no clone links; newer versions send them. The addresses of a
 * repository end in its project's key and its slug. */
static void name_repository(const struct hook_decode *d)
{
	CLEANUP(buf_release) struct buf path = BUF_INIT(2 * HOOK_MAX_TEXT_BYTES + 2);

	if (d->event->repositories[0] || !d->project_key || !d->slug)
		return;
	buf_printf(&path, "%s/%s", d->project_key, d->slug);
	d->event->repository_path = buf_take(&path);
}

static int finish(struct hook_decode *d, struct err *err)
{
	peel_tag(d);
	name_repository(d);
	for (size_t i = 0; i < d->event->n_changes; i++)
		if (!d->event->changes[i].is_delete)
			hook_describe_from_list(&d->event->changes[i], d);
	return hook_require_list(d, "/changes", err);
}

/* True for every event that is not Bitbucket Cloud's. */
static bool sends(const struct hook_request *request)
{
	return !hook_bitbucket_cloud.sends(request);
}

const struct hook_host hook_bitbucket_dc = {
	.name = "bitbucket-dc",
	.type = HOOK_BITBUCKET,
	.media = "application/json",
	.event_header = "X-Event-Key",
	.push_events = {"repo:refs_changed"},
	.ping_event = "diagnostics:ping",
	.has_unsigned_ping = true,
	.id_headers = {"X-Request-Id"},
	.sends = sends,
	.signature = HOOK_HUB_RULE("X-Hub-Signature"),
	.absent = HOOK_ABSENT("X-Hub-Signature"),
	.fields = fields,
	.n_fields = ARRAY_LEN(fields),
	.add_change = add_change,
	.finish = finish,
};
