/*
 * A reflector of "things" in virtual time, and its one request to an API server, which the test
 * answers.
 */
#pragma once

#include "kube/reflector.h"

#include "base/mem.h"
#include "metrics/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct world {
	int64_t now_ms;
	uint64_t chance; /* the value of the next random bytes */
	struct clock *clock;
	struct kube_client *client;
	struct kube_store *store;
	struct metrics *metrics;
	struct kube_reflector *reflector;
	struct kube_call *call; /* the transport's, while it is under way */
	char path[512];
	bool is_watch;
	int n_started, n_lists, n_watches;
	int n_states;
};

static inline int64_t now(void *arg)
{
	return ((struct world *)arg)->now_ms;
}

static inline void random_bytes(void *arg, void *out, size_t n)
{
	struct world *w = arg;

	for (size_t i = 0; i < n; i++)
		((unsigned char *)out)[i] = (unsigned char)(w->chance >> (8 * (i % 8)));
}

/* The client's own request, which stays unanswered here. */
#define PROBE "/readyz"

static inline void *on_start(void *ctx, struct kube_call *call, const struct kube_request *request)
{
	struct world *w = ctx;

	if (strcmp(request->path, PROBE) == 0)
		return PROBE;
	assert_null(w->call);
	w->call = call;
	(void)snprintf(w->path, sizeof(w->path), "%s", request->path);
	w->is_watch = request->is_watch;
	w->n_started++;
	w->n_lists += !request->is_watch;
	w->n_watches += request->is_watch;
	return "";
}

static inline void on_cancel(void *ctx, void *handle)
{
	if (strcmp(handle, PROBE) != 0)
		((struct world *)ctx)->call = NULL;
}

static inline void *parse(void *arg, const cJSON *doc)
{
	const char *v = json_str_at(doc, "v");

	(void)arg;
	return mem_strdup(v ? v : "-");
}

static inline void free_object(void *object)
{
	mem_free(&object);
}

static inline void on_state(void *arg)
{
	((struct world *)arg)->n_states++;
}

static inline int set_up(void **state)
{
	struct world *w = mem_new(1, sizeof(*w));
	struct clock_source source = {now, now, random_bytes, w};
	struct kube_transport transport = {.ctx = w, .start = on_start, .cancel = on_cancel};
	struct kube_store_type type = {.parse = parse, .free = free_object};

	w->now_ms = 1000;
	w->clock = clock_new(&source);
	w->client = kube_client_new_over(w->clock, &transport);
	w->store = kube_store_new(&type);
	w->metrics = metrics_new();
	w->reflector = kube_reflector_new(&(struct kube_reflector_options){
		.client = w->client,
		.clock = w->clock,
		.store = w->store,
		.path = "/apis/x/v1/things",
		.selector = "a=b,c",
		.resource = "things",
		.metrics = w->metrics,
		.on_state = on_state,
		.arg = w,
	});
	*state = w;
	return 0;
}

static inline int tear_down(void **state)
{
	struct world *w = *state;

	kube_reflector_free(w->reflector);
	kube_client_free(w->client);
	kube_store_free(w->store);
	metrics_free(w->metrics);
	clock_free(w->clock);
	mem_free(&w);
	return 0;
}

/* Timers fire at their own time. */
static inline void pass(struct world *w, int64_t ms)
{
	int64_t end_ms = w->now_ms + ms;

	for (;;) {
		int64_t next_ms = clock_next_ms(w->clock);

		if (next_ms < 0 || w->now_ms + next_ms > end_ms)
			break;
		w->now_ms += next_ms;
		clock_run(w->clock);
	}
	w->now_ms = end_ms;
}

static inline void bytes(struct world *w, const char *text)
{
	assert_non_null(w->call);
	kube_transport_bytes(w->call, str_of(text));
}

static inline void done(struct world *w, const struct http_client_answer *answer)
{
	struct kube_call *call = TAKE(w->call);

	assert_non_null(call);
	kube_transport_done(call, answer);
}

static inline void end(struct world *w)
{
	done(w, &(struct http_client_answer){.status = 200});
	pass(w, 0);
}

static inline void cut(struct world *w)
{
	done(w, &(struct http_client_answer){.status = 200, .is_cut = true});
	pass(w, 0);
}

static inline void refuse(struct world *w)
{
	struct http_client_answer answer = {.is_unsent = true};

	err_set(&answer.err, ERR_UNAVAILABLE, "refused");
	done(w, &answer);
	pass(w, 0);
}

static inline void fail_with(struct world *w, int status, const char *reason,
			     const char *retry_after)
{
	char body[256];

	(void)snprintf(body, sizeof(body),
		       "{\"kind\":\"Status\",\"code\":%d,\"message\":\"%s\",\"reason\":\"%s\"}",
		       status, reason, reason);
	done(w, &(struct http_client_answer){.status = status,
					     .retry_after = str_of(retry_after),
					     .body = str_of(body)});
	pass(w, 0);
}

static inline void expect_path(const struct world *w, const char *path)
{
	assert_non_null(w->call);
	assert_string_equal(w->path, path);
}

#define LIST      "/apis/x/v1/things?limit=500&labelSelector=a%3Db%2Cc"
#define NOT_OLDER "&resourceVersionMatch=NotOlderThan"
#define PAGE(c)   LIST "&continue=" c
#define WATCH(rv)                                                                                  \
	"/apis/x/v1/things?watch=true&allowWatchBookmarks=true&timeoutSeconds=300&labelSelector="  \
	"a%3Db%2Cc&resourceVersion=" rv
#define ITEM(name, rv, v)                                                                          \
	"{\"metadata\":{\"namespace\":\"n\",\"name\":\"" name "\",\"resourceVersion\":\"" rv       \
	"\"},\"v\":\"" v "\"}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define BOOKMARK(rv)        EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"" rv "\"}}")
#define LIST_OF(rv, items)                                                                         \
	"{\"kind\":\"List\",\"metadata\":{\"resourceVersion\":\"" rv "\"},\"items\":[" items "]}"
#define PAGE_OF(rv, next, items)                                                                   \
	"{\"items\":[" items "],\"metadata\":{\"resourceVersion\":\"" rv "\",\"continue\":\"" next \
	"\"}}"

static inline void expect_object(const struct world *w, const char *key, const char *v)
{
	const char *found = kube_store_find(w->store, key);

	assert_non_null(found);
	assert_string_equal(found, v);
}

static inline void synced(struct world *w)
{
	bytes(w, LIST_OF("10", ITEM("a", "1", "one")));
	end(w);
	expect_path(w, WATCH("10"));
}
