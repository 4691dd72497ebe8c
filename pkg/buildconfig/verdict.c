/* Decides whether one change starts a build, by the rules that verdict.h lists. */
#include "buildconfig/verdict.h"

#include "base/mem.h"
#include "buildconfig/paths.h"
#include "buildconfig/refs.h"
#include "buildconfig/repository.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

/* Most bytes of a text from outside within a message. */
#define MAX_SHOWN_BYTES 90
#define SHOWN_BYTES     (MAX_SHOWN_BYTES + 1)

struct str ref_short(struct str ref)
{
	struct str branch = str_without_prefix(ref, STR("refs/heads/"));
	return branch.n < ref.n ? branch : str_without_prefix(ref, STR("refs/tags/"));
}

/* The rules read these: the change, the BuildConfig, and texts that follow from both. */
struct question {
	const struct buildconfig *bc;
	const struct delivery_event *event;
	const struct delivery_change *change;
	const struct verdict_options *options;
	struct str ref;
	char shown_ref[SHOWN_BYTES]; /* full */
};

static void keep(char out[SHOWN_BYTES], const struct buf *shown)
{
	const struct str text = buf_str(shown);

	str_join(out, SHOWN_BYTES, &text, 1);
}

static const char *show(char out[SHOWN_BYTES], struct str text)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT(MAX_SHOWN_BYTES);
	buf_put_clean(&b, text, MAX_SHOWN_BYTES);
	keep(out, &b);
	return out;
}

static const char *show_repository(char out[SHOWN_BYTES], struct str address)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT(MAX_SHOWN_BYTES + 8);
	repository_format(&b, address, MAX_SHOWN_BYTES - 8);
	keep(out, &b);
	return out;
}

static void show_refs(char out[SHOWN_BYTES], const struct refs *refs)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT(MAX_SHOWN_BYTES);
	refs_format(&b, refs, MAX_SHOWN_BYTES);
	keep(out, &b);
}

__attribute__((format(printf, 3, 4))) static enum outcome say(struct verdict *out,
							      enum outcome reason, const char *fmt,
							      ...)
{
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(out->message, sizeof(out->message), fmt, args);
	va_end(args);
	return reason;
}

static enum outcome check_source(const struct question *q, struct verdict *out)
{
	if (q->bc->has_git || q->event->type == HOOK_GENERIC)
		return OUTCOME_START;
	(void)snprintf(out->brief, sizeof(out->brief), "this BuildConfig has no Git source");
	return say(out, OUTCOME_NO_GIT_SOURCE,
		   "pushed %s; this BuildConfig has no Git source (spec.source.git), so only its "
		   "generic webhook starts builds. Set spec.source.git.uri to build pushes",
		   q->shown_ref);
}

static const char *source_holds(const struct question *q)
{
	return q->bc->has_git ? "the BuildConfig has a Git source"
			      : "a generic webhook needs no Git source";
}

static bool names_repository(const struct delivery_event *event, struct str uri)
{
	if (repository_is_among(uri, event->repositories, ARRAY_LEN(event->repositories)))
		return true;
	return event->repository_path && repository_has_path(uri, str_of(event->repository_path));
}

static enum outcome check_repository(const struct question *q, struct verdict *out)
{
	struct str uri = str_of(q->bc->git_uri);
	const char *owner = q->event->hook_owner;
	bool is_asked_for = strcmp(q->bc->repository, "match") == 0;
	bool must_match = is_asked_for || owner;
	const char *named =
		q->event->repositories[0] ? q->event->repositories[0] : q->event->repository_path;
	char ours[SHOWN_BYTES], theirs[SHOWN_BYTES] = "";
	if (!named && (q->event->type == HOOK_GENERIC || !must_match))
		return OUTCOME_START;
	if (names_repository(q->event, uri) || (str_empty(uri) && !must_match))
		return OUTCOME_START;
	show_repository(ours, uri);
	show_repository(theirs, str_of(named));
	if (!must_match) {
		STR_JOIN(out->hint, STR("a push came from "), str_of(theirs),
			 STR(", but spec.source.git.uri is "), str_of(ours));
		return OUTCOME_START;
	}
	(void)snprintf(out->brief, sizeof(out->brief), "this BuildConfig builds %s", ours);
	if (!is_asked_for)
		return say(out, OUTCOME_REPOSITORY_MISMATCH,
			   "pushed to %s; this BuildConfig builds %s, and %s sends pushes of "
			   "several repositories. If it is the same one, set spec.source.git.uri",
			   named ? theirs : "a repository that the payload does not name", ours,
			   owner);
	return say(out, OUTCOME_REPOSITORY_MISMATCH,
		   "pushed to %s; this BuildConfig builds %s, and annotation "
		   "buildhook.io/repository asks for a match. Set spec.source.git.uri, or remove "
		   "the annotation",
		   named ? theirs : "a repository that the payload does not name", ours);
}

