/*
 * The services and a controller over a fake API server, which takes one request at a time and
 * answers it after a millisecond as the test says.
 */
#pragma once

#include "../journal/world.h"

#include "buildconfig/buildconfig.h"
#include "controller/internal.h"

#include <utlist.h>

#define PARTS_BODY_BYTES 1200

struct parts_call {
	struct kube_call *call;
	int status;
	char body[PARTS_BODY_BYTES];
	struct parts_call *prev, *next;
};

struct parts {
	struct world base;
	struct services services;
	struct metrics *metrics;
	struct controller *controller;
	/* False: the test works on keys itself. */
	bool is_running;
	/* Returns the status of the answer to REQUEST, and puts its body into BODY, which is "{}".
	 * NULL: STATUS, with a body that says nothing. */
	int (*serve)(struct parts *p, const struct kube_request *request,
		     char body[PARTS_BODY_BYTES]);
	int status;
	struct parts_call *calls; /* oldest first */
	struct timer timer;       /* runs until the oldest call is answered */
	/* The newest request. */
	int n_requests;
	enum kube_method method;
	char path[512], body[4096];
};

static inline void parts_answer_oldest(void *arg)
{
	struct parts *p = arg;
	struct parts_call *call = p->calls;
	const struct http_client_answer answer = {.status = call->status,
						  .content_type = STR("application/json"),
						  .body = str_of(call->body)};

	DL_DELETE(p->calls, call);
	kube_transport_done(call->call, &answer);
	free(call);
	if (p->calls && !timer_running(&p->timer))
		timer_start(p->base.clock, &p->timer, 1, parts_answer_oldest, p);
}

static inline void *parts_on_start(void *ctx, struct kube_call *kube_call,
				   const struct kube_request *request)
{
	struct parts *p = ctx;
	struct parts_call *call = mem_new(1, sizeof(*call));

	*call = (struct parts_call){.call = kube_call, .status = p->status, .body = "{}"};
	if (p->serve)
		call->status = p->serve(p, request, call->body);
	p->n_requests++;
	p->method = request->method;
	(void)snprintf(p->path, sizeof(p->path), "%s", request->path);
	(void)snprintf(p->body, sizeof(p->body), "%.*s", STR_ARG(request->body));
	DL_APPEND(p->calls, call);
	if (!timer_running(&p->timer))
		timer_start(p->base.clock, &p->timer, 1, parts_answer_oldest, p);
	return call;
}

static inline void parts_on_cancel(void *ctx, void *handle)
{
	struct parts *p = ctx;
	struct parts_call *call = handle;

	DL_DELETE(p->calls, call);
	free(call);
	if (!p->calls)
		timer_stop(p->base.clock, &p->timer);
}

static inline void parts_on_buildconfig(void *arg, const char *key, const void *old,
					const void *new_)
{
	struct parts *p = arg;

	if (p->is_running)
		controller_on_change(p->controller, key, old, new_);
}

