/* A simulated Git host: it sends pushes to a replica's receiver, and notes what is answered. */
#include "http_request.h"
#include "ledger.h"

#include "buildconfig/buildconfig.h"
#include "crypto/crypto.h"

#include <stdio.h>
#include <utlist.h>

/* Timeouts of Secrets' lookups (two rounds), and of the start of the build. */
#define PATIENCE_MS 90000

struct delivery {
	struct sim_request request; /* first */
	struct push *push;
	char signature[80];
	struct buf body;
	int64_t sent_ms;
	unsigned depth; /* within functions of the handler */
};

static struct delivery *delivery_of(struct sim_request *r)
{
	return (struct delivery *)r;
}

static void free_request(struct sim_request *r)
{
	struct delivery *d = delivery_of(r);

	timer_stop(r->replica->world->clock, &r->timer);
	DL_DELETE(r->replica->requests, r);
	buf_release(&d->body);
	free(d);
}

static void feed(void *arg)
{
	struct sim_request *r = arg;
	struct delivery *d = delivery_of(r);
	struct http_handler handler = app_handler(r->replica->app);

	r->is_fed = true;
	if (!d->push->first_ms)
		d->push->first_ms = world_wall_ms(r->replica->world);
	d->depth++;
	handler.on_body(handler.arg, &r->request, r->body);
	if (!r->is_answered)
		handler.on_end(handler.arg, &r->request);
	d->depth--;
	if (r->is_answered)
		free_request(r);
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
static bool is_behind(const struct delivery *d)
{
	const struct push *push = d->push;
	const struct replica *replica = d->request.replica;
	const struct api *api = replica->world->api;
	const struct api_object *bc = api_find(api, API_BUILDCONFIG, push->namespace_, push->name);
	const struct buildconfig *stored = NULL;
	char key[200];

	(void)snprintf(key, sizeof(key), "%s/%s", push->namespace_, push->name);
	stored = kube_store_find(replica->store, key);
	return !bc || !stored ||
	       strcmp(stored->resource_version, json_str_at(bc->doc, "metadata/resourceVersion")) !=
		       0;
}

static bool is_ignored_rightly(const struct delivery *d, const char *reason)
{
	const struct push *push = d->push;

	if (is_behind(d))
		return true;
	if (strcmp(reason, "Paused") == 0)
		return ledger_has_word(d->request.replica->world->ledger->paused, push->uid);
	return strcmp(reason, "RefMismatch") == 0 && !push->is_matching;
}

static void note_answer(struct delivery *d, int status, struct str body)
{
	struct world *w = d->request.replica->world;
	struct push *push = d->push;
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
		    push->namespace_, push->name, push->ref, d->request.replica->index, status,
		    kind ? kind : "", reason);
	push->is_failed = status >= 500;
	if (status != 200 && status != 202)
		return;
	if (is_taken(kind ? kind : "", reason)) {
		push->is_acked = true;
		if (!push->is_matching && !is_behind(d))
			world_fail(w, "a push to %s was answered as if it were built", push->ref);
		return;
	}
	if (!is_ignored_rightly(d, reason))
		world_fail(w, "a push to %s of %s/%s was answered %s", push->ref, push->namespace_,
			   push->name, reason);
}

static void on_response(struct sim_request *r, int status, struct str body)
{
	note_answer(delivery_of(r), status, body);
	r->is_answered = true;
	if (delivery_of(r)->depth == 0)
		free_request(r);
}

static void on_arrived(void *arg)
{
	struct sim_request *r = arg;
	struct delivery *d = delivery_of(r);

	if (!r->replica->is_up) {
		d->push->is_failed = true;
		free_request(r);
		return;
	}
	d->depth++;
	http_give_head(r);
	d->depth--;
	if (r->is_answered)
		free_request(r);
	else if (!r->is_paused)
		feed(r);
}

static void put_body(struct delivery *d)
{
	const struct push *p = d->push;

	buf_printf(
		&d->body,
		"{\"ref\":\"%s\",\"after\":\"%s\",\"deleted\":false,\"forced\":false,"
		"\"repository\":{\"clone_url\":\"https://git.example.com/"
		"%s.git\",\"default_branch\":\"main\"},"
		"\"pusher\":{\"name\":\"alice\"},\"head_commit\":{\"id\":\"%s\",\"message\":"
		"\"change\","
		"\"author\":{\"name\":\"Alice\",\"email\":\"alice@example.com\"}},\"commits\":[]}",
		p->ref, p->commit, p->name, p->commit);
	d->request.body = buf_str(&d->body);
}

static void sign(struct delivery *d, const char *secret)
{
	struct crypto_hmac *hmac = crypto_hmac_new(str_of(secret));
	unsigned char digest[CRYPTO_SHA256_BYTES];

	crypto_hmac_update(hmac, d->request.body);
	crypto_hmac_final(hmac, digest);
	crypto_hmac_free(hmac);
	memcpy(d->signature, "sha256=", 8);
	crypto_hex(d->signature + 7, digest, sizeof(digest));
}

void http_deliver(struct replica *replica, struct push *push, const char *secret)
{
	struct world *w = replica->world;
	struct delivery *d = mem_new(1, sizeof(*d));
	struct sim_request *r = &d->request;

	r->replica = replica;
	r->feed = feed;
	r->on_response = on_response;
	d->push = push;
	d->sent_ms = w->now_ms;
	d->body = (struct buf)BUF_INIT(4096);
	push->last_status = 0;
	(void)snprintf(r->path, sizeof(r->path), "/hooks/%s/%s/github", push->namespace_,
		       push->name);
	put_body(d);
	sign(d, secret);
	http_put_header(r, STR("Content-Type"), STR("application/json"));
	http_put_header(r, STR("X-GitHub-Event"), STR("push"));
	http_put_header(r, STR("X-GitHub-Delivery"), str_of(push->id));
	http_put_header(r, STR("X-Hub-Signature-256"), str_of(d->signature));
	DL_APPEND(replica->requests, r);
	timer_start(w->clock, &r->timer, (int64_t)world_below(w, 20), on_arrived, r);
	world_trace(w, "http <- push %s of %s/%s %s %.7s at replica %zu", push->id,
		    push->namespace_, push->name, push->ref, push->commit, replica->index);
}

void http_abort_all(struct replica *replica)
{
	struct sim_request *r = NULL, *next = NULL;
	struct http_handler handler = app_handler(replica->app);

	DL_FOREACH_SAFE (replica->requests, r, next) {
		delivery_of(r)->push->is_failed = true;
		if (r->request.user)
			handler.on_abort(handler.arg, &r->request);
		free_request(r);
	}
}

bool http_has_fed(const struct replica *replica)
{
	const struct sim_request *r = NULL;

	DL_FOREACH (replica->requests, r)
		if (r->is_fed && !r->is_answered)
			return true;
	return false;
}

void http_check_patience(struct replica *replica)
{
	struct sim_request *r = NULL;

	DL_FOREACH (replica->requests, r) {
		const struct delivery *d = delivery_of(r);

		if (replica->world->now_ms - d->sent_ms > PATIENCE_MS)
			world_fail(replica->world, "push %s was not answered for %d s", d->push->id,
				   PATIENCE_MS / 1000);
	}
}
