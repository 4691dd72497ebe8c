/*
 * Completion. The shells' scripts are short: they hand the words so far to `buildhook __complete`,
 * which prints the candidates, one a line, with a tab before what describes it. So a new command or
 * flag is completed without a new script.
 */
#include "session.h"
#include "usage.h"

#include "base/mem.h"
#include "delivery/type.h"

#include <stdio.h>

#define MAX_WORDS      64
#define ANSWER_TIMEOUT 3000
#define MAX_CANDIDATES 1000

static const char bash_script[] =
	"# bash completion of buildhook: source <(buildhook completion bash)\n"
	"_buildhook() {\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} line\n"
	"\t[ \"$cur\" != = ] || cur=\n"
	"\tCOMPREPLY=()\n"
	"\twhile IFS= read -r line; do\n"
	"\t\tCOMPREPLY+=(\"${line%%$'\\t'*}\")\n"
	"\tdone < <(\"${COMP_WORDS[0]}\" __complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null "
	"</dev/null)\n"
	"\t[ ${#COMPREPLY[@]} -ne 1 ] || [ \"${COMPREPLY[0]: -1}\" != = ] || compopt -o nospace\n"
	"}\n"
	"complete -o default -F _buildhook buildhook kubectl-buildhook oc-buildhook\n";

static const char zsh_script[] =
	"#compdef buildhook kubectl-buildhook oc-buildhook\n"
	"# zsh completion of buildhook: source <(buildhook completion zsh)\n"
	"_buildhook() {\n"
	"\tlocal line\n"
	"\tlocal -a found\n"
	"\twhile IFS= read -r line; do\n"
	"\t\tline=${line//:/\\\\:}\n"
	"\t\tfound+=(\"${line/$'\\t'/:}\")\n"
	"\tdone < <(${words[1]} __complete \"${(@)words[2,CURRENT]}\" 2>/dev/null </dev/null)\n"
	"\tif (( ${#found} )); then _describe buildhook found; else _files; fi\n"
	"}\n"
	"compdef _buildhook buildhook kubectl-buildhook oc-buildhook\n";

static const char fish_script[] =
	"# fish completion of buildhook: buildhook completion fish | source\n"
	"function __buildhook_complete\n"
	"\tset -l words (commandline -opc)\n"
	"\t$words[1] __complete $words[2..-1] (commandline -ct | string collect) 2>/dev/null "
	"</dev/null\n"
	"end\n"
	"for program in buildhook kubectl-buildhook oc-buildhook\n"
	"\tcomplete -c $program -a '(__buildhook_complete)'\n"
	"end\n";

static const struct {
	const char *name, *script;
} shells[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};

static int run_completion(const struct invocation *in)
{
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(shells); i++)
		if (strcmp(shells[i].name, in->args[0]) == 0) {
			(void)fputs(shells[i].script, stdout);
			return EXIT_OK;
		}
	err_set(&err, ERR_INVALID, "found \"%.60s\", expected bash, zsh or fish", in->args[0]);
	return command_fail_usage(in, &err);
}

const struct command command_completion = {
	.name = "completion",
	.args = "bash|zsh|fish",
	.summary = "print a script that completes commands in your shell",
	.about = "Prints a script for bash, zsh or fish that completes commands, flags, "
		 "BuildConfigs and "
		 "Builds.\n\nFor `kubectl buildhook` no script is needed: kubectl asks "
		 "kubectl_complete-buildhook, which is a link to this program that has to be in "
		 "$PATH.",
	.examples = "source <(buildhook completion bash)\nbuildhook completion zsh > "
		    "\"${fpath[1]}/_buildhook\"\nbuildhook completion fish | source",
	.min_args = 1,
	.max_args = 1,
	.arg_kinds = {ARG_SHELL},
	.run = run_completion,
};

/* One question: the words, of which the last is to be completed. */
struct question {
	const struct invocation *in;
	const char *words[MAX_WORDS];
	size_t n;
	struct str last;    /* the part of the last word that is completed */
	const char *prefix; /* the part of the last word before that: "--output=" */
	size_t n_found;
};

static void offer(struct question *q, const char *candidate, const char *about)
{
	if (!str_starts(str_of(candidate), q->last) || q->n_found == MAX_CANDIDATES)
		return;
	q->n_found++;
	printf("%s%s", q->prefix, candidate);
	if (about && *about)
		printf("\t%s", about);
	(void)putchar('\n');
}

static void offer_commands(struct question *q)
{
	for (size_t i = 0; i < n_commands; i++)
		if (!commands[i]->is_hidden)
			offer(q, commands[i]->name, commands[i]->summary);
}

static void offer_flags(struct question *q, const struct command *command)
{
	struct flag_set sets[COMMAND_MAX_SETS];
	size_t n_sets = command_flag_sets(sets, command, NULL);

	for (size_t i = 0; i < n_sets; i++)
		for (size_t k = 0; k < sets[i].n; k++) {
			CLEANUP(buf_release) struct buf name = BUF_INIT(100);

			buf_printf(&name, "--%s", sets[i].flags[k].name);
			offer(q, name.data, sets[i].flags[k].help);
		}
}

/* Names of a list of the API server's; nothing where it cannot be asked. */
static void offer_objects(struct question *q, const char *path_fmt)
{
	CLEANUP(session_freep) struct session *session = NULL;
	CLEANUP(session_answer_release) struct session_answer answer = {0};
	CLEANUP(buf_release) struct buf path = BUF_INIT(1024);
	const cJSON *item = NULL;
	struct err err;

	if (session_open(&session, q->in, &err) != 0)
		return;
	buf_printf(&path, "/apis/build.openshift.io/v1/namespaces/%s/%s?limit=%d",
		   session_namespace(session), path_fmt, MAX_CANDIDATES);
	if (session_call(session, &answer,
			 &(struct kube_request){.method = KUBE_GET,
						.path = path.data,
						.timeout_ms = ANSWER_TIMEOUT},
			 &err) != 0)
		return;
	cJSON_ArrayForEach (item, json_member(answer.doc, "items"))
		offer(q, json_str_at(item, "metadata/name"), NULL);
}

