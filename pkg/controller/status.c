/*
 * Collects what the status annotations say (buildconfig/status.h) from the store, the Secrets, the
 * activity of the hooks and the start of builds; writes them, and sends the Events of the same
 * causes.
 */
#include "base/log.h"
#include "controller/internal.h"

#include <stdio.h>

/* How long after a refusal the hint shows the bound that refused. */
#define BOUND_SHOWN_MS (10 * 60 * 1000)
/* Another replica's words of a waiting start are replaced after this time: twice the longest wait
 * between two attempts. */
#define OTHERS_TROUBLE_MS    (2 * MAX_BACKOFF_MS)
#define MAX_OTHERS_DOUBLINGS 7 /* to nearly a day */
#define MAX_BODY             (32 * 1024)

struct status_work {
	struct work work;
	uint64_t fingerprint;
	bool tells_refused;
	char namespace_[KUBE_NAME_BYTES];
	char name[KUBE_NAME_BYTES];
};

static enum status_secret_state state_of(const struct kube_secret *secret)
{
	switch (secret->state) {
	case KUBE_SECRET_PRESENT:
		return secret->value.n > 0 ? STATUS_SECRET_USABLE : STATUS_SECRET_UNUSABLE;
	case KUBE_SECRET_MISSING:
		return STATUS_SECRET_MISSING;
	case KUBE_SECRET_DENIED:
		return STATUS_SECRET_DENIED;
	case KUBE_SECRET_UNKNOWN:
		break;
	}
	return STATUS_SECRET_UNKNOWN;
}

static void put_secret(struct status_secret *out, const struct object *object,
		       const struct observed *seen, const char *name)
{
	for (size_t i = 0; i < seen->n_secrets; i++) {
		const struct kube_secret *secret = seen->secrets[i].secret;

		if (strcmp(seen->secrets[i].name, name) != 0)
			continue;
		out->state = seen->secrets[i].is_former ? STATUS_SECRET_FORMER : state_of(secret);
		out->problem = secret->problem;
		out->is_ours = secret->is_ours;
		if (secret->previous.n > 0)
			out->previous_until_ms = secret->previous_until_ms;
		if (object->secrets.trouble && strcmp(object->secrets.trouble_name, name) == 0)
			out->problem = object->secrets.trouble;
		if (object->secrets.remade_name && strcmp(object->secrets.remade_name, name) == 0)
			out->remade_ms = object->secrets.remade_ms;
	}
}

static void put_hook(struct status_hook *out, const struct object *object,
		     const struct observed *seen, enum hook_type type)
{
	const struct buildconfig_hook *hook = &seen->bc->hooks[type];
	const struct hook_activity *activity =
		activity_find(object->controller->opt.services->activity, seen->bc->uid, type);

	for (size_t i = 0; i < hook->n_secrets; i++) {
		if (hook->secrets[i].kind == BUILDCONFIG_SECRET_INLINE)
			out->secrets[i].state = STATUS_SECRET_USABLE;
		else
			put_secret(&out->secrets[i], object, seen, hook->secrets[i].text);
	}
	if (activity)
		out->activity = *activity;
}

/* Why the newest refused delivery could not be stored. */
static const char *bound_text(enum journal_limit limit)
{
	static const char *const texts[] = {
		[JOURNAL_LIMIT_NONE] = "",
		[JOURNAL_LIMIT_BUILDCONFIG] =
			"too much waits (1,000 changes or 16 MiB of this BuildConfig)",
		[JOURNAL_LIMIT_NAMESPACE] = "too much waits (the namespace's share of the journal)",
		[JOURNAL_LIMIT_DISK] = "buildhook's journal is full",
	};

	return texts[limit];
}

void status_note_start(struct status_memory *memory)
{
	memory->others_ms = 0;
	memory->others_n = 0;
}

/*
 * Another replica's start waits: its words stay until a start of ours has ended, or until they are
 * so old that the replica may be gone. If it is still there, it writes them again, and they stay
 * for twice as long.
 */
static void keep_others_trouble(struct status *out, struct object *object,
				const struct buildconfig *bc, struct observed *seen)
{
	struct status_memory *memory = &object->status;
	const int64_t now_ms = clock_mono_ms(object->controller->opt.services->clock);
	const uint64_t trouble = status_trouble(NULL, bc);
	int64_t left_ms = 0;

	if (trouble != memory->trouble || !memory->knows_trouble)
		memory->others_ms = memory->knows_trouble && status_is_milder(out, bc) ? now_ms : 0;
	memory->trouble = trouble;
	memory->knows_trouble = true;
	if (!memory->others_ms)
		return;
	left_ms = memory->others_ms + (OTHERS_TROUBLE_MS << memory->others_n) - now_ms;
	if (left_ms > 0) {
		status_keep_trouble(out, bc);
		seen->others_wait_ms = left_ms;
		return;
	}
	memory->others_ms = 0;
	if (memory->others_n < MAX_OTHERS_DOUBLINGS)
		memory->others_n++;
}

