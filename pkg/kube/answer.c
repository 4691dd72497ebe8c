#include "kube/answer.h"

#include "base/mem.h"

#include <stdio.h>

#define MAX_MESSAGE_BYTES 200

static bool is_status(const cJSON *doc)
{
	const char *kind = json_str_at(doc, "kind");

	return kind && strcmp(kind, "Status") == 0;
}

static int code_of(int status, const char *reason)
{
	switch (status) {
	case 401:
	case 403:
		return ERR_DENIED;
	case 404:
		return ERR_NOTFOUND;
	case 409:
		return strcmp(reason, "AlreadyExists") == 0 ? ERR_EXISTS : ERR_CONFLICT;
	case 410:
		return ERR_EXPIRED;
	case 429:
		return ERR_LIMIT;
	case 408:
		return ERR_UNAVAILABLE;
	default:
		return status >= 400 && status < 500 ? ERR_INVALID : ERR_UNAVAILABLE;
	}
}

static void set_message(struct kube_response *out, int code, struct str message)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(1024);

	buf_put_clean(&text, message, MAX_MESSAGE_BYTES);
	err_set(&out->err, code, "%s", buf_text(&text));
}

/*
 * The API server's errors are Status objects, except a few that are written before its API
 * machinery: an unknown path ("404 page not found"), and 429 and 401 of its filters. Any other
 * error without a Status comes from something in between (a router), and says nothing about the
 * object.
 */
static void read_foreign(struct kube_response *out, const struct http_client_answer *answer)
{
	struct str type = answer->content_type;

	if (out->status == 404 && str_starts(answer->body, STR("404 page not found"))) {
		err_set(&out->err, ERR_NOTFOUND, "the server has no such path");
	} else if (out->status == 429 || out->status == 401) {
		err_set(&out->err, code_of(out->status, ""), "the server answered %d", out->status);
	} else {
		CLEANUP(buf_release) struct buf shown = BUF_INIT(256);

		buf_put_clean(&shown, type, 60);
		err_set(&out->err, ERR_UNAVAILABLE,
			"%d with a body that is no answer of an API server (media type \"%s\")",
			out->status, buf_text(&shown));
	}
}

static void read_status(struct kube_response *out, const cJSON *doc)
{
	const char *reason = json_str_at(doc, "reason");
	const char *message = json_str_at(doc, "message");
	int64_t seconds = json_int_at(doc, "details/retryAfterSeconds", -1);

	if (reason)
		(void)snprintf(out->reason, sizeof(out->reason), "%s", reason);
	if (out->retry_after_ms < 0 && seconds > 0)
		out->retry_after_ms = seconds < HTTP_CLIENT_MAX_RETRY_AFTER_MS / 1000
					      ? seconds * 1000
					      : HTTP_CLIENT_MAX_RETRY_AFTER_MS;
	set_message(out, code_of(out->status, out->reason),
		    message && *message ? str_of(message) : str_of(out->reason));
}

void answer_read(struct kube_response *out, const struct http_client_answer *answer,
		 const cJSON *doc, bool wants_doc, int64_t now_ms)
{
	bool is_success = answer->status >= 200 && answer->status < 300;

	*out = (struct kube_response){.status = answer->status};
	out->retry_after_ms = http_client_retry_after(answer->retry_after, now_ms);
	out->text = answer->body;
	out->doc = doc;
	if (answer->status == 0 || answer->is_cut) {
		out->err = answer->err;
		if (out->err.code == ERR_OK)
			err_set(&out->err, ERR_UNAVAILABLE, "the connection broke off");
	} else if (is_success) {
		if (wants_doc && !cJSON_IsObject(doc))
			read_foreign(out, answer);
	} else if (is_status(doc)) {
		read_status(out, doc);
	} else {
		read_foreign(out, answer);
	}
	out->is_uncertain = (answer->status == 0 && !answer->is_unsent) || answer->is_cut ||
			    answer->status >= 500 || answer->status == 408 ||
			    (is_success && out->err.code != ERR_OK);
}
