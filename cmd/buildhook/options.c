/* The flags of `buildhook serve`: their defaults, and the checks that a table cannot express. */
#include "options.h"

#include "daemon.h"

#include "base/mem.h"

#define MEMBER(name) offsetof(struct serve_options, name)

#define MIN_JOURNAL_BYTES (4 * 1024 * 1024)

static const char *const backends[] = {"auto", "openshift", "kubernetes", NULL};
const struct flag serve_flags[] = {
	DAEMON_KUBECONFIG_FLAGS(MEMBER),
	{"namespace", FLAG_STRINGS, MEMBER(namespaces), "NS",
	 "watch this namespace only; repeatable (default: all)", NULL},
	{"selector", FLAG_STRING, MEMBER(app.selector), "LABELS",
	 "watch BuildConfigs with these labels only", NULL},
	{"listen", FLAG_STRING, MEMBER(listen), "ADDR:PORT", "address for webhooks (default :8080)",
	 NULL},
	{"tls-cert", FLAG_STRING, MEMBER(tls_cert), "FILE",
	 "certificate chain for HTTPS on --listen, PEM; read again when it changes", NULL},
	{"tls-key", FLAG_STRING, MEMBER(tls_key), "FILE", "its private key, PEM", NULL},
	{"admin-listen", FLAG_STRING, MEMBER(admin_listen), "ADDR:PORT",
	 "/healthz, /readyz and /metrics (default :8081)", NULL},
	{"public-url", FLAG_STRING, MEMBER(app.public_url), "URL",
	 "address at which Git hosts reach --listen, for the URLs in annotations", NULL},
	{"data-dir", FLAG_STRING, MEMBER(app.data_dir), "DIR",
	 "directory of the journal of deliveries (default /var/lib/buildhook)", NULL},
	{"journal-size", FLAG_SIZE, MEMBER(app.journal_size_bytes), "SIZE",
	 "most disk space that the journal may use (default 1GiB)", NULL},
	{"backend", FLAG_STRING, MEMBER(app.backend), "auto|openshift|kubernetes",
	 "API that starts builds (default auto: whichever the cluster serves)", backends},
	{"max-body", FLAG_SIZE, MEMBER(max_body), "SIZE", "largest delivery (default 25MiB)", NULL},
	{"max-buffer", FLAG_SIZE, MEMBER(app.max_buffer_bytes), "SIZE",
	 "memory for all deliveries being received (default 32MiB)", NULL},
	{"max-connections", FLAG_COUNT, MEMBER(max_connections), "N",
	 "connections at the same time (default 1000)", NULL},
	{"start-timeout", FLAG_DURATION, MEMBER(app.start_timeout_ms), "DURATION",
	 "how long an answer waits for its build to start (default 4s)", NULL},
	{"give-up", FLAG_DURATION, MEMBER(app.give_up_ms), "DURATION",
	 "how long the start of one build is retried (default 24h)", NULL},
	{"dedupe-window", FLAG_DURATION, MEMBER(app.dedupe_window_ms), "DURATION",
	 "how long a repeated delivery is recognised as a duplicate (default 72h)", NULL},
	{"rotation-grace", FLAG_DURATION, MEMBER(app.rotation_grace_ms), "DURATION",
	 "how long the old value of a rotated secret stays valid (default 24h)", NULL},
	{"secret-ttl", FLAG_DURATION, MEMBER(app.secret_ttl_ms), "DURATION",
	 "how long a Secret is kept before it is fetched again (default 30s)", NULL},
	{"status-interval", FLAG_DURATION, MEMBER(app.status_interval_ms), "DURATION",
	 "least time between two status writes to one BuildConfig (default 5s)", NULL},
	{"resync", FLAG_DURATION, MEMBER(app.resync_ms), "DURATION",
	 "interval of the periodic full reconcile (default 1h)", NULL},
	{"build-burst", FLAG_COUNT, MEMBER(app.build_burst), "N",
	 "builds of one BuildConfig that may start in a burst (default 5)", NULL},
	{"builds-per-minute", FLAG_NUMBER, MEMBER(app.builds_per_minute), "N",
	 "builds of one BuildConfig per minute after a burst; 0: no limit (default 12)", NULL},
	{"default-branch", FLAG_STRING, MEMBER(app.default_branch), "NAME",
	 "branch to build if a BuildConfig names no ref (default: the payload's default branch)",
	 NULL},
	{"provision", FLAG_BOOL, MEMBER(app.provision), NULL,
	 "create missing webhook Secrets (default true; --provision=false: never)", NULL},
	DAEMON_LOG_FLAGS(MEMBER),
};

const size_t serve_n_flags = ARRAY_LEN(serve_flags);

/* True if webhooks' paths can be put behind URL: it must end with a host or a path. */
static bool is_base_url(struct str url)
{
	struct str rest = str_without_prefix(url, STR("https://"));

	if (rest.n == url.n)
		rest = str_without_prefix(url, STR("http://"));
	if (rest.n == url.n || rest.n == 0 || *rest.p == '/' || *rest.p == ':')
		return false;
	for (size_t i = 0; i < rest.n; i++)
		if (rest.p[i] <= ' ' || rest.p[i] > '~' || strchr("?#@\"<>\\^`{|}", rest.p[i]))
			return false;
	return true;
}

static int check_url(const char *url, struct err *err)
{
	if (!url || is_base_url(str_of(url)))
		return 0;
	return err_set(
		err, ERR_INVALID,
		"--public-url: found \"%.60s\", expected https://HOST, with a path if there is one",
		url);
}

