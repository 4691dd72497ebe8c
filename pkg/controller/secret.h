/* The webhook Secrets of a BuildConfig: fetched, made, completed, owned and rotated. */
#pragma once

#include "base/str.h"

struct action;
struct object;

/* Zeroed: nothing is known. Times are monotonic; 0: never. */
struct secret_memory {
	int64_t recheck_ms; /* Secrets fetched before this are looked at again */
	int64_t retry_ms;   /* no attempt before this */
	unsigned failures;  /* in a row */
	char *trouble;      /* why a Secret could not be made or read, or NULL */
	char *trouble_name; /* and the Secret's name */
	/* The cluster lets only those who may delete an object set its owners. Asked again at the
	 * resync. */
	bool is_owning_denied;
};

/* TEXT NULL: there is none any more. */
void secret_set_trouble(struct secret_memory *memory, const char *name, const char *text);
void secret_act(struct object *object, const struct action *action);
