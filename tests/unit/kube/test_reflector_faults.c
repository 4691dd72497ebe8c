/*
 * The reflector against an API server in memory that changes its objects and fails in every way it
 * can, by seeds. When the faults end, the store has to be what the server has.
 */
#include "base/log.h"
#include "base/mem.h"
#include "kube/reflector.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define N_SEEDS    1000
#define N_STEPS    300
#define N_OBJECTS  7
#define PAGE_ITEMS 3
#define MAX_EVENTS 1024

struct event {
	int64_t version;
	int object;
	bool is_delete, is_new;
};

struct world {
	uint64_t seed;
	int64_t now_ms;
	struct clock *clock;
	struct kube_client *client;
	struct kube_store *store;
	struct kube_reflector *reflector;
	/* The server: */
	int64_t version;            /* of the newest event */
	int64_t objects[N_OBJECTS]; /* versions; 0: none */
	struct event events[MAX_EVENTS];
	size_t n_events;
	int64_t floor;                         /* events up to this version are gone */
	int64_t page[N_OBJECTS], page_version; /* what a list in pages shows */
	/* The reflector's request: */
	struct kube_call *call;
	char path[512];
	bool is_watch, has_begun;
	int64_t watched; /* version up to which the watch has sent events */
	int64_t asked;   /* of the last watch: it never goes back */
	int n_lists;
};

static uint64_t chance(struct world *w, uint64_t bound)
{
	/* splitmix64 */
	uint64_t z = (w->seed += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (z ^ (z >> 31)) % bound;
}

static int64_t now(void *arg)
{
	return ((struct world *)arg)->now_ms;
}

static void random_bytes(void *arg, void *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((unsigned char *)out)[i] = (unsigned char)chance(arg, 256);
}

static int64_t parameter(const struct world *w, const char *name)
{
	const char *at = strstr(w->path, name);

	return at ? strtoll(at + strlen(name), NULL, 10) : -1;
}

/* The client's own question, which nobody here answers. */
#define PROBE "/readyz"

static void *on_start(void *ctx, struct kube_call *call, const struct kube_request *request)
{
	struct world *w = ctx;

	if (strcmp(request->path, PROBE) == 0)
		return PROBE;
	w->call = call;
	w->is_watch = request->is_watch;
	w->has_begun = false;
	(void)snprintf(w->path, sizeof(w->path), "%s", request->path);
	w->n_lists += !w->is_watch;
	if (!w->is_watch)
		return "";
	w->watched = parameter(w, "resourceVersion=");
	if (w->watched < w->asked)
		fail_msg("the version went back from %lld: %s", (long long)w->asked, w->path);
	w->asked = w->watched;
	return "";
}

static void on_cancel(void *ctx, void *handle)
{
	if (strcmp(handle, PROBE) != 0)
		((struct world *)ctx)->call = NULL;
}

static void *parse(void *arg, const cJSON *doc)
{
	(void)arg;
	return mem_strdup(json_str_at(doc, "metadata/resourceVersion"));
}

static void free_object(void *object)
{
	mem_free(&object);
}

static void put_object(struct buf *out, int object, int64_t version)
{
	buf_printf(
		out,
		"{\"metadata\":{\"namespace\":\"n\",\"name\":\"o%d\",\"resourceVersion\":\"%lld\"},"
		"\"text\":\"}]\\\"{\"}",
		object, (long long)version);
}

/* One change of an object. */
static void change(struct world *w)
{
	int object = (int)chance(w, N_OBJECTS);
	bool is_delete = w->objects[object] && chance(w, 3) == 0;
	bool is_new = !w->objects[object];

	if (w->n_events == MAX_EVENTS)
		return;
	w->version += 1 + (int64_t)chance(w, 3);
	w->objects[object] = is_delete ? 0 : w->version;
	w->events[w->n_events++] = (struct event){w->version, object, is_delete, is_new};
	if (!is_delete && chance(w, 3) == 0) {
		CLEANUP(buf_release) struct buf text = BUF_INIT(1024);
		CLEANUP(json_freep) cJSON *doc = NULL;

		/* The change is a write of ours, whose answer comes before the event. */
		put_object(&text, object, w->version);
		assert_int_equal(json_parse(&doc, buf_str(&text), NULL), 0);
		kube_store_put_written(w->store, doc, w->now_ms);
	}
}

static void end(struct world *w, int status, const char *body, bool is_cut)
{
	struct http_client_answer answer = {
		.status = status, .body = str_of(body), .is_cut = is_cut};

	kube_transport_done(TAKE(w->call), &answer);
}

/* Sends the bytes in pieces; the connection may break after some of them. */
static void send_bytes(struct world *w, struct str bytes)
{
	while (w->call && !str_empty(bytes)) {
		size_t n = 1 + (size_t)chance(w, bytes.n);

		kube_transport_bytes(w->call, str_range(bytes.p, n));
		bytes = str_range(bytes.p + n, bytes.n - n);
	}
}

#define GONE "{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\",\"message\":\"too old\"}"

static void put_list(struct world *w, struct buf *out, size_t from)
{
	size_t n = 0;
	size_t i = from;
	bool is_metadata_first = chance(w, 2);
	CLEANUP(buf_release) struct buf items = BUF_INIT(8192);

	for (; i < N_OBJECTS && n < PAGE_ITEMS; i++) {
		if (!w->page[i])
			continue;
		if (n++ > 0)
			buf_put_char(&items, ',');
		put_object(&items, (int)i, w->page[i]);
	}
	buf_put_char(out, '{');
	if (!is_metadata_first)
		buf_printf(out, "\"items\":[%s],", buf_text(&items));
	buf_printf(out, "\"metadata\":{\"resourceVersion\":\"%lld\",\"continue\":\"",
		   (long long)w->page_version);
	if (i < N_OBJECTS)
		buf_printf(out, "%zu", i);
	buf_put_str(out, STR("\"}"));
	if (is_metadata_first)
		buf_printf(out, ",\"items\":[%s]", buf_text(&items));
	buf_put_char(out, '}');
}

static void serve_list(struct world *w)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(16384);
	int64_t from = parameter(w, "continue=");

	if (from < 0) {
		memcpy(w->page, w->objects, sizeof(w->page));
		w->page_version = w->version;
	} else if (w->page_version < w->floor) {
		end(w, 410, GONE, false);
		return;
	}
	put_list(w, &text, from < 0 ? 0 : (size_t)from);
	send_bytes(w, buf_str(&text));
	end(w, 200, "", false);
}

