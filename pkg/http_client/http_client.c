/*
 * Runs requests on libcurl's multi handles and the event loop: few connections for short requests,
 * one of its own for each watch.
 */
#include "http_client/http_client.h"

#include "base/mem.h"
#include "http_client/transfer.h"
#include "net/loop.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

/*
 * HTTP/1.1: a request takes a connection for as long as it lasts. Requests over the limits wait
 * here, in their order, because libcurl gives a free connection to any request. Slow writes
 * (admission webhooks) leave some connections for reads.
 */
#define MAX_SHORT  8
#define MAX_WRITES 6
/* Easy handles kept for the next requests: each holds some 20 KiB once it was used. */
#define MAX_IDLE_HANDLES 2
/* Connections that were idle for this time are closed: the API server closes them soon after. */
#define IDLE_MS 60000

enum lane { LANE_READ, LANE_WRITE, LANE_WATCH, N_LANES };
enum pool_kind { POOL_SHORT, POOL_WATCH, N_POOLS };

struct pool {
	struct http_client *client;
	CURLM *multi;
	struct timer timer;
};

struct http_client {
	struct loop *loop;
	struct endpoint endpoint;
	const struct http_client_identity *(*identify)(void *arg, int64_t mono_ms, bool is_refused);
	void *identify_arg;
	struct pool pools[N_POOLS];
	struct http_client_call *calls; /* active, waiting or cancelled, in the order of start */
	size_t n_active[N_LANES];
	struct timer idle_timer;
	/* libcurl is on the stack: handles can be neither added nor removed until it has returned.
	 */
	bool is_inside;
	CURL *idle[MAX_IDLE_HANDLES];
	size_t n_idle;
};

static void check(CURLMcode code)
{
	/* Only wrong use or a lack of memory fails. */
	if (code != CURLM_OK)
		abort();
}

static CURL *take_handle(struct http_client *client)
{
	CURL *easy = client->n_idle > 0 ? client->idle[--client->n_idle] : curl_easy_init();

	if (!easy)
		abort();
	return easy;
}

/*
 * Only a handle whose transfer went well is used again: curl_easy_reset() leaves a failed rewind
 * behind, with which every later request on it fails.
 */
static void keep_handle(struct http_client *client, struct http_client_call *call)
{
	if (client->n_idle == MAX_IDLE_HANDLES)
		return;
	curl_easy_reset(call->easy);
	client->idle[client->n_idle++] = TAKE(call->easy);
}

static void on_idle(void *arg);

static size_t n_short(const struct http_client *client)
{
	return client->n_active[LANE_READ] + client->n_active[LANE_WRITE];
}

static enum lane lane_of(const struct http_client_request *request)
{
	if (request->is_watch)
		return LANE_WATCH;
	return strcmp(request->method, "GET") == 0 ? LANE_READ : LANE_WRITE;
}

static bool has_room(const struct http_client *client, int lane)
{
	if (lane == LANE_WATCH)
		return true;
	return n_short(client) < MAX_SHORT &&
	       (lane == LANE_READ || client->n_active[LANE_WRITE] < MAX_WRITES);
}

static void remove_transfer(struct http_client *client, struct http_client_call *call)
{
	if (!call->multi)
		return;
	check(curl_multi_remove_handle(call->multi, call->easy));
	call->multi = NULL;
	client->n_active[call->lane]--;
	if (n_short(client) == 0)
		timer_start(loop_clock(client->loop), &client->idle_timer, IDLE_MS, on_idle,
			    client);
}

static void drop_transfer(struct http_client *client, struct http_client_call *call)
{
	remove_transfer(client, call);
	DL_DELETE(client->calls, call);
	transfer_free(call);
}

static const struct http_client_identity *identity_of(struct http_client *client, bool is_refused)
{
	static const struct http_client_identity nobody;

	if (!client->identify)
		return &nobody;
	return client->identify(client->identify_arg, clock_mono_ms(loop_clock(client->loop)),
				is_refused);
}

static void add_transfer(struct http_client *client, struct http_client_call *call)
{
	struct clock *clock = loop_clock(client->loop);
	enum pool_kind kind = call->lane == LANE_WATCH ? POOL_WATCH : POOL_SHORT;

	if (kind == POOL_SHORT)
		timer_stop(clock, &client->idle_timer);
	if (!call->easy)
		call->easy = take_handle(client);
	transfer_prepare(call, &client->endpoint, identity_of(client, false));
	call->multi = client->pools[kind].multi;
	client->n_active[call->lane]++;
	check(curl_multi_add_handle(call->multi, call->easy));
}

/* Frees cancelled calls, and starts waiting ones as far as there is room. */
static void settle(struct http_client *client)
{
	struct http_client_call *call = NULL;
	struct http_client_call *next = NULL;

	DL_FOREACH_SAFE (client->calls, call, next) {
		if (!call->fn)
			drop_transfer(client, call);
		else if (!call->multi && has_room(client, call->lane))
			add_transfer(client, call);
	}
}

/*
 * A request that was refused is sent once more if the identity has changed since. That is safe for
 * writes: after a 401 or a failed handshake nothing was carried out.
 */
static bool repeat(struct http_client *client, struct http_client_call *call,
		   const struct http_client_answer *answer)
{
	if (call->is_repeated || (answer->status != 401 && !answer->is_unsent))
		return false;
	if (identity_of(client, true)->generation == call->generation)
		return false;
	call->is_repeated = true;
	remove_transfer(client, call);
	add_transfer(client, call);
	return true;
}

