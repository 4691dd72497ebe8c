#include "server.h"

#include "admin.h"
#include "command.h"
#include "public_url.h"
#include "stats.h"

#include "base/log.h"
#include "base/mem.h"
#include "buildconfig/buildconfig.h"
#include "controller/controller.h"
#include "crypto/crypto.h"
#include "kube/discovery.h"
#include "kube/reflector.h"
#include "kubeconfig/config.h"
#include "receiver/answer.h"
#include "receiver/receiver.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define ADMIN_MAX_CONNECTIONS 32
#define DISCOVERY_RETRY_MS    2000
#define DISCOVERY_AGAIN_MS    (5 * 60 * 1000)
#define DRAIN_STEP_MS         50
/* Of the 20 s that a clean end may take. */
#define DRAIN_LIMIT_MS  18000
#define BACKOFF_BASE_MS 5
#define BACKOFF_MAX_MS  (1000 * 1000)

struct server {
	const struct serve_options *options;
	struct clock *clock;
	struct loop *loop;
	struct metrics *metrics;
	struct kube_config *config;
	struct kube_client *client;
	struct kube_store *store;
	struct kube_secrets *secrets;
	struct kube_reflector *reflectors[FLAG_LIST_MAX];
	char *paths[FLAG_LIST_MAX];
	size_t n_reflectors;
	struct loop_wakeup *wakeup;
	struct journal *journal;
	struct waiters *waiters;
	struct activity *activity;
	struct queue *queue;
	struct controller *controller;
	struct receiver *receiver;
	struct http_server *receiver_http, *admin_http;
	struct admin admin;
	struct stats *stats;
	struct loop_watch *signals[2];
	struct kube_discovery_call *discovery;
	struct public_url *public_url; /* NULL with --public-url */
	struct timer discovery_timer, drain_timer;
	enum controller_backend backend;
	bool has_backend;
	bool is_draining;
	bool was_synced;
	bool has_journal_failed;
	int64_t drain_until_ms;
	int exit_status;
	char instance[256];
	char discovery_error[400];
	char cache_error[400];
};

static void stop(struct server *s, int status)
{
	s->exit_status = status;
	loop_stop(s->loop);
}

/* The store's objects. */

static void *parse_buildconfig(void *arg, const cJSON *doc)
{
	(void)arg;
	return buildconfig_parse(doc);
}

static void free_buildconfig(void *object)
{
	buildconfig_free(object);
}

static void on_buildconfig(void *arg, const char *key, const void *old, const void *new_)
{
	struct server *s = arg;

	if (s->controller)
		controller_on_change(s->controller, key, old, new_);
}

/* What happens while it runs. */

static void check_journal(struct server *s)
{
	const char *failure = journal_failure(s->journal);

	if (!failure || s->has_journal_failed)
		return;
	s->has_journal_failed = true;
	log_msg(LOG_ERROR, "journal", "the journal failed; nothing more is acknowledged",
		LOG_FIELD("error", failure));
	stop(s, EXIT_FAILED);
}

static void on_journal(void *arg)
{
	struct server *s = arg;

	journal_collect(s->journal);
	check_journal(s);
}

static void on_queue(void *arg)
{
	struct server *s = arg;

	if (s->controller)
		controller_run(s->controller);
}

static void on_api_change(void *arg)
{
	struct server *s = arg;
	bool is_up = kube_client_is_up(s->client);

	log_msg(is_up ? LOG_INFO : LOG_WARN, "server",
		is_up ? "the API server answers"
		      : "the API server does not answer; deliveries are stored and wait");
	if (s->controller && is_up)
		controller_resume(s->controller);
}

static void on_reflector(void *arg)
{
	struct server *s = arg;

	if (s->was_synced || !kube_store_is_synced(s->store))
		return;
	s->was_synced = true;
	log_msg(LOG_INFO, "server", "BuildConfigs are read");
	controller_resume(s->controller);
}

static const char *failure_of_cache(struct server *s)
{
	const char *why = "";

	if (!s->has_backend)
		return s->discovery_error;
	if (kube_store_is_synced(s->store))
		return NULL;
	for (size_t i = 0; i < s->n_reflectors && !*why; i++)
		why = kube_reflector_error(s->reflectors[i]);
	(void)snprintf(s->cache_error, sizeof(s->cache_error),
		       "the BuildConfigs have not been read yet%s%s", *why ? ": " : "", why);
	return s->cache_error;
}

