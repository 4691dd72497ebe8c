/*
 * pkg/net without sockets: the functions that the receiver calls of it, over requests that a
 * simulated Git host sends.
 */
#include "ledger.h"
#include "replica.h"

#include "crypto/crypto.h"

#include <stdio.h>
#include <utlist.h>

#define MAX_HEADERS 8
/* Timeouts of Secrets' lookups (two rounds), and of the start of the build. */
#define PATIENCE_MS 90000

struct http_request {
	struct replica *replica;
	struct push *push;
	struct http_header headers[MAX_HEADERS];
	size_t n_headers;
	char path[300], signature[80], length[24];
	struct buf body;
	struct timer timer;
	void *user;
	int64_t sent_ms;
	bool is_paused, is_fed, is_answered;
	unsigned depth; /* within functions of the handler */
	struct http_request *prev, *next;
};

static void free_request(struct http_request *r)
{
	timer_stop(r->replica->world->clock, &r->timer);
	DL_DELETE(r->replica->requests, r);
	buf_release(&r->body);
	free(r);
}

struct str http_method(const struct http_request *r)
{
	(void)r;
	return STR("POST");
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
	return (int64_t)r->body.len;
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

static void feed(struct http_request *r)
{
	struct http_handler handler = receiver_handler(r->replica->receiver);

	r->is_fed = true;
	if (!r->push->first_ms)
		r->push->first_ms = world_wall_ms(r->replica->world);
	r->depth++;
	handler.on_body(handler.arg, r, buf_str(&r->body));
	if (!r->is_answered)
		handler.on_end(handler.arg, r);
	r->depth--;
	if (r->is_answered)
		free_request(r);
}

static void on_feed(void *arg)
{
	feed(arg);
}

void http_resume(struct http_request *r)
{
	if (r->is_paused && !r->is_fed)
		timer_start(r->replica->world->clock, &r->timer, 0, on_feed, r);
	r->is_paused = false;
}

static const char *reason_of(const cJSON *doc)
{
	const char *reason = json_str_at(doc, "reason");

	return reason ? reason : "";
}

/* Of 200s: stored, and to be built or ended with a reason. */
static bool is_taken(const char *kind, const char *reason)
{
	static const char *const reasons[] = {"Started", "Queued", "Duplicate", "Superseded",
					      "Failed"};

	if (strcmp(kind, "Status") != 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (strcmp(reason, reasons[i]) == 0)
			return true;
	return false;
}

/* The replica does not know the BuildConfig as it is. */
static bool is_behind(const struct http_request *r)
{
	const struct push *push = r->push;
	const struct api *api = r->replica->world->api;
	const struct api_object *bc = api_find(api, API_BUILDCONFIG, push->namespace_, push->name);
	char key[200];

	(void)snprintf(key, sizeof(key), "%s/%s", push->namespace_, push->name);
	return !bc || strcmp(kube_store_version(r->replica->store, key),
			     json_str_at(bc->doc, "metadata/resourceVersion")) != 0;
}

static bool is_ignored_rightly(const struct http_request *r, const char *reason)
{
	const struct push *push = r->push;

	if (is_behind(r))
		return true;
	if (strcmp(reason, "Paused") == 0)
		return ledger_has_word(r->replica->world->ledger->paused, push->uid);
	return strcmp(reason, "RefMismatch") == 0 && !push->is_matching;
}

static void note_answer(struct http_request *r, int status, struct str body)
{
	struct world *w = r->replica->world;
	struct push *push = r->push;
	CLEANUP(json_freep) cJSON *doc = NULL;
	const char *kind = NULL, *reason = NULL;

	if (json_parse(&doc, body, NULL) != 0) {
		world_fail(w, "answer %d is not JSON", status);
		return;
	}
	kind = json_str_at(doc, "kind");
	reason = kind && strcmp(kind, "Status") == 0 ? reason_of(doc) : "";
	push->last_status = status;
	world_trace(w, "http -> push %s of %s/%s %s at replica %zu: %d %s %s", push->id,
		    push->namespace_, push->name, push->ref, r->replica->index, status,
		    kind ? kind : "", reason);
	push->is_failed = status >= 500;
	if (status != 200 && status != 202)
		return;
	if (is_taken(kind ? kind : "", reason)) {
		push->is_acked = true;
		if (!push->is_matching && !is_behind(r))
			world_fail(w, "a push to %s was answered as if it were built", push->ref);
		return;
	}
	if (!is_ignored_rightly(r, reason))
		world_fail(w, "a push to %s of %s/%s was answered %s", push->ref, push->namespace_,
			   push->name, reason);
}

void http_respond(struct http_request *r, int status, const struct http_header *headers,
		  size_t n_headers, struct str body)
{
	(void)headers;
	(void)n_headers;
	note_answer(r, status, body);
	r->is_answered = true;
	if (r->depth == 0)
		free_request(r);
}

static void on_arrived(void *arg)
{
	struct http_request *r = arg;
	struct http_handler handler = {0};

	if (!r->replica->is_up) {
		r->push->is_failed = true;
		free_request(r);
		return;
	}
	handler = receiver_handler(r->replica->receiver);
	r->depth++;
	handler.on_head(handler.arg, r);
	r->depth--;
	if (r->is_answered)
		free_request(r);
	else if (!r->is_paused)
		feed(r);
}

static void put_header(struct http_request *r, struct str name, const char *value)
{
	r->headers[r->n_headers++] = (struct http_header){name, str_of(value)};
}

static void put_body(struct http_request *r)
{
	const struct push *p = r->push;

	buf_printf(
		&r->body,
		"{\"ref\":\"%s\",\"after\":\"%s\",\"deleted\":false,\"forced\":false,"
		"\"repository\":{\"clone_url\":\"https://git.example.com/"
		"%s.git\",\"default_branch\":\"main\"},"
		"\"pusher\":{\"name\":\"alice\"},\"head_commit\":{\"id\":\"%s\",\"message\":"
		"\"change\","
		"\"author\":{\"name\":\"Alice\",\"email\":\"alice@example.com\"}},\"commits\":[]}",
		p->ref, p->commit, p->name, p->commit);
}

static void sign(struct http_request *r, const char *secret)
{
	struct crypto_hmac *hmac = crypto_hmac_new(str_of(secret));
	unsigned char digest[CRYPTO_SHA256_BYTES];

	crypto_hmac_update(hmac, buf_str(&r->body));
	crypto_hmac_final(hmac, digest);
	crypto_hmac_free(hmac);
	memcpy(r->signature, "sha256=", 8);
	crypto_hex(r->signature + 7, digest, sizeof(digest));
}

void http_deliver(struct replica *replica, struct push *push, const char *secret)
{
	struct world *w = replica->world;
	struct http_request *r = mem_new(1, sizeof(*r));

	r->replica = replica;
	r->push = push;
	r->sent_ms = w->now_ms;
	r->body = (struct buf)BUF_INIT(4096);
	push->last_status = 0;
	(void)snprintf(r->path, sizeof(r->path), "/hooks/%s/%s/github", push->namespace_,
		       push->name);
	put_body(r);
	sign(r, secret);
	put_header(r, STR("Content-Type"), "application/json");
	put_header(r, STR("X-GitHub-Event"), "push");
	put_header(r, STR("X-GitHub-Delivery"), push->id);
	put_header(r, STR("X-Hub-Signature-256"), r->signature);
	DL_APPEND(replica->requests, r);
	timer_start(w->clock, &r->timer, (int64_t)world_below(w, 20), on_arrived, r);
	world_trace(w, "http <- push %s of %s/%s %s %.7s at replica %zu", push->id,
		    push->namespace_, push->name, push->ref, push->commit, replica->index);
}

void http_abort_all(struct replica *replica)
{
	struct http_request *r = NULL, *next = NULL;
	struct http_handler handler = receiver_handler(replica->receiver);

	DL_FOREACH_SAFE (replica->requests, r, next) {
		r->push->is_failed = true;
		if (r->user)
			handler.on_abort(handler.arg, r);
		free_request(r);
	}
}

void http_check_patience(struct replica *replica)
{
	const struct http_request *r = NULL;

	DL_FOREACH (replica->requests, r)
		if (replica->world->now_ms - r->sent_ms > PATIENCE_MS)
			world_fail(replica->world, "push %s was not answered for %d s", r->push->id,
				   PATIENCE_MS / 1000);
}
