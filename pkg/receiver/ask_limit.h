/*
 * How often failed proofs may ask the API server for a Secret again: 20 times a second in all, of
 * which namespaces take shares, so that forged requests to one namespace do not keep a changed
 * secret of another from being noticed. Pure.
 */
#pragma once

#include "base/str.h"

#define ASK_LIMIT_PER_S 20

struct ask_share {
	char namespace_[64];
	unsigned taken;
};

/* Zeroed at first. */
struct ask_limit {
	int64_t second; /* second of the monotonic clock */
	unsigned taken;
	/* Of the namespaces that asked in this second. */
	struct ask_share shares[ASK_LIMIT_PER_S];
	size_t n_shares;
	size_t n_shares_before; /* how many shares the second before had */
};

/* Whether NAMESPACE may ask now. */
bool ask_limit_take(struct ask_limit *limit, struct str namespace_, int64_t now_ms);
