/* Sends to a Git host, for `buildhook register`, and says what a refusal means. */
#include "git_talk.h"

#include "base/mem.h"
#include "net/loop.h"

#define MAX_ANSWER_BYTES ((size_t)4 * 1024 * 1024)
#define TIMEOUT_MS       30000

void git_talk_init(struct git_talk *talk, struct session *session)
{
	*talk = (struct git_talk){
		.session = session,
		.api = BUF_INIT(2048),
		.token_field = BUF_INIT(2 * GIT_MAX_TOKEN_BYTES),
		.hooks = BUF_INIT(GIT_MAX_PATH_BYTES),
		.body = BUF_INIT(MAX_ANSWER_BYTES),
		.location = BUF_INIT(GIT_MAX_SHOWN_BYTES),
	};
}

void git_talk_free_client(struct http_client **client)
{
	http_client_free(*client);
	*client = NULL;
}

void git_talk_release(struct git_talk *talk)
{
	git_talk_free_client(&talk->client);
	buf_release(&talk->api);
	buf_wipe(&talk->token_field);
	buf_release(&talk->hooks);
	buf_release(&talk->body);
	buf_release(&talk->location);
}

static void on_answer(void *arg, const struct http_client_answer *answer)
{
	struct git_talk *talk = arg;

	talk->status = answer->is_cut ? 0 : answer->status;
	talk->err = answer->err;
	buf_clear(&talk->body);
	buf_put_str(&talk->body, answer->body);
	buf_clear(&talk->location);
	buf_put_clean(&talk->location, http_client_field(answer, "Location"), GIT_MAX_SHOWN_BYTES);
	loop_stop(session_loop(talk->session));
}

int git_talk_send(struct git_talk *talk, struct http_client *client, const char *method,
		  const char *path, struct str body, const char *const *fields, struct err *err)
{
	const struct http_client_request request = {
		.method = method,
		.path = path,
		.body = body,
		.content_type = body.n ? "application/json" : NULL,
		.accept =
			talk->host && talk->host->accept ? talk->host->accept : "application/json",
		.fields = fields,
		.timeout_ms = TIMEOUT_MS,
		.max_bytes = MAX_ANSWER_BYTES,
	};

	http_client_start(client, &request, on_answer, talk);
	loop_run(session_loop(talk->session));
	if (talk->status == 0) {
		*err = talk->err;
		return err->code;
	}
	return 0;
}

int git_talk_client(struct http_client **out, struct git_talk *talk, const char *url,
		    struct err *err)
{
	const struct http_client_options options = {.what = "the Git host", .url = url};

	return http_client_new(out, session_loop(talk->session), &options, err);
}

/* The error message in a Git host's answer, or "": each host has its own member for it. */
static const char *failure_text(const cJSON *doc)
{
	static const char *const paths[] = {"message", "error/message", "error_description",
					    "error"};
	const cJSON *first = json_member(doc, "errors");

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		const char *text = json_str_at(doc, paths[i]);

		if (text && *text)
			return text;
	}
	first = first ? first->child : NULL;
	return first && json_str_at(first, "message") ? json_str_at(first, "message") : "";
}

static int explain_failure(const struct git_talk *talk, const char *what, struct err *err)
{
	CLEANUP(json_freep) cJSON *doc = NULL;
	CLEANUP(buf_release) struct buf text = BUF_INIT(512);
	struct err ignored = {0};

	if (json_parse(&doc, buf_str(&talk->body), &ignored) == 0)
		buf_put_clean(&text, str_of(failure_text(doc)), GIT_MAX_SHOWN_BYTES);
	if (talk->status >= 300 && talk->status <= 399)
		return err_set(
			err, ERR_INVALID,
			"%s: %s answered %d, a redirect to \"%s\". It is not followed, for it "
			"would take your token along: if the API is there, say so with "
			"--api-url",
			what, talk->host->title, talk->status, buf_text(&talk->location));
	if (talk->status == 401 || talk->status == 403 || talk->status == 404)
		return err_set(err, ERR_DENIED,
			       "%s: %s answered %d%s%s. The repository is %s; it needs %s", what,
			       talk->host->title, talk->status, text.len ? ": " : "",
			       buf_text(&text), talk->repository.path, talk->host->rights);
	return err_set(err, ERR_INTERNAL, "%s: %s answered %d%s%s", what, talk->host->title,
		       talk->status, text.len ? ": " : "", buf_text(&text));
}

int git_talk_call(struct git_talk *talk, cJSON **doc, const char *what, const char *method,
		  const char *path, const cJSON *body, struct err *err)
{
	CLEANUP(buf_wipe) struct buf text = BUF_INIT(64 * 1024);
	const char *const fields[] = {talk->token_field.data, NULL};

	if (body)
		json_format(&text, body);
	if (git_talk_send(talk, talk->client, method, path, buf_str(&text), fields, err) != 0)
		return err->code;
	if (talk->status < 200 || talk->status > 299)
		return explain_failure(talk, what, err);
	if (doc && json_parse(doc, buf_str(&talk->body), err) != 0)
		return err_wrap(err, "%s: the answer of %s", what, talk->host->title);
	return 0;
}
