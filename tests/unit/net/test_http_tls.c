#include "net/http_conn.h"

#include "http_world.h"

#include "../faults.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

FAULT(SSL *, SSL_new, (SSL_CTX * ctx), (ctx), NULL)
FAULT(int, SSL_set_fd, (SSL * ssl, int fd), (ssl, fd), 0)
FAULT(SSL_CTX *, SSL_CTX_new, (const SSL_METHOD *method), (method), NULL)
FAULT(int, SSL_CTX_set_num_tickets, (SSL_CTX * ctx, size_t n), (ctx, n), 0)
FAULT(long, SSL_CTX_ctrl, (SSL_CTX * ctx, int what, long n, void *arg), (ctx, what, n, arg), 0)
FAULT(int, SSL_CTX_set_cipher_list, (SSL_CTX * ctx, const char *list), (ctx, list), 0)
FAULT(int, SSL_CTX_set_ciphersuites, (SSL_CTX * ctx, const char *list), (ctx, list), 0)
FAULT(int, ASN1_TIME_to_tm, (const ASN1_TIME *time, struct tm *out), (time, out), 0)

/* OpenSSL's, of the server's end of a connection alone: SERVER_FD. */
static int server_fd = -1;
static struct fault fault_write;

ssize_t write(int fd, const void *bytes, size_t n)
{
	static ssize_t (*real)(int, const void *, size_t);

	if (fd == server_fd && fault_hits(&fault_write))
		return -1;
	if (!real)
		fault_find(&real, "write");
	return real(fd, bytes, n);
}

struct tls_world {
	struct world world;
	char directory[32];
	char cert[64], key[64];
	SSL_CTX *ctx; /* the clients' */
};

/* "DIRECTORY/NAME" */
static void path_of(char *out, size_t size, const struct tls_world *tls, const char *name)
{
	assert_true(snprintf(out, size, "%s/%s", tls->directory, name) < (int)size);
}

static void write_pem(const char *path, X509 *cert, EVP_PKEY *key)
{
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	if (cert)
		assert_int_equal(PEM_write_X509(file, cert), 1);
	else
		assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(fclose(file), 0);
}

/* A certificate of its own that ends DAYS from now. */
static void write_pair(const char *cert_path, const char *key_path, int days)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), days), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), -60));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), days * 86400L));
	X509_NAME *name = X509_get_subject_name(cert);
	assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
						    (const unsigned char *)"h", -1, -1, 0),
			 1);
	assert_int_equal(X509_set_issuer_name(cert, name), 1);
	assert_int_equal(X509_set_pubkey(cert, key), 1);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	write_pem(cert_path, cert, NULL);
	write_pem(key_path, NULL, key);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static struct http_options tls_options(struct tls_world *tls)
{
	struct http_options options = world_options(&tls->world);
	options.tls_cert_file = tls->cert;
	options.tls_key_file = tls->key;
	return options;
}

static int set_up(void **state)
{
	struct tls_world *tls = mem_new(1, sizeof(*tls));
	world_init(&tls->world);
	strcpy(tls->directory, "/tmp/buildhook-tls-XXXXXX");
	assert_non_null(mkdtemp(tls->directory));
	path_of(tls->cert, sizeof(tls->cert), tls, "tls.crt");
	path_of(tls->key, sizeof(tls->key), tls, "tls.key");
	write_pair(tls->cert, tls->key, 100);
	struct http_options options = tls_options(tls);
	options.limits.handshake_ms = 200;
	world_start(&tls->world, &options);
	tls->ctx = SSL_CTX_new(TLS_client_method());
	*state = tls;
	return 0;
}

static int tear_down(void **state)
{
	struct tls_world *tls = *state;
	char command[100];
	server_fd = -1;
	fault_write = (struct fault){0};
	world_release(&tls->world);
	SSL_CTX_free(tls->ctx);
	assert_true(snprintf(command, sizeof(command), "rm -r %s", tls->directory) <
		    (int)sizeof(command));
	assert_int_equal(system(command), 0);
	free(tls);
	return 0;
}

static struct client *tls_client(struct tls_world *tls)
{
	struct client *client = client_new(&tls->world);
	client->ssl = SSL_new(tls->ctx);
	assert_int_equal(SSL_set_fd(client->ssl, client->fd), 1);
	SSL_set_connect_state(client->ssl);
	return client;
}

