/* Asks the API server what it serves until a backend can be chosen. */
#include "app/discovery.h"

#include "base/log.h"
#include "base/mem.h"
#include "kube/discovery.h"

#include <stdio.h>

#define RETRY_MS 2000
/* Discovery is repeated: the CRDs may be removed, or the API server's address may become another
 * cluster's. */
#define AGAIN_MS (5 * 60 * 1000)

struct discovery {
	struct kube_client *client;
	struct clock *clock;
	const char *chosen;
	void (*fn)(void *arg, enum controller_backend backend);
	void *arg;
	struct kube_discovery_call *call;
	struct timer timer;
	enum controller_backend backend;
	bool has_backend;
	char error[400];
};

static void on_answer(void *arg, const struct kube_discovery *served, const struct err *err);

static void ask(void *arg)
{
	struct discovery *d = arg;

	d->call = kube_discover(d->client, on_answer, d);
}

/* NULL, or why no backend can be chosen. */
static const char *choose(const char *chosen, const struct kube_discovery *served,
			  enum controller_backend *out)
{
	if (strcmp(chosen, "openshift") == 0 && !served->has_instantiate)
		return "the cluster serves no buildconfigs/instantiate, which --backend openshift "
		       "needs";
	if (served->has_instantiate && strcmp(chosen, "kubernetes") != 0)
		*out = CONTROLLER_OPENSHIFT;
	else if (served->has_buildconfigs && served->has_builds)
		*out = CONTROLLER_KUBERNETES;
	else
		return "the cluster serves no BuildConfigs that builds can be started from; on a "
		       "cluster that is not OpenShift, apply manifests/crds";
	return NULL;
}

/* Logs the same error once. */
static void fail(struct discovery *d, const char *why)
{
	if (!d->has_backend && strcmp(d->error, why) != 0)
		log_msg(LOG_WARN, "server", "not ready", LOG_FIELD("error", why));
	(void)snprintf(d->error, sizeof(d->error), "%s", why);
	timer_start(d->clock, &d->timer, d->has_backend ? AGAIN_MS : RETRY_MS, ask, d);
}

static void on_answer(void *arg, const struct kube_discovery *served, const struct err *err)
{
	struct discovery *d = arg;
	enum controller_backend backend = CONTROLLER_KUBERNETES;
	char failure[sizeof(d->error)];
	const char *why = failure;
	bool is_change = false;

	d->call = NULL;
	if (err->code != ERR_OK && err->code != ERR_NOTFOUND)
		(void)snprintf(failure, sizeof(failure), "API discovery failed: %s", err->msg);
	else
		why = choose(d->chosen, served, &backend);
	if (why) {
		fail(d, why);
		return;
	}
	timer_start(d->clock, &d->timer, AGAIN_MS, ask, d);
	is_change = !d->has_backend || backend != d->backend;
	d->has_backend = true;
	d->backend = backend;
	if (is_change)
		d->fn(d->arg, backend);
}

struct discovery *discovery_new(struct kube_client *client, struct clock *clock, const char *chosen,
				void (*fn)(void *arg, enum controller_backend backend), void *arg)
{
	struct discovery *d = mem_new(1, sizeof(*d));

	d->client = client;
	d->clock = clock;
	d->chosen = chosen;
	d->fn = fn;
	d->arg = arg;
	(void)snprintf(d->error, sizeof(d->error), "the API server has not answered yet");
	ask(d);
	return d;
}

void discovery_free(struct discovery *discovery)
{
	if (!discovery)
		return;
	kube_discovery_cancel(discovery->call);
	timer_stop(discovery->clock, &discovery->timer);
	mem_free(&discovery);
}

const char *discovery_error(const struct discovery *discovery)
{
	return discovery ? discovery->error : "the API server has not been asked yet";
}
