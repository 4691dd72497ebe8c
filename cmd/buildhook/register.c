/* `buildhook register`: makes or mends the webhook at the Git host, through the host's API. */
#include "git_origin.h"
#include "git_token.h"
#include "prompt.h"
#include "target.h"
#include "view.h"

#include "base/clock.h"
#include "base/mem.h"

#include <assert.h>
#include <stdio.h>

#define MAX_HOOKS 16
#define MAX_PAGES 20
#define PROOF_MS  20000
#define POLL_MS   500
/* buildhook writes a delivery to the BuildConfig within --status-interval (5 s), and the write
 * itself takes some time. */
#define SETTLE_MS 8000
/* Refused requests alone are written so often. */
#define REFUSED_INTERVAL_MS 60000
#define CLOCKS_APART_MS     2000

struct options {
	const char *host, *api_url, *token_file;
	bool check, remove, yes;
};

static const struct flag flags[] = {
	{"host", FLAG_STRING, offsetof(struct options, host), "KIND",
	 "github, gitlab, gitea, forgejo, gogs, bitbucket or bitbucket-dc (default: by the clone "
	 "URL)",
	 NULL},
	{"api-url", FLAG_STRING, offsetof(struct options, api_url), "URL",
	 "the host's API, https://git.example.com/api/v1 (default: by the host)", NULL},
	{"token-file", FLAG_STRING, offsetof(struct options, token_file), "FILE",
	 "holds your token (default: $BUILDHOOK_TOKEN, else you are asked)", NULL},
	{"check", FLAG_BOOL, offsetof(struct options, check), NULL,
	 "only compare, and prove the secret where the host can send a test", NULL},
	{"remove", FLAG_BOOL, offsetof(struct options, remove), NULL, "take the webhook away",
	 NULL},
	{"yes", FLAG_BOOL | FLAG_SHORT('y'), offsetof(struct options, yes), NULL,
	 "remove without asking", NULL},
};
static const size_t n_flags = ARRAY_LEN(flags);

/* The hooks that are there. */

/* Adds the hooks of LIST that are for this BuildConfig to OUT, which holds N already. */
static int pick_ours(struct git_talk *talk, const cJSON *list, const struct buildconfig *bc,
		     enum hook_type type, struct git_hook out[MAX_HOOKS], size_t *n,
		     struct err *err)
{
	const cJSON *item = NULL;

	cJSON_ArrayForEach (item, list) {
		struct git_hook hook = {0};

		talk->host->read(&hook, item);
		if (*n == MAX_HOOKS || !git_hook_is_ours(hook.url, bc->namespace_, bc->name, type))
			continue;
		if (!*hook.id)
			return err_set(err, ERR_INVALID,
				       "list webhooks: %s answered with a webhook that has no "
				       "usable id",
				       talk->host->title);
		out[(*n)++] = hook;
	}
	return 0;
}

static int list_ours(struct git_talk *talk, const struct buildconfig *bc, enum hook_type type,
		     struct git_hook out[MAX_HOOKS], size_t *n, struct err *err)
{
	size_t page_size = talk->host->page_size;

	*n = 0;
	for (int page = 1; page <= MAX_PAGES; page++) {
		CLEANUP(json_freep) cJSON *doc = NULL;
		CLEANUP(buf_release) struct buf path = BUF_INIT(GIT_MAX_PATH_BYTES);
		const cJSON *list;

		buf_printf(&path, "%s%s", talk->hooks.data, talk->host->query);
		if (page_size)
			buf_printf(&path, "%d", page);
		if (git_talk_call(talk, &doc, "list webhooks", "GET", path.data, NULL, err) != 0)
			return err->code;
		list = talk->host->list_member ? json_member(doc, talk->host->list_member) : doc;
		if (!cJSON_IsArray(list))
			return err_set(err, ERR_INVALID,
				       "list webhooks: the answer of %s is no list of webhooks; "
				       "expected its API at %s",
				       talk->host->title, talk->api.data);
		if (pick_ours(talk, list, bc, type, out, n, err) != 0)
			return err->code;
		if (!page_size || (size_t)cJSON_GetArraySize(list) < page_size)
			return 0;
	}
	/* A webhook of this BuildConfig may be on a later page, and a second one would build each
	 * push twice. */
	return err_set(err, ERR_LIMIT, "%s lists over %zu webhooks of %s: remove some there",
		       talk->host->title, MAX_PAGES * page_size, talk->repository.path);
}