static const char *repository_holds(const struct question *q)
{
	if (names_repository(q->event, str_of(q->bc->git_uri)))
		return "the repository is spec.source.git.uri";
	return q->event->repositories[0] || q->event->repository_path
		       ? "spec.source.git.uri is empty, so any repository builds"
		       : "no repository is named, and none has to be";
}

static enum outcome check_deleted(const struct question *q, struct verdict *out)
{
	if (!q->change->is_delete)
		return OUTCOME_START;
	(void)snprintf(out->brief, sizeof(out->brief), "a deleted ref is never built");
	return say(
		out, OUTCOME_REF_DELETED,
		"%s was deleted; this BuildConfig builds refs that exist. There is nothing to do",
		q->shown_ref);
}

static const char *deleted_holds(const struct question *q)
{
	(void)q;
	return "the ref was not deleted";
}

static enum outcome check_ref(const struct question *q, struct verdict *out)
{
	struct refs refs = refs_wanted(q->bc, str_of(q->event->default_branch), q->options);
	if (str_empty(q->ref) && q->event->type == HOOK_GENERIC)
		return say(out, OUTCOME_START, "builds the BuildConfig's own ref");
	if (refs_match(&refs, q->ref))
		return say(out, OUTCOME_START, "pushed %s, which this BuildConfig builds (%s)",
			   q->shown_ref, refs.source);
	char wanted[SHOWN_BYTES];
	show_refs(wanted, &refs);
	STR_JOIN(out->brief, STR("this BuildConfig builds "), str_of(wanted));
	if (ref_is_tag(q->ref) && !refs_name_tags(&refs))
		return say(out, OUTCOME_TAG_IGNORED,
			   "pushed %s; this BuildConfig builds %s (%s), and no tags. To build "
			   "tags, set annotation buildhook.io/refs, as in refs/tags/v*",
			   q->shown_ref, wanted, refs.source);
	STR_JOIN(out->message, STR("pushed "), str_of(q->shown_ref),
		 STR("; this BuildConfig builds "), str_of(wanted), STR(" ("), str_of(refs.source),
		 STR("). To build this push, set "),
		 refs.list.n > 0 ? STR("that annotation")
				 : STR("spec.source.git.ref or annotation buildhook.io/refs"));
	return OUTCOME_REF_MISMATCH;
}

static enum outcome check_paths(const struct question *q, struct verdict *out)
{
	struct str list = str_trim(str_of(q->bc->paths));
	struct str files = str_range(q->event->files, q->event->files_bytes);
	char shown[SHOWN_BYTES];
	if (str_empty(list) || str_empty(files) || !q->event->have_all_files)
		return OUTCOME_START;
	if (paths_compare(list, str_of(q->bc->context_dir), files) != PATHS_UNCHANGED)
		return OUTCOME_START;
	(void)snprintf(out->brief, sizeof(out->brief), "no file of %s", show(shown, list));
	return say(out, OUTCOME_PATHS_UNCHANGED,
		   "pushed %s without a change to what this BuildConfig builds on: %s (annotation "
		   "buildhook.io/paths). Change that to build on other files",
		   q->shown_ref, shown);
}

static const char *paths_holds(const struct question *q)
{
	if (str_empty(str_trim(str_of(q->bc->paths))))
		return "every file counts (no annotation buildhook.io/paths)";
	return q->event->files_bytes > 0 && q->event->have_all_files
		       ? "a file changed that counts (annotation buildhook.io/paths)"
		       : "it is not known which files changed, so it builds (annotation "
			 "buildhook.io/paths)";
}

