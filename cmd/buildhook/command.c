/* The table of all subcommands, the flags that several of them share, and how they report failure.
 */
#include "command.h"

#include "base/buf.h"
#include "base/mem.h"

#include <stdio.h>

/* In the order of help; a command is one line here and a file. */
#define COMMANDS(X)                                                                                \
	X(serve)                                                                                   \
	X(build_controller)                                                                        \
	X(url)                                                                                     \
	X(status)                                                                                  \
	X(history)                                                                                 \
	X(add_trigger)                                                                             \
	X(explain)                                                                                 \
	X(test)                                                                                    \
	X(send)                                                                                    \
	X(rotate)                                                                                  \
	X(redeliver)                                                                               \
	X(start)                                                                                   \
	X(cancel)                                                                                  \
	X(logs)                                                                                    \
	X(register)                                                                                \
	X(ui)                                                                                      \
	X(deliveries)                                                                              \
	X(uninstall)                                                                               \
	X(completion)                                                                              \
	X(version)                                                                                 \
	X(complete)                                                                                \
	X(man)                                                                                     \
	X(synopsis)

#define DECLARE(name) extern const struct command command_##name;
COMMANDS(DECLARE)
#undef DECLARE

#define ADDRESS(name) &command_##name,
const struct command *const commands[] = {COMMANDS(ADDRESS)};
#undef ADDRESS
const size_t n_commands = ARRAY_LEN(commands);

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < n_commands; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

#define MEMBER(name) offsetof(struct shared_options, name)

static const char *const outputs[] = {"json", "wide", NULL};

static const struct flag general_flags[] = {
	{"help", FLAG_BOOL | FLAG_SHORT('h'), MEMBER(help), NULL, "print this", NULL},
	{"version", FLAG_BOOL | FLAG_SHORT('v'), MEMBER(version), NULL, "print the version", NULL},
};

static const struct flag cluster_flags[] = {
	{"namespace", FLAG_STRING | FLAG_SHORT('n'), MEMBER(namespace_), "NS",
	 "namespace (default: the context's)", NULL},
	{"context", FLAG_STRING, MEMBER(context), "NAME",
	 "context of the kubeconfig (default: its current one)", NULL},
	{"kubeconfig", FLAG_STRING, MEMBER(kubeconfig), "FILE",
	 "kubeconfig (default: $KUBECONFIG, then ~/.kube/config; in a Pod its own)", NULL},
};

static const struct flag all_flags[] = {
	{"all-namespaces", FLAG_BOOL | FLAG_SHORT('A'), MEMBER(all_namespaces), NULL,
	 "all namespaces", NULL},
};

static const struct flag output_flags[] = {
	{"output", FLAG_STRING | FLAG_SHORT('o'), MEMBER(output), "json|wide",
	 "json for programs, wide for more columns", outputs},
};

size_t command_flag_sets(struct flag_set sets[COMMAND_MAX_SETS], const struct command *command,
			 struct invocation *in)
{
	void *shared = in ? &in->shared : NULL;
	size_t n = 0;

	if (command->n_flags)
		sets[n++] = (struct flag_set){command->flags, *command->n_flags,
					      in ? in->options : NULL};
	if (command->shared & FLAGS_ALL)
		sets[n++] = (struct flag_set){all_flags, ARRAY_LEN(all_flags), shared};
	if (command->shared & FLAGS_OUTPUT)
		sets[n++] = (struct flag_set){output_flags, ARRAY_LEN(output_flags), shared};
	if (command->shared & FLAGS_CLUSTER)
		sets[n++] = (struct flag_set){cluster_flags, ARRAY_LEN(cluster_flags), shared};
	sets[n++] = (struct flag_set){general_flags, ARRAY_LEN(general_flags), shared};
	return n;
}

/* The API server's own errors begin as kubectl's do already. */
/* The message may quote what a BuildConfig or a server holds: nothing in it may steer a terminal.
 */
int command_fail(const struct err *err)
{
	CLEANUP(buf_release) struct buf message = BUF_INIT(sizeof(err->msg) * 4);
	struct str text = str_of(err->msg);
	bool is_worded = str_starts(text, STR("Error from server")) ||
			 str_starts(text, STR("Unable to connect"));

	buf_put_clean(&message, text, sizeof(err->msg));
	(void)fprintf(stderr, "%s%s\n", is_worded ? "" : "error: ", buf_text(&message));
	return EXIT_FAILED;
}

/* `serve` writes logs, whose reader has to know the program's name. */
int command_fail_usage(const struct invocation *in, const struct err *err)
{
	if (strcmp(in->command->name, "serve") == 0)
		(void)fprintf(stderr, "buildhook serve: %s\n", err->msg);
	else
		(void)fprintf(stderr, "error: %s\nSee '%s %s --help' for usage.\n", err->msg,
			      in->program, in->command->name);
	return EXIT_USAGE;
}
