/* `buildhook serve`: prepares the process and runs the server (server.h). */
#include "command.h"
#include "daemon.h"
#include "options.h"
#include "server.h"

#include <malloc.h>
#include <stdio.h>
#include <sys/resource.h>

/* The soft limit is often 1024 for the sake of select(2), which is not used here. */
static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* Blocks of this size go back to the system when they are freed, so that a flood leaves no memory
 * behind; glibc's own threshold would grow with the sizes that are freed. */
static void give_memory_back(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, 32 << 10);
}

static int run_serve(const struct invocation *in)
{
	const struct serve_options *options = in->options;
	struct err err = {0};
	struct server *server = NULL;
	int status;

	if (serve_options_check(options, &err) != 0)
		return command_fail_usage(in, &err);
	allow_descriptors();
	give_memory_back();
	daemon_begin(options->log_format, options->log_level);
	status = server_new(&server, options, &err);
	if (status != 0) {
		(void)fprintf(stderr, "buildhook serve: %s\n", err.msg);
		return status;
	}
	status = server_run(server);
	server_free(server);
	return status;
}

const struct command command_serve = {
	.name = "serve",
	.args = "",
	.summary = "receive webhooks and start builds",
	.about = "Receives webhooks and starts builds.",
	.flags = serve_flags,
	.n_flags = &serve_n_flags,
	.options_size = sizeof(struct serve_options),
	.init = serve_options_init,
	.run = run_serve,
};
