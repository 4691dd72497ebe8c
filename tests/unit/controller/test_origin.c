/* Who started the newest Build: OpenShift's own endpoint, or somebody else (controller/origin.c).
 */
#include "parts.h"

#include "controller/build_body.h"

static struct observed observe_origin(struct object *object)
{
	struct observed seen = {.bc = object_buildconfig(object)};

	assert_non_null(seen.bc);
	origin_observe(&seen, object);
	return seen;
}

static void note(struct object *object, const char *text)
{
	CLEANUP(json_freep) cJSON *build = NULL;

	assert_int_equal(json_parse(&build, str_of(text), NULL), 0);
	origin_note(object, build);
}

#define BUILD(name, created, labels, cause)                                                        \
	"{\"metadata\":{\"name\":\"" name "\",\"creationTimestamp\":\"" created                    \
	"\",\"labels\":{" labels "}},\"spec\":{\"triggeredBy\":[" cause "]}}"
#define NOON    "2026-11-24T12:00:00Z"
#define GITHUB  "{\"message\":\"GitHub WebHook\",\"githubWebHook\":{\"secret\":\"<secret>\"}}"
#define GENERIC "{\"genericWebHook\":{}}"

static void a_webhooks_build_without_our_label_is_openshifts(void **state)
{
	static const struct {
		const char *build;
		const char *type; /* in the hint; NULL: there is none */
	} cases[] = {
		{BUILD("cart-7", NOON, "", GITHUB), "github"},
		{BUILD("cart-7", NOON, "", GENERIC), "generic"},
		{BUILD("cart-7", NOON, "\"app\":\"x\"", GITHUB), "github"},
		{BUILD("cart-7", NOON, "", "5,{}," GENERIC), "generic"},
		{BUILD("cart-7", NOON, "\"" BUILD_DELIVERY_LABEL "\":\"x\"", GITHUB), NULL},
		{BUILD("cart-7", NOON, "", "{\"message\":\"Manually triggered\"}"), NULL},
		{BUILD("cart-7", NOON, "", "{\"imageChangeBuild\":{}}"), NULL},
		{BUILD("cart-7", NOON, "", ""), NULL},
		{BUILD("cart-7", "noon", "", GITHUB), NULL},
		{"{\"metadata\":{\"name\":\"cart-7\"},\"spec\":{\"triggeredBy\":[" GITHUB "]}}",
		 NULL},
		{"{\"metadata\":{\"creationTimestamp\":\"" NOON
		 "\"},\"spec\":{\"triggeredBy\":[" GITHUB "]}}",
		 NULL},
		{"{\"metadata\":5,\"spec\":{\"triggeredBy\":{}}}", NULL},
		{"{}", NULL},
	};
	struct parts *p = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
		char expected[200];

		note(object, cases[i].build);
		if ((object->origin.hint != NULL) != (cases[i].type != NULL))
			fail_msg("case %zu: %s", i, object->origin.hint);
		if (!cases[i].type)
			continue;
		(void)snprintf(expected, sizeof(expected),
			       "your Git host still calls OpenShift's own %s URL, which started "
			       "cart-7; paste the one of buildhook.io/%s-url there",
			       cases[i].type, cases[i].type);
		assert_string_equal(object->origin.hint, expected);
		assert_string_equal(hook_type_name(object->origin.type), cases[i].type);
		/* Seconds since 1970 of NOON. */
		assert_int_equal(object->origin.hint_ms, 1795521600000);
	}
}

static void the_newest_such_build_counts(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

	note(object, BUILD("cart-7", NOON, "", GITHUB));
	note(object, BUILD("cart-6", "2026-11-24T11:59:59Z", "", GENERIC));
	note(object, BUILD("cart-8", NOON, "", GENERIC));
	assert_non_null(strstr(object->origin.hint, "started cart-7;"));
	note(object, BUILD("cart-9", "2026-11-24T12:00:01Z", "", GENERIC));
	assert_non_null(strstr(object->origin.hint, "generic URL, which started cart-9;"));
}

/* The hint keeps what is to be done, however long the name is. */
static void a_long_name_is_cut_in_the_hint(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
	char text[700], name[254], shown[80];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	(void)snprintf(text, sizeof(text), BUILD("%s", NOON, "", GENERIC), name);
	note(object, text);
	(void)snprintf(shown, sizeof(shown), " %.60s; paste", name);
	assert_non_null(strstr(object->origin.hint, shown));
	assert_true(str_ends(str_of(object->origin.hint), STR("generic-url there")));
}

