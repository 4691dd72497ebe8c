/* An API server on a loopback socket, which answers as its script says. */
#pragma once

#include "base/mem.h"
#include "net/loop.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX_CONNECTIONS 12
#define MAX_REQUESTS    32

/* An HTTP server on the same loop, which answers each request with the next text of its script. */
struct peer {
	struct loop *loop;
	int listener;
	int port;
	struct loop_watch *accepting;
	struct connection {
		struct peer *peer;
		int fd;
		struct loop_watch *watch;
		struct buf in;
	} connections[MAX_CONNECTIONS];
	size_t n_connections;
	char *requests[MAX_REQUESTS];
	size_t n_requests;
	const char *script[MAX_REQUESTS]; /* NULL: the connection is closed instead */
	bool closes[MAX_REQUESTS];        /* after the answer */
};

static inline void close_connection(struct connection *c)
{
	loop_watch_free(c->watch);
	c->watch = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	buf_release(&c->in);
}

static inline void send_text(struct connection *c, const char *text)
{
	assert_int_equal(send(c->fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* The whole length of the request at the start of IN, or 0 while bytes are missing. */
static inline size_t request_length(const struct buf *in)
{
	const char *end = in->data ? strstr(in->data, "\r\n\r\n") : NULL;
	const char *field = in->data ? strcasestr(in->data, "\r\nContent-Length: ") : NULL;
	size_t n = 0;

	if (!end)
		return 0;
	n = (size_t)(end + 4 - in->data);
	if (field && field < end)
		n += strtoul(field + 18, NULL, 10);
	return in->len >= n ? n : 0;
}

static inline void on_peer_readable(void *arg, int what)
{
	struct connection *c = arg;
	struct peer *peer = c->peer;
	char chunk[4096];
	ssize_t n = recv(c->fd, chunk, sizeof(chunk), 0);
	size_t length = 0;

	(void)what;
	if (n <= 0) {
		close_connection(c);
		return;
	}
	buf_put(&c->in, chunk, (size_t)n);
	while ((length = request_length(&c->in)) > 0) {
		size_t i = peer->n_requests++;

		assert_true(i < MAX_REQUESTS);
		peer->requests[i] = str_dup(str_range(c->in.data, length));
		memmove(c->in.data, c->in.data + length, c->in.len - length + 1);
		c->in.len -= length;
		if (peer->script[i])
			send_text(c, peer->script[i]);
		if (!peer->script[i] || peer->closes[i]) {
			close_connection(c);
			return;
		}
	}
}

static inline void on_peer_accept(void *arg, int what)
{
	struct peer *peer = arg;
	struct connection *c = &peer->connections[peer->n_connections++];

	(void)what;
	assert_true(peer->n_connections <= MAX_CONNECTIONS);
	*c = (struct connection){.peer = peer, .in = BUF_INIT(65536)};
	c->fd = accept(peer->listener, NULL, NULL);
	assert_true(c->fd >= 0);
	c->watch = loop_watch_fd(peer->loop, c->fd, LOOP_READ, on_peer_readable, c);
}

static inline void peer_init(struct peer *peer, struct loop *loop)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(address);

	peer->loop = loop;
	peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(peer->listener, (struct sockaddr *)&address, n), 0);
	assert_int_equal(listen(peer->listener, 8), 0);
	assert_int_equal(getsockname(peer->listener, (struct sockaddr *)&address, &n), 0);
	peer->port = ntohs(address.sin_port);
	peer->accepting = loop_watch_fd(loop, peer->listener, LOOP_READ, on_peer_accept, peer);
}

static inline void peer_release(struct peer *peer)
{
	for (size_t i = 0; i < peer->n_connections; i++)
		close_connection(&peer->connections[i]);
	for (size_t i = 0; i < peer->n_requests; i++)
		mem_free(&peer->requests[i]);
	loop_watch_free(peer->accepting);
	if (peer->listener >= 0)
		close(peer->listener);
}
