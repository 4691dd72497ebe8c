/* The way between a replica and the API server: delays, losses, and what arrives after all. */
#include "api.h"

#include "ledger.h"
#include "replica.h"

#include <inttypes.h>
#include <stdio.h>
#include <utlist.h>

/* openshift-apiserver gives a request up after 60 s, so nothing is carried out later than that. */
#define MAX_LATE_MS    20000
#define MAX_SLOW_MS    15000
#define BOOKMARK_MS    60000
#define MAX_PER_SECOND 250

enum fate {
	FATE_GOOD,
	FATE_LOST,    /* not carried out; the connection breaks */
	FATE_UNSENT,  /* refused connection */
	FATE_CUT,     /* carried out; the connection breaks */
	FATE_LATE,    /* the connection breaks; carried out later */
	FATE_MUTE,    /* nothing comes; carried out or not */
	FATE_REFUSED, /* an error; not carried out */
	FATE_ERROR,   /* an error, although it was carried out */
};

struct flight {
	struct transport *transport;
	struct kube_call *call; /* NULL: nobody waits any more */
	struct timer timer;
	enum fate fate;
	enum kube_method method;
	char *path;
	char *body;
	size_t body_bytes;
	int64_t started_ms;
	bool is_arrived;
	struct api_answer answer;
	bool is_streamed; /* the body of a 200 is handed over as it comes */
	bool is_watch, is_open, is_in_call;
	uint64_t version; /* a watch was told all up to this */
	int64_t bookmark_ms, end_ms;
	struct flight *prev, *next;
};

struct transport {
	struct replica *replica;
	struct world *world;
	struct flight *flights;
};

static void on_flight(void *arg);

static void free_flight(struct flight *f)
{
	DL_DELETE(f->transport->flights, f);
	timer_stop(f->transport->world->clock, &f->timer);
	api_answer_release(&f->answer);
	free(f->path);
	free(f->body);
	free(f);
}

static void wait_for(struct flight *f, int64_t ms)
{
	timer_start(f->transport->world->clock, &f->timer, ms, on_flight, f);
}

static int64_t latency_ms(struct world *w)
{
	int64_t ms = (int64_t)world_below(w, (uint64_t)w->faults.latency_ms + 1);

	return !w->is_healing && world_chance(w, 2) ? ms * 30 : ms;
}

static enum fate pick_fate(struct transport *t)
{
	struct world *w = t->world;
	const struct {
		unsigned percent;
		enum fate fate;
	} fates[] = {
		{w->faults.lost, FATE_LOST},       {w->faults.cut, FATE_CUT},
		{w->faults.late, FATE_LATE},       {w->faults.mute, FATE_MUTE},
		{w->faults.refused, FATE_REFUSED},
	};
	unsigned dice = (unsigned)world_below(w, 100);

	if (t->replica->is_cut_off)
		return world_chance(w, 20) ? FATE_MUTE : FATE_UNSENT;
	for (size_t i = 0; i < ARRAY_LEN(fates); i++) {
		if (dice < fates[i].percent)
			return fates[i].fate == FATE_REFUSED && world_chance(w, 20) ? FATE_ERROR
										    : fates[i].fate;
		dice -= fates[i].percent;
	}
	return FATE_GOOD;
}

static void execute(struct flight *f)
{
	static const char *const verbs[] = {[KUBE_GET] = "get",
					    [KUBE_POST] = "post",
					    [KUBE_PUT] = "put",
					    [KUBE_DELETE] = "delete",
					    [KUBE_MERGE_PATCH] = "merge",
					    [KUBE_JSON_PATCH] = "patch",
					    [KUBE_STRATEGIC_PATCH] = "merge",
					    [KUBE_APPLY] = "apply"};
	struct world *w = f->transport->world;
	const struct api_request request = {f->method, f->path, str_range(f->body, f->body_bytes),
					    f->transport->replica->index};

	f->is_arrived = true;
	api_serve(w->api, &request, &f->answer);
	world_trace(w, "  api <- %zu %s %s: %d%s %.*s", f->transport->replica->index,
		    verbs[f->method], f->path, f->answer.status, f->answer.build ? "raised" : "",
		    f->method == KUBE_GET ? 0 : 150, f->answer.body ? f->answer.body : "");
}

