#include "prompt.h"

#include "base/mem.h"

#include <stdio.h>
#include <strings.h>
#include <termios.h>
#include <unistd.h>

static void close_file(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

/* What was typed up to the end of the line, as far as OUT has room. False at the end of the input.
 */
static bool read_line(struct buf *out, FILE *from)
{
	int c = 0;

	while ((c = fgetc(from)) != EOF && c != '\n')
		if (c != '\r')
			buf_put_char(out, (char)c);
	return c != EOF || out->len > 0;
}

int prompt_secret(struct buf *out, const char *text, struct err *err)
{
	CLEANUP(close_file) FILE *tty = fopen("/dev/tty", "r+e");
	struct termios before, silent;
	bool has_line;

	if (!tty || tcgetattr(fileno(tty), &before) != 0)
		return err_set(err, ERR_UNAVAILABLE, "there is no terminal to ask on");
	silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	/* stdio would keep what was typed. */
	(void)setvbuf(tty, NULL, _IONBF, 0);
	(void)fputs(text, tty);
	(void)tcsetattr(fileno(tty), TCSAFLUSH, &silent);
	has_line = read_line(out, tty);
	(void)tcsetattr(fileno(tty), TCSAFLUSH, &before);
	(void)fputc('\n', tty);
	if (!has_line || out->overflow)
		return err_set(err, ERR_INVALID, "nothing usable was typed");
	return 0;
}

bool prompt_confirm(const char *text)
{
	CLEANUP(close_file) FILE *tty = fopen("/dev/tty", "r+e");
	CLEANUP(buf_release) struct buf line = BUF_INIT(64);

	if (!tty)
		return false;
	(void)setvbuf(tty, NULL, _IONBF, 0);
	(void)fprintf(tty, "%s [y/N] ", text);
	if (!read_line(&line, tty) || line.len == 0)
		return false;
	return strcasecmp(line.data, "y") == 0 || strcasecmp(line.data, "yes") == 0;
}