static void a_body_arrives_as_it_was_sent(void **state)
{
	struct tls_world *tls = *state;
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	for (size_t v = 0; v < ARRAY_LEN(versions); v++) {
		assert_int_equal(SSL_CTX_set_max_proto_version(tls->ctx, versions[v]), 1);
		struct client *client = tls_client(tls);
		for (int round = 0; round < 2; round++) {
			client_send(client, STR(POST_HEAD "Content-Length: 300000\r\n\r\n"));
			for (int i = 0; i < 300000; i++)
				buf_put_char(&client->out, (char)(i % 251));
		}
		expect_answers(&tls->world, client, "200 200");
		assert_int_equal(SSL_version(client->ssl), versions[v]);
		assert_int_equal(tls->world.body.len, 600000);
		for (int i = 0; i < 600000; i++)
			assert_int_equal((uint8_t)tls->world.body.data[i], i % 300000 % 251);
		buf_clear(&tls->world.body);
	}
}

static void a_large_answer_arrives_whole_and_is_closed_properly(void **state)
{
	struct tls_world *tls = *state;
	CLEANUP(mem_free) char *big = mem_new(1, 8 << 20);
	tls->world.answer = str_range(big, 8 << 20);
	struct client *client = tls_client(tls);
	client_send(client, STR(POST_HEAD "Connection: close\r\n\r\n"));
	expect_closed(&tls->world, client, 5000);
	assert_true(client->got.len > 8 << 20);
	assert_true(SSL_get_shutdown(client->ssl) & SSL_RECEIVED_SHUTDOWN);
}

static void pipelined_requests_are_answered_one_by_one(void **state)
{
	struct tls_world *tls = *state;
	struct client *client = tls_client(tls);
	for (int i = 0; i < 5; i++)
		client_send(client, STR(POST_HEAD "Content-Length: 3\r\n\r\nabc"));
	client_send(client, STR("nonsense\r\n"));
	expect_answers(&tls->world, client, "200 200 200 200 200 400!");
}

static void a_late_answer_goes_on_with_what_tls_has_read(void **state)
{
	struct tls_world *tls = *state;
	tls->world.answers = LATER;
	struct client *client = tls_client(tls);
	client_send(client, STR(POST_HEAD "\r\n" POST_HEAD "\r\n"));
	run_for(&tls->world, 100);
	assert_int_equal(tls->world.n_heads, 1);
	tls->world.answers = AT_END;
	give_answer(&tls->world, tls->world.held);
	expect_answers(&tls->world, client, "200 200");
}

/* What TLS has decrypted, or received in part, does not wake the loop again. */
static void a_late_answer_goes_on_with_what_is_left_in_tls(void **state)
{
	struct tls_world *tls = *state;
	tls->world.answers = LATER;
	struct client *client = tls_client(tls);
	client_send(client, STR(POST_HEAD "\r\n" POST_HEAD "Content-Length: 60000\r\n\r\n"));
	for (int i = 0; i < 60000; i++)
		buf_put_char(&client->out, 'x');
	for (size_t n = 1; n <= 2; n++) {
		expect_held(&tls->world, n);
		give_answer(&tls->world, tls->world.held);
	}
	expect_answers(&tls->world, client, "200 200");
	assert_int_equal(tls->world.body.len, 60000);
}

/* The records that the client's TLS makes of these bytes, unsent. */
static struct str seal(struct client *client, BIO *out, struct str bytes)
{
	char *records;
	size_t before = (size_t)BIO_get_mem_data(out, &records);
	assert_int_equal(SSL_write(client->ssl, bytes.p, (int)bytes.n), (int)bytes.n);
	size_t n = (size_t)BIO_get_mem_data(out, &records);
	return str_range(records + before, n - before);
}

static struct client *answered_client(struct tls_world *tls, BIO **out)
{
	struct client *client = tls_client(tls);
	client_send(client, STR(POST_HEAD "\r\n"));
	expect_answers(&tls->world, client, "200");
	*out = BIO_new(BIO_s_mem());
	SSL_set0_wbio(client->ssl, *out);
	return client;
}

static void send_raw(struct client *client, struct str bytes)
{
	assert_int_equal(send(client->fd, bytes.p, bytes.n, MSG_NOSIGNAL), (ssize_t)bytes.n);
}

