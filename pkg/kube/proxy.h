/*
 * Which hosts are reached without the proxy of the environment: Go's rules (net/http,
 * golang.org/x/net/http/httpproxy), so that one NO_PROXY means the same to kubectl and to us.
 * libcurl's differ in leading dots, ports and loopback addresses. Pure.
 */
#pragma once

#include "base/str.h"

/*
 * NO_PROXY: comma-separated "*", addresses, CIDR blocks, domains (with their subdomains; of
 * ".domain" and "*.domain" these alone), each with an optional port. localhost and loopback
 * addresses never have a proxy.
 */
bool proxy_is_bypassed(struct str no_proxy, struct str host, struct str port);
