#include "deliver.h"

#include "base/mem.h"
#include "doc/json.h"

#include <stdio.h>

#define TIMEOUT_MS       15000
#define MAX_ANSWER_BYTES ((size_t)4 * 1024 * 1024)

static void read_answer(struct delivered *out)
{
	CLEANUP(json_freep) cJSON *doc = NULL;
	const char *kind, *text;

	(void)json_parse(&doc, buf_str(&out->answer.body), NULL);
	kind = json_str_at(doc, "kind");
	if (kind && strcmp(kind, "Build") == 0) {
		const char *name = json_str_at(doc, "metadata/name");

		(void)snprintf(out->build, sizeof(out->build), "%s", name ? name : "");
		(void)snprintf(out->text, sizeof(out->text), "started %s", out->build);
		return;
	}
	text = json_str_at(doc, "reason");
	(void)snprintf(out->reason, sizeof(out->reason), "%s", text ? text : "");
	text = json_str_at(doc, "message");
	if (text) {
		CLEANUP(buf_release) struct buf clean = BUF_INIT(sizeof(out->text) - 1);

		buf_put_clean(&clean, str_of(text), sizeof(out->text) - 8);
		(void)snprintf(out->text, sizeof(out->text), "%s", buf_text(&clean));
	} else {
		(void)snprintf(out->text, sizeof(out->text),
			       "status %d with a body that buildhook does not send (%s)",
			       out->answer.status, out->answer.content_type);
	}
}

int deliver(struct delivered *out, struct loop *loop, const char *url, const struct saved *saved,
	    struct str secret, int64_t wall_ms, bool is_dry_run, struct err *err)
{
	char **fields = saved_sign(saved, secret, wall_ms);
	char media[100];
	size_t n = 0, n_values = 0;
	struct str type = saved_header(saved, "Content-Type", &n_values);
	const char **all;
	int code;

	while (fields[n])
		n++;
	all = mem_new(n + 2, sizeof(*all));
	for (size_t i = 0; i < n; i++)
		all[i] = fields[i];
	if (is_dry_run)
		all[n] = "X-Buildhook-Dry-Run: true";
	(void)snprintf(media, sizeof(media), "%.*s", STR_ARG(type));
	code = fetch(&out->answer, loop,
		     &(struct fetch_request){.method = "POST",
					     .url = url,
					     .body = saved->body,
					     .content_type = media,
					     .fields = all,
					     .timeout_ms = TIMEOUT_MS,
					     .max_bytes = MAX_ANSWER_BYTES},
		     err);
	mem_free(&all);
	saved_free_fields(&fields);
	if (code == 0 && out->answer.status > 0)
		read_answer(out);
	return code;
}

void delivered_release(struct delivered *delivered)
{
	fetch_release(&delivered->answer);
}

int deliver_check_url(const char *url, struct err *err)
{
	if (!url || strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0)
		return 0;
	return err_set(err, ERR_INVALID,
		       "--url: found \"%.100s\", expected https://HOST/PATH or http://HOST/PATH",
		       url);
}

void deliver_warn(const char *url, enum hook_type type)
{
	bool shows_token = type == HOOK_GITLAB || type == HOOK_GENERIC;
	bool is_local = strncmp(url, "http://127.", 11) == 0 ||
			strncmp(url, "http://[::1]", 12) == 0 ||
			strncmp(url, "http://localhost", 16) == 0;

	if (shows_token && strncmp(url, "http://", 7) == 0 && !is_local)
		(void)fputs("warning: the URL is http: everybody on the way can read the secret\n",
			    stderr);
}
