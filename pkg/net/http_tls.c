/*
 * TLS of the HTTP server: loads certificate and key, and takes a changed pair only when it works.
 */
#include "net/http_tls.h"

#include "base/log.h"
#include "base/mem.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

enum {
	RELOAD_MS = 10000,
	/* How long one set of keys for session tickets is used: somebody who learns the keys can
	 * read each connection of TLS 1.2 that was resumed with such a ticket. */
	TICKET_KEYS_MS = 60 * 60 * 1000,
	TICKET_KEYS_BYTES = 80,
	LOG_PAUSE_MS = 1000,
};

/* Identifies the version of a file. stat() follows symbolic links: a mounted Secret is changed by
 * replacing one. */
struct stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified;
};

struct http_tls {
	struct clock *clock;
	char *cert_file;
	char *key_file;
	struct stamp stamps[2]; /* of the files when they were last tried */
	SSL_CTX *ctx;
	int64_t not_after_ms;
	int64_t keyed_ms; /* since when CTX has its keys of session tickets */
	struct timer reload;
	int64_t logged_ms; /* of the last line about a failed handshake */
};

/* The first error is the cause; later ones only name the functions that passed it on ("PEM
 * lib"). */
static const char *first_problem(void)
{
	unsigned long code = ERR_peek_error();
	if (ERR_SYSTEM_ERROR(code))
		return strerror(ERR_GET_REASON(code));
	const char *reason = ERR_reason_error_string(code);
	return reason ? reason : "unknown error";
}

/* Without this OpenSSL asks the terminal. */
static int no_passphrase(char *buf, int size, int is_for_writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)is_for_writing;
	(void)arg;
	return 0;
}

/* HTTP/1.1 where the client asks for it; one that only offers others finds out by itself. */
static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
			   const unsigned char *in, unsigned int in_len, void *arg)
{
	(void)ssl;
	(void)arg;
	static const unsigned char http11[] = "\x08http/1.1";
	unsigned char *selected = NULL;
	if (SSL_select_next_proto(&selected, out_len, http11, sizeof(http11) - 1, in, in_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*out = selected;
	return SSL_TLSEXT_ERR_OK;
}

/* SSL_OP_NO_RENEGOTIATION answers each request to renegotiate with a warning, without limit.
 * Here the first request ends the connection, after its warning was sent. */
static void on_info(const SSL *ssl, int where, int value)
{
	bool is_warning = where == SSL_CB_WRITE_ALERT && value >> 8 == SSL3_AL_WARNING;
	if (is_warning && (value & 0xff) == SSL_AD_NO_RENEGOTIATION)
		(void)shutdown(SSL_get_fd(ssl), SHUT_RDWR);
}

static void free_ctx(SSL_CTX **ctx)
{
	SSL_CTX_free(*ctx);
}

static bool set_rules(SSL_CTX *ctx)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_IGNORE_UNEXPECTED_EOF);
	/* An idle connection gives its 16 KiB buffers back. */
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1);
	/* Sessions are resumed by tickets alone, which take no memory here. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	SSL_CTX_set_alpn_select_cb(ctx, select_protocol, NULL);
	SSL_CTX_set_info_callback(ctx, on_info);
	return SSL_CTX_set_num_tickets(ctx, 1) &&
	       SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) &&
	       SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") &&
	       SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
					     "TLS_CHACHA20_POLY1305_SHA256");
}

static int64_t read_not_after(SSL_CTX *ctx)
{
	struct tm tm = {0};
	const X509 *cert = SSL_CTX_get0_certificate(ctx);
	if (!ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm))
		return 0;
	return (int64_t)timegm(&tm) * 1000;
}

static int load(struct http_tls *tls, struct err *err)
{
	ERR_clear_error();
	CLEANUP(free_ctx) SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	if (!ctx || !set_rules(ctx))
		return err_set(err, ERR_INTERNAL, "tls: %s", first_problem());
	if (SSL_CTX_use_certificate_chain_file(ctx, tls->cert_file) != 1)
		return err_set(err, ERR_INVALID, "tls certificate \"%.100s\": %s", tls->cert_file,
			       first_problem());
	/* The first call accepts a key of another kind (RSA, EC) than that of the present
	 * certificate. */
	if (SSL_CTX_use_PrivateKey_file(ctx, tls->key_file, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1)
		return err_set(err, ERR_INVALID, "tls key \"%.100s\": %s", tls->key_file,
			       first_problem());
	/* Open connections keep the context that they began with. */
	SSL_CTX_free(tls->ctx);
	tls->not_after_ms = read_not_after(ctx);
	tls->keyed_ms = clock_mono_ms(tls->clock); /* SSL_CTX_new() made keys */
	tls->ctx = TAKE(ctx);
	return 0;
}

