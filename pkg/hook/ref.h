/* Names of refs and object ids, as Git has them. */
#pragma once

#include "base/str.h"

/* Begins with "refs/" and passes git-check-ref-format(1). */
bool hook_ref_is_valid(struct str ref);
bool hook_ref_is_tag(struct str ref);
/* 40 or, in repositories with SHA-256, 64 lower-case hex digits. */
bool hook_id_is_valid(struct str id);
/* The valid id of nothing: that of a ref before it was made, and after it was deleted. */
bool hook_id_is_zero(struct str id);
