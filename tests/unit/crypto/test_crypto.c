#include "crypto/crypto.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../faults.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

FAULT(EVP_MAC *, EVP_MAC_fetch, (OSSL_LIB_CTX * lib, const char *name, const char *properties),
      (lib, name, properties), NULL)
FAULT(EVP_MAC_CTX *, EVP_MAC_CTX_dup, (const EVP_MAC_CTX *from), (from), NULL)
FAULT(int, EVP_MAC_init,
      (EVP_MAC_CTX * mac, const unsigned char *key, size_t n, const OSSL_PARAM params[]),
      (mac, key, n, params), 0)
FAULT(int, EVP_MAC_update, (EVP_MAC_CTX * mac, const unsigned char *bytes, size_t n),
      (mac, bytes, n), 0)
FAULT(int, EVP_MAC_final, (EVP_MAC_CTX * mac, unsigned char *out, size_t *n, size_t size),
      (mac, out, n, size), 0)
FAULT(int, EVP_DigestInit_ex2, (EVP_MD_CTX * md, const EVP_MD *type, const OSSL_PARAM params[]),
      (md, type, params), 0)
FAULT(int, EVP_DigestUpdate, (EVP_MD_CTX * md, const void *bytes, size_t n), (md, bytes, n), 0)
FAULT(int, EVP_DigestFinal_ex, (EVP_MD_CTX * md, unsigned char *out, unsigned *n), (md, out, n), 0)
FAULT(int, RAND_bytes, (unsigned char *out, int n), (out, n), 0)

static void free_hmac(struct crypto_hmac **hmac)
{
	crypto_hmac_free(*hmac);
}

/* The HMAC of bytes that are fed in pieces of STEP. */
static void hmac_hex(char out[CRYPTO_SHA256_HEX + 1], struct str key, struct str bytes, size_t step)
{
	CLEANUP(free_hmac) struct crypto_hmac *hmac = crypto_hmac_new(key);
	unsigned char mac[CRYPTO_SHA256_BYTES];

	for (size_t at = 0; at < bytes.n; at += step) {
		size_t n = bytes.n - at < step ? bytes.n - at : step;

		crypto_hmac_update(hmac, str_range(bytes.p + at, n));
	}
	crypto_hmac_final(hmac, mac);
	crypto_hex(out, mac, sizeof(mac));
}

