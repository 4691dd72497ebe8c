/*
 * The real receiver with its sockets, API server and journal left out: one delivery, fed piece by
 * piece, requests for Secrets that the test answers, in virtual time.
 */
#pragma once

#include "test_request.h"

#include "buildconfig/buildconfig.h"
#include "crypto/crypto.h"
#include "receiver/delivery.h"

#include <stdio.h>

#define MAX_CALLS  8
#define MAX_DECOYS 64

/* A request for a Secret that does not exist (receiver/lookup.h): the world itself answers it. */
struct decoy {
	struct world *world;
	struct kube_call *call;
	struct timer timer;
};

struct world {
	int64_t now_ms;
	bool is_full; /* the journal */
	bool refuses_rows;
	journal_add_fn stored; /* of the call under way */
	void *stored_arg;
	size_t n_rows;
	char row[300]; /* "TYPE REF COMMIT" of the first */
	struct clock *clock;
	struct services services;
	struct kube_client *client;
	struct kube_store *store;
	struct kube_secrets *secrets;
	struct waiters *waiters;
	struct activity *activity;
	struct queue *queue;
	struct metrics *metrics;
	struct receiver *receiver;
	struct kube_call *calls[MAX_CALLS]; /* the API server's, unanswered */
	char asked[MAX_CALLS][128];
	size_t n_calls;
	struct decoy decoys[MAX_DECOYS];
	size_t n_decoys;
	int64_t decoy_ms;        /* until they are answered 404; -1: never */
	struct kube_call *probe; /* of /readyz, unanswered */
	struct test_request *request;
};

static struct world *world; /* of the journal below */

/* The journal: the test ends a call with stored() in the file that needs it. */

const char *journal_failure(const struct journal *journal)
{
	(void)journal;
	return world->is_full ? "disk I/O error" : NULL;
}

uint64_t journal_add(struct journal *journal, const struct journal_change *changes, size_t n,
		     journal_add_fn fn, void *arg)
{
	(void)journal;
	assert_true(n > 0 && !world->stored);
	world->n_rows = n;
	(void)snprintf(world->row, sizeof(world->row), "%s %s %.7s", changes[0].type,
		       changes[0].ref, changes[0].commit);
	if (world->refuses_rows)
		return 0;
	world->stored = fn;
	world->stored_arg = arg;
	return 1;
}

uint64_t journal_ask(struct journal *journal, const struct journal_change *changes, size_t n,
		     journal_add_fn fn, void *arg)
{
	return journal_add(journal, changes, n, fn, arg);
}

void journal_forget(struct journal *journal, uint64_t ticket)
{
	(void)journal;
	assert_int_equal(ticket, 1);
	world->stored = NULL;
}

/* The API server. */

static void answer_decoy(void *arg)
{
	struct decoy *decoy = arg;
	struct http_client_answer answer = {
		.status = 404, .body = STR("{\"kind\":\"Status\",\"reason\":\"NotFound\"}")};

	kube_transport_done(TAKE(decoy->call), &answer);
}

static void *on_start(void *ctx, struct kube_call *call, const struct kube_request *request)
{
	struct world *w = ctx;

	if (strstr(request->path, "/secrets/") == NULL) {
		w->probe = call;
		return &w->probe;
	}
	if (strstr(request->path, ".no-")) {
		struct decoy *decoy = &w->decoys[w->n_decoys++];

		assert_true(w->n_decoys <= MAX_DECOYS);
		*decoy = (struct decoy){.world = w, .call = call};
		if (w->decoy_ms >= 0)
			timer_start(w->clock, &decoy->timer, w->decoy_ms, answer_decoy, decoy);
		return decoy;
	}
	assert_true(w->n_calls < MAX_CALLS);
	(void)snprintf(w->asked[w->n_calls], sizeof(w->asked[0]), "%s",
		       strrchr(request->path, '/') + 1);
	w->calls[w->n_calls] = call;
	return &w->calls[w->n_calls++];
}

static void on_cancel(void *ctx, void *handle)
{
	struct world *w = ctx;

	if (handle == &w->probe)
		w->probe = NULL;
	for (size_t i = 0; i < w->n_calls; i++)
		if (handle == &w->calls[i])
			w->calls[i] = NULL;
	for (size_t i = 0; i < w->n_decoys; i++)
		if (handle == &w->decoys[i])
			timer_stop(w->clock, &w->decoys[i].timer);
}