/* The flight is gone when this returns. */
static void finish(struct flight *f, const struct http_client_answer *answer)
{
	struct kube_call *call = TAKE(f->call);

	if (call)
		kube_transport_done(call, answer);
	free_flight(f);
}

static void finish_broken(struct flight *f, bool is_unsent)
{
	struct http_client_answer answer = {.is_unsent = is_unsent};

	err_set(&answer.err, ERR_UNAVAILABLE,
		is_unsent ? "connection refused" : "the connection broke off");
	finish(f, &answer);
}

static void finish_with_body(struct flight *f)
{
	struct http_client_answer answer = {.status = f->answer.status,
					    .content_type = STR("application/json"),
					    .body = str_of(f->answer.body)};

	if (f->call && f->method == KUBE_APPLY && answer.status == 200)
		check_status_written(
			f->transport->world,
			&(struct api_request){.path = f->path,
					      .replica = f->transport->replica->index});
	if (f->call && f->is_streamed && answer.status == 200) {
		/* A list is handed over as it comes, in two pieces. */
		size_t cut = (size_t)world_below(f->transport->world, answer.body.n + 1);

		f->is_in_call = true;
		kube_transport_bytes(f->call, str_range(answer.body.p, cut));
		if (f->call)
			kube_transport_bytes(f->call,
					     str_range(answer.body.p + cut, answer.body.n - cut));
		f->is_in_call = false;
		answer.body = STR("");
	}
	finish(f, &answer);
}

static void finish_refused(struct flight *f)
{
	struct world *w = f->transport->world;
	static const struct {
		int status;
		const char *reason;
	} errors[] = {{500, "InternalError"},   {503, "ServiceUnavailable"}, {504, "Timeout"},
		      {429, "TooManyRequests"}, {401, "Unauthorized"},       {403, "Forbidden"},
		      {409, "Conflict"}};
	bool is_patch = f->method == KUBE_MERGE_PATCH || f->method == KUBE_STRATEGIC_PATCH ||
			f->method == KUBE_APPLY;
	size_t i = (size_t)world_below(w, ARRAY_LEN(errors) - !is_patch);
	struct http_client_answer answer = {
		.status = errors[f->fate == FATE_ERROR ? i % 3 : i].status,
		.content_type = STR("application/json")};

	api_put_status(&f->answer, answer.status, errors[i].reason, "somebody else's trouble");
	answer.body = str_of(f->answer.body);
	if (answer.status == 429 && world_chance(w, 50))
		answer.retry_after = STR("1");
	if (answer.status == 503 && world_chance(w, 50)) {
		answer.content_type = STR("text/html");
		answer.body = STR("<html>the router is sorry</html>");
	}
	finish(f, &answer);
}

/* Watches. */

static void close_watch(struct flight *f, bool is_cut)
{
	struct http_client_answer answer = {.status = 200, .is_cut = is_cut};

	if (is_cut)
		err_set(&answer.err, ERR_UNAVAILABLE, "the connection broke off");
	finish(f, &answer);
}

/* False when nobody listens any more. */
static bool send_bytes(struct flight *f, struct str bytes)
{
	f->is_in_call = true;
	kube_transport_bytes(f->call, bytes);
	f->is_in_call = false;
	if (f->call)
		return true;
	free_flight(f);
	return false;
}

static bool put_changes(struct flight *f, struct buf *out)
{
	struct world *w = f->transport->world;
	const struct api *api = w->api;

	for (size_t i = 0; i < api->n_changes; i++) {
		const struct api_change *change = &api->changes[i];

		if (change->version <= f->version)
			continue;
		api_put_event(out, change->type, change->text);
		f->version = change->version;
		if (world_chance(w, 20))
			break;
	}
	return out->len > 0;
}