static void there_is_no_other_endpoint_on_plain_kubernetes(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

	p->controller->opt.backend = CONTROLLER_KUBERNETES;
	note(object, BUILD("cart-7", NOON, "", GITHUB));
	assert_null(object->origin.hint);
	parts_put_buildconfig(p, 3);
	assert_false(observe_origin(object).has_unknown_build);
	parts_put_buildconfig(p, 4);
	assert_false(observe_origin(object).has_unknown_build);
}

/* Builds from before the start of this process are not looked at. */
static void a_number_that_rises_is_looked_at_after_its_build_had_time_to_come(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

	parts_put_buildconfig(p, 3);
	assert_false(observe_origin(object).has_unknown_build);
	parts_put_buildconfig(p, 4);
	object->cached_version_ms = p->base.mono_ms;
	assert_true(observe_origin(object).has_unknown_build);
	assert_int_equal(observe_origin(object).look_wait_ms, 5000);
	parts_go(p, 4999);
	assert_int_equal(observe_origin(object).look_wait_ms, 1);
	parts_go(p, 1);
	assert_int_equal(observe_origin(object).look_wait_ms, 0);
}

static void without_a_hook_no_build_is_looked_at(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
	char text[] = "{\"kind\":\"BuildConfig\",\"metadata\":{\"namespace\":\"shop\",\"name\":"
		      "\"cart\",\"uid\":\"u1\",\"resourceVersion\":\"1001\"},\"spec\":{},"
		      "\"status\":{\"lastVersion\":4}}";
	CLEANUP(json_freep) cJSON *doc = NULL;

	parts_put_buildconfig(p, 3);
	(void)observe_origin(object);
	assert_int_equal(json_parse(&doc, str_of(text), NULL), 0);
	kube_store_put(p->services.store, doc, p->base.mono_ms);
	assert_false(observe_origin(object).has_unknown_build);
	/* A hook that is added later shows nothing of what came before. */
	parts_put(p, (struct parts_buildconfig){"shop", "cart", "u1", 1002, 4});
	assert_false(observe_origin(object).has_unknown_build);
}

static int n_looks;

static int serve_build(struct parts *p, const struct kube_request *request,
		       char body[PARTS_BODY_BYTES])
{
	const bool is_look = strcmp(request->path, "/apis/build.openshift.io/v1/namespaces/shop/"
						   "builds/cart-4") == 0;

	n_looks += is_look;
	if (is_look && p->status == 200)
		(void)snprintf(body, PARTS_BODY_BYTES, "%s", BUILD("cart-4", NOON, "", GITHUB));
	return p->status;
}

static void look(struct parts *p, struct object *object)
{
	queue_add(p->services.queue, object->key);
	assert_string_equal(queue_get(p->services.queue), object->key);
	origin_act(object);
	parts_go(p, 10);
	assert_null(object->work);
}

/* A failure is not retried: the next Build shows the same. */
static void each_number_is_looked_at_once(void **state)
{
	static const int statuses[] = {200, 404, 500};
	struct parts *p = *state;

	p->serve = serve_build;
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

		p->status = statuses[i];
		n_looks = 0;
		object->origin.has_looked_version = true;
		object->origin.looked_version = 3;
		parts_put_buildconfig(p, 4);
		assert_true(observe_origin(object).has_unknown_build);
		look(p, object);
		assert_int_equal(n_looks, 1);
		assert_false(observe_origin(object).has_unknown_build);
		assert_int_equal(object->origin.hint != NULL, statuses[i] == 200);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PARTS_TEST(a_webhooks_build_without_our_label_is_openshifts),
		PARTS_TEST(the_newest_such_build_counts),
		PARTS_TEST(a_long_name_is_cut_in_the_hint),
		PARTS_TEST(there_is_no_other_endpoint_on_plain_kubernetes),
		PARTS_TEST(a_number_that_rises_is_looked_at_after_its_build_had_time_to_come),
		PARTS_TEST(without_a_hook_no_build_is_looked_at),
		PARTS_TEST(each_number_is_looked_at_once),
	};

	return cmocka_run_group_tests_name("origin", tests, NULL, NULL);
}
