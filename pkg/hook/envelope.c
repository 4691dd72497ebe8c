#include "hook/envelope.h"

#include "base/buf.h"
#include "base/mem.h"
#include "crypto/crypto.h"

#define QUOTED_BYTES 60
/* Longer than any media type with its parameters has a reason to be. */
#define MAX_MEDIA_BYTES 256

/*
 * The event header tells the hosts of a TYPE apart. Gitea sends those of Gogs and GitHub as well,
 * and Forgejo those of all three, so the order counts. Bitbucket's two kinds share theirs.
 */
static const struct host {
	enum hook_host host;
	enum hook_type type;
	const char *event_header;
	const char *push_events[2];
	const char *ping_event;
	const char *id_headers[2]; /* the first that is sent counts */
} hosts[] = {
	{.host = HOOK_HOST_FORGEJO,
	 .type = HOOK_GITHUB,
	 .event_header = "X-Forgejo-Event",
	 .push_events = {"push"},
	 .id_headers = {"X-Forgejo-Delivery"}},
	{.host = HOOK_HOST_GITEA,
	 .type = HOOK_GITHUB,
	 .event_header = "X-Gitea-Event",
	 .push_events = {"push"},
	 .id_headers = {"X-Gitea-Delivery"}},
	{.host = HOOK_HOST_GOGS,
	 .type = HOOK_GITHUB,
	 .event_header = "X-Gogs-Event",
	 .push_events = {"push"},
	 .id_headers = {"X-Gogs-Delivery"}},
	{.host = HOOK_HOST_GITHUB,
	 .type = HOOK_GITHUB,
	 .event_header = "X-GitHub-Event",
	 .push_events = {"push"},
	 .ping_event = "ping",
	 .id_headers = {"X-GitHub-Delivery"}},
	/* Idempotency-Key stays the same when a delivery is tried or sent again;
	 * X-Gitlab-Event-UUID and X-Gitlab-Webhook-UUID do not name a delivery. (GitLab docs,
	 * "Webhooks".) */
	{.host = HOOK_HOST_GITLAB,
	 .type = HOOK_GITLAB,
	 .event_header = "X-Gitlab-Event",
	 .push_events = {"Push Hook", "Tag Push Hook"},
	 .id_headers = {"Idempotency-Key", "webhook-id"}},
	{.host = HOOK_HOST_BITBUCKET_CLOUD,
	 .type = HOOK_BITBUCKET,
	 .event_header = "X-Event-Key",
	 .push_events = {"repo:push"},
	 .id_headers = {"X-Request-UUID"}},
	{.host = HOOK_HOST_BITBUCKET_DC,
	 .type = HOOK_BITBUCKET,
	 .event_header = "X-Event-Key",
	 .push_events = {"repo:refs_changed"},
	 .ping_event = "diagnostics:ping",
	 .id_headers = {"X-Request-Id"}},
	{.host = HOOK_HOST_GENERIC,
	 .type = HOOK_GENERIC,
	 .id_headers = {"Idempotency-Key", "webhook-id"}},
};

struct str hook_header(const struct hook_request *request, const char *name, size_t *n)
{
	size_t count = 0;
	struct str value = request->header(request->header_arg, name, &count);

	if (n)
		*n = count;
	return count ? value : STR("");
}

static bool is_sent(const struct hook_request *request, const char *header)
{
	return !str_empty(hook_header(request, header, NULL));
}

static bool is_push(const struct host *host, struct str event)
{
	for (size_t i = 0; i < ARRAY_LEN(host->push_events); i++)
		if (host->push_events[i] && str_eq(event, str_of(host->push_events[i])))
			return true;
	return false;
}

static bool is_ping(const struct host *host, struct str event)
{
	return host->ping_event && str_eq(event, str_of(host->ping_event));
}

/*
 * The events that count have names of their own. Of the others "repo:fork" might be either's; ids
 * in headers of these names are sent by Cloud alone. (Atlassian docs, "Event payloads" of either.)
 */
