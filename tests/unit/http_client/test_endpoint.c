#include "http_client/endpoint.h"
#include "http_client/no_proxy.h"

#include "base/mem.h"

#include <curl/curl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void each_address_is_taken_apart(void **state)
{
	static const struct {
		const char *server, *tls_server_name;
		const char *base, *host, *connect_to, *host_field;
	} cases[] = {
		{"https://api:6443", NULL, "https://api:6443", "api:6443", NULL, NULL},
		{"https://api", NULL, "https://api:443", "api:443", NULL, NULL},
		{"https://api:6443/", NULL, "https://api:6443", "api:6443", NULL, NULL},
		{"https://api/k8s/clusters/c-1//", NULL, "https://api:443/k8s/clusters/c-1",
		 "api:443", NULL, NULL},
		{"https://[fd00::1]:6443", NULL, "https://[fd00::1]:6443", "[fd00::1]:6443", NULL,
		 NULL},
		{"http://127.0.0.1:8001", NULL, "http://127.0.0.1:8001", "127.0.0.1:8001", NULL,
		 NULL},
		{"https://10.0.0.1:6443/x", "kubernetes", "https://kubernetes:6443/x",
		 "10.0.0.1:6443", "::10.0.0.1:6443", "Host: 10.0.0.1:6443"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_client_options options = {.url = cases[i].server,
						      .server_name = cases[i].tls_server_name};
		CLEANUP(endpoint_release) struct endpoint endpoint = {0};
		struct err err = {0};

		assert_int_equal(endpoint_init(&endpoint, &options, &err), 0);
		assert_string_equal(endpoint.base, cases[i].base);
		assert_string_equal(endpoint.host, cases[i].host);
		if (cases[i].connect_to)
			assert_string_equal(endpoint.connect_to->data, cases[i].connect_to);
		else
			assert_null(endpoint.connect_to);
		if (cases[i].host_field)
			assert_string_equal(endpoint.host_field, cases[i].host_field);
		else
			assert_null(endpoint.host_field);
	}
}

static void the_proxy_is_the_files_or_the_environments(void **state)
{
	static const struct {
		const char *server, *proxy_url, *https_proxy, *no_proxy;
		const char *proxy;
	} cases[] = {
		{"https://api:6443", NULL, "", "", ""},
		{"https://api:6443", NULL, "http://p:3128", "", "http://p:3128"},
		{"https://api:6443", NULL, "http://p:3128", "api", ""},
		{"https://127.0.0.1:6443", NULL, "http://p:3128", "", ""},
		{"https://localhost:6443", NULL, "http://p:3128", "", ""},
		{"https://[::1]:6443", NULL, "http://p:3128", "", ""},
		{"https://127.0.0.1:6443", "http://q:1", "http://p:3128", "*", "http://q:1"},
		{"https://api:6443", "socks5://q:1", "", "", "socks5h://q:1"},
		/* HTTPS_PROXY is for https alone. */
		{"http://api:6443", NULL, "http://p:3128", "", ""},
	};

	(void)state;
	unsetenv("https_proxy");
	unsetenv("no_proxy");
	unsetenv("HTTP_PROXY");
	unsetenv("http_proxy");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_client_options options = {.url = cases[i].server,
						      .proxy_url = cases[i].proxy_url,
						      .allows_http = true};
		CLEANUP(endpoint_release) struct endpoint endpoint = {0};
		struct err err = {0};

		setenv("HTTPS_PROXY", cases[i].https_proxy, 1);
		setenv("NO_PROXY", cases[i].no_proxy, 1);
		assert_int_equal(endpoint_init(&endpoint, &options, &err), 0);
		assert_string_equal(endpoint.proxy, cases[i].proxy);
	}
}

/* The examples are those of golang.org/x/net/http/httpproxy's documentation and tests. */
static void no_proxy_means_what_it_means_to_kubectl(void **state)
{
	static const struct {
		const char *list, *host, *port;
		bool is_exempt;
	} cases[] = {
		{"", "api.example.com", "443", false},
		{"*", "api.example.com", "443", true},
		{"example.com", "example.com", "443", true},
		{"example.com", "api.Example.com", "443", true},
		{"example.com", "badexample.com", "443", false},
		{"example.com", "com", "443", false},
		{".example.com", "api.example.com", "443", true},
		{".example.com", "example.com", "443", false},
		{"*.example.com", "api.example.com", "443", true},
		{"*.example.com", "example.com", "443", false},
		{" a , example.com:6443,", "example.com", "6443", true},
		{"example.com:6443", "example.com", "443", false},
		{"10.1.2.3", "10.1.2.3", "443", true},
		{"10.1.2.3:80", "10.1.2.3", "443", false},
		{"10.1.2.3", "110.1.2.3", "443", false},
		{"10.0.0.0/8", "10.1.2.3", "443", true},
		{"10.0.0.0/8", "11.1.2.3", "443", false},
		{"10.1.2.0/23", "10.1.3.9", "443", true},
		{"10.0.0.0/8", "ten.example.com", "443", false},
		{"10.0.0.0/33", "10.0.0.0", "443", false},
		{"10.0.0.0/", "10.0.0.0", "443", false},
		{"fd00::/8", "[fd00::1]", "443", true},
		{"fd00::1", "[fd00::1]", "443", true},
		{"[fd00::1]:443", "[fd00::1]", "443", true},
		{"[fd00::1]:444", "[fd00::1]", "443", false},
		{"fd00::/8", "10.1.2.3", "443", false},
		{"[", "example.com", "443", false},
		{":443", "example.com", "443", false},
		{".", "example.com", "443", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (no_proxy_exempts(cases[i].list, cases[i].host, cases[i].port) !=
		    cases[i].is_exempt)
			fail_msg("\"%s\" and %s:%s", cases[i].list, cases[i].host, cases[i].port);
}

static void plain_http_is_for_loopback_only(void **state)
{
	static const struct {
		const char *url;
		bool allows_http, is_taken;
	} cases[] = {
		{"http://127.0.0.1:8001", false, true},
		{"http://localhost:8001", false, true},
		{"http://[::1]:8001", false, true},
		{"http://10.0.0.1:8001", false, false},
		{"http://127.evil.example:8001", false, false},
		{"http://git.example:3000", true, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_client_options options = {.url = cases[i].url,
						      .allows_http = cases[i].allows_http};
		struct err err = {0};

		assert_int_equal(http_client_check_url(&options, &err),
				 cases[i].is_taken ? 0 : ERR_INVALID);
		assert_true(cases[i].is_taken || strstr(err.msg, "https://"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_address_is_taken_apart),
		cmocka_unit_test(no_proxy_means_what_it_means_to_kubectl),
		cmocka_unit_test(plain_http_is_for_loopback_only),
		cmocka_unit_test(the_proxy_is_the_files_or_the_environments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
