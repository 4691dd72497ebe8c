/* The bytes of an answer: status, headers, and a Build or a metav1.Status as body. */
#include "receiver/answer.h"

#include "base/mem.h"
#include "doc/json_cut.h"

/* Enough for most bodies. */
#define TYPICAL_BYTES 600

static const struct http_header json_type = {STR("Content-Type"), STR("application/json")};

/* Kubernetes' reasons for these codes, for answers without a reason of buildhook's. */
static const char *reason_of(int code)
{
	switch (code) {
	case 400:
		return "BadRequest";
	case 401:
		return "Unauthorized";
	case 404:
		return "NotFound";
	case 405:
		return "MethodNotAllowed";
	case 408:
		return "Timeout";
	case 413:
		return "RequestEntityTooLarge";
	case 414:
		return "RequestURITooLong";
	case 415:
		return "UnsupportedMediaType";
	case 417:
		return "ExpectationFailed";
	case 431:
		return "RequestHeaderFieldsTooLarge";
	case 503:
		return "ServiceUnavailable";
	case 505:
		return "HTTPVersionNotSupported";
	default:
		return code < 300 ? "Started" : "InternalError";
	}
}

void answer_put_status(struct buf *out, int code, const char *reason, const char *message)
{
	bool is_success = code < 300 && strcmp(reason, outcome_name(OUTCOME_FAILED)) != 0;

	if (!*reason)
		reason = reason_of(code);
	buf_put_str(out, STR("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},"));
	buf_put_str(out,
		    is_success ? STR("\"status\":\"Success\"") : STR("\"status\":\"Failure\""));
	buf_put_str(out, STR(",\"message\":"));
	buf_put_json(out, str_of(message));
	buf_put_str(out, STR(",\"reason\":"));
	buf_put_json(out, str_of(reason));
	buf_put_str(out, STR(",\"code\":"));
	buf_put_number(out, (uint64_t)code);
	buf_put_str(out, STR("}\n"));
}

const char *answer_error_body(struct buf *body, int status, const char *message)
{
	answer_put_status(body, status, "", message);
	return "application/json";
}

static size_t utf8_length(struct str s)
{
	size_t n = 1;

	while (n < s.n && n < 4 && ((uint8_t)s.p[n] & 0xc0) == 0x80)
		n++;
	return n;
}

static bool is_plain(char c)
{
	return c >= ' ' && c < 0x7f && c != '%';
}

static size_t count_plain(struct str s)
{
	return str_count_printable(str_range(s.p, str_find_char(s, '%')));
}

void answer_put_message(struct buf *out, struct str text)
{
	size_t room = ANSWER_MESSAGE_BYTES;

	while (text.n > 0) {
		size_t n = count_plain(str_range(text.p, text.n < room ? text.n : room));

		buf_put(out, text.p, n);
		room -= n;
		text = str_range(text.p + n, text.n - n);
		n = text.n > 0 ? utf8_length(text) : 0;
		if (n == 0 || 3 * n > room || is_plain(text.p[0]))
			return;
		for (size_t i = 0; i < n; i++)
			buf_printf(out, "%%%02X", (unsigned)(uint8_t)text.p[i]);
		room -= 3 * n;
		text = str_range(text.p + n, text.n - n);
	}
}

/* SHORT_ is the text of the header. */
static void send_status(struct http_request *request, int code, const char *reason,
			const char *message, const char *short_, const char *delivery)
{
	CLEANUP(buf_release) struct buf body = BUF_INIT(8 * ANSWER_MAX_BYTES);
	CLEANUP(buf_release) struct buf line = BUF_INIT(ANSWER_MESSAGE_BYTES + 1);
	struct http_header headers[5] = {json_type};
	size_t n = 1;

	buf_reserve(&body, TYPICAL_BYTES);
	answer_put_message(&line, str_of(short_));
	headers[n++] = (struct http_header){STR(ANSWER_MESSAGE_HEADER), buf_str(&line)};
	if (*delivery)
		headers[n++] = (struct http_header){STR("X-Buildhook-Delivery"), str_of(delivery)};
	if (code == 405)
		headers[n++] = (struct http_header){STR("Allow"), STR("POST")};
	if (code == 503)
		headers[n++] = (struct http_header){STR("Retry-After"), STR(RETRY_AFTER_SECONDS)};
	answer_put_status(&body, code, reason, message);
	http_respond(request, code, headers, n, buf_str(&body));
}

void answer_status(struct http_request *request, int code, const char *reason, const char *message,
		   const char *delivery)
{
	send_status(request, code, reason, message, message, delivery);
}

/* The header does not name the hook, so that it is the same for all hooks. */
void answer_refused(struct http_request *request, const char *type, struct str name)
{
	CLEANUP(buf_release) struct buf message = BUF_INIT(ANSWER_MAX_BYTES);

	buf_printf(&message, "the webhook \"%s\" for \"%.*s\" did not accept your secret", type,
		   STR_ARG(name));
	send_status(request, 401, "", message.data, "the webhook did not accept your secret", "");
}

/* A Warning header's text as the Kubernetes API sends it: 299 - "...". */
static void put_warning(struct buf *out, const char *warning)
{
	buf_put_str(out, STR("299 - \""));
	for (const char *c = warning; *c; c++) {
		if (*c == '"' || *c == '\\')
			buf_put_char(out, '\\');
		buf_put_char(out, (unsigned char)*c < ' ' || *c == 0x7f ? ' ' : *c);
	}
	buf_put_char(out, '"');
}

void answer_build(struct http_request *request, const struct answer_build *build,
		  const char *delivery)
{
	CLEANUP(buf_release) struct buf body = BUF_INIT(build->json.n + 8 * ANSWER_MAX_BYTES);
	CLEANUP(buf_release)
	struct buf text = BUF_INIT(3 * ANSWER_MAX_BYTES * ANSWER_MAX_WARNINGS);
	CLEANUP(buf_release) struct buf line = BUF_INIT(ANSWER_MESSAGE_BYTES + 1);
	size_t ends[ANSWER_MAX_WARNINGS], begin = 0, n = 3;
	struct http_header headers[3 + ANSWER_MAX_WARNINGS] = {json_type};

	answer_put_message(&line, str_of(build->message));
	headers[1] = (struct http_header){STR(ANSWER_MESSAGE_HEADER), buf_str(&line)};
	headers[2] = (struct http_header){STR("X-Buildhook-Delivery"), str_of(delivery)};
	for (size_t i = 0; i < build->n_warnings; i++) {
		put_warning(&text, build->warnings[i]);
		ends[i] = text.len;
	}
	for (size_t i = 0; i < build->n_warnings; begin = ends[i++])
		headers[n++] = (struct http_header){STR("Warning"),
						    str_range(text.data + begin, ends[i] - begin)};
	if (build->json.n > 0)
		json_put_without(&body, build->json, "metadata", "managedFields");
	else
		answer_put_status(&body, 200, "", build->message);
	http_respond(request, 200, headers, n, buf_str(&body));
}
