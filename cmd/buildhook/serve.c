/* `buildhook serve`: wires the parts together, and takes them apart again. */
#include "admin.h"
#include "command.h"
#include "options.h"
#include "server.h"

#include "base/log.h"
#include "base/mem.h"
#include "crypto/crypto.h"

#include <malloc.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static void start_log(const struct serve_options *o)
{
	static const char *const levels[] = {"debug", "info", "warn", "error"};
	enum log_format format = isatty(STDERR_FILENO) ? LOG_TEXT : LOG_JSON;
	enum log_level level = LOG_INFO;

	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		if (strcmp(levels[i], o->log_level) == 0)
			level = (enum log_level)i;
	if (o->log_format)
		format = strcmp(o->log_format, "json") == 0 ? LOG_JSON : LOG_TEXT;
	log_init(level, format);
}

/* Secrets are in memory. */
static void forbid_core_dumps(void)
{
	const struct rlimit none = {0, 0};

	(void)setrlimit(RLIMIT_CORE, &none);
}

/* The soft limit is often 1024 for the sake of select(2), which is not used here. */
static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* What a flood of requests took goes back to the system with it; glibc's own threshold grows with
 * the sizes that are freed. */
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
	forbid_core_dumps();
	allow_descriptors();
	give_memory_back();
	crypto_load();
	start_log(options);
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