static void put_bookmark(struct flight *f, struct buf *out)
{
	struct world *w = f->transport->world;
	char object[200];

	f->bookmark_ms = w->now_ms + BOOKMARK_MS;
	if (f->version < w->api->version && w->api->n_changes > 0 &&
	    w->api->changes[w->api->n_changes - 1].version > f->version)
		return;
	f->version = w->api->version;
	(void)snprintf(object, sizeof(object),
		       "{\"kind\":\"BuildConfig\",\"metadata\":{\"resourceVersion\":\"%" PRIu64
		       "\"}}",
		       f->version);
	api_put_event(out, "BOOKMARK", object);
}

static void wait_for_watch(struct flight *f)
{
	struct world *w = f->transport->world;
	const struct api *api = w->api;
	int64_t due_ms = f->end_ms < f->bookmark_ms ? f->end_ms : f->bookmark_ms;
	bool has_more = api->n_changes > 0 && api->changes[api->n_changes - 1].version > f->version;

	wait_for(f, has_more ? latency_ms(w) : due_ms > w->now_ms ? due_ms - w->now_ms : 0);
}

static void go_on_watching(struct flight *f)
{
	struct world *w = f->transport->world;
	CLEANUP(buf_release) struct buf bytes = BUF_INIT((size_t)64 * 1024 * 1024);

	if (w->now_ms >= f->end_ms) {
		close_watch(f, false);
		return;
	}
	if (!put_changes(f, &bytes) && w->now_ms >= f->bookmark_ms)
		put_bookmark(f, &bytes);
	if (bytes.len > 0 &&
	    (world_chance(w, w->faults.cut_watch) || f->transport->replica->is_cut_off)) {
		if (send_bytes(f, str_range(bytes.data, (size_t)world_below(w, bytes.len))))
			close_watch(f, true);
		return;
	}
	if (bytes.len > 0 && !send_bytes(f, buf_str(&bytes)))
		return;
	wait_for_watch(f);
}

static int64_t number_of(const char *path, const char *key)
{
	const char *at = strstr(path, key);
	uint64_t n = 0;

	if (at)
		(void)str_parse_u64(
			str_range(at + strlen(key), strspn(at + strlen(key), "0123456789")),
			INT64_MAX, &n);
	return (int64_t)n;
}

static void open_watch(struct flight *f)
{
	struct world *w = f->transport->world;
	CLEANUP(buf_release) struct buf bytes = BUF_INIT(4096);

	f->version = (uint64_t)number_of(f->path, "resourceVersion=");
	if (f->version >= w->api->oldest) {
		f->is_open = true;
		f->bookmark_ms = w->now_ms + BOOKMARK_MS;
		f->end_ms = w->now_ms + number_of(f->path, "timeoutSeconds=") * 1000;
		go_on_watching(f);
		return;
	}
	api_put_status(&f->answer, 410, "Expired", "too old resource version");
	if (world_chance(w, 50)) {
		finish_with_body(f);
		return;
	}
	api_put_event(&bytes, "ERROR", f->answer.body);
	if (send_bytes(f, buf_str(&bytes)))
		close_watch(f, false);
}

static bool is_waiting_for_changes(const struct flight *f)
{
	return f->is_open && f->call && !f->is_in_call;
}

void transport_notify(struct transport *t)
{
	struct flight *f = NULL;

	DL_FOREACH (t->flights, f)
		if (is_waiting_for_changes(f))
			wait_for_watch(f);
}

void transport_cut_watches(struct transport *t)
{
	struct flight *f = NULL, *next = NULL;

	DL_FOREACH_SAFE (t->flights, f, next)
		if (is_waiting_for_changes(f))
			close_watch(f, true);
}

/* Requests. */

static void go_on(struct flight *f)
{
	struct world *w = f->transport->world;

	execute(f);
	if (f->answer.build)
		wait_for(f, !w->is_healing && world_chance(w, 25)
				    ? (int64_t)world_below(w, MAX_SLOW_MS)
				    : 0);
	else if (f->call)
		wait_for(f, latency_ms(w));
	else
		free_flight(f);
}

