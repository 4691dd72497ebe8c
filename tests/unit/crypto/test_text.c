#include "crypto/crypto.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void hex_is_lower_case_and_comes_back(void **state)
{
	unsigned char bytes[256];
	unsigned char back[256];
	char hex[2 * sizeof(bytes) + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)i;
	crypto_hex(hex, bytes, sizeof(bytes));
	assert_int_equal(strlen(hex), 2 * sizeof(bytes));
	assert_memory_equal(hex + 2 * 0xab, "abac", 4);
	assert_true(crypto_unhex(back, sizeof(back), str_of(hex)));
	assert_memory_equal(back, bytes, sizeof(bytes));
}

/* Every byte, at both places of a pair. */
static void only_lower_case_hex_digits_are_hex(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		char high[2] = {(char)c, '0'};
		char low[2] = {'0', (char)c};
		bool good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
		unsigned char byte = 0;

		assert_int_equal(crypto_unhex(&byte, 1, str_range(high, 2)), good);
		assert_int_equal(crypto_unhex(&byte, 1, str_range(low, 2)), good);
	}
}

static void hex_of_another_length_is_refused(void **state)
{
	unsigned char out[2];

	(void)state;
	assert_false(crypto_unhex(out, 2, STR("")));
	assert_false(crypto_unhex(out, 2, STR("abc")));
	assert_false(crypto_unhex(out, 2, STR("abcde")));
	assert_false(crypto_unhex(out, 2, STR("abcdef")));
	assert_true(crypto_unhex(out, 0, STR("")));
}

/* RFC 4648, section 10. */
static void base64_gives_the_published_values(void **state)
{
	static const char *const cases[][2] = {
		{"", ""},
		{"f", "Zg=="},
		{"fo", "Zm8="},
		{"foo", "Zm9v"},
		{"foob", "Zm9vYg=="},
		{"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"},
		{"\xfb\xff\xbf", "+/+/"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str plain = str_of(cases[i][0]);
		CLEANUP(mem_free)
		char *text = crypto_base64((const unsigned char *)plain.p, plain.n);
		unsigned char back[8];
		size_t n = 99;

		assert_string_equal(text, cases[i][1]);
		assert_true(crypto_unbase64(back, plain.n, &n, str_of(text)));
		assert_int_equal(n, plain.n);
		assert_memory_equal(back, plain.p, n);
	}
}

static void what_is_not_base64_is_refused(void **state)
{
	static const char *const cases[] = {
		"Z",     "Zg",           "Zg=",  "Zm9",      "=",        "==",       "===",
		"====",  "Z===",         "Zg=a", "=g==",     "Zg==Zg==", "Zm8=Zm9v", "Zm9v\n",
		" Zm9v", "Zm 9",         "Zm-_", "Zm9v====", "Zh==",     "Zm9=",     "Zm\xc3\xa4",
		"Zm9v=", "Zg==\n\n\n\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		unsigned char out[16];
		size_t n = 99;

		assert_false(crypto_unbase64(out, sizeof(out), &n, str_of(cases[i])));
		assert_int_equal(n, 99);
	}
}

static void every_letter_of_base64_is_known(void **state)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	(void)state;
	for (int c = 0; c < 256; c++) {
		const char *letter = c ? strchr(alphabet, c) : NULL;
		char text[4] = {'A', 'A', 'A', (char)c};
		unsigned char out[3];
		size_t n = 0;

		if (c == '=')
			continue;
		assert_int_equal(crypto_unbase64(out, 3, &n, str_range(text, 4)), letter != NULL);
		if (letter)
			assert_int_equal(out[2], letter - alphabet);
	}
}

static void base64_longer_than_the_room_is_refused(void **state)
{
	unsigned char out[4];
	size_t n = 99;

	(void)state;
	assert_false(crypto_unbase64(out, 4, &n, STR("Zm9vYmE=")));
	assert_false(crypto_unbase64(out, 0, &n, STR("Zg==")));
	assert_int_equal(n, 99);
	assert_true(crypto_unbase64(out, 4, &n, STR("Zm9vYg==")));
	assert_int_equal(n, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hex_is_lower_case_and_comes_back),
		cmocka_unit_test(only_lower_case_hex_digits_are_hex),
		cmocka_unit_test(hex_of_another_length_is_refused),
		cmocka_unit_test(base64_gives_the_published_values),
		cmocka_unit_test(what_is_not_base64_is_refused),
		cmocka_unit_test(every_letter_of_base64_is_known),
		cmocka_unit_test(base64_longer_than_the_room_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
