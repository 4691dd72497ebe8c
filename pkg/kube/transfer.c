#include "kube/transfer.h"

#include "base/mem.h"
#include "kube/file.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#ifndef BUILDHOOK_VERSION
#define BUILDHOOK_VERSION "unknown"
#endif

#define CONNECT_TIMEOUT_MS 15000L
#define MAX_ERROR_BYTES    ((size_t)64 * 1024)
/* The API server closes what was idle for 90 s: a connection that it is about to close is not used.
 */
#define MAX_IDLE_S 60L
/* The smallest that libcurl takes; requests are small. */
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
	struct transfer *transfer = arg;
	struct str body;
	size_t room = size * n;
	size_t left = 0;

	if (!transfer->call)
		return CURL_READFUNC_ABORT;
	body = transfer->request->body;
	left = body.n - transfer->n_sent;
	if (left < room)
		room = left;
	if (room > 0)
		memcpy(out, body.p + transfer->n_sent, room);
	transfer->n_sent += room;
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
	struct transfer *transfer = arg;
	size_t n_bytes = size * n;

	if (!transfer->call)
		return 0;
	if (!transfer->request->on_bytes) {
		buf_put(&transfer->body, bytes, n_bytes);
		transfer->is_over_limit = transfer->body.overflow;
		return transfer->is_over_limit ? 0 : n_bytes;
	}
	if (status_of(transfer->easy) != 200) {
		buf_put(&transfer->body, bytes, n_bytes);
		return n_bytes;
	}
	kube_transport_bytes(transfer->call, str_range(bytes, n_bytes));
	return transfer->call ? n_bytes : 0;
}

/* The head of a 200 is news for who waits for a stream: it may be long before its first bytes come.
 */
static size_t on_head(char *line, size_t size, size_t n, void *arg)
{
	struct transfer *transfer = arg;
	size_t n_bytes = size * n;

	if (!transfer->call)
		return 0;
	if (!str_eq(str_range(line, n_bytes), STR("\r\n")) || !transfer->request->on_bytes ||
	    status_of(transfer->easy) != 200)
		return n_bytes;
	kube_transport_bytes(transfer->call, (struct str){0});
	return transfer->call ? n_bytes : 0;
}

static void add_field(struct transfer *transfer, const char *field)
{
	struct curl_slist *fields = curl_slist_append(transfer->fields, field);

	if (!fields)
		abort();
	transfer->fields = fields;
}

static void drop_fields(struct transfer *transfer)
{
	/* One of them is the token. */
	for (struct curl_slist *field = transfer->fields; field; field = field->next)
		explicit_bzero(field->data, strlen(field->data));
	curl_slist_free_all(transfer->fields);
	transfer->fields = NULL;
}

static const char *content_type_of(enum kube_method method)
{
	switch (method) {
	case KUBE_MERGE_PATCH:
		return "Content-Type: application/merge-patch+json";
	case KUBE_APPLY:
		return "Content-Type: application/apply-patch+yaml";
	default:
		return "Content-Type: application/json";
	}
}

static void set_fields(struct transfer *transfer, const struct endpoint *endpoint,
		       const struct credentials *credentials)
{
	CLEANUP(file_wipe) struct buf field = BUF_INIT(16384);

	drop_fields(transfer);
	buf_printf(&field, "Accept: %s", transfer->request->accept);
	add_field(transfer, field.data);
	buf_clear(&field);
	credentials_put_header(credentials, &field);
	if (field.len > 0)
		add_field(transfer, field.data);
	if (endpoint->host_field)
		add_field(transfer, endpoint->host_field);
	if (transfer->request->method != KUBE_GET) {
		add_field(transfer, content_type_of(transfer->request->method));
		/* Or libcurl waits a second for "100 Continue" before a large body. */
		add_field(transfer, "Expect:");
	}
	SET(transfer->easy, CURLOPT_HTTPHEADER, transfer->fields);
}

static void set_method(struct transfer *transfer)
{
	static const char *const names[] = {
		[KUBE_POST] = "POST",         [KUBE_PUT] = "PUT",     [KUBE_DELETE] = "DELETE",
		[KUBE_MERGE_PATCH] = "PATCH", [KUBE_APPLY] = "PATCH",
	};
	const struct kube_request *request = transfer->request;

	if (request->method == KUBE_GET) {
		SET(transfer->easy, CURLOPT_HTTPGET, 1L);
		return;
	}
	SET(transfer->easy, CURLOPT_POST, 1L);
	SET(transfer->easy, CURLOPT_CUSTOMREQUEST, names[request->method]);
	SET(transfer->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.n);
	SET(transfer->easy, CURLOPT_READFUNCTION, on_read);
	SET(transfer->easy, CURLOPT_READDATA, transfer);
}