/* "https://hooks.example.com/.../webhooks/SECRET/github": the secret in it is not shown. */
static void put_shown_url(struct buf *out, const char *url)
{
	const char *secret = strstr(url, "/webhooks/");
	const char *end = secret ? strchr(secret + 10, '/') : NULL;

	if (end) {
		buf_put_clean(out, str_range(url, (size_t)(secret + 10 - url)), 2048);
		buf_put_str(out, STR("<secret>"));
		url = end;
	}
	buf_put_clean(out, str_of(url), 2048);
}

static int refuse_several(const struct git_talk *talk, const struct git_hook *hooks, size_t n,
			  struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		CLEANUP(buf_release) struct buf url = BUF_INIT(4096);

		put_shown_url(&url, hooks[i].url);
		(void)fprintf(stderr, "%s  %s\n", hooks[i].id, url.data);
	}
	return err_set(
		err, ERR_EXISTS,
		"%zu webhooks at %s are for this BuildConfig: remove all but one there, and try "
		"again",
		n, talk->host->title);
}

/* Prints the differences; returns how many there are. */
static int print_differences(const struct git_talk *talk, const struct git_hook *hook,
			     const char *url)
{
	CLEANUP(buf_release) struct buf shown = BUF_INIT(4096);
	int n = 0;

	put_shown_url(&shown, hook->url);
	if (strcmp(hook->url, url) != 0) {
		printf("  URL             %s; expected %s\n", shown.data, url);
		n++;
	}
	if (!hook->is_active && ++n)
		printf("  active          no; expected yes\n");
	if (!hook->is_json && ++n)
		printf("  content type    form; expected application/json\n");
	if (!hook->verifies_tls && ++n)
		printf("  TLS             not verified; expected to be verified\n");
	if (!hook->sends_pushes && ++n)
		printf("  events          no %s; expected it\n", talk->host->event);
	if (hook->sends_more && ++n)
		printf("  events          more than %s; they start no builds\n", talk->host->event);
	if (*hook->branch_filter && strcmp(hook->branch_filter, "*") != 0) {
		buf_clear(&shown);
		buf_put_clean(&shown, str_of(hook->branch_filter), sizeof(hook->branch_filter));
		printf("  branch filter   %s (yours, left as it is)\n", buf_text(&shown));
	}
	return n;
}

static void put_hook_path(struct buf *out, const struct git_talk *talk, const struct git_hook *hook)
{
	buf_printf(out, "%s/", talk->hooks.data);
	/* Bitbucket's ids have braces. */
	for (const char *c = hook->id; *c; c++) {
		if (strchr("{}%/?# ", *c))
			buf_printf(out, "%%%02X", (unsigned char)*c);
		else
			buf_put_char(out, *c);
	}
}

static bool wants_tags(const struct target *target)
{
	const char *ref = json_str_at(target->answer.doc, "spec/source/git/ref");

	return strstr(target_annotation(target, "buildhook.io/refs"), "refs/tags/") ||
	       (ref && strncmp(ref, "refs/tags/", 10) == 0);
}

enum proof { PROOF_NOTHING_ARRIVED, PROOF_ACCEPTED, PROOF_REFUSED };

static int64_t time_of(const char *fact)
{
	struct str at, rest;
	int64_t ms = 0;

	view_split_time(str_of(fact), &at, &rest);
	(void)clock_parse_rfc3339(at, &ms);
	return ms;
}

