/*
 * CPU time of one HMAC-SHA256 over a file, by OpenSSL's EVP with the key set once:
 *
 *     bench_hmac FILE [SECONDS]    prints microseconds
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double cpu_us(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void must(int is_good, const char *what)
{
	if (is_good)
		return;
	(void)fprintf(stderr, "bench_hmac: %s\n", what);
	exit(1);
}

static unsigned char *read_file(const char *path, size_t *n)
{
	enum { MAX_BYTES = 32 << 20 };
	unsigned char *bytes = malloc(MAX_BYTES);
	FILE *file = fopen(path, "rb");

	must(file && bytes, "open the file");
	*n = fread(bytes, 1, MAX_BYTES, file);
	(void)fclose(file);
	return bytes;
}

int main(int argc, char **argv)
{
	static const unsigned char key[] = "It's a Secret to Everybody";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
	double limit_us = (argc > 2 ? strtod(argv[2], NULL) : 1) * 1e6;
	unsigned char digest[32];
	size_t n = 0, len = 0;
	unsigned long rounds = 0;
	double began_us, took_us = 0;
	unsigned char *bytes;

	must(argc > 1, "usage: bench_hmac FILE [SECONDS]");
	bytes = read_file(argv[1], &n);
	must(EVP_MAC_init(ctx, key, sizeof(key) - 1, params), "set the key");
	for (began_us = cpu_us(); took_us < limit_us; took_us = cpu_us() - began_us) {
		for (int i = 0; i < 32; i++, rounds++)
			must(EVP_MAC_init(ctx, NULL, 0, NULL) && EVP_MAC_update(ctx, bytes, n) &&
				     EVP_MAC_final(ctx, digest, &len, sizeof(digest)),
			     "HMAC");
	}
	(void)printf("%.3f\n", took_us / (double)rounds);
	EVP_MAC_CTX_free(ctx);
	EVP_MAC_free(mac);
	free(bytes);
	return 0;
}
