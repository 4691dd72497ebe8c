/*
 * The rules of annotation buildhook.io/hint. Each is for what is probably a mistake: a push to a
 * feature branch of a BuildConfig that builds others is none.
 *
 * Several replicas write the key. A rule whose facts one replica alone knows is left on the object
 * by the others, until a delivery of theirs is newer or the rule says that it is over.
 */
#include "buildconfig/hint.h"

#include "base/clock.h"
#include "base/mem.h"
#include "buildconfig/refs.h"
#include "buildconfig/status_text.h"

#include <inttypes.h>
#include <stdio.h>

/* During a migration both OpenShift's URL and buildhook's may be called for a while. */
#define ORIGIN_GRACE_MS INT64_C(600000)
/* Fewer ignored pushes in a row than this may be chance. */
#define MANY 3
/* "2026-11-24T10:00:00Z" */
#define TIME_BYTES      20
#define MAX_SHOWN_BUILD 60

#define IGNORED      "ignored: this BuildConfig builds "
#define TAG_BRANCH   " names a branch; for tags write refs/tags/"
#define OLD_SECRET   "was still signed with the old secret, which is accepted until "
#define REMADE       " was deleted and made again with a new value"
#define NO_ROTATION  "buildhook.io/rotate changed nothing for "
#define REDELIVER    "buildhook.io/redeliver: "
#define IMAGE_CHANGE "trigger ImageChange"
#define NO_RUNNER    "nothing runs Builds here: "
#define INLINE       " secret is inline"

/* The first thing that is wrong with the object itself, although its hooks may work. */
static bool put_fix(struct buf *out, const struct hint_view *view)
{
	if (*view->bc->problem) {
		buf_printf(out, STATUS_FIX "%s", view->bc->problem);
		return true;
	}
	for (size_t i = 0; i < HOOK_TYPES; i++)
		if (status_put_hook_fix(out, &view->bc->hooks[i], &view->input->hooks[i],
					view->input->provision))
			return true;
	return false;
}

static bool put_bounds(struct buf *out, const struct hint_view *view)
{
	const char *text = view->input->over_bounds;
	if (!text || !*text)
		return false;
	buf_printf(out, "new deliveries are refused for now: %s", text);
	return true;
}

static bool put_redelivery(struct buf *out, const struct hint_view *view)
{
	struct str request = str_of(view->bc->redeliver);
	if (!view->input->is_redelivery_unknown || str_empty(request))
		return false;
	buf_put_str(out, STR(REDELIVER "no delivery "));
	status_put_name(out, str_range(request.p, str_find_char(request, ' ')));
	buf_put_str(out, STR(" is stored that was to be built. Redeliver it at the Git host"));
	return true;
}

static bool is_redelivery_over(const struct hint_view *view, struct str held)
{
	struct str request = str_of(view->bc->redeliver);
	return str_empty(request) || str_eq(request, str_of(view->bc->redelivered)) ||
	       !str_contains(held, str_range(request.p, str_find_char(request, ' ')));
}

/* "github=..." is for one TYPE. */
static bool is_rotation_for(const struct buildconfig *bc, size_t type)
{
	struct str request = str_of(bc->rotate);
	struct str name = str_range(request.p, str_find_char(request, '='));
	for (size_t i = 0; i < HOOK_TYPES && name.n < request.n; i++)
		if (str_eq(name, str_of(hook_type_name((enum hook_type)i))))
			return i == type;
	return request.n > 0;
}

