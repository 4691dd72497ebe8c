/*
 * One delivery on its way: the state of an HTTP request to a hook, from its head to its answer. It
 * passes these files from top to bottom; each calls only files below it:
 *
 *   receiver.c  the request's head and body, and the checks before the proof
 *   proof.c     does a secret of the hook prove the body?
 *   admit.c     what the payload says, whether it builds; into the journal
 *   wait.c      the builds, as far as they start in time
 *   lookup.c    the hook's secrets, fetched from the API server
 *   notes.c     what the status annotations say of the delivery
 *   budget.c    the memory that deliveries hold together
 *   delivery.c  the answer and the end
 */
#pragma once

#include "base/mem.h"
#include "hook/hook.h"
#include "receiver/answer.h"
#include "receiver/ask_limit.h"
#include "receiver/receiver.h"
#include "receiver/route.h"

/* This many buffers of proved bodies, of at most this many bytes each and in all, are kept for
 * other bodies. */
#define MAX_SPARE_BUFFERS 16
#define MAX_SPARE_BYTES   (288 * 1024)
#define MAX_SPARES_BYTES  (4 * MAX_SPARE_BYTES)

/* Bodies up to this size are kept, to be proved again with Secrets that were fetched again. */
#define MAX_KEPT_BYTES (1024 * 1024)

/* One timer runs at a time; what it means depends on the phase. */
enum delivery_phase {
	PHASE_SECRETS, /* the Secrets are fetched, a small body is kept. Timer: the Secrets take too
			  long */
	PHASE_BODY,    /* the body is read and proved as it comes. Timer: reading resumes */
	PHASE_DECIDE,  /* the proof failed, the Secrets are fetched again. Timer: as SECRETS */
	PHASE_REFUSE,  /* Timer: the answer is due */
	PHASE_STORE,   /* the journal commits. No timer */
	PHASE_BUILD,   /* committed. Timer: the build has not started in time */
};

/* A Secret that is being fetched. */
struct lookup {
	struct delivery *delivery;
	struct kube_secret_lookup *handle;
};

/* A change that is to start a build. */
struct delivery_start {
	struct delivery *delivery;
	const struct delivery_change *from;
	int64_t seq; /* seq of its row; for a duplicate that of the first delivery's row */
	enum outcome outcome;
	bool is_duplicate;
	struct waiter *wait; /* NULL when there is nothing to wait for any more */
	bool has_progress;   /* PROGRESS is set, BUILD and MESSAGE belong to it */
	enum progress_kind progress;
	char build[256];
	char *json; /* text of the first Build, while others are waited for */
	char message[512];
};

struct delivery {
	struct receiver *receiver;
	struct http_request *request;
	struct delivery *prev, *next;
	enum delivery_phase phase;
	struct timer timer;
	struct route route;             /* parts of the request's path */
	char key[512];                  /* "namespace/name" */
	char id[HOOK_MAX_ID_BYTES + 1]; /* "" before the proof held */
	int64_t began_ms;               /* monotonic */
	int64_t body_end_ms;            /* monotonic; -1 while the body comes */
	int64_t accepted_ms;            /* wall clock, when the proof held */

	/* lookup.c */
	struct lookup lookups[BUILDCONFIG_MAX_SECRETS];
	size_t n_lookups; /* under way */
	void (*on_lookup)(struct delivery *d);
	bool cannot_ask; /* the API server did not say whether a secret is the current one */
	struct str secrets[2 * BUILDCONFIG_MAX_SECRETS]; /* copies, wiped */
	size_t n_secrets;
	uint32_t previous;  /* a bit for each of `secrets` that is a value before a rotation */
	bool used_previous; /* only values before a rotation prove the delivery */
	char uid[64];       /* uid of the BuildConfig whose secrets these are, "" without one */

	/* proof.c */
	bool is_known; /* the hook existed when the head came */
	bool is_path_proven;
	uint32_t path_matched; /* a bit for each of `secrets` that equals the one in the path */
	bool is_kept;
	bool is_paused;
	struct buf kept;               /* the body, while IS_KEPT */
	struct hook_delivery *payload; /* NULL before the Secrets are there */
	const char *provider;          /* set with PAYLOAD; "unknown" before */

	/* budget.c */
	uint64_t read_bytes;
	uint64_t held_bytes; /* this delivery's share of the receiver's */

	/* admit.c, wait.c */
	const struct delivery_event *event; /* part of PAYLOAD */
	char hint[256]; /* a hint for the status, also where the delivery builds; "" without one */
	struct delivery_start *starts;
	size_t n_starts;
	uint64_t ticket; /* ticket of the journal; 0: none */
	bool is_dry_run;
};

struct receiver {
	struct receiver_options opt;
	struct delivery *deliveries;
	size_t n_deliveries;
	uint64_t held_bytes;
	struct ask_limit asks;
	bool is_asking_late; /* the last Secret that was asked for did not come in time */
	bool is_draining;
	bool is_openshift;
	struct metrics_series *seconds;
	struct buf spare[MAX_SPARE_BUFFERS];
	size_t spares_bytes; /* of all of them */
	struct mem_spare spare_delivery;
};

/* ROUTE is one of a hook, and points into the request's path. */
struct delivery *delivery_new(struct receiver *receiver, struct http_request *request,
			      const struct route *route);
/* The client is gone: no answer. */
void delivery_free(struct delivery *d);
/* An empty buffer, with room for N bytes where that is no more than a spare one may have. */
void delivery_take_buffer(struct receiver *r, struct buf *out, size_t n);
void delivery_give_buffer(struct receiver *r, struct buf *buffer);
/* Stops the timer. */
void delivery_enter(struct delivery *d, enum delivery_phase phase);
/* FN(d) after DELAY_MS (at once where negative), unless the delivery enters another phase before.
 */
void delivery_set_timer(struct delivery *d, int64_t delay_ms, timer_fn fn);
/* NULL where there is none of that name. */
const struct buildconfig *delivery_buildconfig(const struct delivery *d);
/* The one record of a delivery whose proof holds. Texts may be NULL. */
void delivery_log(const struct delivery *d, const char *reason, const char *build,
		  const char *detail);

/* The answers; each ends the delivery. */
void delivery_answer(struct delivery *d, int code, enum outcome outcome, const char *message);
void delivery_answer_build(struct delivery *d, const struct answer_build *build);
/* The 401, the same whatever the cause. */
void delivery_refuse(struct delivery *d);
/* 503. */
void delivery_unavailable(struct delivery *d, const char *message);
