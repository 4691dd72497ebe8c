/* HMAC-SHA256, SHA-256, comparison and random bytes over OpenSSL's EVP interface. */
#include "crypto/crypto.h"

#include "base/mem.h"

#include <assert.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

/* This many secrets may be in use in turn before a key has to be set up again. */
#define KEPT_HMACS 16

struct crypto_hmac {
	EVP_MAC_CTX *mac;
	char *key;
	size_t key_n;
};

/*
 * HMACs that are not in use, with their keys. Setting up a key takes two rounds of SHA-256 and some
 * fifty allocations, which is more than the digest of a small body; the same key again takes one
 * copy.
 */
static struct {
	pthread_mutex_t lock;
	struct crypto_hmac *idle[KEPT_HMACS]; /* the one used last is the last */
	size_t n;
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER};

/*
 * A context with the algorithm chosen and no key, made once and never changed: a copy of it spares
 * each message the look-ups of HMAC and SHA-256 by name, which take longer than the digest of a
 * small body.
 */
static EVP_MAC_CTX *hmac_template;
static EVP_MD *sha256;
static pthread_once_t is_loaded = PTHREAD_ONCE_INIT;

static void load(void)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
		OSSL_PARAM_construct_end(),
	};

	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	mem_require(mac);
	mem_require(sha256);
	hmac_template = EVP_MAC_CTX_new(mac);
	mem_require(hmac_template);
	mem_require(EVP_MAC_CTX_set_params(hmac_template, params));
	EVP_MAC_free(mac);
}

void crypto_load(void)
{
	mem_require(pthread_once(&is_loaded, load) == 0);
}

static void release(struct crypto_hmac *hmac)
{
	EVP_MAC_CTX_free(hmac->mac);
	mem_wipe(&hmac->key, hmac->key_n);
	free(hmac);
}

/* The caller holds the lock. */
static void remove_kept(size_t i)
{
	kept.n--;
	for (; i < kept.n; i++)
		kept.idle[i] = kept.idle[i + 1];
}

/* NULL where none with KEY is idle. */
static struct crypto_hmac *take_kept(struct str key)
{
	struct crypto_hmac *found = NULL;

	mem_require(pthread_mutex_lock(&kept.lock) == 0);
	for (size_t i = kept.n; i-- > 0 && !found;) {
		struct crypto_hmac *hmac = kept.idle[i];

		if (!crypto_equal(str_range(hmac->key, hmac->key_n), key))
			continue;
		found = hmac;
		remove_kept(i);
	}
	mem_require(pthread_mutex_unlock(&kept.lock) == 0);
	return found;
}

struct crypto_hmac *crypto_hmac_new(struct str key)
{
	struct crypto_hmac *hmac = take_kept(key);
	/* To OpenSSL NULL would mean "the key that was set before". */
	const char *bytes = key.p ? key.p : "";

	if (hmac) {
		mem_require(EVP_MAC_init(hmac->mac, NULL, 0, NULL));
		return hmac;
	}
	crypto_load();
	hmac = mem_new(1, sizeof(*hmac));
	hmac->mac = EVP_MAC_CTX_dup(hmac_template);
	mem_require(hmac->mac);
	mem_require(EVP_MAC_init(hmac->mac, (const unsigned char *)bytes, key.n, NULL));
	hmac->key = str_dup(key);
	hmac->key_n = key.n;
	return hmac;
}

void crypto_hmac_free(struct crypto_hmac *hmac)
{
	struct crypto_hmac *oldest = NULL;

	if (!hmac)
		return;
	mem_require(pthread_mutex_lock(&kept.lock) == 0);
	if (kept.n == KEPT_HMACS) {
		oldest = kept.idle[0];
		remove_kept(0);
	}
	kept.idle[kept.n++] = hmac;
	mem_require(pthread_mutex_unlock(&kept.lock) == 0);
	if (oldest)
		release(oldest);
}

void crypto_hmac_update(struct crypto_hmac *hmac, struct str bytes)
{
	mem_require(EVP_MAC_update(hmac->mac, (const unsigned char *)bytes.p, bytes.n));
}

void crypto_hmac_final(struct crypto_hmac *hmac, unsigned char out[CRYPTO_SHA256_BYTES])
{
	size_t n = 0;

	mem_require(EVP_MAC_final(hmac->mac, out, &n, CRYPTO_SHA256_BYTES));
	assert(n == CRYPTO_SHA256_BYTES);
}

void crypto_sha256(unsigned char out[CRYPTO_SHA256_BYTES], const struct str *parts, size_t n_parts)
{
	EVP_MD_CTX *digest = EVP_MD_CTX_new();

	crypto_load();
	mem_require(digest);
	mem_require(EVP_DigestInit_ex2(digest, sha256, NULL));
	for (size_t i = 0; i < n_parts; i++)
		mem_require(EVP_DigestUpdate(digest, parts[i].p, parts[i].n));
	mem_require(EVP_DigestFinal_ex(digest, out, NULL));
	EVP_MD_CTX_free(digest);
}

bool crypto_equal(struct str a, struct str b)
{
	bool same_length = a.n == b.n;

	/* Where the lengths differ, A is compared with itself, so that the time is the same. */
	return (CRYPTO_memcmp(a.p, same_length ? b.p : a.p, a.n) == 0) & same_length;
}

void crypto_random(void *unused, void *out, size_t n)
{
	(void)unused;
	assert(n <= INT_MAX);
	mem_require(RAND_bytes(out, (int)n) == 1);
}
