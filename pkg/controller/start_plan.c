/*
 * The protocol of a start. start_plan() and its rules read what is seen; start_learn_*() put the
 * API server's answers into struct start_seen. Quoted sentences are those of docs/architecture.md,
 * "Exactly one build", and of the facts about OpenShift that it stands on.
 */
#include "controller/start_plan.h"

#include "base/mem.h"

#include <assert.h>
#include <stdio.h>

/* A time of acceptance that is more than this ahead of our clock is ignored: one of the clocks was
 * wrong. */
#define MAX_AHEAD_MS INT64_C(300000)
/* How long to wait after a stale answer: another client has raised lastVersion or written the
 * BuildConfig meanwhile. */
#define STALE_WAIT_MS 200
#define MIN_WAIT_MS   1000

void start_begin(struct start_seen *s, const struct journal_change *change)
{
	s->change = change;
	s->is_repeat = change->state == JOURNAL_STARTING;
	build_delivery_label(s->label, change);
}

/* The numbers that were looked at, as far as they decide anything. */
struct walk {
	enum { WALK_LOOK, WALK_WAIT, WALK_NEWER, WALK_OVER } state;
	int64_t at;
	bool is_settled; /* no number up to `at` can still get its Build */
};

/* All Builds up to this number have been looked at for this change. 0 where it was accepted before
 * the change of one of them: that Build may be of a newer push. */
static int64_t known_version(const struct start_seen *s)
{
	const struct start_memory *m = &s->memory;

	return s->change->accepted_ms < m->known_accepted_ms ? 0 : m->known_version;
}

static int64_t look_until(const struct start_seen *s)
{
	int64_t until = known_version(s);

	if (until < s->version - START_MAX_LOOKS)
		until = s->version - START_MAX_LOOKS;
	return until > 0 ? until : 0;
}

static int64_t missing_for_ms(const struct start_seen *s, int64_t number)
{
	const struct start_memory *m = &s->memory;
	int64_t since_ms = m->gap_number == number ? m->gap_ms : s->mono_ms;

	if (number <= s->cached_version && s->cached_version_ms < since_ms)
		since_ms = s->cached_version_ms;
	return s->mono_ms - since_ms;
}

/*
 * On OpenShift the number is raised before the Build is made: a Build that is missing may be
 * another replica's that is just being made, of this delivery or of a newer push. "It is waited for
 * until the server must have given up." Builds with lower numbers than an old Build, or than a gap
 * that was waited for, are older still.
 */
static bool may_still_come(const struct start_seen *s, const struct walk *w)
{
	return s->is_openshift && !w->is_settled && missing_for_ms(s, w->at) < START_SETTLED_MS;
}

static struct walk walk(const struct start_seen *s)
{
	struct walk w = {.at = s->look_from, .is_settled = s->is_settled_above};

	for (size_t i = 0; i < s->n_looks; i++, w.at--) {
		enum start_look look = s->looks[i];

		w.state = WALK_WAIT;
		if (look == LOOK_MISSING && may_still_come(s, &w))
			return w;
		w.state = WALK_NEWER;
		if (look == LOOK_NEWER)
			return w;
		w.is_settled |= look == LOOK_MISSING || look == LOOK_OLD;
	}
	w.state = w.at > look_until(s) ? WALK_LOOK : WALK_OVER;
	return w;
}

static bool end(struct start_step *next, enum journal_state state, enum outcome outcome)
{
	next->kind = START_END;
	next->state = state;
	next->outcome = outcome;
	return true;
}

static bool supersede(struct start_step *next, int64_t by)
{
	next->by = by;
	return end(next, JOURNAL_SUPERSEDED, OUTCOME_SUPERSEDED);
}

static bool step(struct start_step *next, enum start_step_kind kind, int64_t number)
{
	next->kind = kind;
	next->number = number;
	return true;
}

