/*
 * `buildhook test`: a signed sample delivery to a hook's URL, from outside in. Each step
 * presupposes those before it, so the first that fails is what is to be mended.
 */
#include "deliver.h"
#include "remote.h"
#include "sample.h"
#include "table.h"
#include "target.h"
#include "usage.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

#define MAX_URL_BYTES  4096
#define MAX_LINE_BYTES 4096
#define ROOT_MS        15000
/* How long buildhook is given to make a Secret that it finds missing. */
#define REMADE_MS 10000
/* buildhook looks at a Secret at most once a second. */
#define REMADE_STEP_MS 1200
/* The commit of a dry run whose commit is not known. */
#define NO_COMMIT "0000000000000000000000000000000000000001"

struct options {
	const char *ref, *commit, *url;
	bool dry_run;
};

static const struct flag flags[] = {
	{"ref", FLAG_STRING, offsetof(struct options, ref), "R",
	 "pushed ref (default: spec.source.git.ref, else main)", NULL},
	{"commit", FLAG_STRING, offsetof(struct options, commit), "C",
	 "its commit, 40 hex digits (default: what the repository says)", NULL},
	{"url", FLAG_STRING, offsetof(struct options, url), "URL",
	 "the webhook's URL (default: the one that buildhook wrote)", NULL},
	{"dry-run", FLAG_BOOL, offsetof(struct options, dry_run), NULL, "start no build", NULL},
};
static const size_t n_flags = ARRAY_LEN(flags);

/* One run of the command. */
struct trial {
	const struct invocation *in;
	const struct options *options;
	struct session *session;
	struct target target;
	enum hook_type type;
	struct buf url, ref, secret;
	struct err no_secret; /* why SECRET is empty */
	char commit[REMOTE_COMMIT_CHARS + 1];
};

enum mark { MARK_YES, MARK_NO, MARK_SKIPPED };

__attribute__((format(printf, 3, 4))) static void step(enum mark mark, const char *name,
						       const char *fmt, ...)
{
	static const char *const words[] = {"ok", "FAIL", "-"};
	static const enum table_colour colours[] = {TABLE_GOOD, TABLE_BAD, TABLE_FAINT};
	CLEANUP(buf_release) struct buf line = BUF_INIT(MAX_LINE_BYTES);
	char text[MAX_LINE_BYTES / 2];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	usage_put_wrapped(&line, text, 26, 26);
	printf("%s%-4s%s  %-18s  %s\n", table_colour_start(colours[mark]), words[mark],
	       table_colour_end(), name, buf_text(&line));
	(void)fflush(stdout);
}

/* Tries address, name, connection and certificate, and whether buildhook answers, by a GET of the
 * root. */
static bool try_root(struct trial *t, struct err *err)
{
	CLEANUP(fetch_release) struct fetch_answer answer = {0};
	CLEANUP(mem_free) char *root = NULL;
	const char *hooks = strstr(t->url.data, "/hooks/");
	bool is_https = strncmp(t->url.data, "https://", 8) == 0;

	if (!hooks)
		hooks = strstr(t->url.data, "/apis/build.openshift.io/");
	root = hooks ? mem_strndup(t->url.data, (size_t)(hooks - t->url.data) + 1)
		     : mem_strdup(t->url.data);
	if (fetch(&answer, session_loop(t->session),
		  &(struct fetch_request){
			  .method = "GET", .url = root, .timeout_ms = ROOT_MS, .max_bytes = 65536},
		  err) != 0)
		return false;
	if (answer.status == 0 && answer.stage == HTTP_CLIENT_NAME) {
		step(MARK_NO, "name resolves",
		     "%s. Is the host in the URL right, and known where you are?", answer.err.msg);
		return false;
	}
	step(MARK_YES, "name resolves", "%s", *answer.address ? answer.address : "to an address");
	if (answer.status == 0 && answer.stage == HTTP_CLIENT_CONNECT) {
		step(MARK_NO, "server connects",
		     "%s. Does a Route, Ingress or Service lead there, and does a firewall stand "
		     "between?",
		     answer.err.msg);
		return false;
	}
	step(MARK_YES, "server connects", "%s", answer.address);
	if (answer.status == 0 && answer.stage == HTTP_CLIENT_TLS) {
		step(MARK_NO, "certificate", "%s. Git hosts fail here, too", answer.err.msg);
		return false;
	}
	if (is_https)
		step(MARK_YES, "certificate", "good%s%s", *answer.not_after ? " until " : "",
		     answer.not_after);
	else
		step(MARK_SKIPPED, "certificate", "none: the URL is http");
	if (answer.status != 200 || !str_contains(buf_str(&answer.body), STR("buildhook"))) {
		if (answer.status == 0)
			step(MARK_NO, "buildhook answers", "%s", answer.err.msg);
		else
			step(MARK_NO, "buildhook answers",
			     "something else answers there, with status %d. Is it the address of "
			     "another "
			     "server, or has the router no buildhook behind it?",
			     answer.status);
		return false;
	}
	step(MARK_YES, "buildhook answers", "%s", root);
	return true;
}

