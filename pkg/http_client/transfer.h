/*
 * One request as a libcurl transfer: its options, its bytes, and its result. http_client.c decides
 * when it runs.
 */
#pragma once

#include "base/buf.h"
#include "http_client/endpoint.h"

#include <curl/curl.h>

/* Public as struct http_client_call. */
struct http_client_call {
	struct http_client *client;
	struct http_client_request request;
	http_client_answer_fn fn; /* NULL: cancelled, and request's texts are gone */
	void *arg;
	CURLM *multi; /* the multi handle that it is added to, or NULL */
	int lane;     /* http_client.c's */
	CURL *easy;   /* NULL: none yet */
	struct curl_slist *fields;
	struct buf body;
	size_t n_sent;       /* bytes of the request's body */
	uint64_t generation; /* generation of the identity that was sent */
	bool is_repeated;
	bool is_over_limit;
	char error[CURL_ERROR_SIZE];
	struct http_client_call *prev, *next;
};

/* Sets all options of EASY, which must be there; drops the bytes of an earlier try. */
void transfer_prepare(struct http_client_call *call, const struct endpoint *endpoint,
		      const struct http_client_identity *identity);
/* ANSWER's texts are lent by CALL. */
void transfer_read_answer(struct http_client_call *call, CURLcode result,
			  const struct endpoint *endpoint, struct http_client_answer *answer);
/* The easy handle stays the caller's if it was taken out before. */
void transfer_free(struct http_client_call *call);