/* "status.lastVersion is raised afterwards": the row has ended, so nothing here can undo it. */
static bool plan_after_success(const struct start_seen *s, struct start_step *next)
{
	if (!s->is_told)
		return false;
	if (s->is_openshift || s->is_raise_over || s->is_gone ||
	    (s->is_read && s->number <= s->version))
		return step(next, START_DONE, 0);
	if (!s->is_read)
		return step(next, START_READ_BC, 0);
	return step(next, START_RAISE, s->number);
}

/* "A Build with the change's label: done." A list does not hold the Build's whole text, which the
 * answer to the delivery shows, so it is read. */
static bool plan_own_build(const struct start_seen *s, struct start_step *next)
{
	if (!*s->build)
		return false;
	if (!s->is_shown && s->number > 0)
		return step(next, START_GET_BUILD, s->number);
	return step(next, START_SUCCEED, s->number);
}

/*
 * "The reconciler reads the BuildConfig", and believes no cache. The look for the change's label
 * goes beside it where it can be *not older than* `fresh`: of such a list only the Builds up to
 * known_version are believed. They were there before this start began, so it does not matter which
 * of the two reads is answered first.
 */
static bool plan_buildconfig(const struct start_seen *s, struct start_step *next)
{
	if (s->is_gone)
		return end(next, JOURNAL_FAILED, OUTCOME_FAILED);
	if (s->is_paused)
		return end(next, JOURNAL_IGNORED, OUTCOME_PAUSED);
	next->fresh = s->memory.fresh;
	return !s->is_read && step(next, *next->fresh ? START_READ_BOTH : START_READ_BC, 0);
}

/* "lastVersion has moved: start again." */
static bool plan_stale(const struct start_seen *s, struct start_step *next)
{
	next->wait_ms = STALE_WAIT_MS;
	return s->is_stale && step(next, START_WAIT, 0);
}

/* Each Build from known_version to lastVersion is read one by one. */
static bool is_gapless(const struct start_seen *s)
{
	return s->memory.known_version >= s->version - START_MAX_LOOKS;
}

/*
 * "Then looks for a Build with the change's label": after the BuildConfig was read, because a
 * replica that starts this change later must take a number above s->version, and so must this one:
 * one of the two finds the number taken.
 *
 * A consistent list waits until the server's cache has caught up with whatever was written last, up
 * to 100 ms. A list not older than `fresh` does not wait, and is as safe: the Builds up to
 * known_version existed then, so it has them all. Those from there to s->version are read one by
 * one, consistently and after the BuildConfig, in plan_earlier_builds(). Where there are too many
 * of those, only a consistent list that was asked for after the BuildConfig was read has them all.
 */
static bool plan_list(const struct start_seen *s, struct start_step *next)
{
	if (s->is_listed || (s->is_listed_beside && is_gapless(s)))
		return false;
	next->fresh = is_gapless(s) ? s->memory.fresh : "";
	return step(next, START_LIST_OWN, 0);
}

/*
 * "So before each request every number that is not known yet is looked at": it may be of this
 * delivery, from another replica that had it sooner, or of a newer push of the ref, after which
 * this one must not be built. "One whose Build is missing may still get it, and is waited for",
 * with growing delays.
 */
static bool plan_earlier_builds(const struct start_seen *s, struct start_step *next)
{
	struct walk w = walk(s);
	int64_t missing_ms, left_ms;

	switch (w.state) {
	case WALK_NEWER:
		return supersede(next, w.at);
	case WALK_WAIT:
		missing_ms = missing_for_ms(s, w.at);
		left_ms = START_SETTLED_MS - missing_ms;
		next->missing_ms = missing_ms;
		next->wait_ms = missing_ms > MIN_WAIT_MS ? missing_ms : MIN_WAIT_MS;
		if (next->wait_ms > left_ms)
			next->wait_ms = left_ms;
		return step(next, START_WAIT, w.at);
	case WALK_LOOK:
		next->look_back =
			(struct look_back){s->change->seq, s->version, w.at, w.is_settled};
		return step(next, START_GET_BUILD, w.at);
	case WALK_OVER:
		break;
	}
	return false;
}