static void a_record_and_a_half_are_the_bytes_of_one(void **state)
{
	struct tls_world *tls = *state;
	BIO *out;
	struct client *client = answered_client(tls, &out);
	CLEANUP(buf_release) struct buf sealed = BUF_INIT(4096);
	buf_put_str(&sealed, seal(client, out, STR(POST_HEAD "\r\nPOST")));
	size_t half = sealed.len + 10;
	buf_put_str(&sealed, seal(client, out, STR(" /hooks/b HTTP/1.1\r\nHost: h\r\n\r\n")));
	send_raw(client, str_range(sealed.data, half));
	expect_answers(&tls->world, client, "200 200");
	send_raw(client, str_range(sealed.data + half, sealed.len - half));
	expect_answers(&tls->world, client, "200 200 200");
}

/* The times of an idle client and of a body are far longer. */
static void garbage_behind_a_record_ends_the_connection_at_once(void **state)
{
	struct tls_world *tls = *state;
	BIO *out;
	struct client *client = answered_client(tls, &out);
	CLEANUP(buf_release) struct buf sealed = BUF_INIT(4096);
	buf_put_str(&sealed, seal(client, out, STR(POST_HEAD "Content-Length: 5\r\n\r\nhe")));
	buf_put_str(&sealed, STR("\x17\x03\x03\x00\x20"
				 "this is no record of this client"));
	send_raw(client, buf_str(&sealed));
	assert_true(run_until(&tls->world, has_none_open, NULL, 2000));
	assert_int_equal(tls->world.n_aborts, 1);
}

/* The times of a head and of an idle client are far longer. */
static void a_goodbye_behind_a_record_is_heard_at_once(void **state)
{
	struct tls_world *tls = *state;
	BIO *out;
	struct client *client = answered_client(tls, &out);
	char *records;
	(void)seal(client, out, STR("POST /hooks/b HTTP/1.1\r\n"));
	size_t before = (size_t)BIO_pending(out);
	assert_int_equal(SSL_shutdown(client->ssl), 0);
	size_t n = (size_t)BIO_get_mem_data(out, &records);
	assert_true(n > before);
	send_raw(client, str_range(records, n));
	expect_answers(&tls->world, client, "200 400!");
}

static void an_answer_to_who_has_gone_ends_the_connection(void **state)
{
	struct tls_world *tls = *state;
	tls->world.answers = LATER;
	struct client *client = tls_client(tls);
	client_send(client, STR(POST_HEAD "\r\n"));
	run_for(&tls->world, 100);
	struct http_request *held = tls->world.held;
	assert_non_null(held);
	server_fd = tls->world.server->conns->stream.fd;
	fault_arm(&fault_write, 1, EPIPE);
	give_answer(&tls->world, held);
	assert_true(has_none_open(&tls->world, NULL));
	assert_int_equal(tls->world.n_aborts, 0);
}

/* The server's first write of all is its part of the handshake, the next is the answer. */
static void a_full_socket_delays_the_handshake_and_the_answer(void **state)
{
	struct tls_world *tls = *state;
	for (int is_answer = 0; is_answer < 2; is_answer++) {
		struct client *client = client_new(&tls->world);
		run_for(&tls->world, 20);
		server_fd = tls->world.server->conns->stream.fd;
		fault_arm(&fault_write, is_answer ? 2 : 1, EAGAIN);
		client->ssl = SSL_new(tls->ctx);
		assert_int_equal(SSL_set_fd(client->ssl, client->fd), 1);
		SSL_set_connect_state(client->ssl);
		client_send(client, STR(POST_HEAD "\r\n"));
		expect_answers(&tls->world, client, "200");
		assert_false(fault_is_armed(&fault_write));
	}
}

