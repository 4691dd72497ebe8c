/*
 * Two levels: a ring of the namespaces that have keys to give out, and of each its keys in the
 * order in which they were added. Both are intrusive lists, so every call takes the same time
 * however many keys there are.
 */
#include "queue/queue.h"

#include "base/hash.h"
#include "base/mem.h"
#include "metrics/metrics.h"

#include <assert.h>
#include <utlist.h>

/* A namespace; exists as long as one of its keys does. */
struct tenant {
	UT_hash_handle hh;
	struct tenant *prev, *next; /* in `ring` */
	struct item *waiting;       /* first added first */
	size_t n_items, n_working;
	bool is_in_ring;
	char name[];
};

/* The state of a key; freed as soon as there is nothing to remember of it. */
struct item {
	UT_hash_handle hh;
	struct item *prev, *next; /* in `waiting` or `working` */
	struct queue *queue;
	struct tenant *tenant;
	struct timer delay;
	int64_t added_ms; /* monotonic; since when it is dirty */
	int64_t got_ms;   /* monotonic; while it is worked on */
	/* the key waits, or is worked on and will wait again when that is done */
	bool is_dirty;
	bool is_working;
	char key[];
};

struct queue {
	struct clock *clock;
	size_t max_per_namespace;
	void (*on_ready)(void *arg);
	void *arg;
	struct timer ready;
	struct item *items;     /* by key */
	struct tenant *tenants; /* by name */
	struct tenant *ring;    /* those with a key that can be given out; the next first */
	struct item *working;   /* the key that has been worked on longest comes first */
	struct queue_stats stats;
	struct metrics_series *waited_seconds, *worked_seconds; /* NULL: not observed */
};

struct queue *queue_new(struct clock *clock, size_t max_per_namespace, void (*on_ready)(void *arg),
			void *arg)
{
	struct queue *queue = mem_new(1, sizeof(*queue));

	queue->clock = clock;
	queue->max_per_namespace = max_per_namespace;
	queue->on_ready = on_ready;
	queue->arg = arg;
	return queue;
}

void queue_set_metrics(struct queue *queue, struct metrics *metrics, const char *name)
{
	static struct metrics_family waited = {
		.name = "workqueue_queue_duration_seconds",
		.help = "How long a key waits before it is worked on.",
		.kind = METRICS_HISTOGRAM,
		.labels = {"name"},
		.buckets = metrics_seconds,
	};
	static struct metrics_family worked = {
		.name = "workqueue_work_duration_seconds",
		.help = "How long a key is worked on.",
		.kind = METRICS_HISTOGRAM,
		.labels = {"name"},
		.buckets = metrics_seconds,
	};

	waited.n_buckets = worked.n_buckets = metrics_n_seconds;
	queue->waited_seconds = metrics_get(metrics, &waited, (const char *const[]){name});
	queue->worked_seconds = metrics_get(metrics, &worked, (const char *const[]){name});
}

static void free_item(struct item *item)
{
	struct queue *queue = item->queue;
	struct tenant *tenant = item->tenant;

	timer_stop(queue->clock, &item->delay);
	HASH_DEL(queue->items, item);
	free(item);
	if (--tenant->n_items > 0)
		return;
	if (tenant->is_in_ring)
		DL_DELETE(queue->ring, tenant);
	HASH_DEL(queue->tenants, tenant);
	free(tenant);
}

void queue_free(struct queue *queue)
{
	struct item *item = NULL, *next = NULL;

	if (!queue)
		return;
	timer_stop(queue->clock, &queue->ready);
	HASH_ITER (hh, queue->items, item, next)
		free_item(item);
	free(queue);
}

static struct tenant *get_tenant(struct queue *queue, const char *key)
{
	size_t n = strcspn(key, "/");
	struct tenant *tenant = NULL;

	HASH_FIND(hh, queue->tenants, key, n, tenant);
	if (tenant)
		return tenant;
	tenant = mem_new(1, sizeof(*tenant) + n + 1);
	memcpy(tenant->name, key, n);
	HASH_ADD_KEYPTR(hh, queue->tenants, tenant->name, n, tenant);
	return tenant;
}

static struct item *find_item(const struct queue *queue, const char *key)
{
	struct item *item = NULL;

	HASH_FIND_STR(queue->items, key, item);
	return item;
}

static struct item *get_item(struct queue *queue, const char *key)
{
	struct item *item = find_item(queue, key);
	size_t n = strlen(key);

