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
	bool has_failed;    /* TLS: said by the next read, where this one still had bytes */
};

/* 1, HTTP_STREAM_AGAIN or HTTP_STREAM_FAILED. */
int http_stream_handshake(struct http_stream *stream);
/* Up to N bytes; HTTP_STREAM_END when the peer says no more. */
ssize_t http_stream_read(struct http_stream *stream, char *p, size_t n);
/* How many of the N > 0 bytes were taken. */
ssize_t http_stream_write(struct http_stream *stream, const char *p, size_t n);
/* How many written bytes the kernel has not sent, because the peer does not take them. */
size_t http_stream_unsent(const struct http_stream *stream);
/* Something was received, be it the end, or went wrong, that the socket will not report again. */
bool http_stream_has_pending(const struct http_stream *stream);
/* Without consuming anything: true when the socket has something to read or is at its end, false
 * when there is nothing. */
bool http_stream_is_readable(struct http_stream *stream);
/* The connection broke (it was not merely closed on the other side). */
bool http_stream_is_broken(const struct http_stream *stream);
/* No more will be written. The memory of TLS is freed; what is read from here on are raw bytes. */
void http_stream_finish(struct http_stream *stream);
void http_stream_release(struct http_stream *stream);
