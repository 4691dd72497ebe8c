/*
 * Puts the program together, starts it step by step (discovery, public address, controller,
 * watches), and ends it.
 */
#include "app/app.h"

#include "app/discovery.h"
#include "app/public_url.h"
#include "base/log.h"
#include "base/mem.h"
#include "controller/controller.h"

#include <stdio.h>

#define DRAIN_STEP_MS 50
/* A clean end may take 20 s; deliveries under way get this much of it. */
#define DRAIN_LIMIT_MS 18000

struct app {
	struct app_options opt;
	struct services services;
	struct receiver *receiver;
	struct controller *controller; /* NULL until backend and public address are known */
	struct public_url *public_url; /* NULL with --public-url */
	struct timer drain_timer;
	struct discovery *discovery; /* NULL before app_start() */
	enum controller_backend backend;
	bool has_backend;
	bool is_draining;
	bool has_ended;
	bool has_journal_failed;
	int64_t drain_until_ms;
	char cache_error[400];
};

static void end(struct app *app, bool has_failed)
{
	if (!app->has_ended)
		app->opt.on_end(app->opt.arg, has_failed);
	app->has_ended = true;
}

/* Events of the services. */

static void on_buildconfig(void *arg, const char *key, const void *old, const void *new_)
{
	struct app *app = arg;

	if (app->controller)
		controller_on_change(app->controller, key, old, new_);
}

static void on_synced(void *arg)
{
	struct app *app = arg;

	log_msg(LOG_INFO, "server", "BuildConfigs are read");
	controller_resume(app->controller);
}

static void on_queue(void *arg)
{
	struct app *app = arg;

	if (app->controller)
		controller_run(app->controller);
}

static void on_api_change(void *arg)
{
	struct app *app = arg;
	bool is_up = kube_client_is_up(app->services.client);

	log_msg(is_up ? LOG_INFO : LOG_WARN, "server",
		is_up ? "the API server answers"
		      : "the API server is not available; deliveries are stored and wait",
		LOG_FIELD("error", is_up ? NULL : kube_client_trouble(app->services.client)));
	if (app->controller && is_up)
		controller_resume(app->controller);
}

void app_collect(struct app *app)
{
	const char *failure = NULL;

	journal_collect(app->services.journal);
	failure = journal_failure(app->services.journal);
	if (!failure || app->has_journal_failed)
		return;
	app->has_journal_failed = true;
	log_msg(LOG_ERROR, "journal", "the journal failed; nothing more is acknowledged",
		LOG_FIELD("error", failure));
	end(app, true);
}

/* Start: discovery, public address, controller and watches. */

static void start_controller(struct app *app, const char *url)
{
	const struct app_settings *settings = app->opt.settings;
	const struct services *s = &app->services;

	app->controller = controller_new(&(struct controller_options){
		.services = s,
		.backend = app->backend,
		.public_url = url,
		.instance = app->opt.instance,
		.provision = settings->provision,
		.give_up_ms = settings->give_up_ms,
		.status_interval_ms = settings->status_interval_ms,
		.resync_ms = settings->resync_ms,
		.secret_ttl_ms = settings->secret_ttl_ms,
		.rotation_grace_ms = settings->rotation_grace_ms,
		.build_burst = (unsigned)settings->build_burst,
		.builds_per_minute = settings->builds_per_minute,
	});
	kube_informer_start(s->buildconfigs);
}

/* The first answer starts the reconciler: a status written before it would be written again with
 * the address. */
static void on_public_url(void *arg, const char *url)
{
	struct app *app = arg;

	if (*url)
		log_msg(LOG_INFO, "server", "public address found", LOG_FIELD("url", url));
	if (app->controller)
		controller_set_public_url(app->controller, url);
	else
		start_controller(app, url);
}

static void on_backend(void *arg, enum controller_backend backend)
{
	struct app *app = arg;

	if (app->has_backend) {
		log_msg(LOG_ERROR, "server", "the cluster's BuildConfig API changed; restarting");
		end(app, true);
		return;
	}
	app->has_backend = true;
	app->backend = backend;
	if (backend == CONTROLLER_OPENSHIFT)
		receiver_set_openshift(app->receiver);
	log_msg(LOG_INFO, "server", "backend chosen",
		LOG_FIELD("backend", backend == CONTROLLER_OPENSHIFT ? "openshift" : "kubernetes"));
	if (app->opt.settings->public_url)
		start_controller(app, app->opt.settings->public_url);
	else
		app->public_url = public_url_new(app->services.client, app->services.clock,
						 app->opt.namespace_, on_public_url, app);
}

