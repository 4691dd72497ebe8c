#include "receiver/exchange.h"

#include "base/log.h"

#include <assert.h>
#include <stdio.h>
#include <utlist.h>

static const char about[] =
	"This is buildhook, a receiver of Git webhooks that start builds. Webhooks are posted to "
	"/hooks/NAMESPACE/NAME/TYPE.\n";

static const struct metrics_family deliveries = {
	.name = "buildhook_deliveries_total",
	.help = "Answers given to requests to a webhook.",
	.kind = METRICS_COUNTER,
	.labels = {"type", "provider", "verdict", "reason"},
};

const struct buildconfig *exchange_buildconfig(const struct exchange *x)
{
	return kube_store_find(x->receiver->opt.store, x->key);
}

static void free_exchange(struct exchange *x)
{
	struct receiver *r = x->receiver;

	wait_release(x);
	proof_release(x);
	DL_DELETE(r->exchanges, x);
	r->n_exchanges--;
	mem_wipe_str(&x->path); /* may hold a secret */
	free(x);
}

void exchange_log(const struct exchange *x, const char *reason, const char *build,
		  const char *detail)
{
	log_msg(LOG_INFO, "receiver", "delivery", LOG_FIELD_STR("namespace", x->route.namespace_),
		LOG_FIELD_STR("name", x->route.name),
		LOG_FIELD("type", hook_type_name(x->route.type)),
		LOG_FIELD("provider", hook_host_name(hook_delivery_host(x->delivery))),
		LOG_FIELD("delivery", x->delivery_id), LOG_FIELD("build", build),
		LOG_FIELD("reason", reason), LOG_FIELD("detail", detail));
}

/* The request is answered by the caller, right after: answering frees nothing of ours. */
static struct http_request *end(struct exchange *x, const char *verdict, const char *reason)
{
	struct receiver *r = x->receiver;
	const char *const labels[] = {hook_type_name(x->route.type),
				      hook_host_name(hook_delivery_host(x->delivery)),
				      x->is_dry_run ? "dry-run" : verdict, reason};

	metrics_add(metrics_get(r->opt.metrics, &deliveries, labels), 1);
	metrics_observe(r->seconds, (double)(clock_mono_ms(r->opt.clock) - x->began_ms) / 1000);
	return x->request;
}

void exchange_answer(struct exchange *x, int code, enum outcome reason, const char *message)
{
	const char *verdict = code == 202 ? "queued" : code == 200 ? "ignored" : "invalid";

	answer_status(end(x, reason == OUTCOME_START ? "started" : verdict, outcome_name(reason)),
		      code, outcome_name(reason), message, x->delivery_id);
	free_exchange(x);
}

void exchange_answer_build(struct exchange *x, struct str json, const char *warning)
{
	answer_build(end(x, "started", ""), json, warning, x->delivery_id);
	free_exchange(x);
}

void exchange_refuse(struct exchange *x)
{
	answer_refused(end(x, "refused", ""), hook_type_name(x->route.type), x->route.name);
	free_exchange(x);
}

void exchange_unavailable(struct exchange *x, const char *message)
{
	answer_status(end(x, "unavailable", ""), 503, "", message, x->delivery_id);
	free_exchange(x);
}

static struct exchange *new_exchange(struct receiver *r, struct http_request *request)
{
	struct exchange *x = mem_new(1, sizeof(*x));

	x->receiver = r;
	x->request = request;
	x->path = str_dup(request->path);
	x->began_ms = clock_mono_ms(r->opt.clock);
	route_parse(&x->route, str_of(x->path));
	(void)snprintf(x->key, sizeof(x->key), "%.*s/%.*s", STR_ARG(x->route.namespace_),
		       STR_ARG(x->route.name));
	DL_APPEND(r->exchanges, x);
	r->n_exchanges++;
	request->user = x;
	return x;
}

static void answer_root(struct http_request *request)
{
	static const struct http_header header = {STR("Content-Type"),
						  STR("text/plain; charset=utf-8")};

	http_respond(request, 200, &header, 1, str_of(about));
}

static const char *not_now(const struct receiver *r)
{
	if (r->is_draining)
		return "this replica is shutting down; send the delivery again";
	if (!journal_is_writable(r->opt.journal))
		return "deliveries cannot be stored now; send it again later";
	if (!kube_store_is_synced(r->opt.store))
		return "this replica has not read the BuildConfigs yet; send the delivery again";
	return NULL;
}

static bool is_encoded(const struct http_request *request)
{
	size_t n = 0;

	return !str_empty(http_header(request, "Content-Encoding", &n)) || n > 1;
}

/* The checks that come before the proof, in the order in which they are promised. */
static bool is_answered_early(struct http_request *request)
{
	struct str method = request->method;
	struct route route;

	route_parse(&route, request->path);
	if (route.kind == ROUTE_ROOT && (str_eq(method, STR("GET")) || str_eq(method, STR("HEAD"))))
		answer_root(request);
	else if (route.kind != ROUTE_HOOK && route.kind != ROUTE_OPENSHIFT)
		answer_status(request, 404, "",
			      "no such path; webhooks are posted to /hooks/NAMESPACE/NAME/TYPE, "
			      "where TYPE is "
			      "github, gitlab, bitbucket or generic",
			      "");
	else if (!str_eq(method, STR("POST")))
		answer_status(request, 405, "", "webhooks are sent with POST", "");
	else if (http_refuse_expectation(request))
		return true;
	else if (is_encoded(request))
		answer_status(request, 415, "",
			      "Content-Encoding is not supported; send the body as it is", "");
	else
		return http_refuse_length(request);
	return true;
}

static void on_head(void *arg, struct http_request *request)
{
	struct receiver *r = arg;
	const char *why;

	if (is_answered_early(request))
		return;
	why = not_now(r);
	if (why)
		exchange_unavailable(new_exchange(r, request), why);
	else
		proof_begin(new_exchange(r, request));
}

static void on_body(void *arg, struct http_request *request, struct str bytes)
{
	(void)arg;
	proof_feed(request->user, bytes);
}

static void on_end(void *arg, struct http_request *request)
{
	(void)arg;
	proof_end(request->user);
}

static void on_abort(void *arg, struct http_request *request)
{
	struct exchange *x = request->user;

	(void)arg;
	if (x)
		free_exchange(x);
}

struct http_handler receiver_handler(struct receiver *r)
{
	return (struct http_handler){on_head, on_body, on_end, on_abort, r};
}

void receiver_drain(struct receiver *r)
{
	r->is_draining = true;
}

size_t receiver_in_flight(const struct receiver *r)
{
	return r->n_exchanges;
}

struct receiver *receiver_new(const struct receiver_options *options)
{
	static struct metrics_family seconds = {
		.name = "buildhook_delivery_seconds",
		.help = "Time from a request's head to its answer.",
		.kind = METRICS_HISTOGRAM,
		.buckets = metrics_seconds,
	};
	struct receiver *r = mem_new(1, sizeof(*r));

	seconds.n_buckets = metrics_n_seconds;
	r->opt = *options;
	r->seconds = metrics_get(r->opt.metrics, &seconds, NULL);
	return r;
}

void receiver_free(struct receiver *r)
{
	if (!r)
		return;
	assert(!r->exchanges);
	free(r);
}