static void put_event(struct buf *out, const struct event *event)
{
	const char *type = event->is_delete ? "DELETED" : event->is_new ? "ADDED" : "MODIFIED";

	buf_printf(out, "{\"type\":\"%s\",\"object\":", type);
	put_object(out, event->object, event->version);
	buf_put_str(out, STR("}\n"));
}

static void serve_watch(struct world *w)
{
	if (w->watched < w->floor) {
		if (chance(w, 2))
			end(w, 410, GONE, false);
		else
			send_bytes(w, STR("{\"type\":\"ERROR\",\"object\":" GONE "}\n"));
		return;
	}
	if (!w->has_begun)
		kube_transport_bytes(w->call, (struct str){0});
	w->has_begun = true;
	for (size_t i = 0; i < w->n_events && w->call; i++) {
		CLEANUP(buf_release) struct buf text = BUF_INIT(1024);

		if (w->events[i].version <= w->watched)
			continue;
		put_event(&text, &w->events[i]);
		send_bytes(w, buf_str(&text));
		w->watched = w->events[i].version;
		if (chance(w, 4) == 0)
			break;
	}
}

static void send_bookmark(struct world *w)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(256);

	buf_printf(&text,
		   "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"%lld\"}}"
		   "}\n",
		   (long long)w->watched);
	send_bytes(w, buf_str(&text));
}

/* The last event once more. */
static void repeat_event(struct world *w)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(1024);

	for (size_t i = 0; i < w->n_events; i++) {
		if (w->events[i].version == w->watched)
			put_event(&text, &w->events[i]);
	}
	send_bytes(w, buf_str(&text));
}

static void fail_watch(struct world *w)
{
	switch (chance(w, 7)) {
	case 0:
		send_bytes(w, STR("{\"type\":\"MODIFIED\",\"object\":{\"meta"));
		end(w, 200, "", true);
		return;
	case 1:
		end(w, 200, "", false);
		return;
	case 2:
		send_bytes(w, STR("{\"type\":\"ERROR\",\"object\":{\"code\":500}}\n"));
		return;
	case 3:
		send_bytes(w, STR("{\"type\":\"ERROR\",\"object\":{\"code\":429}}\n"));
		return;
	case 4:
		send_bytes(w, STR("<html>"));
		return;
	case 5:
		send_bookmark(w);
		return;
	default:
		repeat_event(w);
		return;
	}
}

