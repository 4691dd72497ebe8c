/* The build controller's stores, groups and queue: observe, plan, act. */
#include "builder/internal.h"

#include <assert.h>
#include <stdio.h>
#include <utlist.h>

/* Requests go over two connections; more keys at once would only wait there. */
#define MAX_WORKING 64
#define KEY_BYTES   (2 * BUILDER_NAME_BYTES + 2)

static struct room *get_room(struct builder *builder, struct str namespace_)
{
	struct room *room = NULL;

	HASH_FIND(hh, builder->rooms, namespace_.p, namespace_.n, room);
	if (room)
		return room;
	room = mem_new(1, sizeof(*room));
	room->namespace_ = str_dup(namespace_);
	HASH_ADD_KEYPTR(hh, builder->rooms, room->namespace_, namespace_.n, room);
	return room;
}

static struct group *get_group(struct builder *builder, const char *key)
{
	struct group *group = NULL;
	struct str rest = str_of(key), namespace_ = {0};

	HASH_FIND_STR(builder->groups, key, group);
	if (group)
		return group;
	(void)str_next_part(&rest, '/', &namespace_);
	group = mem_new(1, sizeof(*group));
	group->builder = builder;
	group->key = mem_strdup(key);
	group->room = get_room(builder, namespace_);
	DL_APPEND(group->room->groups, group);
	HASH_ADD_KEYPTR(hh, builder->groups, group->key, strlen(group->key), group);
	return group;
}

static void free_group(struct builder *builder, struct group *group)
{
	struct room *room = group->room;

	// NOLINTNEXTLINE(clang-analyzer-*): uthash is not followed
	HASH_DEL(builder->groups, group);
	DL_DELETE(room->groups, group);
	free(group->key);
	free(group);
	if (room->groups)
		return;
	HASH_DEL(builder->rooms, room);
	free(room->namespace_);
	free(room);
}

static void free_entry(struct builder *builder, struct entry *entry)
{
	// NOLINTNEXTLINE(clang-analyzer-*): uthash is not followed
	HASH_DEL(builder->entries, entry);
	DL_DELETE(entry->group->entries, entry);
	free(entry->key);
	free(entry->trouble);
	free(entry->trouble_message);
	free(entry->gone_version);
	free(entry);
}

/* A BuildConfig's name has no space in it. */
static void format_group_key(char *out, const struct build *build)
{
	(void)snprintf(out, KEY_BYTES, "%s/%s%s", build->namespace_, *build->config ? "" : " ",
		       *build->config ? build->config : build->name);
}

static void add_entry(struct builder *builder, const char *key, const struct build *build)
{
	struct entry *entry = mem_new(1, sizeof(*entry));
	char group_key[KEY_BYTES];

	format_group_key(group_key, build);
	entry->key = mem_strdup(key);
	entry->group = get_group(builder, group_key);
	DL_APPEND(entry->group->entries, entry);
	HASH_ADD_KEYPTR(hh, builder->entries, entry->key, strlen(entry->key), entry);
}

/* A Build of the namespace has ended: others of it may start. */
static void wake_waiting(struct builder *builder, const char *namespace_)
{
	struct room *room = NULL;
	struct group *group;

	HASH_FIND_STR(builder->rooms, namespace_, room);
	if (!room)
		return;
	DL_FOREACH (room->groups, group)
		if (group->waits_for_room)
			queue_add(builder->queue, group->key);
}

static void on_build(void *arg, const char *key, const void *old, const void *new_)
{
	struct builder *builder = arg;
	const struct build *before = old, *after = new_;
	struct entry *entry = builder_find_entry(builder, key);
	bool is_same = before && after && strcmp(before->uid, after->uid) == 0 &&
		       strcmp(before->config, after->config) == 0;

	if (entry && !is_same) {
		queue_add(builder->queue, entry->group->key);
		free_entry(builder, entry);
		entry = NULL;
	}
	if (before && (!after || build_phase_is_end(after->phase)))
		wake_waiting(builder, before->namespace_);
	if (after && !entry) {
		add_entry(builder, key, after);
		entry = builder_find_entry(builder, key);
	}
	if (entry)
		queue_add(builder->queue, entry->group->key);
}

