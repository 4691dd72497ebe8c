/* Asks the API server for the secrets of a hook, within limits, or for one that does not exist. */
#include "receiver/lookup.h"

#include "base/mem.h"

#include <assert.h>
#include <stdio.h>

const struct buildconfig_hook *lookup_find_hook(const struct delivery *d)
{
	const struct buildconfig *bc = delivery_buildconfig(d);

	if (!bc || bc->is_ignored || bc->is_deleting || !bc->hooks[d->route.type].exists)
		return NULL;
	return &bc->hooks[d->route.type];
}

static void on_secret(void *arg, const struct kube_secret *secret, const struct err *error)
{
	struct lookup *lookup = arg;
	struct delivery *d = lookup->delivery;

	(void)secret;
	lookup->handle = NULL;
	d->cannot_ask |= error->code != ERR_OK;
	if (error->code == ERR_OK)
		d->receiver->is_asking_late = false;
	if (--d->n_lookups == 0 && d->on_lookup)
		d->on_lookup(d);
}

static void cancel_all(struct delivery *d)
{
	for (size_t i = 0; i < ARRAY_LEN(d->lookups); i++)
		kube_secrets_cancel(TAKE(d->lookups[i].handle));
	d->n_lookups = 0;
}

static void on_late(void *arg)
{
	struct delivery *d = arg;

	cancel_all(d);
	d->cannot_ask = true;
	d->receiver->is_asking_late = true;
	d->on_lookup(d);
}

/*
 * A Secret that a hook needs is always fetched when it is unknown or too old: the number of hooks
 * bounds that. Further fetches that forged requests can cause are limited; all hooks that do not
 * exist share the limit of one namespace.
 */
static void ask(struct delivery *d, const char *namespace_, const char *name, bool is_decoy,
		int64_t max_age_ms)
{
	struct receiver *r = d->receiver;
	const struct kube_secret *known =
		kube_secrets_peek(r->opt.services->secrets, namespace_, name);
	int64_t now_ms = clock_mono_ms(r->opt.services->clock);
	int64_t age_ms =
		known->state == KUBE_SECRET_UNKNOWN ? INT64_MAX : now_ms - known->fetched_ms;
	struct lookup *lookup = &d->lookups[d->n_lookups];

	if (age_ms < max_age_ms)
		return;
	if ((is_decoy || age_ms < r->opt.secret_ttl_ms) &&
	    !kube_secrets_is_asked(r->opt.services->secrets, namespace_, name) &&
	    !ask_limit_take(&r->asks, str_of(is_decoy ? "" : namespace_), now_ms)) {
		d->cannot_ask |= r->is_asking_late;
		return;
	}
	lookup->delivery = d;
	lookup->handle = kube_secrets_fetch(r->opt.services->secrets, namespace_, name, max_age_ms,
					    on_secret, lookup);
	d->n_lookups++;
}

static void ask_decoy(struct delivery *d, int64_t max_age_ms)
{
	char namespace_[256], name[300];

	STR_JOIN(namespace_, d->route.namespace_);
	STR_JOIN(name, d->route.name, STR(".no-"), str_of(hook_type_name(d->route.type)),
		 STR("-webhook"));
	ask(d, namespace_, name, true, max_age_ms);
}

void lookup_start(struct delivery *d, int64_t max_age_ms, int64_t wait_ms, bool needs_decoy,
		  void (*fn)(struct delivery *d))
{
	const struct buildconfig *bc = delivery_buildconfig(d);
	const struct buildconfig_hook *hook = lookup_find_hook(d);
	size_t n_references = 0;
	bool waits = false;

	cancel_all(d);
	d->cannot_ask = false;
	for (size_t i = 0; hook && i < hook->n_secrets; i++) {
		if (hook->secrets[i].kind == BUILDCONFIG_SECRET_INLINE)
			continue;
		n_references++;
		ask(d, bc->namespace_, hook->secrets[i].text, false, max_age_ms);
	}
	if (n_references == 0)
		ask_decoy(d, max_age_ms);
	waits = d->n_lookups > 0 && (n_references > 0 || !hook || needs_decoy);
	d->on_lookup = waits ? fn : NULL;
	if (waits)
		delivery_set_timer(d, wait_ms, on_late);
	else
		fn(d);
}

static void keep_secret(struct delivery *d, struct str value)
{
	if (value.n == 0)
		return;
	/* `secrets` has room for all secrets of a hook, each with its previous value. */
	assert(d->n_secrets < ARRAY_LEN(d->secrets));
	d->secrets[d->n_secrets++] = str_range(str_dup(value), value.n);
}

static void keep_reference(struct delivery *d, const struct buildconfig *bc, const char *name)
{
	struct receiver *r = d->receiver;
	const struct kube_secret *secret =
		kube_secrets_peek(r->opt.services->secrets, bc->namespace_, name);

	if (secret->state == KUBE_SECRET_UNKNOWN)
		d->cannot_ask = true;
	else if (secret->state != KUBE_SECRET_PRESENT || secret->value.n == 0)
		/* The reconciler makes a Secret that a delivery found missing, and says what is
		 * wrong with one that proves nothing. */
		queue_add(r->opt.services->queue, d->key);
	if (secret->state != KUBE_SECRET_PRESENT ||
	    kube_secret_is_former(secret, bc->name, bc->uid))
		return;
	keep_secret(d, secret->value);
	if (secret->previous_until_ms <= clock_wall_ms(r->opt.services->clock) ||
	    secret->previous.n == 0)
		return;
	d->previous |= UINT32_C(1) << d->n_secrets;
	keep_secret(d, secret->previous);
}

void lookup_collect(struct delivery *d)
{
	const struct buildconfig_hook *hook = lookup_find_hook(d);
	const struct buildconfig *bc = delivery_buildconfig(d);

	for (size_t i = 0; i < d->n_secrets; i++)
		mem_wipe(&d->secrets[i].p, d->secrets[i].n);
	d->n_secrets = 0;
	d->previous = 0;
	STR_JOIN(d->uid, str_of(bc ? bc->uid : ""));
	if (!bc || !hook)
		return;
	for (size_t i = 0; i < hook->n_secrets; i++) {
		if (hook->secrets[i].kind == BUILDCONFIG_SECRET_INLINE)
			keep_secret(d, str_of(hook->secrets[i].text));
		else
			keep_reference(d, bc, hook->secrets[i].text);
	}
}
