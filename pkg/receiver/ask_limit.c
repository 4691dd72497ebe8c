#include "receiver/ask_limit.h"

#include "base/mem.h"

#include <stdio.h>

static void begin_second(struct ask_limit *limit, int64_t second)
{
	if (second == limit->second)
		return;
	limit->n_shares_before = second == limit->second + 1 ? limit->n_shares : 0;
	limit->second = second;
	limit->taken = 0;
	limit->n_shares = 0;
}

/* NULL when more namespaces ask than there are requests to share. */
static struct ask_share *get_share(struct ask_limit *limit, struct str namespace_)
{
	struct ask_share *share = NULL;

	for (size_t i = 0; i < limit->n_shares; i++)
		if (str_eq(namespace_, str_of(limit->shares[i].namespace_)))
			return &limit->shares[i];
	if (limit->n_shares == ARRAY_LEN(limit->shares))
		return NULL;
	share = &limit->shares[limit->n_shares++];
	share->taken = 0;
	(void)snprintf(share->namespace_, sizeof(share->namespace_), "%.*s", STR_ARG(namespace_));
	return share;
}

/* The shares are cut for one namespace more than there are, so that another one finds room. */
bool ask_limit_take(struct ask_limit *limit, struct str namespace_, int64_t now_ms)
{
	struct ask_share *share = NULL;
	size_t n = 0;

	begin_second(limit, now_ms / 1000);
	share = get_share(limit, namespace_);
	if (!share || limit->taken == ASK_LIMIT_PER_S)
		return false;
	n = limit->n_shares > limit->n_shares_before ? limit->n_shares : limit->n_shares_before;
	if (share->taken > 0 && share->taken >= ASK_LIMIT_PER_S / (n + 1))
		return false;
	share->taken++;
	limit->taken++;
	return true;
}
