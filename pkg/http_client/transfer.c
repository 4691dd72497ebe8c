/* The libcurl options of one request, and the bytes that come and go. */
#include "http_client/transfer.h"

#include "base/mem.h"
#include "base/version.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#define CONNECT_TIMEOUT_MS 15000L
#define MAX_ERROR_BYTES    ((size_t)64 * 1024)
/* The API server closes what was idle for 90 s: a connection that it is about to close is not used.
 */
#define MAX_IDLE_S 60L
/* The smallest size that libcurl accepts; requests are small. */
#define UPLOAD_BUFFER_BYTES 16384L
/*
 * A peer that is gone is noticed within 45 s: the first probe after 15 s of silence, and the end
 * when nothing was acknowledged for 30 s. libcurl sends no HTTP/2 pings.
 */
#define KEEPALIVE_IDLE_S  15L
#define KEEPALIVE_PROBE_S 5L
#define USER_TIMEOUT_MS   30000U

static void set_option(CURLcode code)
{
	/* The options are constant or checked, so the only other cause is memory. */
	if (code != CURLE_OK)
		abort();
}

#define SET(easy, option, value) set_option(curl_easy_setopt((easy), (option), (value)))

static int on_socket(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	unsigned int timeout_ms = USER_TIMEOUT_MS;

	(void)arg;
	(void)purpose;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
	return CURL_SOCKOPT_OK;
}

/*
 * libcurl sends a request once more by itself when a reused connection ends before the answer
 * began, writes too. A body read from a function that cannot be rewound forbids it: whether a write
 * was carried out is for its caller to find out.
 */
static size_t on_read(char *out, size_t size, size_t n, void *arg)
{
	struct http_client_call *call = arg;
	struct str body;
	size_t room = size * n;
	size_t left = 0;

	if (!call->fn)
		return CURL_READFUNC_ABORT;
	body = call->request.body;
	left = body.n - call->n_sent;
	if (left < room)
		room = left;
	if (room > 0)
		memcpy(out, body.p + call->n_sent, room);
	call->n_sent += room;
	return room;
}

static long status_of(CURL *easy)
{
	long status = 0;

	set_option(curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status));
	return status;
}

static size_t on_write(char *bytes, size_t size, size_t n, void *arg)
{
	struct http_client_call *call = arg;
	size_t n_bytes = size * n;

	if (!call->fn)
		return 0;
	if (!call->request.on_bytes) {
		buf_put(&call->body, bytes, n_bytes);
		call->is_over_limit = call->body.overflow;
		return call->is_over_limit ? 0 : n_bytes;
	}
	if (status_of(call->easy) != 200) {
		buf_put(&call->body, bytes, n_bytes);
		return n_bytes;
	}
	call->request.on_bytes(call->arg, str_range(bytes, n_bytes));
	return call->fn ? n_bytes : 0;
}

/* Reports that a stream has begun: its first bytes may take long to come. */
static size_t on_head(char *line, size_t size, size_t n, void *arg)
{
	struct http_client_call *call = arg;
	size_t n_bytes = size * n;

	if (!call->fn)
		return 0;
	if (!str_eq(str_range(line, n_bytes), STR("\r\n")) || !call->request.on_bytes ||
	    status_of(call->easy) != 200)
		return n_bytes;
	call->request.on_bytes(call->arg, (struct str){0});
	return call->fn ? n_bytes : 0;
}

static void add_field(struct http_client_call *call, const char *field)
{
	struct curl_slist *fields = curl_slist_append(call->fields, field);

	if (!fields)
		abort();
	call->fields = fields;
}

static void drop_fields(struct http_client_call *call)
{
	/* One of the fields holds the token. */
	for (struct curl_slist *field = call->fields; field; field = field->next)
		explicit_bzero(field->data, strlen(field->data));
	curl_slist_free_all(call->fields);
	call->fields = NULL;
}

