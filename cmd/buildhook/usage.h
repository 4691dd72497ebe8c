/* What is made from the table of commands: help texts, man pages, the synopsis of docs/cli.md,
 * completion. */
#pragma once

#include "command.h"

#include "base/buf.h"

#include <stdio.h>

/* All commands. */
void usage_print(FILE *to, const char *program);
/* One command and its flags. */
void usage_print_command(const struct command *command, const char *program);
/* TEXT (words parted by single spaces, lines kept) wrapped at 80 columns; each line but the first
 * begins with INDENT spaces. A command in backticks is broken only where no line holds it. */
void usage_put_wrapped(struct buf *out, const char *text, size_t indent, size_t column);

/* Candidates for the last of WORDS, and after them cobra's directive, as kubectl wants it. */
int usage_complete_for_kubectl(struct invocation *in, int n_words, char **words);
