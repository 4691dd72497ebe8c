/* The subcommands. Each returns the exit status: 0, 1 (it did not work), 2 (usage). */
#pragma once

#define EXIT_OK     0
#define EXIT_FAILED 1
#define EXIT_USAGE  2

int command_serve(int argc, char **argv);