void status_observe(struct status *out, struct object *object, const struct buildconfig *bc,
		    struct observed *seen)
{
	const struct controller *c = object->controller;
	struct journal_limits limits;
	struct status_input input = {
		.public_url = c->public_url,
		.provision = c->opt.provision,
		.now_ms = seen->wall_ms,
	};

	if (bc->hooks[object->origin.type].exists) {
		input.origin = object->origin.hint;
		input.origin_ms = object->origin.hint_ms;
	}
	for (enum hook_type type = 0; type < HOOK_TYPES; type++)
		put_hook(&input.hooks[type], object, seen, type);
	journal_read_limits(c->opt.services->journal, object->key, &limits);
	if (limits.refused_ms + BOUND_SHOWN_MS >= seen->wall_ms)
		input.over_bounds = bound_text(limits.limit);
	if (limits.kept_since_ms)
		input.kept_ms = seen->wall_ms - limits.kept_since_ms;
	input.waiting = object->trouble ? object->trouble->why : "";
	input.is_start_refused = object->trouble && object->trouble->is_refused;
	if (!*input.waiting && seen->n_changes > 0 && seen->token_wait_ms > 0)
		input.waiting = "more builds than the limit were asked for";
	input.unrun_build = object->runner.unrun;
	input.builds_run = c->run_seen_ms > 0;
	input.has_no_image_streams = c->opt.backend == CONTROLLER_KUBERNETES;
	input.is_redelivery_unknown = redelivery_is_unknown(object);
	input.n_unbuilt = activity_find_unbuilt(c->opt.services->activity, bc->uid, &input.unbuilt);
	status_make(out, bc, &input);
	keep_others_trouble(out, object, bc, seen);
}

static void release(struct work *work)
{
	free(work);
}

/* An Event is the only place left to say that the status cannot be written. On OpenShift even an
 * annotation needs the right to create builds of the BuildConfig's strategy. */
static void tell_forbidden(struct object *object, const char *why)
{
	const struct buildconfig *bc = object_buildconfig(object);
	char note[800];

	(void)snprintf(note, sizeof(note),
		       "%s. An administrator can let buildhook's ServiceAccount patch buildconfigs "
		       "and, on OpenShift, create builds/docker, builds/source or builds/custom, "
		       "whichever the strategy is",
		       why);
	if (bc)
		event_send(object->controller, bc, EVENT_WARNING, "WebhookNotReady", note);
}

static void fail(struct status_work *w, const struct kube_response *response)
{
	struct object *object = w->work.object;
	struct clock *clock = w->work.controller->opt.services->clock;
	int64_t wait_ms = backoff_ms(clock, &retry_backoff, ++object->status.failures);

	if (response->retry_after_ms > wait_ms)
		wait_ms = response->retry_after_ms;
	object->status.retry_ms = clock_mono_ms(clock) + wait_ms;
	object->status.knows_trouble = response->is_uncertain;
	if (response->status == 403 && object->status.failures == 1)
		tell_forbidden(object, response->err.msg);
	log_msg(LOG_WARN, "controller", "status was not written",
		LOG_FIELD("namespace", w->namespace_), LOG_FIELD("name", w->name),
		LOG_FIELD("error", response->err.msg));
	work_end(&w->work, RECONCILE_ERROR, 0);
}

/* 422 on the uid and 409 "no existing object": the BuildConfig is gone, or another of that name
 * exists; the watch will show it. */
static bool says_gone(const struct kube_response *response)
{
	return response->status == 404 || response->status == 409 || response->status == 422;
}

static void on_applied(void *arg, const struct kube_response *response)
{
	struct status_work *w = arg;
	struct object *object = w->work.object;
	struct controller *c = w->work.controller;

	w->work.call = NULL;
	if (response->err.code != ERR_OK && !says_gone(response)) {
		fail(w, response);
		return;
	}
	if (response->err.code == ERR_OK)
		kube_store_put_written(c->opt.services->store, response->doc,
				       clock_mono_ms(c->opt.services->clock));
	object->status.failures = 0;
	object->status.retry_ms = 0;
	object->status.written_ms = clock_mono_ms(c->opt.services->clock);
	object->status.due_ms = 0;
	object->status.fingerprint = w->fingerprint;
	if (w->tells_refused)
		object->status.refused_ms = object->status.written_ms;
	work_end(&w->work, RECONCILE_SUCCESS, 0);
}