static size_t check_ready(void *arg, bool receive_only, struct admin_check *checks)
{
	struct server *s = arg;
	size_t n = 0;

	checks[n++] = (struct admin_check){"cache-sync", failure_of_cache(s)};
	checks[n++] = (struct admin_check){
		"journal", journal_is_writable(s->journal) ? NULL : "deliveries cannot be stored"};
	checks[n++] = (struct admin_check){"shutdown", s->is_draining ? "shutting down" : NULL};
	if (!receive_only)
		checks[n++] = (struct admin_check){
			"api-server", kube_client_is_up(s->client) ? NULL : "it does not answer"};
	return n;
}

/* Starting, once it is known what the cluster serves. */

static void start_reflector(struct server *s, const char *namespace_)
{
	char path[400];

	if (namespace_)
		(void)snprintf(path, sizeof(path),
			       "/apis/build.openshift.io/v1/namespaces/%s/buildconfigs",
			       namespace_);
	else
		(void)snprintf(path, sizeof(path), "/apis/build.openshift.io/v1/buildconfigs");
	s->paths[s->n_reflectors] = mem_strdup(path);
	s->reflectors[s->n_reflectors] = kube_reflector_new(&(struct kube_reflector_options){
		.client = s->client,
		.clock = s->clock,
		.store = s->store,
		.path = s->paths[s->n_reflectors],
		.scope = namespace_,
		.selector = s->options->selector,
		.resource = "buildconfigs",
		.metrics = s->metrics,
		.on_state = on_reflector,
		.arg = s,
	});
	s->n_reflectors++;
}

static void start_controller(struct server *s, const char *url)
{
	const struct serve_options *o = s->options;

	s->controller = controller_new(&(struct controller_options){
		.clock = s->clock,
		.queue = s->queue,
		.client = s->client,
		.store = s->store,
		.secrets = s->secrets,
		.journal = s->journal,
		.waiters = s->waiters,
		.activity = s->activity,
		.metrics = s->metrics,
		.backend = s->backend,
		.public_url = url,
		.instance = s->instance,
		.provision = o->provision,
		.give_up_ms = o->give_up_ms,
		.status_interval_ms = o->status_interval_ms,
		.resync_ms = o->resync_ms,
		.secret_ttl_ms = o->secret_ttl_ms,
		.rotation_grace_ms = o->rotation_grace_ms,
		.build_burst = (unsigned)o->build_burst,
		.builds_per_minute = o->builds_per_minute,
	});
	if (o->namespaces.n == 0)
		start_reflector(s, NULL);
	for (size_t i = 0; i < o->namespaces.n; i++)
		start_reflector(s, o->namespaces.items[i]);
}

/* The first answer starts the reconciler: status that is written before would have to be written
 * again. */
static void on_public_url(void *arg, const char *url)
{
	struct server *s = arg;

	if (*url)
		log_msg(LOG_INFO, "server", "public address found", LOG_FIELD("url", url));
	if (s->controller)
		controller_set_public_url(s->controller, url);
	else
		start_controller(s, url);
}

static bool find_backend(const struct server *s, const struct kube_discovery *discovery,
			 enum controller_backend *out)
{
	bool is_openshift =
		strcmp(s->options->backend, "openshift") == 0 ||
		(strcmp(s->options->backend, "auto") == 0 && discovery->has_instantiate);

	*out = is_openshift ? CONTROLLER_OPENSHIFT : CONTROLLER_KUBERNETES;
	return is_openshift ? discovery->has_instantiate
			    : discovery->has_buildconfigs && discovery->has_builds;
}

static void discover(void *arg);

/* Why it does not become ready is told once, not each time that it is met again. */
static void on_missing(struct server *s, const char *why)
{
	bool is_known = strcmp(s->discovery_error, why) == 0;

	(void)snprintf(s->discovery_error, sizeof(s->discovery_error), "%s", why);
	if (!s->has_backend && !is_known)
		log_msg(LOG_WARN, "server", "not ready", LOG_FIELD("error", why));
	timer_start(s->clock, &s->discovery_timer,
		    s->has_backend ? DISCOVERY_AGAIN_MS : DISCOVERY_RETRY_MS, discover, s);
}

static const char *text_of_missing(const struct server *s)
{
	if (strcmp(s->options->backend, "openshift") == 0)
		return "the cluster serves no buildconfigs/instantiate, which --backend openshift "
		       "needs";
	return "the cluster serves no BuildConfigs that builds can be started from; on a cluster "
	       "that is not OpenShift, apply manifests/crds";
}

