/* Help texts, man pages and the synopsis of docs/cli.md, all from the table of commands. */
#include "usage.h"

#include "base/mem.h"

#define COLUMNS        80
#define FLAG_COLUMN    26
#define MAX_TEXT_BYTES ((size_t)256 * 1024)

/* Bytes of the word at TEXT. A command in backticks is one word where ROOM bytes hold it. */
static size_t word_length(const char *text, size_t room)
{
	size_t n = strcspn(text, " \n");
	const char *open = memchr(text, '`', n);
	size_t command = open ? strcspn(open + 1, "`\n") : 0;
	size_t whole;

	if (!open || open[1 + command] != '`')
		return n;
	whole = (size_t)(open - text) + 1 + command;
	whole += strcspn(text + whole, " \n");
	return whole <= room ? whole : n;
}

void usage_put_wrapped(struct buf *out, const char *text, size_t indent, size_t column)
{
	bool is_first = true;

	while (*text) {
		size_t n = word_length(text, COLUMNS - indent);

		if (!is_first && column + 1 + n > COLUMNS) {
			buf_printf(out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (!is_first) {
			buf_put_char(out, ' ');
			column++;
		}
		buf_put(out, text, n);
		column += n;
		is_first = false;
		text += n;
		if (*text == '\n') {
			buf_printf(out, "\n%*s", text[1] == '\n' ? 0 : (int)indent, "");
			column = indent;
			is_first = true;
		}
		text += *text != '\0';
	}
}

/* "-n, --namespace NS" */
static void put_flag(struct buf *out, const struct flag *flag)
{
	if (flag_letter(flag))
		buf_printf(out, "-%c, ", flag_letter(flag));
	buf_printf(out, "--%s", flag->name);
	if (flag->value)
		buf_printf(out, " %s", flag->value);
}

static void put_flags(struct buf *out, const struct flag_set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		size_t begin = out->len;

		buf_printf(out, "  %s", flag_letter(&set->flags[i]) ? "" : "    ");
		put_flag(out, &set->flags[i]);
		if (out->len - begin + 2 > FLAG_COLUMN)
			buf_printf(out, "\n%*s", FLAG_COLUMN, "");
		else
			buf_printf(out, "%*s", (int)(FLAG_COLUMN - (out->len - begin)), "");
		usage_put_wrapped(out, set->flags[i].help, FLAG_COLUMN, FLAG_COLUMN);
		buf_put_char(out, '\n');
	}
}

/* EXAMPLES name the program "buildhook". */
static void put_examples(struct buf *out, const char *examples, const char *program)
{
	struct str rest = str_of(examples), line;

	while (str_next_part(&rest, '\n', &line)) {
		struct str command = str_without_prefix(line, STR("buildhook "));

		if (command.n < line.n)
			buf_printf(out, "  %s %.*s\n", program, STR_ARG(command));
		else
			buf_printf(out, "  %.*s\n", STR_ARG(line));
	}
}

static void put_line(struct buf *out, const struct command *command, const char *program)
{
	buf_printf(out, "%s %s%s%s%s", program, command->name, *command->args ? " " : "",
		   command->args, command->is_raw ? "" : " [flags]");
}

void usage_print_command(const struct command *command, const char *program)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_TEXT_BYTES);
	struct flag_set sets[COMMAND_MAX_SETS];
	size_t n_sets = command_flag_sets(sets, command, NULL);

	buf_put_str(&text, STR("usage: "));
	put_line(&text, command, program);
	buf_put_str(&text, STR("\n\n"));
	usage_put_wrapped(&text, command->about, 0, 0);
	buf_put_str(&text, STR("\n\n"));
	if (command->examples) {
		buf_put_str(&text, STR("examples:\n"));
		put_examples(&text, command->examples, program);
		buf_put_char(&text, '\n');
	}
	buf_put_str(&text, STR("flags:\n"));
	for (size_t i = 0; i < n_sets; i++)
		put_flags(&text, &sets[i]);
	(void)fputs(text.data, stdout);
}

void usage_print(FILE *to, const char *program)
{
	(void)fprintf(to, "usage: %s COMMAND [flags]\n\ncommands:\n", program);
	for (size_t i = 0; i < n_commands; i++)
		if (!commands[i]->is_hidden)
			(void)fprintf(to, "  %-16s %s\n", commands[i]->name, commands[i]->summary);
	(void)fprintf(to, "\n%s COMMAND --help lists a command's flags.\n", program);
}

/* roff: a leading dot or quote is a request, a backslash an escape, and a hyphen-minus has to be
 * told from a hyphen. */
static void put_roff(struct buf *out, struct str text)
{
	bool is_at_start = true;

	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (is_at_start && (c == '.' || c == '\''))
			buf_put_str(out, STR("\\&"));
		if (c == '-' || c == '\\')
			buf_put_char(out, '\\');
		if (c == '\\')
			buf_put_char(out, 'e');
		else
			buf_put_char(out, c);
		is_at_start = c == '\n';
	}
}

static void put_roff_paragraphs(struct buf *out, const char *text)
{
	for (const char *line = text; *line;) {
		size_t n = strcspn(line, "\n");

		if (n == 0)
			buf_put_str(out, STR(".PP\n"));
		put_roff(out, str_range(line, n));
		if (n > 0)
			buf_put_char(out, '\n');
		line += n + (line[n] == '\n');
	}
}

