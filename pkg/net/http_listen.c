/*
 * Listening sockets: parses ADDR:PORT, binds it (IPv6 with IPv4 where no address is given), and
 * reports the real port.
 */
#include "base/mem.h"
#include "net/http_conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096, SOCKET_BYTES = 128 << 10 };

struct listen_at {
	char host[256]; /* empty: all addresses */
	char port[8];
};

static bool copy_text(char *out, size_t size, struct str s)
{
	if (s.n >= size)
		return false;
	memcpy(out, s.p, s.n);
	out[s.n] = '\0';
	return true;
}

static bool split_address(struct listen_at *out, struct str address)
{
	size_t colon = address.n;
	while (colon > 0 && address.p[colon - 1] != ':')
		colon--;
	if (colon == 0)
		return false;
	struct str host = str_range(address.p, colon - 1);
	struct str port = str_range(address.p + colon, address.n - colon);
	uint64_t number;
	if (!str_parse_u64(port, 65535, &number))
		return false;
	bool is_v6 = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
	if (is_v6)
		host = str_range(host.p + 1, host.n - 2);
	else if (str_find_char(host, ':') < host.n)
		return false;
	(void)snprintf(out->port, sizeof(out->port), "%u", (unsigned)number);
	return copy_text(out->host, sizeof(out->host), host);
}

/* Returns the socket, or a negative errno. */
static int open_socket(const struct addrinfo *at)
{
	int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int yes = 1, no = 0, size = SOCKET_BYTES;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (at->ai_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
	/* Connections inherit them. Left alone they grow to megabytes for a peer that does not
	 * read, or is not read from. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(fd, at->ai_addr, at->ai_addrlen) || listen(fd, BACKLOG)) {
		int error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

static void free_addresses(struct addrinfo **list)
{
	if (*list)
		freeaddrinfo(*list);
}

/* The first address of FAMILY that can be listened on; a negative errno, or -EADDRNOTAVAIL where
 * there is none. */
static int open_first(const struct listen_at *at, int family)
{
	struct addrinfo hints = {.ai_family = family,
				 .ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	CLEANUP(free_addresses) struct addrinfo *list = NULL;
	if (getaddrinfo(at->host[0] ? at->host : NULL, at->port, &hints, &list))
		return -EADDRNOTAVAIL;
	int result = -EADDRNOTAVAIL;
	for (const struct addrinfo *i = list; i && result < 0; i = i->ai_next)
		result = open_socket(i);
	return result;
}

/* All addresses means IPv6 that takes IPv4 too, and IPv4 alone where the kernel has no IPv6. */
static int open_any(const struct listen_at *at)
{
	if (at->host[0])
		return open_first(at, AF_UNSPEC);
	int fd = open_first(at, AF_INET6);
	return fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL ? open_first(at, AF_INET) : fd;
}

static char *format_address(int fd)
{
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof(address);
	char host[INET6_ADDRSTRLEN + 2], port[8];
	if (getsockname(fd, (struct sockaddr *)&address, &size) ||
	    getnameinfo((struct sockaddr *)&address, size, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV))
		return mem_strdup("?");
	CLEANUP(buf_release) struct buf text = BUF_INIT(sizeof(host) + sizeof(port) + 4);
	buf_printf(&text, address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return buf_take(&text);
}

int http_listen(int *out_fd, char **out_text, const char *address, struct err *err)
{
	struct listen_at at = {0};
	if (!split_address(&at, str_of(address)))
		return err_set(err, ERR_INVALID,
			       "listen address \"%.100s\": expected ADDR:PORT, [V6]:PORT or :PORT",
			       address);
	int fd = open_any(&at);
	if (fd < 0)
		return err_set(err, fd == -EACCES ? ERR_DENIED : ERR_UNAVAILABLE,
			       "listen on %.100s: %s", address, strerror(-fd));
	*out_fd = fd;
	*out_text = format_address(fd);
	return 0;
}
