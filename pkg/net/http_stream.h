/*
 * The bytes of a connection, with TLS or without: non-blocking, no buffer of its own. Owns the
 * socket.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct ssl_st;

/* Beside a number of bytes. */
enum { HTTP_STREAM_END = 0, HTTP_STREAM_AGAIN = -1, HTTP_STREAM_FAILED = -2 };

struct http_stream {
	int fd;
	struct ssl_st *ssl; /* NULL: plain */
	bool wants_write;   /* TLS cannot go on with reading before it has written */
	bool has_failed;    /* TLS: reported by the next read, since this one still had bytes */
};

/* 1, HTTP_STREAM_AGAIN or HTTP_STREAM_FAILED. */
int http_stream_handshake(struct http_stream *stream);
/* Reads up to N bytes; HTTP_STREAM_END when the peer has closed its side. */
ssize_t http_stream_read(struct http_stream *stream, char *p, size_t n);
/* Writes; returns how many of the N > 0 bytes were taken. */
ssize_t http_stream_write(struct http_stream *stream, const char *p, size_t n);
/* The number of written bytes that the kernel has not sent yet, because the peer does not read. */
size_t http_stream_unsent(const struct http_stream *stream);
/* True if input, the end or an error is pending inside OpenSSL, for which the socket will not
 * become readable again. */
bool http_stream_has_pending(const struct http_stream *stream);
/* Peeks: true if the socket has input or is at its end, false if there is nothing yet. */
bool http_stream_is_readable(struct http_stream *stream);
/* The connection broke (it was not merely closed on the other side). */
bool http_stream_is_broken(const struct http_stream *stream);
/* Ends the writing side. The memory of TLS is freed; from here on raw bytes are read. */
void http_stream_finish(struct http_stream *stream);
void http_stream_release(struct http_stream *stream);
