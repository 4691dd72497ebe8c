/*
 * Addresses of Git repositories, as people and Git hosts write them: https, ssh, git and the
 * scp-like form. Two of them are the same repository where host and path are, whatever the
 * protocol, user, ".git" or slash at the end. Pure.
 */
#pragma once

#include "base/buf.h"

bool repository_is_same(struct str a, struct str b);
/* "github.com/acme/shop" for people: clean, and without the user name and password that an address
 * may hold. */
void repository_format(struct buf *out, struct str address, size_t max_bytes);