static void fail_begin(struct world *w)
{
	static const int statuses[] = {0, 500, 429, 503, 401, 504};

	end(w, statuses[chance(w, ARRAY_LEN(statuses))], "", false);
}

static void fail_list(struct world *w)
{
	switch (chance(w, 3)) {
	case 0:
		send_bytes(w, STR("{\"items\":["));
		end(w, 200, "", true);
		return;
	case 1:
		send_bytes(w, STR("<html>"));
		end(w, 200, "", false);
		return;
	default:
		end(w, 410, GONE, false);
		return;
	}
}

static void serve(struct world *w, bool with_faults)
{
	if (!w->call)
		return;
	if (with_faults && !w->has_begun && chance(w, 4) == 0)
		fail_begin(w);
	else if (with_faults && chance(w, 6) == 0)
		(w->is_watch ? fail_watch : fail_list)(w);
	else if (w->is_watch)
		serve_watch(w);
	else
		serve_list(w);
}

/* Timers fire at their own time. */
static void pass(struct world *w, int64_t ms)
{
	int64_t end_ms = w->now_ms + ms;
	int64_t next_ms = 0;

	while ((next_ms = clock_next_ms(w->clock)) >= 0 && w->now_ms + next_ms <= end_ms) {
		w->now_ms += next_ms;
		clock_run(w->clock);
	}
	w->now_ms = end_ms;
}

static void step(struct world *w)
{
	uint64_t what = chance(w, 100);

	if (what < 30)
		change(w);
	else if (what < 34)
		w->floor += (int64_t)chance(w, (uint64_t)(w->version - w->floor) + 1);
	else if (what < 70)
		serve(w, true);
	else if (what < 95)
		pass(w, (int64_t)chance(w, 3000));
	else
		pass(w, (int64_t)chance(w, 400000));
}

static void set_up_world(struct world *w, uint64_t seed)
{
	struct clock_source source = {now, now, random_bytes, w};
	struct kube_transport transport = {.ctx = w, .start = on_start, .cancel = on_cancel};
	struct kube_store_type type = {.parse = parse, .free = free_object};

	*w = (struct world){.seed = seed, .version = 100};
	w->clock = clock_new(&source);
	w->client = kube_client_new_over(w->clock, &transport);
	w->store = kube_store_new(&type);
	w->reflector = kube_reflector_new(&(struct kube_reflector_options){
		.client = w->client,
		.clock = w->clock,
		.store = w->store,
		.path = "/things",
		.resource = "things",
	});
}

static void tear_down_world(struct world *w)
{
	kube_reflector_free(w->reflector);
	kube_client_free(w->client);
	kube_store_free(w->store);
	clock_free(w->clock);
}

static void expect_equal(const struct world *w, uint64_t seed)
{
	size_t n = 0;

	for (int i = 0; i < N_OBJECTS; i++) {
		const char *found = NULL;
		char key[16], version[32];

		(void)snprintf(key, sizeof(key), "n/o%d", i);
		(void)snprintf(version, sizeof(version), "%lld", (long long)w->objects[i]);
		n += w->objects[i] != 0;
		found = kube_store_find(w->store, key);
		if (w->objects[i] && (!found || strcmp(found, version) != 0))
			fail_msg("seed %llu: %s is %s, not %s", (unsigned long long)seed, key,
				 found ? found : "missing", version);
	}
	if (kube_store_count(w->store) != n)
		fail_msg("seed %llu: %zu objects, not %zu", (unsigned long long)seed,
			 kube_store_count(w->store), n);
	assert_true(kube_store_is_synced(w->store));
	assert_string_equal(kube_reflector_error(w->reflector), "");
}

static void no_change_is_missed_whatever_fails(void **state)
{
	struct world *w = mem_new(1, sizeof(*w));
	int n_lists = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= N_SEEDS; seed++) {
		set_up_world(w, seed * 1000003);
		for (int i = 0; i < N_STEPS; i++)
			step(w);
		/* The faults are over, and the watch gets a bookmark every minute. */
		for (int i = 0; i < 200; i++) {
			serve(w, false);
			pass(w, 1000);
			if (i % 60 == 59 && w->call && w->is_watch)
				send_bookmark(w);
		}
		serve(w, false);
		expect_equal(w, seed);
		n_lists += w->n_lists;
		tear_down_world(w);
	}
	/* The faults did happen. */
	assert_true(n_lists > 5 * N_SEEDS);
	mem_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_change_is_missed_whatever_fails),
	};

	log_init(LOG_ERROR, LOG_TEXT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
