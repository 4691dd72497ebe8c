#include "admin.h"

#include "base/mem.h"

#define MAX_METRICS_BYTES (4 * 1024 * 1024)

static void answer(struct http_request *request, int status, const char *type, struct str body)
{
	const struct http_header headers[] = {{STR("Content-Type"), str_of(type)},
					      {STR("Allow"), STR("GET, HEAD")}};

	http_respond(request, status, headers, status == 405 ? 2 : 1, body);
}

static void answer_ready(struct admin *admin, struct http_request *request)
{
	CLEANUP(buf_release) struct buf body = BUF_INIT(4096);
	struct app_check checks[APP_MAX_CHECKS];
	bool receive_only = str_eq(request->query, STR("receive"));
	size_t n = admin->read_checks(admin->arg, receive_only, checks);
	bool is_ready = true;

	for (size_t i = 0; i < n; i++) {
		if (checks[i].failure)
			buf_printf(&body, "[-]%s failed: %s\n", checks[i].name, checks[i].failure);
		else
			buf_printf(&body, "[+]%s ok\n", checks[i].name);
		is_ready &= !checks[i].failure;
	}
	buf_put_str(&body, is_ready ? STR("ready\n") : STR("not ready\n"));
	answer(request, is_ready ? 200 : 503, "text/plain; charset=utf-8", buf_str(&body));
}

static void answer_metrics(struct admin *admin, struct http_request *request)
{
	CLEANUP(buf_release) struct buf body = BUF_INIT(MAX_METRICS_BYTES);

	metrics_format(admin->metrics, &body);
	answer(request, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&body));
}

static void on_end(void *arg, struct http_request *request)
{
	struct admin *admin = arg;
	struct str path = request->path, method = request->method;
	const char *text = "text/plain; charset=utf-8";

	if (!str_eq(path, STR("/healthz")) && !str_eq(path, STR("/readyz")) &&
	    !str_eq(path, STR("/metrics")))
		answer(request, 404, text, STR("there are /healthz, /readyz and /metrics\n"));
	else if (!str_eq(method, STR("GET")) && !str_eq(method, STR("HEAD")))
		answer(request, 405, text, STR("only GET and HEAD\n"));
	else if (str_eq(path, STR("/healthz")))
		answer(request, 200, text, STR("ok\n"));
	else if (str_eq(path, STR("/readyz")))
		answer_ready(admin, request);
	else
		answer_metrics(admin, request);
}

static void on_head(void *arg, struct http_request *request)
{
	(void)arg;
	(void)request;
}

static void on_body(void *arg, struct http_request *request, struct str bytes)
{
	(void)arg;
	(void)request;
	(void)bytes;
}

static void on_abort(void *arg, struct http_request *request)
{
	(void)arg;
	(void)request;
}

struct http_handler admin_handler(struct admin *admin)
{
	return (struct http_handler){on_head, on_body, on_end, on_abort, admin};
}
