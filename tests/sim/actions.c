/* What users, Git hosts, networks and crashes do. */
#include "ledger.h"
#include "replica.h"

#include "crypto/crypto.h"

#include <stdio.h>
#include <utlist.h>

#define NAMESPACE "shop"

static const char *const names[] = {"cart", "web", "api"};

static const struct faults kinds_of_faults[] = {
	{.latency_ms = 20},
	{.latency_ms = 20, .cut_watch = 5},
	{.lost = 3,
	 .cut = 3,
	 .late = 2,
	 .mute = 1,
	 .refused = 6,
	 .cut_watch = 10,
	 .latency_ms = 60},
	{.lost = 8,
	 .cut = 12,
	 .late = 8,
	 .mute = 4,
	 .refused = 15,
	 .cut_watch = 30,
	 .latency_ms = 400},
};

static size_t count(const struct world *w, enum api_kind kind)
{
	const struct api_object *object = NULL;
	size_t n = 0;

	DL_FOREACH (w->api->objects[kind], object)
		n++;
	return n;
}

static struct api_object *pick(struct world *w, enum api_kind kind)
{
	size_t n = count(w, kind);
	struct api_object *object = w->api->objects[kind];

	if (n == 0)
		return NULL;
	for (n = (size_t)world_below(w, n); n > 0; n--)
		object = object->next;
	return object;
}

static struct replica *pick_replica(struct world *w)
{
	return w->replicas[world_below(w, w->n_replicas)];
}

/* Users. */

static cJSON *metadata_of(struct api_object *object)
{
	return cJSON_GetObjectItemCaseSensitive(object->doc, "metadata");
}

static void set_annotation(struct api_object *object, const char *key, const char *value)
{
	cJSON *annotations = cJSON_GetObjectItemCaseSensitive(metadata_of(object), "annotations");

	if (!annotations)
		annotations = json_put_object(metadata_of(object), "annotations");
	cJSON_DeleteItemFromObjectCaseSensitive(annotations, key);
	json_put_str(annotations, key, value);
}

static void put_trigger(struct world *w, cJSON *spec, const char *name)
{
	cJSON *trigger = json_append(json_put_array(spec, "triggers"), json_new_object());
	cJSON *github = NULL;
	char secret[100];

	json_put_str(trigger, "type", "GitHub");
	github = json_put_object(trigger, "github");
	(void)snprintf(secret, sizeof(secret), "%s-hook", name);
	if (world_chance(w, 60))
		json_put_str(json_put_object(github, "secretReference"), "name",
			     world_chance(w, 30) ? "shared-hook" : secret);
}

static void create_buildconfig(struct world *w, const char *name)
{
	cJSON *doc = json_new_object(), *metadata = NULL, *spec = NULL, *git = NULL;
	struct api_object *bc = NULL;

	json_put_str(doc, "apiVersion", "build.openshift.io/v1");
	json_put_str(doc, "kind", "BuildConfig");
	metadata = json_put_object(doc, "metadata");
	json_put_str(metadata, "namespace", NAMESPACE);
	json_put_str(metadata, "name", name);
	if (world_chance(w, 50))
		json_put_str(json_put_object(metadata, "annotations"), "buildhook.io/refs",
			     "main,dev");
	spec = json_put_object(doc, "spec");
	git = json_put_object(json_put_object(spec, "source"), "git");
	json_put_str(git, "uri", "https://git.example.com/x.git");
	json_put_str(git, "ref", "main");
	json_put_object(json_put_object(spec, "strategy"), "dockerStrategy");
	put_trigger(w, spec, name);
	json_put_int(json_put_object(doc, "status"), "lastVersion", 0);
	bc = api_add(w->api, API_BUILDCONFIG, doc);
	bc->is_poison = world_chance(w, 3);
	if (bc->is_poison)
		ledger_put_word(&w->ledger->poisoned, bc->uid);
	world_trace(w, "create BuildConfig %s", name);
}

