/* What a refusal of the API server means, in words for people. Pure. */
#pragma once

#include "kube/client.h"

/*
 * WHY, for the BuildConfig's owner: the cause first, as lines that show it are cut at their end.
 * OUTSIDE, for the Git host: names no ServiceAccount, no address, nothing of the cluster's own.
 */
void refusal_explain(char *why, size_t why_size, char *outside, size_t outside_size,
		     const struct kube_response *response);
/* The refusal stays until somebody grants or provides something. */
bool refusal_is_lasting(const struct kube_response *response);