/* The server must write before it can read on: TLS 1.3, 4.6.3. */
static void a_full_socket_delays_a_new_key(void **state)
{
	struct tls_world *tls = *state;
	struct client *client = tls_client(tls);
	client_send(client, STR(POST_HEAD "\r\n"));
	expect_answers(&tls->world, client, "200");
	server_fd = tls->world.server->conns->stream.fd;
	fault_arm(&fault_write, 1, EAGAIN);
	assert_int_equal(SSL_key_update(client->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
	client_send(client, STR(POST_HEAD "\r\n"));
	expect_answers(&tls->world, client, "200 200");
	assert_false(fault_is_armed(&fault_write));
}

static void a_goodbye_in_place_of_a_hello_ends_the_connection(void **state)
{
	struct tls_world *tls = *state;
	struct client *client = client_new(&tls->world);
	client_send(client, str_range("\x15\x03\x01\x00\x02\x01\x00", 7));
	expect_closed(&tls->world, client, 1000);
	assert_int_equal(http_server_connections(tls->world.server), 0);
}

static void a_connection_that_gets_no_tls_is_closed_and_the_next_is_served(void **state)
{
	struct tls_world *tls = *state;
	static struct fault *const faults[] = {&fault_SSL_new, &fault_SSL_set_fd};
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		struct client *client = client_new(&tls->world);
		fault_arm(faults[i], 1, 0);
		expect_closed(&tls->world, client, 1000);
		assert_int_equal(http_server_connections(tls->world.server), 0);
		struct client *next = tls_client(tls);
		client_send(next, STR(POST_HEAD "\r\n"));
		expect_answers(&tls->world, next, "200");
		client_free(&tls->world, next);
		assert_true(run_until(&tls->world, has_none_open, NULL, 3000));
	}
}

static void without_its_rules_tls_is_not_served(void **state)
{
	struct tls_world *tls = *state;
	static const struct {
		struct fault *fault;
		unsigned at; /* behind mode, read-ahead and cache; and SSL_CTX_new's own */
	} cases[] = {
		{&fault_SSL_CTX_new, 1},
		{&fault_SSL_CTX_set_num_tickets, 1},
		{&fault_SSL_CTX_ctrl, 4},
		{&fault_SSL_CTX_set_cipher_list, 1},
		{&fault_SSL_CTX_set_ciphersuites, 2},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		struct http_server *server = NULL;
		struct http_options options = tls_options(tls);
		fault_arm(cases[i].fault, cases[i].at, 0);
		assert_int_equal(
			http_server_new(&server, tls->world.loop, "127.0.0.1:0", &options, &err),
			ERR_INTERNAL);
		assert_string_equal(err.msg, "tls: unknown error");
		assert_false(fault_is_armed(cases[i].fault));
	}
}

static void old_versions_and_weak_ciphers_are_refused(void **state)
{
	struct tls_world *tls = *state;
	static const struct {
		int version;
		const char *ciphers;
		bool is_good;
	} cases[] = {
		{TLS1_VERSION, "ALL:@SECLEVEL=0", false},
		{TLS1_1_VERSION, "ALL:@SECLEVEL=0", false},
		{TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA", false},
		{TLS1_2_VERSION, "ECDHE-ECDSA-AES256-SHA384", false},
		{TLS1_2_VERSION, "AES128-GCM-SHA256:AES256-SHA", false},
		{TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", true},
		{TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305", true},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct client *client = tls_client(tls);
		assert_int_equal(SSL_set_min_proto_version(client->ssl, cases[i].version), 1);
		assert_int_equal(SSL_set_max_proto_version(client->ssl, cases[i].version), 1);
		assert_int_equal(SSL_set_cipher_list(client->ssl, cases[i].ciphers), 1);
		client_send(client, STR(POST_HEAD "\r\n"));
		if (cases[i].is_good)
			expect_answers(&tls->world, client, "200");
		else
			expect_closed(&tls->world, client, 1000);
		assert_true(cases[i].is_good || client->got.len == 0);
	}
}

static void http11_is_chosen_where_it_is_offered(void **state)
{
	struct tls_world *tls = *state;
	struct client *client = tls_client(tls);
	static const unsigned char offer[] = "\x02h2\x08http/1.1";
	assert_int_equal(SSL_set_alpn_protos(client->ssl, offer, sizeof(offer) - 1), 0);
	client_send(client, STR(POST_HEAD "\r\n"));
	expect_answers(&tls->world, client, "200");
	const unsigned char *chosen;
	unsigned int n;
	SSL_get0_alpn_selected(client->ssl, &chosen, &n);
	assert_true(str_eq(str_range((const char *)chosen, n), STR("http/1.1")));
}

static void a_client_that_offers_others_alone_finds_out_by_itself(void **state)
{
	struct tls_world *tls = *state;
	struct client *client = tls_client(tls);
	assert_int_equal(SSL_set_alpn_protos(client->ssl, (const unsigned char *)"\x02h2", 3), 0);
	client_send(client, STR(POST_HEAD "\r\n"));
	expect_answers(&tls->world, client, "200");
	const unsigned char *chosen;
	unsigned int n;
	SSL_get0_alpn_selected(client->ssl, &chosen, &n);
	assert_int_equal(n, 0);
}

static void plain_http_is_closed(void **state)
{
	struct tls_world *tls = *state;
	struct client *client = client_new(&tls->world);
	client_send(client, STR(POST_HEAD "\r\n"));
	expect_closed(&tls->world, client, 1000);
	assert_int_equal(tls->world.n_heads, 0);
}

static void an_unfinished_handshake_is_cut_off(void **state)
{
	struct tls_world *tls = *state;
	struct client *silent = client_new(&tls->world);
	struct client *begun = client_new(&tls->world);
	client_send(begun, str_range("\x16\x03\x01\x02\x00\x01\x00", 7));
	expect_closed(&tls->world, silent, 1000);
	expect_closed(&tls->world, begun, 1000);
}

/* The hello in records of one byte each, as a middlebox or an attacker may cut it. */
static void a_hello_in_tiny_records_is_taken(void **state)
{
	struct tls_world *tls = *state;
	SSL *ssl = SSL_new(tls->ctx);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	SSL_set_bio(ssl, in, out);
	SSL_set_connect_state(ssl);
	assert_int_equal(SSL_do_handshake(ssl), -1);
	char *bytes;
	long n = BIO_get_mem_data(out, &bytes);
	struct client *client = client_new(&tls->world);
	for (long i = 5; i < n; i++) {
		const char record[] = {bytes[0], bytes[1], bytes[2], 0, 1, bytes[i]};
		client_send(client, str_range(record, sizeof(record)));
	}
	run_for(&tls->world, 100);
	assert_true(client->got.len > 5);
	assert_int_equal(client->got.data[0], 0x16);
	SSL_free(ssl);
}

static void renegotiation_ends_the_connection(void **state)
{
	struct tls_world *tls = *state;
	assert_int_equal(SSL_CTX_set_max_proto_version(tls->ctx, TLS1_2_VERSION), 1);
	struct client *client = tls_client(tls);
	client_send(client, STR(POST_HEAD "\r\n"));
	expect_answers(&tls->world, client, "200");
	assert_int_equal(SSL_renegotiate(client->ssl), 1);
	(void)SSL_do_handshake(client->ssl);
	expect_closed(&tls->world, client, 1000);
	assert_int_equal(http_server_connections(tls->world.server), 0);
}

static void a_connection_over_the_limit_is_told_503(void **state)
{
	struct tls_world *tls = *state;
	tls->world.server->limits.max_connections = 1;
	struct client *first = tls_client(tls);
	client_send(first, STR(POST_HEAD "\r\n"));
	expect_answers(&tls->world, first, "200");
	struct client *second = tls_client(tls);
	client_send(second, STR(POST_HEAD "\r\n"));
	expect_answers(&tls->world, second, "503!");
	expect_closed(&tls->world, second, 2000);
	assert_int_equal(tls->world.n_heads, 1);
	assert_int_equal(tls->world.server->n_conns, 1);
}

static void a_connection_over_the_limit_that_gets_no_tls_is_closed(void **state)
{
	struct tls_world *tls = *state;
	tls->world.server->limits.max_connections = 1;
	struct client *first = tls_client(tls);
	client_send(first, STR(POST_HEAD "\r\n"));
	expect_answers(&tls->world, first, "200");
	struct client *second = client_new(&tls->world);
	fault_arm(&fault_SSL_new, 1, 0);
	expect_closed(&tls->world, second, 1000);
	assert_int_equal(tls->world.server->n_refused, 0);
	client_send(first, STR(POST_HEAD "\r\n"));
	expect_answers(&tls->world, first, "200 200");
}

/* Handshakes that do not end leave room for one that does. */
static void the_oldest_of_too_many_handshakes_is_closed(void **state)
{
	struct tls_world *tls = *state;
	struct client *silent[8];
	struct client *spoken = tls_client(tls);
	client_send(spoken, STR(POST_HEAD "\r\n"));
	expect_answers(&tls->world, spoken, "200");
	tls->world.server->limits.max_connections = 10;
	for (size_t i = 0; i < ARRAY_LEN(silent); i++) {
		silent[i] = client_new(&tls->world);
		run_for(&tls->world, 5);
	}
	assert_int_equal(tls->world.server->n_handshakes, 6);
	for (size_t i = 0; i < 2; i++)
		assert_true(silent[i]->is_closed);
	assert_false(spoken->is_closed);
	struct client *client = tls_client(tls);
	client_send(client, STR(POST_HEAD "\r\n"));
	expect_answers(&tls->world, client, "200");
	assert_int_equal(tls->world.server->n_handshakes, 5);
}

/* To tell a client over TLS that there are too many takes a handshake; so many are granted one. */
static void a_flood_over_the_limit_is_closed_without_a_handshake(void **state)
{
	struct tls_world *tls = *state;
	struct client *flood[40];
	size_t n_closed = 0;
	struct client *spoken = tls_client(tls);
	client_send(spoken, STR(POST_HEAD "\r\n"));
	expect_answers(&tls->world, spoken, "200");
	tls->world.server->limits.max_connections = 1;
	for (size_t i = 0; i < ARRAY_LEN(flood); i++)
		flood[i] = client_new(&tls->world);
	run_for(&tls->world, 50);
	for (size_t i = 0; i < ARRAY_LEN(flood); i++)
		n_closed += flood[i]->is_closed;
	assert_int_equal(n_closed, ARRAY_LEN(flood) - tls->world.server->n_refused);
	assert_true(n_closed > 0 && tls->world.server->n_refused > 0);
	client_send(spoken, STR(POST_HEAD "\r\n"));
	expect_answers(&tls->world, spoken, "200 200");
}

static int64_t days_left(const struct tls_world *tls)
{
	int64_t ms =
		http_server_certificate_not_after_ms(tls->world.server) - clock_real_wall_ms(NULL);
	return (ms + 43200000) / 86400000;
}

static void wait_for_reload(struct tls_world *tls)
{
	skipped_ms += 10001;
	run_for(&tls->world, 20);
}

static void expect_serial(struct tls_world *tls, long serial)
{
	struct client *client = tls_client(tls);
	client_send(client, STR(POST_HEAD "\r\n"));
	expect_answers(&tls->world, client, "200");
	X509 *cert = SSL_get1_peer_certificate(client->ssl);
	assert_int_equal(ASN1_INTEGER_get(X509_get0_serialNumber(cert)), serial);
	X509_free(cert);
}

/* Connects with the session of TLS, takes the one that it is given, and returns whether it was
 * resumed. */
static bool resumes(struct tls_world *tls, SSL_SESSION **session)
{
	struct client *client = tls_client(tls);
	if (*session)
		assert_int_equal(SSL_set_session(client->ssl, *session), 1);
	client_send(client, STR(POST_HEAD "\r\n"));
	expect_answers(&tls->world, client, "200");
	SSL_SESSION_free(*session);
	*session = SSL_get1_session(client->ssl);
	return SSL_session_reused(client->ssl);
}

static void a_session_is_resumed_for_an_hour(void **state)
{
	struct tls_world *tls = *state;
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	for (size_t v = 0; v < ARRAY_LEN(versions); v++) {
		SSL_SESSION *session = NULL;
		assert_int_equal(SSL_CTX_set_max_proto_version(tls->ctx, versions[v]), 1);
		assert_false(resumes(tls, &session));
		assert_true(resumes(tls, &session));
		wait_for_reload(tls);
		assert_true(resumes(tls, &session));
		skipped_ms += 3600000;
		wait_for_reload(tls);
		assert_false(resumes(tls, &session));
		assert_true(resumes(tls, &session));
		write_pair(tls->cert, tls->key, 200 + (int)v);
		wait_for_reload(tls);
		assert_false(resumes(tls, &session));
		SSL_SESSION_free(session);
	}
}

/* Rewritten in place, of the same size, with the times of the old one but for the one that is
 * ADDED: the serial is another. */
static void rewrite(const char *cert, EVP_PKEY *key, long serial, struct timespec added)
{
	struct stat st;
	assert_int_equal(stat(cert, &st), 0);
	FILE *file = fopen(cert, "r+e");
	X509 *old = PEM_read_X509(file, NULL, NULL, NULL);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(old), serial), 1);
	assert_true(X509_sign(old, key, EVP_sha256()) > 0);
	rewind(file);
	assert_int_equal(PEM_write_X509(file, old), 1);
	assert_true(ftell(file) < 2000);
	while (ftell(file) < 2000)
		assert_int_equal(fputc('\n', file), '\n');
	assert_int_equal(fclose(file), 0);
	X509_free(old);
	const struct timespec times[2] = {
		{.tv_nsec = UTIME_OMIT},
		{st.st_mtim.tv_sec + added.tv_sec,
		 (st.st_mtim.tv_nsec + added.tv_nsec) % 1000000000},
	};
	assert_int_equal(utimensat(AT_FDCWD, cert, times, 0), 0);
}

static void a_certificate_rewritten_in_place_is_noticed(void **state)
{
	struct tls_world *tls = *state;
	FILE *file = fopen(tls->key, "re");
	EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	assert_int_equal(fclose(file), 0);
	rewrite(tls->cert, key, 201, (struct timespec){.tv_sec = 1});
	wait_for_reload(tls);
	expect_serial(tls, 201);
	rewrite(tls->cert, key, 202, (struct timespec){.tv_sec = 1});
	wait_for_reload(tls);
	expect_serial(tls, 202);
	rewrite(tls->cert, key, 203, (struct timespec){.tv_nsec = 1});
	wait_for_reload(tls);
	expect_serial(tls, 203);
	wait_for_reload(tls);
	expect_serial(tls, 203);
	EVP_PKEY_free(key);
}

static void a_key_that_comes_after_its_certificate_is_used_with_it(void **state)
{
	struct tls_world *tls = *state;
	char other_key[64];
	path_of(other_key, sizeof(other_key), tls, "other.key");
	write_pair(tls->cert, other_key, 200);
	wait_for_reload(tls);
	expect_serial(tls, 100);
	assert_int_equal(rename(other_key, tls->key), 0);
	wait_for_reload(tls);
	expect_serial(tls, 200);
}

static void an_end_that_cannot_be_read_is_none(void **state)
{
	struct tls_world *tls = *state;
	fault_arm(&fault_ASN1_TIME_to_tm, 1, 0);
	write_pair(tls->cert, tls->key, 200);
	wait_for_reload(tls);
	expect_serial(tls, 200);
	assert_int_equal(http_server_certificate_not_after_ms(tls->world.server), 0);
}

static void a_changed_pair_is_used_and_a_bad_one_is_not(void **state)
{
	struct tls_world *tls = *state;
	expect_serial(tls, 100);
	assert_int_equal(days_left(tls), 100);
	write_pair(tls->cert, tls->key, 200);
	wait_for_reload(tls);
	expect_serial(tls, 200);
	assert_int_equal(days_left(tls), 200);

	char other_key[64];
	path_of(other_key, sizeof(other_key), tls, "other.key");
	write_pair(tls->cert, other_key, 300);
	wait_for_reload(tls);
	expect_serial(tls, 200);
	assert_int_equal(truncate(tls->cert, 0), 0);
	wait_for_reload(tls);
	expect_serial(tls, 200);
	assert_int_equal(unlink(tls->key), 0);
	wait_for_reload(tls);
	expect_serial(tls, 200);
	write_pair(tls->cert, tls->key, 400);
	wait_for_reload(tls);
	expect_serial(tls, 400);
}

/* As the kubelet does it: the files are links through a directory that is a link, which is moved.
 */
static void a_moved_link_is_noticed(void **state)
{
	struct tls_world *tls = *state;
	char one[64], two[64];
	path_of(one, sizeof(one), tls, "1.crt");
	path_of(two, sizeof(two), tls, "1.key");
	write_pair(one, two, 200);
	assert_int_equal(unlink(tls->cert), 0);
	assert_int_equal(unlink(tls->key), 0);
	assert_int_equal(symlink(one, tls->cert), 0);
	assert_int_equal(symlink(two, tls->key), 0);
	wait_for_reload(tls);
	expect_serial(tls, 200);
}

/* Without a question at the terminal. */
static void a_key_with_a_passphrase_is_an_error(void **state)
{
	struct tls_world *tls = *state;
	struct err err = {0};
	struct http_server *server = NULL;
	struct http_options options = tls_options(tls);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	FILE *file = fopen(tls->key, "we");
	assert_int_equal(PEM_write_PrivateKey(file, key, EVP_aes_256_cbc(),
					      (const unsigned char *)"pass", 4, NULL, NULL),
			 1);
	assert_int_equal(fclose(file), 0);
	EVP_PKEY_free(key);
	assert_int_equal(http_server_new(&server, tls->world.loop, "127.0.0.1:0", &options, &err),
			 ERR_INVALID);
	assert_true(str_starts(str_of(err.msg), STR("tls key \"")));
}

static void write_rsa_key(const char *path)
{
	EVP_PKEY *key = EVP_RSA_gen(2048);
	FILE *file = fopen(path, "we");
	assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(fclose(file), 0);
	EVP_PKEY_free(key);
}

static void a_missing_file_or_another_key_is_an_error(void **state)
{
	struct tls_world *tls = *state;
	char other_key[64], other_cert[64], rsa_key[64];
	struct http_server *server = NULL;
	struct http_options options = tls_options(tls);
	path_of(other_key, sizeof(other_key), tls, "other.key");
	path_of(other_cert, sizeof(other_cert), tls, "other.crt");
	path_of(rsa_key, sizeof(rsa_key), tls, "rsa.key");
	write_pair(other_cert, other_key, 300);
	write_rsa_key(rsa_key);
	const struct {
		const char *cert, *key, *message, *why;
	} cases[] = {
		{"/nowhere/tls.crt", tls->key,
		 "tls certificate \"/nowhere/tls.crt\": ", "No such file or directory"},
		{tls->cert, "/nowhere/tls.key",
		 "tls key \"/nowhere/tls.key\": ", "No such file or directory"},
		{tls->cert, other_key, "tls key \"", "key values mismatch"},
		{tls->cert, rsa_key, "tls key \"", "no certificate assigned"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		options.tls_cert_file = cases[i].cert;
		options.tls_key_file = cases[i].key;
		assert_int_equal(
			http_server_new(&server, tls->world.loop, "127.0.0.1:0", &options, &err),
			ERR_INVALID);
		assert_true(str_starts(str_of(err.msg), str_of(cases[i].message)));
		assert_non_null(strstr(err.msg, cases[i].why));
	}
}

static void a_bad_pair_at_the_start_is_an_error(void **state)
{
	struct tls_world *tls = *state;
	static const struct {
		const char *content;
		const char *file; /* the one that is overwritten */
		const char *message;
	} cases[] = {
		{"", "tls.crt", "tls certificate \""},
		{"x", "tls.key", "tls key \""},
		{"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE "
		 "KEY-----\n",
		 "tls.key", "tls key \""},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char path[64];
		struct err err = {0};
		struct http_server *server = NULL;
		struct http_options options = tls_options(tls);
		write_pair(tls->cert, tls->key, 100);
		path_of(path, sizeof(path), tls, cases[i].file);
		FILE *file = fopen(path, "we");
		assert_true(fputs(cases[i].content, file) >= 0);
		assert_int_equal(fclose(file), 0);
		assert_int_equal(
			http_server_new(&server, tls->world.loop, "127.0.0.1:0", &options, &err),
			ERR_INVALID);
		assert_true(str_starts(str_of(err.msg), str_of(cases[i].message)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		IN_WORLD(a_body_arrives_as_it_was_sent),
		IN_WORLD(a_large_answer_arrives_whole_and_is_closed_properly),
		IN_WORLD(pipelined_requests_are_answered_one_by_one),
		IN_WORLD(a_late_answer_goes_on_with_what_tls_has_read),
		IN_WORLD(old_versions_and_weak_ciphers_are_refused),
		IN_WORLD(http11_is_chosen_where_it_is_offered),
		IN_WORLD(plain_http_is_closed),
		IN_WORLD(an_unfinished_handshake_is_cut_off),
		IN_WORLD(a_hello_in_tiny_records_is_taken),
		IN_WORLD(renegotiation_ends_the_connection),
		IN_WORLD(a_connection_over_the_limit_is_told_503),
		IN_WORLD(a_connection_over_the_limit_that_gets_no_tls_is_closed),
		IN_WORLD(the_oldest_of_too_many_handshakes_is_closed),
		IN_WORLD(a_flood_over_the_limit_is_closed_without_a_handshake),
		IN_WORLD(a_changed_pair_is_used_and_a_bad_one_is_not),
		IN_WORLD(a_moved_link_is_noticed),
		IN_WORLD(a_bad_pair_at_the_start_is_an_error),
		IN_WORLD(a_late_answer_goes_on_with_what_is_left_in_tls),
		IN_WORLD(a_record_and_a_half_are_the_bytes_of_one),
		IN_WORLD(garbage_behind_a_record_ends_the_connection_at_once),
		IN_WORLD(a_goodbye_behind_a_record_is_heard_at_once),
		IN_WORLD(an_answer_to_who_has_gone_ends_the_connection),
		IN_WORLD(a_full_socket_delays_the_handshake_and_the_answer),
		IN_WORLD(a_full_socket_delays_a_new_key),
		IN_WORLD(a_goodbye_in_place_of_a_hello_ends_the_connection),
		IN_WORLD(a_connection_that_gets_no_tls_is_closed_and_the_next_is_served),
		IN_WORLD(without_its_rules_tls_is_not_served),
		IN_WORLD(a_client_that_offers_others_alone_finds_out_by_itself),
		IN_WORLD(a_session_is_resumed_for_an_hour),
		IN_WORLD(a_certificate_rewritten_in_place_is_noticed),
		IN_WORLD(a_key_that_comes_after_its_certificate_is_used_with_it),
		IN_WORLD(an_end_that_cannot_be_read_is_none),
		IN_WORLD(a_key_with_a_passphrase_is_an_error),
		IN_WORLD(a_missing_file_or_another_key_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