void app_start(struct app *app)
{
	app->discovery = discovery_new(app->services.client, app->services.clock,
				       app->opt.settings->backend, on_backend, app);
}

/* End. */

static void on_drain_step(void *arg)
{
	struct app *app = arg;
	struct clock *clock = app->services.clock;
	bool is_idle = receiver_in_flight(app->receiver) == 0 &&
		       (!app->controller || controller_is_idle(app->controller));

	if (is_idle || clock_mono_ms(clock) >= app->drain_until_ms)
		end(app, false);
	else
		timer_start(clock, &app->drain_timer, DRAIN_STEP_MS, on_drain_step, app);
}

void app_drain(struct app *app)
{
	struct clock *clock = app->services.clock;

	app->is_draining = true;
	app->drain_until_ms = clock_mono_ms(clock) + DRAIN_LIMIT_MS;
	receiver_drain(app->receiver);
	timer_start(clock, &app->drain_timer, DRAIN_STEP_MS, on_drain_step, app);
}

bool app_finish(struct app *app)
{
	journal_finish(app->services.journal);
	app_collect(app);
	return !app->has_journal_failed;
}

/* Reading. */

static const char *cache_failure(struct app *app)
{
	const char *why = kube_informer_error(app->services.buildconfigs);

	if (!app->has_backend)
		return discovery_error(app->discovery);
	if (kube_store_is_synced(app->services.store))
		return NULL;
	(void)snprintf(app->cache_error, sizeof(app->cache_error),
		       "the BuildConfigs have not been read yet%s%s", *why ? ": " : "", why);
	return app->cache_error;
}

size_t app_read_checks(struct app *app, bool receive_only, struct app_check checks[APP_MAX_CHECKS])
{
	const struct services *s = &app->services;
	size_t n = 0;

	checks[n++] = (struct app_check){"cache-sync", cache_failure(app)};
	/* With a full disk the Pod stays ready: pings, and pushes that build nothing, are answered
	 * all the same. */
	checks[n++] = (struct app_check){
		"journal",
		journal_failure(s->journal) || (!receive_only && !journal_is_writable(s->journal))
			? "deliveries cannot be stored"
			: NULL};
	checks[n++] = (struct app_check){"shutdown", app->is_draining ? "shutting down" : NULL};
	if (!receive_only)
		checks[n++] = (struct app_check){
			"api-server",
			kube_client_is_up(s->client) ? NULL : kube_client_trouble(s->client)};
	return n;
}

struct http_handler app_handler(struct app *app)
{
	return receiver_handler(app->receiver);
}

const struct services *app_services(const struct app *app)
{
	return &app->services;
}

int app_new(struct app **out, const struct app_options *options, struct err *err)
{
	const struct app_settings *settings = options->settings;
	struct app *app = mem_new(1, sizeof(*app));
	struct services *s = &app->services;
	int rc = 0;

	app->opt = *options;
	rc = services_init(s,
			   &(struct services_options){
				   .clock = options->clock,
				   .metrics = options->metrics,
				   .transport = options->transport,
				   .data_dir = settings->data_dir,
				   .dedupe_window_ms = settings->dedupe_window_ms,
				   .journal_size_bytes = (int64_t)settings->journal_size_bytes,
				   .max_replaced = settings->builds_per_minute > 0
							   ? (size_t)settings->build_burst
							   : 0,
				   .wake = options->wake,
				   .wake_arg = options->wake_arg,
				   .secret_ttl_ms = settings->secret_ttl_ms,
				   .namespaces = settings->namespaces,
				   .n_namespaces = settings->n_namespaces,
				   .selector = settings->selector,
				   .on_buildconfig = on_buildconfig,
				   .on_synced = on_synced,
				   .on_queue = on_queue,
				   .arg = app,
			   },
			   err);
	if (rc != 0) {
		mem_free(&app);
		return rc;
	}
	kube_client_on_change(s->client, on_api_change, app);
	app->receiver = receiver_new(&(struct receiver_options){
		.services = s,
		.verdict = {.default_branch = settings->default_branch},
		.max_buffer_bytes = settings->max_buffer_bytes,
		.secret_ttl_ms = settings->secret_ttl_ms,
		.start_timeout_ms = settings->start_timeout_ms,
	});
	*out = app;
	return 0;
}

void app_free(struct app *app)
{
	if (!app)
		return;
	/* Clients before the services they use, so that pending calls can still be cancelled. */
	receiver_free(app->receiver);
	controller_free(app->controller);
	discovery_free(app->discovery);
	public_url_free(app->public_url);
	timer_stop(app->services.clock, &app->drain_timer);
	services_release(&app->services);
	mem_free(&app);
}