/* Namespaces become part of a path of the API server. */
static int check_namespaces(const struct flag_list *list, struct err *err)
{
	for (size_t i = 0; i < list->n; i++)
		if (!str_is_dns_label(str_of(list->items[i])))
			return err_set(err, ERR_INVALID,
				       "--namespace: \"%.63s\" cannot be a namespace's name",
				       list->items[i]);
	return 0;
}

static const char *skip_spaces(const char *p)
{
	return p + strspn(p, " \t");
}

/* The end of a key or a value, which may be empty. */
static const char *skip_word(const char *p)
{
	return p + strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./");
}

/* A label's name, or a value that is not empty. (Kubernetes docs, "Labels and Selectors".) */
static bool is_label_name(struct str name)
{
	static const char ends[] = "-_.";

	return name.n > 0 && name.n <= 63 && !memchr(name.p, '/', name.n) &&
	       !strchr(ends, name.p[0]) && !strchr(ends, name.p[name.n - 1]);
}

/* NAME or PREFIX/NAME, where PREFIX is a domain. */
static bool is_label_key(struct str key)
{
	size_t n = str_find_char(key, '/');

	if (n == key.n)
		return is_label_name(key);
	return str_is_dns_subdomain(str_range(key.p, n)) &&
	       is_label_name(str_range(key.p + n + 1, key.n - n - 1));
}

/* NULL where none begins at P. */
static const char *skip_value(const char *p)
{
	const char *end = skip_word(p);

	return end == p || is_label_name(str_range(p, (size_t)(end - p))) ? end : NULL;
}

static const char *skip_number(const char *p)
{
	size_t n = strspn(p, "0123456789");

	return n > 0 && n < 19 ? p + n : NULL;
}

/* "(a, b)". NULL where it is none. */
static const char *skip_set(const char *p)
{
	if (*p != '(')
		return NULL;
	do {
		p = skip_value(skip_spaces(p + 1));
		p = p ? skip_spaces(p) : "";
	} while (*p == ',');
	return *p == ')' ? p + 1 : NULL;
}

/* "key", "!key", "key=value", "key in (a, b)". NULL where it is none. */
static const char *skip_requirement(const char *p)
{
	bool is_negated = *p == '!';
	const char *key = skip_spaces(p + is_negated), *end = skip_word(key);

	if (!is_label_key(str_range(key, (size_t)(end - key))))
		return NULL;
	p = skip_spaces(end);
	if (is_negated || *p == ',' || *p == '\0')
		return p;
	if (*p == '=' || (*p == '!' && p[1] == '='))
		return skip_value(skip_spaces(p + 1 + (p[1] == '=')));
	if (*p == '<' || *p == '>')
		return skip_number(skip_spaces(p + 1));
	if (strncmp(p, "notin", 5) == 0)
		return skip_set(skip_spaces(p + 5));
	return strncmp(p, "in", 2) == 0 ? skip_set(skip_spaces(p + 2)) : NULL;
}

/* The API server would refuse a wrong selector at each list; here the start fails. */
static int check_selector(const char *selector, struct err *err)
{
	const char *p = selector ? skip_spaces(selector) : "";

	while (*p) {
		p = skip_requirement(p);
		p = p ? skip_spaces(p) : NULL;
		if (p && *p == ',' && *skip_spaces(p + 1))
			p = skip_spaces(p + 1);
		else if (!p || *p)
			return err_set(
				err, ERR_INVALID,
				"--selector: found \"%.100s\", expected labels as kubectl -l "
				"takes them, team=shop or \"team in (shop, web)\"",
				selector);
	}
	return 0;
}

int serve_options_check(const struct serve_options *o, struct err *err)
{
	if (!o->tls_cert != !o->tls_key)
		return err_set(err, ERR_INVALID,
			       "--tls-cert and --tls-key go together; --tls-%s is missing",
			       o->tls_cert ? "key" : "cert");
	if (o->app.journal_size_bytes < MIN_JOURNAL_BYTES)
		return err_set(err, ERR_INVALID,
			       "--journal-size: found %llu bytes, expected at least 4MiB",
			       (unsigned long long)o->app.journal_size_bytes);
	if (o->app.build_burst == 0)
		return err_set(err, ERR_INVALID, "--build-burst: found 0, expected at least 1");
	if (o->max_connections == 0)
		return err_set(err, ERR_INVALID, "--max-connections: found 0, expected at least 1");
	if (o->app.resync_ms < 1000)
		return err_set(err, ERR_INVALID, "--resync: expected at least 1s");
	if (check_namespaces(&o->namespaces, err) != 0 || check_selector(o->app.selector, err) != 0)
		return err->code;
	return check_url(o->app.public_url, err);
}

void serve_options_init(void *out)
{
	*(struct serve_options *)out = (struct serve_options){
		.listen = ":8080",
		.admin_listen = ":8081",
		.app.data_dir = "/var/lib/buildhook",
		.app.backend = "auto",
		.app.journal_size_bytes = 1024 * 1024 * 1024,
		.max_body = 25 * 1024 * 1024,
		.app.max_buffer_bytes = 32 * 1024 * 1024,
		.max_connections = 1000,
		.app.start_timeout_ms = 4000,
		.app.give_up_ms = 24 * 3600 * 1000LL,
		.app.dedupe_window_ms = 72 * 3600 * 1000LL,
		.app.rotation_grace_ms = 24 * 3600 * 1000LL,
		.app.secret_ttl_ms = 30 * 1000,
		.app.status_interval_ms = 5000,
		.app.resync_ms = 3600 * 1000,
		.app.build_burst = 5,
		.app.builds_per_minute = 12,
		.app.provision = true,
		.log_level = "info",
	};
}
