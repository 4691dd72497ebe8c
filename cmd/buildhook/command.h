/*
 * The subcommands. Each is one struct command; usage texts, man pages, completion and the synopsis
 * in docs/cli.md are made from the same members.
 */
#pragma once

#include "flags.h"

#define EXIT_OK     0
#define EXIT_FAILED 1 /* the command failed */
#define EXIT_USAGE  2

#define COMMAND_MAX_ARGS 4

/* What every command understands, and by the groups below what most of them do. */
struct shared_options {
	bool help, version;
	/* FLAGS_CLUSTER */
	const char *kubeconfig, *context, *namespace_;
	/* FLAGS_ALL */
	bool all_namespaces;
	/* FLAGS_OUTPUT */
	const char *output; /* NULL, "json" or "wide" */
};

enum command_flags {
	FLAGS_CLUSTER = 1, /* --kubeconfig, --context, --namespace */
	FLAGS_ALL = 2,     /* --all-namespaces */
	FLAGS_OUTPUT = 4,  /* --output */
};

/* What an argument is, for completion. */
enum command_arg {
	ARG_OTHER,
	ARG_BUILDCONFIG,
	ARG_BUILDCONFIG_OR_FILE,
	ARG_TYPE, /* github, ... */
	ARG_BUILD,
	ARG_FILE,
	ARG_SHELL,
};

struct command;

/* One call of the program. */
struct invocation {
	const struct command *command;
	const char *program; /* "buildhook", "kubectl buildhook" or "oc buildhook" */
	struct shared_options shared;
	void *options; /* the command's own, options_size bytes */
	const char *args[COMMAND_MAX_ARGS];
	size_t n_args;
	int argc; /* of a command that is_raw: its own arguments, argv[0] being its name */
	char **argv;
};

struct command {
	const char *name;
	const char *args;     /* "NAME [TYPE]" */
	const char *summary;  /* one line, lower case */
	const char *about;    /* paragraphs, an empty line between them */
	const char *examples; /* lines, "kubectl buildhook url cart"; NULL: none */
	size_t min_args, max_args;
	enum command_arg arg_kinds[COMMAND_MAX_ARGS];
	unsigned shared; /* enum command_flags */
	const struct flag *flags;
	const size_t *n_flags; /* NULL: none */
	size_t options_size;
	void (*init)(void *options); /* the defaults, where they are not zero; or NULL */
	/* Returns the exit status. */
	int (*run)(const struct invocation *in);
	bool is_raw;    /* reads argv itself */
	bool is_hidden; /* not in help: for this repository's scripts */
};

/* In the order in which help lists them. */
extern const struct command *const commands[];
extern const size_t n_commands;

const struct command *command_find(const char *name);
/* The sets of flags that COMMAND takes; returns how many there are, at most COMMAND_MAX_SETS. IN
 * may be NULL where only the tables are of interest. */
#define COMMAND_MAX_SETS 5
size_t command_flag_sets(struct flag_set sets[COMMAND_MAX_SETS], const struct command *command,
			 struct invocation *in);

/* "error: ..." on stderr; an error of the API server is worded as kubectl does. Returns
 * EXIT_FAILED. */
int command_fail(const struct err *err);
/* A wrong argument or flag. Returns EXIT_USAGE. */
int command_fail_usage(const struct invocation *in, const struct err *err);