static struct stamp read_stamp(const char *file)
{
	struct stat st = {0};
	if (stat(file, &st))
		return (struct stamp){0};
	return (struct stamp){st.st_dev, st.st_ino, st.st_size, st.st_mtim};
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       a->modified.tv_sec == b->modified.tv_sec &&
	       a->modified.tv_nsec == b->modified.tv_nsec;
}

/* True if a file differs from the one that was tried last. Looked at before loading, so that a
 * change during loading shows the next time. */
static bool take_stamps(struct http_tls *tls)
{
	struct stamp found[2] = {read_stamp(tls->cert_file), read_stamp(tls->key_file)};
	bool is_same =
		same_stamp(&found[0], &tls->stamps[0]) && same_stamp(&found[1], &tls->stamps[1]);
	memcpy(tls->stamps, found, sizeof(found));
	return !is_same;
}

static void renew_ticket_keys(struct http_tls *tls)
{
	unsigned char keys[TICKET_KEYS_BYTES];
	clock_random(tls->clock, keys, sizeof(keys));
	mem_require(SSL_CTX_set_tlsext_ticket_keys(tls->ctx, keys, sizeof(keys)) == 1);
	explicit_bzero(keys, sizeof(keys));
	tls->keyed_ms = clock_mono_ms(tls->clock);
}

static void on_reload(void *arg)
{
	struct http_tls *tls = arg;
	struct err err = {0};
	timer_start(tls->clock, &tls->reload, RELOAD_MS, on_reload, tls);
	if (clock_mono_ms(tls->clock) - tls->keyed_ms >= TICKET_KEYS_MS)
		renew_ticket_keys(tls);
	if (!take_stamps(tls))
		return;
	if (load(tls, &err))
		log_msg(LOG_WARN, "net", "the changed certificate is not used",
			LOG_FIELD("error", err.msg));
	else
		log_msg(LOG_INFO, "net", "certificate reloaded", LOG_FIELD("file", tls->cert_file));
}

int http_tls_new(struct http_tls **out, struct clock *clock, const char *cert_file,
		 const char *key_file, struct err *err)
{
	struct http_tls *tls = mem_new(1, sizeof(*tls));
	tls->clock = clock;
	tls->cert_file = mem_strdup(cert_file);
	tls->key_file = mem_strdup(key_file);
	tls->logged_ms = clock_mono_ms(clock) - LOG_PAUSE_MS;
	(void)take_stamps(tls);
	int result = load(tls, err);
	if (result) {
		http_tls_free(tls);
		return result;
	}
	timer_start(clock, &tls->reload, RELOAD_MS, on_reload, tls);
	*out = tls;
	return 0;
}

void http_tls_free(struct http_tls *tls)
{
	if (!tls)
		return;
	timer_stop(tls->clock, &tls->reload);
	SSL_CTX_free(tls->ctx);
	free(tls->cert_file);
	free(tls->key_file);
	free(tls);
}

SSL *http_tls_accept(struct http_tls *tls, int fd)
{
	ERR_clear_error();
	SSL *ssl = SSL_new(tls->ctx);
	if (!ssl || !SSL_set_fd(ssl, fd)) {
		SSL_free(ssl);
		return NULL;
	}
	return ssl;
}

void http_tls_note_failure(struct http_tls *tls, struct str peer)
{
	int64_t now_ms = clock_mono_ms(tls->clock);
	if (now_ms - tls->logged_ms < LOG_PAUSE_MS)
		return;
	tls->logged_ms = now_ms;
	log_msg(LOG_INFO, "net", "tls handshake failed", LOG_FIELD_STR("peer", peer),
		LOG_FIELD("error", first_problem()));
}

int64_t http_tls_not_after_ms(const struct http_tls *tls)
{
	return tls->not_after_ms;
}
