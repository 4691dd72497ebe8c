#include "daemon.h"

#include "base/log.h"
#include "crypto/crypto.h"
#include "net/http.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#define ADMIN_MAX_CONNECTIONS 32

const char *const daemon_log_formats[] = {"text", "json", NULL};
/* In the order of enum log_level. */
const char *const daemon_log_levels[] = {"debug", "info", "warn", "error", NULL};

void daemon_begin(const char *format, const char *level)
{
	const struct rlimit none = {0, 0};
	bool is_text = format ? strcmp(format, "text") == 0 : isatty(STDERR_FILENO);
	enum log_level lowest = LOG_DEBUG;

	/* Secrets and tokens are in memory. */
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)signal(SIGPIPE, SIG_IGN);
	crypto_load();
	while (strcmp(daemon_log_levels[lowest], level) != 0)
		lowest++;
	log_init(lowest, is_text ? LOG_TEXT : LOG_JSON);
}

int daemon_listen_admin(struct http_server **out, struct loop *loop, const char *address,
			struct admin *admin, struct err *err)
{
	struct http_options http = {.limits = http_default_limits, .handler = admin_handler(admin)};

	http.limits.max_body_bytes = 0;
	http.limits.max_connections = ADMIN_MAX_CONNECTIONS;
	if (http_server_new(out, loop, address, &http, err) != 0)
		return err_wrap(err, "--admin-listen");
	return 0;
}
