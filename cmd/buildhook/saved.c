/* Reads saved deliveries, and signs deliveries as the Git hosts do (docs/providers.md). */
#include "saved.h"

#include "base/mem.h"
#include "crypto/crypto.h"
#include "doc/json.h"
#include "hook/host.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#define MAX_FIELD_BYTES 8192
#define CHUNK_BYTES     65536
#define ID_BYTES        16
/* Most bytes of a decoded signing token. */
#define MAX_KEY_BYTES 256

static void close_file(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

static int read_file(struct buf *out, const char *path, struct err *err)
{
	bool is_stdin = strcmp(path, "-") == 0;
	CLEANUP(close_file) FILE *opened = is_stdin ? NULL : fopen(path, "re");
	FILE *file = is_stdin ? stdin : opened;
	CLEANUP(mem_free) char *chunk = mem_new(1, CHUNK_BYTES);
	size_t n;

	if (!file)
		return err_set(err, ERR_NOTFOUND, "%.120s: %s", path, strerror(errno));
	while ((n = fread(chunk, 1, CHUNK_BYTES, file)) > 0)
		buf_put(out, chunk, n);
	if (ferror(file))
		return err_set(err, ERR_INVALID, "%.120s: %s", path, strerror(errno));
	if (out->overflow)
		return err_set(err, ERR_LIMIT,
			       "%.120s: longer than 25 MiB, the most that is received", path);
	return 0;
}

static bool take_line(struct str *rest, struct str *line)
{
	if (!str_next_part(rest, '\n', line))
		return false;
	if (line->n > 0 && line->p[line->n - 1] == '\r')
		line->n--;
	return true;
}

/* True for the name of a header that deliveries have. A YAML body also has lines with a colon. */
static bool is_telling(struct str name)
{
	return str_eq_nocase(name, STR("Content-Type")) || str_eq_nocase(name, STR("User-Agent")) ||
	       (name.n > 2 && strncasecmp(name.p, "X-", 2) == 0);
}

static bool is_name(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] > '~')
			return false;
	return name.n > 0;
}

/* The lines up to the first empty one, where they are headers; else all is the body. */
static void split(struct saved *out)
{
	struct str rest = buf_str(&out->text), line;
	bool is_head = false;
	size_t n = 0;

	out->body = rest;
	while (take_line(&rest, &line) && line.n > 0) {
		size_t colon = str_find_char(line, ':');
		struct str name = str_range(line.p, colon);

		/* A request line, and what GitHub's page puts first: "Request URL: ...". */
		if (colon == line.n || !is_name(name) || n == SAVED_MAX_HEADERS)
			continue;
		out->headers[n++] = (struct saved_header){
			name, str_trim(str_range(line.p + colon + 1, line.n - colon - 1))};
		is_head |= is_telling(name);
	}
	if (!is_head)
		return;
	out->n_headers = n;
	out->body = rest;
}

static void add_header(struct saved *saved, const char *name, const char *value)
{
	if (saved->n_headers < SAVED_MAX_HEADERS)
		saved->headers[saved->n_headers++] =
			(struct saved_header){str_of(name), str_of(value)};
}

struct str saved_header(const void *arg, const char *name, size_t *n)
{
	const struct saved *saved = arg;
	struct str value = {0};

	*n = 0;
	for (size_t i = 0; i < saved->n_headers; i++)
		if (str_eq_nocase(saved->headers[i].name, str_of(name)) && (*n)++ == 0)
			value = saved->headers[i].value;
	return value;
}

static struct hook_request request_of(const struct saved *saved, enum hook_type type)
{
	return (struct hook_request){.type = type, .header = saved_header, .header_arg = saved};
}

static const struct hook_host *host_of(const struct saved *saved)
{
	struct hook_request request = request_of(saved, saved->type);
	const struct hook_host *host = hook_host_find(&request);

	return host ? host : hook_host_named(saved->type);
}

/* The TYPE whose hosts send such headers; false where no event header is there. */
static bool type_of_headers(enum hook_type *out, const struct saved *saved)
{
	for (size_t i = 0; hook_hosts[i]; i++) {
		struct hook_request request = request_of(saved, hook_hosts[i]->type);

		if (hook_hosts[i]->event_header &&
		    hook_is_sent(&request, hook_hosts[i]->event_header)) {
			*out = hook_hosts[i]->type;
			return true;
		}
	}
	return false;
}

