#include "receiver/answer.h"

#include "base/mem.h"

static const struct http_header json_type = {STR("Content-Type"), STR("application/json")};

/* What Kubernetes calls these codes where we have no word of our own. */
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
	buf_printf(out,
		   "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"%s\","
		   "\"message\":",
		   is_success ? "Success" : "Failure");
	buf_put_json(out, str_of(message));
	buf_put_str(out, STR(",\"reason\":"));
	buf_put_json(out, str_of(reason));
	buf_printf(out, ",\"code\":%d}\n", code);
}

const char *answer_error_body(struct buf *body, int status, const char *message)
{
	answer_put_status(body, status, "", message);
	return "application/json";
}

void answer_status(struct http_request *request, int code, const char *reason, const char *message,
		   const char *delivery)
{
	CLEANUP(buf_release) struct buf body = BUF_INIT(8 * ANSWER_MAX_BYTES);
	struct http_header headers[3] = {json_type};
	size_t n = 1;

	if (*delivery)
		headers[n++] = (struct http_header){STR("X-Buildhook-Delivery"), str_of(delivery)};
	if (code == 405)
		headers[n++] = (struct http_header){STR("Allow"), STR("POST")};
	if (code == 503)
		headers[n++] = (struct http_header){STR("Retry-After"), STR(RETRY_AFTER_SECONDS)};
	answer_put_status(&body, code, reason, message);
	http_respond(request, code, headers, n, buf_str(&body));
}

void answer_refused(struct http_request *request, const char *type, struct str name)
{
	CLEANUP(buf_release) struct buf message = BUF_INIT(ANSWER_MAX_BYTES);

	buf_printf(&message, "the webhook \"%s\" for \"%.*s\" did not accept your secret", type,
		   STR_ARG(name));
	answer_status(request, 401, "", message.data, "");
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

void answer_build(struct http_request *request, struct str json, const char *warning,
		  const char *delivery)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(4 * ANSWER_MAX_BYTES);
	struct http_header headers[3] = {json_type,
					 {STR("X-Buildhook-Delivery"), str_of(delivery)}};
	size_t n = 2;

	if (*warning) {
		put_warning(&text, warning);
		headers[n++] = (struct http_header){STR("Warning"), buf_str(&text)};
	}
	http_respond(request, 200, headers, n, json);
}