static bool put_no_rotation(struct buf *out, const struct hint_view *view)
{
	for (size_t type = 0; type < HOOK_TYPES; type++) {
		const struct buildconfig_hook *hook = &view->bc->hooks[type];
		const struct status_hook *seen = &view->input->hooks[type];
		const struct buildconfig_secret *first = hook->secrets;
		bool can_rotate = hook->n_secrets == 0;
		for (size_t i = 0; i < hook->n_secrets; i++)
			can_rotate = can_rotate || seen->secrets[i].is_ours ||
				     (hook->secrets[i].kind != BUILDCONFIG_SECRET_INLINE &&
				      seen->secrets[i].state != STATUS_SECRET_USABLE);
		if (can_rotate || !is_rotation_for(view->bc, type))
			continue;
		buf_printf(out, NO_ROTATION "%s: ", hook_type_name((enum hook_type)type));
		if (first->kind == BUILDCONFIG_SECRET_INLINE) {
			buf_printf(out, "its secret is inline, change spec.triggers[%u]",
				   first->trigger);
			return true;
		}
		buf_put_str(out, STR("buildhook did not make Secret "));
		status_put_name(out, str_of(first->text));
		buf_put_str(out, STR(", change its key WebHookSecretKey"));
		return true;
	}
	return false;
}

static bool put_old_secret(struct buf *out, const struct hint_view *view)
{
	const struct status_newest *newest = view->newest;
	int64_t until_ms = 0;
	char until[CLOCK_TEXT_BYTES];
	if (!newest->hook->activity.used_previous)
		return false;
	for (size_t i = 0; i < BUILDCONFIG_MAX_SECRETS; i++)
		if (newest->hook->secrets[i].previous_until_ms > until_ms)
			until_ms = newest->hook->secrets[i].previous_until_ms;
	if (until_ms <= view->input->now_ms)
		return false;
	clock_format_rfc3339(until, until_ms, false);
	buf_printf(out, "the newest %s delivery " OLD_SECRET "%s: set the new one at the Git host",
		   hook_type_name((enum hook_type)newest->type), until);
	return true;
}

static bool is_old_secret_over(const struct hint_view *view, struct str held)
{
	const char *at = strstr(held.p, OLD_SECRET) + strlen(OLD_SECRET);
	int64_t until_ms = 0;
	return !clock_parse_rfc3339(str_range(at, strnlen(at, TIME_BYTES)), &until_ms) ||
	       until_ms <= view->input->now_ms;
}

static bool put_remade(struct buf *out, const struct hint_view *view)
{
	const struct status_newest *newest = view->newest;
	for (size_t type = 0; type < HOOK_TYPES; type++)
		for (size_t i = 0; i < view->bc->hooks[type].n_secrets; i++) {
			int64_t ms = view->input->hooks[type].secrets[i].remade_ms;
			if (ms == 0 || newest->held_ms > ms || newest->ours_ms > ms)
				continue;
			buf_put_str(out, STR("Secret "));
			status_put_name(out, str_of(view->bc->hooks[type].secrets[i].text));
			buf_printf(out, REMADE ": set it at the Git host (%s)",
				   hook_type_name((enum hook_type)type));
			return true;
		}
	return false;
}

/* Ends the hint about mismatches with the refs that are built now, so that the hint changes when
 * that rule does. */
static void put_wanted(struct buf *out, const struct buildconfig *bc)
{
	struct str refs = str_trim(str_of(bc->refs));
	struct str ref = str_trim(str_of(bc->git_ref));
	buf_put_str(out, STR(" " IGNORED));
	if (refs.n == 0 && ref.n == 0)
		buf_put_str(out, STR("the default branch"));
	else
		status_put_name(out,
				refs.n > 0 ? refs : str_without_prefix(ref, STR("refs/heads/")));
	buf_put_str(out, refs.n > 0 ? STR(". Set annotation buildhook.io/refs.")
				    : STR(". Set spec.source.git.ref."));
}

static bool is_mismatch_over(const struct hint_view *view, struct str held)
{
	CLEANUP(buf_release) struct buf end = BUF_INIT(STATUS_URL_BYTES);
	put_wanted(&end, view->bc);
	return !str_ends(held, buf_str(&end));
}