static inline void parts_on_queue(void *arg)
{
	struct parts *p = arg;

	if (p->is_running)
		controller_run(p->controller);
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

/* Makes the services without a controller. */
static inline int parts_init(struct parts *p)
{
	struct err err = {0};

	if (world_init(&p->base) != 0)
		return -1;
	p->status = 200;
	p->metrics = metrics_new();
	if (services_init(&p->services,
			  &(struct services_options){
				  .clock = p->base.clock,
				  .metrics = p->metrics,
				  .transport = {.ctx = p,
						.start = parts_on_start,
						.cancel = parts_on_cancel},
				  .data_dir = p->base.dir,
				  .dedupe_window_ms = WINDOW_MS,
				  .secret_ttl_ms = 30000,
				  .on_buildconfig = parts_on_buildconfig,
				  .on_queue = parts_on_queue,
				  .arg = p,
			  },
			  &err) != 0)
		fail_msg("%s", err.msg);
	p->base.journal = p->services.journal;
	return 0;
}

/* Makes the controller, and lets the API server answer once. */
static inline void parts_start(struct parts *p, enum controller_backend backend,
			       unsigned build_burst, double builds_per_minute)
{
	p->controller = controller_new(&(struct controller_options){
		.services = &p->services,
		.backend = backend,
		.public_url = "",
		.instance = "one",
		.give_up_ms = WINDOW_MS,
		.status_interval_ms = 5000,
		.resync_ms = WINDOW_MS,
		.secret_ttl_ms = 30000,
		.rotation_grace_ms = WINDOW_MS,
		.build_burst = build_burst,
		.builds_per_minute = builds_per_minute,
	});
	(void)kube_start(p->services.client, &(struct kube_request){.path = "/readyz"},
			 parts_ignore, NULL);
	parts_go(p, 10);
	p->n_requests = 0;
}

static inline void parts_release(struct parts *p)
{
	controller_free(p->controller);
	services_release(&p->services);
	metrics_free(p->metrics);
	p->base.journal = NULL;
	world_release(&p->base);
}

static inline int parts_setup(void **state)
{
	struct parts *p = calloc(1, sizeof(*p));

	*state = p;
	if (!p || parts_init(p) != 0)
		return -1;
	parts_start(p, CONTROLLER_OPENSHIFT, 1, 12);
	return 0;
}

static inline int parts_teardown(void **state)
{
	parts_release(*state);
	free(*state);
	return 0;
}

struct parts_buildconfig {
	const char *namespace_, *name, *uid;
	int resource_version, last_version;
};

/* The document of BC as the API server has it. */
static inline void parts_format_buildconfig(char out[PARTS_BODY_BYTES], struct parts_buildconfig bc)
{
	(void)snprintf(out, PARTS_BODY_BYTES,
		       "{\"apiVersion\":\"build.openshift.io/v1\",\"kind\":\"BuildConfig\","
		       "\"metadata\":{\"namespace\":\"%s\",\"name\":\"%s\",\"uid\":\"%s\","
		       "\"resourceVersion\":\"%d\"},\"spec\":{\"source\":{\"git\":{\"uri\":"
		       "\"https://git.example.com/cart.git\"}},\"strategy\":{\"type\":\"Docker\","
		       "\"dockerStrategy\":{}},\"triggers\":[{\"type\":\"GitHub\",\"github\":{"
		       "\"secret\":\"inline\"}}]},\"status\":{\"lastVersion\":%d}}",
		       bc.namespace_, bc.name, bc.uid, bc.resource_version, bc.last_version);
}

/* Puts BC into the store. */
static inline void parts_put(struct parts *p, struct parts_buildconfig bc)
{
	char text[PARTS_BODY_BYTES];
	CLEANUP(json_freep) cJSON *doc = NULL;

	parts_format_buildconfig(text, bc);
	assert_int_equal(json_parse(&doc, str_of(text), NULL), 0);
	kube_store_put(p->services.store, doc, p->base.mono_ms);
}

/* BuildConfig shop/cart. */
static inline void parts_put_buildconfig(struct parts *p, int last_version)
{
	static int version;

	parts_put(p, (struct parts_buildconfig){"shop", "cart", "u1", ++version, last_version});
}

static inline int64_t parts_push_to(struct parts *p, struct parts_buildconfig bc,
				    const char *delivery_id, const char *ref)
{
	struct journal_change change = sample(delivery_id, ref);
	struct told told;

	change.namespace_ = bc.namespace_;
	change.name = bc.name;
	change.uid = bc.uid;
	told = add(&p->base, &change, 1);
	assert_int_equal(told.status, ERR_OK);
	return told.results[0].seq;
}

/* Stores a push to shop/cart. */
static inline int64_t parts_push(struct parts *p, const char *delivery_id, const char *ref)
{
	const struct parts_buildconfig bc = {.namespace_ = "shop", .name = "cart", .uid = "u1"};

	return parts_push_to(p, bc, delivery_id, ref);
}

/* The controller's memory of shop/cart, outside of its table. */
static inline struct object *parts_new_object(struct parts *p)
{
	static const char key[] = "shop/cart";
	struct object *object = mem_new(1, sizeof(*object) + sizeof(key));

	object->controller = p->controller;
	memcpy(object->key, key, sizeof(key));
	object->order.known_version = -1;
	return object;
}

static inline void parts_free_object(struct object **object)
{
	secret_release(&(*object)->secrets);
	free((*object)->trouble);
	free((*object)->origin.hint);
	free((*object)->runner.unrun);
	free(*object);
}

#define PARTS_TEST(fn) cmocka_unit_test_setup_teardown(fn, parts_setup, parts_teardown)
