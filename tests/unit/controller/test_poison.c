/*
 * 10,000 BuildConfigs that somebody has mutated, and healthy ones between them, on the whole way
 * from a watch's bytes into the store: a bad one affects only itself, and its status shows what is
 * wrong where possible.
 */
#include "base/log.h"
#include "base/mem.h"
#include "buildconfig/status.h"
#include "kube/reflector.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MUTATED         10000
#define HEALTHY_EVERY   9
#define MAX_PLACES      256
#define HUGE_BYTES      (64 * 1024)
#define OVERSIZED_BYTES (5 * 1024 * 1024)
#define MAX_HELD_BYTES  (16 * 1024 * 1024)

struct world {
	int64_t now_ms;
	uint64_t chance;
	struct clock *clock;
	struct kube_client *client;
	struct kube_store *store;
	struct kube_reflector *reflector;
	struct kube_call *call;
	bool is_watch;
	struct buf held; /* events that come with the next */
	size_t n_lists, n_removed, n_told;
};

static const char healthy[] =
	"{\"apiVersion\":\"build.openshift.io/v1\",\"kind\":\"BuildConfig\",\"metadata\":{"
	"\"namespace\":\"shop\",\"name\":\"x\",\"uid\":\"u-x\",\"resourceVersion\":\"7\","
	"\"annotations\":{\"buildhook.io/refs\":\"main,v*\",\"buildhook.io/skip-ci\":\"true\"}},"
	"\"spec\":{\"source\":{\"contextDir\":\"app\",\"git\":{\"uri\":\"https://git.example.com/"
	"x.git\",\"ref\":\"main\"}},\"strategy\":{\"type\":\"Docker\",\"dockerStrategy\":{}},"
	"\"triggers\":[{\"type\":\"GitHub\",\"github\":{\"secret\":\"inline\"}},"
	"{\"type\":\"GitLab\",\"gitlab\":{\"secretReference\":{\"name\":\"hook\"}}},"
	"{\"type\":\"Bitbucket\",\"bitbucket\":{}},{\"type\":\"ConfigChange\"},"
	"{\"type\":\"Generic\",\"generic\":{\"secret\":\"inline\",\"allowEnv\":true}}]},"
	"\"status\":{\"lastVersion\":3}}";

/* The problem that is reported if one of these members has a wrong type. */
static const struct {
	const char *path;
	const char *value;
	const char *told;
} wrong_types[] = {
	{"spec", "5", "spec is a number"},
	{"spec", "[]", "spec is a list"},
	{"spec/source", "true", "spec.source is"},
	{"spec/source/git", "\"x\"", "spec.source.git is text"},
	{"spec/source/git/uri", "[\"x\"]", "spec.source.git.uri is a list"},
	{"spec/source/git/ref", "1e300", "spec.source.git.ref is a number"},
	{"spec/source/contextDir", "{}", "spec.source.contextDir is an object"},
	{"spec/strategy/type", "5", "spec.strategy.type is a number"},
	{"spec/strategy/type", "\"Dokcer\"", "spec.strategy.type \"Dokcer\" is not known"},
	{"spec/triggers", "\"x\"", "spec.triggers is text"},
	{"spec/triggers", "{}", "spec.triggers is an object"},
	{"spec/triggers/0", "5", "spec.triggers[0] has no type"},
	{"spec/triggers/1/type", "{}", "spec.triggers[1] has no type"},
	{"spec/triggers/1/gitlab", "[]", "spec.triggers[1] has type GitLab, but an unusable"},
	{"spec/triggers/0/github/secret", "5", "spec.triggers[0].github.secret is a number"},
	{"spec/triggers/1/gitlab/secretReference", "\"hook\"",
	 "spec.triggers[1].gitlab.secretReference is text"},
	{"spec/triggers/1/gitlab/secretReference/name", "true",
	 "spec.triggers[1].gitlab.secretReference.name is"},
	{"spec/triggers/1/gitlab/secretReference/name", "\"../x\"",
	 "spec.triggers[1].gitlab.secretReference.name is no name"},
	{"spec/triggers/4/generic/allowEnv", "\"yes\"",
	 "spec.triggers[4].generic.allowEnv is neither"},
	{"metadata/annotations", "5", "metadata.annotations is a number"},
	{"metadata/annotations/buildhook.io~1skip-ci", "\"maybe\"",
	 "annotation buildhook.io/skip-ci must be"},
	{"metadata/uid", "[5]", "metadata.uid is a list"},
};