static void on_discovery(void *arg, const struct kube_discovery *discovery, const struct err *error)
{
	struct server *s = arg;
	enum controller_backend backend;
	char why[sizeof(s->discovery_error)];

	s->discovery = NULL;
	if (error->code != ERR_OK && error->code != ERR_NOTFOUND) {
		(void)snprintf(why, sizeof(why), "the API server was not asked what it serves: %s",
			       error->msg);
		on_missing(s, why);
		return;
	}
	if (!find_backend(s, discovery, &backend)) {
		on_missing(s, text_of_missing(s));
		return;
	}
	if (s->has_backend && backend != s->backend) {
		log_msg(LOG_ERROR, "server",
			"the cluster serves BuildConfigs in another way; starting anew");
		stop(s, EXIT_FAILED);
		return;
	}
	timer_start(s->clock, &s->discovery_timer, DISCOVERY_AGAIN_MS, discover, s);
	if (s->has_backend)
		return;
	s->has_backend = true;
	s->backend = backend;
	log_msg(LOG_INFO, "server", "backend chosen",
		LOG_FIELD("backend", backend == CONTROLLER_OPENSHIFT ? "openshift" : "kubernetes"));
	if (s->options->public_url)
		start_controller(s, s->options->public_url);
	else
		s->public_url = public_url_new(s->client, s->clock, s->config->namespace_,
					       on_public_url, s);
}

static void discover(void *arg)
{
	struct server *s = arg;

	s->discovery = kube_discover(s->client, on_discovery, s);
}

/* Stopping. */

static void on_drain_step(void *arg)
{
	struct server *s = arg;
	bool is_idle = receiver_in_flight(s->receiver) == 0 &&
		       (!s->controller || controller_is_idle(s->controller));

	if (is_idle || clock_mono_ms(s->clock) >= s->drain_until_ms)
		stop(s, EXIT_OK);
	else
		timer_start(s->clock, &s->drain_timer, DRAIN_STEP_MS, on_drain_step, s);
}

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
	s->drain_until_ms = clock_mono_ms(s->clock) + DRAIN_LIMIT_MS;
	http_server_drain(s->receiver_http);
	receiver_drain(s->receiver);
	timer_start(s->clock, &s->drain_timer, DRAIN_STEP_MS, on_drain_step, s);
}

/* Making and freeing. */

static int open_journal(struct server *s, struct err *err)
{
	s->wakeup = loop_wakeup_new(s->loop, on_journal, s);
	return journal_open(
		&s->journal,
		&(struct journal_options){.data_dir = s->options->data_dir,
					  .clock = s->clock,
					  .dedupe_window_ms = s->options->dedupe_window_ms,
					  .wake = loop_wake,
					  .wake_arg = s->wakeup},
		err);
}

static int start_client(struct server *s, struct err *err)
{
	const struct kube_config_options options = {.kubeconfig = s->options->kubeconfig,
						    .context = s->options->context};

	if (kube_config_load(&s->config, &options, err) != 0 ||
	    kube_client_new(&s->client, s->loop, s->config, err) != 0)
		return err->code;
	kube_client_set_metrics(s->client, s->metrics);
	kube_client_on_change(s->client, on_api_change, s);
	return 0;
}

static void make_parts(struct server *s)
{
	const struct serve_options *o = s->options;

	s->store = kube_store_new(&(struct kube_store_type){.parse = parse_buildconfig,
							    .free = free_buildconfig,
							    .on_change = on_buildconfig,
							    .arg = s,
							    .n_scopes = s->options->namespaces.n});
	s->secrets = kube_secrets_new(&(struct kube_secrets_options){
		.client = s->client, .clock = s->clock, .ttl_ms = o->secret_ttl_ms});
	s->waiters = waiters_new();
	s->activity = activity_new();
	s->queue = queue_new(s->clock, &(struct queue_backoff){BACKOFF_BASE_MS, BACKOFF_MAX_MS},
			     on_queue, s);
	s->receiver = receiver_new(&(struct receiver_options){
		.clock = s->clock,
		.client = s->client,
		.store = s->store,
		.secrets = s->secrets,
		.journal = s->journal,
		.waiters = s->waiters,
		.activity = s->activity,
		.queue = s->queue,
		.metrics = s->metrics,
		.verdict = {.default_branch = o->default_branch},
		.max_buffer_bytes = o->max_buffer,
		.secret_ttl_ms = o->secret_ttl_ms,
		.start_timeout_ms = o->start_timeout_ms,
	});
}

