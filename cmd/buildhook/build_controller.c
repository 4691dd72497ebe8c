/* `buildhook build-controller`: runs Builds on clusters that are not OpenShift (pkg/builder). */
#include "command.h"
#include "daemon.h"

#include "base/log.h"
#include "base/mem.h"
#include "builder/builder.h"
#include "crypto/crypto.h"
#include "kube/discovery.h"
#include "kubeconfig/config.h"
#include "net/loop.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define DISCOVERY_RETRY_MS 2000
#define DISCOVERY_AGAIN_MS (5 * 60 * 1000)
#define DRAIN_STEP_MS      50
#define DRAIN_LIMIT_MS     10000

struct builder_flags {
	const char *kubeconfig, *context;
	struct flag_list namespaces;
	const char *admin_listen;
	const char *builder_image, *output_registry;
	bool host_users;
	const char *seccomp_profile, *apparmor_profile;
	uint64_t max_builds;
	const char *build_resources;
	bool keep_pods;
	const char *log_format, *log_level;
};

#define MEMBER(name) offsetof(struct builder_flags, name)

static const struct flag builder_flags[] = {
	DAEMON_KUBECONFIG_FLAGS(MEMBER),
	{"namespace", FLAG_STRINGS, MEMBER(namespaces), "NS",
	 "run the Builds of this namespace only; repeatable (default: all)", NULL},
	{"builder-image", FLAG_STRING, MEMBER(builder_image), "IMAGE",
	 "the image that fetches and builds (make builder-image); required", NULL},
	{"output-registry", FLAG_STRING, MEMBER(output_registry), "HOST/PREFIX",
	 "where image streams are: NAME:TAG is HOST/PREFIX/NAMESPACE/NAME:TAG (default: Builds "
	 "that name image streams end as Error)",
	 NULL},
	{"host-users", FLAG_BOOL, MEMBER(host_users), NULL,
	 "run build Pods without a user namespace of their own, where the cluster has none: root "
	 "of "
	 "a build is then root on the node, held by its capabilities alone",
	 NULL},
	{"seccomp-profile", FLAG_STRING, MEMBER(seccomp_profile), "PROFILE",
	 "of build Pods: RuntimeDefault, or localhost/FILE (default: none is set)", NULL},
	{"apparmor-profile", FLAG_STRING, MEMBER(apparmor_profile), "PROFILE",
	 "of build Pods: RuntimeDefault, Unconfined, or localhost/NAME (default: none is set)",
	 NULL},
	{"max-builds", FLAG_COUNT, MEMBER(max_builds), "N",
	 "Builds of one namespace that may run at once; 0: no limit (default 0)", NULL},
	{"build-resources", FLAG_STRING, MEMBER(build_resources), "LIST",
	 "resources of Builds that name none, as requests.cpu=500m,limits.memory=2Gi", NULL},
	{"keep-pods", FLAG_BOOL, MEMBER(keep_pods), NULL,
	 "keep a finished Build's Pod, whose log is the build's, until the Build goes (default "
	 "true)",
	 NULL},
	{"admin-listen", FLAG_STRING, MEMBER(admin_listen), "ADDR:PORT",
	 "/healthz, /readyz and /metrics (default :8081)", NULL},
	DAEMON_LOG_FLAGS(MEMBER),
};
static const size_t n_builder_flags = ARRAY_LEN(builder_flags);

struct controller_process {
	const struct builder_flags *flags;
	struct clock *clock;
	struct loop *loop;
	struct metrics *metrics;
	struct kube_config *config;
	struct kube_client *client;
	struct builder *builder;
	struct http_server *admin_http;
	struct admin admin;
	struct kube_discovery_call *discovery;
	struct loop_watch *signals[2];
	struct timer discovery_timer, drain_timer;
	cJSON *build_resources;
	bool is_draining, has_backend;
	int64_t drain_until_ms;
	int exit_status;
	char instance[256];
	char waits_for[400]; /* why the process is not ready */
};

static void stop(struct controller_process *p, int status)
{
	p->exit_status = status;
	loop_stop(p->loop);
}

/* "requests.cpu=500m,limits.memory=2Gi": the API server judges names and quantities. */
static int parse_resources(cJSON **out, const char *text, struct err *err)
{
	CLEANUP(json_freep) cJSON *doc = json_new_object();
	struct str rest = str_of(text), part;

	while (str_next_part(&rest, ',', &part)) {
		struct str name, value;
		size_t equals = str_find_char(part, '='), dot = str_find_char(part, '.');
		CLEANUP(mem_free) char *kind = str_dup(str_range(part.p, dot));
		CLEANUP(mem_free) char *resource = NULL;
		cJSON *list;

		if ((strcmp(kind, "requests") != 0 && strcmp(kind, "limits") != 0) ||
		    equals >= part.n || dot + 1 >= equals || equals + 1 == part.n)
			return err_set(err, ERR_INVALID,
				       "--build-resources: found \"%.*s\", expected "
				       "requests.NAME=QUANTITY or limits.NAME=QUANTITY",
				       STR_ARG(part));
		name = str_range(part.p + dot + 1, equals - dot - 1);
		value = str_range(part.p + equals + 1, part.n - equals - 1);
		resource = str_dup(name);
		list = cJSON_GetObjectItemCaseSensitive(doc, kind);
		json_put_text(list ? list : json_put_object(doc, kind), resource, value);
	}
	*out = TAKE(doc);
	return 0;
}

