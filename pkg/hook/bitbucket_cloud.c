/* Bitbucket Cloud. */
#include "hook/decode.h"

#include "hook/ref.h"
#include "hook/verify.h"

/* Fills a bool: true if the change has this side (new or old). */
static void read_side(struct hook_decode *d, const struct hook_field *field,
		      const struct reader_value *value)
{
	bool *is_there = (bool *)((char *)d + field->at);

	if (value->type == READER_OBJECT)
		*is_there = true;
	else if (value->type != READER_NULL && value->type != READER_END)
		hook_decode_refuse(d, field, value, "a branch, a tag or null");
}

/* "Name <mail>". (Atlassian docs, "Event payloads", commits.) */
static void read_person(struct delivery_person *out, struct str raw)
{
	size_t open = str_find_char(raw, '<');
	struct str mail = str_range(raw.p + open, raw.n - open);
	struct str name = str_trim(str_range(raw.p, open));

	mail = str_without_prefix(mail, STR("<"));
	mail = str_range(mail.p, str_find_char(mail, '>'));
	out->name = str_empty(name) ? NULL : str_dup(name);
	out->email = str_empty(mail) ? NULL : str_dup(mail);
}

static bool is_known(const char *type)
{
	return str_eq(str_of(type), STR("branch")) || str_eq(str_of(type), STR("tag"));
}

/* Bitbucket Cloud names refs without "refs/heads/" or "refs/tags/". */
static char *full_ref(const char *type, const char *name)
{
	CLEANUP(buf_release) struct buf ref = BUF_INIT(DELIVERY_MAX_REF_BYTES);
	bool is_tag = str_eq(str_of(type), STR("tag"));

	if (!is_known(type))
		return NULL;
	buf_put_str(&ref, is_tag ? STR("refs/tags/") : STR("refs/heads/"));
	buf_put_str(&ref, str_of(name));
	return !ref.overflow && hook_ref_is_valid(buf_str(&ref)) ? buf_take(&ref) : NULL;
}

/*
 * new.target is the commit that the ref points at; the list of commits of a new branch holds older
 * ones. A deleted ref has old alone. A renamed branch has both, and only the new name exists.
 * (Atlassian docs, "Event payloads", push.)
 */
static void add_change(struct hook_decode *d, const struct hook_field *field)
{
	struct hook_draft *draft = &d->draft;
	bool is_delete = !draft->has_new;
	const char *type = is_delete ? draft->old_type : draft->type;
	CLEANUP(mem_free)
	char *ref = is_delete ? full_ref(draft->old_type, draft->old_ref)
			      : full_ref(draft->type, draft->ref);
	struct delivery_change *change = NULL;

	if (is_delete && !draft->has_old)
		return hook_decode_lack(d, field, "found neither new nor old, expected one");
	/* A ref of a kind that is not known never builds, and must not keep the others from it. */
	if (type && !is_known(type))
		return;
	if (!ref)
		return hook_decode_lack(d, field, "found no branch or tag, expected type and name");
	if (!is_delete && (!draft->commit.id || hook_id_is_zero(str_of(draft->commit.id))))
		return hook_decode_lack(d, field,
					"found no commit, expected one in new/target/hash");
	change = hook_decode_add_change(d, &ref, is_delete);
	if (!change || is_delete)
		return;
	change->commit = TAKE(draft->commit.id);
	if (draft->raw_author)
		read_person(&draft->commit.author, str_of(draft->raw_author));
	hook_change_describe(change, &draft->commit);
}

static const struct hook_field fields[] = {
	HOOK_CHANGES("/push/changes"),
	{"/push/changes/*/new", read_side, HOOK_AT(draft.has_new), HOOK_MAX_TEXT_BYTES},
	HOOK_NAME("/push/changes/*/new/type", draft.type),
	HOOK_NAME("/push/changes/*/new/name", draft.ref),
	HOOK_ID("/push/changes/*/new/target/hash", draft.commit.id),
	HOOK_MESSAGE("/push/changes/*/new/target/message", draft.commit.message),
	HOOK_TEXT("/push/changes/*/new/target/author/raw", draft.raw_author),
	{"/push/changes/*/old", read_side, HOOK_AT(draft.has_old), HOOK_MAX_TEXT_BYTES},
	HOOK_NAME("/push/changes/*/old/type", draft.old_type),
	HOOK_NAME("/push/changes/*/old/name", draft.old_ref),
	HOOK_REPOSITORY("/repository/links/html/href"),
	HOOK_TEXT("/actor/nickname", pusher),
	HOOK_TEXT("/actor/display_name", sender),
};

static int finish(struct hook_decode *d, struct err *err)
{
	return hook_require_list(d, "/push/changes", err);
}

static bool sends(const struct hook_request *request)
{
	return hook_is_sent(request, "X-Hook-UUID") || hook_is_sent(request, "X-Request-UUID");
}

/*
 * Both kinds of Bitbucket send HMAC-SHA256 in the header in which GitHub sends SHA-1. (Atlassian
 * docs, "Secure webhooks".) Only Cloud sends the headers X-Hook-UUID and X-Request-UUID. (Atlassian
 * docs, "Event payloads" of either.)
 */
const struct hook_host hook_bitbucket_cloud = {
	.name = "bitbucket",
	.type = HOOK_BITBUCKET,
	.media = "application/json",
	.event_header = "X-Event-Key",
	.push_events = {"repo:push"},
	.id_headers = {"X-Request-UUID"},
	.sends = sends,
	.signature = HOOK_HUB_RULE("X-Hub-Signature"),
	.absent = HOOK_ABSENT("X-Hub-Signature"),
	.fields = fields,
	.n_fields = ARRAY_LEN(fields),
	.add_change = add_change,
	.finish = finish,
};