static const char *const odd_values[] = {
	"null",
	"true",
	"-1",
	"9007199254740993",
	"1e300",
	"\"\"",
	"\"a\\u0000b\"",
	"\"\\u001b[31m\\r\\n\\u202e\"",
	"\"\xff\xfe\xc0\x80\"",
	"\"\\ud800\"",
	"[]",
	"{}",
	"[[null,{\"\":[]}]]",
	"{\"secret\":5,\"name\":{}}",
	"[{\"type\":\"GitHub\",\"github\":{\"secret\":[]}}]",
};

static uint64_t below(struct world *w, uint64_t bound)
{
	w->chance = w->chance * 6364136223846793005U + 1442695040888963407U;
	return (w->chance >> 33) % bound;
}

static int64_t now(void *arg)
{
	return ((struct world *)arg)->now_ms;
}

static void random_bytes(void *arg, void *out, size_t n)
{
	(void)arg;
	memset(out, 4, n);
}

static void *on_start(void *ctx, struct kube_call *call, const struct kube_request *request)
{
	struct world *w = ctx;
	bool is_probe = strcmp(request->path, "/readyz") == 0;

	if (!is_probe) {
		assert_null(w->call);
		w->call = call;
		w->is_watch = request->is_watch;
	}
	return is_probe ? NULL : w;
}

static void on_cancel(void *ctx, void *handle)
{
	if (handle)
		((struct world *)ctx)->call = NULL;
}

static void *parse(void *arg, const cJSON *doc)
{
	(void)arg;
	return buildconfig_parse(doc);
}

static void free_parsed(void *object)
{
	buildconfig_free(object);
}

/* Reads the object by all functions that the program has for it. */
static void on_change(void *arg, const char *key, const void *old, const void *new_)
{
	const struct status_input input = {.now_ms = 1};
	CLEANUP(status_release) struct status status = {0};
	struct world *w = arg;

	assert_non_null(key);
	w->n_removed += old && !new_;
	if (!new_)
		return;
	status_make(&status, new_, &input);
	for (size_t i = 0; i < status.n; i++)
		assert_true(str_is_utf8(str_of(status.items[i].value)));
}

static int set_up(void **state)
{
	struct world *w = mem_new(1, sizeof(*w));
	const struct clock_source source = {now, now, random_bytes, w};
	const struct kube_transport transport = {.ctx = w, .start = on_start, .cancel = on_cancel};

	w->chance = 11;
	w->held = (struct buf)BUF_INIT(MAX_HELD_BYTES);
	w->clock = clock_new(&source);
	w->client = kube_client_new_over(w->clock, &transport);
	w->store = kube_store_new(&(struct kube_store_type){
		.parse = parse, .free = free_parsed, .on_change = on_change, .arg = w});
	w->reflector = kube_reflector_new(&(struct kube_reflector_options){
		.client = w->client,
		.clock = w->clock,
		.store = w->store,
		.path = "/apis/build.openshift.io/v1/buildconfigs",
		.resource = "buildconfigs",
	});
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	kube_reflector_free(w->reflector);
	kube_client_free(w->client);
	kube_store_free(w->store);
	clock_free(w->clock);
	buf_release(&w->held);
	mem_free(&w);
	return 0;
}

static void pass_a_second(struct world *w)
{
	w->now_ms += 1000;
	clock_run(w->clock);
}

/* Waits for a watch. Lists are empty and come only at the beginning, so all objects of the store
 * came by watches. */
static void await_watch(struct world *w)
{
	for (int i = 0; i < 120 && !(w->call && w->is_watch); i++) {
		if (w->call) {
			struct kube_call *call = TAKE(w->call);

			w->n_lists++;
			kube_transport_bytes(call,
					     STR("{\"kind\":\"BuildConfigList\",\"metadata\":"
						 "{\"resourceVersion\":\"1\"},\"items\":[]}"));
			kube_transport_done(call, &(struct http_client_answer){.status = 200});
		}
		pass_a_second(w);
	}
	assert_non_null(w->call);
	assert_int_equal(w->n_lists, 1);
}

/* Feeds TEXT in pieces, as bytes come from a network. */
static void feed(struct world *w, struct str text)
{
	while (w->call && text.n > 0) {
		size_t n = 1 + below(w, 4096);

		if (n > text.n)
			n = text.n;
		kube_transport_bytes(w->call, str_range(text.p, n));
		text = str_range(text.p + n, text.n - n);
	}
}