static void create_missing(struct world *w)
{
	const char *name = names[world_below(w, ARRAY_LEN(names))];

	if (!api_find(w->api, API_BUILDCONFIG, NAMESPACE, name))
		create_buildconfig(w, name);
}

/* A user's own Secret, under a name that a BuildConfig may refer to. */
static void create_secret(struct world *w)
{
	cJSON *doc = NULL, *metadata = NULL;
	unsigned char bytes[16];
	char value[33];
	CLEANUP(mem_free) char *text = NULL;

	if (api_find(w->api, API_SECRET, NAMESPACE, "shared-hook"))
		return;
	world_random(w, bytes, sizeof(bytes));
	crypto_hex(value, bytes, sizeof(bytes));
	ledger_add_secret(w->ledger, value);
	text = crypto_base64((const unsigned char *)value, strlen(value));
	doc = json_new_object();
	json_put_str(doc, "kind", "Secret");
	metadata = json_put_object(doc, "metadata");
	json_put_str(metadata, "namespace", NAMESPACE);
	json_put_str(metadata, "name", "shared-hook");
	json_put_str(json_put_object(doc, "data"), KUBE_SECRET_KEY, text);
	(void)api_add(w->api, API_SECRET, doc);
}

static void delete_secret(struct world *w)
{
	struct api_object *secret = pick(w, API_SECRET);

	if (!secret)
		return;
	world_trace(w, "delete Secret %s", secret->name);
	api_remove(w->api, secret);
}

static void delete_buildconfig(struct world *w)
{
	struct api_object *bc = pick(w, API_BUILDCONFIG);

	if (!bc)
		return;
	world_trace(w, "delete BuildConfig %s", bc->name);
	api_remove(w->api, bc);
}

static void edit(struct world *w)
{
	struct api_object *bc = pick(w, API_BUILDCONFIG);
	char value[24];

	if (!bc)
		return;
	(void)snprintf(value, sizeof(value), "%d", (int)world_below(w, 1000));
	set_annotation(bc, world_chance(w, 70) ? "example.com/note" : "buildhook.io/github-state",
		       value);
	api_touch(w->api, bc);
}

static void pause_or_resume(struct world *w)
{
	struct api_object *bc = pick(w, API_BUILDCONFIG);

	if (!bc)
		return;
	if (strcmp(api_annotation(bc, "openshift.io/build-config.paused"), "true") == 0) {
		set_annotation(bc, "openshift.io/build-config.paused", "false");
	} else {
		set_annotation(bc, "openshift.io/build-config.paused", "true");
		ledger_put_word(&w->ledger->paused, bc->uid);
	}
	api_touch(w->api, bc);
}

static void rotate(struct world *w)
{
	struct api_object *bc = pick(w, API_BUILDCONFIG);
	char value[24], name[100];

	if (!bc)
		return;
	(void)snprintf(value, sizeof(value), "%lld", (long long)w->now_ms);
	set_annotation(bc, "buildhook.io/rotate", value);
	api_secret_name(name, sizeof(name), bc);
	ledger_rotation(w->ledger, name)->n++;
	api_touch(w->api, bc);
}

/* oc start-build. */
static void build_by_hand(struct world *w)
{
	struct api_object *bc = pick(w, API_BUILDCONFIG);
	cJSON *status = bc ? cJSON_GetObjectItemCaseSensitive(bc->doc, "status") : NULL;
	int64_t number = json_int_at(status, "lastVersion", 0) + 1;
	cJSON *doc = NULL, *metadata = NULL;
	char name[100];

	if (!bc)
		return;
	(void)snprintf(name, sizeof(name), "%s-%lld", bc->name, (long long)number);
	if (api_find(w->api, API_BUILD, NAMESPACE, name))
		return;
	cJSON_DeleteItemFromObjectCaseSensitive(status, "lastVersion");
	json_put_int(status, "lastVersion", number);
	api_touch(w->api, bc);
	doc = json_new_object();
	metadata = json_put_object(doc, "metadata");
	json_put_str(metadata, "namespace", NAMESPACE);
	json_put_str(metadata, "name", name);
	(void)api_add(w->api, API_BUILD, doc);
}

