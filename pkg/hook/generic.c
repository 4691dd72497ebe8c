/*
 * GenericWebHookEvent of build.openshift.io/v1. git.refs is sent by hooks in a repository that name
 * several refs at once, and replaces the other fields of git. Keys are case-sensitive here, which
 * they are not in Go.
 *
 * A field that is malformed is left out with a warning, so that it never changes which ref builds.
 * Only where no ref can be read at all, the payload is ignored, and the BuildConfig's own is built.
 */
#include "hook/decode.h"

#include "hook/ref.h"
#include "hook/verify.h"

#include <assert.h>

/* Reads the document or its git part, without which no ref can be read; fills a bool. */
static void read_object(struct hook_decode *d, const struct hook_field *field,
			const struct reader_value *value)
{
	bool *is_there = (bool *)((char *)d + field->at);

	if (value->type == READER_OBJECT)
		*is_there = true;
	else if (value->type != READER_NULL && value->type != READER_END)
		hook_decode_refuse(d, field, value, "an object");
}

/* Reads any other object. */
static void read_options(struct hook_decode *d, const struct hook_field *field,
			 const struct reader_value *value)
{
	if (value->type == READER_OBJECT)
		d->generic.has_options = true;
	else if (value->type != READER_NULL && value->type != READER_END)
		hook_decode_leave_out(d, field, value, "an object");
}

static void read_array(struct hook_decode *d, const struct hook_field *field,
		       const struct reader_value *value)
{
	bool *is_there = (bool *)((char *)d + field->at);

	if (value->type == READER_ARRAY)
		*is_there = true;
	else if (value->type != READER_NULL && value->type != READER_END)
		hook_decode_leave_out(d, field, value, "a list");
}

/* A text that is no valid ref matches no rule, so it is the same as no ref. */
static void read_ref(struct hook_decode *d, const struct hook_field *field,
		     const struct reader_value *value)
{
	if (value->type == READER_NULL || (value->type == READER_STRING && !value->text.n))
		return;
	if (value->type == READER_STRING && (value->is_cut || !hook_ref_can_be_full(value->text)))
		hook_decode_leave_out(d, field, value, "a branch or a full ref");
	else
		hook_read_ref(d, field, value);
}

/* OpenShift passes on any text, also an abbreviated id. An empty text is the same as none. */
static void read_commit(struct hook_decode *d, const struct hook_field *field,
			const struct reader_value *value)
{
	if (value->type == READER_STRING && hook_id_is_valid(value->text))
		hook_read_id(d, field, value);
	else if (value->type == READER_STRING && !value->is_cut)
		hook_read_text(d, field, value);
	else if (value->type != READER_NULL)
		hook_decode_leave_out(d, field, value, "a commit");
}

static void add_change(struct hook_decode *d, char **ref, struct hook_commit *commit)
{
	bool is_delete = hook_id_is_zero(str_of(commit->id));
	struct delivery_change *change = *ref ? hook_decode_add_change(d, ref, is_delete) : NULL;

	if (!change || is_delete)
		return;
	change->commit = TAKE(commit->id);
	hook_change_describe(change, commit);
}

static void read_ref_entry(struct hook_decode *d, const struct hook_field *field,
			   const struct reader_value *value)
{
	if (value->type == READER_END)
		add_change(d, &d->draft.ref, &d->draft.commit);
	else if (value->type != READER_OBJECT)
		hook_decode_leave_out(d, field, value, "an object");
	hook_draft_release(&d->draft);
}

/* Fills a list. Without allowEnv no entry is accepted, and finish() adds one warning for all. */
static void read_env(struct hook_decode *d, const struct hook_field *field,
		     const struct reader_value *value)
{
	struct hook_env_list *list = (struct hook_env_list *)((char *)d + field->at);
	struct hook_env *env = &d->generic.env;
	const char *why = NULL;

	if (value->type != READER_END && value->type != READER_OBJECT)
		hook_decode_leave_out(d, field, value, "an object");
	list->n_sent += value->type == READER_END;
	if (value->type == READER_END && d->allow_env && !env->is_malformed)
		why = hook_env_put(list, env);
	if (why)
		hook_warning_add(&d->warning, str_of(env->name), why);
	hook_env_release(env);
}

static void read_env_text(struct hook_decode *d, const struct hook_field *field,
			  const struct reader_value *value)
{
	char **slot = (char **)((char *)d + field->at);

	if (value->type != READER_NULL && value->type != READER_STRING) {
		hook_decode_leave_out(d, field, value, "a string");
		d->generic.env.is_malformed = true;
	} else if (value->type == READER_STRING) {
		mem_free(slot);
		*slot = str_dup(value->text);
		d->generic.env.is_cut |= value->is_cut;
	}
}

static void read_value_from(struct hook_decode *d, const struct hook_field *field,
			    const struct reader_value *value)
{
	(void)field;
	d->generic.env.has_value_from |= value->type != READER_NULL;
}

static void read_no_cache(struct hook_decode *d, const struct hook_field *field,
			  const struct reader_value *value)
{
	bool is_flag = value->type == READER_TRUE || value->type == READER_FALSE;

	if (!is_flag && value->type != READER_NULL)
		hook_decode_leave_out(d, field, value, "true or false");
	d->generic.has_no_cache = is_flag;
	d->generic.no_cache = value->type == READER_TRUE;
}