/* "main" was pushed where "master" is built, or the other way round. */
static bool is_renamed_default(const struct buildconfig *bc, struct str ref)
{
	struct str ours = str_without_prefix(str_trim(str_of(bc->git_ref)), STR("refs/heads/"));
	struct str theirs = str_without_prefix(ref, STR("refs/heads/"));
	return !*bc->refs && ((str_eq(ours, STR("master")) && str_eq(theirs, STR("main"))) ||
			      (str_eq(ours, STR("main")) && str_eq(theirs, STR("master"))));
}

static bool wants_tags_alone(const struct refs *refs)
{
	struct str list = refs->list, glob;
	while (str_next_part(&list, ',', &glob))
		if (!str_starts(str_trim(glob), STR("refs/")))
			return false;
	return refs_name_tags(refs);
}

static bool is_mistaken(const struct hint_view *view, const struct refs *refs, struct str ref)
{
	const struct hook_activity *hook = &view->newest->hook->activity;
	if (is_renamed_default(view->bc, ref))
		return !view->newest->has_built || hook->ignored_row >= MANY;
	if (view->newest->has_built || view->bc->last_version > 0)
		return false;
	return ref_is_tag(ref) || !wants_tags_alone(refs);
}

static bool put_mismatch(struct buf *out, const struct hint_view *view)
{
	const struct hook_activity *hook = &view->newest->hook->activity;
	struct refs refs = refs_wanted(view->bc, STR(""), NULL);
	bool is_set = *view->bc->refs || *view->bc->git_ref;
	struct str ref = str_of(hook->ignored_what);
	if (hook->ignored_row == 0 || hook->ignored_reason != OUTCOME_REF_MISMATCH)
		return false;
	/* The rule may have been mended since. */
	if ((is_set && refs_match(&refs, ref)) || !is_mistaken(view, &refs, ref))
		return false;
	bool is_one = hook->ignored_row == 1;
	buf_printf(out, "%" PRIu64 " %s to %s", hook->ignored_row, is_one ? "push" : "pushes",
		   ref_is_tag(ref) ? "tag " : "");
	status_put_name(out, ref_short(ref));
	buf_put_str(out, is_one ? STR(" was") : STR(" were"));
	put_wanted(out, view->bc);
	return true;
}

/* A tag was pushed, and the rule would build a branch of that name. */
static bool put_tag_rule(struct buf *out, const struct hint_view *view)
{
	const struct hook_activity *hook = &view->newest->hook->activity;
	struct refs refs = refs_wanted(view->bc, STR(""), NULL);
	bool is_set = *view->bc->refs || *view->bc->git_ref;
	if (hook->ignored_row == 0 || hook->ignored_reason != OUTCOME_TAG_IGNORED || !is_set)
		return false;
	struct str name = ref_short(str_of(hook->ignored_what));
	if (!refs_match(&refs, name))
		return false;
	buf_put_str(out, STR("tag "));
	status_put_name(out, name);
	buf_put_str(out, STR(" was not built: "));
	status_put_name(out, refs.list.n > 0 ? refs.list : refs.names[0]);
	buf_printf(out, TAG_BRANCH "... in %s",
		   refs.list.n > 0 ? "buildhook.io/refs" : "spec.source.git.ref");
	return true;
}

static bool put_paths(struct buf *out, const struct hint_view *view)
{
	const struct hook_activity *hook = &view->newest->hook->activity;
	if (hook->ignored_reason != OUTCOME_PATHS_UNCHANGED || hook->ignored_row < MANY ||
	    view->newest->has_built)
		return false;
	buf_printf(out, "%" PRIu64 " pushes changed no file of ", hook->ignored_row);
	status_put_name(out, str_of(view->bc->paths));
	buf_put_str(out, STR(", and none was built. Check annotation buildhook.io/paths"));
	return true;
}

static bool put_events(struct buf *out, const struct hint_view *view)
{
	const struct hook_activity *hook = &view->newest->hook->activity;
	if (hook->ignored_reason != OUTCOME_EVENT_IGNORED || hook->ignored_row == 0 ||
	    view->newest->has_built)
		return false;
	buf_put_str(out, STR("the Git host sends event "));
	status_put_name(out, str_of(hook->ignored_what));
	buf_put_str(out, STR(", and no push was built yet. Choose push events there"));
	return true;
}

