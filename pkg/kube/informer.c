#include "kube/informer.h"

#include "base/mem.h"
#include "kube/reflector.h"

#include <assert.h>

struct kube_informer {
	struct kube_informer_options opt;
	struct kube_store *store;
	struct kube_reflector **reflectors;
	size_t n_reflectors;
	bool was_synced;
};

static void on_state(void *arg)
{
	struct kube_informer *informer = arg;

	if (informer->opt.on_state)
		informer->opt.on_state(informer->opt.type.arg);
	if (informer->was_synced || !kube_store_is_synced(informer->store))
		return;
	informer->was_synced = true;
	if (informer->opt.on_synced)
		informer->opt.on_synced(informer->opt.type.arg);
}

static void start_reflector(struct kube_informer *informer, const char *namespace_)
{
	const struct kube_informer_options *o = &informer->opt;
	CLEANUP(buf_release) struct buf path = BUF_INIT(1024);

	buf_printf(&path, "%s/%s%s%s%s", o->group, namespace_ ? "namespaces/" : "",
		   namespace_ ? namespace_ : "", namespace_ ? "/" : "", o->resource);
	informer->reflectors[informer->n_reflectors++] =
		kube_reflector_new(&(struct kube_reflector_options){
			.client = o->client,
			.clock = o->clock,
			.store = informer->store,
			.path = path.data,
			.scope = namespace_,
			.selector = o->selector,
			.resource = o->resource,
			.metrics = o->metrics,
			.on_state = on_state,
			.arg = informer,
		});
}

struct kube_informer *kube_informer_new(const struct kube_informer_options *options)
{
	struct kube_informer *informer = mem_new(1, sizeof(*informer));

	informer->opt = *options;
	informer->opt.type.n_scopes = options->n_namespaces;
	informer->store = kube_store_new(&informer->opt.type);
	return informer;
}

void kube_informer_start(struct kube_informer *informer)
{
	size_t n = informer->opt.n_namespaces;

	assert(!informer->reflectors);
	informer->reflectors = mem_new(n > 0 ? n : 1, sizeof(struct kube_reflector *));
	if (n == 0)
		start_reflector(informer, NULL);
	for (size_t i = 0; i < n; i++)
		start_reflector(informer, informer->opt.namespaces[i]);
}

void kube_informer_free(struct kube_informer *informer)
{
	if (!informer)
		return;
	for (size_t i = 0; i < informer->n_reflectors; i++)
		kube_reflector_free(informer->reflectors[i]);
	mem_free(&informer->reflectors);
	kube_store_free(informer->store);
	mem_free(&informer);
}

struct kube_store *kube_informer_store(struct kube_informer *informer)
{
	return informer->store;
}

const char *kube_informer_error(const struct kube_informer *informer)
{
	const char *why = "";

	for (size_t i = 0; i < informer->n_reflectors && !*why; i++)
		why = kube_reflector_error(informer->reflectors[i]);
	return why;
}

int64_t kube_informer_age_ms(const struct kube_informer *informer)
{
	int64_t oldest_ms = 0;

	for (size_t i = 0; i < informer->n_reflectors; i++) {
		int64_t age_ms = kube_reflector_age_ms(informer->reflectors[i]);

		if (age_ms > oldest_ms)
			oldest_ms = age_ms;
	}
	return oldest_ms;
}