static bool asks_to_skip(struct str message)
{
	static const struct str marks[] = {STR("[skip ci]"), STR("[ci skip]"), STR("[no ci]")};
	for (size_t at = str_find_char(message, '['); at < message.n; at++)
		for (size_t i = 0; i < ARRAY_LEN(marks); i++)
			if (message.n - at >= marks[i].n &&
			    str_eq_nocase(str_range(message.p + at, marks[i].n), marks[i]))
				return true;
	return false;
}

static enum outcome check_skip_ci(const struct question *q, struct verdict *out)
{
	if (!q->bc->skip_ci || !asks_to_skip(str_of(q->change->message)))
		return OUTCOME_START;
	(void)snprintf(out->brief, sizeof(out->brief), "the commit's message says so");
	return say(
		out, OUTCOME_SKIP_CI,
		"pushed %s, and the head commit's message asks to skip it; this BuildConfig heeds "
		"that (annotation buildhook.io/skip-ci). Push without that mark, or remove the "
		"annotation",
		q->shown_ref);
}

static const char *skip_ci_holds(const struct question *q)
{
	return q->bc->skip_ci
		       ? "the message does not ask to skip it (annotation buildhook.io/skip-ci)"
		       : "the message does not count (no annotation buildhook.io/skip-ci)";
}

static enum outcome check_paused(const struct question *q, struct verdict *out)
{
	if (!q->bc->is_paused)
		return OUTCOME_START;
	(void)snprintf(out->brief, sizeof(out->brief), "this BuildConfig is paused");
	return say(
		out, OUTCOME_PAUSED,
		"%s%s%sthis BuildConfig is paused (annotation openshift.io/build-config.paused). "
		"Remove the annotation, and deliver again",
		*q->shown_ref ? "pushed " : "", q->shown_ref, *q->shown_ref ? "; " : "");
}

static const char *paused_holds(const struct question *q)
{
	(void)q;
	return "the BuildConfig is not paused";
}

static const struct rule {
	const char *name;
	enum outcome (*check)(const struct question *q, struct verdict *out);
	bool is_of_git; /* the rule does not apply without a Git source */
	/* Why CHECK lets a change through without a message, for who asks; NULL: it has one. */
	const char *(*holds)(const struct question *q);
} rules[] = {
	{"source", check_source, false, source_holds},
	{"repository", check_repository, true, repository_holds},
	{"deleted", check_deleted, true, deleted_holds},
	{"ref", check_ref, true, NULL},
	{"paths", check_paths, true, paths_holds},
	{"skip-ci", check_skip_ci, true, skip_ci_holds},
	{"paused", check_paused, false, paused_holds},
};

static struct question ask(const struct buildconfig *bc, const struct delivery_event *event,
			   const struct delivery_change *change,
			   const struct verdict_options *options)
{
	struct question q = {.bc = bc,
			     .event = event,
			     .change = change,
			     .options = options,
			     .ref = str_of(change->ref)};
	show(q.shown_ref, q.ref);
	return q;
}

void verdict_decide(struct verdict *out, const struct buildconfig *bc,
		    const struct delivery_event *event, const struct delivery_change *change,
		    const struct verdict_options *options)
{
	struct question q = ask(bc, event, change, options);
	*out = (struct verdict){0};
	for (size_t i = 0; i < ARRAY_LEN(rules) && out->reason == OUTCOME_START; i++)
		if (bc->has_git || !rules[i].is_of_git)
			out->reason = rules[i].check(&q, out);
}

void verdict_explain(const struct buildconfig *bc, const struct delivery_event *event,
		     const struct delivery_change *change, const struct verdict_options *options,
		     verdict_rule_fn fn, void *arg)
{
	struct question q = ask(bc, event, change, options);
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		struct verdict one = {0};
		if (!bc->has_git && rules[i].is_of_git)
			continue;
		enum outcome reason = rules[i].check(&q, &one);
		const char *message = one.message;
		if (!*message)
			message = *one.hint ? one.hint : rules[i].holds(&q);
		fn(arg, rules[i].name, reason, message);
	}
}