static void arrive(struct flight *f)
{
	struct world *w = f->transport->world;

	switch (f->fate) {
	case FATE_LOST:
	case FATE_UNSENT:
		finish_broken(f, f->fate == FATE_UNSENT);
		return;
	case FATE_REFUSED:
		finish_refused(f);
		return;
	case FATE_MUTE:
		f->is_arrived = true;
		if (!f->is_watch && world_chance(w, 50) && !f->transport->replica->is_cut_off)
			go_on(f);
		return;
	case FATE_LATE:
		if (f->call && !f->is_watch) {
			struct http_client_answer answer = {0};

			err_set(&answer.err, ERR_UNAVAILABLE, "the connection broke off");
			wait_for(f, (int64_t)world_below(w, MAX_LATE_MS));
			kube_transport_done(TAKE(f->call), &answer);
			return;
		}
		break;
	default:
		break;
	}
	if (f->is_watch && f->call)
		open_watch(f);
	else if (f->is_watch)
		free_flight(f);
	else
		go_on(f);
}

static void create_build(struct flight *f)
{
	struct world *w = f->transport->world;

	api_create_build(w->api, &f->answer);
	world_trace(w, "  api: build %d", f->answer.status);
	if (f->call)
		wait_for(f, latency_ms(w));
	else
		free_flight(f);
}

static void on_flight(void *arg)
{
	struct flight *f = arg;

	if (f->is_open)
		go_on_watching(f);
	else if (!f->is_arrived)
		arrive(f);
	else if (f->answer.build)
		create_build(f);
	else if (f->fate == FATE_CUT)
		finish_broken(f, false);
	else if (f->fate == FATE_ERROR)
		finish_refused(f);
	else if (f->fate != FATE_MUTE || !f->call)
		finish_with_body(f);
}

/* A second's requests are few, whatever happens. */
static void count_request(struct replica *r)
{
	struct world *w = r->world;

	if (w->now_ms - r->second_ms >= 1000) {
		r->second_ms = w->now_ms;
		r->n_requests = 0;
	}
	if (++r->n_requests > MAX_PER_SECOND)
		world_fail(w, "replica %zu sends more than %d requests in a second", r->index,
			   MAX_PER_SECOND);
}

static void *start(void *ctx, struct kube_call *call, const struct kube_request *request)
{
	struct transport *t = ctx;
	struct flight *f = mem_new(1, sizeof(*f));
	const struct api_request seen = {request->method, request->path, request->body,
					 t->replica->index};

	count_request(t->replica);
	check_request(t->world, &seen);
	f->transport = t;
	f->call = call;
	f->method = request->method;
	f->path = mem_strdup(request->path);
	f->body = str_dup(request->body);
	f->body_bytes = request->body.n;
	f->is_watch = request->is_watch;
	f->is_streamed = request->on_bytes != NULL;
	f->started_ms = t->world->now_ms;
	f->fate = pick_fate(t);
	DL_APPEND(t->flights, f);
	wait_for(f, latency_ms(t->world));
	return f;
}

/* Nobody waits any more. What is on its way may arrive nevertheless; a Build that was to be made
 * may not be. */
static void cancel(void *ctx, void *handle)
{
	struct transport *t = ctx;
	struct flight *f = handle;
	bool is_old = t->world->now_ms - f->started_ms > MAX_LATE_MS;
	bool is_open_ended =
		!f->is_watch && timer_running(&f->timer) && (!f->is_arrived || f->answer.build);

	f->call = NULL;
	if (f->is_in_call)
		return;
	if (!is_open_ended || is_old || f->fate == FATE_LOST || f->fate == FATE_UNSENT ||
	    f->fate == FATE_REFUSED || world_chance(t->world, 50))
		free_flight(f);
}

struct transport *transport_new(struct replica *replica)
{
	struct transport *t = mem_new(1, sizeof(*t));

	t->replica = replica;
	t->world = replica->world;
	return t;
}

void transport_free(struct transport *t)
{
	while (t && t->flights)
		free_flight(t->flights);
	free(t);
}

struct kube_transport transport_seam(struct transport *t)
{
	return (struct kube_transport){.ctx = t, .start = start, .cancel = cancel};
}

bool transport_has(const struct transport *t, enum kube_method method, const char *path)
{
	const struct flight *f = NULL;

	DL_FOREACH (t->flights, f)
		if (f->call && f->method == method && strncmp(f->path, path, strlen(path)) == 0)
			return true;
	return false;
}
