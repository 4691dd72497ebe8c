#include "fetch.h"

#include "base/mem.h"
#include "net/loop.h"

#include <stdio.h>

struct fetching {
	struct fetch_answer *out;
	struct loop *loop;
};

static void copy(char *out, size_t size, struct str text)
{
	CLEANUP(buf_release) struct buf clean = BUF_INIT(size - 1);

	buf_put_clean(&clean, text, size - 1);
	(void)snprintf(out, size, "%s", buf_text(&clean));
}

static void on_answer(void *arg, const struct http_client_answer *answer)
{
	struct fetching *f = arg;
	struct fetch_answer *out = f->out;
	struct http_client_peer peer;

	http_client_peer(&peer, answer);
	out->status = answer->is_cut ? 0 : answer->status;
	out->stage = answer->stage;
	out->err = answer->err;
	buf_put_str(&out->body, answer->body);
	copy(out->address, sizeof(out->address), str_of(peer.address));
	copy(out->not_after, sizeof(out->not_after), str_of(peer.not_after));
	copy(out->message, sizeof(out->message), http_client_field(answer, "X-Buildhook-Message"));
	copy(out->warning, sizeof(out->warning), http_client_field(answer, "Warning"));
	copy(out->content_type, sizeof(out->content_type), answer->content_type);
	loop_stop(f->loop);
}

static void free_client(struct http_client **client)
{
	http_client_free(*client);
}

int fetch(struct fetch_answer *out, struct loop *loop, const struct fetch_request *request,
	  struct err *err)
{
	const char *authority = strstr(request->url, "://");
	const char *path = authority ? strchr(authority + 3, '/') : NULL;
	CLEANUP(mem_free)
	char *origin = mem_strndup(request->url,
				   path ? (size_t)(path - request->url) : strlen(request->url));
	CLEANUP(free_client) struct http_client *client = NULL;
	struct fetching f = {.out = out, .loop = loop};
	const struct http_client_options options = {.what = "the server",
						    .url = origin,
						    .allows_http = true,
						    .wants_certificate = true};

	if (http_client_new(&client, loop, &options, err) != 0)
		return err->code;
	*out = (struct fetch_answer){.body = BUF_INIT(request->max_bytes)};
	(void)http_client_start(client,
				&(struct http_client_request){.method = request->method,
							      .path = path ? path : "/",
							      .body = request->body,
							      .content_type = request->content_type,
							      .fields = request->fields,
							      .timeout_ms = request->timeout_ms,
							      .max_bytes = request->max_bytes},
				on_answer, &f);
	loop_run(loop);
	return 0;
}

void fetch_release(struct fetch_answer *answer)
{
	buf_release(&answer->body);
}
