#include "queue/queue.h"

#include "base/hash.h"
#include "base/mem.h"

#include <assert.h>
#include <utlist.h>

/* What is known of a key; gone as soon as nothing is. */
struct item {
	UT_hash_handle hh;
	struct item *prev, *next; /* in `waiting` or `working` */
	struct queue *queue;
	struct timer delay;
	int64_t backoff_ms; /* the next; 0: it starts at its base */
	int64_t got_ms;     /* monotonic; while it is worked on */
	/* To be given out: it is in `waiting`, or is worked on and will be when that is done. */
	bool is_dirty;
	bool is_working;
	char key[];
};

struct queue {
	struct clock *clock;
	struct queue_backoff backoff;
	void (*on_ready)(void *arg);
	void *arg;
	struct timer ready;
	struct item *items;   /* by key */
	struct item *waiting; /* first added first */
	struct item *working; /* longest in work first */
	struct queue_stats stats;
};

struct queue *queue_new(struct clock *clock, const struct queue_backoff *backoff,
			void (*on_ready)(void *arg), void *arg)
{
	struct queue *queue = mem_new(1, sizeof(*queue));

	assert(backoff->base_ms > 0 && backoff->max_ms >= backoff->base_ms);
	queue->clock = clock;
	queue->backoff = *backoff;
	queue->on_ready = on_ready;
	queue->arg = arg;
	return queue;
}

static void free_item(struct item *item)
{
	timer_stop(item->queue->clock, &item->delay);
	HASH_DEL(item->queue->items, item);
	free(item);
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
	memcpy(item->key, key, n);
	HASH_ADD_KEYPTR(hh, queue->items, item->key, n, item);
	return item;
}

static void drop_idle(struct item *item)
{
	if (!item->is_dirty && !item->is_working && !timer_running(&item->delay) &&
	    item->backoff_ms == 0)
		free_item(item);
}

static void tell_ready(void *arg)
{
	struct queue *queue = arg;

	if (queue->waiting)
		queue->on_ready(queue->arg);
}

static void append_waiting(struct item *item)
{
	struct queue *queue = item->queue;

	DL_APPEND(queue->waiting, item);
	queue->stats.depth++;
	if (!timer_running(&queue->ready))
		timer_start(queue->clock, &queue->ready, 0, tell_ready, queue);
}

static void add_item(struct item *item)
{
	if (item->is_dirty)
		return;
	item->is_dirty = true;
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
	if (delay_ms <= 0)
		queue_add(queue, key);
	else
		add_item_after(get_item(queue, key), delay_ms);
}

void queue_add_backoff(struct queue *queue, const char *key)
{
	struct item *item = get_item(queue, key);
	int64_t max = queue->backoff.max_ms;
	int64_t backoff = item->backoff_ms ? item->backoff_ms : queue->backoff.base_ms;
	int64_t half = backoff / 2;

	item->backoff_ms = backoff > max / 2 ? max : backoff * 2;
	queue->stats.retries++;
	/* Changes that failed together, as when the API server went away, do not come back
	 * together. */
	add_item_after(item, backoff - (int64_t)clock_random_below(queue->clock, half + 1));
}

void queue_forget(struct queue *queue, const char *key)
{
	struct item *item = find_item(queue, key);

	if (!item)
		return;
	item->backoff_ms = 0;
	drop_idle(item);
}

const char *queue_get(struct queue *queue)
{
	struct item *item = queue->waiting;

	if (!item)
		return NULL;
	DL_DELETE(queue->waiting, item);
	DL_APPEND(queue->working, item);
	queue->stats.depth--;
	queue->stats.working++;
	item->is_dirty = false;
	item->is_working = true;
	item->got_ms = clock_mono_ms(queue->clock);
	return item->key;
}

void queue_done(struct queue *queue, const char *key)
{
	struct item *item = find_item(queue, key);

	assert(item && item->is_working);
	DL_DELETE(queue->working, item);
	queue->stats.working--;
	item->is_working = false;
	if (item->is_dirty)
		append_waiting(item);
	drop_idle(item);
}

void queue_read_stats(const struct queue *queue, struct queue_stats *out)
{
	*out = queue->stats;
	out->oldest_working_ms =
		queue->working ? clock_mono_ms(queue->clock) - queue->working->got_ms : 0;
}