static void on_pod(void *arg, const char *key, const void *old, const void *new_)
{
	struct builder *builder = arg;
	const struct pod *pod = new_ ? new_ : old;
	char build_key[KEY_BYTES];
	struct entry *entry;

	(void)key;
	(void)snprintf(build_key, sizeof(build_key), "%s/%s", pod->namespace_, pod->build);
	entry = builder_find_entry(builder, build_key);
	if (entry) {
		entry->expected_ms = 0;
		queue_add(builder->queue, entry->group->key);
	}
	/* A Build with a Pod takes room: without it others may start. */
	if (!new_)
		wake_waiting(builder, pod->namespace_);
}

static void on_config(void *arg, const char *key, const void *old, const void *new_)
{
	struct builder *builder = arg;

	(void)old;
	(void)new_;
	queue_add(builder->queue, key);
}

static void *parse_build(void *arg, const cJSON *doc)
{
	(void)arg;
	return build_parse(doc);
}

static void *parse_pod(void *arg, const cJSON *doc)
{
	(void)arg;
	return pod_parse(doc);
}

static void *parse_config(void *arg, const cJSON *doc)
{
	(void)arg;
	return build_config_parse(doc);
}

static void free_build(void *object)
{
	build_free(object);
}

static void free_pod(void *object)
{
	pod_free(object);
}

struct observation {
	struct seen_config seen;
	struct seen_build *builds;
	struct builder_refusal *refusals;
};

static void release_observation(struct observation *o)
{
	free(o->builds);
	free(o->refusals);
}

static int compare_builds(const void *a, const void *b)
{
	const struct build *x = ((const struct seen_build *)a)->build;
	const struct build *y = ((const struct seen_build *)b)->build;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	if (x->created_ms != y->created_ms)
		return x->created_ms < y->created_ms ? -1 : 1;
	return strcmp(x->name, y->name);
}

static const struct pod *find_pod(const struct builder *builder, const struct build *build)
{
	char name[BUILDER_NAME_BYTES], key[KEY_BYTES];

	build_pod_name(name, build->name);
	(void)snprintf(key, sizeof(key), "%s/%s", build->namespace_, name);
	return kube_store_find(builder->pods, key);
}

/* Takes room: a Pod runs, or was made and the watch has not shown it. */
static bool is_active(const struct builder *builder, const struct entry *entry, int64_t now_ms)
{
	const struct build *build = kube_store_find(builder->builds, entry->key);

	if (!build || build_phase_is_end(build->phase))
		return false;
	return build->phase != BUILD_NEW || entry->expected_ms > now_ms || find_pod(builder, build);
}

static bool is_full(const struct group *asking, int64_t now_ms)
{
	const struct builder *builder = asking->builder;
	const struct group *group;
	const struct entry *entry;
	uint64_t n = 0;

	if (builder->opt.max_builds == 0)
		return false;
	DL_FOREACH (asking->room->groups, group) {
		n += group->is_starting;
		DL_FOREACH (group->entries, entry)
			n += is_active(builder, entry, now_ms);
	}
	return n >= builder->opt.max_builds;
}

static void observe_build(struct seen_build *out, struct builder_refusal *refusal,
			  const struct entry *entry, const struct build *build, int64_t now_ms)
{
	const struct builder *builder = entry->group->builder;

	out->build = build;
	out->pod = find_pod(builder, build);
	out->trouble = entry->trouble;
	out->trouble_message = entry->trouble_message;
	out->retry_ms = entry->retry_ms - now_ms;
	out->expected_ms = entry->expected_ms - now_ms;
	out->is_pod_gone = entry->gone_version && strcmp(entry->gone_version, build->version) == 0;
	if (build->phase == BUILD_NEW && !out->pod) {
		builder_check(refusal, build, &builder->opt.pod);
		out->refusal = refusal->reason;
		out->refusal_message = refusal->message;
	}
}

static void observe(struct observation *out, const struct group *group)
{
	struct builder *builder = group->builder;
	int64_t now_ms = clock_mono_ms(builder->opt.clock);
	const struct entry *entry;
	size_t n = 0;

	DL_COUNT(group->entries, entry, n);
	out->builds = mem_new(n + 1, sizeof(*out->builds));
	out->refusals = mem_new(n + 1, sizeof(*out->refusals));
	n = 0;
	DL_FOREACH (group->entries, entry) {
		const struct build *build = kube_store_find(builder->builds, entry->key);

		if (!build || entry->is_pruned)
			continue;
		observe_build(&out->builds[n], &out->refusals[n], entry, build, now_ms);
		n++;
	}
	qsort(out->builds, n, sizeof(*out->builds), compare_builds);
	out->seen.builds = out->builds;
	out->seen.n = n;
	out->seen.config = kube_store_find(builder->configs, group->key);
	out->seen.is_full = n > 0 && is_full(group, now_ms);
	out->seen.wall_ms = clock_wall_ms(builder->opt.clock);
	out->seen.keeps_pods = builder->opt.keeps_pods;
}

