/*
 * What need not be remembered. Of nearly all BuildConfigs nothing is delivered for days, and the
 * object itself shows all that is known. Such a one is at rest: it has no struct object, which
 * would take more memory than everything else of it, until something happens to it.
 */
#include "controller/internal.h"

#include "controller/start_plan.h"

static const struct status_memory no_status;

static bool is_status_at_rest(const struct status_memory *memory, uint64_t trouble, int64_t now_ms)
{
	bool is_told = memory->bound_told > 0 || memory->is_not_ready_told ||
		       memcmp(memory->ignored_told, no_status.ignored_told,
			      sizeof(no_status.ignored_told)) != 0 ||
		       memcmp(memory->refused_told, no_status.refused_told,
			      sizeof(no_status.refused_told)) != 0;
	bool is_limited = (memory->written_ms && now_ms - memory->written_ms < WRITTEN_MS) ||
			  memory->refused_ms || memory->retry_ms || memory->due_ms ||
			  memory->failures;

	return !is_told && !is_limited && !memory->others_ms && memory->others_n == 0 &&
	       memory->knows_trouble && memory->trouble == trouble;
}

static bool is_origin_at_rest(const struct origin_memory *memory, int64_t version)
{
	return memory->has_looked_version && memory->looked_version >= version && !memory->hint &&
	       memory->hint_ms == 0;
}

static bool is_start_at_rest(const struct object *object)
{
	const struct start_memory *order = &object->order;

	return order->known_version < 0 && order->gap_number == 0 && order->look_back.seq == 0 &&
	       !object->trouble && object->throttled_reads == 0 && object->told_seq == 0;
}

static bool is_redelivery_at_rest(const struct redelivery_memory *memory)
{
	return memory->request == 0 && memory->since_ms == 0 && memory->retry_ms == 0 &&
	       memory->before_seq == 0 && !memory->is_searched;
}

/* Since when lastVersion is known has to be true of what rest_recall() makes of it. */
static bool is_version_settled(const struct object *object, int64_t now_ms)
{
	return object->cached_version == 0 ||
	       object->cached_version_ms <= object->controller->synced_ms ||
	       now_ms - object->cached_version_ms >= START_SETTLED_MS;
}

bool rest_is_possible(const struct object *object, const struct observation *o)
{
	const struct controller *c = object->controller;
	const struct buildconfig *bc = o->seen.bc;
	int64_t now_ms = clock_mono_ms(c->opt.services->clock);

	return bc && o->seen.n_changes == 0 && !object->work && !object->has_status_turn &&
	       token_bucket_is_full(&object->bucket, &c->limit, now_ms) &&
	       is_start_at_rest(object) && is_version_settled(object, now_ms) &&
	       status_compare(&o->status, bc) == STATUS_SAME &&
	       is_status_at_rest(&object->status, status_trouble(NULL, bc), now_ms) &&
	       secret_is_at_rest(&object->secrets, now_ms) &&
	       is_origin_at_rest(&object->origin, bc->last_version) &&
	       object->runner.version == 0 && !object->runner.unrun &&
	       is_redelivery_at_rest(&object->redelivery);
}

void rest_recall(struct object *object, const struct buildconfig *bc)
{
	const struct controller *c = object->controller;
	int64_t now_ms = clock_mono_ms(c->opt.services->clock);
	int64_t settled_ms = now_ms - START_SETTLED_MS;

	object->status.trouble = status_trouble(NULL, bc);
	object->status.knows_trouble = true;
	object->origin.has_looked_version = true;
	object->origin.looked_version = bc->last_version;
	object->runner.has_seen_version = now_ms - c->synced_ms >= RECALLED_MS;
	object->runner.seen_version = bc->last_version;
	object->cached_version = bc->last_version;
	object->cached_version_ms = c->synced_ms > settled_ms ? c->synced_ms : settled_ms;
}
