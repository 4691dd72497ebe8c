/*
 * The real receiver over the program's services, with its sockets and API server left out: one
 * delivery, fed piece by piece, requests for Secrets that the test answers, in virtual time.
 */
#pragma once

#include "../journal/disk.h"
#include "../journal/world.h"
#include "test_request.h"

#include "crypto/crypto.h"
#include "receiver/delivery.h"

#define MAX_CALLS  8
#define MAX_DECOYS 64

/* A request for a Secret that does not exist (receiver/lookup.h), which the world answers. */
struct decoy {
	struct proof_world *world;
	struct kube_call *call;
	struct timer timer;
};

struct proof_world {
	struct world base;
	struct services services;
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

/* The API server. */

SHARED void answer_decoy(void *arg)
{
	struct decoy *decoy = arg;
	struct http_client_answer answer = {
		.status = 404, .body = STR("{\"kind\":\"Status\",\"reason\":\"NotFound\"}")};

	kube_transport_done(TAKE(decoy->call), &answer);
}

SHARED void *on_start(void *ctx, struct kube_call *call, const struct kube_request *request)
{
	struct proof_world *w = ctx;

	if (strstr(request->path, "/secrets/") == NULL) {
		w->probe = call;
		return &w->probe;
	}
	if (strstr(request->path, ".no-")) {
		struct decoy *decoy = &w->decoys[w->n_decoys++];

		assert_true(w->n_decoys <= MAX_DECOYS);
		*decoy = (struct decoy){.world = w, .call = call};
		if (w->decoy_ms >= 0)
			timer_start(w->base.clock, &decoy->timer, w->decoy_ms, answer_decoy, decoy);
		return decoy;
	}
	assert_true(w->n_calls < MAX_CALLS);
	(void)snprintf(w->asked[w->n_calls], sizeof(w->asked[0]), "%s",
		       strrchr(request->path, '/') + 1);
	w->calls[w->n_calls] = call;
	return &w->calls[w->n_calls++];
}

SHARED void on_cancel(void *ctx, void *handle)
{
	struct proof_world *w = ctx;

	if (handle == &w->probe)
		w->probe = NULL;
	for (size_t i = 0; i < w->n_calls; i++)
		if (handle == &w->calls[i])
			w->calls[i] = NULL;
	for (size_t i = 0; i < w->n_decoys; i++)
		if (handle == &w->decoys[i])
			timer_stop(w->base.clock, &w->decoys[i].timer);
}

/* The tests call queue_get() themselves. */
SHARED void on_keys(void *arg)
{
	(void)arg;
}

SHARED void start_receiver(struct proof_world *w, uint64_t max_buffer_bytes)
{
	receiver_free(w->receiver);
	w->receiver = receiver_new(&(struct receiver_options){
		.services = &w->services,
		.max_buffer_bytes = max_buffer_bytes,
		.secret_ttl_ms = 30000,
		.start_timeout_ms = 4000,
	});
}

SHARED int set_up(void **state)
{
	struct proof_world *w = mem_new(1, sizeof(*w));
	struct err err = {0};

	*state = w;
	if (world_init(&w->base) != 0)
		return -1;
	w->base.mono_ms = w->base.wall_ms = 1000000;
	w->metrics = metrics_new();
	disk_start(1);
	if (services_init(&w->services,
			  &(struct services_options){
				  .clock = w->base.clock,
				  .metrics = w->metrics,
				  .transport = {.ctx = w, .start = on_start, .cancel = on_cancel},
				  .data_dir = w->base.dir,
				  .dedupe_window_ms = WINDOW_MS,
				  .secret_ttl_ms = 30000,
				  .on_queue = on_keys,
			  },
			  &err) != 0)
		fail_msg("%s", err.msg);
	w->base.journal = w->services.journal;
	start_receiver(w, 8 << 20);
	kube_store_begin_list(w->services.store, NULL);
	kube_store_end_list(w->services.store, NULL);
	return 0;
}

SHARED void forget_request(struct proof_world *w)
{
	struct test_request *r = TAKE(w->request);
	struct http_handler handler = receiver_handler(w->receiver);

	if (!r)
		return;
	if (r->request.user)
		handler.on_abort(handler.arg, &r->request);
	test_request_free(r);
}

SHARED int tear_down(void **state)
{
	struct proof_world *w = *state;

	forget_request(w);
	assert_int_equal(receiver_in_flight(w->receiver), 0);
	receiver_free(w->receiver);
	services_release(&w->services);
	disk_stop();
	metrics_free(w->metrics);
	w->base.journal = NULL;
	world_release(&w->base);
	free(w);
	return 0;
}

SHARED void pass(struct proof_world *w, int64_t ms)
{
	int64_t until_ms = w->base.mono_ms + ms;

	for (;;) {
		int64_t next_ms = clock_next_ms(w->base.clock);

		if (next_ms < 0 || w->base.mono_ms + next_ms > until_ms)
			break;
		world_advance(&w->base, next_ms);
		clock_run(w->base.clock);
	}
	world_advance(&w->base, until_ms - w->base.mono_ms);
}

/* BuildConfig shop/cart with these members of its metadata, and triggers. */
SHARED void put_buildconfig(struct proof_world *w, const char *uid, const char *metadata,
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
	kube_store_put(w->services.store, doc, w->base.mono_ms);
}

#define INLINE(secret) "{\"type\":\"GitHub\",\"github\":{\"secret\":\"" secret "\"}}"
#define REFERENCE(name)                                                                            \
	"{\"type\":\"GitHub\",\"github\":{\"secretReference\":{\"name\":\"" name "\"}}}"
#define HOOK "/hooks/shop/cart/github"
#define IN_PATH(secret)                                                                            \
	"/apis/build.openshift.io/v1/namespaces/shop/buildconfigs/cart/webhooks/" secret "/github"
#define BODY "{\"zen\":\"x\"}"

SHARED struct test_request *new_request(struct proof_world *w, const char *path, int64_t length)
{
	forget_request(w);
	w->request = test_request_new(path, length);
	return w->request;
}

SHARED void begin(struct proof_world *w)
{
	struct http_handler handler = receiver_handler(w->receiver);

	handler.on_head(handler.arg, &w->request->request);
}

SHARED void feed(struct proof_world *w, struct str bytes)
{
	struct http_handler handler = receiver_handler(w->receiver);

	assert_false(w->request->is_paused);
	handler.on_body(handler.arg, &w->request->request, bytes);
}

SHARED void finish(struct proof_world *w)
{
	struct http_handler handler = receiver_handler(w->receiver);

	handler.on_end(handler.arg, &w->request->request);
}

/* Sends GitHub's ping, signed with SECRET (NULL: not signed), with its whole body. */
SHARED struct test_request *ping(struct proof_world *w, const char *path, const char *secret)
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

/* Answers the oldest unanswered request. Returns the name of its Secret. */
static const char *answer(struct proof_world *w, int status, const char *body)
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

SHARED void answer_secret(struct proof_world *w, const char *metadata, const char *data)
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
SHARED void bring_up(struct proof_world *w)
{
	put_buildconfig(w, "up", "", REFERENCE("up"));
	(void)ping(w, HOOK, "abc");
	answer_secret(w, "", KEY_ABC);
	assert_int_equal(w->request->status, 200);
	forget_request(w);
	kube_store_remove(w->services.store, "shop/cart");
	w->n_calls = 0;
}

SHARED void expect_status(struct proof_world *w, int status)
{
	pass(w, 500);
	if (w->request->status != status)
		fail_msg("status %d", w->request->status);
}

static inline void ignore_added(void *arg, int status, const struct journal_add_result *results,
				size_t n)
{
	(void)arg;
	(void)status;
	(void)results;
	(void)n;
}

static inline void collect_on_broken_disk(struct proof_world *w)
{
	disk_fail(DISK_EIO, 1, true);
	journal_collect(w->services.journal);
	assert_non_null(journal_failure(w->services.journal));
}

SHARED struct hook_activity *hook_activity_of(struct proof_world *w)
{
	return activity_find(w->services.activity, "u", HOOK_GITHUB);
}

SHARED void expect_refusal(struct proof_world *w, const char *why)
{
	expect_status(w, 401);
	assert_non_null(hook_activity_of(w));
	assert_string_equal(hook_activity_of(w)->refused_why, why);
}
