/*
 * One request as a libcurl transfer: its options, its bytes, and what came of it. The loop around
 * it is transport_curl.c's.
 */
#pragma once

#include "kube/client.h"
#include "kube/credentials.h"
#include "kube/endpoint.h"

#include <curl/curl.h>

struct transfer {
	struct kube_call *call; /* NULL: cancelled, and then there is no request any more */
	const struct kube_request *request;
	CURLM *multi; /* that it is added to; NULL: none yet */
	int lane;     /* its owner's */
	CURL *easy;   /* NULL: none yet */
	struct curl_slist *fields;
	struct buf body;
	size_t n_sent;       /* of the request's body */
	uint64_t generation; /* of the credentials that were sent */
	bool is_repeated;
	bool is_over_limit;
	char error[CURL_ERROR_SIZE];
	struct transfer *prev, *next;
};

struct transfer *transfer_new(struct kube_call *call, const struct kube_request *request, int lane);
/* Sets all options of EASY, which has to be there; the bytes of an earlier try are dropped. */
void transfer_prepare(struct transfer *transfer, const struct endpoint *endpoint,
		      const struct credentials *credentials);
/* ANSWER's texts are lent by TRANSFER. */
void transfer_read_answer(struct transfer *transfer, CURLcode result,
			  const struct endpoint *endpoint, struct kube_transport_answer *answer);
/* Whether a byte of the request may have left. */
bool transfer_has_sent(const struct transfer *transfer);
/* The easy handle stays the caller's if it was taken out before. */
void transfer_free(struct transfer *transfer);
