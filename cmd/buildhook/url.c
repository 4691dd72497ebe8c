/* `buildhook url`: the address and, where asked for, the secret of a BuildConfig's webhooks. */
#include "url.h"

#include "base/mem.h"
#include "buildconfig/status.h"

#include <stdio.h>

#define MAX_URL_BYTES 4096

struct options {
	bool with_secret;
};

static const struct flag flags[] = {
	{"with-secret", FLAG_BOOL, offsetof(struct options, with_secret), NULL,
	 "print the secret, too, and the field that each value goes into", NULL},
};
static const size_t n_flags = ARRAY_LEN(flags);

/* A field of a Git host's page; VALUE NULL: the URL, "": the secret. */
struct field {
	const char *name, *value;
};

#define MAX_FIELDS 6
#define TLS_FIELD  "SSL verification"

static const struct guide {
	const char *where;
	const char *add; /* the last step there, for a webhook that is new */
	struct field fields[MAX_FIELDS];
	const char *others;
} guides[HOOK_TYPES] = {
	[HOOK_GITHUB] =
		{"GitHub: Settings > Webhooks",
		 " > Add webhook",
		 {{"Payload URL", NULL},
		  {"Content type", "application/json"},
		  {"Secret", ""},
		  {TLS_FIELD, "enabled"},
		  {"Events", "Just the push event"}},
		 "Gitea, Forgejo, Gogs: the same values into Target URL and Secret; Push Events."},
	[HOOK_GITLAB] = {"GitLab: Settings > Webhooks",
			 " > Add new webhook",
			 {{"URL", NULL},
			  {"Secret token", ""},
			  {"Trigger", "Push events (Tag push events where tags build)"},
			  {TLS_FIELD, "enabled"}},
			 NULL},
	[HOOK_BITBUCKET] = {"Bitbucket: Repository settings > Webhooks",
			    " > Add webhook",
			    {{"URL", NULL},
			     {"Secret", ""},
			     {"Status", "Active"},
			     {"Triggers", "Repository push"}},
			    "Bitbucket Data Center: the same fields; Events: Repository: Push."},
	[HOOK_GENERIC] = {"Any program: an HTTP POST with the secret as a bearer token",
			  "",
			  {{"URL", NULL}, {"Method", "POST"}, {"Bearer token", ""}},
			  "The token goes into the header \"Authorization: Bearer TOKEN\"."},
};

void url_print_guide(const struct target *target, enum hook_type type, const struct buf *secret,
		     bool is_new)
{
	CLEANUP(buf_release) struct buf url = BUF_INIT(MAX_URL_BYTES);
	CLEANUP(buf_release) struct buf elsewhere = BUF_INIT(MAX_URL_BYTES);
	const struct guide *guide = &guides[type];
	/* GitLab makes such a secret itself, and has a field of its own for it. */
	bool is_signing_token =
		type == HOOK_GITLAB && secret && str_starts(buf_str(secret), STR("whsec_"));
	bool is_plain = false;

	target_put_url(&url, target, type);
	is_plain = str_starts(buf_str(&url), STR("http://"));
	buf_printf(&elsewhere, "(`%s url %s %s --with-secret` prints it)", target->program,
		   target->bc->name, hook_type_name(type));
	printf("%s%s\n", guide->where, is_new ? guide->add : "");
	for (const struct field *field = guide->fields;
	     field < guide->fields + MAX_FIELDS && field->name; field++) {
		const char *name = field->name;
		const char *value = field->value ? field->value : url.data;

		if (field->value && !*field->value) {
			value = secret ? secret->data : elsewhere.data;
			name = is_signing_token ? "Signing token" : name;
		} else if (is_plain && strcmp(name, TLS_FIELD) == 0) {
			value = "not offered: the URL is http, so nothing on the way is encrypted";
		}
		printf("  %-18s%s\n", name, value);
	}
	if (guide->others)
		printf("  %s\n", guide->others);
}

void url_print_warnings(const struct target *target, enum hook_type type)
{
	const char *url = target_fact(target, type, "url");
	const char *state = target_fact(target, type, "state");

	if (target->bc->is_ignored)
		(void)fputs("warning: annotation buildhook.io/ignore is set: this webhook does not "
			    "exist\n",
			    stderr);
	else if (!*url)
		(void)fputs("warning: buildhook has not looked at this BuildConfig yet; if that "
			    "lasts, no "
			    "buildhook watches this namespace (ask an admin)\n",
			    stderr);
	else if (*url == '/')
		(void)fputs("warning: buildhook does not know its public address: put https://HOST "
			    "of its "
			    "Route or Ingress before the path (an admin can set --public-url)\n",
			    stderr);
	if (status_read_state(state) == STATUS_NOT_READY) {
		CLEANUP(buf_release) struct buf clean = BUF_INIT(1024);

		buf_put_clean(&clean, str_of(state), 1000);
		(void)fprintf(stderr, "warning: %s: %s\n", hook_type_name(type), clean.data);
	}
}

