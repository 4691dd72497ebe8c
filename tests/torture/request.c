#include "request.h"

#include "alloc.h"

#include "sim/http_request.h"

#include "crypto/crypto.h"

#include <stdio.h>
#include <utlist.h>

#define MAX_BYTES (256 * 1024)

/* Not freed after its answer: the process is about to end anyway. */
struct delivery {
	struct sim_request request; /* first */
	int *status;
};

static void feed(void *arg)
{
	struct sim_request *r = arg;
	struct http_handler handler = app_handler(r->replica->app);
	size_t half = r->body.n / 2;

	r->is_fed = true;
	handler.on_body(handler.arg, &r->request, str_range(r->body.p, half));
	if (!r->is_answered)
		handler.on_body(handler.arg, &r->request,
				str_range(r->body.p + half, r->body.n - half));
	if (!r->is_answered)
		handler.on_end(handler.arg, &r->request);
}

static void on_response(struct sim_request *r, int status, struct str body)
{
	(void)body;
	*((struct delivery *)r)->status = status;
	r->is_answered = true;
	DL_DELETE(r->replica->requests, r);
}

void http_abort_all(struct replica *replica)
{
	struct http_handler handler = app_handler(replica->app);

	while (replica->requests) {
		struct sim_request *r = replica->requests;

		timer_stop(replica->world->clock, &r->timer);
		if (r->request.user)
			handler.on_abort(handler.arg, &r->request);
		DL_DELETE(replica->requests, r);
	}
}

/* Replicas are not drained here. */
bool http_has_fed(const struct replica *replica)
{
	return replica->requests != NULL;
}

void http_check_patience(struct replica *replica)
{
	(void)replica;
}

static void arrive(void *arg)
{
	struct sim_request *r = arg;

	http_give_head(r);
	if (!r->is_answered && !r->is_paused)
		feed(r);
}

static void put_digest(struct buf *out, struct str key, const struct str *parts, size_t n,
		       bool is_base64)
{
	struct crypto_hmac *hmac = crypto_hmac_new(key);
	unsigned char digest[CRYPTO_SHA256_BYTES];
	char hex[CRYPTO_SHA256_HEX + 1];
	CLEANUP(mem_free) char *base64 = NULL;

	for (size_t i = 0; i < n; i++)
		crypto_hmac_update(hmac, parts[i]);
	crypto_hmac_final(hmac, digest);
	crypto_hmac_free(hmac);
	crypto_hex(hex, digest, sizeof(digest));
	base64 = crypto_base64(digest, sizeof(digest));
	buf_put_str(out, str_of(is_base64 ? base64 : hex));
}

/* The placeholders of tests/data/README.md. */
static char *fill_in(const struct sim_request *r, struct str value)
{
	CLEANUP(buf_release) struct buf out = BUF_INIT(1024);
	const struct str v1[] = {STR("msg_2mNvK"), STR("."), STR("1763900000"), STR("."), r->body};
	size_t at = str_find_char(value, '{');
	struct str what = str_range(value.p + at, value.n - at);

	buf_put_str(&out, str_range(value.p, at));
	if (str_eq(what, STR("{{hex}}")))
		put_digest(&out, STR(REQUEST_SECRET), &r->body, 1, false);
	else if (str_eq(what, STR("{{hex of another secret}}")))
		put_digest(&out, STR("another"), &r->body, 1, false);
	else if (str_eq(what, STR("{{secret}}")))
		buf_put_str(&out, STR(REQUEST_SECRET));
	else if (str_eq(what, STR("{{bearer}}")))
		buf_put_str(&out, STR("Bearer " REQUEST_SECRET));
	else if (str_eq(what, STR("{{v1}}"))) {
		buf_put_str(&out, STR("v1,"));
		put_digest(&out, STR(REQUEST_KEY), v1, ARRAY_LEN(v1), true);
	} else
		buf_put_str(&out, what);
	return buf_take(&out);
}

static void parse_file(struct sim_request *r, struct str text)
{
	struct str line;

	while (str_next_part(&text, '\n', &line) && !str_empty(line)) {
		size_t colon = str_find_char(line, ':');

		http_put_header(r, str_range(line.p, colon),
				str_trim(str_range(line.p + colon + 1, line.n - colon - 1)));
	}
	r->body = text;
	for (size_t i = 0; i < r->n_headers; i++)
		r->headers[i].value = str_of(fill_in(r, r->headers[i].value));
}

static void read_file(struct sim_request *r, const char *name)
{
	char path[200], *text = NULL;
	size_t n = 0;
	FILE *file = NULL;

	(void)snprintf(path, sizeof(path), "tests/data/%s.http", name);
	file = fopen(path, "rb");
	if (!file) {
		perror(path);
		exit(2);
	}
	text = mem_new(MAX_BYTES, 1);
	n = fread(text, 1, MAX_BYTES, file);
	(void)fclose(file);
	parse_file(r, str_range(text, n));
}

static const char *type_of(const char *file)
{
	static const char *const types[] = {"gitlab", "bitbucket", "generic"};

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (strncmp(file, types[i], strlen(types[i])) == 0)
			return types[i];
	return "github"; /* and the hosts that speak as it does */
}

void request_send(struct replica *replica, const struct request *request, int *status)
{
	bool was_armed = alloc_pause();
	struct delivery *delivery = mem_new(1, sizeof(*delivery));
	struct sim_request *r = &delivery->request;
	const char *type = type_of(request->file);

	r->replica = replica;
	r->feed = feed;
	r->on_response = on_response;
	delivery->status = status;
	read_file(r, request->file);
	/* Without an id each attempt would be a delivery of its own. */
	if (strcmp(type, "generic") == 0)
		http_put_header(r, STR("Idempotency-Key"), STR("one"));
	if (request->is_dry_run)
		http_put_header(r, STR("X-Buildhook-Dry-Run"), STR("true"));
	if (request->has_path_secret)
		(void)snprintf(r->path, sizeof(r->path),
			       "/apis/build.openshift.io/v1/namespaces/shop/buildconfigs/cart/"
			       "webhooks/%s/%s",
			       REQUEST_PATH_SECRET, type);
	else
		(void)snprintf(r->path, sizeof(r->path), "/hooks/shop/cart/%s", type);
	DL_APPEND(replica->requests, r);
	timer_start(replica->world->clock, &r->timer, 0, arrive, r);
	alloc_resume(was_armed);
}
