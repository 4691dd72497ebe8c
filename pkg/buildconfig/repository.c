/* Whether two repository URLs mean the same repository, whatever the protocol, user and ".git". */
#include "buildconfig/repository.h"

#include "base/mem.h"

enum protocol {
	PROTOCOL_HTTP,
	PROTOCOL_SSH,
	PROTOCOL_OTHER,
};

/* Parts of an address, lent by it. */
struct address {
	enum protocol protocol;
	struct str host; /* empty: a path on a disk */
	struct str port; /* empty: the protocol's own */
	struct str path; /* without a slash at either end and ".git" */
};

static const struct {
	struct str scheme;
	enum protocol protocol;
	struct str port;
} schemes[] = {
	{STR("https://"), PROTOCOL_HTTP, STR("443")}, {STR("http://"), PROTOCOL_HTTP, STR("80")},
	{STR("ssh://"), PROTOCOL_SSH, STR("22")},     {STR("git+ssh://"), PROTOCOL_SSH, STR("22")},
	{STR("git://"), PROTOCOL_OTHER, STR("9418")},
};

static struct str drop(struct str s, size_t n)
{
	return str_range(s.p + n, s.n - n);
}

/* The part of S after the last C; all of S where it has none. */
static struct str after_last(struct str s, char c)
{
	size_t at = s.n;
	while (at > 0 && s.p[at - 1] != c)
		at--;
	return drop(s, at);
}

static struct str clean_path(struct str path)
{
	path.n = str_find_char(path, '#');
	path.n = str_find_char(path, '?');
	while (path.n > 0 && path.p[0] == '/')
		path = drop(path, 1);
	while (path.n > 0 && path.p[path.n - 1] == '/')
		path.n--;
	if (str_ends(path, STR(".git")))
		path.n -= 4;
	return path;
}

/* "user:word@[::1]:8443": the host keeps its brackets. */
static void read_authority(struct address *out, struct str authority)
{
	struct str rest = after_last(authority, '@');
	size_t host_bytes = str_find_char(rest, ':');
	if (rest.n > 0 && rest.p[0] == '[')
		host_bytes = str_find_char(rest, ']') + (str_find_char(rest, ']') < rest.n);
	out->host = str_range(rest.p, host_bytes);
	if (host_bytes < rest.n)
		out->port = drop(rest, host_bytes + 1);
	if (str_ends(out->host, STR(".")))
		out->host.n--;
}

/* "git@host:path". A slash before the colon makes it a path, as for git. */
static void read_scp_like(struct address *out, struct str text)
{
	struct str rest = after_last(str_range(text.p, str_find_char(text, '/')), '@');
	struct str address = drop(text, (size_t)(rest.p - text.p));
	size_t colon = str_find_char(address, ':');
	out->protocol = PROTOCOL_SSH;
	if (colon >= str_find_char(address, '/')) {
		out->path = clean_path(text);
		return;
	}
	out->host = str_range(address.p, colon);
	out->path = clean_path(drop(address, colon + 1));
}

static struct address read_address(struct str text)
{
	struct address out = {.protocol = PROTOCOL_OTHER};
	text = str_trim(text);
	if (str_empty(text))
		return out;
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		struct str scheme = schemes[i].scheme;
		if (text.n < scheme.n || !str_eq_nocase(str_range(text.p, scheme.n), scheme))
			continue;
		struct str rest = drop(text, scheme.n);
		size_t slash = str_find_char(rest, '/');
		out.protocol = schemes[i].protocol;
		read_authority(&out, str_range(rest.p, slash));
		if (str_eq(out.port, schemes[i].port))
			out.port = STR("");
		out.path = clean_path(drop(rest, slash));
		return out;
	}
	read_scp_like(&out, text);
	return out;
}

/* Hosts' second addresses, for networks that let only port 443 through. (GitHub docs, "Using SSH
 * over the HTTPS port"; GitLab docs, "Use SSH keys"; Atlassian docs, "Use SSH on port 443".) */
static void replace_second(struct address *address)
{
	static const struct {
		struct str second, first;
	} hosts[] = {
		{STR("ssh.github.com"), STR("github.com")},
		{STR("altssh.gitlab.com"), STR("gitlab.com")},
		{STR("altssh.bitbucket.org"), STR("bitbucket.org")},
	};

	for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
		if (address->protocol == PROTOCOL_SSH &&
		    str_eq_nocase(address->host, hosts[i].second) &&
		    (str_empty(address->port) || str_eq(address->port, STR("443")))) {
			address->host = hosts[i].first;
			address->port = STR("");
		}
}

/*
 * Owner and name are the same in any case at all hosts that send webhooks. Hosts serve one
 * repository on different ports for different protocols; within one protocol another port is
 * another host.
 */
static bool is_same(const struct address *one, const struct address *other)
{
	if (!str_eq_nocase(one->host, other->host) || !str_eq_nocase(one->path, other->path))
		return false;
	if (str_empty(one->host))
		return str_eq(one->path, other->path);
	return one->protocol != other->protocol || str_eq(one->port, other->port);
}

static struct address read_first(struct str text)
{
	struct address address = read_address(text);

	replace_second(&address);
	return address;
}

bool repository_is_among(struct str address, char *const *others, size_t n)
{
	struct address one = read_first(address);

	for (size_t i = 0; i < n && others[i]; i++) {
		struct address other = read_first(str_of(others[i]));

		if (is_same(&one, &other))
			return true;
	}
	return false;
}

bool repository_is_same(struct str a, struct str b)
{
	struct address one = read_first(a), other = read_first(b);

	return is_same(&one, &other);
}

bool repository_has_path(struct str address, struct str path)
{
	struct str all = read_address(address).path;
	size_t before = all.n - path.n;

	if (str_empty(path) || path.n > all.n || !str_eq_nocase(drop(all, before), path))
		return false;
	return before == 0 || all.p[before - 1] == '/';
}

void repository_format(struct buf *out, struct str address, size_t max_bytes)
{
	struct address parts = read_address(address);
	size_t before = out->len;
	buf_put_clean(out, parts.host, max_bytes / 2);
	if (parts.port.n > 0) {
		buf_put_char(out, ':');
		buf_put_clean(out, parts.port, 5);
	}
	if (parts.host.n > 0)
		buf_put_char(out, '/');
	size_t used = out->len - before;
	buf_put_clean(out, parts.path, used < max_bytes ? max_bytes - used : 0);
}
