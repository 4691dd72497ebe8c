/* The program: finds the command, reads its flags and runs it. */
#include "suggest.h"
#include "target.h"
#include "usage.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/version.h"

#include <stdio.h>

static int print_version(void)
{
	printf("buildhook %s\n", version_text);
	return EXIT_OK;
}

static int run_version(const struct invocation *in)
{
	(void)in;
	return print_version();
}

const struct command command_version = {
	.name = "version",
	.args = "",
	.summary = "print the version",
	.about = "Prints the version of this program.",
	.run = run_version,
};

/* How the program was called, for the texts that say what to type. */
static const char *name_of(const char *argv0)
{
	const char *slash = strrchr(argv0, '/');
	const char *base = slash ? slash + 1 : argv0;

	if (strcmp(base, "kubectl-buildhook") == 0)
		return "kubectl buildhook";
	return strcmp(base, "oc-buildhook") == 0 ? "oc buildhook" : "buildhook";
}

static int check_args(const struct invocation *in, struct err *err)
{
	enum hook_type type;

	if (in->n_args < in->command->min_args)
		return err_set(err, ERR_INVALID, "an argument is missing: %s %s %s%s", in->program,
			       in->command->name, in->command->args,
			       in->command->arg_kinds[in->n_args] == ARG_TYPE
				       ? "; TYPE is " TARGET_TYPES
				       : "");
	if (in->shared.namespace_ &&
	    session_check_name("--namespace", in->shared.namespace_, err) != 0)
		return err->code;
	for (size_t i = 0; i < in->n_args; i++) {
		enum command_arg kind = in->command->arg_kinds[i];
		bool is_name = kind == ARG_BUILDCONFIG || kind == ARG_BUILD;

		if (is_name && session_check_name("NAME", in->args[i], err) != 0)
			return err->code;
		if (kind == ARG_TYPE && target_parse_type(&type, in->args[i], err) != 0)
			return err->code;
	}
	return 0;
}

static int run(struct invocation *in, int argc, char **argv)
{
	CLEANUP(mem_free) void *options = mem_new(1, in->command->options_size + 1);
	struct flag_set sets[COMMAND_MAX_SETS];
	struct err err = {0};
	size_t n_sets;

	if (in->command->is_raw) {
		in->argc = argc;
		in->argv = argv;
		return in->command->run(in);
	}
	in->options = options;
	if (in->command->init)
		in->command->init(options);
	n_sets = command_flag_sets(sets, in->command, in);
	if (flags_parse(sets, n_sets, argc, argv, in->args, in->command->max_args, &in->n_args,
			&err) != 0)
		return command_fail_usage(in, &err);
	if (in->shared.version)
		return print_version();
	if (in->shared.help) {
		usage_print_command(in->command, in->program);
		return EXIT_OK;
	}
	if (check_args(in, &err) != 0)
		return command_fail_usage(in, &err);
	return in->command->run(in);
}

static int fail_unknown(const char *name, const char *program)
{
	struct suggestion similar = {.typed = name};

	for (size_t i = 0; i < n_commands; i++)
		if (!commands[i]->is_hidden)
			suggest_offer(&similar, commands[i]->name);
	(void)fprintf(stderr, "error: unknown command \"%.60s\" for \"%s\"; ", name, program);
	if (similar.best)
		(void)fprintf(stderr, "did you mean \"%s\"?\n", similar.best);
	else if (*name == '-')
		(void)fprintf(stderr, "flags stand behind the command: %s COMMAND %.60s\n", program,
			      name);
	else
		(void)fprintf(stderr, "`%s help` lists the commands\n", program);
	return EXIT_USAGE;
}

/* `kubectl_complete-buildhook` is how kubectl asks a plug-in for completions. */
static bool is_kubectl_complete(const char *argv0)
{
	return str_ends(str_of(argv0), STR("kubectl_complete-buildhook"));
}

int main(int argc, char **argv)
{
	struct invocation in = {.program = name_of(argc > 0 ? argv[0] : "")};
	const char *name = argc > 1 ? argv[1] : "";

	log_init(LOG_WARN, LOG_TEXT);
	if (argc > 0 && is_kubectl_complete(argv[0])) {
		in.program = "kubectl buildhook";
		return usage_complete_for_kubectl(&in, argc - 1, argv + 1);
	}
	if (strcmp(name, "--version") == 0 || strcmp(name, "-v") == 0)
		return print_version();
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
		in.command = argc > 2 ? command_find(argv[2]) : NULL;
		if (argc > 2 && !in.command)
			return fail_unknown(argv[2], in.program);
		if (in.command)
			usage_print_command(in.command, in.program);
		else
			usage_print(stdout, in.program);
		return EXIT_OK;
	}
	in.command = command_find(name);
	if (in.command)
		return run(&in, argc - 1, argv + 1);
	if (*name)
		return fail_unknown(name, in.program);
	usage_print(stderr, in.program);
	return EXIT_USAGE;
}