static int post(struct trial *t, struct delivered *out, bool is_dry_run, struct err *err)
{
	CLEANUP(saved_release) struct saved saved = {0};
	CLEANUP(buf_release) struct buf body = BUF_INIT(65536);

	sample_put(&body, &(struct sample){.type = t->type,
					   .uri = t->target.bc->git_uri,
					   .ref = t->ref.data,
					   .commit = *t->commit ? t->commit : NO_COMMIT});
	saved_make(&saved, t->type, buf_str(&body));
	return deliver(out, session_loop(t->session), t->url.data, &saved,
		       t->no_secret.code ? STR("none") : buf_str(&t->secret),
		       clock_wall_ms(session_clock(t->session)), is_dry_run, err);
}

/* Sends a delivery with another secret. That makes buildhook read the Secret, and make it or its
 * value if it is gone. */
static void explain_no_secret(struct trial *t)
{
	struct clock *clock = session_clock(t->session);
	int64_t until_ms = clock_mono_ms(clock) + REMADE_MS;
	struct err ignored = {0};

	while (clock_mono_ms(clock) < until_ms) {
		CLEANUP(delivered_release) struct delivered d = {0};

		session_wait(t->session, REMADE_STEP_MS);
		if (target_read_secret(&t->secret, t->session, &t->target, t->type, &ignored) ==
		    0) {
			step(MARK_NO, "proof holds",
			     "the secret was gone or empty. buildhook has now made a new value: "
			     "`%s url %s %s --with-secret` prints it; paste it at the Git host, "
			     "and test again",
			     t->in->program, t->target.bc->name, hook_type_name(t->type));
			return;
		}
		(void)post(t, &d, true, &ignored);
	}
	target_release(&t->target);
	(void)target_read(&t->target, t->session, t->in->args[0], &ignored);
	step(MARK_NO, "proof holds", "%s. State: %s", t->no_secret.msg,
	     target_fact(&t->target, t->type, "state"));
}

/* True of an address that was given and leads elsewhere than to the webhook. */
static bool is_elsewhere(const struct trial *t)
{
	CLEANUP(buf_release) struct buf own = BUF_INIT(MAX_URL_BYTES);
	CLEANUP(buf_release) struct buf openshift = BUF_INIT(MAX_URL_BYTES);
	const char *namespace_ = session_namespace(t->session), *name = t->target.bc->name;

	buf_printf(&own, "/hooks/%s/%s/%s", namespace_, name, hook_type_name(t->type));
	buf_printf(&openshift, "/namespaces/%s/buildconfigs/%s/webhooks/", namespace_, name);
	return !str_contains(buf_str(&t->url), buf_str(&own)) &&
	       !str_contains(buf_str(&t->url), buf_str(&openshift));
}

static void explain_address(const struct trial *t)
{
	step(MARK_NO, "proof holds",
	     "that is not the address of this webhook: it ends in /hooks/%s/%s/%s",
	     session_namespace(t->session), t->target.bc->name, hook_type_name(t->type));
}

/* A 401 does not say why, on purpose; the BuildConfig's annotations tell its owner. */
static void explain_refusal(const struct trial *t)
{
	const struct buildconfig_secret *secret = t->target.bc->hooks[t->type].secrets;
	const char *state = target_fact(&t->target, t->type, "state");

	step(MARK_NO, "proof holds",
	     "buildhook does not accept the secret%s%s. Either another buildhook answers there "
	     "that does not "
	     "watch this namespace, or the secret changed a moment ago: try again%s%s",
	     secret->kind == BUILDCONFIG_SECRET_INLINE ? "" : " of Secret ",
	     secret->kind == BUILDCONFIG_SECRET_INLINE ? "" : secret->text,
	     *state ? ". State: " : "", state);
}

static bool try_dry_run(struct trial *t, struct err *err)
{
	CLEANUP(delivered_release) struct delivered d = {0};

	if (post(t, &d, true, err) != 0)
		return false;
	if (d.answer.status >= 400 && d.answer.status < 500 && is_elsewhere(t)) {
		explain_address(t);
		return false;
	}
	if (d.answer.status == 401) {
		if (t->no_secret.code)
			explain_no_secret(t);
		else
			explain_refusal(t);
		return false;
	}
	if (d.answer.status == 0 || d.answer.status == 404 || d.answer.status >= 500) {
		step(MARK_NO, "proof holds", "cannot be checked now: %s",
		     d.answer.status ? d.text : d.answer.err.msg);
		return false;
	}
	step(MARK_YES, "proof holds", "the secret is the one that buildhook has");
	if (strcmp(d.reason, "DryRun") != 0) {
		step(MARK_NO, "rule matches", "%s: %s", d.reason, d.text);
		return false;
	}
	/* A dry run may have an invented commit, which the answer's text names, so that text is not
	 * shown. */
	step(MARK_YES, "rule matches", "a push of %s builds", t->ref.data);
	return true;
}

