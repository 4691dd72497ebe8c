/*
 * The simulated world: an API server in memory, one or two replicas of the real program (all of it
 * but sockets and threads), Git hosts that push, and a seed that decides everything: when what
 * arrives, what gets lost, who crashes. Time is virtual. The same seed gives the same run.
 */
#pragma once

#include "base/clock.h"
#include "base/mem.h"
#include "controller/controller.h"

#define WORLD_REPLICAS    2
#define WORLD_EPOCH_MS    INT64_C(1795000000000)
#define WORLD_NAMESPACE   "buildhook" /* the program's own */
#define WORLD_PUBLIC_HOST "hooks.example.com"
#define WORLD_PUBLIC_URL  "https://" WORLD_PUBLIC_HOST

struct api;
struct replica;
struct ledger;
struct sim_request;

struct rng {
	uint64_t state;
};

/* Faults of requests to the API server, in per cent. */
struct faults {
	unsigned lost;      /* never arrives, and the connection breaks */
	unsigned cut;       /* carried out, but the answer does not come */
	unsigned late;      /* the connection breaks at once, and it is carried out later */
	unsigned mute;      /* no answer until a timeout; carried out or not */
	unsigned refused;   /* answered 429, 500, 503, 401 and the like without being carried out */
	unsigned cut_watch; /* of a watch that is used */
	int64_t latency_ms; /* up to this, each way */
};

struct world {
	uint64_t seed;
	struct rng rng;
	int64_t now_ms; /* monotonic; the wall clock is WORLD_EPOCH_MS ahead of it */
	struct clock *clock;
	enum controller_backend backend;
	bool is_backend_found; /* by discovery, without --backend */
	bool has_public_url;   /* a flag names the public address */
	bool has_route;        /* a Route or Ingress has it */
	struct faults faults;
	struct api *api;
	struct ledger *ledger;
	struct replica *replicas[WORLD_REPLICAS];
	size_t n_replicas;
	size_t n_pushes;
	bool is_healing;  /* faults have ended; everything has to finish */
	bool is_crashing; /* but for crashes, until all has ended */
	bool is_verbose;
	size_t steps;
	char failure[1024]; /* "" while every rule has held */
};

struct world_options {
	uint64_t seed;
	enum controller_backend backend;
	size_t n_replicas;
	size_t n_actions;
	bool is_crashing;
	const char *folder; /* for the journals */
	int log_fd;         /* what the program logs; read when all is over */
	bool is_verbose;
};

/* True when every rule held; else MESSAGE says which did not. */
bool world_run(const struct world_options *options, size_t *steps, char *message, size_t size);

/* A rule was broken: the first is kept, and the run ends. */
void world_fail(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void world_trace(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int64_t world_wall_ms(const struct world *w);
/* Below BOUND, which is above 0. */
uint64_t world_below(struct world *w, uint64_t bound);
bool world_chance(struct world *w, unsigned percent);
void world_random(struct world *w, void *out, size_t n);
/* Until nothing is due before UNTIL_MS, or a rule is broken. */
void world_go(struct world *w, int64_t until_ms);

/* actions.c: one thing that users, Git hosts, networks or crashes do. */
void action_random(struct world *w);
void action_populate(struct world *w);
void action_restart(struct world *w, struct replica *r);
/* Ends all faults, and restarts every replica. */
void action_heal(struct world *w);
/* Pushes to each BuildConfig once more; each push must be handled normally. */
void action_push_last(struct world *w);
/* A push to each BuildConfig, all at one replica, where nothing can be built. */
void action_push_refused(struct world *w);
/* Repeats deliveries that were refused because their secret had been replaced. */
void action_repeat_refused(struct world *w);
