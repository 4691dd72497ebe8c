/* What a person pastes at the Git host. Shared by url, add-trigger and rotate. */
#pragma once

#include "target.h"

/* The fields of the Git host's page for a webhook, with their values; the secret only where SECRET
 * is not NULL. IS_NEW: the host does not have the webhook yet. On stdout. */
void url_print_guide(const struct target *target, enum hook_type type, const struct buf *secret,
		     bool is_new);
/* What is wrong with the hook's URL or state, on stderr, where something is. */
void url_print_warnings(const struct target *target, enum hook_type type);
