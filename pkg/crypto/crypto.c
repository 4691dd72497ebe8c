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

struct crypto_hmac {
	EVP_MAC_CTX *mac;
};

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

struct crypto_hmac *crypto_hmac_new(struct str key)
{
	struct crypto_hmac *hmac = mem_new(1, sizeof(*hmac));
	/* NULL would mean "the key that was set before". */
	const char *bytes = key.p ? key.p : "";

	crypto_load();
	hmac->mac = EVP_MAC_CTX_dup(hmac_template);
	mem_require(hmac->mac);
	mem_require(EVP_MAC_init(hmac->mac, (const unsigned char *)bytes, key.n, NULL));
	return hmac;
}

void crypto_hmac_free(struct crypto_hmac *hmac)
{
	if (!hmac)
		return;
	EVP_MAC_CTX_free(hmac->mac);
	free(hmac);
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

	/* Of different lengths A is compared with itself, for the time that takes. */
	return (CRYPTO_memcmp(a.p, same_length ? b.p : a.p, a.n) == 0) & same_length;
}

void crypto_random(void *unused, void *out, size_t n)
{
	(void)unused;
	assert(n <= INT_MAX);
	mem_require(RAND_bytes(out, (int)n) == 1);
}
