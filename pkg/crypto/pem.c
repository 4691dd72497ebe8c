#include "crypto/pem.h"

#include "base/mem.h"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/pem.h>

static const char *const names[] = {
	[PEM_CERTIFICATE] = "CERTIFICATE",
	[PEM_PRIVATE_KEY] = "PRIVATE KEY",
};

/* As PEM_read_bio() gives it. */
struct block {
	char *name;
	char *header;
	unsigned char *der;
	long n_der;
};

static void release_block(struct block *block)
{
	OPENSSL_free(block->name);
	OPENSSL_free(block->header);
	OPENSSL_clear_free(block->der, (size_t)block->n_der);
}

static void free_bio(BIO **bio)
{
	BIO_free(*bio);
}

static bool is_one_der_value(const struct block *block)
{
	const unsigned char *p = block->der;
	ASN1_TYPE *value = d2i_ASN1_TYPE(NULL, &p, block->n_der);

	ASN1_TYPE_free(value);
	return value && p == block->der + block->n_der;
}

static size_t count_begins(struct str text)
{
	static const struct str begin = STR("-----BEGIN ");
	size_t n = 0;

	for (; text.n >= begin.n; text = str_range(text.p + 1, text.n - 1))
		n += str_starts(text, begin);
	return n;
}

int pem_check(struct str text, enum pem_kind kind, struct err *err)
{
	CLEANUP(free_bio) BIO *bio = NULL;
	size_t n_blocks = count_begins(text);
	size_t n_found = 0;

	if (str_empty(text))
		return err_set(err, ERR_INVALID, "empty, expected PEM with a %s", names[kind]);
	bio = BIO_new_mem_buf(text.p, (int)text.n);
	mem_require(bio);
	for (size_t i = 0; i < n_blocks; i++) {
		CLEANUP(release_block) struct block block = {0};
		bool is_whole = PEM_read_bio(bio, &block.name, &block.header, &block.der,
					     &block.n_der) == 1;

		ERR_clear_error();
		if (is_whole && (str_starts(str_of(block.name), STR("ENCRYPTED")) ||
				 str_contains(str_of(block.header), STR("ENCRYPTED"))))
			return err_set(err, ERR_INVALID, "the private key has a passphrase");
		if (!is_whole || !is_one_der_value(&block))
			return err_set(err, ERR_INVALID, "PEM block %zu is damaged or cut off",
				       i + 1);
		n_found += str_ends(str_of(block.name), str_of(names[kind]));
	}
	if (n_found == 0)
		return err_set(err, ERR_INVALID, "no PEM block with a %s in it", names[kind]);
	return 0;
}
