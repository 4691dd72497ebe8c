/* The webhook Secrets of a BuildConfig: each write, and what comes of its answer
 * (controller/secret.c). */
#include "parts.h"

#define NAME  "cart-github-webhook"
#define VALUE "0404040404040404040404040404040404040404040404040404040404040404"
#define OURS  "\"app.kubernetes.io/managed-by\":\"buildhook\""
#define OWNED                                                                                      \
	"{\"apiVersion\":\"build.openshift.io/v1\",\"kind\":\"BuildConfig\","                      \
	"\"name\":\"cart\",\"uid\":\"u1\"}"
/* LABELS, OWNERS and DATA are members of these. */
#define SECRET(labels, owners, data)                                                               \
	"{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{\"namespace\":\"shop\","         \
	"\"name\":\"" NAME "\",\"uid\":\"s1\",\"resourceVersion\":\"7\",\"labels\":{" labels       \
	"},\"ownerReferences\":[" owners "]},\"data\":{" data "}}"
#define KEY "\"WebHookSecretKey\":\"YWJj\""
#define STATUS(reason, message)                                                                    \
	"{\"kind\":\"Status\",\"reason\":\"" reason "\",\"message\":\"" message "\"}"

/* What the API server answers to requests for Secrets, and what it was asked. */
static struct {
	int status;
	const char *body;
	const char *rotate; /* annotation of its BuildConfig */
	bool keeps_rotated; /* its answer has the record of rotations that it was sent */
	int n_secrets, n_buildconfigs;
	enum kube_method method;
	char path[512];
	cJSON *sent;
	char event[2048]; /* body of the newest Event */
} api;

/* "" where what was sent has no such text. */
static const char *sent(const char *path)
{
	const char *text = json_str_at(api.sent, path);

	return text ? text : "";
}

static const char *annotation(const char *name)
{
	char key[64];
	const char *text;

	(void)snprintf(key, sizeof(key), "buildhook.io/%s", name);
	text = cJSON_GetStringValue(json_member(json_at(api.sent, "metadata/annotations"), key));
	return text ? text : "";
}

/* Of the first owner. */
static const char *owner(const char *member)
{
	const char *text = json_str_at(
		cJSON_GetArrayItem(json_at(api.sent, "metadata/ownerReferences"), 0), member);

	return text ? text : "";
}

static int serve(struct parts *p, const struct kube_request *request, char body[PARTS_BODY_BYTES])
{
	const char *record;

	(void)p;
	if (strstr(request->path, "/buildconfigs/")) {
		api.n_buildconfigs++;
		(void)snprintf(body, PARTS_BODY_BYTES,
			       "{\"kind\":\"BuildConfig\",\"metadata\":{\"uid\":\"u1\","
			       "\"annotations\":{\"buildhook.io/rotate\":\"%s\"}}}",
			       api.rotate);
	}
	if (strstr(request->path, "/events"))
		(void)snprintf(api.event, sizeof(api.event), "%.*s", STR_ARG(request->body));
	if (!strstr(request->path, "/secrets"))
		return 200;
	api.n_secrets++;
	api.method = request->method;
	(void)snprintf(api.path, sizeof(api.path), "%s", request->path);
	json_freep(&api.sent);
	if (request->body.n > 0)
		assert_int_equal(json_parse(&api.sent, request->body, NULL), 0);
	record = annotation("rotated");
	if (api.keeps_rotated && *record)
		(void)snprintf(body, PARTS_BODY_BYTES,
			       "{\"kind\":\"Secret\",\"metadata\":{\"namespace\":\"shop\",\"name\":"
			       "\"" NAME "\",\"uid\":\"s1\",\"resourceVersion\":\"8\","
			       "\"labels\":{" OURS "},\"annotations\":{\"buildhook.io/rotated\":"
			       "\"%s\"}},\"data\":{" KEY "}}",
			       record);
	else
		(void)snprintf(body, PARTS_BODY_BYTES, "%s", api.body);
	return api.status;
}

static void put_rotating(struct parts *p, const char *rotate, const char *annotations)
{
	static int version = 5000;
	CLEANUP(json_freep) cJSON *doc = NULL;
	char text[PARTS_BODY_BYTES];

	(void)snprintf(text, sizeof(text),
		       "{\"kind\":\"BuildConfig\",\"metadata\":{\"namespace\":\"shop\",\"name\":"
		       "\"cart\",\"uid\":\"u1\",\"resourceVersion\":\"%d\",\"annotations\":{"
		       "\"buildhook.io/rotate\":\"%s\"%s}},\"spec\":{\"triggers\":[{\"type\":"
		       "\"GitHub\",\"github\":{\"secretReference\":{\"name\":\"" NAME "\"}}}]}}",
		       ++version, rotate, annotations);
	assert_int_equal(json_parse(&doc, str_of(text), NULL), 0);
	kube_store_put(p->services.store, doc, p->base.mono_ms);
}