/* Git hosts. */

/* Some hosts still sign with the old value. */
static void deliver(struct world *w, struct replica *r, struct push *push)
{
	const struct api_object *bc =
		api_find(w->api, API_BUILDCONFIG, push->namespace_, push->name);
	const struct api_object *secret = NULL;
	char name[100];
	CLEANUP(mem_free) char *value = NULL;
	CLEANUP(mem_free) char *previous = NULL;

	if (!bc || strcmp(bc->uid, push->uid) != 0 || push->is_redelivery)
		return;
	api_secret_name(name, sizeof(name), bc);
	secret = api_find(w->api, API_SECRET, push->namespace_, name);
	value = api_secret_value(secret);
	previous = api_secret_previous(secret);
	if (previous && world_chance(w, 30))
		http_deliver(r, push, previous);
	else
		http_deliver(r, push, value ? value : "a secret of old");
}

static const char *pick_ref(struct world *w)
{
	uint64_t dice = world_below(w, 10);

	return dice < 6 ? "refs/heads/main" : dice < 9 ? "refs/heads/dev" : "refs/heads/topic";
}

static void push(struct world *w)
{
	const struct api_object *bc = pick(w, API_BUILDCONFIG);
	struct push *p = NULL;

	if (!bc)
		return;
	p = ledger_add_push(w, bc, pick_ref(w));
	deliver(w, pick_replica(w), p);
	if (world_chance(w, 10))
		deliver(w, pick_replica(w), p);
}

static void push_often(struct world *w)
{
	for (uint64_t n = 2 + world_below(w, 12); n > 0; n--)
		push(w);
}

static void redeliver(struct world *w)
{
	struct push *p = w->ledger->pushes;

	for (uint64_t n = world_below(w, 8); p && p->next && n > 0; n--)
		p = p->next;
	if (p)
		deliver(w, pick_replica(w), p);
}

/* A Git host sends a delivery again. */
static void redeliver_failed(struct world *w)
{
	for (struct push *p = w->ledger->pushes; p; p = p->next)
		if (p->is_failed && world_chance(w, 50))
			deliver(w, pick_replica(w), p);
}

/* A user asks for a redelivery of a delivery that was built. */
static void ask_for_redelivery(struct world *w)
{
	struct api_object *bc = pick(w, API_BUILDCONFIG);
	struct push *p = w->ledger->pushes;

	for (uint64_t n = world_below(w, 8); p && p->next && n > 0; n--)
		p = p->next;
	while (p && bc && (p->n_builds == 0 || p->is_redelivery || strcmp(p->uid, bc->uid) != 0))
		p = p->next;
	if (!bc || !p)
		return;
	p = ledger_add_redelivery(w, p, (unsigned)world_below(w, 1000000));
	set_annotation(bc, "buildhook.io/redeliver", p->id);
	api_touch(w->api, bc);
	world_trace(w, "ask for %s of %s", p->id, p->name);
}

/* Networks and machines. */

static void change_faults(struct world *w)
{
	w->faults = kinds_of_faults[world_below(w, ARRAY_LEN(kinds_of_faults))];
	world_trace(w, "faults: lost %u", w->faults.lost);
}

static void cut_off(struct world *w)
{
	struct replica *r = pick_replica(w);

	r->is_cut_off = !r->is_cut_off;
	world_trace(w, "replica %zu is %s", r->index, r->is_cut_off ? "cut off" : "connected");
	if (r->is_cut_off)
		transport_cut_watches(r->transport);
}

static void cut_watches(struct world *w)
{
	transport_cut_watches(pick_replica(w)->transport);
}