/* "2026-...Z ping", or "2026-...Z test by ada". */
static bool is_of_test(const char *last)
{
	struct str at, rest;

	view_split_time(str_of(last), &at, &rest);
	rest.n = str_find_char(rest, ' ');
	return str_eq(rest, STR("ping")) || str_eq(rest, STR("test"));
}

/* How long a test may take to show, where REFUSED has been shown before. */
static int64_t patience_ms(const struct git_talk *talk, const char *refused)
{
	int64_t age_ms = clock_wall_ms(session_clock(talk->session)) - time_of(refused);

	return age_ms < REFUSED_INTERVAL_MS ? REFUSED_INTERVAL_MS + SETTLE_MS : PROOF_MS;
}

/*
 * No host tells a secret, so the host sends a delivery, and what buildhook writes of it to the
 * BuildConfig within LIMIT_MS says whether the proof held. A refusal may be an earlier one that
 * was written late, so the test has some more time to be accepted then.
 */
static int send_test(enum proof *out, struct git_talk *talk, struct target *target,
		     enum hook_type type, const struct git_hook *hook, int64_t limit_ms,
		     struct err *err)
{
	CLEANUP(buf_release) struct buf path = BUF_INIT(GIT_MAX_PATH_BYTES);
	CLEANUP(mem_free) char *name = mem_strdup(target->bc->name);
	CLEANUP(mem_free) char *last = mem_strdup(target_fact(target, type, "last"));
	CLEANUP(mem_free) char *refused = mem_strdup(target_fact(target, type, "refused"));
	int64_t sent_ms = clock_wall_ms(session_clock(talk->session));
	bool is_last_new = false;

	put_hook_path(&path, talk, hook);
	buf_put_str(&path, str_of(talk->host->test));
	if (git_talk_call(talk, NULL, "send a test", "POST", path.data, NULL, err) != 0)
		return err->code;
	*out = PROOF_NOTHING_ARRIVED;
	for (int64_t waited_ms = 0; waited_ms < limit_ms; waited_ms += POLL_MS) {
		const char *last_now, *refused_now;

		session_wait(talk->session, POLL_MS);
		target_release(target);
		if (target_read(target, talk->session, name, err) != 0)
			return err->code;
		last_now = target_fact(target, type, "last");
		refused_now = target_fact(target, type, "refused");
		is_last_new = strcmp(last, last_now) != 0;
		if (is_last_new && is_of_test(last_now))
			break;
		if (strcmp(refused, refused_now) == 0 || *out == PROOF_REFUSED)
			continue;
		*out = PROOF_REFUSED;
		limit_ms = time_of(refused_now) >= sent_ms - CLOCKS_APART_MS
				   ? 0
				   : waited_ms + SETTLE_MS;
	}
	/* A push that was accepted meanwhile proves the same. */
	if (is_last_new &&
	    (*out == PROOF_NOTHING_ARRIVED || is_of_test(target_fact(target, type, "last"))))
		*out = PROOF_ACCEPTED;
	return 0;
}

