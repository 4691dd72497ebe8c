#include "receiver/route.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define OPENSHIFT "/apis/build.openshift.io/v1/namespaces/"

static struct route parse(const char *path)
{
	struct route route;

	route_parse(&route, str_of(path));
	return route;
}

static void assert_part(struct str part, const char *expected)
{
	char text[512];

	(void)snprintf(text, sizeof(text), "%.*s", STR_ARG(part));
	assert_string_equal(text, expected);
}

static void both_forms_name_a_hook(void **state)
{
	static const struct {
		const char *path;
		enum route_kind kind;
		const char *namespace_, *name, *secret;
		enum hook_type type;
	} cases[] = {
		{"/hooks/shop/cart/github", ROUTE_HOOK, "shop", "cart", "", HOOK_GITHUB},
		{"/hooks/shop/cart/gitlab", ROUTE_HOOK, "shop", "cart", "", HOOK_GITLAB},
		{"/hooks/shop/cart/bitbucket", ROUTE_HOOK, "shop", "cart", "", HOOK_BITBUCKET},
		{"/hooks/shop/cart/generic", ROUTE_HOOK, "shop", "cart", "", HOOK_GENERIC},
		{"/hooks/1/a.b-c.2/generic", ROUTE_HOOK, "1", "a.b-c.2", "", HOOK_GENERIC},
		{"/hooks/hooks/github/github", ROUTE_HOOK, "hooks", "github", "", HOOK_GITHUB},
		{OPENSHIFT "shop/buildconfigs/cart/webhooks/s3cret/github", ROUTE_OPENSHIFT, "shop",
		 "cart", "s3cret", HOOK_GITHUB},
		{OPENSHIFT "shop/buildconfigs/cart/webhooks/a%2Fb;c=.../generic", ROUTE_OPENSHIFT,
		 "shop", "cart", "a%2Fb;c=...", HOOK_GENERIC},
		{OPENSHIFT "webhooks/buildconfigs/namespaces/webhooks/webhooks/gitlab",
		 ROUTE_OPENSHIFT, "webhooks", "namespaces", "webhooks", HOOK_GITLAB},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct route route = parse(cases[i].path);

		assert_int_equal(route.kind, cases[i].kind);
		assert_part(route.namespace_, cases[i].namespace_);
		assert_part(route.name, cases[i].name);
		assert_part(route.secret, cases[i].secret);
		assert_int_equal(route.type, cases[i].type);
	}
	assert_int_equal(parse("/").kind, ROUTE_ROOT);
}

/* Paths that resemble a hook's but are none. */
static void whatever_is_not_exactly_a_form_is_no_hook(void **state)
{
	static const char *const paths[] = {
		"",
		"*",
		"//",
		"/hooks",
		"/hooks/",
		"/hooks/shop/cart",
		"/hooks/shop/cart/",
		"/hooks/shop/cart/github/",
		"/hooks/shop/cart/github/x",
		"/hooks//shop/cart/github",
		"/hooks/shop//cart/github",
		"//hooks/shop/cart/github",
		"hooks/shop/cart/github",
		"/./hooks/shop/cart/github",
		"/hooks/./shop/cart/github",
		"/hooks/shop/../cart/github",
		"/hooks/shop/../shop/cart/github",
		"/hooks/../cart/github",
		"/hooks/shop/../github",
		"/hooks/shop/.../github",
		"/hooks/shop%2fcart/github",
		"/hooks/shop%2Fcart/github",
		"/hooks/sh%6fp/cart/github",
		"/hooks/shop/cart%00/github",
		"/hooks/shop/cart/%67ithub",
		"/hooks/shop/cart/github;x=1",
		"/hooks/shop/cart;x/github",
		"/hooks;/shop/cart/github",
		"/hooks/shop/cart/github#",
		"/hooks/shop/cart/github ",
		"/hooks/shop/cart/GitHub",
		"/hooks/shop/cart/gitea",
		"/hooks/shop/cart/git",
		"/hooks/shop/cart/githubb",
		"/Hooks/shop/cart/github",
		"/hooks/Shop/cart/github",
		"/hooks/shop/CART/github",
		"/hooks/shop/c{rt/github",
		"/hooks/shop/c\xc3\xa4rt/github",
		"/hooks/shop/cart\x80/github",
		"/hooks/shop/cart\\/github",
		"/hooks/shop/-cart/github",
		"/hooks/shop/cart-/github",
		"/hooks/shop/.cart/github",
		"/hooks/shop/cart./github",
		"/hooks/shop/c..t/github",
		"/hooks/shop/c-.t/github",
		"/hooks/shop/c.-t/github",
		"/hooks/shop/c_t/github",
		"/hooks/shop/c:t/github",
		OPENSHIFT "shop/buildconfigs/cart/webhooks/s/github/",
		OPENSHIFT "shop/buildconfigs/cart/webhooks/s/github/x",
		OPENSHIFT "shop/buildconfigs/cart/webhooks/s/t/github",
		OPENSHIFT "shop/buildconfigs/cart/webhooks//github",
		OPENSHIFT "shop/buildconfigs/cart/webhooks/github",
		OPENSHIFT "shop/buildconfigs/cart/webhooks/s/GITHUB",
		OPENSHIFT "shop/buildconfigs/cart/webhooks/s/jenkins",
		OPENSHIFT "shop/buildconfigs/cart/../cart/webhooks/s/github",
		OPENSHIFT "shop/buildconfigs/cart%2fwebhooks/s/github",
		OPENSHIFT "/buildconfigs/cart/webhooks/s/github",
		OPENSHIFT "shop//buildconfigs/cart/webhooks/s/github",
		OPENSHIFT "shop/builds/cart/webhooks/s/github",
		OPENSHIFT "shop/buildconfigs/cart/instantiate",
		"/apis/build.openshift.io/v1beta1/namespaces/shop/buildconfigs/cart/webhooks/s/"
		"github",
		"/oapi/v1/namespaces/shop/buildconfigs/cart/webhooks/s/github",
		"/apis/build.openshift.io/v1/buildconfigs/cart/webhooks/s/github",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (parse(paths[i]).kind != ROUTE_NONE)
			fail_msg("\"%s\" is taken for a hook", paths[i]);
}

static enum route_kind kind_of_long_name(const char *form, int length)
{
	char path[1024], name[300];

	assert_true((size_t)length < sizeof(name));
	memset(name, 'a', (size_t)length);
	name[length] = 0;
	(void)snprintf(path, sizeof(path), "%s%s/github", form, name);
	return parse(path).kind;
}

static void names_may_be_as_long_as_kubernetes_allows(void **state)
{
	(void)state;
	assert_int_equal(kind_of_long_name("/hooks/shop/", 253), ROUTE_HOOK);
	assert_int_equal(kind_of_long_name("/hooks/shop/", 254), ROUTE_NONE);
	assert_int_equal(kind_of_long_name(OPENSHIFT "shop/buildconfigs/cart/webhooks/", 299),
			 ROUTE_OPENSHIFT);
}

static void a_nul_in_a_path_ends_nothing(void **state)
{
	static const char path[] = "/hooks/shop/cart/github\0";
	struct route route;

	(void)state;
	route_parse(&route, str_range(path, sizeof(path) - 1));
	assert_int_equal(route.kind, ROUTE_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_forms_name_a_hook),
		cmocka_unit_test(whatever_is_not_exactly_a_form_is_no_hook),
		cmocka_unit_test(names_may_be_as_long_as_kubernetes_allows),
		cmocka_unit_test(a_nul_in_a_path_ends_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