/* Finds the TYPE by members that only one host's payloads have. */
static bool type_of_body(enum hook_type *out, const cJSON *doc)
{
	if (json_member(doc, "object_kind"))
		*out = HOOK_GITLAB;
	else if (json_member(doc, "push") || json_member(doc, "changes") ||
		 json_member(doc, "eventKey"))
		*out = HOOK_BITBUCKET;
	else if (json_member(doc, "git"))
		*out = HOOK_GENERIC;
	else if ((json_member(doc, "ref") && json_member(doc, "repository")) ||
		 json_member(doc, "zen"))
		*out = HOOK_GITHUB;
	else
		return false;
	return true;
}

/* Adds the headers that a host sends with such a body. */
static void add_missing(struct saved *saved, const cJSON *doc)
{
	const char *kind = json_str_at(doc, "object_kind");
	struct hook_request request = request_of(saved, saved->type);

	if (!hook_is_sent(&request, "Content-Type"))
		add_header(saved, "Content-Type",
			   doc || saved->type != HOOK_GENERIC ? "application/json"
							      : "application/yaml");
	if (hook_host_find(&request) && hook_host_find(&request)->event_header)
		return;
	if (saved->type == HOOK_GITHUB)
		add_header(saved, "X-GitHub-Event", json_member(doc, "zen") ? "ping" : "push");
	else if (saved->type == HOOK_GITLAB)
		add_header(saved, "X-Gitlab-Event",
			   kind && strcmp(kind, "tag_push") == 0 ? "Tag Push Hook" : "Push Hook");
	else if (saved->type == HOOK_BITBUCKET)
		add_header(saved, "X-Event-Key",
			   json_member(doc, "changes") ? "repo:refs_changed" : "repo:push");
}

int saved_read(struct saved *out, const char *file, const enum hook_type *type, struct err *err)
{
	CLEANUP(json_freep) cJSON *doc = NULL;

	out->text = (struct buf)BUF_INIT(SAVED_MAX_BYTES);
	if (read_file(&out->text, file, err) != 0)
		return err->code;
	split(out);
	(void)json_parse(&doc, out->body, NULL);
	if (type)
		out->type = *type;
	else if (!type_of_headers(&out->type, out) && !type_of_body(&out->type, doc))
		return err_set(
			err, ERR_INVALID,
			"%.100s: neither headers nor body tell which Git host it is of; expected "
			"\"Name: value\" lines, an empty line and the body, or --type",
			file);
	add_missing(out, doc);
	return 0;
}

void saved_make(struct saved *out, enum hook_type type, struct str body)
{
	CLEANUP(json_freep) cJSON *doc = NULL;

	out->text = (struct buf)BUF_INIT(SAVED_MAX_BYTES);
	buf_put_str(&out->text, body);
	out->body = buf_str(&out->text);
	out->type = type;
	(void)json_parse(&doc, body, NULL);
	add_missing(out, doc);
}

void saved_release(struct saved *saved)
{
	buf_release(&saved->text);
	saved->n_headers = 0;
}

/* True for headers that are made again, and for those that belong to the connection. */
static bool is_left_out(struct str name)
{
	static const char *const left_out[] = {
		"Host",
		"Content-Length",
		"Connection",
		"Transfer-Encoding",
		"Accept",
		"Accept-Encoding",
		"Expect",
		"Content-Type",
		"User-Agent",
		"Authorization",
		"X-Gitlab-Token",
		"webhook-id",
		"webhook-timestamp",
		"webhook-signature",
		"X-Hub-Signature",
		"X-Hub-Signature-256",
		"Idempotency-Key",
		"X-Buildhook-Dry-Run",
	};

	for (size_t i = 0; i < ARRAY_LEN(left_out); i++)
		if (str_eq_nocase(name, str_of(left_out[i])))
			return true;
	for (size_t i = 0; hook_hosts[i]; i++) {
		const struct hook_host *host = hook_hosts[i];

		if (host->signature.header && str_eq_nocase(name, str_of(host->signature.header)))
			return true;
		for (size_t k = 0; k < ARRAY_LEN(host->id_headers); k++)
			if (host->id_headers[k] && str_eq_nocase(name, str_of(host->id_headers[k])))
				return true;
	}
	return false;
}

