#include "base/buf.h"
#include "base/mem.h"
#include "buildconfig/buildconfig.h"
#include "crypto/crypto.h"
#include "receiver/exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MAX_CALLS 8

/* A delivery, and what became of it. */
struct http_request {
	const char *method, *path;
	struct http_header headers[4];
	size_t n_headers;
	int64_t length;
	void *user;
	bool is_paused;
	size_t n_resumed;
	int status; /* 0: none yet */
	struct buf answer;
	struct buf fields; /* names of the answer's headers */
};

struct world {
	int64_t now_ms;
	bool is_full; /* the journal */
	struct clock *clock;
	struct kube_client *client;
	struct kube_store *store;
	struct kube_secrets *secrets;
	struct news *news;
	struct sightings *sightings;
	struct queue *queue;
	struct metrics *metrics;
	struct receiver *receiver;
	struct kube_call *calls[MAX_CALLS]; /* the API server's, unanswered */
	char asked[MAX_CALLS][128];
	size_t n_calls;
	struct http_request *request;
};

static struct world *world; /* of the journal below */

/* No delivery here gets as far as to be stored. */

bool journal_is_writable(const struct journal *journal)
{
	(void)journal;
	return !world->is_full;
}

uint64_t journal_add(struct journal *journal, const struct journal_change *changes, size_t n,
		     journal_add_fn fn, void *arg)
{
	(void)journal;
	(void)changes;
	(void)n;
	(void)fn;
	(void)arg;
	fail();
	return 0;
}

uint64_t journal_ask(struct journal *journal, const struct journal_change *changes, size_t n,
		     journal_add_fn fn, void *arg)
{
	return journal_add(journal, changes, n, fn, arg);
}

void journal_forget(struct journal *journal, uint64_t ticket)
{
	(void)journal;
	assert_int_equal(ticket, 0);
}

/* pkg/net without sockets. */

struct str http_method(const struct http_request *r)
{
	return str_of(r->method);
}

struct str http_path(const struct http_request *r)
{
	return str_of(r->path);
}

struct str http_header(const struct http_request *r, const char *name, size_t *n)
{
	struct str first = STR("");
	size_t count = 0;

	for (size_t i = 0; i < r->n_headers; i++)
		if (str_eq_nocase(r->headers[i].name, str_of(name)) && count++ == 0)
			first = r->headers[i].value;
	if (n)
		*n = count;
	return first;
}

bool http_refuse_expectation(struct http_request *r)
{
	(void)r;
	return false;
}

bool http_refuse_length(struct http_request *r)
{
	(void)r;
	return false;
}

int64_t http_content_length(const struct http_request *r)
{
	return r->length;
}

void http_set_user(struct http_request *r, void *user)
{
	r->user = user;
}

void *http_user(const struct http_request *r)
{
	return r->user;
}

void http_pause(struct http_request *r)
{
	r->is_paused = true;
}

void http_resume(struct http_request *r)
{
	r->is_paused = false;
	r->n_resumed++;
}

void http_respond(struct http_request *r, int status, const struct http_header *headers,
		  size_t n_headers, struct str body)
{
	assert_int_equal(r->status, 0);
	r->status = status;
	for (size_t i = 0; i < n_headers; i++)
		buf_printf(&r->fields, "%.*s ", STR_ARG(headers[i].name));
	buf_put_str(&r->answer, body);
	r->user = NULL;
}

/* The API server. */

static void *on_start(void *ctx, struct kube_call *call, const struct kube_request *request)
{
	struct world *w = ctx;

	if (strstr(request->path, "/secrets/") == NULL)
		return "";
	assert_true(w->n_calls < MAX_CALLS);
	(void)snprintf(w->asked[w->n_calls], sizeof(w->asked[0]), "%s",
		       strrchr(request->path, '/') + 1);
	w->calls[w->n_calls] = call;
	return &w->calls[w->n_calls++];
}