static int64_t now(void *arg)
{
	return ((struct world *)arg)->now_ms;
}

static void no_random(void *arg, void *out, size_t n)
{
	(void)arg;
	memset(out, 4, n);
}

static void *parse_buildconfig(void *arg, const cJSON *doc)
{
	(void)arg;
	return buildconfig_parse(doc);
}

static void free_buildconfig(void *object)
{
	buildconfig_free(object);
}

static void on_queue(void *arg)
{
	(void)arg;
}

static void start_receiver(struct world *w, uint64_t max_buffer_bytes)
{
	receiver_free(w->receiver);
	w->services = (struct services){
		.clock = w->clock,
		.client = w->client,
		.store = w->store,
		.secrets = w->secrets,
		.waiters = w->waiters,
		.activity = w->activity,
		.queue = w->queue,
		.metrics = w->metrics,
	};
	w->receiver = receiver_new(&(struct receiver_options){
		.services = &w->services,
		.max_buffer_bytes = max_buffer_bytes,
		.secret_ttl_ms = 30000,
		.start_timeout_ms = 4000,
	});
}

static int set_up(void **state)
{
	struct world *w = mem_new(1, sizeof(*w));
	struct clock_source source = {now, now, no_random, w};
	struct kube_transport transport = {.ctx = w, .start = on_start, .cancel = on_cancel};

	world = w;
	w->now_ms = 1000000;
	w->clock = clock_new(&source);
	w->client = kube_client_new_over(w->clock, &transport);
	w->store = kube_store_new(
		&(struct kube_store_type){.parse = parse_buildconfig, .free = free_buildconfig});
	w->secrets = kube_secrets_new(&(struct kube_secrets_options){
		.client = w->client, .clock = w->clock, .ttl_ms = 30000});
	w->waiters = waiters_new();
	w->activity = activity_new();
	w->queue = queue_new(w->clock, 16, on_queue, w);
	w->metrics = metrics_new();
	start_receiver(w, 8 << 20);
	kube_store_begin_list(w->store, NULL);
	kube_store_end_list(w->store, NULL);
	*state = w;
	return 0;
}

static void forget_request(struct world *w)
{
	struct test_request *r = TAKE(w->request);
	struct http_handler handler = receiver_handler(w->receiver);

	if (!r)
		return;
	if (r->request.user)
		handler.on_abort(handler.arg, &r->request);
	test_request_free(r);
}

static int tear_down(void **state)
{
	struct world *w = *state;

	forget_request(w);
	assert_int_equal(receiver_in_flight(w->receiver), 0);
	receiver_free(w->receiver);
	kube_secrets_free(w->secrets);
	kube_client_free(w->client);
	kube_store_free(w->store);
	queue_free(w->queue);
	waiters_free(w->waiters);
	activity_free(w->activity);
	metrics_free(w->metrics);
	clock_free(w->clock);
	free(w);
	return 0;
}

static void pass(struct world *w, int64_t ms)
{
	int64_t until_ms = w->now_ms + ms;

	for (;;) {
		int64_t next_ms = clock_next_ms(w->clock);

		if (next_ms < 0 || w->now_ms + next_ms > until_ms)
			break;
		w->now_ms += next_ms;
		clock_run(w->clock);
	}
	w->now_ms = until_ms;
}

/* BuildConfig shop/cart with these members of its metadata, and triggers. */
static void put_buildconfig(struct world *w, const char *uid, const char *metadata,
			    const char *triggers)
{
	static unsigned version;
	CLEANUP(buf_release) struct buf text = BUF_INIT(16 << 10);
	CLEANUP(json_freep) cJSON *doc = NULL;

	buf_printf(&text,
		   "{\"kind\":\"BuildConfig\",\"apiVersion\":\"build.openshift.io/v1\","
		   "\"metadata\":{\"namespace\":\"shop\",\"name\":\"cart\",\"uid\":\"%s\","
		   "\"resourceVersion\":\"%u\"%s},\"spec\":{\"source\":{\"git\":{\"uri\":"
		   "\"https://git.example.com/x.git\"}},\"strategy\":{\"dockerStrategy\":{}},"
		   "\"triggers\":[%s]}}",
		   uid, ++version, metadata, triggers);
	assert_int_equal(json_parse(&doc, buf_str(&text), NULL), 0);
	kube_store_put(w->store, doc, w->now_ms);
}