/* One Event for each hook that cannot work, and another after the hook worked in between. */
static void tell_not_ready(struct object *object, const struct buildconfig *bc,
			   const struct status *status)
{
	bool is_ready = true;

	/* The other replica, whose words are on the object, has sent the Event. */
	if (object->status.others_ms)
		return;
	for (enum hook_type type = 0; type < HOOK_TYPES; type++) {
		char note[400];

		if (status->states[type] != STATUS_NOT_READY)
			continue;
		is_ready = false;
		if (object->status.is_not_ready_told)
			continue;
		(void)snprintf(note, sizeof(note), "%s webhook: %s", hook_type_name(type),
			       status_state_text(status, type));
		event_send(object->controller, bc, EVENT_WARNING, "WebhookNotReady", note);
	}
	object->status.is_not_ready_told = !is_ready;
}

/*
 * Sends an Event about the bound that refused deliveries, because another hint may hide the one
 * about it. Each refused delivery leads here, so the interval is this file's: event.c forgets a
 * series when many others come.
 */
static void tell_bound(struct object *object, const struct buildconfig *bc)
{
	const struct services *services = object->controller->opt.services;
	int64_t now_ms = clock_mono_ms(services->clock);
	struct journal_limits limits;
	char note[200];

	journal_read_limits(services->journal, object->key, &limits);
	if (limits.n_refused == object->status.bound_told || now_ms < object->status.bound_free_ms)
		return;
	object->status.bound_told = limits.n_refused;
	object->status.bound_free_ms = now_ms + REFUSED_INTERVAL_MS;
	if (limits.n_refused == 0)
		return;
	(void)snprintf(note, sizeof(note), "deliveries are refused with 503 until %s: %s",
		       limits.limit == JOURNAL_LIMIT_DISK ? "there is room"
							  : "some of what waits has ended",
		       bound_text(limits.limit));
	event_send(object->controller, bc, EVENT_WARNING, "WebhookRefused", note);
}

void status_settle(struct object *object, const struct buildconfig *bc)
{
	tell_bound(object, bc);
	for (enum hook_type type = 0; type < HOOK_TYPES; type++) {
		struct hook_activity *activity =
			activity_find(object->controller->opt.services->activity, bc->uid, type);

		if (activity)
			activity->is_dirty = false;
	}
}

static void tell_events(struct object *object, const struct buildconfig *bc,
			const struct status *status)
{
	for (enum hook_type type = 0; type < HOOK_TYPES; type++) {
		const char *name = hook_type_name(type);
		struct hook_activity *activity =
			activity_find(object->controller->opt.services->activity, bc->uid, type);
		char note[400];

		if (!activity)
			continue;
		if (object->status.ignored_told[type] != (uint32_t)activity->ignored) {
			object->status.ignored_told[type] = (uint32_t)activity->ignored;
			(void)snprintf(note, sizeof(note), "%s webhook: %s", name,
				       activity->ignored_line);
			event_send(object->controller, bc, EVENT_NORMAL, "WebhookIgnored", note);
		}
		if (object->status.refused_told[type] != (uint32_t)activity->refused) {
			object->status.refused_told[type] = (uint32_t)activity->refused;
			(void)snprintf(note, sizeof(note), "%s webhook: request refused: %s", name,
				       activity->refused_why);
			event_send(object->controller, bc, EVENT_WARNING, "WebhookRefused", note);
		}
	}
	tell_bound(object, bc);
	tell_not_ready(object, bc, status);
}

void status_act(struct object *object, const struct buildconfig *bc, const struct status *status)
{
	struct status_work *w = mem_new(1, sizeof(*w));
	CLEANUP(buf_release) struct buf path = BUF_INIT(2048);
	CLEANUP(buf_release) struct buf body = BUF_INIT(MAX_BODY);
	CLEANUP(json_freep) cJSON *doc = status_document(status, bc);
	const unsigned change = status_compare(status, bc);

	tell_events(object, bc, status);
	object_split(object, w->namespace_, w->name);
	w->fingerprint = status_fingerprint(status, bc);
	/* Set even if the answer gets lost: the trouble that the watch then shows is this
	 * replica's. */
	if (!object->status.others_ms) {
		object->status.trouble = status_trouble(status, bc);
		object->status.knows_trouble = true;
	}
	object->has_status_turn = false;
	w->tells_refused = (change & STATUS_REFUSED) || !(change & STATUS_CHANGED);
	json_format(&body, doc);
	buf_printf(&path,
		   "/apis/build.openshift.io/v1/namespaces/%s/buildconfigs/"
		   "%s?fieldManager=buildhook&force=true",
		   w->namespace_, w->name);
	work_begin(&w->work, object, release);
	work_call(&w->work,
		  &(struct kube_request){.method = KUBE_APPLY,
					 .path = path.data,
					 .body = buf_str(&body),
					 .metric_resource = "buildconfigs"},
		  on_applied);
}