static void set_fields(struct http_client_call *call, const struct endpoint *endpoint,
		       const struct http_client_identity *identity)
{
	const struct http_client_request *request = &call->request;
	CLEANUP(buf_release) struct buf field = BUF_INIT(4096);

	drop_fields(call);
	buf_printf(&field, "Accept: %s", request->accept ? request->accept : "*/*");
	add_field(call, field.data);
	if (request->content_type) {
		buf_clear(&field);
		buf_printf(&field, "Content-Type: %s", request->content_type);
		add_field(call, field.data);
	}
	if (identity->authorization)
		add_field(call, identity->authorization);
	if (endpoint->host_field)
		add_field(call, endpoint->host_field);
	for (size_t i = 0; request->fields && request->fields[i]; i++)
		add_field(call, request->fields[i]);
	/* Without this libcurl waits a second for "100 Continue" before a large body. */
	add_field(call, "Expect:");
	SET(call->easy, CURLOPT_HTTPHEADER, call->fields);
}

static void set_method(struct http_client_call *call)
{
	const struct http_client_request *request = &call->request;

	if (strcmp(request->method, "GET") == 0) {
		SET(call->easy, CURLOPT_HTTPGET, 1L);
		return;
	}
	SET(call->easy, CURLOPT_POST, 1L);
	SET(call->easy, CURLOPT_CUSTOMREQUEST, request->method);
	SET(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.n);
	SET(call->easy, CURLOPT_READFUNCTION, on_read);
	SET(call->easy, CURLOPT_READDATA, call);
}

static void set_blob(CURL *easy, CURLoption option, struct str bytes)
{
	struct curl_blob blob = {.data = (void *)bytes.p, .len = bytes.n, .flags = CURL_BLOB_COPY};

	if (!str_empty(bytes))
		SET(easy, option, &blob);
}

