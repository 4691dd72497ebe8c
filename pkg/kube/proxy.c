#include "kube/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define MAX_HOST_BYTES 256

/* IPv4 as IPv4-mapped IPv6, so that both are compared alike. */
struct address {
	unsigned char bytes[16];
	bool is_v4;
};

static bool copy_text(char *out, size_t cap, struct str s)
{
	if (s.n >= cap)
		return false;
	if (s.n > 0)
		memcpy(out, s.p, s.n);
	out[s.n] = '\0';
	return true;
}

static bool parse_address(struct str text, struct address *out)
{
	static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	char copy[MAX_HOST_BYTES];

	if (!copy_text(copy, sizeof(copy), text))
		return false;
	if (inet_pton(AF_INET, copy, out->bytes + sizeof(mapped)) == 1) {
		memcpy(out->bytes, mapped, sizeof(mapped));
		out->is_v4 = true;
		return true;
	}
	out->is_v4 = false;
	return inet_pton(AF_INET6, copy, out->bytes) == 1;
}

static bool is_loopback(const struct address *a)
{
	static const unsigned char v6[16] = {[15] = 1};

	return a->is_v4 ? a->bytes[12] == 127 : memcmp(a->bytes, v6, sizeof(v6)) == 0;
}

static bool is_in_block(struct str entry, size_t slash, const struct address *host)
{
	struct address net;
	uint64_t n_bits = 0;

	if (!host || !parse_address(str_range(entry.p, slash), &net) || net.is_v4 != host->is_v4)
		return false;
	if (!str_parse_u64(str_range(entry.p + slash + 1, entry.n - slash - 1),
			   net.is_v4 ? 32 : 128, &n_bits))
		return false;
	n_bits += net.is_v4 ? 96 : 0;
	for (size_t i = 0; i < n_bits; i++) {
		unsigned char mask = (unsigned char)(0x80 >> i % 8);

		if ((net.bytes[i / 8] & mask) != (host->bytes[i / 8] & mask))
			return false;
	}
	return true;
}

/* "host:port" and "[v6]:port"; an IPv6 address without brackets has no port. */
static void split_port(struct str entry, struct str *host, struct str *port)
{
	size_t colon = str_find_char(entry, ':');

	*host = entry;
	*port = (struct str){0};
	if (entry.p[0] == '[') {
		size_t close = str_find_char(entry, ']');

		if (close == entry.n)
			return;
		*host = str_range(entry.p + 1, close - 1);
		if (close + 1 < entry.n && entry.p[close + 1] == ':')
			*port = str_range(entry.p + close + 2, entry.n - close - 2);
		return;
	}
	if (colon == entry.n || str_find_char(str_range(entry.p + colon + 1, entry.n - colon - 1),
					      ':') < entry.n - colon - 1)
		return;
	*host = str_range(entry.p, colon);
	*port = str_range(entry.p + colon + 1, entry.n - colon - 1);
}

static bool matches_domain(struct str entry, struct str host)
{
	bool with_itself = false;
	struct str tail;

	if (str_starts(entry, STR("*.")))
		entry = str_range(entry.p + 1, entry.n - 1);
	with_itself = entry.p[0] != '.';
	if (with_itself && str_eq_nocase(entry, host))
		return true;
	entry = str_without_prefix(entry, STR("."));
	if (host.n <= entry.n + 1)
		return false;
	tail = str_range(host.p + host.n - entry.n, entry.n);
	return tail.p[-1] == '.' && str_eq_nocase(tail, entry);
}

static bool matches(struct str entry, struct str host, const struct address *address,
		    struct str port)
{
	size_t slash = str_find_char(entry, '/');
	struct str entry_host, entry_port;
	struct address entry_address;

	if (str_eq(entry, STR("*")))
		return true;
	if (slash < entry.n)
		return is_in_block(entry, slash, address);
	split_port(entry, &entry_host, &entry_port);
	if (str_empty(entry_host) || (!str_empty(entry_port) && !str_eq(entry_port, port)))
		return false;
	if (parse_address(entry_host, &entry_address))
		return address &&
		       memcmp(entry_address.bytes, address->bytes, sizeof(address->bytes)) == 0;
	return matches_domain(entry_host, host);
}

bool proxy_is_bypassed(struct str no_proxy, struct str host, struct str port)
{
	struct address address;
	bool is_address = parse_address(host, &address);
	struct str entry;

	if (str_eq_nocase(host, STR("localhost")) || (is_address && is_loopback(&address)))
		return true;
	while (str_next_part(&no_proxy, ',', &entry)) {
		entry = str_trim(entry);
		if (!str_empty(entry) && matches(entry, host, is_address ? &address : NULL, port))
			return true;
	}
	return false;
}
