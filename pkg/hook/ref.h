/* Names of refs and object ids, as Git has them. */
#pragma once

#include "base/buf.h"

/* Begins with "refs/" and passes git-check-ref-format(1). */
bool hook_ref_is_valid(struct str ref);
/* A valid ref, or the name of a branch: "refs/heads/" may be left out. At most
 * DELIVERY_MAX_REF_BYTES in full. */
bool hook_ref_can_be_full(struct str ref);
/* Appends REF in full. hook_ref_can_be_full() holds for it. */
void hook_ref_put_full(struct buf *out, struct str ref);
bool hook_ref_is_tag(struct str ref);
/* 40 or, in repositories with SHA-256, 64 hex digits. */
bool hook_id_is_valid(struct str id);
/* Git reads ids in any case, and writes them in lower case. */
void hook_id_lower(char *id);
/* The id of zeros: that of a ref before it was made, and after it was deleted. */
bool hook_id_is_zero(struct str id);