static void offer_argument(struct question *q, enum command_arg kind)
{
	switch (kind) {
	case ARG_BUILDCONFIG:
	case ARG_BUILDCONFIG_OR_FILE:
		offer_objects(q, "buildconfigs");
		break;
	case ARG_BUILD:
		offer_objects(q, "builds");
		break;
	case ARG_TYPE:
		for (size_t i = 0; i < HOOK_TYPES; i++)
			offer(q, hook_type_name((enum hook_type)i), NULL);
		break;
	case ARG_SHELL:
		for (size_t i = 0; i < ARRAY_LEN(shells); i++)
			offer(q, shells[i].name, NULL);
		break;
	default:
		break;
	}
}

static const struct flag *find_flag(const struct command *command, struct str word)
{
	struct flag_set sets[COMMAND_MAX_SETS];
	size_t n_sets = command_flag_sets(sets, command, NULL);
	struct str name = str_without_prefix(word, STR("--"));

	for (size_t i = 0; i < n_sets; i++)
		for (size_t k = 0; k < sets[i].n; k++) {
			const struct flag *flag = &sets[i].flags[k];
			bool is_short =
				word.n == 2 && word.p[0] == '-' && word.p[1] == flag_letter(flag);

			if (is_short || (name.n < word.n && str_eq(name, str_of(flag->name))))
				return flag;
		}
	return NULL;
}

static void offer_value(struct question *q, const struct flag *flag)
{
	for (const char *const *choice = flag->choices; choice && *choice; choice++)
		offer(q, *choice, NULL);
}

/*
 * The words before the last are read as the command itself will read them, so that -n and --context
 * say where names are looked up. A word that is wrong there ends the completion.
 */
static int read_words(struct question *q, struct invocation *in, const struct flag **out_pending)
{
	char *argv[MAX_WORDS + 1] = {NULL};
	struct flag_set sets[COMMAND_MAX_SETS];
	const char *args[MAX_WORDS];
	size_t n_sets;

	*out_pending = NULL;
	if (q->n > 2 && q->words[q->n - 2][0] == '-') {
		const struct flag *flag = find_flag(in->command, str_of(q->words[q->n - 2]));

		if (flag && flag_kind(flag) != FLAG_BOOL)
			*out_pending = flag;
	}
	for (size_t i = 0; i < q->n - 1 - (*out_pending != NULL); i++)
		argv[i] = (char *)q->words[i];
	n_sets = command_flag_sets(sets, in->command, in);
	return flags_parse(sets, n_sets, (int)(q->n - 1 - (*out_pending != NULL)), argv, args,
			   MAX_WORDS, &in->n_args, NULL);
}

static void complete(struct question *q, struct invocation *in)
{
	const char *last = q->words[q->n - 1];
	const char *equals = strchr(last, '=');
	CLEANUP(mem_free) void *options = NULL;
	const struct flag *pending = NULL;
	char prefix[100];

	if (q->n == 1) {
		offer_commands(q);
		return;
	}
	in->command = command_find(q->words[0]);
	if (!in->command)
		return;
	options = mem_new(1, in->command->options_size + 1);
	in->options = options;
	if (read_words(q, in, &pending) != 0)
		return;
	if (pending) {
		offer_value(q, pending);
	} else if (last[0] == '-' && equals) {
		struct str name = str_range(last, (size_t)(equals - last));
		const struct flag *flag = find_flag(in->command, name);

		(void)snprintf(prefix, sizeof(prefix), "%.*s=", STR_ARG(name));
		q->prefix = prefix;
		q->last = str_of(equals + 1);
		if (flag)
			offer_value(q, flag);
	} else if (last[0] == '-') {
		offer_flags(q, in->command);
	} else if (in->n_args < in->command->max_args && in->n_args < COMMAND_MAX_ARGS) {
		offer_argument(q, in->command->arg_kinds[in->n_args]);
	}
	q->prefix = "";
}

/* bash parts words at "=": "--output=js" comes as three of them, of which the "=" is left out. */
static void ask(struct invocation *in, int n_words, char **words)
{
	struct question q = {.in = in, .prefix = ""};

	for (int i = 0; i < n_words && q.n < MAX_WORDS; i++) {
		bool is_last = i + 1 == n_words;

		if (strcmp(words[i], "=") != 0)
			q.words[q.n++] = words[i];
		else if (is_last)
			q.words[q.n++] = "";
	}
	if (q.n == 0)
		q.words[q.n++] = "";
	q.last = str_of(q.words[q.n - 1]);
	complete(&q, in);
}

int usage_complete_for_kubectl(struct invocation *in, int n_words, char **words)
{
	ask(in, n_words, words);
	/* ShellCompDirectiveDefault: files where there is nothing else. */
	puts(":0");
	return EXIT_OK;
}

static int run_complete(const struct invocation *in)
{
	struct invocation asked = {.program = in->program};

	ask(&asked, in->argc - 1, in->argv + 1);
	return EXIT_OK;
}

const struct command command_complete = {
	.name = "__complete",
	.args = "WORD...",
	.summary = "print candidates for the last word",
	.about = "Prints candidates for the last word.",
	.run = run_complete,
	.is_raw = true,
	.is_hidden = true,
};
