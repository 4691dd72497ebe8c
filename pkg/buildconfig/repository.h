/*
 * Addresses of Git repositories, as people and Git hosts write them: https, ssh, git and the
 * scp-like form. Two addresses are of one repository where host and path are the same in any case
 * of letters. Protocol, user, the protocol's own port, ".git" and a slash at the end do not matter,
 * and a host's documented second address is the same as its first. Pure.
 */
#pragma once

#include "base/buf.h"

bool repository_is_same(struct str a, struct str b);
/* Is ADDRESS the same repository as one of the N others? A NULL among those ends them. */
bool repository_is_among(struct str address, char *const *others, size_t n);
/* Are the last parts of ADDRESS those of PATH, "ACME/shop"? */
bool repository_has_path(struct str address, struct str path);
/* "github.com/acme/shop" for people: clean, and without the user name and password that an address
 * may hold. */
void repository_format(struct buf *out, struct str address, size_t max_bytes);