static int listen_all(struct server *s, struct err *err)
{
	const struct serve_options *o = s->options;
	struct http_options http = {.limits = http_default_limits,
				    .handler = receiver_handler(s->receiver),
				    .error_body = answer_error_body,
				    .tls_cert_file = o->tls_cert,
				    .tls_key_file = o->tls_key};

	http.limits.max_body_bytes = o->max_body;
	http.limits.max_connections = (size_t)o->max_connections;
	if (http_server_new(&s->receiver_http, s->loop, o->listen, &http, err) != 0)
		return err_wrap(err, "--listen");
	s->admin = (struct admin){s->metrics, check_ready, s};
	http = (struct http_options){.limits = http_default_limits,
				     .handler = admin_handler(&s->admin)};
	http.limits.max_body_bytes = 0;
	http.limits.max_connections = ADMIN_MAX_CONNECTIONS;
	if (http_server_new(&s->admin_http, s->loop, o->admin_listen, &http, err) != 0)
		return err_wrap(err, "--admin-listen");
	log_msg(LOG_INFO, "server", "listening",
		LOG_FIELD("receiver", http_server_address(s->receiver_http)),
		LOG_FIELD("admin", http_server_address(s->admin_http)),
		LOG_FIELD("api_server", s->config->server),
		LOG_FIELD("version", BUILDHOOK_VERSION));
	return 0;
}

int server_new(struct server **out, const struct serve_options *options, struct err *err)
{
	static const struct clock_source source = {clock_real_mono_ms, clock_real_wall_ms,
						   crypto_random, NULL};
	struct server *s = mem_new(1, sizeof(*s));

	s->options = options;
	s->exit_status = EXIT_FAILED;
	(void)snprintf(s->discovery_error, sizeof(s->discovery_error),
		       "the API server has not answered yet");
	(void)gethostname(s->instance, sizeof(s->instance) - 1);
	(void)signal(SIGPIPE, SIG_IGN);
	s->clock = clock_new(&source);
	s->loop = loop_new(s->clock);
	s->metrics = metrics_new();
	if (start_client(s, err) != 0) {
		server_free(s);
		return EXIT_USAGE;
	}
	if (open_journal(s, err) != 0) {
		server_free(s);
		return EXIT_FAILED;
	}
	make_parts(s);
	if (listen_all(s, err) != 0) {
		server_free(s);
		return EXIT_USAGE;
	}
	s->stats = stats_new(&(struct stats_options){.metrics = s->metrics,
						     .clock = s->clock,
						     .loop = s->loop,
						     .journal = s->journal,
						     .queue = s->queue,
						     .store = s->store,
						     .secrets = s->secrets,
						     .http = s->receiver_http,
						     .reflectors = s->reflectors,
						     .n_reflectors = &s->n_reflectors});
	s->signals[0] = loop_on_signal(s->loop, SIGTERM, on_signal, s);
	s->signals[1] = loop_on_signal(s->loop, SIGINT, on_signal, s);
	*out = s;
	return 0;
}

int server_run(struct server *s)
{
	discover(s);
	loop_run(s->loop);
	journal_finish(s->journal);
	check_journal(s);
	log_msg(LOG_INFO, "server", "stopped");
	return s->exit_status;
}

/* Who asks before who answers: what is under way is cancelled while its other end is still there.
 */
void server_free(struct server *s)
{
	http_server_free(s->receiver_http);
	http_server_free(s->admin_http);
	receiver_free(s->receiver);
	controller_free(s->controller);
	kube_discovery_cancel(s->discovery);
	public_url_free(s->public_url);
	for (size_t i = 0; i < s->n_reflectors; i++) {
		kube_reflector_free(s->reflectors[i]);
		free(s->paths[i]);
	}
	stats_free(s->stats);
	queue_free(s->queue);
	kube_secrets_free(s->secrets);
	kube_store_free(s->store);
	activity_free(s->activity);
	waiters_free(s->waiters);
	kube_client_free(s->client);
	kube_config_free(s->config);
	journal_close(s->journal);
	loop_wakeup_free(s->wakeup);
	for (size_t i = 0; i < ARRAY_LEN(s->signals); i++)
		loop_watch_free(s->signals[i]);
	metrics_free(s->metrics);
	timer_stop(s->clock, &s->discovery_timer);
	timer_stop(s->clock, &s->drain_timer);
	loop_free(s->loop);
	clock_free(s->clock);
	free(s);
}