/*
 * OpenShift: "a BuildRequest with the lastVersion that it read: compare-and-set. The row says that
 * there may be a request before there is one." A request of unknown outcome is sent again as it
 * was: while lastVersion has not moved, one of the two is refused.
 */
static bool plan_instantiate(const struct start_seen *s, struct start_step *next)
{
	next->known_version = s->version;
	return s->is_openshift &&
	       step(next, s->change->state == JOURNAL_STARTING ? START_INSTANTIATE : START_RECORD,
		    s->version);
}

/*
 * Kubernetes: "Build NAME-N. The name is the lock: whoever comes second gets AlreadyExists, looks
 * whose it is, and is either done or moves on to the next number." N is after lastVersion, which
 * may be behind, and after the Builds that are known.
 */
static bool plan_create(const struct start_seen *s, struct start_step *next)
{
	int64_t known = known_version(s);
	int64_t number = (known > s->version ? known : s->version) + 1;

	if (s->tried > 0 && s->at_tried == LOOK_NONE)
		return step(next, START_GET_BUILD, s->tried);
	if (s->tried > 0 && s->at_tried == LOOK_NEWER)
		return supersede(next, s->tried);
	/* The Build was there a moment ago and was deleted; its number stays used. */
	if (s->tried > 0)
		number = s->tried + 1;
	next->known_version = number - 1;
	return step(next, START_CREATE, number);
}

/* In order of dependence: each rule presupposes that those before it did not apply. */
static bool (*const rules[])(const struct start_seen *s, struct start_step *next) = {
	plan_after_success, plan_own_build,      plan_buildconfig, plan_stale,
	plan_list,          plan_earlier_builds, plan_instantiate, plan_create,
};

void start_plan(const struct start_seen *s, struct start_step *next)
{
	size_t i = 0;

	do
		*next = (struct start_step){.fresh = "", .known_version = -1};
	while (!rules[i++](s, next));
}

/* All numbers up to VERSION are known. `fresh` is dropped: it holds for Builds made here, not for
 * numbers that were looked at. */
static void know(struct start_memory *m, int64_t version)
{
	if (version <= m->known_version)
		return;
	m->known_version = version;
	*m->fresh = 0;
}

void start_remember(struct start_seen *s, const struct start_step *next)
{
	know(&s->memory, next->known_version);
	if (next->look_back.seq)
		s->memory.look_back = next->look_back;
}

/* Where the look at earlier Builds begins, or goes on after an earlier attempt. */
static void begin_looks(struct start_seen *s)
{
	const struct look_back *before = &s->memory.look_back;

	s->look_from = s->version;
	if (before->seq == s->change->seq && before->version == s->version) {
		s->look_from = before->at;
		s->is_settled_above = before->is_settled;
	}
}

void start_learn_buildconfig(struct start_seen *s, const cJSON *doc)
{
	struct start_memory *m = &s->memory;
	const char *uid = json_str_at(doc, "metadata/uid");
	const cJSON *paused = json_member(json_at(doc, "metadata/annotations"),
					  "openshift.io/build-config.paused");

	s->is_gone = !uid || strcmp(uid, s->change->uid) != 0;
	s->is_paused = cJSON_IsString(paused) && strcasecmp(paused->valuestring, "true") == 0;
	s->version = json_int_at(doc, "status/lastVersion", 0);
	s->is_read = true;
	/* A name that was found taken beyond lastVersion may have been that of a deleted
	 * BuildConfig's Build, which has been collected since; another replica may have taken it.
	 */
	if (!s->is_openshift && s->version > m->last_version && m->known_version > m->last_version)
		m->known_version = m->last_version;
	m->last_version = s->version;
	if (!s->is_told)
		begin_looks(s);
}

static int64_t build_number(const cJSON *build)
{
	const cJSON *number =
		json_member(json_at(build, "metadata/annotations"), "openshift.io/build.number");
	uint64_t n = 0;

	if (cJSON_IsString(number))
		(void)str_parse_u64(str_of(number->valuestring), INT64_MAX, &n);
	return (int64_t)n;
}

