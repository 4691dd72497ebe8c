/* Reading of the headers: event, media type, id and owner of the hook. */
#include "hook/envelope.h"

#include "base/buf.h"
#include "base/mem.h"
#include "crypto/crypto.h"

#define QUOTED_BYTES 60
/* No media type with its parameters needs more. */
#define MAX_MEDIA_BYTES 256

static void report(struct err *problem, const char *what, struct str found, const char *expected)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(128);

	buf_put_clean(&text, found, QUOTED_BYTES);
	err_set(problem, ERR_INVALID, "%s \"%s\"%s, expected %s", what, buf_text(&text),
		found.n > QUOTED_BYTES ? "..." : "", expected);
}

/* Of letters, digits, spaces and ":._-". The name is shown to users. */
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
		       const struct hook_host *host)
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
	out->kind = hook_host_pushes(host, event)  ? DELIVERY_PUSH
		    : hook_host_pings(host, event) ? DELIVERY_PING
						   : DELIVERY_OTHER;
}

static struct str unquoted(struct str s)
{
	bool is_quoted = s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"';

	return is_quoted ? str_range(s.p + 1, s.n - 2) : s;
}

/* RFC 8259, 8.1: JSON is UTF-8. Other parameters are ignored. */
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

static void read_media(struct hook_envelope *out, const struct hook_request *request)
{
	size_t n = 0;
	struct str value = hook_header(request, "Content-Type", &n);
	size_t end = str_find_char(value, ';');
	enum hook_media media = media_of(str_trim(str_range(value.p, end)));
	const char *expected = out->prover->media;
	bool is_taken = media == HOOK_MEDIA_JSON ||
			(media == HOOK_MEDIA_FORM && out->prover->takes_form) ||
			(media == HOOK_MEDIA_YAML && out->prover->takes_yaml);

	if (n > 1)
		err_set(&out->media_problem, ERR_INVALID,
			"Content-Type is sent %zu times, expected once, %s", n, expected);
	else if (str_empty(value))
		err_set(&out->media_problem, ERR_INVALID, "no Content-Type, expected %s", expected);
	else if (value.n > MAX_MEDIA_BYTES || !is_taken)
		report(&out->media_problem, "Content-Type", value, expected);
	else if (is_charset_wrong(str_range(value.p + end, value.n - end)))
		report(&out->media_problem, "Content-Type", value, "charset utf-8");
	else
		out->media = media;
	/* Which bytes of a form are signed does not depend on whether its payload can be read. */
	if (media == HOOK_MEDIA_FORM)
		out->media = media;
}

/* An id that is too long to be stored, or not printable ASCII, is replaced by its digest. */
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

/* A hook of an organisation, a user or the whole host sends pushes of all their repositories.
 * (Gitea's source, services/webhook/deliver.go; GitHub docs, "Webhook events and payloads".) */
static const char *read_owner(const struct hook_request *request, const struct hook_host *host)
{
	for (size_t i = 0; i < ARRAY_LEN(host->target_headers); i++) {
		struct str target = STR("");

		if (host->target_headers[i])
			target = hook_header(request, host->target_headers[i], NULL);
		if (str_eq_nocase(target, STR("organization")))
			return "an organization's webhook";
		if (!str_empty(target))
			return str_eq_nocase(target, STR("repository"))
				       ? NULL
				       : "a webhook for several repositories";
	}
	return NULL;
}

static void read_id(struct hook_envelope *out, const struct hook_request *request,
		    const struct hook_host *host)
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
	const struct hook_host *host = hook_host_find(request);

	*out = (struct hook_envelope){.kind = DELIVERY_OTHER};
	out->host = host;
	out->prover = host ? host : hook_host_named(request->type);
	read_media(out, request);
	if (!host) {
		hook_host_report_absent(&out->event_problem, request->type);
		return;
	}
	read_id(out, request, host);
	out->hook_owner = read_owner(request, host);
	if (host->event_header) {
		read_event(out, request, host);
	} else {
		out->kind = DELIVERY_PUSH;
		memcpy(out->name, "generic", sizeof("generic"));
	}
}