static int check_profile(const char *flag, const char *profile, bool may_be_unconfined,
			 struct err *err)
{
	struct str text = str_of(profile);

	if (!profile || str_eq(text, STR("RuntimeDefault")) ||
	    (may_be_unconfined && str_eq(text, STR("Unconfined"))) ||
	    str_without_prefix(text, STR("localhost/")).n < text.n)
		return 0;
	return err_set(err, ERR_INVALID, "%s: found \"%.60s\", expected RuntimeDefault%s or %s",
		       flag, profile, may_be_unconfined ? ", Unconfined" : "",
		       may_be_unconfined ? "localhost/NAME" : "localhost/FILE");
}

static int check_flags(struct controller_process *p, struct err *err)
{
	const struct builder_flags *f = p->flags;
	const char *registry = f->output_registry;

	if (!f->builder_image || !*f->builder_image)
		return err_set(err, ERR_INVALID,
			       "--builder-image is missing: the image that `make builder-image` "
			       "builds, at a name that nodes can pull");
	if (registry &&
	    (!*registry || strstr(registry, "://") || registry[strlen(registry) - 1] == '/'))
		return err_set(err, ERR_INVALID,
			       "--output-registry: found \"%.60s\", expected HOST/PREFIX, without "
			       "https:// and without a slash at its end",
			       registry);
	if (check_profile("--seccomp-profile", f->seccomp_profile, false, err) != 0 ||
	    check_profile("--apparmor-profile", f->apparmor_profile, true, err) != 0)
		return err->code;
	return f->build_resources ? parse_resources(&p->build_resources, f->build_resources, err)
				  : 0;
}

static void on_api_change(void *arg)
{
	struct controller_process *p = arg;
	bool is_up = kube_client_is_up(p->client);

	log_msg(is_up ? LOG_INFO : LOG_WARN, "builder",
		is_up ? "the API server answers" : "the API server does not answer");
	if (is_up)
		builder_resume(p->builder);
}

static size_t check_ready(void *arg, bool receive_only, struct app_check checks[APP_MAX_CHECKS])
{
	struct controller_process *p = arg;
	const char *why = p->has_backend ? "Builds, Pods and BuildConfigs have not been read yet"
					 : p->waits_for;
	size_t n = 0;

	(void)receive_only;
	checks[n++] = (struct app_check){"cache-sync", builder_is_synced(p->builder) ? NULL : why};
	checks[n++] = (struct app_check){"shutdown", p->is_draining ? "shutting down" : NULL};
	checks[n++] = (struct app_check){
		"api-server", kube_client_is_up(p->client) ? NULL : "it does not answer"};
	return n;
}

static void discover(void *arg);

static void discover_again(struct controller_process *p, const char *why)
{
	if (!p->has_backend && strcmp(p->waits_for, why) != 0) {
		(void)snprintf(p->waits_for, sizeof(p->waits_for), "%s", why);
		log_msg(LOG_WARN, "builder", "not ready", LOG_FIELD("error", why));
	}
	timer_start(p->clock, &p->discovery_timer,
		    p->has_backend ? DISCOVERY_AGAIN_MS : DISCOVERY_RETRY_MS, discover, p);
}

static void on_discovery(void *arg, const struct kube_discovery *discovery, const struct err *error)
{
	struct controller_process *p = arg;
	CLEANUP(buf_release) struct buf why = BUF_INIT(400);

	p->discovery = NULL;
	if (error->code != ERR_OK && error->code != ERR_NOTFOUND) {
		buf_printf(&why, "the API server was not asked what it serves: %s", error->msg);
		discover_again(p, why.data);
		return;
	}
	if (discovery->has_instantiate) {
		(void)fprintf(stderr,
			      "buildhook build-controller: the cluster serves "
			      "buildconfigs/instantiate, so it runs Builds by itself (OpenShift); "
			      "remove the build controller\n");
		stop(p, EXIT_USAGE);
		return;
	}
	if (!discovery->has_buildconfigs || !discovery->has_builds) {
		discover_again(p, "the cluster serves no Builds; apply manifests/crds");
		return;
	}
	if (!p->has_backend) {
		p->has_backend = true;
		builder_start(p->builder);
	}
	discover_again(p, "");
}

static void discover(void *arg)
{
	struct controller_process *p = arg;

	p->discovery = kube_discover(p->client, on_discovery, p);
}

/* Waits until the requests under way have ended, so that the next process need not find out what
 * they did. */
