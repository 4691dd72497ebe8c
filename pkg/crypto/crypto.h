/*
 * The program's use of OpenSSL for proofs and secrets: HMAC-SHA256 as bytes come, SHA-256,
 * constant-time comparison, hex, base64 and random bytes. TLS is in net/ and in libcurl. Where
 * OpenSSL itself fails, the process aborts.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#define CRYPTO_SHA256_BYTES 32
#define CRYPTO_SHA256_HEX   64

/* Loads the algorithms that this program uses; otherwise their first use does. For the start of the
 * process: OpenSSL may be left half initialised when memory runs out while it loads. */
void crypto_load(void);

/* Incremental HMAC-SHA256. */
struct crypto_hmac;

struct crypto_hmac *crypto_hmac_new(struct str key);
void crypto_hmac_free(struct crypto_hmac *hmac);
void crypto_hmac_update(struct crypto_hmac *hmac, struct str bytes);
/* Writes the digest. Only crypto_hmac_free() may follow. */
void crypto_hmac_final(struct crypto_hmac *hmac, unsigned char out[CRYPTO_SHA256_BYTES]);

/* SHA-256 of the parts, one after the other. */
void crypto_sha256(unsigned char out[CRYPTO_SHA256_BYTES], const struct str *parts, size_t n_parts);

/*
 * True if A and B are equal; the time depends on the lengths alone. Two empty strings are equal:
 * that an empty secret never matches is the caller's rule.
 */
bool crypto_equal(struct str a, struct str b);

/* 2 * N lower-case digits and a NUL. */
void crypto_hex(char *out, const unsigned char *bytes, size_t n);
/*
 * Exactly 2 * N lower-case hex digits into N bytes, in a time that depends on the lengths alone;
 * false for anything else, and what is in OUT then means nothing.
 */
bool crypto_unhex(unsigned char *out, size_t n, struct str hex);
/*
 * Standard alphabet, with padding, bits to spare zero (RFC 4648, section 4); false for anything
 * else or when more than CAP bytes come out, and what is in OUT then means nothing.
 */
bool crypto_unbase64(unsigned char *out, size_t cap, size_t *out_n, struct str text);
/* With padding; an allocated string. */
char *crypto_base64(const unsigned char *bytes, size_t n);

/* From OpenSSL's CSPRNG. Aborts if it fails. Fits clock_source.random. */
void crypto_random(void *unused, void *out, size_t n);