/* Makes a Secret known; NULL: none is. */
static const struct kube_secret *know(struct parts *p, const char *text)
{
	CLEANUP(json_freep) cJSON *doc = NULL;

	if (text) {
		assert_int_equal(json_parse(&doc, str_of(text), NULL), 0);
		kube_secrets_put_written(p->services.secrets, doc);
	}
	return kube_secrets_peek(p->services.secrets, "shop", NAME);
}

/* KNOWN: the Secret before; NULL: none. */
static void act(struct parts *p, struct object *object, enum action_kind kind, const char *known)
{
	const struct observed_secret secret = {
		.name = NAME, .type = HOOK_GITHUB, .secret = know(p, known)};
	const struct action action = {.kind = kind, .secret = &secret};

	api.n_secrets = api.n_buildconfigs = 0;
	queue_add(p->services.queue, object->key);
	assert_string_equal(queue_get(p->services.queue), object->key);
	secret_act(object, &action);
	parts_go(p, 20);
	assert_null(object->work);
}

static void expect_success(const struct object *object)
{
	assert_null(object->secrets.trouble);
	assert_int_equal(object->secrets.failures, 0);
	assert_int_equal(object->secrets.retry_ms, 0);
}

static void a_missing_secret_is_made_for_its_owner(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

	api.status = 201;
	api.body = SECRET(OURS, OWNED, KEY);
	act(p, object, ACTION_CREATE_SECRET, NULL);
	expect_success(object);
	assert_int_equal(api.method, KUBE_POST);
	assert_string_equal(api.path, "/api/v1/namespaces/shop/secrets?fieldManager=buildhook");
	assert_string_equal(sent("kind"), "Secret");
	assert_string_equal(sent("metadata/name"), NAME);
	assert_string_equal(cJSON_GetStringValue(json_member(json_at(api.sent, "metadata/labels"),
							     "app.kubernetes.io/managed-by")),
			    "buildhook");
	assert_string_equal(owner("kind"), "BuildConfig");
	assert_string_equal(owner("uid"), "u1");
	/* True would need rights on the owner's finalizers. */
	assert_true(cJSON_IsFalse(
		json_at(cJSON_GetArrayItem(json_at(api.sent, "metadata/ownerReferences"), 0),
			"blockOwnerDeletion")));
	/* 256 bits of this world's random bytes, which are all 4. */
	assert_string_equal(sent("stringData/WebHookSecretKey"), VALUE);
	assert_int_equal(know(p, NULL)->state, KUBE_SECRET_PRESENT);
	assert_non_null(strstr(api.event, "WebhookSecretCreated"));
	assert_null(strstr(api.event, VALUE));
	/* Nobody has the value of a former Secret. */
	assert_null(object->secrets.remade_name);
}

static void each_patch_is_of_what_was_read_and_writes_no_more_than_it_must(void **state)
{
	static const struct {
		enum action_kind kind;
		const char *known;
		bool has_owner, has_value, ends_previous;
	} cases[] = {
		{ACTION_COMPLETE_SECRET, SECRET(OURS, "", ""), true, true, false},
		{ACTION_OWN_SECRET, SECRET(OURS, "", KEY), true, false, false},
		{ACTION_END_PREVIOUS,
		 SECRET(OURS, OWNED, KEY ",\"WebHookSecretKey.previous\":\"ZGVm\""), false, false,
		 true},
	};
	struct parts *p = *state;

	api.body = SECRET(OURS, OWNED, KEY);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
		const cJSON *previous, *until;

		act(p, object, cases[i].kind, cases[i].known);
		expect_success(object);
		assert_int_equal(api.method, KUBE_STRATEGIC_PATCH);
		assert_string_equal(api.path, "/api/v1/namespaces/shop/secrets/" NAME
					      "?fieldManager=buildhook");
		assert_string_equal(sent("metadata/uid"), "s1");
		assert_string_equal(sent("metadata/resourceVersion"), "7");
		assert_string_equal(owner("uid"), cases[i].has_owner ? "u1" : "");
		assert_string_equal(sent("stringData/WebHookSecretKey"),
				    cases[i].has_value ? VALUE : "");
		previous = json_at(api.sent, "data/WebHookSecretKey.previous");
		until = json_member(json_at(api.sent, "metadata/annotations"),
				    "buildhook.io/previous-until");
		assert_int_equal(previous != NULL, cases[i].ends_previous);
		assert_int_equal(until != NULL, cases[i].ends_previous);
		if (cases[i].ends_previous)
			assert_true(cJSON_IsNull(previous) && cJSON_IsNull(until));
	}
}

