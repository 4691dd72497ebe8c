/* The webhook Secrets of a BuildConfig: fetched, made, completed, owned and rotated. */
#pragma once

#include "buildconfig/buildconfig.h"
#include "controller/token_bucket.h"
#include "kube/secrets.h"

/* A Secret fetched this recently is not fetched again (kube/secrets.h): do not ask for it. */
#define JUST_FETCHED_MS 1000

struct action;
struct object;

/* Zeroed: nothing is known. Times are monotonic; 0: never. */
struct secret_memory {
	int64_t recheck_ms; /* Secrets fetched before this are looked at again */
	int64_t retry_ms;   /* no attempt before this */
	unsigned failures;  /* failed attempts in a row */
	char *trouble;      /* why a Secret could not be made or read, or NULL */
	char *trouble_name; /* the name of that Secret */
	/* The resourceVersion that could not be written, "" for a Secret that could not be made;
	 * NULL: there was no such failure. */
	char *failed_version;
	/* The cluster lets only those who may delete an object set its owners. Tried again at the
	 * resync. */
	bool is_owning_denied;
	int64_t owning_denied_ms;
	/*
	 * The newest Secret that was made again in place of a deleted one, and when (wall clock).
	 */
	char *remade_name;
	int64_t remade_ms;
	struct token_bucket writes;
};

/* Sets trouble and trouble_name. TEXT NULL: there is no trouble any more. */
void secret_set_trouble(struct secret_memory *memory, const char *name, const char *text);
/* SECRET has an ownerReference to BC, or so many owners that ours is not looked for. */
bool secret_is_owned(const struct kube_secret *secret, const struct buildconfig *bc);
/* Nothing but the time of the last look is remembered. */
bool secret_is_at_rest(const struct secret_memory *memory, int64_t now_ms);
void secret_release(struct secret_memory *memory);
void secret_act(struct object *object, const struct action *action);
