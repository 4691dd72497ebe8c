#include "git_repository.h"

#include "base/str.h"

#include <stdio.h>

static struct str after(struct str s, size_t n)
{
	return str_range(s.p + n, s.n - n);
}

/* Only what may stand in a host's name with a port: nothing that would change the URL it is put
 * into. */
static bool is_host(struct str host)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789.-:[]";

	for (size_t i = 0; i < host.n; i++)
		if (!strchr(allowed, host.p[i]) || !host.p[i])
			return false;
	return host.n > 0;
}

/* Hosts name repositories in ASCII; whatever else stands in a URL would only spoil a terminal. */
static bool is_printable(struct str path)
{
	for (size_t i = 0; i < path.n; i++)
		if (path.p[i] <= ' ' || path.p[i] > '~')
			return false;
	return true;
}

static bool has_dot_segment(struct str path)
{
	struct str part;

	while (str_next_part(&path, '/', &part))
		if (str_empty(part) || str_eq(part, STR(".")) || str_eq(part, STR("..")))
			return true;
	return false;
}

bool git_repository_parse(struct git_repository *out, const char *uri)
{
	const struct str text = str_trim(str_of(uri));
	struct str rest = text, host = {0}, path = {0};
	bool is_http = str_starts(text, STR("http://"));
	bool is_web = is_http || str_starts(text, STR("https://"));
	bool is_ssh = str_starts(text, STR("ssh://"));
	size_t n, at;

	if (is_web || is_ssh) {
		rest = after(text, str_find_char(text, '/') + 2);
		n = str_find_char(rest, '/');
	} else {
		n = str_find_char(rest, ':');
	}
	if (n == rest.n || n == 0)
		return false;
	host = str_range(rest.p, n);
	path = after(rest, n + 1);
	at = str_find_char(host, '@');
	if (at < host.n)
		host = after(host, at + 1);
	/* The port of ssh says nothing about the API's. */
	if (is_ssh && host.p[0] != '[')
		host.n = str_find_char(host, ':');
	while (str_starts(path, STR("/")))
		path = after(path, 1);
	while (str_ends(path, STR("/")))
		path.n--;
	if (str_ends(path, STR(".git")))
		path.n -= 4;
	if (!is_host(host) || str_empty(path) || !is_printable(path) || has_dot_segment(path) ||
	    host.n >= sizeof(out->host) || path.n >= sizeof(out->path))
		return false;
	(void)snprintf(out->host, sizeof(out->host), "%.*s", STR_ARG(host));
	(void)snprintf(out->path, sizeof(out->path), "%.*s", STR_ARG(path));
	out->is_http = is_http;
	return true;
}
