/*
 * A child process with its output in a pipe that the event loop reads. The child is the program
 * itself: /proc/self/exe, so that a newer file at the same path is not taken for it.
 */
#define _GNU_SOURCE /* pipe2(2), environ */
#include "ui_run.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_OUTPUT_BYTES ((size_t)256 * 1024)
/* `rotate` waits for a minute at most. */
#define MAX_RUN_MS 90000

struct ui_run {
	struct loop *loop;
	pid_t pid; /* 0: it has ended */
	int fd;    /* -1: closed */
	struct loop_watch *watch;
	struct timer timer;
	struct buf output;
	void (*done)(void *arg, int status, struct str output);
	void *arg;
};

static int reap(struct ui_run *run)
{
	int status = 0;

	if (run->pid == 0)
		return -1;
	while (waitpid(run->pid, &status, 0) < 0 && errno == EINTR)
		;
	run->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void close_pipe(struct ui_run *run)
{
	loop_watch_free(run->watch);
	run->watch = NULL;
	if (run->fd >= 0)
		(void)close(run->fd);
	run->fd = -1;
}

static void end(struct ui_run *run)
{
	int status;

	close_pipe(run);
	timer_stop(loop_clock(run->loop), &run->timer);
	status = reap(run);
	run->done(run->arg, status, buf_str(&run->output));
}

static void on_readable(void *arg, int what)
{
	struct ui_run *run = arg;
	char chunk[4096];
	ssize_t n = read(run->fd, chunk, sizeof(chunk));

	(void)what;
	if (n > 0)
		buf_put(&run->output, chunk, (size_t)n);
	else if (n == 0 || (errno != EINTR && errno != EAGAIN))
		end(run);
	explicit_bzero(chunk, sizeof(chunk));
}

static void on_late(void *arg)
{
	struct ui_run *run = arg;

	if (run->pid)
		(void)kill(run->pid, SIGKILL);
	buf_printf(&run->output, "\nended: it took over %d s", MAX_RUN_MS / 1000);
	end(run);
}

static void on_failed(void *arg)
{
	end(arg);
}

/* The output has no colours and no terminal's width. */
static int spawn(pid_t *pid, int out_fd, const char *const *argv)
{
	posix_spawn_file_actions_t actions;
	int rc;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out_fd, STDERR_FILENO);
	rc = posix_spawn(pid, "/proc/self/exe", &actions, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

struct ui_run *ui_run_start(struct loop *loop, const char *const *argv,
			    void (*done)(void *arg, int status, struct str output), void *arg)
{
	struct ui_run *run = mem_new(1, sizeof(*run));
	struct clock *clock = loop_clock(loop);
	int fds[2] = {-1, -1};
	int rc;

	*run = (struct ui_run){.loop = loop, .fd = -1, .done = done, .arg = arg};
	run->output = (struct buf)BUF_INIT(MAX_OUTPUT_BYTES);
	rc = pipe2(fds, O_CLOEXEC) < 0 ? errno : spawn(&run->pid, fds[1], argv);
	if (fds[1] >= 0)
		(void)close(fds[1]);
	run->fd = fds[0];
	if (rc != 0) {
		run->pid = 0;
		buf_printf(&run->output, "error: the command cannot be started: %s", strerror(rc));
		timer_start(clock, &run->timer, 0, on_failed, run);
		return run;
	}
	run->watch = loop_watch_fd(loop, run->fd, LOOP_READ, on_readable, run);
	timer_start(clock, &run->timer, MAX_RUN_MS, on_late, run);
	return run;
}

void ui_run_free(struct ui_run *run)
{
	if (!run)
		return;
	if (run->pid)
		(void)kill(run->pid, SIGKILL);
	close_pipe(run);
	timer_stop(loop_clock(run->loop), &run->timer);
	(void)reap(run);
	buf_wipe(&run->output);
	mem_free(&run);
}