static int prove_secret(struct git_talk *talk, struct target *target, enum hook_type type,
			const struct git_hook *hook, struct err *err)
{
	CLEANUP(buf_release) struct buf url = BUF_INIT(4096);
	int64_t limit_ms = patience_ms(talk, target_fact(target, type, "refused"));
	enum proof proof = PROOF_NOTHING_ARRIVED;

	if (!talk->host->test) {
		printf("The secret: %s has no test that builds nothing. `test` sends a delivery "
		       "from "
		       "here.\n",
		       talk->host->title);
		return 0;
	}
	if (limit_ms > PROOF_MS)
		(void)fprintf(stderr,
			      "Refused requests show once a minute, and one has just shown: this "
			      "may take %d s.\n",
			      (int)(limit_ms / 1000));
	if (send_test(&proof, talk, target, type, hook, limit_ms, err) != 0)
		return err->code;
	if (proof == PROOF_ACCEPTED) {
		printf(target_accepts_others(talk->session, target, type)
			       ? "A test of %s was accepted, but an older secret is accepted, "
				 "too: `register` without --check sends the newest.\n"
			       : "The secret is right: a test of %s was accepted.\n",
		       talk->host->title);
		return 0;
	}
	if (proof == PROOF_REFUSED)
		return err_set(
			err, ERR_DENIED,
			"the test of %s was refused: %.150s. `register` without --check sends "
			"the secret again",
			talk->host->title, target_fact(target, type, "refused"));
	put_shown_url(&url, hook->url);
	return err_set(
		err, ERR_UNAVAILABLE,
		"%s was asked for a test, and nothing arrived within %d s: look at the webhook's "
		"deliveries there. It must reach %s",
		talk->host->title, (int)(limit_ms / 1000), buf_text(&url));
}

static int remove_hook(struct git_talk *talk, const struct options *options,
		       const struct git_hook *hook, struct err *err)
{
	CLEANUP(buf_release) struct buf path = BUF_INIT(GIT_MAX_PATH_BYTES);
	CLEANUP(buf_release) struct buf question = BUF_INIT(512);

	buf_printf(&question, "Remove webhook %s of %s at %s?", hook->id, talk->repository.path,
		   talk->host->title);
	if (!options->yes && !prompt_confirm(question.data))
		return err_set(err, ERR_DENIED, "not removed: answer y, or give --yes");
	put_hook_path(&path, talk, hook);
	if (git_talk_call(talk, NULL, "remove the webhook", "DELETE", path.data, NULL, err) != 0)
		return err->code;
	printf("webhook %s of %s removed\n", hook->id, talk->repository.path);
	return 0;
}

static int check_hook(struct git_talk *talk, struct target *target, enum hook_type type,
		      const struct git_hook *hook, const char *url, struct err *err)
{
	int n;

	if (!hook)
		return err_set(err, ERR_NOTFOUND,
			       "%s has no webhook of %s for this BuildConfig: `register` without "
			       "--check makes it",
			       talk->host->title, talk->repository.path);
	printf("webhook %s of %s at %s\n", hook->id, talk->repository.path, talk->host->title);
	n = print_differences(talk, hook, url);
	if (n > 0)
		return err_set(err, ERR_CONFLICT,
			       "%d settings differ: `register` without --check mends them", n);
	printf("  URL, content type, TLS check and events are right.\n");
	return prove_secret(talk, target, type, hook, err);
}

static bool is_as_wished(const struct git_hook *hook, const char *url)
{
	return strcmp(hook->url, url) == 0 && hook->is_active && hook->is_json &&
	       hook->verifies_tls && hook->sends_pushes && !hook->sends_more;
}

static int make_hook(struct git_hook *out, struct git_talk *talk, const cJSON *body,
		     struct err *err)
{
	CLEANUP(json_freep) cJSON *answer = NULL;

	if (git_talk_call(talk, &answer, "make the webhook", "POST", talk->hooks.data, body, err) !=
	    0)
		return err->code;
	talk->host->read(out, answer);
	return 0;
}

static int change_hook(struct git_talk *talk, const cJSON *body, const struct git_hook *hook,
		       const char *url, struct err *err)
{
	CLEANUP(buf_release) struct buf path = BUF_INIT(GIT_MAX_PATH_BYTES);

	put_hook_path(&path, talk, hook);
	if (git_talk_call(talk, NULL, "change the webhook", talk->host->update, path.data, body,
			  err) != 0)
		return err->code;
	printf("webhook %s of %s at %s set again:\n", hook->id, talk->repository.path,
	       talk->host->title);
	if (print_differences(talk, hook, url) == 0)
		printf("  nothing differed; the secret was sent again\n");
	return 0;
}