static void on_cancel(void *ctx, void *handle)
{
	struct world *w = ctx;

	for (size_t i = 0; i < w->n_calls; i++)
		if (handle == &w->calls[i])
			w->calls[i] = NULL;
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
	w->receiver = receiver_new(&(struct receiver_options){
		.clock = w->clock,
		.client = w->client,
		.store = w->store,
		.secrets = w->secrets,
		.news = w->news,
		.sightings = w->sightings,
		.queue = w->queue,
		.metrics = w->metrics,
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
	w->news = news_new();
	w->sightings = sightings_new();
	w->queue = queue_new(w->clock, &(struct queue_backoff){5, 1000}, on_queue, w);
	w->metrics = metrics_new();
	start_receiver(w, 8 << 20);
	kube_store_begin_list(w->store, NULL);
	kube_store_end_list(w->store, NULL);
	*state = w;
	return 0;
}

static void forget_request(struct world *w)
{
	struct http_request *r = TAKE(w->request);
	struct http_handler handler = receiver_handler(w->receiver);

	if (!r)
		return;
	if (r->user)
		handler.on_abort(handler.arg, r);
	buf_release(&r->answer);
	buf_release(&r->fields);
	free(r);
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
	news_free(w->news);
	sightings_free(w->sightings);
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

static struct http_request *new_request(struct world *w, const char *path, int64_t length)
{
	struct http_request *r = mem_new(1, sizeof(*r));

	forget_request(w);
	w->request = r;
	r->method = "POST";
	r->path = path;
	r->length = length;
	r->answer = (struct buf)BUF_INIT(64 << 10);
	r->fields = (struct buf)BUF_INIT(4096);
	return r;
}

static void put_header(struct http_request *r, const char *name, const char *value)
{
	r->headers[r->n_headers++] = (struct http_header){str_of(name), str_of(value)};
}

static void begin(struct world *w)
{
	struct http_handler handler = receiver_handler(w->receiver);

	handler.on_head(handler.arg, w->request);
}

static void feed(struct world *w, struct str bytes)
{
	struct http_handler handler = receiver_handler(w->receiver);

	assert_false(w->request->is_paused);
	handler.on_body(handler.arg, w->request, bytes);
}

static void finish(struct world *w)
{
	struct http_handler handler = receiver_handler(w->receiver);

	handler.on_end(handler.arg, w->request);
}

/* GitHub's ping, signed with SECRET; NULL: not signed. Its body has come. */
static struct http_request *ping(struct world *w, const char *path, const char *secret)
{
	static char signature[8 + CRYPTO_SHA256_HEX];
	struct http_request *r = new_request(w, path, strlen(BODY));

	put_header(r, "X-GitHub-Event", "ping");
	put_header(r, "Content-Type", "application/json");
	if (secret) {
		struct crypto_hmac *hmac = crypto_hmac_new(str_of(secret));
		unsigned char digest[CRYPTO_SHA256_BYTES];

		crypto_hmac_update(hmac, STR(BODY));
		crypto_hmac_final(hmac, digest);
		crypto_hmac_free(hmac);
		memcpy(signature, "sha256=", 7);
		crypto_hex(signature + 7, digest, sizeof(digest));
		put_header(r, "X-Hub-Signature-256", signature);
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
	struct kube_transport_answer answer = {.status = status, .body = str_of(body)};

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

static struct sighting *sighting(struct world *w)
{
	return sightings_find(w->sightings, "u", "github");
}

static void expect_refusal(struct world *w, const char *why)
{
	expect_status(w, 401);
	assert_non_null(sighting(w));
	assert_string_equal(sighting(w)->refused_why, why);
}

static void a_secret_proves_in_the_path_and_as_a_signature(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *path, *signed_with;
		int status;
		const char *why;
	} cases[] = {
		{HOOK, "s%c t", 200, NULL},
		{HOOK, "other", 200, NULL},
		{HOOK, "wrong", 401, "signature does not match the secret"},
		{IN_PATH("s%25c%20t"), NULL, 200, NULL},
		{IN_PATH("s%25c%20t"), "other", 200, NULL},
		{IN_PATH("s%c%20t"), NULL, 200, NULL},
		{IN_PATH("%73%25%63%20%74"), NULL, 200, NULL},
		{IN_PATH("%6F%74%68er"), NULL, 200, NULL},
		{IN_PATH("%6f%74%68er"), NULL, 200, NULL},
		{IN_PATH("other"), "wrong", 401, "signature does not match the secret"},
		{IN_PATH("wrong"), "other", 401, "the secret in the URL is not the webhook's"},
		{IN_PATH("othe%7"), NULL, 401, "the secret in the URL is not the webhook's"},
		{IN_PATH("othe%"), NULL, 401, "the secret in the URL is not the webhook's"},
		{IN_PATH("othe%7g"), NULL, 401, "the secret in the URL is not the webhook's"},
		{IN_PATH("othe%g2"), NULL, 401, "the secret in the URL is not the webhook's"},
		{IN_PATH("othe%:2"), NULL, 401, "the secret in the URL is not the webhook's"},
		{IN_PATH("othe%/2"), NULL, 404, NULL},
		{IN_PATH("othe%-2"), NULL, 401, "the secret in the URL is not the webhook's"},
		{IN_PATH("othe%[2"), NULL, 401, "the secret in the URL is not the webhook's"},
	};

	bring_up(w);
	put_buildconfig(w, "u", "", INLINE("s%c t") "," INLINE("other"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		(void)ping(w, cases[i].path, cases[i].signed_with);
		pass(w, 500);
		if (w->request->status != cases[i].status)
			fail_msg("case %zu: status %d", i, w->request->status);
		if (cases[i].why)
			assert_string_equal(sighting(w)->refused_why, cases[i].why);
	}
	assert_int_equal(w->n_calls, 0);
}

/* As the longest secret is, but for what follows. */
static void a_secret_in_the_path_is_compared_to_its_end(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_release) struct buf path = BUF_INIT(8 << 10), data = BUF_INIT(16 << 10);
	char longest[KUBE_SECRET_MAX_BYTES];
	char *base64;

	memset(longest, 'x', sizeof(longest));
	base64 = crypto_base64((const unsigned char *)longest, sizeof(longest));
	buf_printf(&data, "\"WebHookSecretKey\":\"%s\"", base64);
	free(base64);
	put_buildconfig(w, "u", "", REFERENCE("hook"));
	for (size_t more = 0; more < 3; more++) {
		buf_clear(&path);
		buf_put_str(&path, STR("/apis/build.openshift.io/v1/namespaces/shop/buildconfigs/"
				       "cart/webhooks/"));
		buf_put(&path, longest, sizeof(longest));
		for (size_t i = 0; i < more; i++)
			buf_put_char(&path, 'x');
		buf_put_str(&path, STR("/github"));
		pass(w, 60000);
		(void)ping(w, path.data, NULL);
		answer_secret(w, "", data.data);
		if (more > 0) {
			pass(w, 1000);
			if (w->calls[w->n_calls - 1])
				answer_secret(w, "", data.data);
		}
		expect_status(w, more == 0 ? 200 : 401);
		forget_request(w);
		w->n_calls = 0;
	}
}

/* To each of them the same bytes, at the same time: whether there is a hook shows in nothing. */
static void what_cannot_be_proved_is_refused_alike(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *metadata, *triggers;
	} cases[] = {
		{NULL, NULL},
		{"", ""},
		{",\"annotations\":{\"buildhook.io/ignore\":\"true\"}", INLINE("abc")},
		{",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"", INLINE("abc")},
		{"", "{\"type\":\"GitLab\",\"gitlab\":{\"secret\":\"abc\"}}"},
		{"", INLINE("other")},
	};
	const char *expected = "did not accept your secret";

	bring_up(w);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (cases[i].metadata)
			put_buildconfig(w, "u", cases[i].metadata, cases[i].triggers);
		(void)ping(w, HOOK, "abc");
		pass(w, 499);
		assert_int_equal(w->request->status, 0);
		pass(w, 1);
		if (w->request->status != 401)
			fail_msg("case %zu: status %d", i, w->request->status);
		assert_non_null(strstr(w->request->answer.data, expected));
		assert_string_equal(w->request->fields.data, "Content-Type ");
	}
	assert_int_equal(sighting(w)->refused, 1);
	assert_string_equal(sighting(w)->refused_why, "signature does not match the secret");
}

static void an_empty_secret_proves_nothing(void **state)
{
	struct world *w = *state;

	put_buildconfig(w, "u", "", REFERENCE("hook"));
	(void)ping(w, HOOK, "");
	answer_secret(w, "", "\"WebHookSecretKey\":\"\"");
	expect_refusal(w, "the webhook has no usable secret");
}

static void a_buildconfig_made_anew_meanwhile_is_another(void **state)
{
	struct world *w = *state;

	bring_up(w);
	for (int is_gone = 0; is_gone < 2; is_gone++) {
		struct http_request *r;

		put_buildconfig(w, "u", "", INLINE("abc"));
		r = new_request(w, IN_PATH("abc"), strlen(BODY));
		put_header(r, "X-GitHub-Event", "ping");
		put_header(r, "Content-Type", "application/json");
		begin(w);
		feed(w, STR(BODY));
		kube_store_remove(w->store, "shop/cart");
		if (!is_gone)
			put_buildconfig(w, "v", "", INLINE("other"));
		finish(w);
		pass(w, 60000);
		assert_int_equal(r->status, 401);
		kube_store_remove(w->store, "shop/cart");
	}
}

static void a_large_body_for_a_former_buildconfig_is_refused(void **state)
{
	struct world *w = *state;
	struct http_request *r;

	bring_up(w);
	put_buildconfig(w, "former", "", INLINE("abc"));
	r = new_request(w, IN_PATH("abc"), MAX_KEPT_BYTES + 1);
	put_header(r, "X-GitHub-Event", "ping");
	put_header(r, "Content-Type", "application/json");
	begin(w);
	pass(w, 100);
	feed(w, STR(BODY));
	kube_store_remove(w->store, "shop/cart");
	put_buildconfig(w, "u", "", INLINE("abc"));
	finish(w);
	expect_refusal(w, "the webhook was removed while the delivery came");
}

static void an_unsigned_ping_is_answered_for_any_hook(void **state)
{
	struct world *w = *state;
	struct http_request *r;

	for (int exists = 0; exists < 2; exists++) {
		if (exists)
			put_buildconfig(w, "u", "",
					"{\"type\":\"Bitbucket\",\"bitbucket\":{"
					"\"secretReference\":{\"name\":\"hook\"}}}");
		r = new_request(w, "/hooks/shop/cart/bitbucket", 0);
		put_header(r, "X-Event-Key", "diagnostics:ping");
		begin(w);
		finish(w);
		assert_int_equal(r->status, 200);
		assert_non_null(strstr(r->answer.data, "the webhook's address is right"));
	}
	assert_int_equal(w->n_calls, 0);
	assert_null(sightings_find(w->sightings, "u", "bitbucket"));
}

static void each_secret_of_a_hook_is_waited_for(void **state)
{
	struct world *w = *state;

	put_buildconfig(w, "u", "", REFERENCE("one") "," REFERENCE("two"));
	(void)ping(w, HOOK, "def");
	assert_int_equal(w->n_calls, 2);
	answer_secret(w, "", KEY_ABC);
	assert_int_equal(w->request->status, 0);
	answer_secret(w, "", KEY_DEF);
	assert_int_equal(w->request->status, 200);
	(void)ping(w, HOOK, "abc");
	assert_int_equal(w->request->status, 200);
	assert_int_equal(w->n_calls, 2);
}

static void a_changed_secret_works_at_its_next_delivery(void **state)
{
	struct world *w = *state;

	put_buildconfig(w, "u", "", REFERENCE("hook"));
	(void)ping(w, HOOK, "abc");
	answer_secret(w, "", KEY_ABC);
	assert_int_equal(w->request->status, 200);
	pass(w, 2000);
	(void)ping(w, HOOK, "def");
	assert_int_equal(w->n_calls, 2);
	answer_secret(w, "", KEY_DEF);
	assert_int_equal(w->request->status, 200);
	pass(w, 2000);
	(void)ping(w, HOOK, "abc");
	answer_secret(w, "", KEY_DEF);
	expect_refusal(w, "signature does not match the secret");
}

static void a_previous_value_counts_until_its_time_is_over(void **state)
{
	struct world *w = *state;
	const char *metadata = ",\"labels\":{\"app.kubernetes.io/managed-by\":\"buildhook\"},"
			       "\"annotations\":{\"buildhook.io/previous-until\":"
			       "\"1970-01-01T00:20:00Z\"}";

	put_buildconfig(w, "u", "", REFERENCE("hook"));
	(void)ping(w, HOOK, "def");
	answer_secret(w, metadata, KEY_ABC ",\"WebHookSecretKey.previous\":\"ZGVm\"");
	assert_int_equal(w->request->status, 200);
	pass(w, 200000);
	(void)ping(w, HOOK, "def");
	answer_secret(w, metadata, KEY_ABC ",\"WebHookSecretKey.previous\":\"ZGVm\"");
	expect_refusal(w, "signature does not match the secret");
}

static void a_secret_of_a_former_buildconfig_proves_nothing(void **state)
{
	struct world *w = *state;

	put_buildconfig(w, "u", "", REFERENCE("hook"));
	(void)ping(w, HOOK, "abc");
	answer_secret(w,
		      ",\"ownerReferences\":[{\"apiVersion\":\"build.openshift.io/v1\",\"kind\":"
		      "\"BuildConfig\",\"name\":\"cart\",\"uid\":\"former\"}]",
		      KEY_ABC);
	expect_refusal(w, "the webhook has no usable secret");
}

static void a_missing_secret_is_refused_and_made_again(void **state)
{
	struct world *w = *state;
	struct queue_stats stats;

	put_buildconfig(w, "u", "", REFERENCE("hook"));
	(void)ping(w, HOOK, "abc");
	assert_string_equal(answer(w, 404, "{\"kind\":\"Status\",\"reason\":\"NotFound\"}"),
			    "hook");
	queue_read_stats(w->queue, &stats);
	assert_int_equal(stats.depth, 1);
	assert_string_equal(queue_get(w->queue), "shop/cart");
	expect_refusal(w, "the webhook has no usable secret");
	(void)ping(w, HOOK, "abc");
	expect_status(w, 401);
	assert_int_equal(sighting(w)->refused, 2);
}

static void who_cannot_be_asked_says_neither_yes_nor_no(void **state)
{
	struct world *w = *state;

	put_buildconfig(w, "u", "", REFERENCE("hook"));
	for (size_t i = 0; i < 2; i++) {
		(void)ping(w, HOOK, "abc");
		pass(w, 3000);
		assert_int_equal(w->request->status, 503);
		assert_non_null(strstr(w->request->answer.data, "cannot be checked now"));
		assert_non_null(strstr(w->request->fields.data, "Retry-After"));
	}
	assert_null(sighting(w));
}

/* An API server that answers others is waited for longer; then what was known counts. */
static void a_late_answer_leaves_what_was_known(void **state)
{
	struct world *w = *state;

	put_buildconfig(w, "u", "", REFERENCE("hook"));
	(void)ping(w, HOOK, "abc");
	answer_secret(w, "", KEY_ABC);
	assert_int_equal(w->request->status, 200);
	pass(w, 31000);
	(void)ping(w, HOOK, "abc");
	pass(w, 1999);
	assert_int_equal(w->request->status, 0);
	pass(w, 1);
	assert_int_equal(w->request->status, 200);
	pass(w, 31000);
	(void)ping(w, HOOK, "def");
	pass(w, 3000);
	assert_int_equal(w->request->status, 503);
}

#define LARGE (2 << 20)

/* Fresh Secrets first, and the same time where there are none to fetch. */
static void a_large_body_waits_for_its_secrets(void **state)
{
	struct world *w = *state;
	struct http_request *r;

	put_buildconfig(w, "u", "", REFERENCE("hook"));
	for (int is_late = 0; is_late < 2; is_late++) {
		r = new_request(w, IN_PATH("abc"), LARGE);
		put_header(r, "X-GitHub-Event", "ping");
		put_header(r, "Content-Type", "application/json");
		pass(w, 2000);
		begin(w);
		assert_true(r->is_paused);
		pass(w, is_late ? 150 : 10);
		answer_secret(w, "", KEY_ABC);
		assert_int_equal(r->is_paused, !is_late);
		pass(w, 100);
		assert_false(r->is_paused);
		feed(w, STR(BODY));
		finish(w);
		assert_int_equal(r->status, 200);
	}
	r = new_request(w, "/hooks/shop/none/github", LARGE);
	begin(w);
	pass(w, 99);
	assert_true(r->is_paused);
	pass(w, 1);
	assert_false(r->is_paused);
}

static void a_large_body_is_proved_once(void **state)
{
	struct world *w = *state;
	struct http_request *r = new_request(w, IN_PATH("def"), LARGE);

	put_header(r, "X-GitHub-Event", "ping");
	put_header(r, "Content-Type", "application/json");
	put_buildconfig(w, "u", "", REFERENCE("hook"));
	begin(w);
	answer_secret(w, "", KEY_ABC);
	pass(w, 2000);
	feed(w, STR(BODY));
	finish(w);
	assert_int_equal(w->n_calls, 1);
	expect_refusal(w, "the secret in the URL is not the webhook's");
}

/* Chunks say too late how large they are to wait for fresh Secrets. */
static void a_body_that_turns_out_large_is_proved_once(void **state)
{
	struct world *w = *state;
	struct http_request *r;
	static char part[64 << 10];

	bring_up(w);
	r = new_request(w, IN_PATH("def"), -1);
	put_header(r, "X-GitHub-Event", "ping");
	put_header(r, "Content-Type", "application/json");
	put_buildconfig(w, "u", "", INLINE("abc"));
	memset(part, ' ', sizeof(part));
	begin(w);
	for (size_t i = 0; i <= MAX_KEPT_BYTES / sizeof(part); i++)
		feed(w, str_range(part, sizeof(part)));
	assert_true(w->receiver->held_bytes < MAX_KEPT_BYTES);
	finish(w);
	pass(w, 500);
	assert_int_equal(r->status, 401);
	assert_int_equal(w->n_calls, 0);
}

static void a_body_that_is_faster_than_its_secrets_is_held_back(void **state)
{
	struct world *w = *state;
	struct http_request *r = new_request(w, IN_PATH("abc"), MAX_KEPT_BYTES);
	static char part[64 << 10];
	size_t n = 0;

	put_header(r, "X-GitHub-Event", "ping");
	put_header(r, "Content-Type", "application/json");
	put_buildconfig(w, "u", "", REFERENCE("hook"));
	memset(part, ' ', sizeof(part));
	begin(w);
	for (; !r->is_paused && n < MAX_KEPT_BYTES; n += sizeof(part))
		feed(w, str_range(part, sizeof(part)));
	assert_true(r->is_paused);
	assert_true(n < MAX_KEPT_BYTES);
	answer_secret(w, "", KEY_ABC);
	assert_false(r->is_paused);
	feed(w, STR(BODY));
	finish(w);
	assert_int_equal(r->status, 200);
}

static void what_all_deliveries_hold_is_bounded(void **state)
{
	struct world *w = *state;
	struct http_request *r;
	static char part[64 << 10];

	put_buildconfig(w, "u", "", INLINE("abc"));
	start_receiver(w, 100 << 10);
	r = new_request(w, IN_PATH("abc"), 200 << 10);
	begin(w);
	assert_int_equal(r->status, 503);
	r = new_request(w, IN_PATH("abc"), -1);
	begin(w);
	assert_int_equal(r->status, 0);
	feed(w, str_range(part, sizeof(part)));
	assert_int_equal(r->status, 503);
	assert_non_null(strstr(r->answer.data, "too many deliveries"));
	start_receiver(w, 1 << 10);
	r = new_request(w, IN_PATH("abc"), 5);
	begin(w);
	assert_int_equal(r->status, 503);
	assert_int_equal(w->receiver->held_bytes, 0);
}

static void who_goes_before_the_answer_leaves_nothing(void **state)
{
	struct world *w = *state;

	put_buildconfig(w, "u", "", REFERENCE("hook"));
	(void)ping(w, HOOK, "abc");
	assert_int_equal(receiver_in_flight(w->receiver), 1);
	forget_request(w);
	assert_int_equal(receiver_in_flight(w->receiver), 0);
	assert_int_equal(w->receiver->held_bytes, 0);
	pass(w, 5000);
}

static void what_is_no_delivery_is_answered_before_any_secret_is_asked_for(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *method, *path, *header, *value;
		bool is_full, is_draining;
		int status;
		const char *says;
	} cases[] = {
		{"GET", "/", "Accept", "x", false, false, 200, "buildhook"},
		{"HEAD", "/", "Accept", "x", false, false, 200, "buildhook"},
		{"POST", "/", "Accept", "x", false, false, 404, "no such path"},
		{"POST", "/hooks/shop/cart/x", "Accept", "x", false, false, 404, "no such path"},
		{"GET", HOOK, "Accept", "x", false, false, 405, "POST"},
		{"POST", HOOK, "Content-Encoding", "gzip", false, false, 415, "Content-Encoding"},
		{"POST", HOOK, "Accept", "x", true, false, 503, "cannot be stored"},
		{"POST", HOOK, "Accept", "x", true, true, 503, "shutting down"},
	};

	put_buildconfig(w, "u", "", REFERENCE("hook"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_request *r = new_request(w, cases[i].path, 0);

		r->method = cases[i].method;
		put_header(r, cases[i].header, cases[i].value);
		w->is_full = cases[i].is_full;
		if (cases[i].is_draining)
			receiver_drain(w->receiver);
		begin(w);
		assert_int_equal(r->status, cases[i].status);
		assert_non_null(strstr(r->answer.data, cases[i].says));
	}
	assert_int_equal(w->n_calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		IN_WORLD(a_secret_proves_in_the_path_and_as_a_signature),
		IN_WORLD(a_secret_in_the_path_is_compared_to_its_end),
		IN_WORLD(what_cannot_be_proved_is_refused_alike),
		IN_WORLD(an_empty_secret_proves_nothing),
		IN_WORLD(a_buildconfig_made_anew_meanwhile_is_another),
		IN_WORLD(a_large_body_for_a_former_buildconfig_is_refused),
		IN_WORLD(an_unsigned_ping_is_answered_for_any_hook),
		IN_WORLD(each_secret_of_a_hook_is_waited_for),
		IN_WORLD(a_changed_secret_works_at_its_next_delivery),
		IN_WORLD(a_previous_value_counts_until_its_time_is_over),
		IN_WORLD(a_secret_of_a_former_buildconfig_proves_nothing),
		IN_WORLD(a_missing_secret_is_refused_and_made_again),
		IN_WORLD(who_cannot_be_asked_says_neither_yes_nor_no),
		IN_WORLD(a_late_answer_leaves_what_was_known),
		IN_WORLD(a_large_body_waits_for_its_secrets),
		IN_WORLD(a_large_body_is_proved_once),
		IN_WORLD(a_body_that_turns_out_large_is_proved_once),
		IN_WORLD(a_body_that_is_faster_than_its_secrets_is_held_back),
		IN_WORLD(what_all_deliveries_hold_is_bounded),
		IN_WORLD(who_goes_before_the_answer_leaves_nothing),
		IN_WORLD(what_is_no_delivery_is_answered_before_any_secret_is_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