static bool is_bitbucket(const struct hook_request *request, const struct host *host,
			 struct str event)
{
	bool is_cloud = is_sent(request, "X-Hook-UUID") || is_sent(request, "X-Request-UUID");

	for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
		if (is_push(&hosts[i], event) || is_ping(&hosts[i], event))
			return host == &hosts[i];
	return is_cloud == (host->host == HOOK_HOST_BITBUCKET_CLOUD);
}

static const struct host *find_host(const struct hook_request *request)
{
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		const struct host *host = &hosts[i];
		struct str event;

		if (host->type != request->type)
			continue;
		if (!host->event_header)
			return host;
		event = hook_header(request, host->event_header, NULL);
		if (!str_empty(event) &&
		    (request->type != HOOK_BITBUCKET || is_bitbucket(request, host, event)))
			return host;
	}
	return NULL;
}

static void report(struct err *problem, const char *what, struct str found, const char *expected)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(128);

	buf_put_clean(&text, found, QUOTED_BYTES);
	err_set(problem, ERR_INVALID, "%s \"%s\"%s, expected %s", what, text.len ? text.data : "",
		found.n > QUOTED_BYTES ? "..." : "", expected);
}

static const char *const event_expected[HOOK_TYPES] = {
	[HOOK_GITHUB] = "no event header: expected that of GitHub, Gitea, Forgejo or Gogs",
	[HOOK_GITLAB] = "no event header: expected X-Gitlab-Event",
	[HOOK_BITBUCKET] = "no event header: expected X-Event-Key",
};

/* Words of letters, digits and ":._- ": any other event of a host's is one that does not build. */
static bool is_event_name(struct str event)
{
	for (size_t i = 0; i < event.n; i++) {
		char c = event.p[i];
		bool is_letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';

		if (!is_letter && !(c >= '0' && c <= '9') && (!c || !strchr(":._- ", c)))
			return false;
	}
	return event.n < sizeof(((struct hook_envelope *)NULL)->name);
}

static void read_event(struct hook_envelope *out, const struct hook_request *request,
		       const struct host *host)
{
	size_t n = 0;
	struct str event = hook_header(request, host->event_header, &n);

	if (n > 1) {
		err_set(&out->event_problem, ERR_INVALID, "%s is sent %zu times, expected once",
			host->event_header, n);
	} else if (!is_event_name(event)) {
		report(&out->event_problem, host->event_header, event, "the name of an event");
	} else {
		memcpy(out->name, event.p, event.n);
		out->name[event.n] = 0;
	}
	out->kind = is_push(host, event)   ? DELIVERY_PUSH
		    : is_ping(host, event) ? DELIVERY_PING
					   : DELIVERY_OTHER;
}

static struct str unquoted(struct str s)
{
	bool is_quoted = s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"';

	return is_quoted ? str_range(s.p + 1, s.n - 2) : s;
}

/* RFC 8259, 8.1: JSON is UTF-8. Parameters other than charset mean nothing to us. */
static bool is_charset_wrong(struct str parameters)
{
	struct str one;

	while (str_next_part(&parameters, ';', &one)) {
		size_t eq = str_find_char(one, '=');
		struct str name = str_trim(str_range(one.p, eq));
		struct str value = str_range(one.p + eq, one.n - eq);

		if (!str_eq_nocase(name, STR("charset")))
			continue;
		value = unquoted(str_trim(str_without_prefix(value, STR("="))));
		if (!str_eq_nocase(value, STR("utf-8")) && !str_eq_nocase(value, STR("utf8")))
			return true;
	}
	return false;
}

static enum hook_media media_of(struct str type)
{
	static const struct {
		struct str name;
		enum hook_media media;
	} known[] = {
		{STR("application/json"), HOOK_MEDIA_JSON},
		{STR("application/yaml"), HOOK_MEDIA_YAML},
		{STR("application/x-www-form-urlencoded"), HOOK_MEDIA_FORM},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_eq_nocase(type, known[i].name))
			return known[i].media;
	return HOOK_MEDIA_OTHER;
}

