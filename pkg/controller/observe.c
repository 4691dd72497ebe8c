/*
 * Gathers what plan() needs to know of one BuildConfig: the cache, the Secrets, the journal's index
 * of what waits, the status that should be shown, and until when each kind of action has to wait.
 */
#include "controller/internal.h"
#include "controller/line.h"
#include "controller/rotation.h"

#include <stdio.h>

/* A status that is due for longer than this comes before the next build. */
#define MAX_STATUS_DELAY_MS 30000

static void add_secret(struct observed *seen, struct object *object, int type, const char *name)
{
	struct observed_secret *s;

	for (size_t i = 0; i < seen->n_secrets; i++)
		if (strcmp(seen->secrets[i].name, name) == 0)
			return;
	s = &seen->secrets[seen->n_secrets++];
	s->name = name;
	s->type = type;
	s->secret = kube_secrets_peek(object->controller->opt.services->secrets,
				      seen->bc->namespace_, name);
	s->is_owned = object->secrets.is_owning_denied || secret_is_owned(s->secret, seen->bc);
	s->wants_rotation = s->secret->state == KUBE_SECRET_PRESENT &&
			    rotation_is_wanted(seen->bc, name, s->secret->rotated_for);
	s->is_former = kube_secret_is_former(s->secret, seen->bc->name, seen->bc->uid);
	if (s->is_former && s->secret->fetched_ms + FORMER_INTERVAL_MS <=
				    clock_mono_ms(object->controller->opt.services->clock))
		seen->recheck_ms = s->secret->fetched_ms + 1;
}

static void observe_secrets(struct observed *seen, struct object *object)
{
	for (int type = 0; type < HOOK_TYPES; type++) {
		const struct buildconfig_hook *hook = &seen->bc->hooks[type];

		for (size_t i = 0; hook->exists && i < hook->n_secrets; i++)
			if (hook->secrets[i].kind != BUILDCONFIG_SECRET_INLINE)
				add_secret(seen, object, type, hook->secrets[i].text);
	}
}

static int64_t until(int64_t at_ms, int64_t now_ms)
{
	return at_ms > now_ms ? at_ms - now_ms : 0;
}

static void observe_changes(struct observed *seen, struct object *object)
{
	struct controller *c = object->controller;
	struct journal_waiting waiting;
	int64_t now_ms = clock_mono_ms(c->opt.services->clock);

	journal_read_waiting(c->opt.services->journal, object->key, &waiting);
	seen->n_changes = waiting.n;
	seen->newest_seq = waiting.newest_seq;
	seen->change = (struct observed_change){.seq = waiting.seq,
						.next_attempt_ms = waiting.next_attempt_ms,
						.has_successor = waiting.is_replaced,
						.is_uncertain = waiting.is_starting};
	/* No change waits, so no start has a trouble. */
	if (waiting.n == 0 && object->trouble && *object->trouble->why)
		status_note_start(&object->status);
	if (waiting.n == 0)
		mem_free(&object->trouble);
	seen->start_wait_ms = object->trouble ? until(object->trouble->until_ms, now_ms) : 0;
	seen->waits_for = object->trouble ? object->trouble->outside : "";
	seen->token_wait_ms = token_bucket_wait_ms(&object->bucket, &c->limit, now_ms);
}

static void note_version(struct object *object, const struct buildconfig *bc)
{
	if (bc->last_version <= object->cached_version)
		return;
	object->cached_version = bc->last_version;
	object->cached_version_ms = clock_mono_ms(object->controller->opt.services->clock);
}

static int64_t longer(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void observe_status(struct observation *out, struct object *object)
{
	struct controller *c = object->controller;
	struct observed *seen = &out->seen;
	int64_t now_ms = clock_mono_ms(c->opt.services->clock);
	unsigned change;
	uint64_t fingerprint;

	status_observe(&out->status, object, seen->bc, seen);
	change = status_compare(&out->status, seen->bc);
	fingerprint = status_fingerprint(&out->status, seen->bc);
	seen->is_status_stale = change != STATUS_SAME && fingerprint != object->status.fingerprint;
	if (!seen->is_status_stale) {
		object->has_status_turn = false;
		object->status.due_ms = 0;
		status_settle(object, seen->bc);
		return;
	}
	if (!object->status.due_ms)
		object->status.due_ms = now_ms;
	seen->is_status_overdue = now_ms - object->status.due_ms > MAX_STATUS_DELAY_MS;
	if (object->status.written_ms)
		seen->status_wait_ms =
			until(object->status.written_ms + c->opt.status_interval_ms, now_ms);
	if (object->status.refused_ms && !(change & STATUS_CHANGED))
		seen->status_wait_ms =
			longer(seen->status_wait_ms,
			       until(object->status.refused_ms + REFUSED_INTERVAL_MS, now_ms));
	seen->status_wait_ms = longer(seen->status_wait_ms, until(object->status.retry_ms, now_ms));
	/* Its turn comes by give_status_turns(), which adds the key to the queue again. */
	if (seen->status_wait_ms == 0 && !object->has_status_turn) {
		queue_add(c->status_turns, object->key);
		seen->is_status_stale = false;
	}
}

void observe(struct observation *out, struct object *object)
{
	struct controller *c = object->controller;
	struct observed *seen = &out->seen;

	seen->bc = object_buildconfig(object);
	seen->wall_ms = clock_wall_ms(c->opt.services->clock);
	seen->is_api_up = kube_client_is_up(c->opt.services->client);
	seen->api_trouble = kube_client_trouble(c->opt.services->client);
	seen->is_provisioning = c->opt.provision;
	observe_changes(seen, object);
	if (!seen->bc || seen->bc->is_deleting)
		return;
	note_version(object, seen->bc);
	seen->recheck_ms = object->secrets.recheck_ms;
	seen->secret_wait_ms =
		until(object->secrets.retry_ms, clock_mono_ms(c->opt.services->clock));
	if (!seen->bc->is_ignored)
		observe_secrets(seen, object);
	redelivery_observe(seen, object);
	runner_observe(seen, object);
	observe_status(out, object);
	origin_observe(seen, object);
}

void observation_release(struct observation *observation)
{
	status_release(&observation->status);
}

struct waiting {
	struct waiters *waiters;
	struct progress item;
};

static void tell_one(void *arg, int64_t seq)
{
	struct waiting *waiting = arg;

	if (waiters_has(waiting->waiters, seq))
		waiters_notify(waiting->waiters, seq, &waiting->item);
}

void tell_waiting(struct object *object, int64_t newest_seq, const char *why)
{
	struct controller *c = object->controller;
	struct waiting waiting = {c->opt.services->waiters,
				  {.kind = PROGRESS_WAITING, .build = "", .message = why}};
	struct journal_change *newest;

	if (newest_seq <= object->told_seq)
		return;
	journal_each_waiting(c->opt.services->journal, object->key, object->told_seq, tell_one,
			     &waiting);
	object->told_seq = newest_seq;
	newest = journal_read_row(c->opt.services->journal, newest_seq);
	/* In the status the owner's text stands in place of the Git host's. */
	if (object->trouble && strcmp(why, object->trouble->outside) == 0)
		why = object->trouble->why;
	if (newest)
		line_note(c, newest, OUTCOME_QUEUED, "", why);
	free(newest);
}
