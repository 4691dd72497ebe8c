/* What a refusal of the API server means, in words for people. Pure. */
#pragma once

#include "kube/client.h"

/*
 * WHY is for the BuildConfig's owner: the cause comes first, because lines that show it are cut at
 * their end. OUTSIDE is for the Git host: it names no ServiceAccount, no address and no other
 * detail of the cluster.
 */
void refusal_explain(char *why, size_t why_size, char *outside, size_t outside_size,
		     const struct kube_response *response);
/* True if the refusal stays until somebody grants a right or provides what is missing. */
bool refusal_is_lasting(const struct kube_response *response);
