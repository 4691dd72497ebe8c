/* Metrics that are read from the parts rather than counted by them. */
#pragma once

#include "net/http.h"
#include "services/services.h"

struct stats;

/* Read whenever the metrics are rendered. Everything is borrowed. */
struct stats *stats_new(const struct services *services, struct loop *loop,
			struct http_server *http);
/* To be called when the metrics are no longer rendered. */
void stats_free(struct stats *stats);