static void a_rotated_secret_keeps_its_old_value_for_a_time(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
	char until[CLOCK_TEXT_BYTES];

	put_rotating(p, "now", "");
	api.rotate = "now";
	api.keeps_rotated = true;
	clock_format_rfc3339(until, p->base.wall_ms + WINDOW_MS, false);
	act(p, object, ACTION_ROTATE_SECRET, SECRET(OURS, OWNED, KEY));
	expect_success(object);
	assert_int_equal(api.n_buildconfigs, 1);
	assert_string_equal(sent("metadata/resourceVersion"), "7");
	assert_string_equal(sent("stringData/WebHookSecretKey"), VALUE);
	assert_string_equal(sent("data/WebHookSecretKey.previous"), "YWJj");
	/* To the second. */
	assert_memory_equal(annotation("previous-until"), until, 18);
	assert_true(str_starts(str_of(annotation("rotated")), STR("u1/")));
	assert_non_null(strstr(api.event, "WebhookSecretRotated"));
}

/* Another replica has acted on a later request, which the store has not seen yet. */
static void no_secret_is_rotated_for_a_request_of_the_past(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

	put_rotating(p, "now", "");
	api.rotate = "later";
	act(p, object, ACTION_ROTATE_SECRET, SECRET(OURS, OWNED, KEY));
	assert_int_equal(api.n_buildconfigs, 1);
	assert_int_equal(api.n_secrets, 0);
	assert_null(object->secrets.trouble);
	assert_in_range(object->secrets.retry_ms, p->base.mono_ms + 4900, p->base.mono_ms + 5000);
}

/* A Secret that somebody has filled with text would be written without end. */
static void a_record_that_does_not_fit_is_not_written(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
	const struct kube_secret known = {.state = KUBE_SECRET_PRESENT,
					  .is_ours = true,
					  .uid = "s1",
					  .resource_version = "7",
					  .rotated_for = "",
					  .has_long_record = true};
	const struct observed_secret secret = {.name = NAME, .secret = &known};
	const struct action action = {.kind = ACTION_COMPLETE_SECRET, .secret = &secret};

	put_rotating(p, "now", "");
	queue_add(p->services.queue, object->key);
	(void)queue_get(p->services.queue);
	secret_act(object, &action);
	parts_go(p, 20);
	assert_int_equal(api.n_secrets, 0);
	assert_non_null(strstr(object->secrets.trouble, "longer than 64 KiB: remove it"));
}

/* Admission webhooks may remove labels and keys. */
static void a_write_without_effect_is_a_failure(void **state)
{
	static const struct {
		enum action_kind kind;
		const char *known, *answer;
	} cases[] = {
		{ACTION_CREATE_SECRET, NULL, SECRET("", OWNED, KEY)},
		{ACTION_COMPLETE_SECRET, SECRET(OURS, "", ""), SECRET(OURS, OWNED, "")},
		{ACTION_OWN_SECRET, SECRET(OURS, "", KEY), SECRET(OURS, "", KEY)},
		{ACTION_END_PREVIOUS, SECRET(OURS, OWNED, KEY),
		 SECRET(OURS, OWNED, KEY ",\"WebHookSecretKey.previous\":\"ZGVm\"")},
	};
	struct parts *p = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

		api.body = cases[i].answer;
		act(p, object, cases[i].kind, cases[i].known);
		if (!object->secrets.trouble)
			fail_msg("case %zu", i);
		assert_non_null(
			strstr(object->secrets.trouble, "did not keep what buildhook wrote"));
		assert_string_equal(object->secrets.trouble_name, NAME);
		assert_int_equal(object->secrets.failures, 1);
		assert_true(object->secrets.retry_ms > p->base.mono_ms);
	}
}

static void what_was_changed_meanwhile_is_read_again(void **state)
{
	static const char *const bodies[] = {STATUS("Conflict", "x"), STATUS("AlreadyExists", "x")};
	struct parts *p = *state;

	api.status = 409;
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

		api.body = bodies[i];
		act(p, object, ACTION_OWN_SECRET, SECRET(OURS, "", KEY));
		expect_success(object);
		assert_int_equal(know(p, NULL)->state, KUBE_SECRET_UNKNOWN);
	}
}