#define REVISION(path, member)                                                                     \
	HOOK_REPOSITORY(path "/uri"),                                                              \
		{path "/commit", read_commit, HOOK_AT(member.id), HOOK_MAX_TEXT_BYTES},            \
		HOOK_PERSON(path "/author", member.author, "email"),                               \
		HOOK_PERSON(path "/committer", member.committer, "email"),                         \
		HOOK_MESSAGE(path "/message", member.message)
#define ENV(path, is_there, list)                                                                  \
	{path, read_array, HOOK_AT(generic.is_there), HOOK_MAX_TEXT_BYTES},                        \
		{path "/*", read_env, HOOK_AT(generic.list), HOOK_MAX_TEXT_BYTES},                 \
		{path "/*/name", read_env_text, HOOK_AT(generic.env.name),                         \
		 HOOK_MAX_ENV_NAME_BYTES},                                                         \
		{path "/*/value", read_env_text, HOOK_AT(generic.env.value), HOOK_MAX_ENV_BYTES},  \
	{                                                                                          \
		path "/*/valueFrom", read_value_from, 0, 0                                         \
	}

static const struct hook_field fields[] = {
	{"", read_object, HOOK_AT(generic.has_document), HOOK_MAX_TEXT_BYTES},
	{"/git", read_object, HOOK_AT(generic.has_git), HOOK_MAX_TEXT_BYTES},
	{"/git/ref", read_ref, HOOK_AT(push.ref), DELIVERY_MAX_REF_BYTES},
	REVISION("/git", push.head),
	{"/git/refs", read_array, HOOK_AT(has_list), HOOK_MAX_TEXT_BYTES},
	{"/git/refs/*", read_ref_entry, 0, HOOK_MAX_TEXT_BYTES},
	{"/git/refs/*/ref", read_ref, HOOK_AT(draft.ref), DELIVERY_MAX_REF_BYTES},
	REVISION("/git/refs/*", draft.commit),
	ENV("/env", has_env, env_list),
	{"/dockerStrategyOptions", read_options, 0, HOOK_MAX_TEXT_BYTES},
	ENV("/dockerStrategyOptions/buildArgs", has_build_args, build_args),
	{"/dockerStrategyOptions/noCache", read_no_cache, 0, HOOK_MAX_TEXT_BYTES},
};

static char *format(const cJSON *doc)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(8 * HOOK_MAX_ENV_BYTES);

	json_format(&text, doc);
	assert(!text.overflow);
	return buf_take(&text);
}

/* DockerStrategyOptions of build.openshift.io/v1. */
static char *format_options(struct hook_generic *g)
{
	CLEANUP(json_freep) cJSON *options = json_new_object();

	if (g->build_args.items)
		json_put(options, "buildArgs", TAKE(g->build_args.items));
	if (g->has_no_cache)
		json_put_bool(options, "noCache", g->no_cache);
	return options->child ? format(options) : NULL;
}

static void give_env(struct hook_decode *d)
{
	struct hook_generic *g = &d->generic;

	if (!d->allow_env && (g->env_list.n_sent || g->has_options))
		hook_warning_add(&d->warning, STR("env and dockerStrategyOptions"),
				 "are for triggers with allowEnv: true");
	if (!d->allow_env)
		return;
	d->event->env_json = g->env_list.items ? format(g->env_list.items) : NULL;
	d->event->options_json = format_options(g);
}

/*
 * As OpenShift does: without git the BuildConfig's own ref is built; with git the ref must match,
 * so a git without a ref builds nothing; of git.refs the first match is built.
 */
static int finish(struct hook_decode *d, struct err *err)
{
	(void)err;
	give_env(d);
	if (!d->generic.has_git) {
		char *own = NULL;

		hook_warning_add(&d->warning, STR("git"),
				 "is not in the payload: built without a revision");
		(void)hook_decode_add_change(d, &own, false);
		return 0;
	}
	d->event->is_first_match_only = d->has_list;
	if (!d->has_list)
		add_change(d, &d->push.ref, &d->push.head);
	if (!d->event->n_changes)
		hook_warning_add(&d->warning, STR("git"), "names no ref: nothing to build");
	return 0;
}

static struct str bearer_of(struct str authorization)
{
	size_t end = str_find_char(authorization, ' ');

	if (!str_eq_nocase(str_range(authorization.p, end), STR("Bearer")))
		return STR("");
	return str_trim(str_range(authorization.p + end, authorization.n - end));
}

/*
 * Any of three proofs, and each that is sent must be right. A bearer token beside the secret in the
 * URL is checked, too; other schemes of Authorization are meant for a proxy on the way.
 */
static void take_proof(struct hook_verify *v)
{
	size_t n = 0;
	struct str bearer = bearer_of(hook_header(v->request, "Authorization", &n));

	if (n > 1)
		hook_verify_refuse_shape(v, "Authorization" HOOK_REPEATED);
	v->is_any_sent = n > 1 || !str_empty(bearer);
	if (!str_empty(bearer))
		hook_verify_take_token(v, bearer, "the bearer token is not the secret");
	hook_verify_take_hex(v, &hook_generic.signature);
	hook_verify_take_standard(v);
}

const struct hook_host hook_generic = {
	.name = "generic",
	.type = HOOK_GENERIC,
	.media = "application/json or application/yaml",
	.takes_yaml = true,
	.id_headers = {"Idempotency-Key", "webhook-id"},
	.signature = HOOK_HUB_RULE("X-Hub-Signature-256"),
	.take_proof = take_proof,
	.absent = "no bearer token, X-Hub-Signature-256 or webhook-signature header",
	.fields = fields,
	.n_fields = ARRAY_LEN(fields),
	.finish = finish,
};