static void set_blob(CURL *easy, CURLoption option, struct str bytes)
{
	struct curl_blob blob = {.data = (void *)bytes.p, .len = bytes.n, .flags = CURL_BLOB_COPY};

	if (!str_empty(bytes))
		SET(easy, option, &blob);
}

static void set_tls(CURL *easy, const struct endpoint *endpoint,
		    const struct credentials *credentials)
{
	SET(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(easy, CURLOPT_SSL_VERIFYPEER, endpoint->insecure ? 0L : 1L);
	SET(easy, CURLOPT_SSL_VERIFYHOST, endpoint->insecure ? 0L : 2L);
	set_blob(easy, CURLOPT_CAINFO_BLOB, credentials_ca(credentials));
	set_blob(easy, CURLOPT_PROXY_CAINFO_BLOB, credentials_ca(credentials));
	set_blob(easy, CURLOPT_SSLCERT_BLOB, credentials_cert(credentials));
	set_blob(easy, CURLOPT_SSLKEY_BLOB, credentials_key(credentials));
}

static void set_connection(CURL *easy, const struct endpoint *endpoint, bool is_watch)
{
	SET(easy, CURLOPT_PROTOCOLS_STR, endpoint->protocol);
	SET(easy, CURLOPT_PROXY, endpoint->proxy);
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

static void set_target(struct transfer *transfer, const struct endpoint *endpoint)
{
	CLEANUP(buf_release) struct buf url = BUF_INIT(65536);

	buf_printf(&url, "%s%s", endpoint->base, transfer->request->path);
	assert(!url.overflow);
	SET(transfer->easy, CURLOPT_URL, url.data);
	SET(transfer->easy, CURLOPT_PATH_AS_IS, 1L);
	SET(transfer->easy, CURLOPT_USERAGENT, "buildhook/" BUILDHOOK_VERSION " (linux)");
	SET(transfer->easy, CURLOPT_CONNECT_TO, endpoint->connect_to);
}

struct transfer *transfer_new(struct kube_call *call, const struct kube_request *request, int lane)
{
	struct transfer *transfer = mem_new(1, sizeof(*transfer));

	transfer->call = call;
	transfer->request = request;
	transfer->lane = lane;
	transfer->body.limit = request->on_bytes ? MAX_ERROR_BYTES : request->max_bytes;
	return transfer;
}

void transfer_prepare(struct transfer *transfer, const struct endpoint *endpoint,
		      const struct credentials *credentials)
{
	CURL *easy = transfer->easy;

	buf_clear(&transfer->body);
	transfer->n_sent = 0;
	transfer->error[0] = '\0';
	transfer->generation = credentials_generation(credentials);
	set_target(transfer, endpoint);
	set_connection(easy, endpoint, transfer->request->is_watch);
	set_tls(easy, endpoint, credentials);
	set_method(transfer);
	set_fields(transfer, endpoint, credentials);
	SET(easy, CURLOPT_WRITEFUNCTION, on_write);
	SET(easy, CURLOPT_WRITEDATA, transfer);
	SET(easy, CURLOPT_HEADERFUNCTION, on_head);
	SET(easy, CURLOPT_HEADERDATA, transfer);
	SET(easy, CURLOPT_ERRORBUFFER, transfer->error);
	SET(easy, CURLOPT_PRIVATE, transfer);
}

bool transfer_has_sent(const struct transfer *transfer)
{
	long n_bytes = 0;

	if (transfer->multi)
		set_option(curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &n_bytes));
	return n_bytes > 0;
}

static struct str field_of(CURL *easy, const char *name)
{
	struct curl_header *header = NULL;

	if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return (struct str){0};
	return str_of(header->value);
}

void transfer_read_answer(struct transfer *transfer, CURLcode result,
			  const struct endpoint *endpoint, struct kube_transport_answer *answer)
{
	const char *text = transfer->error[0] ? transfer->error : curl_easy_strerror(result);

	*answer = (struct kube_transport_answer){.status = (int)status_of(transfer->easy)};
	answer->content_type = field_of(transfer->easy, "Content-Type");
	answer->retry_after = field_of(transfer->easy, "Retry-After");
	answer->body = buf_str(&transfer->body);
	if (result == CURLE_OK && answer->status > 0)
		return;
	answer->is_cut = answer->status > 0;
	answer->is_unsent = answer->status == 0 && !transfer_has_sent(transfer);
	if (transfer->is_over_limit)
		err_set(&answer->err, ERR_LIMIT, "the answer is longer than %zu bytes",
			transfer->request->max_bytes);
	else
		err_set(&answer->err, ERR_UNAVAILABLE, "%s the API server at %s: %s",
			answer->is_cut ? "lost the connection to" : "cannot reach", endpoint->host,
			text);
}

void transfer_free(struct transfer *transfer)
{
	if (transfer->easy)
		curl_easy_cleanup(transfer->easy);
	drop_fields(transfer);
	file_wipe(&transfer->body);
	mem_free(&transfer);
}