static bool put_no_source(struct buf *out, const struct hint_view *view)
{
	const struct hook_activity *hook = &view->newest->hook->activity;
	if (hook->ignored_reason != OUTCOME_NO_GIT_SOURCE || hook->ignored_row == 0 ||
	    view->bc->has_git)
		return false;
	buf_put_str(out, STR("a push was ignored, as there is no Git source. Set "
			     "spec.source.git.uri, or use the generic webhook"));
	return true;
}

static bool put_of_verdict(struct buf *out, const struct hint_view *view)
{
	const struct hook_activity *hook = &view->newest->hook->activity;
	if (!*hook->hint)
		return false;
	buf_put_clean(out, str_of(hook->hint), STATUS_VALUE_BYTES);
	return true;
}

static bool put_origin(struct buf *out, const struct hint_view *view)
{
	int64_t since_ms = view->input->origin_ms + ORIGIN_GRACE_MS;
	const char *text = view->input->origin;
	if (!text || !*text || view->newest->held_ms > since_ms || view->newest->ours_ms > since_ms)
		return false;
	buf_put_clean(out, str_of(text), STATUS_VALUE_BYTES);
	return true;
}

static bool put_no_runner(struct buf *out, const struct hint_view *view)
{
	if (!view->input->unrun_build || !*view->input->unrun_build)
		return false;
	buf_put_str(out, STR(NO_RUNNER));
	buf_put_clean(out, str_of(view->input->unrun_build), MAX_SHOWN_BUILD);
	buf_put_str(out, STR(" stays New. Install buildhook build-controller"));
	return true;
}

static bool is_no_runner_over(const struct hint_view *view, struct str held)
{
	(void)held;
	return view->input->builds_run;
}

static bool put_image_change(struct buf *out, const struct hint_view *view)
{
	if (!view->input->has_no_image_streams || !view->bc->has_image_change)
		return false;
	buf_put_str(out, STR(IMAGE_CHANGE " starts no builds here: only OpenShift has image "
					  "streams. Start builds by a webhook, and remove it"));
	return true;
}

/* The time that is shown grows until rows are removed again: it is rounded to powers of two, so
 * that the annotation is written seldom. */
static bool put_kept(struct buf *out, const struct hint_view *view)
{
	int64_t minutes = view->input->kept_ms / 60000;
	int64_t n = minutes < 60 ? minutes : minutes / 60;
	int64_t shown = 1;
	if (view->input->kept_ms <= 0)
		return false;
	buf_put_str(out, STR("too many deliveries for --dedupe-window: repeated ones are "
			     "recognised for "));
	while (2 * shown <= n)
		shown *= 2;
	if (n == 0)
		buf_put_str(out, STR("less than a minute"));
	else
		buf_printf(out, "%" PRId64 " %s%s", shown, minutes < 60 ? "minute" : "hour",
			   shown == 1 ? "" : "s");
	return true;
}

/* A patch by which the trigger names a Secret, which buildhook then makes. */
static void put_patch(struct buf *out, const struct buildconfig *bc, size_t type, unsigned trigger)
{
	const char *name = hook_type_name((enum hook_type)type);
	char secret[BUILDCONFIG_MAX_NAME + 1], suffix[32];
	(void)snprintf(suffix, sizeof(suffix), "%s-webhook", name);
	buildconfig_child_name(secret, bc->name, suffix);
	buf_printf(
		out,
		STATUS_COMMAND
		"patch bc %s --type=json -p '[{\"op\":\"add\",\"path\":"
		"\"/spec/triggers/%u/%s\",\"value\":{%s\"secretReference\":{\"name\":\"%s\"}}}]'",
		bc->name, trigger, name, bc->hooks[type].allow_env ? "\"allowEnv\":true," : "",
		secret);
}

