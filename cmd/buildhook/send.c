/* `buildhook send`: sends a saved delivery, signed, to a webhook. */
#include "deliver.h"
#include "target.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdio.h>

#define MAX_URL_BYTES 4096

struct options {
	const char *url;
	bool dry_run;
};

static const struct flag flags[] = {
	{"url", FLAG_STRING, offsetof(struct options, url), "URL",
	 "the webhook's URL (default: the one that buildhook wrote)", NULL},
	{"dry-run", FLAG_BOOL, offsetof(struct options, dry_run), NULL,
	 "ask what would happen, and start nothing", NULL},
};
static const size_t n_flags = ARRAY_LEN(flags);

static int send(const struct invocation *in, struct session *session, struct err *err)
{
	const struct options *options = in->options;
	CLEANUP(target_release) struct target target = {0};
	CLEANUP(saved_release) struct saved saved = {0};
	CLEANUP(target_wipe) struct buf secret = BUF_INIT(8192);
	CLEANUP(buf_release) struct buf url = BUF_INIT(MAX_URL_BYTES);
	CLEANUP(delivered_release) struct delivered delivered = {0};
	enum hook_type type = HOOK_GITHUB;

	if (target_read(&target, session, in->args[0], err) != 0 ||
	    target_type(&type, &target, in->args[1], err) != 0 ||
	    saved_read(&saved, in->args[2], &type, err) != 0)
		return err->code;
	if (options->url)
		buf_put_str(&url, str_of(options->url));
	else
		target_put_url(&url, &target, type);
	if (url.len == 0 || url.data[0] == '/')
		return err_set(err, ERR_INVALID,
			       "buildhook does not know its public address; say where it is: --url "
			       "https://HOST%.120s",
			       buf_text(&url));
	if (target_read_secret(&secret, session, &target, type, err) != 0)
		return err->code;
	deliver_warn(url.data, type);
	if (deliver(&delivered, session_loop(session), url.data, &saved, buf_str(&secret),
		    clock_wall_ms(session_clock(session)), options->dry_run, err) != 0)
		return err->code;
	if (delivered.answer.status == 0)
		return err_set(err, ERR_UNAVAILABLE, "%s", delivered.answer.err.msg);
	printf("%d%s%s: %s\n", delivered.answer.status, *delivered.reason ? " " : "",
	       delivered.reason, delivered.text);
	if (*delivered.answer.warning)
		printf("Warning: %s\n", delivered.answer.warning);
	if (delivered.answer.status < 300)
		return 0;
	return err_set(err, ERR_INVALID, "the delivery was not taken");
}

static int run(const struct invocation *in)
{
	CLEANUP(session_freep) struct session *session = NULL;
	struct err err = {0};

	if (deliver_check_url(((const struct options *)in->options)->url, &err) != 0)
		return command_fail_usage(in, &err);
	if (session_open(&session, in, &err) != 0 || send(in, session, &err) != 0)
		return session_fail(session, &err);
	return EXIT_OK;
}

const struct command command_send = {
	.name = "send",
	.args = "NAME TYPE FILE",
	.summary = "sign and send a saved delivery: the push by hand",
	.about = "Signs the delivery saved in FILE with the secret of the webhook TYPE of "
		 "BuildConfig NAME, sends "
		 "it under a new id, and prints the answer. FILE has the headers, an empty line "
		 "and the body, as "
		 "the Git host's page of deliveries shows them, or the body alone; - is stdin.",
	.examples = "buildhook send cart github delivery.http\nbuildhook send cart github "
		    "payload.json --dry-run",
	.min_args = 3,
	.max_args = 3,
	.arg_kinds = {ARG_BUILDCONFIG, ARG_TYPE, ARG_FILE},
	.shared = FLAGS_CLUSTER,
	.flags = flags,
	.n_flags = &n_flags,
	.options_size = sizeof(struct options),
	.run = run,
};