static void take_own(struct start_seen *s, const cJSON *build)
{
	const char *name = json_str_at(build, "metadata/name");

	(void)snprintf(s->build, sizeof(s->build), "%s", name ? name : "");
	s->number = build_number(build);
}

void start_learn_own(struct start_seen *s, const cJSON *list, bool is_beside)
{
	const cJSON *items = json_member(list, "items");

	s->is_listed_beside = is_beside;
	s->is_listed = !is_beside;
	if (items && items->child)
		take_own(s, items->child);
}

/* When the Build's change was accepted; 0: its annotation is missing or not believable. */
static int64_t accepted_ms(const struct start_seen *s, const cJSON *build)
{
	const cJSON *text =
		json_member(json_at(build, "metadata/annotations"), BUILD_ACCEPTED_ANNOTATION);
	int64_t ms = 0;

	if (!cJSON_IsString(text) || !clock_parse_rfc3339(str_of(text->valuestring), &ms) ||
	    ms > s->wall_ms + MAX_AHEAD_MS)
		return 0;
	return ms;
}

static bool is_own(const struct start_seen *s, const cJSON *build)
{
	const cJSON *label = json_member(json_at(build, "metadata/labels"), BUILD_DELIVERY_LABEL);

	return cJSON_IsString(label) && strcmp(label->valuestring, s->label) == 0;
}

static bool is_old(const struct start_seen *s, const cJSON *build)
{
	const char *text = json_str_at(build, "metadata/creationTimestamp");
	int64_t created_ms = s->wall_ms;

	return text && clock_parse_rfc3339(str_of(text), &created_ms) &&
	       s->wall_ms - created_ms > START_SETTLED_MS;
}

static enum start_look look_at(struct start_seen *s, const cJSON *build)
{
	const cJSON *ref =
		json_member(json_at(build, "metadata/annotations"), BUILD_REF_ANNOTATION);
	int64_t ms = accepted_ms(s, build);

	if (!build)
		return LOOK_MISSING;
	if (is_own(s, build))
		return LOOK_OWN;
	/* A redelivery was asked for on purpose: no order holds for it, nor for others after it.
	 * What it has seen is still noted for the changes that come after it. */
	if (json_member(json_at(build, "metadata/annotations"), BUILD_REDELIVERED_ANNOTATION))
		return is_old(s, build) ? LOOK_OLD : LOOK_OTHER;
	if (ms > s->memory.known_accepted_ms)
		s->memory.known_accepted_ms = ms;
	if (!journal_change_is_redelivery(s->change) && cJSON_IsString(ref) &&
	    strcmp(ref->valuestring, s->change->ref) == 0 && ms > s->change->accepted_ms)
		return LOOK_NEWER;
	return is_old(s, build) ? LOOK_OLD : LOOK_OTHER;
}

/* "Since when it is missing stands in the journal, so that a process that crashes again and again
 * also makes progress." The wall clock may have been set back since then. */
static void note_gap(struct start_seen *s, int64_t number)
{
	int64_t before_ms = s->wall_ms - s->change->gap_ms;

	if (s->memory.gap_number == number)
		return;
	s->memory.gap_number = number;
	s->memory.gap_ms = s->mono_ms;
	if (s->change->gap_number == number && before_ms > 0)
		s->memory.gap_ms -= before_ms;
}

void start_learn_build(struct start_seen *s, int64_t number, const cJSON *doc)
{
	enum start_look look;

	/* The Build is known from the list, and this is its text. If it was deleted meanwhile, the
	 * change was built all the same. */
	if (*s->build) {
		s->is_shown = true;
		return;
	}
	look = look_at(s, doc);
	if (look == LOOK_OWN) {
		take_own(s, doc);
		s->is_shown = true;
	} else if (number == s->tried) {
		s->at_tried = look;
	} else {
		if (look == LOOK_MISSING && s->is_openshift && !walk(s).is_settled)
			note_gap(s, number);
		assert(number == walk(s).at && s->n_looks < START_MAX_LOOKS);
		s->looks[s->n_looks++] = look;
	}
}