static void finish(struct http_client *client, struct http_client_call *call, CURLcode result)
{
	struct http_client_answer answer;

	transfer_read_answer(call, result, &client->endpoint, &answer);
	if (repeat(client, call, &answer))
		return;
	remove_transfer(client, call);
	DL_DELETE(client->calls, call);
	call->fn(call->arg, &answer);
	if (result == CURLE_OK)
		keep_handle(client, call);
	transfer_free(call);
}

static void drive(struct pool *pool, curl_socket_t fd, int what)
{
	struct http_client *client = pool->client;
	struct CURLMsg *message = NULL;
	int n_running = 0;
	int n_left = 0;

	client->is_inside = true;
	check(curl_multi_socket_action(pool->multi, fd, what, &n_running));
	client->is_inside = false;
	settle(client);
	while ((message = curl_multi_info_read(pool->multi, &n_left)) != NULL) {
		CURLcode result = message->data.result;
		char *call = NULL;

		if (curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call) != CURLE_OK)
			abort();
		finish(client, (struct http_client_call *)call, result);
		settle(client);
	}
}

/* A socket that libcurl wants to have watched. */
struct watched {
	struct pool *pool;
	struct loop_watch *watch;
	curl_socket_t fd;
};

static void on_ready(void *arg, int what)
{
	const struct watched *watched = arg;
	int curl_what = (what & LOOP_READ ? CURL_CSELECT_IN : 0) |
			(what & LOOP_WRITE ? CURL_CSELECT_OUT : 0);

	drive(watched->pool, watched->fd, curl_what);
}

static int on_socket_wish(CURL *easy, curl_socket_t fd, int wish, void *arg, void *socket)
{
	struct pool *pool = arg;
	struct watched *watched = socket;
	int what = (wish & CURL_POLL_IN ? LOOP_READ : 0) | (wish & CURL_POLL_OUT ? LOOP_WRITE : 0);

	(void)easy;
	if (wish == CURL_POLL_REMOVE) {
		if (watched)
			loop_watch_free(watched->watch);
		mem_free(&watched);
		return 0;
	}
	if (watched) {
		loop_watch_change(watched->watch, what);
		return 0;
	}
	watched = mem_new(1, sizeof(*watched));
	watched->pool = pool;
	watched->fd = fd;
	watched->watch = loop_watch_fd(pool->client->loop, fd, what, on_ready, watched);
	check(curl_multi_assign(pool->multi, fd, watched));
	return 0;
}

static void on_timer(void *arg)
{
	drive(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer_wish(CURLM *multi, long delay_ms, void *arg)
{
	struct pool *pool = arg;
	struct clock *clock = loop_clock(pool->client->loop);

	(void)multi;
	if (delay_ms < 0)
		timer_stop(clock, &pool->timer);
	else
		timer_start(clock, &pool->timer, delay_ms, on_timer, pool);
	return 0;
}

struct http_client_call *http_client_start(struct http_client *client,
					   const struct http_client_request *request,
					   http_client_answer_fn fn, void *arg)
{
	struct http_client_call *call = mem_new(1, sizeof(*call));

	call->client = client;
	call->request = *request;
	call->fn = fn;
	call->arg = arg;
	call->lane = lane_of(request);
	DL_APPEND(client->calls, call);
	if (!client->is_inside)
		settle(client);
	return call;
}

void http_client_cancel(struct http_client_call *call)
{
	struct http_client *client = call->client;

	call->fn = NULL;
	if (!client->is_inside)
		settle(client);
}

static void init_pool(struct pool *pool, struct http_client *client)
{
	pool->client = client;
	pool->multi = curl_multi_init();
	if (!pool->multi)
		abort();
	check(curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wish));
	check(curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool));
	check(curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, on_timer_wish));
	check(curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool));
	check(curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, (long)MAX_SHORT));
}

static void release_pool(struct pool *pool)
{
	if (pool->multi)
		check(curl_multi_cleanup(pool->multi));
	timer_stop(loop_clock(pool->client->loop), &pool->timer);
}

static void drop_handles(struct http_client *client)
{
	while (client->n_idle > 0)
		curl_easy_cleanup(client->idle[--client->n_idle]);
}

/* libcurl closes idle connections only when it looks for one; a new multi handle closes them now.
 */
static void on_idle(void *arg)
{
	struct http_client *client = arg;
	struct pool *pool = &client->pools[POOL_SHORT];

	assert(!client->is_inside && n_short(client) == 0);
	drop_handles(client);
	release_pool(pool);
	init_pool(pool, client);
}

void http_client_free(struct http_client *client)
{
	if (!client)
		return;
	assert(!client->is_inside);
	while (client->calls)
		drop_transfer(client, client->calls);
	drop_handles(client);
	timer_stop(loop_clock(client->loop), &client->idle_timer);
	for (size_t i = 0; i < N_POOLS; i++)
		release_pool(&client->pools[i]);
	endpoint_release(&client->endpoint);
	mem_free(&client);
	curl_global_cleanup();
}

int http_client_check_url(const struct http_client_options *options, struct err *err)
{
	CLEANUP(endpoint_release) struct endpoint endpoint = {0};

	return endpoint_init(&endpoint, options, err);
}

const char *http_client_host(const struct http_client *client)
{
	return client->endpoint.host;
}

int http_client_new(struct http_client **out, struct loop *loop,
		    const struct http_client_options *options, struct err *err)
{
	struct endpoint endpoint = {0};
	struct http_client *client = NULL;
	int rc = endpoint_init(&endpoint, options, err);

	if (rc < 0)
		return rc;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		abort();
	client = mem_new(1, sizeof(*client));
	client->loop = loop;
	client->endpoint = endpoint;
	client->identify = options->identify;
	client->identify_arg = options->identify_arg;
	for (size_t i = 0; i < N_POOLS; i++)
		init_pool(&client->pools[i], client);
	*out = client;
	return 0;
}