static int print_json_item(cJSON *items, struct session *session, const struct target *target,
			   enum hook_type type, bool with_secret, struct err *err)
{
	CLEANUP(target_wipe) struct buf secret = BUF_INIT(8192);
	CLEANUP(buf_release) struct buf url = BUF_INIT(MAX_URL_BYTES);
	cJSON *item = json_append(items, json_new_object());

	target_put_url(&url, target, type);
	json_put_str(item, "type", hook_type_name(type));
	json_put_text(item, "url", buf_str(&url));
	json_put_str(item, "state", target_fact(target, type, "state"));
	json_put_str(item, "secretName", target_fact(target, type, "secret"));
	if (!with_secret)
		return 0;
	if (target_read_secret(&secret, session, target, type, err) != 0)
		return err->code;
	json_put_text(item, "secret", buf_str(&secret));
	return 0;
}

static int print_one(struct session *session, const struct target *target, enum hook_type type,
		     bool with_secret, bool with_type, struct err *err)
{
	CLEANUP(target_wipe) struct buf secret = BUF_INIT(8192);
	CLEANUP(buf_release) struct buf url = BUF_INIT(MAX_URL_BYTES);

	url_print_warnings(target, type);
	if (with_secret) {
		if (target_read_secret(&secret, session, target, type, err) != 0)
			return err->code;
		url_print_guide(target, type, &secret, true);
		return 0;
	}
	target_put_url(&url, target, type);
	if (with_type)
		printf("%-10s", hook_type_name(type));
	printf("%s\n", url.data);
	return 0;
}

static int print_all(const struct invocation *in, struct session *session,
		     const struct target *target, bool with_secret, struct err *err)
{
	const char *asked = in->n_args > 1 ? in->args[1] : NULL;
	bool is_json = in->shared.output && strcmp(in->shared.output, "json") == 0;
	CLEANUP(json_freep) cJSON *list = json_new_object();
	cJSON *items = json_put_array(list, "items");
	enum hook_type only = HOOK_GITHUB;
	int code = 0;

	/* Without a TYPE all are meant: it fails only where there is none. */
	if (target_type(&only, target, asked, err) != 0 && (asked || err->code == ERR_NOTFOUND))
		return err->code;
	for (size_t i = 0; i < HOOK_TYPES && code == 0; i++) {
		enum hook_type type = (enum hook_type)i;

		if (!target->bc->hooks[i].exists || (asked && type != only))
			continue;
		code = is_json ? print_json_item(items, session, target, type, with_secret, err)
			       : print_one(session, target, type, with_secret, !asked, err);
	}
	if (code == 0 && is_json)
		session_print_json(list);
	return code;
}

static int run(const struct invocation *in)
{
	const struct options *options = in->options;
	CLEANUP(session_freep) struct session *session = NULL;
	CLEANUP(target_release) struct target target = {0};
	struct err err = {0};

	if (session_open(&session, in, &err) != 0 ||
	    target_read(&target, session, in->args[0], &err) != 0 ||
	    print_all(in, session, &target, options->with_secret, &err) != 0)
		return session_fail(session, &err);
	return EXIT_OK;
}

const struct command command_url = {
	.name = "url",
	.args = "NAME [TYPE]",
	.summary = "print the URLs to paste at the Git host",
	.about = "Prints the URL of each webhook of BuildConfig NAME, or of the one of TYPE "
		 "(github, gitlab, "
		 "bitbucket, generic): github is for Gitea, Forgejo and Gogs, too.\n\nWith "
		 "--with-secret it "
		 "reads the secret, which you must be allowed to, and names the field of the Git "
		 "host's page "
		 "that each value goes into.",
	.examples = "buildhook url cart\nbuildhook url cart github --with-secret",
	.min_args = 1,
	.max_args = 2,
	.arg_kinds = {ARG_BUILDCONFIG, ARG_TYPE},
	.shared = FLAGS_CLUSTER | FLAGS_OUTPUT,
	.flags = flags,
	.n_flags = &n_flags,
	.options_size = sizeof(struct options),
	.run = run,
};