#define INLINE(secret) "{\"type\":\"GitHub\",\"github\":{\"secret\":\"" secret "\"}}"
#define REFERENCE(name)                                                                            \
	"{\"type\":\"GitHub\",\"github\":{\"secretReference\":{\"name\":\"" name "\"}}}"
#define HOOK "/hooks/shop/cart/github"
#define IN_PATH(secret)                                                                            \
	"/apis/build.openshift.io/v1/namespaces/shop/buildconfigs/cart/webhooks/" secret "/github"
#define BODY "{\"zen\":\"x\"}"

static struct test_request *new_request(struct world *w, const char *path, int64_t length)
{
	forget_request(w);
	w->request = test_request_new(path, length);
	return w->request;
}

static void begin(struct world *w)
{
	struct http_handler handler = receiver_handler(w->receiver);

	handler.on_head(handler.arg, &w->request->request);
}

static void feed(struct world *w, struct str bytes)
{
	struct http_handler handler = receiver_handler(w->receiver);

	assert_false(w->request->is_paused);
	handler.on_body(handler.arg, &w->request->request, bytes);
}

static void finish(struct world *w)
{
	struct http_handler handler = receiver_handler(w->receiver);

	handler.on_end(handler.arg, &w->request->request);
}

/* GitHub's ping, signed with SECRET; NULL: not signed. Its body has come. */
static struct test_request *ping(struct world *w, const char *path, const char *secret)
{
	static char signature[8 + CRYPTO_SHA256_HEX];
	struct test_request *r = new_request(w, path, strlen(BODY));

	test_request_put(r, "X-GitHub-Event", "ping");
	test_request_put(r, "Content-Type", "application/json");
	if (secret) {
		struct crypto_hmac *hmac = crypto_hmac_new(str_of(secret));
		unsigned char digest[CRYPTO_SHA256_BYTES];

		crypto_hmac_update(hmac, STR(BODY));
		crypto_hmac_final(hmac, digest);
		crypto_hmac_free(hmac);
		memcpy(signature, "sha256=", 7);
		crypto_hex(signature + 7, digest, sizeof(digest));
		test_request_put(r, "X-Hub-Signature-256", signature);
	}
	begin(w);
	if (r->status)
		return r;
	feed(w, STR(BODY));
	if (!r->status)
		finish(w);
	return r;
}

/* The oldest of the unanswered questions. Returns the name of the Secret. */
static const char *answer(struct world *w, int status, const char *body)
{
	struct http_client_answer answer = {.status = status, .body = str_of(body)};

	for (size_t i = 0; i < w->n_calls; i++) {
		struct kube_call *call = TAKE(w->calls[i]);

		if (!call)
			continue;
		kube_transport_done(call, &answer);
		pass(w, 0);
		return w->asked[i];
	}
	fail_msg("nothing was asked");
	return "";
}

static void answer_secret(struct world *w, const char *metadata, const char *data)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(16 << 10);
	size_t i = 0;

	while (!w->calls[i])
		assert_true(++i < w->n_calls);
	buf_printf(&text,
		   "{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{\"namespace\":"
		   "\"shop\",\"name\":\"%s\",\"uid\":\"s\",\"resourceVersion\":\"1\"%s},"
		   "\"data\":{%s}}",
		   w->asked[i], metadata, data);
	(void)answer(w, 200, text.data);
}

#define KEY_ABC "\"WebHookSecretKey\":\"YWJj\""
#define KEY_DEF "\"WebHookSecretKey\":\"ZGVm\""

/* The API server is up: it has answered something. */
static void bring_up(struct world *w)
{
	put_buildconfig(w, "up", "", REFERENCE("up"));
	(void)ping(w, HOOK, "abc");
	answer_secret(w, "", KEY_ABC);
	assert_int_equal(w->request->status, 200);
	forget_request(w);
	kube_store_remove(w->store, "shop/cart");
	w->n_calls = 0;
}

static void expect_status(struct world *w, int status)
{
	pass(w, 500);
	if (w->request->status != status)
		fail_msg("status %d", w->request->status);
}

static struct hook_activity *hook_activity_of(struct world *w)
{
	return activity_find(w->activity, "u", HOOK_GITHUB);
}

SHARED void expect_refusal(struct world *w, const char *why)
{
	expect_status(w, 401);
	assert_non_null(hook_activity_of(w));
	assert_string_equal(hook_activity_of(w)->refused_why, why);
}
