/*
 * A request without sockets for the receiver's functions, which keeps the answer that it is given.
 */
#pragma once

#include "base/buf.h"
#include "base/mem.h"
#include "net/http_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define SHARED __attribute__((unused)) static

struct test_request {
	struct http_request request; /* first */
	struct http_header headers[8];
	size_t n_headers;
	bool is_paused;
	size_t n_resumed;
	int status; /* of the answer; 0: none yet */
	struct buf answer;
	struct buf fields; /* "Name: value\n" of each header of the answer */
};

static struct test_request *test_request_of(const struct http_request *request)
{
	return (struct test_request *)request;
}

static struct str find_request_header(const struct http_request *request, const char *name,
				      size_t *n)
{
	const struct test_request *r = test_request_of(request);
	struct str first = STR("");
	size_t count = 0;

	for (size_t i = 0; i < r->n_headers; i++)
		if (str_eq_nocase(r->headers[i].name, str_of(name)) && count++ == 0)
			first = r->headers[i].value;
	if (n)
		*n = count;
	return first;
}

static void pause_request(struct http_request *request)
{
	test_request_of(request)->is_paused = true;
}

static void resume_request(struct http_request *request)
{
	test_request_of(request)->is_paused = false;
	test_request_of(request)->n_resumed++;
}

static bool never_refuse(struct http_request *request)
{
	(void)request;
	return false;
}

static void keep_response(struct http_request *request, int status,
			  const struct http_header *headers, size_t n_headers, struct str body)
{
	struct test_request *r = test_request_of(request);

	assert_int_equal(r->status, 0);
	r->status = status;
	for (size_t i = 0; i < n_headers; i++)
		buf_printf(&r->fields, "%.*s: %.*s\n", STR_ARG(headers[i].name),
			   STR_ARG(headers[i].value));
	buf_put_str(&r->answer, body);
	r->request.user = NULL;
}

SHARED struct test_request *test_request_new(const char *path, int64_t length)
{
	static const struct http_request_ops ops = {find_request_header, pause_request,
						    resume_request,      never_refuse,
						    never_refuse,        keep_response};
	struct test_request *r = mem_new(1, sizeof(*r));

	r->request = (struct http_request){.ops = &ops,
					   .method = STR("POST"),
					   .path = str_of(path),
					   .query = STR(""),
					   .content_length = length};
	r->answer = (struct buf)BUF_INIT(64 << 10);
	r->fields = (struct buf)BUF_INIT(16 << 10);
	return r;
}

SHARED void test_request_free(struct test_request *r)
{
	if (!r)
		return;
	buf_release(&r->answer);
	buf_release(&r->fields);
	free(r);
}

SHARED void test_request_put(struct test_request *r, const char *name, const char *value)
{
	assert_true(r->n_headers < ARRAY_LEN(r->headers));
	r->headers[r->n_headers++] = (struct http_header){str_of(name), str_of(value)};
}
