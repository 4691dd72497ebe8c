/* A Secret as its document says it. Pure. */
#pragma once

#include "kube/secrets.h"

/* KNOWN's texts point into one block, which secret_value_release() wipes and frees. */
struct secret_value {
	struct kube_secret known; /* the cache fills in state, freshness and times */
	char *block;
	size_t n_block;
	struct kube_secret_owner *owners;
};

/* OUT is overwritten, not released. */
void secret_value_read(struct secret_value *out, const cJSON *doc);
void secret_value_release(struct secret_value *value);
