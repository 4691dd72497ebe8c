/* `buildhook explain`: what a push or a saved delivery would get, rule by rule, without sending it.
 */
#include "saved.h"
#include "table.h"
#include "target.h"
#include "usage.h"

#include "base/mem.h"
#include "buildconfig/decision.h"
#include "buildconfig/refs.h"
#include "doc/yaml.h"
#include "kubeconfig/file.h"

#include <assert.h>
#include <stdio.h>

#define MAX_LINE_BYTES 4096

struct options {
	const char *ref, *filename, *type, *default_branch;
};

static const char *const types[] = {"github", "gitlab", "bitbucket", "generic", NULL};

static const struct flag flags[] = {
	{"ref", FLAG_STRING, offsetof(struct options, ref), "R",
	 "a push to this ref: main, refs/tags/v1", NULL},
	{"filename", FLAG_STRING | FLAG_SHORT('f'), offsetof(struct options, filename), "FILE",
	 "read the BuildConfig from this YAML or JSON file, and ask no cluster", NULL},
	{"type", FLAG_STRING, offsetof(struct options, type), "TYPE",
	 "the webhook that it comes to (default: what the delivery tells, or the first)", types},
	{"default-branch", FLAG_STRING, offsetof(struct options, default_branch), "NAME",
	 "the repository's default branch, where a payload would tell it", NULL},
};
static const size_t n_flags = ARRAY_LEN(flags);

static void print_rule(void *arg, const char *rule, enum outcome reason, const char *message)
{
	CLEANUP(buf_release) struct buf line = BUF_INIT(MAX_LINE_BYTES);
	bool holds = reason == OUTCOME_START;

	(void)arg;
	usage_put_wrapped(&line, message, 20, 20);
	printf("  %s%-4s%s %-12s %s\n", table_colour_start(holds ? TABLE_GOOD : TABLE_BAD),
	       holds ? "yes" : "NO", table_colour_end(), rule, line.data);
}

/* A BuildConfig without a trigger has no URL, so no push reaches the rules. */
static void put_no_trigger(struct buf *out, const struct buildconfig *bc, enum hook_type type)
{
	bool has_trigger = false;

	for (size_t i = 0; i < HOOK_TYPES; i++)
		has_trigger = has_trigger || bc->hooks[i].exists;
	buf_printf(out,
		   "It would build nothing: the BuildConfig has no %s trigger, so the delivery is "
		   "answered 401. Add one: buildhook add-trigger %s %s",
		   has_trigger ? hook_type_name(type) : "webhook", *bc->name ? bc->name : "NAME",
		   has_trigger ? hook_type_name(type) : "TYPE");
}

static void explain_event(const struct buildconfig *bc, const struct delivery_event *event,
			  const struct verdict_options *options)
{
	CLEANUP(decision_release) struct decision decision = {0};
	CLEANUP(buf_release) struct buf line = BUF_INIT(MAX_LINE_BYTES);

	for (size_t i = 0; i < event->n_changes; i++) {
		const struct delivery_change *change = &event->changes[i];
		const char *what = change->is_delete ? "deletion" : "push";

		printf("%s of %s%s%.7s\n", what,
		       change->ref ? change->ref : "the BuildConfig's own ref",
		       change->commit ? " " : "", change->commit ? change->commit : "");
		verdict_explain(bc, event, change, options, print_rule, NULL);
	}
	decision_make(&decision, bc, event, options);
	if (!bc->hooks[event->type].exists)
		put_no_trigger(&line, bc, event->type);
	else if (decision.reason == OUTCOME_START)
		buf_printf(&line, "It would start %zu build%s.", decision.n_starts,
			   decision.n_starts == 1 ? "" : "s");
	else
		buf_printf(&line, "It would build nothing: %s: %s.", outcome_name(decision.reason),
			   decision.message);
	if (*decision.hint)
		buf_printf(&line, "\nHint: %s.", decision.hint);
	CLEANUP(buf_release) struct buf wrapped = BUF_INIT(2 * MAX_LINE_BYTES);
	usage_put_wrapped(&wrapped, line.data, 0, 0);
	printf("%s\n", wrapped.data);
}

struct ref_rule {
	const struct buildconfig *bc;
	const struct verdict_options *options;
};

static bool wants_ref(const void *arg, struct str ref)
{
	const struct ref_rule *rule = arg;

	return refs_may_build(rule->bc, ref, rule->options);
}

static int explain_file(const struct buildconfig *bc, const char *file, const enum hook_type *type,
			const struct verdict_options *options, struct err *err)
{
	CLEANUP(saved_release) struct saved saved = {0};
	const struct ref_rule rule = {bc, options};
	const struct delivery_event *event = NULL;
	struct hook_delivery *delivery;
	int code;

	assert(bc);
	if (saved_read(&saved, file, type, err) != 0)
		return err->code;
	delivery = hook_delivery_new(
		&(struct hook_request){.type = saved.type,
				       .header = saved_header,
				       .header_arg = &saved,
				       .needs_no_proof = true,
				       .wants_ref = wants_ref,
				       .wants_ref_arg = &rule,
				       .allow_env = bc->hooks[saved.type].allow_env});
	hook_delivery_feed(delivery, saved.body);
	if (!hook_delivery_holds(delivery))
		code = err_set(err, ERR_INVALID, "%s", hook_delivery_refusal(delivery));
	else
		code = hook_delivery_finish(delivery, &event, err);
	if (code == 0) {
		assert(event);
		printf("%s %s, as %s sends it\n", hook_delivery_provider(delivery), event->name,
		       hook_type_name(saved.type));
		explain_event(bc, event, options);
		if (event->warning)
			printf("Warning: %s\n", event->warning);
	}
	hook_delivery_free(delivery);
	return code;
}