static void the_cause_of_a_refusal_comes_first(void **state)
{
	static const struct {
		const char *message, *trouble;
	} cases[] = {
		{"secrets is forbidden: User \\\"buildhook\\\" cannot create resource",
		 "buildhook may not create it: grant its ServiceAccount create on secrets in this "
		 "namespace (403: User \"buildhook\" cannot create resource)"},
		{"secrets \\\"x\\\" is forbidden: exceeded quota: small",
		 "exceeded quota: small (to create it)"},
		{"not today", "not today (to create it)"},
	};
	struct parts *p = *state;

	api.status = 403;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(parts_free_object) struct object *object = parts_new_object(p);
		char body[400];

		(void)snprintf(body, sizeof(body), STATUS("Forbidden", "%s"), cases[i].message);
		api.body = body;
		act(p, object, ACTION_CREATE_SECRET, NULL);
		assert_string_equal(object->secrets.trouble, cases[i].trouble);
	}
}

/* Only who may delete an object may change its owners, where the cluster says so. */
static void a_secret_that_may_have_no_second_owner_works_without(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

	api.status = 403;
	api.body = STATUS("Forbidden", "cannot set an ownerRef on a resource you can't delete");
	act(p, object, ACTION_OWN_SECRET, SECRET(OURS, "", KEY));
	expect_success(object);
	assert_true(object->secrets.is_owning_denied);
	/* Another write that is refused is a failure. */
	act(p, object, ACTION_COMPLETE_SECRET, SECRET(OURS, "", ""));
	assert_non_null(object->secrets.trouble);
}

/* It has not changed since, so the next write would fail as well. */
static void the_back_off_of_a_write_grows_until_its_secret_changes(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

	for (unsigned i = 1; i <= 3; i++) {
		parts_go(p, 5000);
		api.status = 422;
		api.body = STATUS("Invalid", "no");
		act(p, object, ACTION_OWN_SECRET, SECRET(OURS, "", KEY));
		assert_int_equal(object->secrets.failures, i);
		/* Somebody may have mended it: it is read before the next write. */
		assert_true(object->secrets.recheck_ms <= p->base.mono_ms);
		parts_go(p, 5000);
		api.status = 200;
		api.body = SECRET(OURS, "", KEY);
		act(p, object, ACTION_FETCH_SECRET, NULL);
		assert_int_equal(api.method, KUBE_GET);
		assert_int_equal(object->secrets.failures, i);
		assert_int_equal(object->secrets.retry_ms, 0);
		assert_non_null(object->secrets.trouble);
	}
	parts_go(p, 5000);
	api.status = 404;
	api.body = STATUS("NotFound", "x");
	act(p, object, ACTION_FETCH_SECRET, NULL);
	expect_success(object);
}

static void the_api_server_may_ask_for_a_longer_wait(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

	api.status = 422;
	api.body = "{\"kind\":\"Status\",\"reason\":\"Invalid\",\"details\":{"
		   "\"retryAfterSeconds\":120}}";
	act(p, object, ACTION_CREATE_SECRET, NULL);
	assert_in_range(object->secrets.retry_ms, p->base.mono_ms + 119000,
			p->base.mono_ms + 120000);
}

static void a_secret_that_cannot_be_read_is_told(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

	api.status = 500;
	api.body = STATUS("InternalError", "etcdserver: no leader");
	act(p, object, ACTION_FETCH_SECRET, NULL);
	assert_non_null(strstr(object->secrets.trouble, "cannot read Secret " NAME ": "));
	assert_non_null(strstr(object->secrets.trouble, "etcdserver: no leader"));
	assert_true(object->secrets.retry_ms > p->base.mono_ms);
}

/* All Secrets of a BuildConfig at once, and from then on two a minute. */
static void writes_are_limited_and_reads_are_not(void **state)
{
	struct parts *p = *state;
	CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

	api.status = 409;
	api.body = STATUS("Conflict", "x");
	for (int i = 0; i < 40; i++) {
		object->secrets.retry_ms = 0;
		act(p, object, ACTION_OWN_SECRET, SECRET(OURS, "", KEY));
		assert_int_equal(api.n_secrets, 1);
	}
	act(p, object, ACTION_OWN_SECRET, SECRET(OURS, "", KEY));
	assert_int_equal(api.n_secrets, 0);
	assert_in_range(object->secrets.retry_ms, p->base.mono_ms + 1, p->base.mono_ms + 30000);
	parts_go(p, 2000);
	act(p, object, ACTION_FETCH_SECRET, NULL);
	assert_int_equal(api.n_secrets, 1);
	parts_go(p, 30000);
	act(p, object, ACTION_OWN_SECRET, SECRET(OURS, "", KEY));
	assert_int_equal(api.n_secrets, 1);
}

