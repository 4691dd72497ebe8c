#include "net/http_stream.h"

#include <errno.h>
#include <linux/sockios.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static ssize_t socket_result(ssize_t n)
{
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EINTR ? HTTP_STREAM_AGAIN : HTTP_STREAM_FAILED;
}

/* OpenSSL's error queue belongs to the thread: clear it before each call, or SSL_get_error()
 * reports an earlier call's error. */
static int tls_result(struct http_stream *stream, int result)
{
	switch (SSL_get_error(stream->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		stream->wants_write = false;
		return HTTP_STREAM_AGAIN;
	case SSL_ERROR_WANT_WRITE:
		stream->wants_write = true;
		return HTTP_STREAM_AGAIN;
	default:
		stream->has_failed = true;
		return HTTP_STREAM_FAILED;
	}
}

int http_stream_handshake(struct http_stream *stream)
{
	ERR_clear_error();
	int result = SSL_accept(stream->ssl);
	return result == 1 ? 1 : tls_result(stream, result);
}

/* SSL_read() returns at most one record; records that OpenSSL has already received would not
 * wake the loop again. */
static ssize_t read_tls(struct http_stream *stream, char *p, size_t n)
{
	size_t total = 0;
	stream->wants_write = false;
	do {
		size_t got = 0;
		ERR_clear_error();
		int result = SSL_read_ex(stream->ssl, p + total, n - total, &got);
		total += got;
		if (result != 1) {
			int why = SSL_get_error(stream->ssl, result) == SSL_ERROR_ZERO_RETURN
					  ? HTTP_STREAM_END
					  : tls_result(stream, result);
			return total > 0 ? (ssize_t)total : why;
		}
	} while (total < n && SSL_has_pending(stream->ssl));
	return (ssize_t)total;
}

ssize_t http_stream_read(struct http_stream *stream, char *p, size_t n)
{
	return stream->ssl ? read_tls(stream, p, n) : socket_result(recv(stream->fd, p, n, 0));
}

ssize_t http_stream_write(struct http_stream *stream, const char *p, size_t n)
{
	if (!stream->ssl)
		return socket_result(send(stream->fd, p, n, MSG_NOSIGNAL));
	size_t sent = 0;
	ERR_clear_error();
	int result = SSL_write_ex(stream->ssl, p, n, &sent);
	return result == 1 ? (ssize_t)sent : tls_result(stream, result);
}

size_t http_stream_unsent(const struct http_stream *stream)
{
	int n = 0;
	/* N stays 0 where the socket cannot say. */
	(void)ioctl(stream->fd, SIOCOUTQNSD, &n);
	return (size_t)n;
}

bool http_stream_has_pending(const struct http_stream *stream)
{
	return stream->ssl && (stream->has_failed || SSL_has_pending(stream->ssl) ||
			       SSL_get_shutdown(stream->ssl) & SSL_RECEIVED_SHUTDOWN);
}

bool http_stream_is_readable(struct http_stream *stream)
{
	char c;
	return socket_result(recv(stream->fd, &c, 1, MSG_PEEK)) != HTTP_STREAM_AGAIN;
}

bool http_stream_is_broken(const struct http_stream *stream)
{
	struct pollfd state = {.fd = stream->fd};
	/* Nothing is asked for: what is reported is POLLERR or POLLHUP. */
	return poll(&state, 1, 0) > 0;
}

void http_stream_finish(struct http_stream *stream)
{
	if (stream->ssl) {
		ERR_clear_error();
		(void)SSL_shutdown(stream->ssl);
		SSL_free(stream->ssl);
		stream->ssl = NULL;
		stream->wants_write = false;
	}
	(void)shutdown(stream->fd, SHUT_WR);
}

void http_stream_release(struct http_stream *stream)
{
	SSL_free(stream->ssl);
	stream->ssl = NULL;
	close(stream->fd);
	stream->fd = -1;
}
