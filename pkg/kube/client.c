/*
 * Calls to the API server over a transport: time limits, answers, and whether the server is up (one
 * failed request proves nothing, so /readyz is asked).
 */
#include "kube/client.h"

#include "base/backoff.h"
#include "base/mem.h"
#include "kube/answer.h"
#include "kube/client_metrics.h"

#include <assert.h>
#include <stdio.h>
#include <utlist.h>

#define DEFAULT_TIMEOUT_MS 30000
#define DEFAULT_MAX_BYTES  ((size_t)8 * 1024 * 1024)
#define SLOW_MS            10000
#define PROBE_TIMEOUT_MS   5000
#define PROBE_PAUSE_MS     1000
#define MAX_LISTENERS      4

struct kube_call {
	struct kube_client *client;
	struct kube_request request;
	char *path; /* request.path */
	char *body; /* request.body.p */
	kube_response_fn fn;
	void *arg;
	void *handle; /* the transport's */
	struct timer timer;
	int64_t started_ms;
	bool is_starting;
	struct kube_call *prev, *next;
};

struct listener {
	void (*fn)(void *arg);
	void *arg;
};

struct kube_client {
	struct clock *clock;
	struct kube_transport transport;
	struct kube_call *calls;
	int64_t last_answer_ms;
	bool is_up;
	char trouble[64]; /* why the server is not up */
	struct kube_call *probe;
	struct timer probe_timer; /* runs while the server is not up */
	unsigned n_failed_probes; /* failed probes in a row */
	bool is_doubted;          /* a request has failed since the last probe began */
	struct listener listeners[MAX_LISTENERS];
	size_t n_listeners;
	struct client_metrics metrics;
};

static void on_probe_due(void *arg);

static void set_up(struct kube_client *client, bool is_up)
{
	if (client->is_up == is_up)
		return;
	client->is_up = is_up;
	/* The next probe must not wait as long as this outage has lasted. */
	if (is_up && timer_running(&client->probe_timer))
		timer_start(client->clock, &client->probe_timer, PROBE_PAUSE_MS, on_probe_due,
			    client);
	client->n_failed_probes = 0;
	for (size_t i = 0; i < client->n_listeners; i++)
		client->listeners[i].fn(client->listeners[i].arg);
}

static bool is_good(int status)
{
	return status > 0 && status < 500 && status != 401;
}

/*
 * A failed probe marks the API server as down. The next probe waits about as long as the server has
 * been down, so that its clients do not all come at the same moment when it returns. Any other
 * request that is answered ends the outage sooner.
 */
static void on_probe(void *arg, const struct kube_response *response)
{
	static const struct backoff_range range = {2000, 30000};
	struct kube_client *client = arg;

	client->probe = NULL;
	if (response->status > 0)
		(void)snprintf(client->trouble, sizeof(client->trouble),
			       "the API server answered %d", response->status);
	else
		*client->trouble = 0;
	set_up(client, is_good(response->status));
	if (!client->is_up)
		timer_start(client->clock, &client->probe_timer,
			    backoff_ms(client->clock, &range, ++client->n_failed_probes),
			    on_probe_due, client);
}

/*
 * One request that fails may have failed for reasons of its own (an object's webhook, an aggregated
 * API server): before declaring the server down,
 * probe /readyz, which no object or webhook can break.
 */
static void on_probe_due(void *arg)
{
	struct kube_client *client = arg;
	static const struct kube_request request = {
		.method = KUBE_GET, .path = "/readyz", .timeout_ms = PROBE_TIMEOUT_MS};

	if (client->probe || (client->is_up && !client->is_doubted))
		return;
	client->is_doubted = false;
	client->probe = kube_start(client, &request, on_probe, client);
}

static void doubt(struct kube_client *client)
{
	client->is_doubted = true;
	if (!timer_running(&client->probe_timer))
		on_probe_due(client);
}

static void call_free(struct kube_call *call)
{
	timer_stop(call->client->clock, &call->timer);
	mem_wipe(&call->body, call->request.body.n);
	mem_free(&call->path);
	mem_free(&call);
}

/*
 * Updates is_up from one answer. A watch that ends says nothing about the server (its begin did,
 * and the next request will); nor does a request that failed while others were answered.
 */
static void update_is_up(const struct kube_call *call, const struct http_client_answer *answer)
{
	struct kube_client *client = call->client;
	bool was_answered = answer->status > 0 && !answer->is_cut;

	if (was_answered)
		client->last_answer_ms = clock_mono_ms(client->clock);
	if (call == client->probe)
		return;
	if (was_answered && is_good(answer->status))
		set_up(client, true);
	else if (was_answered || (!(answer->is_cut && call->request.is_watch) &&
				  client->last_answer_ms <= call->started_ms))
		doubt(client);
}

/* The call leaves the client before its function is called, so that the function may start and
 * cancel any call. */
static void finish(struct kube_call *call, const struct http_client_answer *answer,
		   const struct kube_response *response)
{
	struct kube_client *client = call->client;
	int64_t now_ms = clock_mono_ms(client->clock);

	assert(!call->is_starting);
	DL_DELETE(client->calls, call);
	timer_stop(client->clock, &call->timer);
	client_metrics_count(&client->metrics, &call->request, answer->status,
			     now_ms - call->started_ms);
	update_is_up(call, answer);
	call->fn(call->arg, response);
	call_free(call);
}