static void on_drain_step(void *arg)
{
	struct controller_process *p = arg;

	if (builder_is_idle(p->builder) || clock_mono_ms(p->clock) >= p->drain_until_ms)
		stop(p, EXIT_OK);
	else
		timer_start(p->clock, &p->drain_timer, DRAIN_STEP_MS, on_drain_step, p);
}

static void on_signal(void *arg, int signo)
{
	struct controller_process *p = arg;

	(void)signo;
	if (p->is_draining) {
		stop(p, EXIT_FAILED);
		return;
	}
	log_msg(LOG_INFO, "builder", "shutting down");
	p->is_draining = true;
	p->drain_until_ms = clock_mono_ms(p->clock) + DRAIN_LIMIT_MS;
	timer_start(p->clock, &p->drain_timer, DRAIN_STEP_MS, on_drain_step, p);
}

static int start(struct controller_process *p, struct err *err)
{
	static const struct clock_source source = {clock_real_mono_ms, clock_real_wall_ms,
						   crypto_random, NULL};
	const struct builder_flags *f = p->flags;
	const struct kube_config_options config = {.kubeconfig = f->kubeconfig,
						   .context = f->context};

	(void)gethostname(p->instance, sizeof(p->instance) - 1);
	p->clock = clock_new(&source);
	p->loop = loop_new(p->clock);
	p->metrics = metrics_new();
	if (kube_config_load(&p->config, &config, err) != 0 ||
	    kube_client_new(&p->client, p->loop, p->config, err) != 0)
		return err->code;
	kube_client_set_metrics(p->client, p->metrics);
	kube_client_on_change(p->client, on_api_change, p);
	p->builder = builder_new(&(struct builder_options){
		.clock = p->clock,
		.client = p->client,
		.metrics = p->metrics,
		.pod = {.builder_image = f->builder_image,
			.output_registry = f->output_registry,
			.host_users = f->host_users,
			.seccomp_profile = f->seccomp_profile,
			.apparmor_profile = f->apparmor_profile,
			.resources = p->build_resources},
		.max_builds = f->max_builds,
		.keeps_pods = f->keep_pods,
		.namespaces = f->namespaces.items,
		.n_namespaces = f->namespaces.n,
		.instance = p->instance,
	});
	p->admin = (struct admin){p->metrics, check_ready, p};
	if (daemon_listen_admin(&p->admin_http, p->loop, f->admin_listen, &p->admin, err) != 0)
		return err->code;
	log_msg(LOG_INFO, "builder", "listening",
		LOG_FIELD("admin", http_server_address(p->admin_http)),
		LOG_FIELD("api_server", p->config->server));
	p->signals[0] = loop_on_signal(p->loop, SIGTERM, on_signal, p);
	p->signals[1] = loop_on_signal(p->loop, SIGINT, on_signal, p);
	discover(p);
	return 0;
}

/* Clients go before the services that they use, so that pending calls can still be cancelled. */
static void end(struct controller_process *p)
{
	http_server_free(p->admin_http);
	kube_discovery_cancel(p->discovery);
	builder_free(p->builder);
	kube_client_free(p->client);
	kube_config_free(p->config);
	for (size_t i = 0; i < ARRAY_LEN(p->signals); i++)
		loop_watch_free(p->signals[i]);
	metrics_free(p->metrics);
	cJSON_Delete(p->build_resources);
	if (!p->loop)
		return;
	timer_stop(p->clock, &p->discovery_timer);
	timer_stop(p->clock, &p->drain_timer);
	loop_free(p->loop);
	clock_free(p->clock);
}

static int run_build_controller(const struct invocation *in)
{
	struct controller_process p = {.flags = in->options, .exit_status = EXIT_FAILED};
	struct err err = {0};

	if (check_flags(&p, &err) != 0) {
		end(&p);
		return command_fail_usage(in, &err);
	}
	daemon_begin(p.flags->log_format, p.flags->log_level);
	if (start(&p, &err) != 0) {
		(void)fprintf(stderr, "buildhook build-controller: %s\n", err.msg);
		p.exit_status = EXIT_USAGE;
	} else {
		loop_run(p.loop);
		log_msg(LOG_INFO, "builder", "stopped");
	}
	end(&p);
	return p.exit_status;
}

static void set_defaults(void *options)
{
	struct builder_flags *f = options;

	*f = (struct builder_flags){
		.admin_listen = ":8081", .keep_pods = true, .log_level = "info"};
}

const struct command command_build_controller = {
	.name = "build-controller",
	.args = "",
	.summary = "run Builds where the cluster does not",
	.about = "Runs Builds on a cluster that is not OpenShift, where BuildConfig and Build are "
		 "the CRDs of manifests/crds: one Pod for each Build, with git and buildah in it. "
		 "docs/plain-kubernetes.md says how to set it up.",
	.flags = builder_flags,
	.n_flags = &n_builder_flags,
	.options_size = sizeof(struct builder_flags),
	.init = set_defaults,
	.run = run_build_controller,
};