static void reconcile(struct builder *builder, const char *key)
{
	struct group *group = get_group(builder, key);
	CLEANUP(release_observation) struct observation o = {0};
	struct builder_action next;

	observe(&o, group);
	builder_plan(&o.seen, &next);
	group->waits_for_room = next.waits_for_room;
	if (next.kind != BUILDER_NONE) {
		builder->n_working++;
		builder_act(group, &next);
		return;
	}
	queue_done(builder->queue, group->key);
	if (next.wait_ms >= 0)
		queue_add_after(builder->queue, group->key, next.wait_ms);
	else if (!group->entries)
		free_group(builder, group);
}

static void run(void *arg)
{
	struct builder *builder = arg;
	const char *key;

	if (!builder_is_synced(builder) || !kube_client_is_up(builder->opt.client))
		return;
	while (builder->n_working < MAX_WORKING && (key = queue_get(builder->queue)))
		reconcile(builder, key);
	builder->is_full = builder->n_working == MAX_WORKING;
}

void builder_resume(struct builder *builder)
{
	run(builder);
}

bool builder_is_synced(const struct builder *builder)
{
	return kube_store_is_synced(builder->builds) && kube_store_is_synced(builder->pods) &&
	       kube_store_is_synced(builder->configs);
}

bool builder_is_idle(const struct builder *builder)
{
	return builder->n_working == 0 && builder->n_events == 0;
}

static struct kube_store *add_informer(struct builder *builder, size_t at, const char *group,
				       const char *resource, const char *selector,
				       struct kube_store_type type)
{
	const struct builder_options *o = &builder->opt;

	type.arg = builder;
	builder->informers[at] =
		kube_informer_new(&(struct kube_informer_options){.client = o->client,
								  .clock = o->clock,
								  .metrics = o->metrics,
								  .group = group,
								  .resource = resource,
								  .namespaces = o->namespaces,
								  .n_namespaces = o->n_namespaces,
								  .selector = selector,
								  .type = type,
								  .on_synced = run});
	return kube_informer_store(builder->informers[at]);
}

struct builder *builder_new(const struct builder_options *options)
{
	static const char group[] = "/apis/build.openshift.io/v1";
	struct builder *builder = mem_new(1, sizeof(*builder));

	builder->opt = *options;
	builder->run = run;
	builder->queue = queue_new(options->clock, 0, run, builder);
	builder->builds = add_informer(builder, 0, group, "builds", NULL,
				       (struct kube_store_type){.parse = parse_build,
								.free = free_build,
								.on_change = on_build});
	/* Only Pods of Builds have this label. */
	builder->pods =
		add_informer(builder, 1, "/api/v1", "pods", "openshift.io/build.name",
			     (struct kube_store_type){
				     .parse = parse_pod, .free = free_pod, .on_change = on_pod});
	builder->configs =
		add_informer(builder, 2, group, "buildconfigs", NULL,
			     (struct kube_store_type){
				     .parse = parse_config, .free = free, .on_change = on_config});
	builder_metrics_init(builder);
	return builder;
}

void builder_start(struct builder *builder)
{
	for (size_t i = 0; i < ARRAY_LEN(builder->informers); i++)
		kube_informer_start(builder->informers[i]);
}

void builder_free(struct builder *builder)
{
	struct entry *entry, *next_entry;
	struct group *group, *next_group;

	if (!builder)
		return;
	HASH_ITER (hh, builder->groups, group, next_group) {
		if (group->work)
			builder_cancel(group->work);
		if (group->first_build)
			first_build_cancel(group->first_build);
	}
	HASH_ITER (hh, builder->entries, entry, next_entry)
		free_entry(builder, entry);
	HASH_ITER (hh, builder->groups, group, next_group)
		free_group(builder, group);
	builder_events_free(builder);
	builder_metrics_free(builder);
	queue_free(builder->queue);
	for (size_t i = 0; i < ARRAY_LEN(builder->informers); i++)
		kube_informer_free(builder->informers[i]);
	free(builder);
}