/* The Git host has the value of the Secret that was deleted. */
static void a_secret_that_is_made_again_is_remembered_where_deliveries_came(void **state)
{
	static const char held[] = ",\"buildhook.io/github-secret\":\"" NAME "\"";
	static const char last[] = ",\"buildhook.io/github-secret\":\"" NAME
				   "\",\"buildhook.io/github-last\":\"push\"";
	static const struct {
		const char *annotations;
		bool is_remade;
	} cases[] = {{"", false}, {held, false}, {last, true}};
	struct parts *p = *state;

	api.status = 201;
	api.body = SECRET(OURS, OWNED, KEY);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(parts_free_object) struct object *object = parts_new_object(p);

		put_rotating(p, "", cases[i].annotations);
		act(p, object, ACTION_CREATE_SECRET, NULL);
		expect_success(object);
		if ((object->secrets.remade_name != NULL) != cases[i].is_remade)
			fail_msg("case %zu", i);
	}
}

static void an_owner_is_known_by_its_uid(void **state)
{
	static const struct kube_secret_owner owners[] = {{"u0", "cart"}, {"u1", "other"}};
	const struct buildconfig bc = {.name = "cart", .uid = "u1"};
	struct kube_secret secret = {.owners = owners, .n_owners = 1};

	(void)state;
	assert_false(secret_is_owned(&secret, &bc));
	/* More than are looked at: the write is not repeated. */
	secret.has_more_owners = true;
	assert_true(secret_is_owned(&secret, &bc));
	secret.has_more_owners = false;
	secret.n_owners = 2;
	assert_true(secret_is_owned(&secret, &bc));
}

static void all_that_must_be_remembered_keeps_it_from_rest(void **state)
{
	static char text[] = "x";
	static const struct secret_memory awake[] = {
		{.retry_ms = 1},
		{.failures = 1},
		{.trouble = text},
		{.failed_version = text},
		{.is_owning_denied = true},
		{.remade_name = text},
		{.writes = {.used = 1, .at_ms = 5000}},
	};
	const struct secret_memory written = {.writes = {.used = 1, .at_ms = 5000}};

	(void)state;
	assert_true(secret_is_at_rest(&(struct secret_memory){.recheck_ms = 1}, 5000));
	for (size_t i = 0; i < ARRAY_LEN(awake); i++)
		if (secret_is_at_rest(&awake[i], 5000))
			fail_msg("case %zu", i);
	assert_false(secret_is_at_rest(&written, 34999));
	assert_true(secret_is_at_rest(&written, 35000));
}

static int setup(void **state)
{
	int rc = parts_setup(state);
	struct parts *p = *state;

	if (rc != 0)
		return rc;
	memset(&api, 0, sizeof(api));
	api.status = 200;
	api.body = "{}";
	p->serve = serve;
	parts_put_buildconfig(p, 0);
	return 0;
}

static int teardown(void **state)
{
	json_freep(&api.sent);
	return parts_teardown(state);
}

#define SECRET_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SECRET_TEST(a_missing_secret_is_made_for_its_owner),
		SECRET_TEST(each_patch_is_of_what_was_read_and_writes_no_more_than_it_must),
		SECRET_TEST(a_rotated_secret_keeps_its_old_value_for_a_time),
		SECRET_TEST(no_secret_is_rotated_for_a_request_of_the_past),
		SECRET_TEST(a_record_that_does_not_fit_is_not_written),
		SECRET_TEST(a_write_without_effect_is_a_failure),
		SECRET_TEST(what_was_changed_meanwhile_is_read_again),
		SECRET_TEST(the_cause_of_a_refusal_comes_first),
		SECRET_TEST(a_secret_that_may_have_no_second_owner_works_without),
		SECRET_TEST(the_back_off_of_a_write_grows_until_its_secret_changes),
		SECRET_TEST(the_api_server_may_ask_for_a_longer_wait),
		SECRET_TEST(a_secret_that_cannot_be_read_is_told),
		SECRET_TEST(writes_are_limited_and_reads_are_not),
		SECRET_TEST(a_secret_that_is_made_again_is_remembered_where_deliveries_came),
		cmocka_unit_test(an_owner_is_known_by_its_uid),
		cmocka_unit_test(all_that_must_be_remembered_keeps_it_from_rest),
	};

	return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
