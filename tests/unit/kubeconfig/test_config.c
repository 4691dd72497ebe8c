/* asprintf() */
#define _GNU_SOURCE

#include "kubeconfig/config.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PEM_BLOCK(label) "-----BEGIN " label "-----\nMAMCAQE=\n-----END " label "-----\n"
/* PEM_BLOCK("CERTIFICATE") and PEM_BLOCK("PRIVATE KEY") in base64 */
#define CERT_DATA                                                                                  \
	"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1BTUNBUUU9Ci0tLS0tRU5EIENFUlRJRklDQVRFLS0tLS0K"
#define KEY_DATA                                                                                   \
	"LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCk1BTUNBUUU9Ci0tLS0tRU5EIFBSSVZBVEUgS0VZLS0tLS0K"

struct folder {
	char path[64];
	char file[128];
	struct kube_config *config;
	struct err err;
};

static void write_file(const struct folder *f, const char *name, const char *text)
{
	CLEANUP(mem_free) char *path = NULL;
	FILE *file = NULL;

	assert_true(asprintf(&path, "%s/%s", f->path, name) > 0);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
	struct folder *f = mem_new(1, sizeof(*f));

	(void)snprintf(f->path, sizeof(f->path), "/tmp/buildhook-config-XXXXXX");
	assert_non_null(mkdtemp(f->path));
	(void)snprintf(f->file, sizeof(f->file), "%s/config", f->path);
	write_file(f, "ca.crt", PEM_BLOCK("CERTIFICATE"));
	write_file(f, "tls.crt", PEM_BLOCK("CERTIFICATE"));
	write_file(f, "tls.key", PEM_BLOCK("PRIVATE KEY"));
	write_file(f, "token", "from-file\n");
	unsetenv("KUBECONFIG");
	unsetenv("KUBERNETES_SERVICE_HOST");
	setenv("HOME", f->path, 1);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = {"ca.crt", "tls.crt", "tls.key", "token",
					    "config", "b",       "plugin",  ".kube/config"};
	struct folder *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		CLEANUP(mem_free) char *path = NULL;

		assert_true(asprintf(&path, "%s/%s", f->path, names[i]) > 0);
		unlink(path);
	}
	kube_config_free(f->config);
	rmdir(f->path);
	mem_free(&f);
	return 0;
}

#define CLUSTER(rest) "clusters: [{name: c, cluster: {server: 'https://api:6443'" rest "}}]\n"
#define USER(rest)    "users: [{name: u, user: {" rest "}}]\n"
#define CONTEXT                                                                                    \
	"contexts: [{name: dev, context: {cluster: c, user: u, namespace: shop}}, "                \
	"{name: prod, context: {cluster: c, user: u}}]\n"
#define HEAD "apiVersion: v1\nkind: Config\ncurrent-context: dev\n"

static int load(struct folder *f, const char *text, const char *context, bool allow_exec)
{
	struct kube_config_options options = {f->file, context, allow_exec};

	kube_config_freep(&f->config);
	write_file(f, "config", text);
	return kube_config_load(&f->config, &options, &f->err);
}

static void a_context_with_data_is_read(void **state)
{
	struct folder *f = *state;

	assert_int_equal(load(f,
			      HEAD CONTEXT CLUSTER(", certificate-authority-data: " CERT_DATA
						   ", tls-server-name: kubernetes, proxy-url: "
						   "'http://p:3128'")
				      USER("client-certificate-data: " CERT_DATA
					   ", client-key-data: " KEY_DATA),
			      NULL, false),
			 0);
	assert_string_equal(f->config->server, "https://api:6443");
	assert_string_equal(f->config->namespace_, "shop");
	assert_string_equal(f->config->tls_server_name, "kubernetes");
	assert_string_equal(f->config->proxy_url, "http://p:3128");
	assert_true(str_eq(buf_str(&f->config->ca_pem), STR(PEM_BLOCK("CERTIFICATE"))));
	assert_true(str_eq(buf_str(&f->config->key_pem), STR(PEM_BLOCK("PRIVATE KEY"))));
	assert_null(f->config->ca_file);
	assert_non_null(strstr(f->config->source, "/config, context dev"));
}

