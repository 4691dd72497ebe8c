/*
 * What pkg/app leaves out: event loop, sockets, signals, the API server's real transport, and the
 * metrics of the process.
 */
#include "server.h"

#include "command.h"
#include "daemon.h"
#include "stats.h"

#include "app/app.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/version.h"
#include "crypto/crypto.h"
#include "kubeconfig/config.h"
#include "receiver/answer.h"

#include <signal.h>
#include <unistd.h>

/* After the start: thousands of BuildConfigs are read by then. */
#define SETTLE_MS 10000

struct server {
	const struct serve_options *options;
	struct app_settings settings;
	struct clock *clock;
	struct loop *loop;
	struct metrics *metrics;
	struct kube_config *config;
	struct loop_wakeup *wakeup;
	struct app *app;
	struct http_server *receiver_http, *admin_http;
	struct admin admin;
	struct stats *stats;
	struct loop_watch *signals[2];
	struct timer settle;
	bool is_draining;
	int exit_status;
	char instance[256];
};

static void stop(struct server *s, int status)
{
	s->exit_status = status;
	loop_stop(s->loop);
}

static void on_end(void *arg, bool has_failed)
{
	stop(arg, has_failed ? EXIT_FAILED : EXIT_OK);
}

static void on_journal(void *arg)
{
	struct server *s = arg;

	app_collect(s->app);
}

/* The second signal ends at once. */
static void on_signal(void *arg, int signo)
{
	struct server *s = arg;

	(void)signo;
	if (s->is_draining) {
		stop(s, EXIT_FAILED);
		return;
	}
	log_msg(LOG_INFO, "server", "shutting down");
	s->is_draining = true;
	http_server_drain(s->receiver_http);
	app_drain(s->app);
}

static void on_settled(void *arg)
{
	(void)arg;
	mem_settle();
}

static int make_app(struct server *s, struct err *err)
{
	struct app_options options = {
		.settings = &s->settings,
		.clock = s->clock,
		.metrics = s->metrics,
		.namespace_ = s->config->namespace_,
		.instance = s->instance,
		.wake = loop_wake,
		.on_end = on_end,
		.arg = s,
	};

	if (kube_transport_new(&options.transport, s->loop, s->config, err) != 0)
		return EXIT_USAGE;
	s->wakeup = loop_wakeup_new(s->loop, on_journal, s);
	options.wake_arg = s->wakeup;
	return app_new(&s->app, &options, err) == 0 ? 0 : EXIT_FAILED;
}

static size_t read_checks(void *arg, bool receive_only, struct app_check checks[APP_MAX_CHECKS])
{
	struct server *s = arg;

	return app_read_checks(s->app, receive_only, checks);
}

static int listen_all(struct server *s, struct err *err)
{
	const struct serve_options *o = s->options;
	struct http_options http = {.limits = http_default_limits,
				    .handler = app_handler(s->app),
				    .error_body = answer_error_body,
				    .error_header = ANSWER_MESSAGE_HEADER,
				    .tls_cert_file = o->tls_cert,
				    .tls_key_file = o->tls_key};

	http.limits.max_body_bytes = o->max_body;
	http.limits.max_connections = (size_t)o->max_connections;
	if (http_server_new(&s->receiver_http, s->loop, o->listen, &http, err) != 0)
		return err_wrap(err, "--listen");
	s->admin = (struct admin){s->metrics, read_checks, s};
	if (daemon_listen_admin(&s->admin_http, s->loop, o->admin_listen, &s->admin, err) != 0)
		return err->code;
	log_msg(LOG_INFO, "server", "listening",
		LOG_FIELD("receiver", http_server_address(s->receiver_http)),
		LOG_FIELD("admin", http_server_address(s->admin_http)),
		LOG_FIELD("api_server", s->config->server), LOG_FIELD("version", version_text));
	return 0;
}

static int init(struct server *s, struct err *err)
{
	static const struct clock_source source = {clock_real_mono_ms, clock_real_wall_ms,
						   crypto_random, NULL};
	const struct kube_config_options config = {.kubeconfig = s->options->kubeconfig,
						   .context = s->options->context};
	int status = 0;

	s->settings = s->options->app;
	s->settings.namespaces = s->options->namespaces.items;
	s->settings.n_namespaces = s->options->namespaces.n;
	(void)gethostname(s->instance, sizeof(s->instance) - 1);
	s->clock = clock_new(&source);
	s->loop = loop_new(s->clock);
	s->metrics = metrics_new();
	if (kube_config_load(&s->config, &config, err) != 0)
		return EXIT_USAGE;
	status = make_app(s, err);
	if (status != 0)
		return status;
	if (listen_all(s, err) != 0)
		return EXIT_USAGE;
	s->stats = stats_new(app_services(s->app), s->loop, s->receiver_http);
	s->signals[0] = loop_on_signal(s->loop, SIGTERM, on_signal, s);
	s->signals[1] = loop_on_signal(s->loop, SIGINT, on_signal, s);
	return 0;
}

int server_new(struct server **out, const struct serve_options *options, struct err *err)
{
	struct server *s = mem_new(1, sizeof(*s));
	int status = 0;

	s->options = options;
	s->exit_status = EXIT_FAILED;
	status = init(s, err);
	if (status != 0)
		server_free(s);
	else
		*out = s;
	return status;
}

int server_run(struct server *s)
{
	app_start(s->app);
	timer_start(s->clock, &s->settle, SETTLE_MS, on_settled, s);
	loop_run(s->loop);
	timer_stop(s->clock, &s->settle);
	if (!app_finish(s->app))
		s->exit_status = EXIT_FAILED;
	log_msg(LOG_INFO, "server", "stopped");
	return s->exit_status;
}

void server_free(struct server *s)
{
	http_server_free(s->receiver_http);
	http_server_free(s->admin_http);
	stats_free(s->stats);
	app_free(s->app);
	kube_config_free(s->config);
	loop_wakeup_free(s->wakeup);
	for (size_t i = 0; i < ARRAY_LEN(s->signals); i++)
		loop_watch_free(s->signals[i]);
	metrics_free(s->metrics);
	loop_free(s->loop);
	clock_free(s->clock);
	mem_free(&s);
}