static void explain_ref(const struct buildconfig *bc, const char *ref, const enum hook_type *type,
			const struct options *options, const struct verdict_options *verdict)
{
	CLEANUP(buf_release) struct buf full = BUF_INIT(DELIVERY_MAX_REF_BYTES);
	struct delivery_change change = {0};
	struct delivery_event event = {
		.provider = "", .changes = &change, .n_changes = 1, .type = HOOK_GITHUB};

	assert(bc && ref);
	buf_printf(&full, "%s%s", strncmp(ref, "refs/", 5) == 0 ? "" : "refs/heads/", ref);
	change.ref = full.data;
	event.default_branch = (char *)options->default_branch;
	for (int i = HOOK_TYPES - 1; i >= 0; i--)
		if (bc->hooks[i].exists)
			event.type = (enum hook_type)i;
	if (type)
		event.type = *type;
	explain_event(bc, &event, verdict);
}

static int read_local(struct buildconfig **out, const char *path, struct err *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(yaml_limits_file.max_bytes);
	CLEANUP(json_freep) cJSON *doc = NULL;
	const char *kind;

	if (file_read(&text, path, err) != 0)
		return err->code;
	if (yaml_parse(&doc, buf_str(&text), &yaml_limits_file, err) != 0)
		return err_wrap(err, "%.100s", path);
	kind = json_str_at(doc, "kind");
	if (!kind || strcmp(kind, "BuildConfig") != 0)
		return err_set(err, ERR_INVALID,
			       "%.100s: found kind \"%.40s\", expected BuildConfig", path,
			       kind ? kind : "");
	*out = buildconfig_parse(doc);
	if (*(*out)->problem)
		(void)fprintf(stderr, "warning: %s\n", (*out)->problem);
	return 0;
}

static int explain(const struct invocation *in, const struct buildconfig *bc, const char *file,
		   struct err *err)
{
	const struct options *options = in->options;
	const struct verdict_options verdict = {.default_branch = NULL};
	enum hook_type type = HOOK_GITHUB;
	const enum hook_type *only = NULL;

	if (options->type && hook_type_parse(str_of(options->type), &type))
		only = &type;
	if (file)
		return explain_file(bc, file, only, &verdict, err);
	explain_ref(bc, options->ref, only, options, &verdict);
	return 0;
}

static void free_buildconfig(struct buildconfig **bc)
{
	if (*bc)
		buildconfig_free(*bc);
}

static int run(const struct invocation *in)
{
	const struct options *options = in->options;
	CLEANUP(session_freep) struct session *session = NULL;
	CLEANUP(target_release) struct target target = {0};
	CLEANUP(free_buildconfig) struct buildconfig *local = NULL;
	/* With -f the NAME may be left out. */
	bool has_name = in->n_args > 1 || (in->n_args == 1 && (options->ref || !options->filename));
	const char *file = in->n_args > has_name ? in->args[has_name] : NULL;
	struct err err = {0};

	if (!has_name && !options->filename)
		err_set(&err, ERR_INVALID, "which BuildConfig? NAME, or -f FILE");
	else if (!file == !options->ref)
		err_set(&err, ERR_INVALID,
			"expected either --ref R or the FILE of a saved delivery");
	else if (has_name)
		(void)session_check_name("NAME", in->args[0], &err);
	if (err.code != 0)
		return command_fail_usage(in, &err);
	if (options->filename) {
		if (read_local(&local, options->filename, &err) != 0 ||
		    explain(in, local, file, &err) != 0)
			return command_fail(&err);
		return EXIT_OK;
	}
	if (session_open(&session, in, &err) != 0 ||
	    target_read(&target, session, in->args[0], &err) != 0 ||
	    explain(in, target.bc, file, &err) != 0)
		return session_fail(session, &err);
	return EXIT_OK;
}

const struct command command_explain = {
	.name = "explain",
	.args = "[NAME] [FILE]",
	.summary = "say what a push or a saved delivery would get, rule by rule",
	.about = "Says whether a push to --ref, or the delivery saved in FILE, would start a build "
		 "of BuildConfig "
		 "NAME, and for each rule why or why not. Nothing is sent. FILE has the headers, "
		 "an empty line and "
		 "the body, as the Git host's page of deliveries shows them, or the body alone; - "
		 "is stdin.\n\nWith "
		 "-f the BuildConfig is read from a file, and no cluster is asked.",
	.examples = "buildhook explain cart --ref main\nbuildhook explain cart "
		    "delivery.http\nbuildhook explain "
		    "-f buildconfig.yaml --ref refs/tags/v1.0",
	.max_args = 2,
	.arg_kinds = {ARG_BUILDCONFIG_OR_FILE, ARG_FILE},
	.shared = FLAGS_CLUSTER,
	.flags = flags,
	.n_flags = &n_flags,
	.options_size = sizeof(struct options),
	.run = run,
};