static void files_are_relative_to_the_kubeconfig(void **state)
{
	struct folder *f = *state;
	CLEANUP(mem_free) char *expected = NULL;

	assert_int_equal(load(f,
			      HEAD CONTEXT CLUSTER(", certificate-authority: ca.crt")
				      USER("client-certificate: tls.crt, client-key: tls.key, "
					   "tokenFile: token"),
			      "prod", false),
			 0);
	assert_true(asprintf(&expected, "%s/ca.crt", f->path) > 0);
	assert_string_equal(f->config->ca_file, expected);
	assert_string_equal(f->config->namespace_, "default");
	assert_non_null(f->config->token_file);
}

static void each_mistake_is_one_line_that_says_what_to_change(void **state)
{
	static const struct {
		const char *text, *context, *says;
	} cases[] = {
		{HEAD CONTEXT CLUSTER("") USER(""), "nope",
		 "context \"nope\" does not exist; contexts are: dev, prod"},
		{"kind: Config\n" CONTEXT CLUSTER("") USER(""), NULL,
		 "no current-context; choose one with --context: dev, prod"},
		{HEAD CONTEXT USER(""), NULL, "cluster \"c\" does not exist; clusters are: (none)"},
		{HEAD CONTEXT CLUSTER(""), NULL, "user \"u\" does not exist"},
		{HEAD CONTEXT "clusters: [{name: c, cluster: {}}]\n" USER(""), NULL,
		 "server is missing"},
		{HEAD CONTEXT "clusters: [{name: c, cluster: {server: api}}]\n" USER(""), NULL,
		 "expected https://HOST:PORT"},
		{HEAD CONTEXT "clusters: [{name: c, cluster: {server: 'ftp://api'}}]\n" USER(""),
		 NULL, "has to begin with https://"},
		{HEAD CONTEXT
		 "clusters: [{name: c, cluster: {server: 'https://u:pw@api'}}]\n" USER(""),
		 NULL, "has a user"},
		{HEAD CONTEXT CLUSTER(", certificate-authority-data: '?'") USER(""), NULL,
		 "certificate-authority-data is not base64"},
		{HEAD CONTEXT CLUSTER(", certificate-authority-data: Z2FyYmFnZQ==") USER(""), NULL,
		 "certificate-authority-data: no PEM block"},
		{HEAD CONTEXT CLUSTER(", certificate-authority: missing.crt") USER(""), NULL,
		 "missing.crt: No such file"},
		{HEAD CONTEXT CLUSTER(", certificate-authority: token") USER(""), NULL,
		 "no PEM block with a CERTIFICATE"},
		{HEAD CONTEXT CLUSTER(
			 ", certificate-authority: ca.crt, insecure-skip-tls-verify: true")
			 USER(""),
		 NULL, "exclude each other"},
		{HEAD CONTEXT CLUSTER(", insecure-skip-tls-verify: 'yes'") USER(""), NULL,
		 "has to be true or false"},
		{HEAD CONTEXT CLUSTER("") USER("token: 5"), NULL, "token has to be a string"},
		{HEAD CONTEXT CLUSTER("") USER("token: \"s3cr\\net\""), NULL,
		 "cannot be part of a token"},
		{HEAD CONTEXT CLUSTER("") USER("client-certificate: tls.crt"), NULL,
		 "are needed together"},
		{HEAD CONTEXT CLUSTER("") USER("auth-provider: {name: gcp}"), NULL,
		 "auth-provider is not supported"},
		{HEAD CONTEXT CLUSTER("") USER("as: root"), NULL, "as is not supported"},
		{HEAD CONTEXT CLUSTER("") USER("exec: {apiVersion: x, command: y}"), NULL,
		 "exec credential plugins are not supported"},
		{"", NULL, "expected apiVersion: v1, kind: Config"},
		{"[1]", NULL, "expected apiVersion: v1, kind: Config"},
		{"a: [", NULL, "kubeconfig"},
	};
	struct folder *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		f->err = (struct err){0};
		assert_true(load(f, cases[i].text, cases[i].context, false) < 0);
		if (!strstr(f->err.msg, cases[i].says))
			fail_msg("\"%s\" lacks \"%s\"", f->err.msg, cases[i].says);
		assert_null(strchr(f->err.msg, '\n'));
		assert_null(strstr(f->err.msg, "s3cr"));
		assert_null(strstr(f->err.msg, ":pw"));
		assert_null(f->config);
	}
}