	if (item)
		return item;
	item = mem_new(1, sizeof(*item) + n + 1);
	item->queue = queue;
	item->tenant = get_tenant(queue, key);
	item->tenant->n_items++;
	memcpy(item->key, key, n);
	HASH_ADD_KEYPTR(hh, queue->items, item->key, n, item);
	return item;
}

static void drop_idle(struct item *item)
{
	if (!item->is_dirty && !item->is_working && !timer_running(&item->delay))
		free_item(item);
}

static void call_ready(void *arg)
{
	struct queue *queue = arg;

	if (queue->ring)
		queue->on_ready(queue->arg);
}

/* At the end of the ring, if it has a key to give out. */
static void join_ring(struct queue *queue, struct tenant *tenant)
{
	bool is_full =
		queue->max_per_namespace > 0 && tenant->n_working >= queue->max_per_namespace;

	if (tenant->is_in_ring || !tenant->waiting || is_full)
		return;
	tenant->is_in_ring = true;
	DL_APPEND(queue->ring, tenant);
	if (!timer_running(&queue->ready))
		timer_start(queue->clock, &queue->ready, 0, call_ready, queue);
}

static void append_waiting(struct item *item)
{
	DL_APPEND(item->tenant->waiting, item);
	item->queue->stats.depth++;
	join_ring(item->queue, item->tenant);
}

static void add_item(struct item *item)
{
	if (item->is_dirty)
		return;
	item->is_dirty = true;
	item->added_ms = clock_mono_ms(item->queue->clock);
	item->queue->stats.adds++;
	if (!item->is_working)
		append_waiting(item);
}

void queue_add(struct queue *queue, const char *key)
{
	add_item(get_item(queue, key));
}

static void on_delay_over(void *arg)
{
	struct item *item = arg;

	item->queue->stats.delayed--;
	add_item(item);
}

static void add_item_after(struct item *item, int64_t delay_ms)
{
	struct queue *queue = item->queue;
	int64_t now = clock_mono_ms(queue->clock);

	if (timer_running(&item->delay)) {
		if (item->delay.due_ms - now <= delay_ms)
			return;
		queue->stats.delayed--;
	}
	queue->stats.delayed++;
	timer_start(queue->clock, &item->delay, delay_ms, on_delay_over, item);
}

void queue_add_after(struct queue *queue, const char *key, int64_t delay_ms)
{
	if (delay_ms <= 0) {
		queue_add(queue, key);
		return;
	}
	queue->stats.retries++;
	add_item_after(get_item(queue, key), delay_ms);
}

static void observe_ms(struct metrics_series *series, int64_t ms)
{
	if (series)
		metrics_observe(series, (double)ms / 1000);
}

const char *queue_get(struct queue *queue)
{
	struct tenant *tenant = queue->ring;
	struct item *item;

	if (!tenant)
		return NULL;
	item = tenant->waiting;
	DL_DELETE(tenant->waiting, item);
	DL_APPEND(queue->working, item);
	tenant->n_working++;
	DL_DELETE(queue->ring, tenant);
	tenant->is_in_ring = false;
	join_ring(queue, tenant);
	queue->stats.depth--;
	queue->stats.working++;
	item->is_dirty = false;
	item->is_working = true;
	item->got_ms = clock_mono_ms(queue->clock);
	observe_ms(queue->waited_seconds, item->got_ms - item->added_ms);
	return item->key;
}

void queue_done(struct queue *queue, const char *key)
{
	struct item *item = find_item(queue, key);
	struct tenant *tenant;

	assert(item && item->is_working);
	tenant = item->tenant;
	DL_DELETE(queue->working, item);
	queue->stats.working--;
	tenant->n_working--;
	item->is_working = false;
	observe_ms(queue->worked_seconds, clock_mono_ms(queue->clock) - item->got_ms);
	if (item->is_dirty)
		append_waiting(item);
	join_ring(queue, tenant);
	drop_idle(item);
}

void queue_read_stats(const struct queue *queue, struct queue_stats *out)
{
	const struct item *item;
	int64_t now_ms = clock_mono_ms(queue->clock);

	*out = queue->stats;
	out->oldest_working_ms = queue->working ? now_ms - queue->working->got_ms : 0;
	DL_FOREACH (queue->working, item)
		out->working_ms += now_ms - item->got_ms;
}
