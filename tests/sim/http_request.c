#include "http_request.h"

void http_put_header(struct http_request *r, struct str name, struct str value)
{
	if (r->n_headers < HTTP_MAX_HEADERS)
		r->headers[r->n_headers++] = (struct http_header){name, value};
}

struct str http_method(const struct http_request *r)
{
	(void)r;
	return STR("POST");
}

struct str http_path(const struct http_request *r)
{
	return str_of(r->path);
}

struct str http_header(const struct http_request *r, const char *name, size_t *n)
{
	struct str first = STR("");
	size_t count = 0;

	for (size_t i = 0; i < r->n_headers; i++)
		if (str_eq_nocase(r->headers[i].name, str_of(name)) && count++ == 0)
			first = r->headers[i].value;
	if (n)
		*n = count;
	return first;
}

bool http_refuse_expectation(struct http_request *r)
{
	(void)r;
	return false;
}

bool http_refuse_length(struct http_request *r)
{
	(void)r;
	return false;
}

int64_t http_content_length(const struct http_request *r)
{
	return (int64_t)r->body.n;
}

void http_set_user(struct http_request *r, void *user)
{
	r->user = user;
}

void *http_user(const struct http_request *r)
{
	return r->user;
}

void http_pause(struct http_request *r)
{
	r->is_paused = true;
}

void http_resume(struct http_request *r)
{
	if (r->is_paused && !r->is_fed)
		timer_start(r->replica->world->clock, &r->timer, 0, r->feed, r);
	r->is_paused = false;
}