/*
 * The host changes everything but the secret. So a hook that is right and proves its secret is left
 * alone, and any other is replaced: first the new one is made, so that no push is missed; the same
 * push from both is one delivery to buildhook (the same bytes).
 */
static int replace_hook(struct git_talk *talk, struct target *target, enum hook_type type,
			const cJSON *body, const struct git_hook *hook, const char *url,
			struct err *err)
{
	CLEANUP(buf_release) struct buf path = BUF_INIT(GIT_MAX_PATH_BYTES);
	enum proof proof = PROOF_NOTHING_ARRIVED;
	struct git_hook made = {0};
	struct err ignored = {0};

	/* Of an empty repository there is no test; after a refused request it may not show. */
	if (talk->host->test && is_as_wished(hook, url) &&
	    patience_ms(talk, target_fact(target, type, "refused")) == PROOF_MS &&
	    !target_accepts_others(talk->session, target, type))
		(void)send_test(&proof, talk, target, type, hook, PROOF_MS, &ignored);
	if (proof == PROOF_ACCEPTED) {
		printf("webhook %s of %s at %s: nothing differed, and its secret is right\n",
		       hook->id, talk->repository.path, talk->host->title);
		return 0;
	}
	if (make_hook(&made, talk, body, err) != 0)
		return err->code;
	put_hook_path(&path, talk, hook);
	if (git_talk_call(talk, NULL, "remove the old webhook", "DELETE", path.data, NULL, err) !=
	    0)
		return err_wrap(err, "webhook %s was made; remove webhook %s there yourself",
				made.id, hook->id);
	printf("webhook %s of %s at %s set again, as %s, since %s changes no secret:\n", hook->id,
	       talk->repository.path, talk->host->title, made.id, talk->host->title);
	if (print_differences(talk, hook, url) == 0)
		printf("  nothing differed%s\n",
		       proof == PROOF_REFUSED
			       ? " but the secret"
			       : "; whether the secret was right could not be found out");
	return 0;
}

static int write_hook(struct git_talk *talk, struct target *target, enum hook_type type,
		      const struct git_hook *hook, const char *url, struct err *err)
{
	CLEANUP(target_wipe) struct buf secret = BUF_INIT(8192);
	CLEANUP(json_freep) cJSON *body = NULL;
	struct git_hook made = {0};
	int code;

	if (target_read_secret(&secret, talk->session, target, type, err) != 0)
		return err->code;
	body = talk->host->body(&(struct git_hook_wish){
		.url = url,
		.secret = secret.data,
		.with_tags = wants_tags(target),
		.branch_filter = hook ? hook->branch_filter : NULL,
	});
	if (!hook) {
		code = make_hook(&made, talk, body, err);
		if (code == 0)
			printf("webhook %s of %s at %s made\n", made.id, talk->repository.path,
			       talk->host->title);
	} else if (talk->host->keeps_secret) {
		code = replace_hook(talk, target, type, body, hook, url, err);
	} else {
		code = change_hook(talk, body, hook, url, err);
	}
	if (code == 0)
		printf("  %s -> %s\n", talk->host->event, url);
	return code;
}

static int choose_type(enum hook_type *out, const struct git_talk *talk,
		       const struct target *target, const char *text, struct err *err)
{
	assert(talk->host);
	*out = talk->host->type;
	if (text && (target_parse_type(out, text, err) != 0))
		return err->code;
	if (*out != talk->host->type)
		return err_set(err, ERR_INVALID, "%s calls webhooks of TYPE %s, not %s",
			       talk->host->title, hook_type_name(talk->host->type), text);
	return target_type(out, target, hook_type_name(*out), err);
}

static int run_talk(struct git_talk *talk, struct target *target, const struct invocation *in,
		    struct err *err)
{
	const struct options *options = in->options;
	CLEANUP(buf_release) struct buf url = BUF_INIT(4096);
	struct git_hook hooks[MAX_HOOKS];
	const struct git_hook *hook;
	enum hook_type type;
	size_t n = 0;

