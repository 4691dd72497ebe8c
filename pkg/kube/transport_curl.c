#include "kube/transport_curl.h"

#include "base/mem.h"
#include "kube/credentials.h"
#include "kube/endpoint.h"
#include "kube/transfer.h"
#include "net/loop.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

/*
 * HTTP/1.1: a request takes a connection for as long as it lasts. Those over the limits wait here,
 * in their order, since libcurl hands a free connection to whoever comes by. Slow writes (admission
 * webhooks) leave some for reads.
 */
#define MAX_SHORT  8
#define MAX_WRITES 6
/* Easy handles kept for the next requests: each holds some 20 KiB once it was used. */
#define MAX_IDLE_HANDLES 2
/* Then connections are not used again, nor kept: the API server closes them soon after. */
#define IDLE_MS 60000

enum lane { LANE_READ, LANE_WRITE, LANE_WATCH, N_LANES };
enum pool_kind { POOL_SHORT, POOL_WATCH, N_POOLS };

struct transport;

struct pool {
	struct transport *transport;
	CURLM *multi;
	struct timer timer;
};

struct transport {
	struct loop *loop;
	struct endpoint endpoint;
	struct credentials *credentials;
	struct pool pools[N_POOLS];
	struct transfer
		*transfers; /* under way, waiting or cancelled, in the order of their start */
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
	/* Wrong use or no memory. */
	if (code != CURLM_OK)
		abort();
}

static CURL *take_handle(struct transport *transport)
{
	CURL *easy =
		transport->n_idle > 0 ? transport->idle[--transport->n_idle] : curl_easy_init();

	if (!easy)
		abort();
	return easy;
}

/*
 * Only a handle whose transfer went well is used again: curl_easy_reset() leaves a failed rewind
 * behind, with which every later request on it fails.
 */
static void keep_handle(struct transport *transport, struct transfer *transfer)
{
	if (transport->n_idle == MAX_IDLE_HANDLES)
		return;
	curl_easy_reset(transfer->easy);
	transport->idle[transport->n_idle++] = TAKE(transfer->easy);
}

static void on_idle(void *arg);

static size_t n_short(const struct transport *transport)
{
	return transport->n_active[LANE_READ] + transport->n_active[LANE_WRITE];
}

static enum lane lane_of(const struct kube_request *request)
{
	if (request->is_watch)
		return LANE_WATCH;
	return request->method == KUBE_GET ? LANE_READ : LANE_WRITE;
}

static bool has_room(const struct transport *transport, int lane)
{
	if (lane == LANE_WATCH)
		return true;
	return n_short(transport) < MAX_SHORT &&
	       (lane == LANE_READ || transport->n_active[LANE_WRITE] < MAX_WRITES);
}

static void remove_transfer(struct transport *transport, struct transfer *transfer)
{
	if (!transfer->multi)
		return;
	check(curl_multi_remove_handle(transfer->multi, transfer->easy));
	transfer->multi = NULL;
	transport->n_active[transfer->lane]--;
	if (n_short(transport) == 0)
		timer_start(loop_clock(transport->loop), &transport->idle_timer, IDLE_MS, on_idle,
			    transport);
}

static void drop_transfer(struct transport *transport, struct transfer *transfer)
{
	remove_transfer(transport, transfer);
	DL_DELETE(transport->transfers, transfer);
	transfer_free(transfer);
}

static void add_transfer(struct transport *transport, struct transfer *transfer)
{
	struct clock *clock = loop_clock(transport->loop);
	enum pool_kind kind = transfer->lane == LANE_WATCH ? POOL_WATCH : POOL_SHORT;

	if (kind == POOL_SHORT)
		timer_stop(clock, &transport->idle_timer);
	if (!transfer->easy)
		transfer->easy = take_handle(transport);
	credentials_poll(transport->credentials, clock_mono_ms(clock));
	transfer_prepare(transfer, &transport->endpoint, transport->credentials);
	transfer->multi = transport->pools[kind].multi;
	transport->n_active[transfer->lane]++;
	check(curl_multi_add_handle(transfer->multi, transfer->easy));
}

/* What was cancelled goes, and what waits begins, as far as there is room. */
static void settle(struct transport *transport)
{
	struct transfer *transfer = NULL;
	struct transfer *next = NULL;

	DL_FOREACH_SAFE (transport->transfers, transfer, next) {
		if (!transfer->call)
			drop_transfer(transport, transfer);
		else if (!transfer->multi && has_room(transport, transfer->lane))
			add_transfer(transport, transfer);
	}
}

/*
 * A request that was refused with what the files have meanwhile replaced is sent once more. That is
 * safe for writes: a 401 and a handshake that failed have carried out nothing.
 */
static bool repeat(struct transport *transport, struct transfer *transfer,
		   const struct kube_transport_answer *answer)
{
	int64_t now_ms = clock_mono_ms(loop_clock(transport->loop));

	if (transfer->is_repeated || (answer->status != 401 && !answer->is_unsent))
		return false;
	credentials_refresh(transport->credentials, now_ms);
	if (credentials_generation(transport->credentials) == transfer->generation)
		return false;
	transfer->is_repeated = true;
	remove_transfer(transport, transfer);
	add_transfer(transport, transfer);
	return true;
}

