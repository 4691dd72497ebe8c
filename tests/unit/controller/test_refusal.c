#include "controller/refusal.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	int status;
	const char *message, *why, *outside;
	bool is_lasting;
} cases[] = {
	{403,
	 "builds.build.openshift.io \\\"cart-8\\\" is forbidden: exceeded quota: small, requested: "
	 "count/builds.build.openshift.io=1",
	 "exceeded quota: small, requested: count/builds.build.openshift.io=1",
	 "exceeded quota: small, requested: count/builds.build.openshift.io=1", true},
	{403,
	 "buildconfigs.build.openshift.io \\\"cart\\\" is forbidden: User "
	 "\\\"system:serviceaccount:buildhook:buildhook\\\" cannot create resource "
	 "\\\"buildconfigs/instantiate\\\" in API group \\\"build.openshift.io\\\"",
	 "buildhook's ServiceAccount may not create buildconfigs/instantiate in this namespace: "
	 "an administrator has to grant it",
	 "the cluster does not allow builds of this BuildConfig", true},
	{403,
	 "buildconfigs.build.openshift.io \\\"cart\\\" is forbidden: build strategy Custom is not "
	 "allowed",
	 "build strategy Custom is not allowed", "build strategy Custom is not allowed", true},
	{403, "admission webhook \\\"x\\\" denied the request: not for system:serviceaccount:b:b",
	 "admission webhook \"x\" denied the request: not for system:serviceaccount:b:b",
	 "the cluster does not allow builds of this BuildConfig", true},
	{422,
	 "Error resolving ImageStreamTag ruby:3 in namespace shop: unable to find latest tagged "
	 "image",
	 "Error resolving ImageStreamTag ruby:3 in namespace shop: unable to find latest tagged "
	 "image",
	 "Error resolving ImageStreamTag ruby:3 in namespace shop: unable to find latest tagged "
	 "image",
	 true},
	{401, "Unauthorized",
	 "the API server answered 401: buildhook's credentials are not accepted",
	 "the API server answered 401", false},
	{500, "etcdserver: request timed out", "etcdserver: request timed out",
	 "the API server answered 500", false},
	{429, "too many requests", "too many requests", "the API server answered 429", false},
};

static void the_cause_comes_first_and_the_git_host_hears_nothing_of_the_cluster(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(json_freep) cJSON *doc = NULL;
		char text[600], why[200], outside[160];
		struct kube_response response = {.status = cases[i].status};

		(void)snprintf(text, sizeof(text), "{\"message\":\"%s\"}", cases[i].message);
		assert_int_equal(json_parse(&doc, str_of(text), NULL), 0);
		response.doc = doc;
		refusal_explain(why, sizeof(why), outside, sizeof(outside), &response);
		assert_string_equal(why, cases[i].why);
		assert_string_equal(outside, cases[i].outside);
		assert_int_equal(refusal_is_lasting(&response), cases[i].is_lasting);
	}
}

/* curl's words name the API server's address. */
static void an_address_is_not_given_away(void **state)
{
	struct kube_response response = {.is_uncertain = true};
	char why[200], outside[160];

	(void)state;
	err_set(&response.err, ERR_UNAVAILABLE, "Failed to connect to 10.0.0.1 port 6443");
	refusal_explain(why, sizeof(why), outside, sizeof(outside), &response);
	assert_string_equal(outside, "the API server did not answer");
	response.is_uncertain = false;
	refusal_explain(why, sizeof(why), outside, sizeof(outside), &response);
	assert_string_equal(outside, "the API server cannot be reached");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			the_cause_comes_first_and_the_git_host_hears_nothing_of_the_cluster),
		cmocka_unit_test(an_address_is_not_given_away),
	};

	return cmocka_run_group_tests_name("refusal", tests, NULL, NULL);
}