	if (git_origin_find(talk, options->host, options->api_url, target->answer.doc, err) != 0 ||
	    choose_type(&type, talk, target, in->n_args > 1 ? in->args[1] : NULL, err) != 0)
		return err->code;
	target_put_url(&url, target, type);
	if (url.len == 0 || (url.data[0] == '/' && !options->remove))
		return err_set(err, ERR_UNAVAILABLE,
			       "the public address of the webhook is not known: an admin sets "
			       "--public-url or puts a Route or Ingress before buildhook");
	buf_put_str(&talk->hooks, str_of(talk->host->before));
	talk->host->put_path(&talk->hooks, talk->repository.path);
	buf_put_str(&talk->hooks, str_of(talk->host->after));
	if (git_token_read(talk, options->token_file, err) != 0 ||
	    list_ours(talk, target->bc, type, hooks, &n, err) != 0)
		return err->code;
	if (n > 1)
		return refuse_several(talk, hooks, n, err);
	hook = n ? &hooks[0] : NULL;
	if (options->check)
		return check_hook(talk, target, type, hook, url.data, err);
	if (!options->remove)
		return write_hook(talk, target, type, hook, url.data, err);
	if (hook)
		return remove_hook(talk, options, hook, err);
	printf("%s has no webhook of %s for this BuildConfig\n", talk->host->title,
	       talk->repository.path);
	return 0;
}

static int run(const struct invocation *in)
{
	const struct options *options = in->options;
	CLEANUP(session_freep) struct session *session = NULL;
	CLEANUP(target_release) struct target target = {0};
	struct git_talk talk;
	struct err err = {0};
	int code;

	if (options->check && options->remove) {
		(void)err_set(&err, ERR_INVALID, "--check and --remove exclude each other");
		return command_fail_usage(in, &err);
	}
	if (session_open(&session, in, &err) != 0)
		return session_fail(session, &err);
	code = target_read(&target, session, in->args[0], &err);
	if (code != 0)
		return session_fail(session, &err);
	git_talk_init(&talk, session);
	code = run_talk(&talk, &target, in, &err);
	git_talk_release(&talk);
	return code == 0 ? EXIT_OK : command_fail(&err);
}

const struct command command_register = {
	.name = "register",
	.args = "NAME [TYPE]",
	.summary = "make or mend the webhook at the Git host",
	.about =
		"Makes the webhook of BuildConfig NAME at its Git host, or mends the one that is "
		"there: "
		"URL, secret, content type, TLS check and events. It uses the host's API with your "
		"own token, once; the token is kept nowhere.\n"
		"\n"
		"The token needs at GitHub admin:repo_hook, or as a fine-grained one Webhooks: "
		"read and write; at GitLab api; at Gitea and Forgejo write:repository; at "
		"Bitbucket Cloud webhook and repository:admin. Its owner must be an admin of the "
		"repository, at GitLab a Maintainer.\n"
		"\n"
		"Knows GitHub, GitLab, Gitea, Forgejo, Gogs, Bitbucket Cloud and Bitbucket Data "
		"Center. A host that is not well known is asked without the token what it is, and "
		"you confirm it; or name it with --host and --api-url.",
	.examples = "BUILDHOOK_TOKEN=... buildhook register cart\n"
		    "buildhook register cart github --token-file token --check\n"
		    "buildhook register cart --host gitea --api-url "
		    "https://git.example.com/api/v1",
	.min_args = 1,
	.max_args = 2,
	.arg_kinds = {ARG_BUILDCONFIG, ARG_TYPE},
	.shared = FLAGS_CLUSTER,
	.flags = flags,
	.n_flags = &n_flags,
	.options_size = sizeof(struct options),
	.run = run,
};