static void wipe_texts(cJSON *doc)
{
	for (cJSON *item = doc; item; item = item->next) {
		if (item->valuestring)
			explicit_bzero(item->valuestring, strlen(item->valuestring));
		wipe_texts(item->child);
	}
}

void kube_transport_done(struct kube_call *call, const struct http_client_answer *answer)
{
	CLEANUP(json_freep) cJSON *doc = NULL;
	struct kube_response response;
	bool wants_doc = !call->request.on_bytes;
	bool is_secret = call->request.is_secret;

	if (answer->status > 0 && !answer->is_cut && !str_empty(answer->body))
		(void)json_parse(&doc, answer->body, NULL);
	answer_read(&response, answer, doc, wants_doc, clock_wall_ms(call->client->clock));
	finish(call, answer, &response);
	if (is_secret)
		wipe_texts(doc);
}

void kube_transport_bytes(struct kube_call *call, struct str bytes)
{
	struct kube_client *client = call->client;

	assert(call->request.on_bytes);
	client->last_answer_ms = clock_mono_ms(client->clock);
	set_up(client, true);
	call->request.on_bytes(call->arg, bytes);
}

static void on_timeout(void *arg)
{
	struct kube_call *call = arg;
	const struct kube_transport *transport = &call->client->transport;
	struct http_client_answer answer = {0};
	struct kube_response response;

	answer.is_unsent =
		transport->has_sent && !transport->has_sent(transport->ctx, call->handle);
	transport->cancel(transport->ctx, call->handle);
	err_set(&answer.err, ERR_UNAVAILABLE, "no answer from the API server within %lld ms",
		(long long)call->request.timeout_ms);
	answer_read(&response, &answer, NULL, false, 0);
	finish(call, &answer, &response);
}

static void on_slow(void *arg)
{
	struct kube_call *call = arg;
	struct kube_client *client = call->client;
	int64_t waited_ms = clock_mono_ms(client->clock) - call->started_ms;
	int64_t left_ms = call->request.timeout_ms - waited_ms;

	timer_start(client->clock, &call->timer, left_ms > 0 ? left_ms : 0, on_timeout, call);
	if (client->last_answer_ms <= call->started_ms)
		doubt(client);
}

static void start_timer(struct kube_call *call)
{
	struct clock *clock = call->client->clock;

	if (call->request.is_watch)
		return;
	if (call->request.timeout_ms > SLOW_MS)
		timer_start(clock, &call->timer, SLOW_MS, on_slow, call);
	else
		timer_start(clock, &call->timer, call->request.timeout_ms, on_timeout, call);
}

struct kube_call *kube_start(struct kube_client *client, const struct kube_request *request,
			     kube_response_fn fn, void *arg)
{
	struct kube_call *call = mem_new(1, sizeof(*call));

	assert(request->path && request->path[0] == '/');
	assert(!request->is_watch || request->on_bytes);
	call->client = client;
	call->request = *request;
	call->fn = fn;
	call->arg = arg;
	call->started_ms = clock_mono_ms(client->clock);
	call->request.path = call->path = mem_strdup(request->path);
	call->body = str_dup(request->body);
	call->request.body.p = call->body;
	if (!request->accept)
		call->request.accept = "application/json";
	if (request->timeout_ms <= 0)
		call->request.timeout_ms = DEFAULT_TIMEOUT_MS;
	if (request->max_bytes == 0)
		call->request.max_bytes = DEFAULT_MAX_BYTES;
	DL_APPEND(client->calls, call);
	start_timer(call);
	call->is_starting = true;
	call->handle = client->transport.start(client->transport.ctx, call, &call->request);
	call->is_starting = false;
	return call;
}

void kube_cancel(struct kube_call *call)
{
	if (!call)
		return;
	DL_DELETE(call->client->calls, call);
	call->client->transport.cancel(call->client->transport.ctx, call->handle);
	call_free(call);
}

struct kube_client *kube_client_new_over(struct clock *clock,
					 const struct kube_transport *transport)
{
	struct kube_client *client = mem_new(1, sizeof(*client));

	client->clock = clock;
	client->transport = *transport;
	return client;
}

void kube_client_free(struct kube_client *client)
{
	if (!client)
		return;
	while (client->calls)
		kube_cancel(client->calls);
	timer_stop(client->clock, &client->probe_timer);
	if (client->transport.free)
		client->transport.free(client->transport.ctx);
	mem_free(&client);
}

void kube_client_set_metrics(struct kube_client *client, struct metrics *metrics)
{
	const char *host = client->transport.host;

	client->metrics = (struct client_metrics){.metrics = metrics, .host = host ? host : ""};
}

const char *kube_client_trouble(const struct kube_client *client)
{
	return *client->trouble ? client->trouble : "the API server does not answer";
}

bool kube_client_is_up(const struct kube_client *client)
{
	return client->is_up;
}

void kube_client_on_change(struct kube_client *client, void (*fn)(void *arg), void *arg)
{
	assert(client->n_listeners < MAX_LISTENERS);
	client->listeners[client->n_listeners++] = (struct listener){fn, arg};
}

void kube_put_escaped(struct buf *out, struct str s)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789-._~";

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] && strchr(unreserved, s.p[i]))
			buf_put_char(out, s.p[i]);
		else
			buf_printf(out, "%%%02X", (unsigned char)s.p[i]);
	}
}
