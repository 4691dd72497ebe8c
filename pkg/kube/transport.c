/*
 * The transport of production: requests to the API server go through pkg/http_client, with the
 * identity that the kubeconfig or the Pod's files name. Declared in client.h.
 */
#include "base/mem.h"
#include "http_client/http_client.h"
#include "kube/client.h"
#include "kubeconfig/config.h"
#include "kubeconfig/credentials.h"
#include "net/loop.h"

struct transport {
	struct credentials *credentials;
	struct http_client *http;
};

/* The kinds of patches differ only in the Content-Type of their body. */
static const struct {
	const char *method, *content_type;
} methods[] = {
	[KUBE_GET] = {"GET", NULL},
	[KUBE_POST] = {"POST", "application/json"},
	[KUBE_PUT] = {"PUT", "application/json"},
	[KUBE_DELETE] = {"DELETE", "application/json"},
	[KUBE_MERGE_PATCH] = {"PATCH", "application/merge-patch+json"},
	[KUBE_JSON_PATCH] = {"PATCH", "application/json-patch+json"},
	[KUBE_STRATEGIC_PATCH] = {"PATCH", "application/strategic-merge-patch+json"},
	[KUBE_APPLY] = {"PATCH", "application/apply-patch+yaml"},
};

static void on_bytes(void *call, struct str bytes)
{
	kube_transport_bytes(call, bytes);
}

static void on_answer(void *call, const struct http_client_answer *answer)
{
	kube_transport_done(call, answer);
}

static void *start(void *ctx, struct kube_call *call, const struct kube_request *request)
{
	const struct transport *transport = ctx;
	const struct http_client_request http = {
		.method = methods[request->method].method,
		.path = request->path,
		.body = request->body,
		.content_type = methods[request->method].content_type,
		.accept = request->accept,
		.max_bytes = request->max_bytes,
		.on_bytes = request->on_bytes ? on_bytes : NULL,
		.is_watch = request->is_watch,
	};

	return http_client_start(transport->http, &http, on_answer, call);
}

static void cancel(void *ctx, void *handle)
{
	(void)ctx;
	http_client_cancel(handle);
}

static bool has_sent(void *ctx, void *handle)
{
	(void)ctx;
	return http_client_has_sent(handle);
}

static void transport_free(void *ctx)
{
	struct transport *transport = ctx;

	http_client_free(transport->http);
	credentials_free(transport->credentials);
	mem_free(&transport);
}

static const struct http_client_identity *identify(void *arg, int64_t mono_ms, bool is_refused)
{
	struct transport *transport = arg;

	if (is_refused)
		credentials_refresh(transport->credentials, mono_ms);
	else
		credentials_poll(transport->credentials, mono_ms);
	return credentials_identity(transport->credentials);
}

int kube_transport_new(struct kube_transport *out, struct loop *loop,
		       const struct kube_config *config, struct err *err)
{
	struct transport *transport = mem_new(1, sizeof(*transport));
	struct http_client_options options = kube_config_http_options(config);
	int rc = credentials_new(&transport->credentials, config, clock_mono_ms(loop_clock(loop)),
				 err);

	options.identify = identify;
	options.identify_arg = transport;
	if (rc == 0)
		rc = http_client_new(&transport->http, loop, &options, err);
	if (rc < 0) {
		transport_free(transport);
		return rc;
	}
	*out = (struct kube_transport){
		.ctx = transport,
		.host = http_client_host(transport->http),
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
	int rc = kube_transport_new(&transport, loop, config, err);

	if (rc < 0)
		return rc;
	*out = kube_client_new_over(loop_clock(loop), &transport);
	return 0;
}