static const char *media_expected(const struct hook_request *request)
{
	if (request->type == HOOK_GITHUB)
		return "application/json or application/x-www-form-urlencoded";
	if (request->type == HOOK_GENERIC)
		return "application/json or application/yaml";
	return "application/json";
}

static bool is_taken(const struct hook_request *request, enum hook_media media)
{
	return media == HOOK_MEDIA_JSON ||
	       (media == HOOK_MEDIA_FORM && request->type == HOOK_GITHUB) ||
	       (media == HOOK_MEDIA_YAML && request->type == HOOK_GENERIC);
}

static void read_media(struct hook_envelope *out, const struct hook_request *request)
{
	size_t n = 0;
	struct str value = hook_header(request, "Content-Type", &n);
	size_t end = str_find_char(value, ';');
	enum hook_media media = media_of(str_trim(str_range(value.p, end)));
	const char *expected = media_expected(request);

	if (n > 1)
		err_set(&out->media_problem, ERR_INVALID,
			"Content-Type is sent %zu times, expected once, %s", n, expected);
	else if (str_empty(value))
		err_set(&out->media_problem, ERR_INVALID, "no Content-Type, expected %s", expected);
	else if (value.n > MAX_MEDIA_BYTES || !is_taken(request, media))
		report(&out->media_problem, "Content-Type", value, expected);
	else if (is_charset_wrong(str_range(value.p + end, value.n - end)))
		report(&out->media_problem, "Content-Type", value, "charset utf-8");
	else
		out->media = media;
}

/* An id that is too long to be stored as it is, or no printable ASCII, goes by its digest. */
static void copy_id(char *out, struct str id)
{
	unsigned char digest[CRYPTO_SHA256_BYTES];
	bool is_plain = id.n <= HOOK_MAX_ID_BYTES;

	for (size_t i = 0; i < id.n && is_plain; i++)
		is_plain = id.p[i] > 0x20 && id.p[i] < 0x7f;
	if (is_plain) {
		memcpy(out, id.p, id.n);
		out[id.n] = 0;
		return;
	}
	crypto_sha256(digest, &id, 1);
	crypto_hex(out, digest, sizeof(digest));
}

static void read_id(struct hook_envelope *out, const struct hook_request *request,
		    const struct host *host)
{
	for (size_t i = 0; i < ARRAY_LEN(host->id_headers); i++) {
		struct str id = STR("");

		if (host->id_headers[i])
			id = hook_header(request, host->id_headers[i], NULL);
		if (!str_empty(id)) {
			copy_id(out->delivery_id, id);
			return;
		}
	}
}

void hook_envelope_read(struct hook_envelope *out, const struct hook_request *request)
{
	static const enum hook_host named_after[HOOK_TYPES] = {
		[HOOK_GITHUB] = HOOK_HOST_GITHUB,
		[HOOK_GITLAB] = HOOK_HOST_GITLAB,
		[HOOK_BITBUCKET] = HOOK_HOST_BITBUCKET_CLOUD,
		[HOOK_GENERIC] = HOOK_HOST_GENERIC,
	};
	const struct host *host = find_host(request);

	*out = (struct hook_envelope){.kind = DELIVERY_OTHER};
	out->prover = host ? host->host : named_after[request->type];
	read_media(out, request);
	if (!host) {
		err_set(&out->event_problem, ERR_INVALID, "%s", event_expected[request->type]);
		return;
	}
	out->host = host->host;
	read_id(out, request, host);
	if (host->event_header) {
		read_event(out, request, host);
	} else {
		out->kind = DELIVERY_PUSH;
		memcpy(out->name, "generic", sizeof("generic"));
	}
}

bool hook_is_unsigned_ping(const struct hook_request *request)
{
	const struct host *host = find_host(request);

	return host && host->host == HOOK_HOST_BITBUCKET_DC &&
	       is_ping(host, hook_header(request, host->event_header, NULL)) &&
	       !is_sent(request, "X-Hub-Signature");
}