static void cut(struct world *w)
{
	struct kube_call *call = TAKE(w->call);

	if (call)
		kube_transport_done(call,
				    &(struct http_client_answer){.status = 200, .is_cut = true});
	await_watch(w);
}

static cJSON *new_doc(const char *kind, size_t i)
{
	cJSON *doc = NULL;
	cJSON *metadata;
	char name[40];

	assert_int_equal(json_parse(&doc, str_of(healthy), NULL), 0);
	metadata = cJSON_GetObjectItemCaseSensitive(doc, "metadata");
	(void)snprintf(name, sizeof(name), "%s-%zu", kind, i);
	cJSON_ReplaceItemInObjectCaseSensitive(metadata, "name", cJSON_CreateString(name));
	return doc;
}

static char *format_event(const char *type, const cJSON *doc)
{
	char *object = cJSON_PrintUnformatted(doc);
	size_t n = strlen(object) + 64;
	char *event = mem_new(1, n);

	(void)snprintf(event, n, "{\"type\":\"%s\",\"object\":%s}\n", type, object);
	cJSON_free(object);
	return event;
}

static void hold(struct world *w, const cJSON *doc)
{
	CLEANUP(mem_free) char *event = format_event(below(w, 2) ? "ADDED" : "MODIFIED", doc);

	buf_put_str(&w->held, str_of(event));
}

/* None of the objects ends the watch. */
static void flush(struct world *w)
{
	feed(w, buf_str(&w->held));
	buf_clear(&w->held);
	assert_non_null(w->call);
}

static void tell(struct world *w, const cJSON *doc)
{
	hold(w, doc);
	flush(w);
}

static const struct buildconfig *find(const struct world *w, const char *kind, size_t i)
{
	char key[60];

	(void)snprintf(key, sizeof(key), "shop/%s-%zu", kind, i);
	return kube_store_find(w->store, key);
}

static void check_healthy(const struct world *w, size_t i)
{
	const struct buildconfig *bc = find(w, "healthy", i);

	assert_non_null(bc);
	assert_string_equal(bc->problem, "");
	assert_string_equal(bc->git_ref, "main");
	assert_int_equal(bc->last_version, 3);
	for (size_t j = 0; j < HOOK_TYPES; j++) {
		assert_true(bc->hooks[j].exists && bc->hooks[j].n_secrets == 1);
		assert_string_equal(bc->hooks[j].problem, "");
	}
	assert_string_equal(bc->hooks[0].secrets[0].text, "inline");
	assert_string_equal(bc->hooks[1].secrets[0].text, "hook");
}

static void add_healthy(struct world *w, size_t i)
{
	CLEANUP(json_freep) cJSON *doc = new_doc("healthy", i);

	tell(w, doc);
	check_healthy(w, i);
}

static cJSON *find_child(cJSON *parent, struct str key)
{
	cJSON *child = NULL;
	char text[64];
	char *slash;

	(void)snprintf(text, sizeof(text), "%.*s", (int)key.n, key.p);
	if (cJSON_IsArray(parent))
		return cJSON_GetArrayItem(parent, atoi(text));
	while ((slash = strstr(text, "~1"))) {
		*slash = '/';
		memmove(slash + 1, slash + 2, strlen(slash + 2) + 1);
	}
	child = cJSON_GetObjectItemCaseSensitive(parent, text);
	return child;
}

static void replace(cJSON *parent, cJSON *child, cJSON *value)
{
	if (child->string)
		value->string = strdup(child->string);
	(void)cJSON_ReplaceItemViaPointer(parent, child, value);
}

static void add_wrong_type(struct world *w, size_t i)
{
	size_t which = below(w, ARRAY_LEN(wrong_types));
	CLEANUP(json_freep) cJSON *doc = new_doc("bad", i);
	struct str path = str_of(wrong_types[which].path), part;
	cJSON *parent = NULL, *child = doc;
	const struct buildconfig *bc = NULL;
	bool is_told = false;

	while (str_next_part(&path, '/', &part)) {
		parent = child;
		child = find_child(parent, part);
		assert_non_null(child);
	}
	replace(parent, child, cJSON_CreateRaw(wrong_types[which].value));
	tell(w, doc);
	bc = find(w, "bad", i);
	assert_non_null(bc);
	is_told = strstr(bc->problem, wrong_types[which].told);
	for (size_t j = 0; j < HOOK_TYPES; j++)
		is_told |= strstr(bc->hooks[j].problem, wrong_types[which].told) != NULL;
	if (!is_told)
		fail_msg("%s = %s is not told: \"%s\"", wrong_types[which].path,
			 wrong_types[which].value, bc->problem);
	w->n_told++;
}

