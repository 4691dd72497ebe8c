/* Whether NO_PROXY exempts a server from the proxy, by Go's rules, so that it means the same to
 * kubectl and to us. */
#pragma once

#include "base/str.h"

/* LIST: NO_PROXY's value: "*", names (of all below them, too), ".domain", addresses and CIDR
 * blocks, each but the last with ":PORT" if need be. HOST as in a URL: IPv6 in brackets. */
bool no_proxy_exempts(const char *list, const char *host, const char *port);
