/*
 * A Git host for tests: a delivery as a list of headers and a body, signed with a secret, fed to
 * the hook in pieces of any size.
 */
#pragma once

#include "base/buf.h"
#include "base/mem.h"
#include "crypto/crypto.h"
#include "hook/hook.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SENDER_SECRET  "It's a Secret to Everybody"
#define SENDER_NOW_MS  1763900000000
#define SENDER_HEADERS 32

struct sender_header {
	struct str name, value;
};

struct sender {
	struct sender_header headers[SENDER_HEADERS];
	size_t n_headers;
	struct str body;
	/* The hook's secrets; only SENDER_SECRET where n is 0. */
	struct str secrets[HOOK_MAX_SECRETS];
	size_t n_secrets;
	bool has_no_secret;
	bool is_path_proven, allow_env;
	bool (*wants_ref)(const void *arg, struct str ref);
	const void *wants_ref_arg;
	int64_t now_ms; /* 0: SENDER_NOW_MS */
	size_t piece;   /* bytes fed at a time; 0: all */
};

static inline void sender_put_str(struct sender *s, struct str name, struct str value)
{
	assert_true(s->n_headers < SENDER_HEADERS);
	s->headers[s->n_headers++] = (struct sender_header){name, value};
}

static inline void sender_put(struct sender *s, const char *name, const char *value)
{
	sender_put_str(s, str_of(name), str_of(value));
}

static inline struct str sender_header(const void *arg, const char *name, size_t *n)
{
	const struct sender *s = arg;
	struct str first = STR("");

	*n = 0;
	for (size_t i = 0; i < s->n_headers; i++)
		if (str_eq_nocase(s->headers[i].name, str_of(name)) && !(*n)++)
			first = str_trim(s->headers[i].value);
	return first;
}

/*
 * Headers and body are fed from copies of their exact size, so that a read past the end is caught.
 */
static inline void sender_feed(const struct sender *s, struct hook_delivery *delivery)
{
	size_t piece = s->piece ? s->piece : s->body.n;

	for (size_t at = 0; at < s->body.n; at += piece) {
		size_t n = s->body.n - at < piece ? s->body.n - at : piece;
		CLEANUP(mem_free) char *copy = mem_strndup("", 0);

		copy = mem_resize(copy, n, 1);
		memcpy(copy, s->body.p + at, n);
		hook_delivery_feed(delivery, str_range(copy, n));
	}
}

static inline struct hook_request sender_request(const struct sender *s, enum hook_type type)
{
	static const struct str usual[] = {{SENDER_SECRET, sizeof(SENDER_SECRET) - 1}};
	bool has_usual = !s->n_secrets && !s->has_no_secret;

	return (struct hook_request){
		.type = type,
		.header = sender_header,
		.header_arg = s,
		.secrets = has_usual ? usual : s->secrets,
		.n_secrets = has_usual ? 1 : s->n_secrets,
		.is_path_proven = s->is_path_proven,
		.now_ms = s->now_ms ? s->now_ms : SENDER_NOW_MS,
		.allow_env = s->allow_env,
		.wants_ref = s->wants_ref,
		.wants_ref_arg = s->wants_ref_arg,
	};
}

static inline struct hook_delivery *sender_send(const struct sender *s, enum hook_type type)
{
	const struct hook_request request = sender_request(s, type);
	struct hook_delivery *delivery = hook_delivery_new(&request);

	sender_feed(s, delivery);
	return delivery;
}

static inline void sender_digest(unsigned char out[CRYPTO_SHA256_BYTES], struct str secret,
				 const struct str *parts, size_t n_parts)
{
	struct crypto_hmac *hmac = crypto_hmac_new(secret);

	for (size_t i = 0; i < n_parts; i++)
		crypto_hmac_update(hmac, parts[i]);
	crypto_hmac_final(hmac, out);
	crypto_hmac_free(hmac);
}

/* PREFIX and the digest in hex; an allocated string. */
static inline char *sender_hex(const char *prefix, struct str secret, struct str body)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(256);
	unsigned char digest[CRYPTO_SHA256_BYTES];
	char hex[CRYPTO_SHA256_HEX + 1];

	sender_digest(digest, secret, &body, 1);
	crypto_hex(hex, digest, sizeof(digest));
	buf_printf(&text, "%s%s", prefix, hex);
	return buf_take(&text);
}

/* "v1," and the digest of "ID.TIMESTAMP.BODY" in base64; an allocated string. */
static inline char *sender_v1(struct str key, const char *id, const char *timestamp,
			      struct str body)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(256);
	CLEANUP(mem_free) char *base64 = NULL;
	const struct str parts[] = {str_of(id), STR("."), str_of(timestamp), STR("."), body};
	unsigned char digest[CRYPTO_SHA256_BYTES];

	sender_digest(digest, key, parts, ARRAY_LEN(parts));
	base64 = crypto_base64(digest, sizeof(digest));
	buf_printf(&text, "v1,%s", base64);
	return buf_take(&text);
}

static inline void sender_freep(struct hook_delivery **delivery)
{
	hook_delivery_free(*delivery);
	*delivery = NULL;
}