/* BUILD was just made here: all Builds of lower numbers that will ever exist existed then. */
void start_learn_made(struct start_seen *s, const cJSON *build)
{
	const char *version = json_str_at(build, "metadata/resourceVersion");
	struct start_memory *m = &s->memory;

	take_own(s, build);
	s->is_shown = true;
	if (s->number > m->known_version + 1)
		return;
	know(m, s->number);
	m->last_version = s->number;
	*m->fresh = 0;
	if (version && strlen(version) < sizeof(m->fresh) &&
	    strspn(version, "0123456789") == strlen(version))
		(void)snprintf(m->fresh, sizeof(m->fresh), "%s", version);
}

/* The server's words for its compare-and-set and for a paused BuildConfig (generator.go); both are
 * a 400 BadRequest. */
static bool says(const struct kube_response *response, const char *words)
{
	return response->status == 400 && strstr(response->err.msg, words);
}

/* 422 "Error resolving ImageStreamTag ruby:3 in namespace shop": the image has not been pushed yet.
 * (generator.go, resolveError) */
static bool is_image_missing(const struct kube_response *response)
{
	const char *kind = json_str_at(response->doc, "details/kind");

	return response->status == 422 && kind && str_starts(str_of(kind), STR("ImageStream"));
}

enum start_answer start_judge(const struct start_seen *s, const struct kube_response *response)
{
	int code = response->err.code;

	if (code == ERR_OK)
		return START_ANSWER_MADE;
	if (code == ERR_EXISTS && !s->is_openshift)
		return START_ANSWER_TAKEN;
	if (s->is_openshift && says(response, "paused"))
		return START_ANSWER_PAUSED;
	/* AlreadyExists: a Build that outlived its BuildConfig has the number, which is used up. */
	if (s->is_openshift &&
	    (says(response, "LastVersion") || code == ERR_CONFLICT || code == ERR_EXISTS))
		return START_ANSWER_STALE;
	if (is_image_missing(response))
		return START_ANSWER_GIVE_UP;
	switch (response->status) {
	case 400:
	case 413:
	case 422:
		return START_ANSWER_FAIL;
	case 0:
	case 401:
	case 403:
	case 408:
	case 409:
	case 429:
		return START_ANSWER_RETRY;
	default:
		/* Also a 404 or 405: if the BuildConfig is gone, the next read of it shows that. */
		return START_ANSWER_GIVE_UP;
	}
}

/*
 * "A quota that forbids the Build answers 403 after lastVersion was raised": nothing has to be
 * waited for at that number. The answer names the Build that was refused, which has the number
 * after the one that was sent as compare-and-set, so this request raised it: nobody else makes a
 * Build of that number any more, and as the answer is definite, nor does this request, nor an
 * earlier one of this change, whose compare-and-set fails. A refusal before the number is raised
 * (rights, a conflict) names the BuildConfig, and says nothing of who raises it next.
 */
static bool is_burnt(const struct start_seen *s, const struct kube_response *response)
{
	const char *kind = json_str_at(response->doc, "details/kind");
	const char *name = json_str_at(response->doc, "details/name");
	char next[BUILD_NAME_BYTES];

	build_name(next, s->change->name, s->version + 1);
	return s->is_openshift && kind && name && strcmp(name, next) == 0 &&
	       (strcmp(kind, "builds") == 0 || strcmp(kind, "Build") == 0);
}

bool start_learn_refused(struct start_seen *s, const struct kube_response *response)
{
	if (response->is_uncertain)
		return false;
	if (!is_burnt(s, response))
		return !s->is_repeat;
	/* The number has no Build, so `fresh` stays valid. */
	if (s->memory.known_version == s->version)
		s->memory.known_version++;
	return true;
}
