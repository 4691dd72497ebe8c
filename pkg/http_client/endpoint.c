/* Takes a server's URL apart for libcurl, and finds the proxy for it. */
#include "http_client/endpoint.h"

#include "http_client/no_proxy.h"

#include "base/buf.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <assert.h>
#include <curl/curl.h>
#include <stdlib.h>

/* The parts of the server's address, as libcurl owns them. */
struct parts {
	char *scheme;
	char *host; /* IPv6 in brackets */
	char *port;
	char *path;
};

static void release_parts(struct parts *parts)
{
	curl_free(parts->scheme);
	curl_free(parts->host);
	curl_free(parts->port);
	curl_free(parts->path);
}

static void cleanup_url(CURLU **url)
{
	curl_url_cleanup(*url);
}

static bool get(CURLU *url, CURLUPart part, char **out, unsigned int flags)
{
	return curl_url_get(url, part, out, flags) == CURLUE_OK;
}

static bool has(CURLU *url, CURLUPart part)
{
	char *text = NULL;
	bool found = get(url, part, &text, 0);

	curl_free(text);
	return found;
}

/* HOST as in a URL: IPv6 in brackets. */
static bool is_loopback(const char *host)
{
	struct in_addr v4;

	return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
	       (inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127);
}

static int split_url(struct parts *out, const struct http_client_options *options, struct err *err)
{
	CLEANUP(cleanup_url) CURLU *url = curl_url();
	CLEANUP(buf_release) struct buf shown = BUF_INIT(512);

	if (!url)
		abort();
	buf_put_clean(&shown, str_of(options->url), 100);
	if (curl_url_set(url, CURLUPART_URL, options->url, 0) != CURLUE_OK ||
	    !get(url, CURLUPART_SCHEME, &out->scheme, 0) ||
	    !get(url, CURLUPART_HOST, &out->host, 0) ||
	    !get(url, CURLUPART_PORT, &out->port, CURLU_DEFAULT_PORT) ||
	    !get(url, CURLUPART_PATH, &out->path, 0))
		return err_set(err, ERR_INVALID,
			       "server \"%s\" is no address; expected https://HOST:PORT",
			       buf_str(&shown).n ? shown.data : "");
	if (strcmp(out->scheme, "https") != 0 && strcmp(out->scheme, "http") != 0)
		return err_set(err, ERR_INVALID, "server \"%s\" has to begin with https://",
			       shown.data);
	/* The URL is not shown: a password may be in it. */
	if (has(url, CURLUPART_USER) || has(url, CURLUPART_PASSWORD) || has(url, CURLUPART_QUERY) ||
	    has(url, CURLUPART_FRAGMENT))
		return err_set(err, ERR_INVALID,
			       "the server's address has a user, query or fragment; expected "
			       "https://HOST:PORT");
	if (strcmp(out->scheme, "http") == 0 && !options->allows_http && !is_loopback(out->host))
		return err_set(err, ERR_INVALID,
			       "server \"%s\" has to begin with https://; http:// is for loopback "
			       "addresses only",
			       shown.data);
	return 0;
}

static const char *env_of(const char *upper, const char *lower)
{
	const char *value = getenv(upper);

	if (!value || !*value)
		value = getenv(lower);
	return value ? value : "";
}

/* Go's socks5 leaves looking up the name to the proxy, which libcurl calls socks5h. */
static char *proxy_for_curl(const char *url)
{
	static const char socks5[] = "socks5://";
	CLEANUP(buf_release) struct buf out = BUF_INIT(4096);

	if (strncmp(url, socks5, strlen(socks5)) != 0)
		return mem_strdup(url);
	buf_printf(&out, "socks5h://%s", url + strlen(socks5));
	return buf_take(&out);
}

/*
 * As in Go, so that the environment means the same to kubectl and to us: http_proxy is also read in
 * upper case, ALL_PROXY is not, and loopback addresses never have a proxy.
 */
static void set_proxy(struct endpoint *out, const struct http_client_options *options,
		      const struct parts *parts)
{
	bool is_https = strcmp(parts->scheme, "https") == 0;
	const char *url = is_https ? env_of("HTTPS_PROXY", "https_proxy")
				   : env_of("HTTP_PROXY", "http_proxy");

	if (options->proxy_url)
		url = options->proxy_url;
	else if (is_loopback(parts->host) ||
		 no_proxy_exempts(env_of("NO_PROXY", "no_proxy"), parts->host, parts->port))
		url = "";
	out->proxy = proxy_for_curl(url);
}

static char *join(const char *a, const char *b, const char *c, const char *d)
{
	CLEANUP(buf_release) struct buf out = BUF_INIT(8192);

	buf_printf(&out, "%s%s%s%s", a, b, c, d);
	return buf_take(&out);
}

/* libcurl checks the certificate for the URL's host, so with a tls-server-name the URL has that
 * name; the address to connect to and the Host field are set apart. */
static void set_server_name(struct endpoint *out, const char *name, const struct parts *parts)
{
	CLEANUP(mem_free) char *target = join("::", parts->host, ":", parts->port);

	out->connect_to = curl_slist_append(NULL, target);
	if (!out->connect_to)
		abort();
	out->host_field = join("Host: ", parts->host, ":", parts->port);
	mem_free(&out->base);
	out->base = join("https://", name, ":", parts->port);
}

int endpoint_init(struct endpoint *out, const struct http_client_options *options, struct err *err)
{
	CLEANUP(release_parts) struct parts parts = {0};
	int rc = split_url(&parts, options, err);
	size_t n_path = 0;

	if (rc < 0)
		return rc;
	assert(parts.scheme && parts.host && parts.port && parts.path);
	*out = (struct endpoint){.what = options->what,
				 .is_insecure = options->is_insecure,
				 .wants_certificate = options->wants_certificate};
	out->protocol = strcmp(parts.scheme, "http") == 0 ? "http" : "https";
	out->host = join(parts.host, ":", parts.port, "");
	out->base = join(out->protocol, "://", out->host, "");
	if (options->server_name && strcmp(out->protocol, "https") == 0)
		set_server_name(out, options->server_name, &parts);
	n_path = strlen(parts.path);
	while (n_path > 0 && parts.path[n_path - 1] == '/')
		parts.path[--n_path] = '\0';
	if (n_path > 0) {
		char *base = join(out->base, parts.path, "", "");

		mem_free(&out->base);
		out->base = base;
	}
	set_proxy(out, options, &parts);
	return 0;
}

void endpoint_release(struct endpoint *endpoint)
{
	mem_free(&endpoint->base);
	mem_free(&endpoint->host);
	mem_free(&endpoint->host_field);
	mem_free(&endpoint->proxy);
	curl_slist_free_all(endpoint->connect_to);
	endpoint->connect_to = NULL;
}
