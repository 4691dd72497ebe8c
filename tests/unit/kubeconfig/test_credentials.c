#include "kubeconfig/credentials.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define BLOCK(label, base64) "-----BEGIN " label "-----\n" base64 "\n-----END " label "-----"
#define CERT_1               BLOCK("CERTIFICATE", "MAMCAQE=")
#define CERT_2               BLOCK("CERTIFICATE", "MAMCAQI=")
#define KEY_1                BLOCK("PRIVATE KEY", "MAMCAQE=")
#define KEY_2                BLOCK("PRIVATE KEY", "MAMCAQI=")

struct folder {
	char path[64];
	char token[96], ca[96], cert[96], key[96];
	struct kube_config config;
	struct credentials *credentials;
};

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
	struct folder *f = mem_new(1, sizeof(*f));
	struct err err = {0};

	(void)snprintf(f->path, sizeof(f->path), "/tmp/buildhook-credentials-XXXXXX");
	assert_non_null(mkdtemp(f->path));
	(void)snprintf(f->token, sizeof(f->token), "%s/token", f->path);
	(void)snprintf(f->ca, sizeof(f->ca), "%s/ca.crt", f->path);
	(void)snprintf(f->cert, sizeof(f->cert), "%s/tls.crt", f->path);
	(void)snprintf(f->key, sizeof(f->key), "%s/tls.key", f->path);
	write_file(f->token, "one\n");
	write_file(f->ca, CERT_1);
	write_file(f->cert, CERT_1);
	write_file(f->key, KEY_1);
	f->config = (struct kube_config){
		.token_file = f->token, .ca_file = f->ca, .cert_file = f->cert, .key_file = f->key};
	assert_int_equal(credentials_new(&f->credentials, &f->config, 1000, &err), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct folder *f = *state;

	credentials_free(f->credentials);
	unlink(f->token);
	unlink(f->ca);
	unlink(f->cert);
	unlink(f->key);
	rmdir(f->path);
	mem_free(&f);
	return 0;
}

static void expect_header(const struct folder *f, const char *expected)
{
	const char *header = credentials_identity(f->credentials)->authorization;

	assert_string_equal(header ? header : "", expected);
}

static void files_are_read_again_after_a_minute(void **state)
{
	struct folder *f = *state;
	uint64_t generation = credentials_identity(f->credentials)->generation;

	expect_header(f, "Authorization: Bearer one");
	write_file(f->token, "two");
	write_file(f->ca, CERT_2);
	credentials_poll(f->credentials, 60999);
	expect_header(f, "Authorization: Bearer one");
	assert_int_equal(credentials_identity(f->credentials)->generation, generation);
	credentials_poll(f->credentials, 61000);
	expect_header(f, "Authorization: Bearer two");
	assert_true(str_eq(credentials_identity(f->credentials)->ca_pem, STR(CERT_2)));
	assert_true(credentials_identity(f->credentials)->generation > generation);
}

static void unchanged_files_are_no_news(void **state)
{
	struct folder *f = *state;
	uint64_t generation = credentials_identity(f->credentials)->generation;

	credentials_refresh(f->credentials, 2000);
	assert_int_equal(credentials_identity(f->credentials)->generation, generation);
}

static void a_bad_file_keeps_what_was_good(void **state)
{
	struct folder *f = *state;
	CLEANUP(buf_release) struct buf long_token = BUF_INIT(8192);
	const char *const bad[] = {"", "\n", "a b", "a\nb", "a\x01", "t\xc3\xb6ken"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		write_file(f->token, bad[i]);
		write_file(f->ca, bad[i]);
		credentials_refresh(f->credentials, 2000);
		expect_header(f, "Authorization: Bearer one");
		assert_true(str_eq(credentials_identity(f->credentials)->ca_pem, STR(CERT_1)));
	}
	while (long_token.len <= 4096)
		buf_put_char(&long_token, 'x');
	write_file(f->token, long_token.data);
	credentials_refresh(f->credentials, 2000);
	expect_header(f, "Authorization: Bearer one");
	unlink(f->token);
	unlink(f->ca);
	credentials_refresh(f->credentials, 2000);
	expect_header(f, "Authorization: Bearer one");
	assert_true(str_eq(credentials_identity(f->credentials)->ca_pem, STR(CERT_1)));
}

/* The kubelet updates files so: it renames a link to another folder. */
static void a_link_that_moves_is_followed(void **state)
{
	struct folder *f = *state;

	unlink(f->token);
	assert_int_equal(symlink(f->ca, f->token), 0);
	credentials_refresh(f->credentials, 2000);
	expect_header(f, "Authorization: Bearer one");
	unlink(f->token);
	write_file(f->ca, "three");
	assert_int_equal(symlink(f->ca, f->token), 0);
	credentials_refresh(f->credentials, 2000);
	expect_header(f, "Authorization: Bearer three");
}

static void a_certificate_comes_only_with_its_key(void **state)
{
	struct folder *f = *state;

	write_file(f->cert, CERT_2);
	write_file(f->key, "-----BEGIN PRIVATE KEY-----\nMAMC");
	credentials_refresh(f->credentials, 2000);
	assert_true(str_eq(credentials_identity(f->credentials)->cert_pem, STR(CERT_1)));
	assert_true(str_eq(credentials_identity(f->credentials)->key_pem, STR(KEY_1)));
	write_file(f->key, KEY_2);
	credentials_refresh(f->credentials, 2000);
	assert_true(str_eq(credentials_identity(f->credentials)->cert_pem, STR(CERT_2)));
	assert_true(str_eq(credentials_identity(f->credentials)->key_pem, STR(KEY_2)));
}

static void a_user_name_is_sent_where_there_is_no_token(void **state)
{
	struct folder *f = *state;
	char user[] = "me";
	char password[] = "pw";
	struct err err = {0};

	f->config = (struct kube_config){.username = user, .password = password};
	credentials_free(f->credentials);
	assert_int_equal(credentials_new(&f->credentials, &f->config, 0, &err), 0);
	expect_header(f, "Authorization: Basic bWU6cHc=");
	f->config = (struct kube_config){0};
	credentials_free(f->credentials);
	assert_int_equal(credentials_new(&f->credentials, &f->config, 0, &err), 0);
	expect_header(f, "");
	assert_true(str_empty(credentials_identity(f->credentials)->ca_pem));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(files_are_read_again_after_a_minute),
		TEST(unchanged_files_are_no_news),
		TEST(a_bad_file_keeps_what_was_good),
		TEST(a_link_that_moves_is_followed),
		TEST(a_certificate_comes_only_with_its_key),
		TEST(a_user_name_is_sent_where_there_is_no_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
