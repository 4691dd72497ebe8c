/* Events of the last minutes, so that a repeat finds the series it belongs to: see event.h. */
#include "controller/event.h"

#include "base/log.h"
#include "controller/internal.h"
#include "kube/event.h"

#include <inttypes.h>
#include <stdio.h>
#include <utlist.h>

#define SERIES_WINDOW_MS   (10 * 60 * 1000)
#define SERIES_INTERVAL_MS (60 * 1000)
#define MAX_RECENT         256
#define MAX_UNDERWAY       64
#define NOTE_BYTES         512

struct recent {
	char *key;                     /* uid, reason and note */
	char *path;                    /* path of the Event, for counting up its series */
	int64_t first_ms, reported_ms; /* monotonic */
	uint64_t count;
	bool is_stored;
	UT_hash_handle hh;
};

struct sending {
	struct event_log *log;
	struct kube_call *call;
	char *key;
	struct sending *prev, *next;
};

struct event_log {
	struct controller *controller;
	struct recent *recent; /* in order of first_ms */
	struct sending *sending;
	size_t n_sending;
};

static void free_recent(struct event_log *log, struct recent *recent)
{
	// NOLINTNEXTLINE(clang-analyzer-*): uthash is not followed
	HASH_DEL(log->recent, recent);
	free(recent->key);
	free(recent->path);
	free(recent);
}

static void drop_old(struct event_log *log, int64_t now_ms)
{
	struct recent *recent, *next;

	HASH_ITER (hh, log->recent, recent, next) {
		if (HASH_COUNT(log->recent) < MAX_RECENT &&
		    now_ms - recent->first_ms < SERIES_WINDOW_MS)
			return;
		free_recent(log, recent);
	}
}

static void free_sending(struct sending *sending)
{
	DL_DELETE(sending->log->sending, sending);
	sending->log->n_sending--;
	free(sending->key);
	free(sending);
}

static void on_sent(void *arg, const struct kube_response *response)
{
	struct sending *sending = arg;
	struct recent *recent = NULL;

	HASH_FIND_STR(sending->log->recent, sending->key, recent);
	if (recent && response->err.code == ERR_OK)
		recent->is_stored = true;
	if (response->err.code != ERR_OK)
		log_msg(LOG_WARN, "controller", "event was not recorded",
			LOG_FIELD("error", response->err.msg));
	free_sending(sending);
}

static void send_doc(struct event_log *log, const char *key, enum kube_method method,
		     const char *path, const cJSON *doc)
{
	CLEANUP(buf_release) struct buf body = BUF_INIT(16 * 1024);
	struct sending *sending = mem_new(1, sizeof(*sending));

	json_format(&body, doc);
	sending->log = log;
	sending->key = mem_strdup(key);
	DL_APPEND(log->sending, sending);
	log->n_sending++;
	sending->call = kube_start(log->controller->opt.services->client,
				   &(struct kube_request){.method = method,
							  .path = path,
							  .body = buf_str(&body),
							  .metric_resource = "events"},
				   on_sent, sending);
}

static void send_first(struct event_log *log, const char *key, const struct buildconfig *bc,
		       enum event_type type, const char *reason, const char *note)
{
	struct recent *recent = mem_new(1, sizeof(*recent));
	CLEANUP(buf_release) struct buf path = BUF_INIT(2048);
	CLEANUP(json_freep) cJSON *event = NULL;
	const struct controller_options *opt = &log->controller->opt;
	char name[KUBE_NAME_BYTES + 32];
	uint64_t chance;

	clock_random(opt->services->clock, &chance, sizeof(chance));
	/* An object name has at most 253 characters. */
	(void)snprintf(name, sizeof(name), "%.230s.%016" PRIx64, bc->name, chance);
	event = kube_event_new(&(struct kube_event){
		.name = name,
		.kind = "BuildConfig",
		.namespace_ = bc->namespace_,
		.object_name = bc->name,
		.uid = bc->uid,
		.wall_ms = clock_wall_ms(opt->services->clock),
		.is_warning = type == EVENT_WARNING,
		.reason = reason,
		.note = note,
		.max_note_bytes = NOTE_BYTES,
		.controller = "buildhook.io/buildhook",
		.instance = opt->instance,
	});
	kube_event_put_path(&path, bc->namespace_);
	recent->key = mem_strdup(key);
	recent->first_ms = recent->reported_ms = clock_mono_ms(opt->services->clock);
	recent->count = 1;
	HASH_ADD_KEYPTR(hh, log->recent, recent->key, strlen(recent->key), recent);
	send_doc(log, key, KUBE_POST, path.data, event);
	buf_printf(&path, "/%s", name);
	recent->path = buf_take(&path);
}

static void send_repeat(struct event_log *log, struct recent *recent, int64_t now_ms)
{
	CLEANUP(json_freep) cJSON *patch = NULL;
	cJSON *series;

	recent->count++;
	if (!recent->is_stored || now_ms - recent->reported_ms < SERIES_INTERVAL_MS)
		return;
	recent->reported_ms = now_ms;
	patch = json_new_object();
	series = json_put_object(patch, "series");
	json_put_int(series, "count", (int64_t)recent->count);
	kube_event_put_micro_time(series, "lastObservedTime",
				  clock_wall_ms(log->controller->opt.services->clock));
	send_doc(log, recent->key, KUBE_MERGE_PATCH, recent->path, patch);
}

void event_send(struct controller *c, const struct buildconfig *bc, enum event_type type,
		const char *reason, const char *note)
{
	struct event_log *log = c->events;
	int64_t now_ms = clock_mono_ms(c->opt.services->clock);
	CLEANUP(buf_release) struct buf key = BUF_INIT(4096);
	struct recent *recent = NULL;

	drop_old(log, now_ms);
	if (log->n_sending >= MAX_UNDERWAY)
		return;
	buf_printf(&key, "%s %s %s", bc->uid, reason, note);
	HASH_FIND_STR(log->recent, key.data, recent);
	if (recent)
		send_repeat(log, recent, now_ms);
	else
		send_first(log, key.data, bc, type, reason, note);
}

struct event_log *event_log_new(struct controller *controller)
{
	struct event_log *log = mem_new(1, sizeof(*log));

	log->controller = controller;
	return log;
}

void event_log_free(struct event_log *log)
{
	struct recent *recent, *next;

	while (log->sending) {
		// NOLINTNEXTLINE(clang-analyzer-*): nor is utlist
		kube_cancel(log->sending->call);
		free_sending(log->sending);
	}
	HASH_ITER (hh, log->recent, recent, next)
		free_recent(log, recent);
	free(log);
}
