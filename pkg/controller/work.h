/* One action under way for one BuildConfig: its request to the API server, and its end. The other
 * files of this folder build on it. */
#pragma once

#include "base/backoff.h"
#include "buildconfig/buildconfig.h"
#include "kube/client.h"
#include "kube/secrets.h"

struct controller;
struct object;

/* The back-off of requests that the API server refuses. */
extern const struct backoff_range retry_backoff;

enum reconcile_result { RECONCILE_SUCCESS, RECONCILE_ERROR, RECONCILE_REQUEUE };

/* Embedded first in the struct of each kind of action. It ends exactly once, with work_end(). */
struct work {
	struct controller *controller;
	struct object *object;
	struct kube_call *call;
	struct kube_secret_lookup *lookup;
	void (*release)(struct work *work); /* frees it */
	int64_t began_ms;
};

void work_begin(struct work *work, struct object *object, void (*release)(struct work *work));
/* Frees WORK. Its key is worked on again after AGAIN_MS (-1: when something changes). */
void work_end(struct work *work, enum reconcile_result result, int64_t again_ms);
/* The same for a key that needed no action. */
void work_finish(struct object *object, enum reconcile_result result, int64_t again_ms);
/* Starts a request of WORK. FN must clear work->call before anything else. */
void work_call(struct work *work, const struct kube_request *request, kube_response_fn fn);
/* Consistent reads (no resourceVersion): they see everything that was written before. */
void work_get_buildconfig(struct work *work, const char *namespace_, const char *name,
			  kube_response_fn fn);
void work_get_build(struct work *work, const char *namespace_, const char *bc_name, int64_t number,
		    kube_response_fn fn);

/* OBJECT's BuildConfig in the store; NULL if there is none. */
const struct buildconfig *object_buildconfig(const struct object *object);
/* "namespace" and "name" of the key; OUT has KUBE_NAME_BYTES each. */
#define KUBE_NAME_BYTES 256
void object_split(const struct object *object, char *namespace_, char *name);
