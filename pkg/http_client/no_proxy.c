/*
 * Go's rules: golang.org/x/net/http/httpproxy, useProxy(). libcurl's own CURLOPT_NOPROXY knows no
 * ports, and is compared with the URL's host, which is the certificate's name where a kubeconfig
 * has tls-server-name.
 */
#include "http_client/no_proxy.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <stdio.h>

#define MAX_HOST_BYTES 256

struct address {
	unsigned char bytes[sizeof(struct in6_addr)];
	int family; /* 0: no address */
	size_t n_bits;
};

/* TEXT: an address, IPv6 also in brackets. */
static struct address parse_address(struct str text)
{
	struct address out = {0};
	char buf[MAX_HOST_BYTES];

	if (text.n > 1 && text.p[0] == '[' && text.p[text.n - 1] == ']')
		text = str_range(text.p + 1, text.n - 2);
	if (text.n >= sizeof(buf))
		return out;
	(void)snprintf(buf, sizeof(buf), "%.*s", STR_ARG(text));
	if (inet_pton(AF_INET, buf, out.bytes) == 1)
		out = (struct address){.family = AF_INET, .n_bits = 32};
	else if (inet_pton(AF_INET6, buf, out.bytes) == 1)
		out = (struct address){.family = AF_INET6, .n_bits = 128};
	if (out.family)
		(void)inet_pton(out.family, buf, out.bytes);
	return out;
}

static bool is_in_block(const struct address *address, const struct address *block, size_t n_bits)
{
	size_t n = n_bits / 8, rest = n_bits % 8;

	if (address->family != block->family || memcmp(address->bytes, block->bytes, n) != 0)
		return false;
	return rest == 0 || (address->bytes[n] ^ block->bytes[n]) >> (8 - rest) == 0;
}

/* ENTRY "name" is for that name and all below it, ".name" and "*.name" for those below it alone. */
static bool is_in_domain(struct str host, struct str entry)
{
	bool is_below = false;

	if (str_starts(entry, STR("*.")))
		entry = str_without_prefix(entry, STR("*"));
	is_below = str_starts(entry, STR("."));
	if (host.n == entry.n && !is_below)
		return str_eq_nocase(host, entry);
	if (is_below)
		entry = str_without_prefix(entry, STR("."));
	return host.n > entry.n && host.p[host.n - entry.n - 1] == '.' &&
	       str_eq_nocase(str_range(host.p + host.n - entry.n, entry.n), entry);
}

/* Takes ":PORT" off ENTRY; false where that is another port than PORT. */
static bool take_port(struct str *entry, struct str port)
{
	size_t colon = str_find_char(*entry, ':');
	bool is_ipv6 = colon < entry->n &&
		       str_find_char(str_range(entry->p + colon + 1, entry->n - colon - 1), ':') <
			       entry->n - colon - 1;
	const char *bracket =
		entry->n && entry->p[0] == '[' ? memchr(entry->p, ']', entry->n) : NULL;

	if (bracket)
		colon = (size_t)(bracket - entry->p) + 1;
	else if (is_ipv6)
		return true;
	if (colon >= entry->n)
		return true;
	if (!str_eq(str_range(entry->p + colon + 1, entry->n - colon - 1), port))
		return false;
	entry->n = colon;
	return true;
}

static bool matches(struct str entry, struct str host, struct str port)
{
	size_t slash = str_find_char(entry, '/');
	struct address address = parse_address(host), other;
	uint64_t n_bits = 0;

	if (slash < entry.n) {
		other = parse_address(str_range(entry.p, slash));
		return other.family &&
		       str_parse_u64(str_range(entry.p + slash + 1, entry.n - slash - 1),
				     other.n_bits, &n_bits) &&
		       is_in_block(&address, &other, n_bits);
	}
	if (!take_port(&entry, port) || str_empty(entry))
		return false;
	other = parse_address(entry);
	return other.family ? is_in_block(&address, &other, other.n_bits)
			    : is_in_domain(host, entry);
}

bool no_proxy_exempts(const char *list, const char *host, const char *port)
{
	struct str rest = str_of(list), entry;

	while (str_next_part(&rest, ',', &entry)) {
		entry = str_trim(entry);
		if (str_eq(entry, STR("*")) || matches(entry, str_of(host), str_of(port)))
			return true;
	}
	return false;
}