static void set_tls(CURL *easy, const struct endpoint *endpoint,
		    const struct http_client_identity *identity)
{
	SET(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(easy, CURLOPT_SSL_VERIFYPEER, endpoint->is_insecure ? 0L : 1L);
	SET(easy, CURLOPT_SSL_VERIFYHOST, endpoint->is_insecure ? 0L : 2L);
	SET(easy, CURLOPT_CERTINFO, endpoint->wants_certificate ? 1L : 0L);
	set_blob(easy, CURLOPT_CAINFO_BLOB, identity->ca_pem);
	set_blob(easy, CURLOPT_PROXY_CAINFO_BLOB, identity->ca_pem);
	set_blob(easy, CURLOPT_SSLCERT_BLOB, identity->cert_pem);
	set_blob(easy, CURLOPT_SSLKEY_BLOB, identity->key_pem);
}

static void set_connection(CURL *easy, const struct endpoint *endpoint, bool is_watch)
{
	SET(easy, CURLOPT_PROTOCOLS_STR, endpoint->protocol);
	SET(easy, CURLOPT_PROXY, endpoint->proxy);
	/* endpoint.c has applied NO_PROXY already. */
	SET(easy, CURLOPT_NOPROXY, "");
	SET(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
	SET(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(easy, CURLOPT_NOSIGNAL, 1L);
	SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	SET(easy, CURLOPT_TCP_NODELAY, 1L);
	SET(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	SET(easy, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	SET(easy, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_PROBE_S);
	SET(easy, CURLOPT_SOCKOPTFUNCTION, on_socket);
	SET(easy, CURLOPT_MAXAGE_CONN, MAX_IDLE_S);
	SET(easy, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER_BYTES);
	if (is_watch) {
		SET(easy, CURLOPT_FRESH_CONNECT, 1L);
		SET(easy, CURLOPT_FORBID_REUSE, 1L);
	}
}

static void set_target(struct http_client_call *call, const struct endpoint *endpoint)
{
	CLEANUP(buf_release) struct buf url = BUF_INIT(65536);

	buf_printf(&url, "%s%s", endpoint->base, call->request.path);
	assert(!url.overflow);
	SET(call->easy, CURLOPT_URL, url.data);
	SET(call->easy, CURLOPT_PATH_AS_IS, 1L);
	buf_clear(&url);
	buf_printf(&url, "buildhook/%s (linux)", version_text);
	SET(call->easy, CURLOPT_USERAGENT, url.data);
	SET(call->easy, CURLOPT_CONNECT_TO, endpoint->connect_to);
}

void transfer_prepare(struct http_client_call *call, const struct endpoint *endpoint,
		      const struct http_client_identity *identity)
{
	const struct http_client_request *request = &call->request;
	CURL *easy = call->easy;

	buf_clear(&call->body);
	call->n_sent = 0;
	call->error[0] = '\0';
	call->body.limit = request->on_bytes ? MAX_ERROR_BYTES : request->max_bytes;
	call->generation = identity->generation;
	set_target(call, endpoint);
	set_connection(easy, endpoint, request->is_watch);
	set_tls(easy, endpoint, identity);
	set_method(call);
	set_fields(call, endpoint, identity);
	SET(easy, CURLOPT_WRITEFUNCTION, on_write);
	SET(easy, CURLOPT_WRITEDATA, call);
	SET(easy, CURLOPT_HEADERFUNCTION, on_head);
	SET(easy, CURLOPT_HEADERDATA, call);
	SET(easy, CURLOPT_ERRORBUFFER, call->error);
	SET(easy, CURLOPT_PRIVATE, call);
	SET(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
}

bool http_client_has_sent(const struct http_client_call *call)
{
	long n_bytes = 0;

	if (call->multi)
		set_option(curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &n_bytes));
	return n_bytes > 0;
}

static struct str field_of(CURL *easy, const char *name)
{
	struct curl_header *header = NULL;

	if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return (struct str){0};
	return str_of(header->value);
}

struct str http_client_field(const struct http_client_answer *answer, const char *name)
{
	return field_of(answer->call->easy, name);
}

/* NAME's value among "Name:value" lines; "" without. */
static const char *certificate_line(const struct curl_slist *lines, const char *name)
{
	size_t n = strlen(name);

	for (; lines; lines = lines->next)
		if (strncmp(lines->data, name, n) == 0 && lines->data[n] == ':')
			return lines->data + n + 1;
	return "";
}

void http_client_peer(struct http_client_peer *out, const struct http_client_answer *answer)
{
	CURL *easy = answer->call->easy;
	struct curl_certinfo *chain = NULL;
	char *address = NULL;

	*out = (struct http_client_peer){.address = "", .not_after = "", .issuer = ""};
	set_option(curl_easy_getinfo(easy, CURLINFO_PRIMARY_IP, &address));
	set_option(curl_easy_getinfo(easy, CURLINFO_CERTINFO, &chain));
	out->address = address ? address : "";
	if (!chain || chain->num_of_certs == 0)
		return;
	out->not_after = certificate_line(chain->certinfo[0], "Expire date");
	out->issuer = certificate_line(chain->certinfo[0], "Issuer");
}

static enum http_client_stage stage_of(CURLcode result, CURL *easy)
{
	curl_off_t connected_us = 0;

	switch (result) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return HTTP_CLIENT_NAME;
	case CURLE_COULDNT_CONNECT:
		return HTTP_CLIENT_CONNECT;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
		return HTTP_CLIENT_TLS;
	default:
		set_option(curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &connected_us));
		return connected_us > 0 ? HTTP_CLIENT_ANSWER : HTTP_CLIENT_CONNECT;
	}
}

void transfer_read_answer(struct http_client_call *call, CURLcode result,
			  const struct endpoint *endpoint, struct http_client_answer *answer)
{
	const char *text = call->error[0] ? call->error : curl_easy_strerror(result);

	*answer = (struct http_client_answer){.status = (int)status_of(call->easy)};
	answer->call = call;
	answer->stage = stage_of(result, call->easy);
	answer->content_type = field_of(call->easy, "Content-Type");
	answer->retry_after = field_of(call->easy, "Retry-After");
	answer->body = buf_str(&call->body);
	if (result == CURLE_OK && answer->status > 0)
		return;
	answer->is_cut = answer->status > 0;
	answer->is_unsent = answer->status == 0 && !http_client_has_sent(call);
	if (call->is_over_limit)
		err_set(&answer->err, ERR_LIMIT, "the answer is longer than %zu bytes",
			call->request.max_bytes);
	else
		err_set(&answer->err, ERR_UNAVAILABLE, "%s %s at %s: %s",
			answer->is_cut ? "lost the connection to" : "cannot reach", endpoint->what,
			endpoint->host, text);
}

void transfer_free(struct http_client_call *call)
{
	if (call->easy)
		curl_easy_cleanup(call->easy);
	drop_fields(call);
	buf_wipe(&call->body);
	mem_free(&call);
}
