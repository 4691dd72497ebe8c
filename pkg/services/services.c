#include "services/services.h"

#include "buildconfig/buildconfig.h"

/* client-go's defaults. */
/*
 * BuildConfigs of one namespace that are worked on at a time. The requests of all share two
 * connections, so a request waits behind at most this many of each other namespace.
 */
#define MAX_PER_NAMESPACE 16

static void *parse_buildconfig(void *arg, const cJSON *doc)
{
	(void)arg;
	return buildconfig_parse(doc);
}

static void free_buildconfig(void *object)
{
	buildconfig_free(object);
}

static void on_superseded(void *arg, int64_t seq)
{
	const struct services *s = arg;

	waiters_notify(s->waiters, seq,
		       &(struct progress){.kind = PROGRESS_ENDED,
					  .build = "",
					  .outcome = OUTCOME_SUPERSEDED,
					  .message = JOURNAL_REPLACED});
}

int services_init(struct services *out, const struct services_options *o, struct err *err)
{
	const struct journal_options journal = {.data_dir = o->data_dir,
						.clock = o->clock,
						.dedupe_window_ms = o->dedupe_window_ms,
						.size_bytes = o->journal_size_bytes,
						.max_replaced = o->max_replaced,
						.on_superseded = on_superseded,
						.on_superseded_arg = out,
						.wake = o->wake,
						.wake_arg = o->wake_arg};
	int rc = 0;

	*out = (struct services){.clock = o->clock, .metrics = o->metrics};
	out->client = kube_client_new_over(o->clock, &o->transport);
	kube_client_set_metrics(out->client, o->metrics);
	rc = journal_open(&out->journal, &journal, err);
	if (rc != 0) {
		services_release(out);
		return rc;
	}
	out->buildconfigs = kube_informer_new(&(struct kube_informer_options){
		.client = out->client,
		.clock = o->clock,
		.metrics = o->metrics,
		.group = "/apis/build.openshift.io/v1",
		.resource = "buildconfigs",
		.namespaces = o->namespaces,
		.n_namespaces = o->n_namespaces,
		.selector = o->selector,
		.type = {.parse = parse_buildconfig,
			 .free = free_buildconfig,
			 .on_change = o->on_buildconfig,
			 .arg = o->arg},
		.on_synced = o->on_synced,
	});
	out->store = kube_informer_store(out->buildconfigs);
	out->secrets = kube_secrets_new(&(struct kube_secrets_options){
		.client = out->client, .clock = o->clock, .ttl_ms = o->secret_ttl_ms});
	out->waiters = waiters_new();
	out->activity = activity_new();
	out->queue = queue_new(o->clock, MAX_PER_NAMESPACE, o->on_queue, o->arg);
	queue_set_metrics(out->queue, o->metrics, "buildconfig");
	return 0;
}

void services_release(struct services *s)
{
	/* Clients of the API client first, so that their pending calls can still be cancelled. */
	kube_informer_free(s->buildconfigs);
	kube_secrets_free(s->secrets);
	kube_client_free(s->client);
	queue_free(s->queue);
	activity_free(s->activity);
	waiters_free(s->waiters);
	journal_close(s->journal);
	*s = (struct services){0};
}