static void crash(struct world *w)
{
	struct replica *r = pick_replica(w);

	if (r->is_up)
		replica_crash(r, world_chance(w, 50));
	else
		replica_start(r);
}

void action_restart(struct world *w, struct replica *r)
{
	if (r->is_up)
		replica_crash(r, world_chance(w, 50));
	replica_start(r);
}

static void publish(struct world *w)
{
	w->has_route = true;
}

static void drain(struct world *w)
{
	struct replica *r = pick_replica(w);

	if (r->is_up)
		replica_drain(r);
}

static void restart(struct world *w)
{
	action_restart(w, pick_replica(w));
}

static void forget_versions(struct world *w)
{
	api_compact(w->api);
	transport_cut_watches(pick_replica(w)->transport);
}

static void change_quota(struct world *w)
{
	w->api->quota = w->api->quota == SIZE_MAX ? (size_t)world_below(w, 3) : SIZE_MAX;
}

static void collect_garbage(struct world *w)
{
	api_collect_garbage(w->api);
}

static const struct {
	unsigned weight;
	void (*act)(struct world *w);
} actions[] = {
	{30, push},
	{6, push_often},
	{8, redeliver},
	{8, redeliver_failed},
	{3, ask_for_redelivery},
	{6, edit},
	{2, rotate},
	{2, pause_or_resume},
	{4, build_by_hand},
	{2, create_missing},
	{1, delete_buildconfig},
	{2, delete_secret},
	{1, create_secret},
	{8, change_faults},
	{4, cut_off},
	{5, cut_watches},
	{3, crash},
	{5, restart},
	{4, drain},
	{2, publish},
	{3, forget_versions},
	{2, change_quota},
	{4, collect_garbage},
};

void action_random(struct world *w)
{
	unsigned sum = 0, dice = 0;

	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		sum += actions[i].weight;
	dice = (unsigned)world_below(w, sum);
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		if (dice < actions[i].weight) {
			actions[i].act(w);
			return;
		}
		dice -= actions[i].weight;
	}
}

void action_populate(struct world *w)
{
	size_t n = 1 + (size_t)world_below(w, ARRAY_LEN(names));

	w->faults = kinds_of_faults[0];
	for (size_t i = 0; i < n; i++)
		create_buildconfig(w, names[i]);
	if (world_chance(w, 20))
		create_secret(w);
}

void action_heal(struct world *w)
{
	world_trace(w, "all is well");
	w->is_healing = true;
	w->faults = kinds_of_faults[0];
	w->api->quota = SIZE_MAX;
	w->has_route = true;
	api_collect_garbage(w->api);
	for (size_t i = 0; i < w->n_replicas; i++) {
		w->replicas[i]->is_cut_off = false;
		if (!w->replicas[i]->is_up)
			replica_start(w->replicas[i]);
	}
}

void action_push_last(struct world *w)
{
	const struct api_object *bc = NULL;

	DL_FOREACH (w->api->objects[API_BUILDCONFIG], bc) {
		struct push *p = ledger_add_push(w, bc, "refs/heads/main");

		p->is_last = true;
		deliver(w, pick_replica(w), p);
	}
}

void action_push_refused(struct world *w)
{
	struct replica *replica = pick_replica(w);
	const struct api_object *bc = NULL;

	w->api->quota = 0;
	world_trace(w, "no build may be created");
	for (struct push *p = w->ledger->pushes; p; p = p->next)
		p->is_last = false;
	DL_FOREACH (w->api->objects[API_BUILDCONFIG], bc) {
		struct push *p = ledger_add_push(w, bc, "refs/heads/main");

		p->is_last = true;
		deliver(w, replica, p);
	}
}

void action_repeat_refused(struct world *w)
{
	for (struct push *p = w->ledger->pushes; p; p = p->next)
		if (p->is_last && p->last_status == 401)
			deliver(w, pick_replica(w), p);
}
