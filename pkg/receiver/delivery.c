/* The lowest of the receiver's files: how a delivery begins, is answered, and ends. */
#include "receiver/delivery.h"

#include "base/log.h"
#include "base/mem.h"

#include <stdio.h>
#include <utlist.h>

static const struct metrics_family deliveries = {
	.name = "buildhook_deliveries_total",
	.help = "Answers given to requests to a webhook.",
	.kind = METRICS_COUNTER,
	.labels = {"type", "provider", "verdict", "reason"},
};

struct delivery *delivery_new(struct receiver *r, struct http_request *request,
			      const struct route *route)
{
	struct delivery *d = mem_take_spare(&r->spare_delivery, sizeof(*d));

	d->provider = hook_delivery_provider(NULL);
	d->receiver = r;
	d->request = request;
	d->route = *route;
	d->began_ms = clock_mono_ms(r->opt.services->clock);
	d->body_end_ms = -1;
	STR_JOIN(d->key, route->namespace_, STR("/"), route->name);
	DL_APPEND(r->deliveries, d);
	r->n_deliveries++;
	request->user = d;
	return d;
}

/* The smallest that N bytes fit into, or else the largest. */
static struct buf *find_spare(struct receiver *r, size_t n)
{
	struct buf *best = &r->spare[0];

	for (size_t i = 1; i < ARRAY_LEN(r->spare); i++) {
		struct buf *spare = &r->spare[i];
		bool is_enough = best->cap > n;

		if (is_enough ? spare->cap > n && spare->cap < best->cap : spare->cap > best->cap)
			best = spare;
	}
	return best;
}

static void swap(struct receiver *r, struct buf *spare, struct buf *buffer)
{
	struct buf other = *spare;

	r->spares_bytes += buffer->cap - spare->cap;
	*spare = *buffer;
	*buffer = other;
}

void delivery_take_buffer(struct receiver *r, struct buf *out, size_t n)
{
	size_t limit = out->limit;
	struct buf *spare = find_spare(r, n);

	if (spare->cap > out->cap && out->cap < n)
		swap(r, spare, out);
	out->limit = limit;
	if (n < MAX_SPARE_BYTES)
		buf_reserve(out, n);
}

void delivery_give_buffer(struct receiver *r, struct buf *buffer)
{
	size_t limit = buffer->limit;
	struct buf *smallest = &r->spare[0];

	buf_clear(buffer);
	for (size_t i = 1; i < ARRAY_LEN(r->spare); i++)
		if (r->spare[i].cap < smallest->cap)
			smallest = &r->spare[i];
	if (buffer->cap > smallest->cap && buffer->cap <= MAX_SPARE_BYTES &&
	    r->spares_bytes - smallest->cap + buffer->cap <= MAX_SPARES_BYTES)
		swap(r, smallest, buffer);
	buffer->limit = limit;
	buf_release(buffer);
}

void delivery_free(struct delivery *d)
{
	struct receiver *r = d->receiver;

	timer_stop(r->opt.services->clock, &d->timer);
	for (size_t i = 0; i < ARRAY_LEN(d->lookups); i++)
		kube_secrets_cancel(d->lookups[i].handle);
	if (d->ticket)
		journal_forget(r->opt.services->journal, d->ticket);
	for (size_t i = 0; i < d->n_starts; i++) {
		waiters_cancel(d->starts[i].wait);
		free(d->starts[i].json);
	}
	free(d->starts);
	hook_delivery_free(d->payload);
	for (size_t i = 0; i < d->n_secrets; i++)
		mem_wipe(&d->secrets[i].p, d->secrets[i].n);
	delivery_give_buffer(r, &d->kept);
	r->held_bytes -= d->held_bytes;
	DL_DELETE(r->deliveries, d);
	r->n_deliveries--;
	mem_give_spare(&r->spare_delivery, d);
}

void delivery_enter(struct delivery *d, enum delivery_phase phase)
{
	timer_stop(d->receiver->opt.services->clock, &d->timer);
	d->phase = phase;
}

void delivery_set_timer(struct delivery *d, int64_t delay_ms, timer_fn fn)
{
	timer_start(d->receiver->opt.services->clock, &d->timer, delay_ms > 0 ? delay_ms : 0, fn,
		    d);
}

const struct buildconfig *delivery_buildconfig(const struct delivery *d)
{
	return kube_store_find(d->receiver->opt.services->store, d->key);
}

void delivery_log(const struct delivery *d, const char *reason, const char *build,
		  const char *detail)
{
	log_msg(LOG_INFO, "receiver", "delivery", LOG_FIELD_STR("namespace", d->route.namespace_),
		LOG_FIELD_STR("name", d->route.name),
		LOG_FIELD("type", hook_type_name(d->route.type)),
		LOG_FIELD("provider", d->provider), LOG_FIELD("delivery", d->id),
		LOG_FIELD("build", build), LOG_FIELD("reason", reason),
		LOG_FIELD("detail", detail));
}

/* Frees D. Returns the request, which the caller answers right away. */
static struct http_request *end(struct delivery *d, const char *verdict, const char *reason)
{
	struct receiver *r = d->receiver;
	const char *const labels[] = {hook_type_name(d->route.type), d->provider,
				      d->is_dry_run ? "dry-run" : verdict, reason};

	metrics_add(metrics_get(r->opt.services->metrics, &deliveries, labels), 1);
	metrics_observe(r->seconds,
			(double)(clock_mono_ms(r->opt.services->clock) - d->began_ms) / 1000);
	return d->request;
}

void delivery_answer(struct delivery *d, int code, enum outcome outcome, const char *message)
{
	const char *verdict = outcome == OUTCOME_START ? "started"
			      : code == 202            ? "queued"
			      : code == 200            ? "ignored"
						       : "invalid";

	answer_status(end(d, verdict, outcome_name(outcome)), code, outcome_name(outcome), message,
		      d->id);
	delivery_free(d);
}

void delivery_answer_build(struct delivery *d, const struct answer_build *build)
{
	answer_build(end(d, "started", ""), build, d->id);
	delivery_free(d);
}

void delivery_refuse(struct delivery *d)
{
	answer_refused(end(d, "refused", ""), hook_type_name(d->route.type), d->route.name);
	delivery_free(d);
}

void delivery_unavailable(struct delivery *d, const char *message)
{
	answer_status(end(d, "unavailable", ""), 503, "", message, d->id);
	delivery_free(d);
}
