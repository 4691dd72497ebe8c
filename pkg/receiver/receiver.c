/* The handler of the HTTP server: the checks that come before the proof. */
#include "receiver/receiver.h"

#include "base/mem.h"
#include "receiver/proof.h"

#include <assert.h>

static const char about[] =
	"This is buildhook, a receiver of Git webhooks that start builds. Webhooks are posted to "
	"/hooks/NAMESPACE/NAME/TYPE.\n";

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
	/* Only a failed journal refuses all deliveries. With a full disk pings, and pushes that
	 * build nothing, need no room. */
	if (journal_failure(r->opt.services->journal))
		return "deliveries cannot be stored now; send it again later";
	if (!kube_store_is_synced(r->opt.services->store))
		return "this replica has not read the BuildConfigs yet; send the delivery again";
	return NULL;
}

/* The checks before the proof. Their order is part of the interface: the first that fails gives the
 * status. */
static bool is_answered_early(struct http_request *request, const struct route *route)
{
	struct str method = request->method;

	if (route->kind == ROUTE_ROOT &&
	    (str_eq(method, STR("GET")) || str_eq(method, STR("HEAD"))))
		answer_root(request);
	else if (route->kind != ROUTE_HOOK && route->kind != ROUTE_OPENSHIFT)
		answer_status(request, 404, "",
			      "no such path; webhooks are posted to /hooks/NAMESPACE/NAME/TYPE, "
			      "where TYPE is "
			      "github, gitlab, bitbucket or generic",
			      "");
	else if (!str_eq(method, STR("POST")))
		answer_status(request, 405, "", "webhooks are sent with POST", "");
	else if (http_refuse_expectation(request))
		return true;
	else if (request->is_encoded)
		answer_status(request, 415, "",
			      "Content-Encoding is not supported; send the body as it is", "");
	else
		return http_refuse_length(request);
	return true;
}

static void on_head(void *arg, struct http_request *request)
{
	struct receiver *r = arg;
	struct route route;
	const char *why = NULL;

	route_parse(&route, request->path);
	if (is_answered_early(request, &route))
		return;
	why = not_now(r);
	if (why)
		delivery_unavailable(delivery_new(r, request, &route), why);
	else
		proof_begin(delivery_new(r, request, &route));
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
	(void)arg;
	if (request->user)
		delivery_free(request->user);
}

struct http_handler receiver_handler(struct receiver *r)
{
	return (struct http_handler){on_head, on_body, on_end, on_abort, r};
}

void receiver_set_openshift(struct receiver *r)
{
	r->is_openshift = true;
}

void receiver_drain(struct receiver *r)
{
	r->is_draining = true;
}

size_t receiver_in_flight(const struct receiver *r)
{
	return r->n_deliveries;
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
	r->seconds = metrics_get(r->opt.services->metrics, &seconds, NULL);
	return r;
}

void receiver_free(struct receiver *r)
{
	if (!r)
		return;
	assert(!r->deliveries);
	for (size_t i = 0; i < ARRAY_LEN(r->spare); i++)
		buf_release(&r->spare[i]);
	free(r->spare_delivery.block);
	free(r);
}
