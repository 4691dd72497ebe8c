/*
 * From a request to its answer: route, prove, decode, decide, store, and wait for what becomes of
 * it. It starts no builds: what is to be built goes into the journal, and the BuildConfig's key
 * into the work queue.
 */
#pragma once

#include "buildconfig/verdict.h"
#include "net/http.h"
#include "services/services.h"

/* Everything is borrowed and must outlive the receiver. */
struct receiver_options {
	const struct services *services;
	struct verdict_options verdict;
	uint64_t max_buffer_bytes; /* --max-buffer: of all requests together */
	int64_t secret_ttl_ms;
	int64_t start_timeout_ms;
};

struct receiver;

struct receiver *receiver_new(const struct receiver_options *options);
/* Only after the server that uses its handler is gone. */
void receiver_free(struct receiver *receiver);
/* For http_options. */
struct http_handler receiver_handler(struct receiver *receiver);
/* The cluster serves buildconfigs/instantiate, so that `oc start-build` works on it. */
void receiver_set_openshift(struct receiver *receiver);
/* Deliveries from here on are answered 503. */
void receiver_drain(struct receiver *receiver);
/* Deliveries that have not been answered yet. */
size_t receiver_in_flight(const struct receiver *receiver);
