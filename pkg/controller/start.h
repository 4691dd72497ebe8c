/* Starts a build: carries out what start_plan.h says, and reports how it ended. */
#pragma once

#include "base/log.h"
#include "controller/start_plan.h"
#include "controller/work.h"

/* What the starts of one BuildConfig wait for. Zeroed: nothing. */
struct start_trouble {
	int64_t until_ms; /* monotonic: no start before; 0: at once */
	bool is_refused; /* the cluster refuses the BuildConfig's builds: its hooks are not Ready */
	char why[200];   /* the cause first, for the BuildConfig's owner; "" for none */
	char outside[160]; /* the same for the Git host, without details of the cluster */
};

struct start {
	struct work work;              /* first */
	struct journal_change *change; /* the row */
	struct start_seen seen;
	struct start_step step;   /* the request under way */
	struct kube_call *beside; /* START_READ_BOTH: the list under way, or NULL */
	cJSON *bc;                /* the BuildConfig as the API server has it */
	unsigned n_open;          /* commits and requests that the end waits for */
	int64_t again_ms;
	enum reconcile_result result;
};

/* The reason why OBJECT's start waits, to be filled in; zeroed if it is new. */
struct start_trouble *start_get_trouble(struct object *object);

/* SEQ: the oldest row of the BuildConfig that has not ended. */
void start_act(struct object *object, int64_t seq);
void start_supersede(struct object *object, int64_t seq);

/* start_end.c: reports the end of a start, or why it has to wait. */

/* RESPONSE: the answer that holds the Build; its document may be missing. */
void start_succeed(struct start *s, const struct kube_response *response);
void start_fail(struct start *s, enum journal_state state, enum outcome outcome,
		const char *message);
/* Tries again after the back-off. WHAT: "create Build cart-7". IS_LIMITED: --give-up ends it. */
void start_retry(struct start *s, const struct kube_response *response, const char *what,
		 bool is_limited);
/* Begins again with the first step after WAIT_MS. */
void start_again(struct start *s, int64_t wait_ms);
/* Waits until the missing Build of a number appears or can no longer come. */
void start_await(struct start *s, const struct start_step *step);
/* One commit or request has ended; with the last one the start is over. */
void start_close(struct start *s);
void start_log(const struct start *s, enum log_level level, const char *message, const char *error);
