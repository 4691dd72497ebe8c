#include "command.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} commands[] = {
	{"serve", command_serve, "receive webhooks and start builds"},
};

static void print_usage(FILE *to)
{
	(void)fputs("usage: buildhook COMMAND [flags]\n\ncommands:\n", to);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		(void)fprintf(to, "  %-12s %s\n", commands[i].name, commands[i].summary);
	(void)fputs("  version      print the version\n\n"
		    "buildhook COMMAND --help lists a command's flags.\n",
		    to);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0) {
		puts("buildhook " BUILDHOOK_VERSION);
		return EXIT_OK;
	}
	if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0) {
		print_usage(stdout);
		return EXIT_OK;
	}
	if (*name)
		(void)fprintf(
			stderr,
			"buildhook: unknown command \"%.60s\"; buildhook help lists the commands\n",
			name);
	else
		print_usage(stderr);
	return EXIT_USAGE;
}
