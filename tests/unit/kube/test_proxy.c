#include "kube/proxy.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void no_proxy_means_what_it_means_to_kubectl(void **state)
{
	static const struct {
		const char *no_proxy, *host, *port;
		bool is_bypassed;
	} cases[] = {
		{"", "api.example.com", "6443", false},
		{"*", "api.example.com", "6443", true},
		{"", "localhost", "6443", true},
		{"", "127.0.0.1", "6443", true},
		{"", "127.3.2.1", "6443", true},
		{"", "::1", "6443", true},
		{"example.com", "example.com", "443", true},
		{"example.com", "api.example.com", "443", true},
		{"example.com", "badexample.com", "443", false},
		{"EXAMPLE.com", "api.Example.COM", "443", true},
		{".example.com", "example.com", "443", false},
		{".example.com", "api.example.com", "443", true},
		{"*.example.com", "example.com", "443", false},
		{"*.example.com", "a.b.example.com", "443", true},
		{"example.com:443", "example.com", "443", true},
		{"example.com:443", "example.com", "6443", false},
		{".svc,.cluster.local", "kubernetes.default.svc", "443", true},
		{"a.com, b.com ,,c.com", "b.com", "443", true},
		{"10.0.0.0/8", "10.96.0.1", "443", true},
		{"10.0.0.0/8", "11.96.0.1", "443", false},
		{"10.96.0.0/12", "10.112.0.1", "443", false},
		{"0.0.0.0/0", "8.8.8.8", "443", true},
		{"10.0.0.0/33", "10.96.0.1", "443", false},
		{"10.0.0.0/8", "ten.example.com", "443", false},
		{"10.96.0.1", "10.96.0.1", "443", true},
		{"10.96.0.1:443", "10.96.0.1", "6443", false},
		{"0.96.0.1", "10.96.0.1", "443", false},
		{"fd00::/8", "fd12::1", "443", true},
		{"fd00::/8", "fe80::1", "443", false},
		{"[fd12::1]:443", "fd12::1", "443", true},
		{"[fd12::1]:443", "fd12::1", "6443", false},
		{"fd12:0::1", "fd12::1", "443", true},
		{":443", "example.com", "443", false},
		{"/8", "10.0.0.1", "443", false},
		{"[", "10.0.0.1", "443", false},
		{".", "example.com", "443", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (proxy_is_bypassed(str_of(cases[i].no_proxy), str_of(cases[i].host),
				      str_of(cases[i].port)) != cases[i].is_bypassed)
			fail_msg("\"%s\" for %s:%s", cases[i].no_proxy, cases[i].host,
				 cases[i].port);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_proxy_means_what_it_means_to_kubectl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