static void finish(struct transport *transport, struct transfer *transfer, CURLcode result)
{
	struct kube_transport_answer answer;
	struct kube_call *call = transfer->call;

	transfer_read_answer(transfer, result, &transport->endpoint, &answer);
	if (repeat(transport, transfer, &answer))
		return;
	remove_transfer(transport, transfer);
	DL_DELETE(transport->transfers, transfer);
	kube_transport_done(call, &answer);
	if (result == CURLE_OK)
		keep_handle(transport, transfer);
	transfer_free(transfer);
}

static void drive(struct pool *pool, curl_socket_t fd, int what)
{
	struct transport *transport = pool->transport;
	struct CURLMsg *message = NULL;
	int n_running = 0;
	int n_left = 0;

	transport->is_inside = true;
	check(curl_multi_socket_action(pool->multi, fd, what, &n_running));
	transport->is_inside = false;
	settle(transport);
	while ((message = curl_multi_info_read(pool->multi, &n_left)) != NULL) {
		CURLcode result = message->data.result;
		char *transfer = NULL;

		if (curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer) !=
		    CURLE_OK)
			abort();
		finish(transport, (struct transfer *)transfer, result);
		settle(transport);
	}
}

/* A socket of libcurl's, from its first wish to be watched to the end. */
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
	watched->watch = loop_watch_fd(pool->transport->loop, fd, what, on_ready, watched);
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
	struct clock *clock = loop_clock(pool->transport->loop);

	(void)multi;
	if (delay_ms < 0)
		timer_stop(clock, &pool->timer);
	else
		timer_start(clock, &pool->timer, delay_ms, on_timer, pool);
	return 0;
}

static void *start(void *ctx, struct kube_call *call, const struct kube_request *request)
{
	struct transport *transport = ctx;
	struct transfer *transfer = transfer_new(call, request, lane_of(request));

	DL_APPEND(transport->transfers, transfer);
	if (!transport->is_inside)
		settle(transport);
	return transfer;
}

static void cancel(void *ctx, void *handle)
{
	struct transport *transport = ctx;
	struct transfer *transfer = handle;

	transfer->call = NULL;
	if (!transport->is_inside)
		settle(transport);
}

static bool has_sent(void *ctx, void *handle)
{
	(void)ctx;
	return transfer_has_sent(handle);
}

static void init_pool(struct pool *pool, struct transport *transport)
{
	pool->transport = transport;
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
	timer_stop(loop_clock(pool->transport->loop), &pool->timer);
}

static void drop_handles(struct transport *transport)
{
	while (transport->n_idle > 0)
		curl_easy_cleanup(transport->idle[--transport->n_idle]);
}

/* libcurl closes idle connections only when it looks for one: a new start is what closes them at
 * once. */
static void on_idle(void *arg)
{
	struct transport *transport = arg;
	struct pool *pool = &transport->pools[POOL_SHORT];

	assert(!transport->is_inside && n_short(transport) == 0);
	drop_handles(transport);
	release_pool(pool);
	init_pool(pool, transport);
}

static void transport_free(void *ctx)
{
	struct transport *transport = ctx;

	assert(!transport->is_inside);
	while (transport->transfers)
		drop_transfer(transport, transport->transfers);
	drop_handles(transport);
	timer_stop(loop_clock(transport->loop), &transport->idle_timer);
	for (size_t i = 0; i < N_POOLS; i++)
		release_pool(&transport->pools[i]);
	endpoint_release(&transport->endpoint);
	credentials_free(transport->credentials);
	mem_free(&transport);
	curl_global_cleanup();
}

int transport_curl_new(struct kube_transport *out, struct loop *loop,
		       const struct kube_config *config, struct err *err)
{
	CLEANUP(credentials_freep) struct credentials *credentials = NULL;
	CLEANUP(endpoint_release) struct endpoint endpoint = {0};
	struct transport *transport = NULL;
	int rc = credentials_new(&credentials, config, clock_mono_ms(loop_clock(loop)), err);

	if (rc == 0)
		rc = endpoint_init(&endpoint, config, err);
	if (rc < 0)
		return rc;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, ERR_INTERNAL, "libcurl cannot be used");
	transport = mem_new(1, sizeof(*transport));
	transport->loop = loop;
	transport->credentials = TAKE(credentials);
	transport->endpoint = endpoint;
	endpoint = (struct endpoint){0};
	for (size_t i = 0; i < N_POOLS; i++)
		init_pool(&transport->pools[i], transport);
	*out = (struct kube_transport){
		.ctx = transport,
		.host = transport->endpoint.host,
		.start = start,
		.cancel = cancel,
		.has_sent = has_sent,
		.free = transport_free,
	};
	return 0;
}

int kube_client_new(struct kube_client **out, struct loop *loop, const struct kube_config *config,
		    struct err *err)
{
	struct kube_transport transport = {0};
	int rc = transport_curl_new(&transport, loop, config, err);

	if (rc < 0)
		return rc;
	*out = kube_client_new_over(loop_clock(loop), &transport);
	return 0;
}
