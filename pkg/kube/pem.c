/* memmem() */
#define _GNU_SOURCE

#include "kube/pem.h"

#include "base/buf.h"
#include "base/mem.h"
#include "crypto/crypto.h"
#include "kube/file.h"

#define MAX_PEM_BYTES ((size_t)1024 * 1024)

static const char *const names[] = {
	[PEM_CERTIFICATE] = "CERTIFICATE",
	[PEM_PRIVATE_KEY] = "PRIVATE KEY",
};

/* DER, definite form: tag, length, and nothing after the value. */
static bool is_one_der_value(const unsigned char *der, size_t n)
{
	size_t length = 0;
	size_t head = 2;

	if (n < 2)
		return false;
	if (der[1] < 0x80) {
		length = der[1];
	} else {
		size_t n_length = der[1] & 0x7f;

		if (n_length == 0 || n_length > 4 || n < 2 + n_length)
			return false;
		for (size_t i = 0; i < n_length; i++)
			length = length << 8 | der[2 + i];
		head += n_length;
	}
	return n - head == length;
}

static bool is_whole_body(struct str body)
{
	CLEANUP(file_wipe) struct buf text = BUF_INIT(MAX_PEM_BYTES);
	CLEANUP(file_wipe) struct buf der = BUF_INIT(MAX_PEM_BYTES);
	struct str line;
	size_t n = 0;

	while (str_next_part(&body, '\n', &line)) {
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		buf_put_str(&text, str_trim(line));
	}
	if (text.overflow || text.len == 0)
		return false;
	der.data = mem_new(1, text.len);
	der.cap = text.len;
	return crypto_unbase64((unsigned char *)der.data, text.len, &n, buf_str(&text)) &&
	       is_one_der_value((const unsigned char *)der.data, n);
}

/* Takes the first block out of REST. False when there is none any more. */
static bool next_block(struct str *rest, struct str *label, struct str *body, bool *is_complete)
{
	static const char begin[] = "-----BEGIN ";
	static const char end[] = "-----END ";
	const char *p = memmem(rest->p, rest->n, begin, strlen(begin));
	const char *stop = NULL;
	const char *dashes = NULL;

	*is_complete = false;
	if (!p)
		return false;
	p += strlen(begin);
	*rest = str_range(p, rest->n - (size_t)(p - rest->p));
	dashes = memmem(rest->p, rest->n, "-----", 5);
	stop = memmem(rest->p, rest->n, end, strlen(end));
	if (!dashes || !stop || stop < dashes + 5)
		return true;
	*label = str_range(p, (size_t)(dashes - p));
	*body = str_range(dashes + 5, (size_t)(stop - dashes - 5));
	*rest = str_range(stop + strlen(end), rest->n - (size_t)(stop + strlen(end) - p));
	if (!str_starts(*rest, *label) ||
	    !str_starts(str_range(rest->p + label->n, rest->n - label->n), STR("-----")))
		return true;
	*is_complete = true;
	return true;
}

int pem_check(struct str text, enum pem_kind kind, struct err *err)
{
	size_t n_found = 0;
	struct str label = {0};
	struct str body = {0};
	bool is_complete = false;

	if (str_empty(text))
		return err_set(err, ERR_INVALID, "empty, expected PEM with a %s", names[kind]);
	while (next_block(&text, &label, &body, &is_complete)) {
		if (str_starts(label, STR("ENCRYPTED")) || str_contains(body, STR("ENCRYPTED")))
			return err_set(err, ERR_INVALID, "the private key has a passphrase");
		if (!is_complete || !is_whole_body(body))
			return err_set(err, ERR_INVALID, "PEM block %zu is damaged or cut off",
				       n_found + 1);
		n_found += str_ends(label, str_of(names[kind]));
	}
	if (n_found == 0)
		return err_set(err, ERR_INVALID, "no PEM block with a %s in it", names[kind]);
	return 0;
}
