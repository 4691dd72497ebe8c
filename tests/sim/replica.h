/* One process of the program, without sockets and threads. A crash forgets all but its journal's
 * file. */
#pragma once

#include "api.h"
#include "app/app.h"

struct replica {
	struct world *world;
	size_t index;
	char folder[128];
	bool is_up;
	bool is_cut_off; /* from the API server */
	struct transport *transport;
	struct clock *clock;
	struct metrics *metrics;
	struct app_settings settings;
	struct app *app;
	/* The app's. */
	struct journal *journal;
	struct kube_store *store;
	int64_t drained_ms; /* when replica_drain() was called */
	bool is_drained;    /* it has ended after replica_drain() */
	int64_t started_ms;
	struct timer commit; /* of the world's clock: the journal's thread gets its turn */
	struct timer upkeep;
	struct sim_request *requests;
	int64_t second_ms; /* requests to the API server in this second: */
	unsigned n_requests;
};

struct replica *replica_new(struct world *w, size_t index, const char *folder);
void replica_free(struct replica *r);
void replica_start(struct replica *r);
/* Answers what it has accepted, ends by itself, and starts again. */
void replica_drain(struct replica *r);
/* IS_CLEAN: what was submitted to the journal is committed; else it may be lost. */
void replica_crash(struct replica *r, bool is_clean);
/* Its due timers, and what follows from them. */
void replica_run(struct replica *r);
/* After anything else reached it. */
void replica_follow_up(struct replica *r);

/* http.c: the receiver's side of pkg/net, without sockets. */
struct push;
/* Sends the push as a GitHub delivery signed with SECRET; the answer goes to the ledger. */
void http_deliver(struct replica *r, struct push *push, const char *secret);
/* All that are under way break off. */
void http_abort_all(struct replica *r);
/* Does a request wait whose body has come whole? */
bool http_has_fed(const struct replica *r);
/* Requests that are waited for longer than anything may take. */
void http_check_patience(struct replica *r);
