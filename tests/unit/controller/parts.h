/*
 * A controller with all its parts over a fake API server that notes the newest request and answers
 * each after a millisecond as the test says.
 */
#pragma once

#include "../journal/world.h"

#include "buildconfig/buildconfig.h"
#include "controller/internal.h"

#include <utlist.h>

#define PARTS_BUILDCONFIG                                                                          \
	"{\"apiVersion\":\"build.openshift.io/v1\",\"kind\":\"BuildConfig\",\"metadata\":{"        \
	"\"namespace\":\"shop\",\"name\":\"cart\",\"uid\":\"u1\",\"resourceVersion\":\"%d\"},"     \
	"\"spec\":{\"source\":{\"git\":{\"uri\":\"https://git.example.com/cart.git\"}},"           \
	"\"strategy\":{\"type\":\"Docker\",\"dockerStrategy\":{}},\"triggers\":[{\"type\":"        \
	"\"GitHub\",\"github\":{\"secret\":\"inline\"}}]},\"status\":{\"lastVersion\":%d}}"

struct parts_call {
	struct kube_call *call;
	struct parts *parts;
	struct timer timer;
	struct parts_call *prev, *next;
};

struct parts {
	struct world base;
	struct services services;
	struct kube_client *client;
	struct kube_store *store;
	struct kube_secrets *secrets;
	struct metrics *metrics;
	struct waiters *waiters;
	struct activity *activity;
	struct queue *queue;
	struct controller *controller;
	struct parts_call *calls;
	int status; /* of each answer */
	/* The newest request. */
	int n_requests;
	enum kube_method method;
	char path[512], body[4096];
};

static inline void parts_on_due(void *arg)
{
	struct parts_call *call = arg;
	const struct http_client_answer came = {.status = call->parts->status,
						.content_type = STR("application/json"),
						.body = STR("{\"kind\":\"Status\"}")};

	DL_DELETE(call->parts->calls, call);
	kube_transport_done(call->call, &came);
	free(call);
}

static inline void *parts_on_start(void *ctx, struct kube_call *kube_call,
				   const struct kube_request *request)
{
	struct parts *p = ctx;
	struct parts_call *call = mem_new(1, sizeof(*call));

	call->call = kube_call;
	call->parts = p;
	DL_APPEND(p->calls, call);
	p->n_requests++;
	p->method = request->method;
	(void)snprintf(p->path, sizeof(p->path), "%s", request->path);
	(void)snprintf(p->body, sizeof(p->body), "%.*s", STR_ARG(request->body));
	timer_start(p->base.clock, &call->timer, 1, parts_on_due, call);
	return call;
}

static inline void parts_on_cancel(void *ctx, void *handle)
{
	struct parts *p = ctx;
	struct parts_call *call = handle;

	timer_stop(p->base.clock, &call->timer);
	DL_DELETE(p->calls, call);
	free(call);
}

static inline void *parts_parse(void *arg, const cJSON *doc)
{
	(void)arg;
	return buildconfig_parse(doc);
}

static inline void parts_free_parsed(void *object)
{
	buildconfig_free(object);
}

/* The test works on keys itself. */
static inline void parts_on_queue(void *arg)
{
	(void)arg;
}

static inline void parts_ignore(void *arg, const struct kube_response *response)
{
	(void)arg;
	(void)response;
}

static inline void parts_go(struct parts *p, int64_t ms)
{
	for (int64_t i = 0; i < ms; i++) {
		world_advance(&p->base, 1);
		clock_run(p->base.clock);
		journal_collect(p->base.journal);
	}
}

static inline int parts_setup(void **state)
{
	struct parts *p = calloc(1, sizeof(*p));
	const struct kube_transport transport = {
		.ctx = p, .start = parts_on_start, .cancel = parts_on_cancel};

	*state = p;
	if (!p || world_init(&p->base) != 0)
		return -1;
	world_must_open(&p->base);
	p->status = 200;
	p->client = kube_client_new_over(p->base.clock, &transport);
	p->store = kube_store_new(
		&(struct kube_store_type){.parse = parts_parse, .free = parts_free_parsed});
	p->secrets = kube_secrets_new(&(struct kube_secrets_options){
		.client = p->client, .clock = p->base.clock, .ttl_ms = 30000});
	p->metrics = metrics_new();
	p->waiters = waiters_new();
	p->activity = activity_new();
	p->queue = queue_new(p->base.clock, 16, parts_on_queue, p);
	p->services = (struct services){
		.clock = p->base.clock,
		.queue = p->queue,
		.client = p->client,
		.store = p->store,
		.secrets = p->secrets,
		.journal = p->base.journal,
		.waiters = p->waiters,
		.activity = p->activity,
		.metrics = p->metrics,
	};
	p->controller = controller_new(&(struct controller_options){
		.services = &p->services,
		.backend = CONTROLLER_OPENSHIFT,
		.public_url = "",
		.instance = "one",
		.give_up_ms = WINDOW_MS,
		.status_interval_ms = 5000,
		.resync_ms = WINDOW_MS,
		.secret_ttl_ms = 30000,
		.rotation_grace_ms = WINDOW_MS,
		.build_burst = 1,
		.builds_per_minute = 12,
	});
	(void)kube_start(p->client, &(struct kube_request){.path = "/readyz"}, parts_ignore, NULL);
	parts_go(p, 10);
	p->n_requests = 0;
	return 0;
}

static inline int parts_teardown(void **state)
{
	struct parts *p = *state;

	controller_free(p->controller);
	kube_secrets_free(p->secrets);
	kube_client_free(p->client);
	kube_store_free(p->store);
	queue_free(p->queue);
	waiters_free(p->waiters);
	activity_free(p->activity);
	metrics_free(p->metrics);
	world_release(&p->base);
	free(p);
	return 0;
}

/* BuildConfig shop/cart as the cache has it. */
static inline void parts_put_buildconfig(struct parts *p, int last_version)
{
	static int version;
	char text[1024];
	cJSON *doc;

	(void)snprintf(text, sizeof(text), PARTS_BUILDCONFIG, ++version, last_version);
	assert_int_equal(json_parse(&doc, str_of(text), NULL), 0);
	kube_store_put(p->store, doc, p->base.mono_ms);
	cJSON_Delete(doc);
}

static inline int64_t parts_push(struct parts *p, const char *delivery_id, const char *ref)
{
	struct journal_change change = sample(delivery_id, ref);
	struct told told;

	change.uid = "u1";
	told = add(&p->base, &change, 1);
	assert_int_equal(told.status, ERR_OK);
	return told.results[0].seq;
}

#define PARTS_TEST(fn) cmocka_unit_test_setup_teardown(fn, parts_setup, parts_teardown)