static void put_man_flags(struct buf *out, const struct flag_set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		CLEANUP(buf_release) struct buf name = BUF_INIT(200);

		put_flag(&name, &set->flags[i]);
		buf_put_str(out, STR(".TP\n.B "));
		put_roff(out, buf_str(&name));
		buf_put_char(out, '\n');
		put_roff(out, str_of(set->flags[i].help));
		buf_put_char(out, '\n');
	}
}

static void put_man_head(struct buf *out, const char *name, const char *summary)
{
	buf_printf(out, ".TH \"%s\" 1 \"\" \"buildhook\" \"buildhook\"\n.SH NAME\n", name);
	put_roff(out, str_of(name));
	buf_put_str(out, STR(" \\- "));
	put_roff(out, str_of(summary));
	buf_put_str(out, STR("\n.SH SYNOPSIS\n.B "));
}

static void put_man_command(struct buf *out, const struct command *command)
{
	CLEANUP(buf_release) struct buf part = BUF_INIT(MAX_TEXT_BYTES);
	struct flag_set sets[COMMAND_MAX_SETS];
	size_t n_sets = command_flag_sets(sets, command, NULL);

	buf_printf(&part, "buildhook-%s", command->name);
	put_man_head(out, part.data, command->summary);
	buf_clear(&part);
	put_line(&part, command, "buildhook");
	put_roff(out, buf_str(&part));
	buf_put_str(out, STR("\n.SH DESCRIPTION\n"));
	put_roff_paragraphs(out, command->about);
	buf_put_str(out, STR(".SH OPTIONS\n"));
	for (size_t i = 0; i < n_sets; i++)
		put_man_flags(out, &sets[i]);
	buf_put_str(out, STR(".SH EXIT STATUS\n0: done. 1: it did not work. 2: wrong usage.\n"));
	if (command->examples) {
		buf_put_str(out, STR(".SH EXAMPLES\n.nf\n"));
		put_roff(out, str_of(command->examples));
		buf_put_str(out, STR("\n.fi\n"));
	}
	buf_put_str(out, STR(".SH SEE ALSO\nbuildhook(1)\n"));
}

static void put_man_program(struct buf *out)
{
	put_man_head(out, "buildhook", "Git webhooks for OpenShift BuildConfigs on any cluster");
	buf_put_str(out, STR("buildhook COMMAND [flags]\n.SH DESCRIPTION\n"));
	put_roff(out,
		 STR("Receives the webhooks of Git hosts and starts the builds of BuildConfigs "
		     "(serve), and shows and tries what it does (all other commands). Installed as "
		     "kubectl-buildhook or oc-buildhook it is a plug-in of kubectl and oc.\n"));
	buf_put_str(out, STR(".SH COMMANDS\n"));
	for (size_t i = 0; i < n_commands; i++) {
		if (commands[i]->is_hidden)
			continue;
		buf_printf(out, ".TP\n.B ");
		put_roff(out, str_of(commands[i]->name));
		buf_put_char(out, '\n');
		put_roff(out, str_of(commands[i]->summary));
		buf_put_char(out, '\n');
	}
}

static int run_man(const struct invocation *in)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_TEXT_BYTES);
	const struct command *command = in->n_args > 0 ? command_find(in->args[0]) : NULL;
	struct err err;

	if (in->n_args > 0 && !command) {
		err_set(&err, ERR_INVALID, "unknown command \"%.60s\"", in->args[0]);
		return command_fail_usage(in, &err);
	}
	if (command)
		put_man_command(&text, command);
	else
		put_man_program(&text);
	(void)fputs(text.data, stdout);
	return EXIT_OK;
}

/* For docs/cli.md: one block with each command's line, and a table of the flags that only some
 * have. */
static int run_synopsis(const struct invocation *in)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_TEXT_BYTES);

	(void)in;
	buf_put_str(&text, STR("| command | does |\n| --- | --- |\n"));
	for (size_t i = 0; i < n_commands; i++) {
		const struct command *command = commands[i];

		if (command->is_hidden || strcmp(command->name, "serve") == 0)
			continue;
		buf_printf(&text, "| `%s%s%s", command->name, *command->args ? " " : "",
			   command->args);
		for (size_t k = 0; command->n_flags && k < *command->n_flags; k++) {
			buf_printf(&text, " [--%s%s%s]", command->flags[k].name,
				   command->flags[k].value ? " " : "",
				   command->flags[k].value ? command->flags[k].value : "");
		}
		buf_printf(&text, "` | %s |\n", command->summary);
	}
	for (const char *c = text.data; *c; c++) {
		/* A bar ends a cell of the table, but for those that are ours. */
		bool is_inner = *c == '|' && c > text.data && c[-1] != ' ' && c[-1] != '\n';

		(void)fputs(is_inner ? "\\" : "", stdout);
		(void)putchar(*c);
	}
	return EXIT_OK;
}

const struct command command_man = {
	.name = "__man",
	.args = "[COMMAND]",
	.summary = "print a man page",
	.about = "Prints a man page.",
	.max_args = 1,
	.run = run_man,
	.is_hidden = true,
};

const struct command command_synopsis = {
	.name = "__synopsis",
	.args = "",
	.summary = "print the synopsis of docs/cli.md",
	.about = "Prints the synopsis of docs/cli.md.",
	.run = run_synopsis,
	.is_hidden = true,
};