static bool try_build(struct trial *t, struct err *err)
{
	CLEANUP(delivered_release) struct delivered d = {0};

	if (t->options->dry_run) {
		step(MARK_SKIPPED, "build started", "not asked for (--dry-run)");
		return true;
	}
	if (!*t->commit) {
		step(MARK_SKIPPED, "build started",
		     "the commit of %s is not known: %s. --commit C builds it", t->ref.data,
		     err->msg);
		err->code = 0;
		return true;
	}
	if (post(t, &d, false, err) != 0)
		return false;
	if (*d.build)
		step(MARK_YES, "build started", "%s, of %.12s", d.build, t->commit);
	else if (d.answer.status == 202)
		step(MARK_YES, "build started", "not yet: %s", d.text);
	else
		step(MARK_NO, "build started", "%s %s", d.reason,
		     d.answer.status ? d.text : d.answer.err.msg);
	return *d.build || d.answer.status == 202;
}

static int prepare(struct trial *t, struct err *err)
{
	const struct options *o = t->options;
	const char *ref = o->ref ? o->ref : *t->target.bc->git_ref ? t->target.bc->git_ref : "main";

	if (target_type(&t->type, &t->target, t->in->args[1], err) != 0)
		return err->code;
	/* A missing Secret is reported at the step that needs it. */
	if (target_read_secret(&t->secret, t->session, &t->target, t->type, &t->no_secret) != 0 &&
	    t->no_secret.code != ERR_NOTFOUND) {
		*err = t->no_secret;
		return err->code;
	}
	buf_printf(&t->ref, "%s%s", strncmp(ref, "refs/", 5) == 0 ? "" : "refs/heads/", ref);
	if (o->url)
		buf_put_str(&t->url, str_of(o->url));
	else
		target_put_url(&t->url, &t->target, t->type);
	if (t->url.len == 0 || t->url.data[0] == '/')
		return err_set(err, ERR_INVALID,
			       "buildhook does not know its public address; say where it is: --url "
			       "https://HOST%.120s",
			       buf_text(&t->url));
	deliver_warn(t->url.data, t->type);
	return 0;
}

static int run_steps(struct trial *t, struct err *err)
{
	if (target_read(&t->target, t->session, t->in->args[0], err) != 0 || prepare(t, err) != 0)
		return err->code;
	printf("A push of %s to\n%s\n", t->ref.data, t->url.data);
	if (!try_root(t, err) || !try_dry_run(t, err))
		return err->code ? err->code : ERR_DENIED;
	if (t->options->commit)
		(void)snprintf(t->commit, sizeof(t->commit), "%s", t->options->commit);
	else if (!t->options->dry_run && remote_find(t->commit, session_loop(t->session),
						     t->target.bc->git_uri, t->ref.data, err) != 0)
		t->commit[0] = '\0';
	if (!try_build(t, err))
		return err->code ? err->code : ERR_DENIED;
	return 0;
}

static int check_commit(const char *commit, struct err *err)
{
	size_t n = commit ? strspn(commit, "0123456789abcdef") : 0;

	if (!commit || ((n == 40 || n == 64) && !commit[n]))
		return 0;
	return err_set(err, ERR_INVALID,
		       "--commit: found \"%.70s\", expected a whole commit id, 40 or 64 lower-case "
		       "hex digits",
		       commit);
}

static int run(const struct invocation *in)
{
	CLEANUP(session_freep) struct session *session = NULL;
	struct trial t = {.in = in,
			  .options = in->options,
			  .url = BUF_INIT(MAX_URL_BYTES),
			  .ref = BUF_INIT(1024),
			  .secret = BUF_INIT(8192)};
	struct err err = {0};
	int code;

	if (check_commit(t.options->commit, &err) != 0 ||
	    deliver_check_url(t.options->url, &err) != 0)
		return command_fail_usage(in, &err);
	code = session_open(&session, in, &err);
	t.session = session;
	if (code == 0)
		code = run_steps(&t, &err);
	target_release(&t.target);
	target_wipe(&t.secret);
	buf_release(&t.url);
	buf_release(&t.ref);
	if (code == 0)
		return EXIT_OK;
	/* The step that failed has said why. */
	return err.code ? session_fail(session, &err) : EXIT_FAILED;
}

const struct command command_test = {
	.name = "test",
	.args = "NAME TYPE",
	.summary = "try a webhook from outside in, and mark each step",
	.about = "Sends a signed sample delivery to the URL of webhook TYPE of BuildConfig NAME "
		 "and marks each step: "
		 "the name resolves, the server connects, the certificate is good, buildhook "
		 "answers, the proof "
		 "holds, a rule matches, a build was started.\n\nIt builds --commit, else the "
		 "commit that the "
		 "repository says the ref is at; where neither is known it stays a dry run.",
	.examples = "buildhook test cart github --dry-run\nbuildhook test cart github --ref main",
	.min_args = 2,
	.max_args = 2,
	.arg_kinds = {ARG_BUILDCONFIG, ARG_TYPE},
	.shared = FLAGS_CLUSTER,
	.flags = flags,
	.n_flags = &n_flags,
	.options_size = sizeof(struct options),
	.run = run,
};
