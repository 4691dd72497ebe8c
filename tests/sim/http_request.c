#include "http_request.h"

void http_put_header(struct sim_request *r, struct str name, struct str value)
{
	if (r->n_headers < HTTP_MAX_HEADERS)
		r->headers[r->n_headers++] = (struct http_header){name, value};
}

static struct str find_header(const struct http_request *request, const char *name, size_t *n)
{
	const struct sim_request *r = (const struct sim_request *)request;
	struct str first = STR("");
	size_t count = 0;

	for (size_t i = 0; i < r->n_headers; i++)
		if (str_eq_nocase(r->headers[i].name, str_of(name)) && count++ == 0)
			first = r->headers[i].value;
	if (n)
		*n = count;
	return first;
}

static void pause_body(struct http_request *request)
{
	((struct sim_request *)request)->is_paused = true;
}

static void resume_body(struct http_request *request)
{
	struct sim_request *r = (struct sim_request *)request;

	if (r->is_paused && !r->is_fed)
		timer_start(r->replica->world->clock, &r->timer, 0, r->feed, r);
	r->is_paused = false;
}

static bool never_refuse(struct http_request *request)
{
	(void)request;
	return false;
}

static void respond(struct http_request *request, int status, const struct http_header *headers,
		    size_t n_headers, struct str body)
{
	struct sim_request *r = (struct sim_request *)request;

	(void)headers;
	(void)n_headers;
	r->on_response(r, status, body);
}

void http_give_head(struct sim_request *r)
{
	static const struct http_request_ops ops = {find_header,  pause_body,   resume_body,
						    never_refuse, never_refuse, respond};
	struct http_handler handler = app_handler(r->replica->app);

	r->request = (struct http_request){.ops = &ops,
					   .method = STR("POST"),
					   .path = str_of(r->path),
					   .query = STR(""),
					   .content_length = (int64_t)r->body.n};
	handler.on_head(handler.arg, &r->request);
}
