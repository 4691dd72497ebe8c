#include "kube/discovery.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct world {
	struct clock *clock;
	struct kube_client *client;
	struct kube_call *call;
	int n_done;
	int code;
	struct kube_discovery found;
};

static int64_t now(void *arg)
{
	(void)arg;
	return 0;
}

static void no_random(void *arg, void *out, size_t n)
{
	(void)arg;
	memset(out, 0, n);
}

static void *on_start(void *ctx, struct kube_call *call, const struct kube_request *request)
{
	((struct world *)ctx)->call = call;
	assert_string_equal(request->path, "/apis/build.openshift.io/v1");
	return ctx;
}

static void on_cancel(void *ctx, void *handle)
{
	(void)handle;
	((struct world *)ctx)->call = NULL;
}

static void on_found(void *arg, const struct kube_discovery *discovery, const struct err *error)
{
	struct world *w = arg;

	w->n_done++;
	w->found = *discovery;
	w->code = error->code;
}

static int set_up(void **state)
{
	struct world *w = mem_new(1, sizeof(*w));
	struct clock_source source = {now, now, no_random, w};
	struct kube_transport transport = {.ctx = w, .start = on_start, .cancel = on_cancel};

	w->clock = clock_new(&source);
	w->client = kube_client_new_over(w->clock, &transport);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	kube_client_free(w->client);
	clock_free(w->clock);
	mem_free(&w);
	return 0;
}

static void discover(struct world *w, int status, const char *body)
{
	struct http_client_answer answer = {.status = status, .body = str_of(body)};

	kube_discover(w->client, on_found, w);
	kube_transport_done(TAKE(w->call), &answer);
}

static void what_is_served_is_told_apart(void **state)
{
	static const struct {
		const char *body;
		bool has_buildconfigs, has_builds, has_instantiate;
	} cases[] = {
		{"{\"resources\":[{\"name\":\"builds\"},{\"name\":\"buildconfigs\"},"
		 "{\"name\":\"buildconfigs/instantiate\"}]}",
		 true, true, true},
		{"{\"resources\":[{\"name\":\"buildconfigs\"},{\"name\":\"buildconfigs/status\"}]}",
		 true, false, false},
		{"{\"resources\":[{\"name\":5},null]}", false, false, false},
		{"{}", false, false, false},
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		discover(w, 200, cases[i].body);
		assert_int_equal(w->code, ERR_OK);
		assert_int_equal(w->found.has_buildconfigs, cases[i].has_buildconfigs);
		assert_int_equal(w->found.has_builds, cases[i].has_builds);
		assert_int_equal(w->found.has_instantiate, cases[i].has_instantiate);
	}
	assert_int_equal(w->n_done, ARRAY_LEN(cases));
}

static void only_the_api_servers_own_404_says_that_there_is_none(void **state)
{
	struct world *w = *state;

	discover(w, 404, "404 page not found\n");
	assert_int_equal(w->code, ERR_NOTFOUND);
	discover(w, 404, "<html>");
	assert_int_equal(w->code, ERR_UNAVAILABLE);
	discover(w, 200, "<html>");
	assert_int_equal(w->code, ERR_UNAVAILABLE);
}

static void a_cancelled_discovery_is_not_answered(void **state)
{
	struct world *w = *state;

	kube_discovery_cancel(kube_discover(w->client, on_found, w));
	kube_discovery_cancel(NULL);
	assert_null(w->call);
	assert_int_equal(w->n_done, 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_served_is_told_apart),
		TEST(only_the_api_servers_own_404_says_that_there_is_none),
		TEST(a_cancelled_discovery_is_not_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
