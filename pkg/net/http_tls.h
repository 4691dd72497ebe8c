/*
 * The server's side of TLS: 1.2 and 1.3, AEAD ciphers with forward secrecy only, one certificate
 * that is loaded again when its files change. Nothing is kept between connections: no session
 * cache, no tickets, no early data.
 */
#pragma once

#include "base/clock.h"
#include "base/err.h"

struct ssl_st;
struct http_tls;

int http_tls_new(struct http_tls **out, struct clock *clock, const char *cert_file,
		 const char *key_file, struct err *err);
void http_tls_free(struct http_tls *tls);
/* For a connection on FD, which stays the caller's; NULL when OpenSSL cannot. */
struct ssl_st *http_tls_accept(struct http_tls *tls, int fd);
/* A handshake failed: a line in the log, at most one a second. */
void http_tls_note_failure(struct http_tls *tls, struct str peer);
int64_t http_tls_not_after_ms(const struct http_tls *tls);