struct place {
	cJSON *parent, *item;
};

static size_t collect(struct place *places, size_t n, cJSON *parent)
{
	cJSON *item = NULL;

	cJSON_ArrayForEach (item, parent) {
		if (n < MAX_PLACES)
			places[n++] = (struct place){parent, item};
		n = collect(places, n, item);
	}
	return n;
}

static cJSON *nest(size_t depth)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(64 * 1024);

	for (size_t i = 0; i < depth; i++)
		buf_put_str(&text, STR("{\"a\":["));
	for (size_t i = 0; i < depth; i++)
		buf_put_str(&text, STR("]}"));
	return cJSON_CreateRaw(text.data);
}

static cJSON *repeat(size_t n)
{
	CLEANUP(mem_free) char *text = mem_new(1, n + 1);

	memset(text, 'x', n);
	return cJSON_CreateString(text);
}

static cJSON *odd_value(struct world *w)
{
	switch (below(w, 12)) {
	case 0:
		return nest(1 + below(w, 700)); /* some are deeper than the parser's limit */
	case 1:
		return repeat(1 + below(w, HUGE_BYTES));
	default:
		return cJSON_CreateRaw(odd_values[below(w, ARRAY_LEN(odd_values))]);
	}
}

/* Replaces, removes or doubles something. */
static void mutate(struct world *w, cJSON *doc)
{
	struct place places[MAX_PLACES];
	size_t n = collect(places, 0, doc);
	struct place place;

	if (n == 0)
		return;
	place = places[below(w, n)];
	switch (below(w, 4)) {
	case 0:
		cJSON_Delete(cJSON_DetachItemViaPointer(place.parent, place.item));
		break;
	case 1:
		if (place.item->string)
			(void)cJSON_AddItemToObject(place.parent, place.item->string, odd_value(w));
		else
			(void)cJSON_AddItemToArray(place.parent, odd_value(w));
		break;
	default:
		replace(place.parent, place.item, odd_value(w));
	}
}

static void add_mutated(struct world *w, size_t i)
{
	CLEANUP(json_freep) cJSON *doc = new_doc("bad", i);

	for (uint64_t n = 1 + below(w, 4); n > 0; n--)
		mutate(w, doc);
	hold(w, doc);
}

/* Broken bytes end the connection, as TLS would have it at the latest. */
static void add_flipped(struct world *w, size_t i)
{
	CLEANUP(json_freep) cJSON *doc = new_doc("bad", i);
	CLEANUP(mem_free) char *event = format_event("MODIFIED", doc);
	size_t n = strlen(event);

	for (uint64_t flips = 1 + below(w, 4); flips > 0; flips--)
		event[below(w, n)] ^= (char)(1 + below(w, 255));
	flush(w);
	feed(w, str_range(event, n));
	cut(w);
}

static void add_oversized(struct world *w)
{
	CLEANUP(json_freep) cJSON *doc = new_doc("bad", MUTATED);

	(void)cJSON_AddItemToObject(doc, "filler", repeat(OVERSIZED_BYTES));
	tell(w, doc);
	assert_null(find(w, "bad", MUTATED));
}

static void objects_of_any_shape_take_no_healthy_one_with_them(void **state)
{
	void (*const add[])(struct world * w, size_t i) = {add_wrong_type, add_mutated, add_mutated,
							   add_flipped};
	struct world *w = *state;
	size_t n_healthy = 0;

	await_watch(w);
	for (size_t i = 0; i < MUTATED; i++) {
		add[i % ARRAY_LEN(add)](w, i);
		if (i == MUTATED / 2)
			add_oversized(w);
		if (i % HEALTHY_EVERY == 0)
			add_healthy(w, n_healthy++);
	}
	for (size_t i = 0; i < n_healthy; i++)
		check_healthy(w, i);
	assert_int_equal(w->n_told, MUTATED / ARRAY_LEN(add));
	assert_int_equal(w->n_removed, 0);
	/* Most of the others are there, too. */
	assert_true(kube_store_count(w->store) > n_healthy + MUTATED / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(objects_of_any_shape_take_no_healthy_one_with_them,
						set_up, tear_down),
	};

	log_init(LOG_ERROR, LOG_TEXT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
