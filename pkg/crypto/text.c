/*
 * Bytes as text: hexadecimal and base64. Decoding secrets takes the same time whatever their digits
 * are.
 */
#include "crypto/crypto.h"

#include "base/mem.h"

#include <assert.h>
#include <limits.h>

#include <openssl/evp.h>

/* All ones if LOW <= C <= HIGH, else 0, without a branch or a table: what is decoded may be a
 * secret. */
static unsigned in_range(unsigned c, unsigned low, unsigned high)
{
	return 0U - (((low - 1U - c) & (c - high - 1U)) >> (sizeof(unsigned) * CHAR_BIT - 1));
}

/* 0 to 15, or 0xff for what is no lower-case hex digit. */
static unsigned hex_value(unsigned char c)
{
	unsigned digit = in_range(c, '0', '9');
	unsigned letter = in_range(c, 'a', 'f');

	return (digit & (c - '0')) | (letter & (c - 'a' + 10U)) | (~(digit | letter) & 0xffU);
}

/* 0 to 63, or 0xff for what is no letter of the standard alphabet. */
static unsigned base64_value(unsigned char c)
{
	unsigned upper = in_range(c, 'A', 'Z');
	unsigned lower = in_range(c, 'a', 'z');
	unsigned digit = in_range(c, '0', '9');
	unsigned plus = in_range(c, '+', '+');
	unsigned slash = in_range(c, '/', '/');

	return (upper & (c - 'A')) | (lower & (c - 'a' + 26U)) | (digit & (c - '0' + 52U)) |
	       (plus & 62U) | (slash & 63U) | (~(upper | lower | digit | plus | slash) & 0xffU);
}

void crypto_hex(char *out, const unsigned char *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * n] = '\0';
}

bool crypto_unhex(unsigned char *out, size_t n, struct str hex)
{
	unsigned wrong = 0;

	if (hex.n != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned high = hex_value((unsigned char)hex.p[2 * i]);
		unsigned low = hex_value((unsigned char)hex.p[2 * i + 1]);

		wrong |= (high | low) & 0xf0U;
		out[i] = (unsigned char)(high << 4 | (low & 15U));
	}
	return wrong == 0;
}

/* Bits that the padding cuts off must be 0, so that each value has one form. */
static bool has_spare_bits(unsigned bits, size_t n_bytes)
{
	return n_bytes < 3 && (bits & (n_bytes == 1 ? 0xffffU : 0xffU)) != 0;
}

/* Four letters, the last two of which may be padding. Returns the number of bytes, 0 for anything
 * else. */
static size_t decode_group(unsigned char out[3], const char *text, bool is_last)
{
	size_t letters = 4;
	unsigned bits = 0;

	while (is_last && letters > 2 && text[letters - 1] == '=')
		letters--;
	for (size_t i = 0; i < letters; i++) {
		unsigned value = base64_value((unsigned char)text[i]);

		if (value > 63)
			return 0;
		bits |= value << (18 - 6 * i);
	}
	if (has_spare_bits(bits, letters - 1))
		return 0;
	for (size_t i = 0; i < 3; i++)
		out[i] = (unsigned char)(bits >> (16 - 8 * i));
	return letters - 1;
}

bool crypto_unbase64(unsigned char *out, size_t cap, size_t *out_n, struct str text)
{
	size_t n = 0;

	if (text.n % 4 != 0)
		return false;
	for (size_t i = 0; i < text.n; i += 4) {
		unsigned char group[3];
		size_t bytes = decode_group(group, text.p + i, i + 4 == text.n);

		if (bytes == 0 || bytes > cap - n)
			return false;
		memcpy(out + n, group, bytes);
		n += bytes;
	}
	*out_n = n;
	return true;
}

char *crypto_base64(const unsigned char *bytes, size_t n)
{
	char *out = NULL;

	assert(n <= INT_MAX / 2);
	out = mem_new((n + 2) / 3 * 4 + 1, 1);
	(void)EVP_EncodeBlock((unsigned char *)out, bytes, (int)n);
	return out;
}