struct fields {
	char **list;
	size_t n;
};

__attribute__((format(printf, 2, 3))) static void put_field(struct fields *fields, const char *fmt,
							    ...)
{
	char line[MAX_FIELD_BYTES];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	fields->list[fields->n++] = mem_strdup(line);
	explicit_bzero(line, sizeof(line));
}

static void sign_hex(struct fields *fields, const struct hook_hex_rule *rule, struct str secret,
		     struct str body)
{
	struct crypto_hmac *hmac = crypto_hmac_new(secret);
	unsigned char mac[CRYPTO_SHA256_BYTES];
	char hex[CRYPTO_SHA256_HEX + 1];

	crypto_hmac_update(hmac, body);
	crypto_hmac_final(hmac, mac);
	crypto_hmac_free(hmac);
	crypto_hex(hex, mac, sizeof(mac));
	put_field(fields, "%s: %s%s", rule->header, rule->prefix, hex);
}

/* Standard Webhooks: the key is the base64 behind "whsec_"; signed is "id.timestamp.body". */
static void sign_standard(struct fields *fields, struct str secret, struct str body, const char *id,
			  int64_t wall_ms)
{
	unsigned char key[MAX_KEY_BYTES], mac[CRYPTO_SHA256_BYTES];
	CLEANUP(mem_free) char *text = NULL;
	struct crypto_hmac *hmac;
	char head[200];
	size_t n = 0;

	if (!crypto_unbase64(key, sizeof(key), &n, str_without_prefix(secret, STR("whsec_"))))
		n = 0;
	hmac = crypto_hmac_new(str_range((const char *)key, n));
	(void)snprintf(head, sizeof(head), "%s.%" PRId64 ".", id, wall_ms / 1000);
	crypto_hmac_update(hmac, str_of(head));
	crypto_hmac_update(hmac, body);
	crypto_hmac_final(hmac, mac);
	crypto_hmac_free(hmac);
	explicit_bzero(key, sizeof(key));
	text = crypto_base64(mac, sizeof(mac));
	put_field(fields, "webhook-id: %s", id);
	put_field(fields, "webhook-timestamp: %" PRId64, wall_ms / 1000);
	put_field(fields, "webhook-signature: v1,%s", text);
}

static void put_proof(struct fields *fields, const struct saved *saved, struct str secret,
		      const char *id, int64_t wall_ms)
{
	const struct hook_host *host = host_of(saved);

	if (host->signature.header)
		sign_hex(fields, &host->signature, secret, saved->body);
	else if (str_starts(secret, STR("whsec_")))
		sign_standard(fields, secret, saved->body, id, wall_ms);
	else if (saved->type == HOOK_GITLAB)
		put_field(fields, "X-Gitlab-Token: %.*s", STR_ARG(secret));
	else
		put_field(fields, "Authorization: Bearer %.*s", STR_ARG(secret));
	if (host->id_headers[0])
		put_field(fields, "%s: %s", host->id_headers[0], id);
}

char **saved_sign(const struct saved *saved, struct str secret, int64_t wall_ms)
{
	struct fields fields = {.list = mem_new(saved->n_headers + 10, sizeof(char *))};
	unsigned char random[ID_BYTES];
	char id[2 * ID_BYTES + 1];

	crypto_random(NULL, random, sizeof(random));
	crypto_hex(id, random, sizeof(random));
	for (size_t i = 0; i < saved->n_headers; i++)
		if (!is_left_out(saved->headers[i].name))
			put_field(&fields, "%.*s: %.*s", STR_ARG(saved->headers[i].name),
				  STR_ARG(saved->headers[i].value));
	put_proof(&fields, saved, secret, id, wall_ms);
	return fields.list;
}

void saved_free_fields(char ***fields)
{
	for (size_t i = 0; *fields && (*fields)[i]; i++)
		mem_wipe_str(&(*fields)[i]);
	mem_free(fields);
}