/* A command that is cut off would do harm, so where it is too long the hint refers to the docs. */
static bool put_inline(struct buf *out, const struct hint_view *view)
{
	for (size_t type = 0; type < HOOK_TYPES; type++)
		for (size_t i = 0; i < view->bc->hooks[type].n_secrets; i++) {
			const struct buildconfig_secret *secret = &view->bc->hooks[type].secrets[i];
			CLEANUP(buf_release) struct buf patch = BUF_INIT(STATUS_URL_BYTES);
			if (secret->kind != BUILDCONFIG_SECRET_INLINE)
				continue;
			buf_printf(out, "%s" INLINE ", move it",
				   hook_type_name((enum hook_type)type));
			put_patch(&patch, view->bc, type, secret->trigger);
			if (out->len + patch.len <= STATUS_VALUE_BYTES)
				buf_put_str(out, buf_str(&patch));
			else
				buf_put_str(out, STR(": see \"Inline secrets\" in "
						     "docs/annotations.md"));
			return true;
		}
	return false;
}

const struct hint_rule hint_rules[] = {
	{STATUS_FIX, HINT_OF_OBJECT, put_fix, NULL},
	{"deliveries are refused for now: ", HINT_OF_REPLICA, put_bounds, NULL},
	{REDELIVER, HINT_OF_REPLICA, put_redelivery, is_redelivery_over},
	{NO_ROTATION, HINT_OF_OBJECT, put_no_rotation, NULL},
	{OLD_SECRET, HINT_OF_DELIVERY, put_old_secret, is_old_secret_over},
	{REMADE, HINT_OF_REPLICA, put_remade, NULL},
	{IGNORED, HINT_OF_DELIVERY, put_mismatch, is_mismatch_over},
	{TAG_BRANCH, HINT_OF_DELIVERY, put_tag_rule, NULL},
	{" pushes changed no file of ", HINT_OF_DELIVERY, put_paths, NULL},
	{"the Git host sends event ", HINT_OF_DELIVERY, put_events, NULL},
	{"as there is no Git source", HINT_OF_DELIVERY, put_no_source, NULL},
	{"a push came from ", HINT_OF_DELIVERY, put_of_verdict, NULL},
	{"your Git host still calls OpenShift's own ", HINT_OF_REPLICA, put_origin, NULL},
	{NO_RUNNER, HINT_OF_REPLICA, put_no_runner, is_no_runner_over},
	{IMAGE_CHANGE, HINT_OF_OBJECT, put_image_change, NULL},
	{"too many deliveries for --dedupe-window", HINT_OF_REPLICA, put_kept, NULL},
	{INLINE, HINT_OF_OBJECT, put_inline, NULL},
};
const size_t n_hint_rules = ARRAY_LEN(hint_rules);

/* The rule whose hint HELD is, if that hint may stay on the object; else NULL. */
static const struct hint_rule *find_held(const struct hint_view *view, struct str held)
{
	for (size_t i = 0; i < n_hint_rules; i++) {
		const struct hint_rule *rule = &hint_rules[i];
		if (!str_contains(held, str_of(rule->phrase)))
			continue;
		bool is_left = rule->source != HINT_OF_OBJECT && !view->newest->is_ours &&
			       !(rule->is_over && rule->is_over(view, held));
		return is_left ? rule : NULL;
	}
	return NULL;
}

void hint_put(struct buf *out, const struct buildconfig *bc, const struct status_input *input,
	      const struct status_newest *newest, struct str held)
{
	const struct hint_view view = {bc, input, newest};
	const struct hint_rule *held_rule = find_held(&view, held);
	for (size_t i = 0; i < n_hint_rules; i++) {
		const struct hint_rule *rule = &hint_rules[i];
		if (rule == held_rule) {
			buf_put_str(out, held);
			return;
		}
		if (rule->source == HINT_OF_DELIVERY && !newest->is_ours)
			continue;
		if (rule->put(out, &view))
			return;
	}
}