/* RFC 4231, and the example in GitHub's documentation on validating deliveries. */
static void hmac_gives_the_published_values(void **state)
{
	static const char long_key[131] = {[0 ... 130] = '\xaa'};
	const struct {
		struct str key, text;
		const char *mac;
	} cases[] = {
		{STR("It's a Secret to Everybody"), STR("Hello, World!"),
		 "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
		{STR("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"
		     "\x0b"),
		 STR("Hi There"),
		 "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
		{STR("Jefe"), STR("what do ya want for nothing?"),
		 "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
		{str_range(long_key, sizeof(long_key)),
		 STR("Test Using Larger Than Block-Size Key - Hash Key First"),
		 "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
		{{0}, STR(""), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (size_t step = 1; step < 60; step += 29) {
			char mac[CRYPTO_SHA256_HEX + 1];

			hmac_hex(mac, cases[i].key, cases[i].text, step);
			assert_string_equal(mac, cases[i].mac);
		}
	}
}

static void hmac_may_be_dropped_unfinished(void **state)
{
	struct crypto_hmac *hmac = crypto_hmac_new(STR("key"));

	(void)state;
	crypto_hmac_update(hmac, STR("half a body"));
	crypto_hmac_free(hmac);
	crypto_hmac_free(NULL);
}

/* More keys than are kept set up, in turns, some of them in use twice at a time. */
static void hmacs_of_many_keys_do_not_mix(void **state)
{
	enum { N_KEYS = 40 };
	char first[N_KEYS][CRYPTO_SHA256_HEX + 1], again[CRYPTO_SHA256_HEX + 1];

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < N_KEYS; i++) {
			int n = i * 7 % N_KEYS;
			char key[8];
			CLEANUP(free_hmac) struct crypto_hmac *other = NULL;

			(void)snprintf(key, sizeof(key), "key %d", n);
			other = crypto_hmac_new(str_of(key));
			crypto_hmac_update(other, STR("another body"));
			hmac_hex(round ? again : first[n], str_of(key), STR("body"), 3);
			if (round)
				assert_string_equal(again, first[n]);
		}
	}
	for (int i = 1; i < N_KEYS; i++)
		assert_string_not_equal(first[i], first[i - 1]);
}

/* FIPS 180-4's examples, whole and in parts. */
static void sha256_gives_the_published_values(void **state)
{
	const struct {
		struct str parts[3];
		size_t n;
		const char *digest;
	} cases[] = {
		{{{0}}, 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{{STR("abc")},
		 1,
		 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{{STR("a"), {0}, STR("bc")},
		 3,
		 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{{STR("abcdbcdecdefdefgefghfghighijhijkijkl"), STR("jklmklmnlmnomnopnopq")},
		 2,
		 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		unsigned char digest[CRYPTO_SHA256_BYTES];
		char hex[CRYPTO_SHA256_HEX + 1];

		crypto_sha256(digest, cases[i].parts, cases[i].n);
		crypto_hex(hex, digest, sizeof(digest));
		assert_string_equal(hex, cases[i].digest);
	}
}

static void only_the_same_bytes_are_equal(void **state)
{
	const struct {
		struct str a, b;
		bool equal;
	} cases[] = {
		{STR("secret"), STR("secret"), true},  {STR("secret"), STR("secreT"), false},
		{STR("secret"), STR("Secret"), false}, {STR("secret"), STR("secret "), false},
		{STR("secret"), STR("secre"), false},  {STR("secret"), {0}, false},
		{{0}, STR("secret"), false},           {{0}, {0}, true},
		{STR("a\0b"), STR("a\0c"), false},     {STR("a\0b"), STR("a\0b"), true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(crypto_equal(cases[i].a, cases[i].b), cases[i].equal);
}

static void random_bytes_fill_the_whole_and_differ(void **state)
{
	unsigned char a[64] = {0};
	unsigned char b[64] = {0};
	size_t zeros = 0;

	(void)state;
	crypto_random(NULL, a, sizeof(a));
	crypto_random(NULL, b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	for (size_t i = 0; i < sizeof(a); i++)
		zeros += a[i] == 0;
	/* Eight zeros among 64 random bytes: once in 10^10 runs. */
	assert_true(zeros < 8);
}

static void use_all(void *arg)
{
	unsigned char out[CRYPTO_SHA256_BYTES];
	CLEANUP(free_hmac) struct crypto_hmac *hmac = NULL;

	fault_arm(arg, 1, 0);
	hmac = crypto_hmac_new(STR("key"));
	crypto_hmac_update(hmac, STR("bytes"));
	crypto_hmac_final(hmac, out);
	crypto_sha256(out, &STR("bytes"), 1);
	crypto_random(NULL, out, sizeof(out));
}

/* This test comes first, because the algorithms are loaded only once. */
static void what_openssl_cannot_do_is_never_taken_for_done(void **state)
{
	static struct fault none;
	static struct fault *const faults[] = {
		&fault_EVP_MAC_fetch,    &fault_EVP_MAC_CTX_dup,    &fault_EVP_MAC_init,
		&fault_EVP_MAC_update,   &fault_EVP_MAC_final,      &fault_EVP_DigestInit_ex2,
		&fault_EVP_DigestUpdate, &fault_EVP_DigestFinal_ex, &fault_RAND_bytes,
	};

	(void)state;
	assert_false(fault_aborts(use_all, &none));
	for (size_t i = 0; i < ARRAY_LEN(faults); i++)
		assert_true(fault_aborts(use_all, faults[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_openssl_cannot_do_is_never_taken_for_done),
		cmocka_unit_test(hmac_gives_the_published_values),
		cmocka_unit_test(hmac_may_be_dropped_unfinished),
		cmocka_unit_test(hmacs_of_many_keys_do_not_mix),
		cmocka_unit_test(sha256_gives_the_published_values),
		cmocka_unit_test(only_the_same_bytes_are_equal),
		cmocka_unit_test(random_bytes_fill_the_whole_and_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
