#include "crypto/pem.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* 30 03 02 01 01: a whole DER value, which is all that is asked here. */
#define BLOCK(label, base64) "-----BEGIN " label "-----\n" base64 "\n-----END " label "-----\n"
#define CERT                 BLOCK("CERTIFICATE", "MAMCAQE=")

static void only_whole_pem_is_taken(void **state)
{
	static const struct {
		const char *text;
		enum pem_kind kind;
		bool is_whole;
	} cases[] = {
		{CERT, PEM_CERTIFICATE, true},
		{CERT CERT, PEM_CERTIFICATE, true},
		{"# a comment\n" CERT "another\n", PEM_CERTIFICATE, true},
		{BLOCK("CERTIFICATE", "MAMC\nAQE="), PEM_CERTIFICATE, true},
		{"-----BEGIN CERTIFICATE-----\r\nMAMCAQE=\r\n-----END CERTIFICATE-----\r\n",
		 PEM_CERTIFICATE, true},
		{BLOCK("PRIVATE KEY", "MAMCAQE="), PEM_PRIVATE_KEY, true},
		{BLOCK("EC PARAMETERS", "BgEq") BLOCK("EC PRIVATE KEY", "MAMCAQE="),
		 PEM_PRIVATE_KEY, true},
		{CERT BLOCK("RSA PRIVATE KEY", "MAMCAQE="), PEM_PRIVATE_KEY, true},
		{"", PEM_CERTIFICATE, false},
		{"garbage", PEM_CERTIFICATE, false},
		{CERT, PEM_PRIVATE_KEY, false},
		{BLOCK("PRIVATE KEY", "MAMCAQE="), PEM_CERTIFICATE, false},
		{"-----BEGIN CERTIFICATE-----\nMAMCAQE=\n", PEM_CERTIFICATE, false},
		{CERT "-----BEGIN CERTIFICATE-----\nMAMC", PEM_CERTIFICATE, false},
		{CERT "-----BEGIN CERT", PEM_CERTIFICATE, false},
		{BLOCK("CERTIFICATE", ""), PEM_CERTIFICATE, false},
		{BLOCK("CERTIFICATE", "MAMCAQ=="), PEM_CERTIFICATE, false},
		{BLOCK("CERTIFICATE", "MAMCAQEB"), PEM_CERTIFICATE, false},
		{BLOCK("CERTIFICATE", "not base64"), PEM_CERTIFICATE, false},
		{"-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END PRIVATE KEY-----\n",
		 PEM_CERTIFICATE, false},
		{BLOCK("ENCRYPTED PRIVATE KEY", "MAMCAQE="), PEM_PRIVATE_KEY, false},
		/* The older form (RFC 1421). */
		{BLOCK("RSA PRIVATE KEY",
		       "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nMAMCAQE="),
		 PEM_PRIVATE_KEY, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		bool is_whole = pem_check(str_of(cases[i].text), cases[i].kind, &err) == 0;

		if (is_whole != cases[i].is_whole)
			fail_msg("case %zu: %s", i, err.msg);
		if (!is_whole)
			assert_int_not_equal(err.msg[0], '\0');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_whole_pem_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
