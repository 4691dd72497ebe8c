/*
 * One function for each kind of need, and plan() for their order. Each reads struct observed only.
 * A function either fills in the action and returns true, or calls wait_at_most() with the time
 * after which plan() must run again.
 */
#include "controller/plan.h"

#include "base/mem.h"

static void wait_at_most(struct action *next, int64_t wait_ms)
{
	if (next->wait_ms < 0 || wait_ms < next->wait_ms)
		next->wait_ms = wait_ms;
}

/* A wait longer than any back-off means that the wall clock was set back: then the change waits no
 * longer. */
static int64_t backoff_left_ms(const struct observed *seen)
{
	int64_t left_ms = seen->change.next_attempt_ms - seen->wall_ms;

	return left_ms > MAX_BACKOFF_MS ? 0 : left_ms;
}

/*
 * Changes of one BuildConfig start in the order they came, so only the oldest is looked at. A
 * change that is over the flood limit and has a newer change of its ref behind it ends superseded.
 * A start of unknown outcome is carried on before that, whatever the limits say.
 */
static bool plan_pending_build(const struct observed *seen, struct action *next)
{
	const struct observed_change *change = &seen->change;
	int64_t backoff_ms = backoff_left_ms(seen);

	if (seen->n_changes == 0)
		return false;
	next->seq = change->seq;
	if (seen->token_wait_ms > 0 && change->has_successor && !change->is_uncertain) {
		next->kind = ACTION_SUPERSEDE;
		return true;
	}
	if (!seen->is_api_up) {
		next->waiting = seen->api_trouble;
		return false;
	}
	if (seen->start_wait_ms > 0 || backoff_ms > 0) {
		next->waiting = *seen->waits_for ? seen->waits_for
						 : "an earlier attempt failed and is tried again "
						   "later";
		wait_at_most(next,
			     seen->start_wait_ms > backoff_ms ? seen->start_wait_ms : backoff_ms);
		return false;
	}
	if (seen->token_wait_ms > 0 && !change->is_uncertain) {
		next->waiting = "more builds than the limit were asked for";
		wait_at_most(next, seen->token_wait_ms);
		return false;
	}
	next->kind = ACTION_START_BUILD;
	return true;
}

/* The old value of a rotated Secret is accepted until its time is over, and is then removed. */
static bool is_previous_over(const struct observed_secret *s, const struct observed *seen)
{
	const struct kube_secret *secret = s->secret;

	return secret->previous.n > 0 && secret->previous_until_ms <= seen->wall_ms;
}

static enum action_kind missing_in(const struct observed_secret *s, const struct observed *seen)
{
	const struct kube_secret *secret = s->secret;

	if (secret->state == KUBE_SECRET_UNKNOWN || secret->fetched_ms < seen->recheck_ms)
		return ACTION_FETCH_SECRET;
	if (!seen->is_provisioning)
		return ACTION_NONE;
	if (secret->state == KUBE_SECRET_MISSING)
		return ACTION_CREATE_SECRET;
	if (secret->state != KUBE_SECRET_PRESENT || !secret->is_ours)
		return ACTION_NONE;
	if (s->is_former)
		return ACTION_NONE;
	if (!secret->has_key)
		return ACTION_COMPLETE_SECRET;
	if (!s->is_owned)
		return ACTION_OWN_SECRET;
	if (s->wants_rotation)
		return ACTION_ROTATE_SECRET;
	return is_previous_over(s, seen) ? ACTION_END_PREVIOUS : ACTION_NONE;
}

static void wait_for_secret(const struct observed_secret *s, const struct observed *seen,
			    struct action *next)
{
	if (s->is_former)
		wait_at_most(next, FORMER_INTERVAL_MS);
	if (s->secret->previous.n > 0 && s->secret->previous_until_ms > seen->wall_ms)
		wait_at_most(next, s->secret->previous_until_ms - seen->wall_ms);
}

static bool plan_missing_secret(const struct observed *seen, struct action *next)
{
	for (size_t i = 0; i < seen->n_secrets; i++) {
		enum action_kind kind = missing_in(&seen->secrets[i], seen);

		wait_for_secret(&seen->secrets[i], seen, next);
		if (kind == ACTION_NONE)
			continue;
		if (!seen->is_api_up)
			return false;
		if (seen->secret_wait_ms > 0) {
			wait_at_most(next, seen->secret_wait_ms);
			return false;
		}
		next->kind = kind;
		next->secret = &seen->secrets[i];
		return true;
	}
	return false;
}

static bool plan_redelivery(const struct observed *seen, struct action *next)
{
	if (seen->redelivery_wait_ms > 0)
		wait_at_most(next, seen->redelivery_wait_ms);
	else if (seen->wants_redelivery && seen->is_api_up)
		next->kind = ACTION_REDELIVER;
	return next->kind == ACTION_REDELIVER;
}

/* Chooses action KIND if WAIT_MS is over; else returns false. */
static bool take_turn(const struct observed *seen, struct action *next, enum action_kind kind,
		      bool is_wanted, int64_t wait_ms)
{
	if (!is_wanted || !seen->is_api_up)
		return false;
	if (wait_ms > 0) {
		wait_at_most(next, wait_ms);
		return false;
	}
	next->kind = kind;
	return true;
}

static bool plan_status(const struct observed *seen, struct action *next)
{
	if (seen->others_wait_ms > 0)
		wait_at_most(next, seen->others_wait_ms);
	return take_turn(seen, next, ACTION_WRITE_STATUS, seen->is_status_stale,
			 seen->status_wait_ms);
}

static bool plan_overdue_status(const struct observed *seen, struct action *next)
{
	return seen->is_status_overdue && plan_status(seen, next);
}

static bool plan_look(const struct observed *seen, struct action *next)
{
	return take_turn(seen, next, ACTION_LOOK_AT_BUILD, seen->has_unknown_build,
			 seen->look_wait_ms);
}

static bool plan_run_look(const struct observed *seen, struct action *next)
{
	return take_turn(seen, next, ACTION_LOOK_FOR_RUNNER, seen->wants_run_look,
			 seen->run_wait_ms);
}

/*
 * Rules in order of urgency: somebody waits for the answer to a delivery; deliveries need their
 * secret; status tells of both. The first rule with something to do wins; the key comes back when
 * that is done, so no rule looks beyond its own step. Status comes last because a write makes the
 * compare-and-set of a build that is being started fail, but it must not starve.
 */
static bool (*const rules[])(const struct observed *seen, struct action *next) = {
	plan_overdue_status, plan_pending_build, plan_missing_secret, plan_redelivery,
	plan_status,         plan_look,          plan_run_look,
};

void plan(const struct observed *seen, struct action *next)
{
	*next = (struct action){.kind = ACTION_NONE, .waiting = "", .wait_ms = -1};
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (rules[i](seen, next))
			return;
}
