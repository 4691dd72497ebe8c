/*
 * One delivery on its way: the receiver's state for an HTTP request to a hook, from its head to its
 * answer. The files of this folder are its stations: receiver.c (head and body), proof.c (secrets,
 * who sent it), admit.c (what to do), wait.c (what became of it).
 */
#pragma once

#include "base/mem.h"
#include "hook/hook.h"
#include "receiver/answer.h"
#include "receiver/receiver.h"
#include "receiver/route.h"

/* More is streamed, and proved once. */
#define MAX_KEPT_BYTES (1024 * 1024)

struct lookup {
	struct exchange *exchange;
	struct kube_secret_lookup *handle;
};

struct change {
	struct exchange *exchange;
	const struct delivery_change *from;
	int64_t seq;
	struct waiter *wait;
	bool is_duplicate;
	bool is_told;
	enum progress_kind told;
	enum outcome reason;
	char build[256];
	char *json; /* of the first Build, while others are waited for */
	char message[512];
};

struct exchange {
	struct receiver *receiver;
	struct http_request *request;
	struct exchange *prev, *next;
	struct route route; /* of a copy of the path */
	char *path;
	char key[512]; /* "namespace/name" */
	char delivery_id[HOOK_MAX_ID_BYTES + 1];
	int64_t accepted_ms; /* wall clock, when the proof held */
	int64_t began_ms;    /* monotonic */
	int64_t body_end_ms;
	/* proof.c */
	bool is_unsigned_ping;
	bool is_known;    /* there is such a hook */
	bool is_complete; /* the whole body has come */
	bool cannot_ask;  /* a secret is needed that could not be asked for */
	bool is_refetched;
	bool is_late; /* the API server took too long to tell a secret */
	struct lookup lookups[BUILDCONFIG_MAX_SECRETS];
	size_t n_lookups; /* under way */
	struct hook_delivery *delivery;
	struct str secrets[2 * BUILDCONFIG_MAX_SECRETS]; /* copies, wiped */
	size_t n_secrets;
	bool is_path_proven;
	struct buf kept; /* the body, to prove it anew */
	bool is_kept;
	uint64_t read_bytes;
	uint64_t held_bytes; /* of all that the receiver may hold */
	/* For lookups, a large body's start, a 401, and the build's start, one after the other. */
	struct timer timer;
	char uid[64]; /* of the BuildConfig whose secrets these are */
	/* admit.c, wait.c */
	const struct delivery_event *event; /* of delivery */
	char hint[256];                     /* worth reporting although it builds, "" without */
	struct change *changes;
	size_t n_changes;
	uint64_t ticket;
	bool is_dry_run;
};

struct receiver {
	struct receiver_options opt;
	struct exchange *exchanges;
	size_t n_exchanges;
	uint64_t held_bytes;
	bool is_draining;
	struct metrics_series *seconds;
};

const struct buildconfig *exchange_buildconfig(const struct exchange *x);
/* The one record of a delivery whose proof holds. Texts may be NULL. */
void exchange_log(const struct exchange *x, const char *reason, const char *build,
		  const char *detail);
/* Ends with an answer; each frees X. */
void exchange_answer(struct exchange *x, int code, enum outcome reason, const char *message);
void exchange_answer_build(struct exchange *x, struct str json, const char *warning);
void exchange_refuse(struct exchange *x);
void exchange_unavailable(struct exchange *x, const char *message);

/* proof.c */
/* Finds the hook and its secrets; the body waits until they are here. */
void proof_begin(struct exchange *x);
void proof_feed(struct exchange *x, struct str bytes);
/* The body is complete: goes on to admit(), or refuses. */
void proof_end(struct exchange *x);
void proof_release(struct exchange *x);

/* admit.c */
/* The proof holds. */
void admit(struct exchange *x);
/* What the status shows of this delivery. WHY as in struct status_line. */
void admit_note(struct exchange *x, const struct delivery_change *change, enum outcome reason,
		const char *build, const char *why);

/* wait.c */
/* The changes that are to start are in the journal, or were asked for in a dry run. */
void wait_for_builds(struct exchange *x, const struct journal_add_result *results, size_t n);
void wait_release(struct exchange *x);
