/* The way between a replica and the API server: delays, losses, and what arrives after all. */
#include "world.h"

#include <inttypes.h>
#include <utlist.h>

enum fate { GOOD, LOST, CUT, LATE, REFUSED };

struct flight {
	struct replica *replica;
	struct world *world;
	struct kube_call *call; /* NULL: nobody waits any more */
	struct timer timer;
	enum fate fate;
	enum kube_method method;
	char *path, *body;
	bool is_watch, is_streamed, is_arrived, is_in_call;
	enum kind kind;
	uint64_t version; /* a watch was told all up to this */
	int64_t end_ms;
	int status;
	struct buf answer;
	struct flight *prev, *next;
};

static void free_flight(struct flight *f)
{
	DL_DELETE(f->world->flights, f);
	timer_stop(f->world->clock, &f->timer);
	buf_release(&f->answer);
	free(f->path);
	free(f->body);
	free(f);
}

static void on_flight(void *arg);

static void wait_ms(struct flight *f, int64_t ms)
{
	timer_start(f->world->clock, &f->timer, ms, on_flight, f);
}

static int64_t latency_ms(struct world *w)
{
	return (int64_t)world_below(w, w->is_healing || world_chance(w, 90) ? 20 : 3000) + 1;
}

static void done(struct flight *f, const struct http_client_answer *answer)
{
	struct kube_call *call = TAKE(f->call);

	if (call)
		kube_transport_done(call, answer);
}

static void break_off(struct flight *f, bool is_unsent)
{
	struct http_client_answer answer = {.is_unsent = is_unsent};

	(void)err_set(&answer.err, ERR_UNAVAILABLE, "the connection broke off");
	done(f, &answer);
}

static bool send_bytes(struct flight *f, struct str bytes)
{
	f->is_in_call = true;
	kube_transport_bytes(f->call, bytes);
	f->is_in_call = false;
	return f->call != NULL;
}

static void watch(struct flight *f)
{
	struct world *w = f->world;
	CLEANUP(buf_release) struct buf bytes = BUF_INIT(1 << 24);

	if (!f->call) {
		free_flight(f);
		return;
	}
	if (w->now_ms >= f->end_ms) {
		done(f, &(struct http_client_answer){.status = 200});
		free_flight(f);
		return;
	}
	for (size_t i = 0; i < w->n_changes; i++) {
		const struct change *change = &w->changes[i];

		if (change->version <= f->version || change->kind != f->kind)
			continue;
		buf_printf(&bytes, "{\"type\":\"%s\",\"object\":%s}\n", change->type, change->text);
		f->version = change->version;
		if (world_chance(w, 20))
			break;
	}
	if (bytes.len > 0 && !send_bytes(f, buf_str(&bytes))) {
		free_flight(f);
		return;
	}
	wait_ms(f, w->is_healing ? 50
				 : 10 + (int64_t)world_below(w, world_chance(w, 5) ? 10000 : 300));
}

static enum fate pick_fate(struct world *w)
{
	unsigned dice = (unsigned)world_below(w, 100);

	if (w->is_healing || dice >= 20)
		return GOOD;
	return dice < 5 ? LOST : dice < 12 ? CUT : dice < 16 ? LATE : REFUSED;
}

static void execute(struct flight *f)
{
	f->is_arrived = true;
	f->answer.limit = 1 << 24;
	f->status = api_serve(f->world, f->method, f->path, str_of(f->body), &f->answer);
	if (f->method != KUBE_GET)
		world_trace(f->world, "api <- %td %d %s: %d %.200s",
			    f->replica - f->world->replicas, f->method, f->path, f->status,
			    f->body ? f->body : "");
}

static void arrive(struct flight *f)
{
	struct http_client_answer refused = {.status = 503,
					     .content_type = STR("application/json"),
					     .body = STR("{\"kind\":\"Status\",\"code\":503}")};

	switch (f->fate) {
	case LOST:
		break_off(f, false);
		free_flight(f);
		return;
	case REFUSED:
		done(f, &refused);
		free_flight(f);
		return;
	case LATE:
		break_off(f, false);
		f->fate = CUT;
		if (f->method == KUBE_GET)
			free_flight(f);
		else
			wait_ms(f, (int64_t)world_below(f->world, LATE_MS));
		return;
	default:
		execute(f);
		wait_ms(f, latency_ms(f->world));
	}
}

static void answer(struct flight *f)
{
	struct http_client_answer answer = {.status = f->status,
					    .content_type = STR("application/json"),
					    .body = buf_str(&f->answer)};

	if (f->fate == CUT) {
		break_off(f, false);
	} else if (f->call && f->is_streamed && f->status == 200) {
		if (send_bytes(f, answer.body)) {
			answer.body = STR("");
			done(f, &answer);
		}
	} else {
		done(f, &answer);
	}
	free_flight(f);
}

static void on_flight(void *arg)
{
	struct flight *f = arg;

	if (f->is_watch)
		watch(f);
	else if (f->is_arrived)
		answer(f);
	else
		arrive(f);
}

static void *on_start(void *ctx, struct kube_call *call, const struct kube_request *request)
{
	struct replica *replica = ctx;
	struct world *w = replica->world;
	struct flight *f = mem_new(1, sizeof(*f));
	const char *version = strstr(request->path, "resourceVersion=");
	bool is_own = request->on_bytes || strcmp(request->path, "/readyz") == 0;

	f->replica = replica;
	f->world = w;
	f->call = call;
	f->method = request->method;
	f->path = mem_strdup(request->path);
	f->body = request->body.n > 0 ? str_dup(request->body) : NULL;
	f->is_watch = request->is_watch;
	f->is_streamed = request->on_bytes != NULL;
	f->fate = f->is_watch ? GOOD : pick_fate(w);
	f->kind = strstr(f->path, "/buildconfigs") ? BUILDCONFIGS
		  : strstr(f->path, "/pods")       ? PODS
						   : BUILDS;
	f->end_ms = w->now_ms + 300000;
	if (version && f->is_watch)
		f->version = strtoull(version + strlen("resourceVersion="), NULL, 10);
	DL_APPEND(w->flights, f);
	w->n_requests += !is_own;
	wait_ms(f, latency_ms(w));
	return f;
}

static void on_cancel(void *ctx, void *handle)
{
	struct flight *f = handle;

	(void)ctx;
	f->call = NULL;
	/* What was sent may arrive all the same. */
	if (!f->is_in_call && (f->is_watch || f->method == KUBE_GET || f->is_arrived))
		free_flight(f);
}

struct kube_transport transport_of(struct replica *replica)
{
	return (struct kube_transport){.ctx = replica, .start = on_start, .cancel = on_cancel};
}

void transport_cut(struct world *w, const struct replica *replica, bool only_watches)
{
	struct flight *f = NULL, *next = NULL;

	DL_FOREACH_SAFE (w->flights, f, next) {
		if (f->replica != replica || !f->call || (only_watches && !f->is_watch))
			continue;
		break_off(f, false);
		free_flight(f);
	}
}

void transport_free(struct world *w)
{
	while (w->flights)
		free_flight(w->flights);
}
