#include "prompt.h"

#include "base/mem.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <strings.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

static void close_file(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

/* Reads a line into OUT, as far as it has room. False at the end of the input. */
static bool read_line(struct buf *out, FILE *from)
{
	int c = 0;

	while ((c = fgetc(from)) != EOF && c != '\n')
		if (c != '\r')
			buf_put_char(out, (char)c);
	return c != EOF || out->len > 0;
}

/* Waits until FROM has a line. A signal that would end the program is caught, because the terminal
 * would stay without echo. Returns the signal's number, or 0 for a line. */
static int wait_for_line(FILE *from, const sigset_t *deadly)
{
	int fd = signalfd(-1, deadly, SFD_CLOEXEC);
	struct pollfd fds[] = {{.fd = fileno(from), .events = POLLIN},
			       {.fd = fd, .events = POLLIN}};
	struct signalfd_siginfo info = {0};

	if (fd < 0)
		return 0;
	while (poll(fds, ARRAY_LEN(fds), -1) < 0 && errno == EINTR)
		;
	if (fds[1].revents && read(fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		info.ssi_signo = 0;
	(void)close(fd);
	return (int)info.ssi_signo;
}

int prompt_secret(struct buf *out, const char *text, struct err *err)
{
	CLEANUP(close_file) FILE *tty = fopen("/dev/tty", "r+e");
	struct termios before, silent;
	sigset_t deadly, mask;
	bool has_line;
	int signo;

	if (!tty || tcgetattr(fileno(tty), &before) != 0)
		return err_set(err, ERR_UNAVAILABLE, "there is no terminal to ask on");
	(void)sigemptyset(&deadly);
	(void)sigaddset(&deadly, SIGINT);
	(void)sigaddset(&deadly, SIGQUIT);
	(void)sigaddset(&deadly, SIGTERM);
	(void)sigaddset(&deadly, SIGHUP);
	silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	/* Ctrl-Z would leave a shell without echo. */
	silent.c_cc[VSUSP] = _POSIX_VDISABLE;
	/* Unbuffered: stdio would keep the typed secret in memory. */
	(void)setvbuf(tty, NULL, _IONBF, 0);
	(void)sigprocmask(SIG_BLOCK, &deadly, &mask);
	(void)tcsetattr(fileno(tty), TCSAFLUSH, &silent);
	/* The question comes last: the terminal must neither echo a quick answer nor discard it. */
	(void)fputs(text, tty);
	signo = wait_for_line(tty, &deadly);
	has_line = signo == 0 && read_line(out, tty);
	(void)tcsetattr(fileno(tty), TCSAFLUSH, &before);
	(void)fputc('\n', tty);
	if (signo != 0)
		(void)raise(signo);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
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