static void of_several_files_the_first_to_name_a_thing_wins(void **state)
{
	struct folder *f = *state;
	struct kube_config_options options = {0};
	CLEANUP(mem_free) char *list = NULL;

	write_file(f, "config",
		   "contexts: [{name: dev, context: {cluster: c, user: u}}]\n"
		   "users: [{name: u, user: {token: first}}]\n");
	write_file(f, "b",
		   HEAD CONTEXT CLUSTER("") USER("token: second, username: x, password: y"));
	assert_true(asprintf(&list, "%s/missing::%s/config:%s/b", f->path, f->path, f->path) > 0);
	setenv("KUBECONFIG", list, 1);
	assert_int_equal(kube_config_load(&f->config, &options, &f->err), 0);
	assert_string_equal(f->config->token, "first");
	assert_string_equal(f->config->namespace_, "default");
	assert_null(f->config->username);
}

static void without_any_configuration_the_message_says_so(void **state)
{
	struct folder *f = *state;
	struct kube_config_options options = {0};

	assert_int_equal(kube_config_load(&f->config, &options, &f->err), ERR_NOTFOUND);
	assert_non_null(
		strstr(f->err.msg, "/.kube/config does not exist; name a file with --kubeconfig"));
	options.kubeconfig = "/nonexistent";
	assert_int_equal(kube_config_load(&f->config, &options, &f->err), ERR_NOTFOUND);
	assert_non_null(strstr(f->err.msg, "kubeconfig /nonexistent: no such file"));
}

#define EXEC                                                                                       \
	"exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin, args: [a, 'b "     \
	"c'], "                                                                                    \
	"env: [{name: GREETING, value: hello}]}"

static void write_plugin(const struct folder *f, const char *script)
{
	CLEANUP(mem_free) char *path = NULL;

	write_file(f, "plugin", script);
	assert_true(asprintf(&path, "%s/plugin", f->path) > 0);
	assert_int_equal(chmod(path, 0700), 0);
}

static void an_exec_plug_in_gives_the_token(void **state)
{
	struct folder *f = *state;

	write_plugin(f,
		     "#!/bin/sh\n"
		     "case $KUBERNETES_EXEC_INFO in *client.authentication.k8s.io/v1*) ;; *) exit "
		     "9;; esac\n"
		     "printf '{\"kind\":\"ExecCredential\",\"status\":{\"token\":\"%s-%s-%s\"}}' "
		     "$GREETING $1 \"${2#b }\"\n");
	assert_int_equal(load(f, HEAD CONTEXT CLUSTER("") USER(EXEC), NULL, true), 0);
	assert_null(f->config->token);
	assert_int_equal(kube_config_run_exec(f->config, &f->err), 0);
	assert_string_equal(f->config->token, "hello-a-c");
}

static void an_exec_plug_in_that_fails_is_named(void **state)
{
	static const struct {
		const char *script, *says;
	} cases[] = {
		{"#!/bin/sh\nexit 3\n", "ended with status 3"},
		{"#!/bin/sh\necho hello\n", "not a JSON document"},
		{"#!/bin/sh\necho '{\"status\":{}}'\n", "neither a token nor a client certificate"},
		{"#!/nonexistent\n", "No such file"},
	};
	struct folder *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		write_plugin(f, cases[i].script);
		assert_int_equal(load(f, HEAD CONTEXT CLUSTER("") USER(EXEC), NULL, true), 0);
		assert_true(kube_config_run_exec(f->config, &f->err) < 0);
		if (!strstr(f->err.msg, cases[i].says))
			fail_msg("\"%s\" lacks \"%s\"", f->err.msg, cases[i].says);
		assert_non_null(strstr(f->err.msg, "plugin"));
	}
}

static void a_configuration_without_exec_runs_nothing(void **state)
{
	struct folder *f = *state;

	assert_int_equal(load(f, HEAD CONTEXT CLUSTER("") USER("token: t"), NULL, true), 0);
	assert_int_equal(kube_config_run_exec(f->config, &f->err), 0);
	assert_string_equal(f->config->token, "t");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_context_with_data_is_read),
		TEST(files_are_relative_to_the_kubeconfig),
		TEST(each_mistake_is_one_line_that_says_what_to_change),
		TEST(of_several_files_the_first_to_name_a_thing_wins),
		TEST(without_any_configuration_the_message_says_so),
		TEST(an_exec_plug_in_gives_the_token),
		TEST(an_exec_plug_in_that_fails_is_named),
		TEST(a_configuration_without_exec_runs_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
