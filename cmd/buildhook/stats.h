/* Metrics that are read from the parts rather than counted by them. */
#pragma once

#include "journal/journal.h"
#include "kube/reflector.h"
#include "kube/secrets.h"
#include "metrics/metrics.h"
#include "net/http.h"
#include "queue/queue.h"

/* Borrowed, all of it. */
struct stats_options {
	struct metrics *metrics;
	struct clock *clock;
	struct loop *loop;
	struct journal *journal;
	struct queue *queue;
	struct kube_store *store; /* of struct buildconfig */
	struct kube_secrets *secrets;
	struct http_server *http;
	struct kube_reflector *const *reflectors;
	const size_t *n_reflectors; /* grows from 0 when they start */
};

struct stats;

/* They are read at each rendering of the metrics. */
struct stats *stats_new(const struct stats_options *options);
/* Only when nothing renders any more. */
void stats_free(struct stats *stats);
