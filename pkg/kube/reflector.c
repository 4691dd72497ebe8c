/*
 * List and watch, as client-go's reflector: list in pages, watch with bookmarks from there, resume
 * after a cut, list again when the version is too old (410).
 */
#include "kube/reflector.h"

#include "base/log.h"
#include "base/mem.h"
#include "kube/backoff.h"
#include "kube/stream.h"
#include "metrics/metrics.h"

#include <stdio.h>

/* client-go's page size: bounds the memory of one answer here and in the API server. */
#define PAGE_ITEMS      500
#define PAGE_TIMEOUT_MS 60000
/* A watch is asked for 5 to 10 minutes, as client-go does; the spread is drawn by chance, so that
 * watches do not all end together. */
#define MIN_WATCH_S    300
#define WATCH_SPREAD_S 300
/* After its time the server may need this long to end the watch. */
#define WATCH_GRACE_MS 30000
/* Bookmarks come about once a minute: a watch that brings nothing for longer is stalled. */
#define STALL_MS 150000
/* A watch that the server closes sooner, with nothing in it, counts as failed. */
#define SHORT_WATCH_MS 5000
/* After this many watches in a row without an event or bookmark the list is read again. */
#define MAX_UNPRODUCTIVE   3
#define MAX_CONTINUE_BYTES ((size_t)16 * 1024)
#define MAX_VERSION_BYTES  ((size_t)1024)
#define MAX_PATH_BYTES     ((size_t)32 * 1024)

/* The next step, perhaps after a wait. */
enum step {
	STEP_LIST_NEWEST,    /* a consistent list, read from etcd */
	STEP_LIST_NOT_OLDER, /* a list not older than `version`, from the server's cache: spares
				etcd */
	STEP_PAGE,           /* the list's next page */
	STEP_WATCH,
};

/* Why a watch ended: the label "reason". */
enum watch_end {
	END_NONE,
	END_CLOSED,      /* closed by the server at the end of timeoutSeconds */
	END_CUT,         /* the connection broke within the stream */
	END_STALLED,     /* no event and no bookmark for too long */
	END_DEADLINE,    /* not closed by the server although timeoutSeconds are over */
	END_EXPIRED,     /* 410 */
	END_THROTTLED,   /* 429 */
	END_UNREACHABLE, /* no answer */
	END_ERROR,       /* any other answer, or ERROR event */
};

static const char *const end_names[] = {
	[END_CLOSED] = "closed",           [END_CUT] = "cut",         [END_STALLED] = "mute",
	[END_DEADLINE] = "deadline",       [END_EXPIRED] = "expired", [END_THROTTLED] = "throttled",
	[END_UNREACHABLE] = "unreachable", [END_ERROR] = "error",
};

static const struct metrics_family watch_restarts = {
	.name = "buildhook_watch_restarts_total",
	.help = "Watches that ended and were begun again, by resource and cause.",
	.kind = METRICS_COUNTER,
	.labels = {"resource", "reason"},
};

struct kube_reflector {
	struct kube_reflector_options options;
	char *path, *scope, *selector;
	bool is_synced;
	struct kube_call *call;
	struct timer timer; /* the next step's, or the watch's check */
	struct stream stream;
	struct backoff backoff;
	enum step step;
	enum step list; /* the list under way, or the last one */
	bool has_restarted_list;
	char *version;      /* resourceVersion up to which the store is complete */
	char *list_version; /* resourceVersion of the list's first page */
	char *continue_;    /* continue token of the next page */
	bool has_metadata;
	struct err broken; /* error that was found in the stream */
	enum watch_end end;
	int64_t retry_after_ms;
	int64_t alive_ms; /* time of the last sign of life; -1: none yet */
	int64_t heard_ms, watch_since_ms, watch_until_ms;
	bool has_brought_any;        /* this watch has brought an event or a bookmark */
	unsigned int n_unproductive; /* watches in a row without a sign of life */
	unsigned int n_expired;      /* watches in a row that ended with 410 before one */
	bool has_told_poison;
	char error[sizeof(((struct err *)NULL)->msg)];
};

static void take_step(void *arg);

static void tell_state(const struct kube_reflector *r)
{
	if (r->options.on_state)
		r->options.on_state(r->options.arg);
}

/* An error is logged when it begins, not each time it happens again. */
static void set_error(struct kube_reflector *r, const char *message)
{
	bool is_first = !r->error[0];

	if (strcmp(r->error, message) == 0)
		return;
	(void)snprintf(r->error, sizeof(r->error), "%s", message);
	if (is_first)
		log_msg(LOG_WARN, "reflector", "cannot follow the API server",
			LOG_FIELD("resource", r->options.resource), LOG_FIELD("error", message));
	tell_state(r);
}

static void set_alive(struct kube_reflector *r)
{
	r->alive_ms = clock_mono_ms(r->options.clock);
	r->heard_ms = r->alive_ms;
	if (!r->error[0])
		return;
	r->error[0] = '\0';
	log_msg(LOG_INFO, "reflector", "following the API server again",
		LOG_FIELD("resource", r->options.resource));
	tell_state(r);
}

static void wait_for(struct kube_reflector *r, enum step step, int64_t delay_ms)
{
	r->step = step;
	timer_start(r->options.clock, &r->timer, delay_ms, take_step, r);
}

static void back_off(struct kube_reflector *r, enum step step, int64_t retry_after_ms)
{
	wait_for(r, step, backoff_next(&r->backoff, r->options.clock, retry_after_ms));
}

static void begin_stream(struct kube_reflector *r, enum stream_kind kind, stream_fn fn)
{
	stream_release(&r->stream);
	stream_init(&r->stream, kind, fn, r);
	r->broken = (struct err){0};
	r->has_metadata = false;
	r->end = END_NONE;
	r->retry_after_ms = -1;
}

static void set_text(char **out, const char *value)
{
	char *copy = mem_strdup(value);

	mem_free(out);
	*out = copy;
}

static void put_parameter(struct buf *path, const char *name, const char *value)
{
	if (!value)
		return;
	buf_printf(path, "&%s=", name);
	kube_put_escaped(path, str_of(value));
}

static void tell_poison(struct kube_reflector *r, const char *why)
{
	if (r->has_told_poison)
		return;
	r->has_told_poison = true;
	log_msg(LOG_WARN, "reflector", "an object cannot be read and is left out",
		LOG_FIELD("resource", r->options.resource), LOG_FIELD("error", why));
}

static void read_list_metadata(struct kube_reflector *r, const cJSON *metadata)
{
	const char *version = json_str_at(metadata, "resourceVersion");
	const char *next = json_str_at(metadata, "continue");

	if (strlen(version ? version : "") > MAX_VERSION_BYTES ||
	    strlen(next ? next : "") > MAX_CONTINUE_BYTES) {
		err_set(&r->broken, ERR_LIMIT, "resourceVersion or continue is too long");
		return;
	}
	r->has_metadata = true;
	if (!r->list_version)
		r->list_version = mem_strdup(version ? version : "");
	set_text(&r->continue_, next && *next ? next : NULL);
}

static void on_list_part(void *arg, enum stream_part part, struct str text)
{
	CLEANUP(json_freep) cJSON *doc = NULL;
	struct kube_reflector *r = arg;
	struct err err = {0};

	if (part == STREAM_OVERSIZED) {
		tell_poison(r, "larger than any object may be");
	} else if (json_parse(&doc, text, &err) < 0) {
		if (part == STREAM_METADATA)
			r->broken = err;
		else
			tell_poison(r, err.msg);
	} else if (part == STREAM_METADATA) {
		read_list_metadata(r, doc);
	} else {
		kube_store_put(r->options.store, doc, clock_mono_ms(r->options.clock));
	}
}

static void on_list_bytes(void *arg, struct str bytes)
{
	struct kube_reflector *r = arg;

	if (r->broken.code == ERR_OK)
		(void)stream_feed(&r->stream, bytes, &r->broken);
}

static bool is_version_too_large(const struct kube_response *response)
{
	return json_find(json_at(response->doc, "details/causes"), "reason",
			 "ResourceVersionTooLarge") ||
	       str_contains(str_of(response->err.msg), STR("Too large resource version"));
}

/*
 * If `version` is too old (410 on the list or on one of its pages), or newer than the server's data
 * (restored from a backup), a consistent list is asked for at once; a refusal of that is treated
 * like any other failure.
 */
static void on_list_failed(struct kube_reflector *r, const struct kube_response *response,
			   const struct err *err)
{
	bool is_refused = response->err.code == ERR_EXPIRED || response->err.code == ERR_INVALID ||
			  is_version_too_large(response);

	set_error(r, err->msg);
	if (is_refused && (r->continue_ || r->list == STEP_LIST_NOT_OLDER)) {
		bool is_first = !r->has_restarted_list;

		r->has_restarted_list = true;
		mem_free(&r->continue_);
		if (is_first)
			wait_for(r, STEP_LIST_NEWEST, 0);
		else
			back_off(r, STEP_LIST_NEWEST, response->retry_after_ms);
		return;
	}
	back_off(r, r->continue_ ? STEP_PAGE : r->list, response->retry_after_ms);
}

static void on_list_complete(struct kube_reflector *r)
{
	bool was_synced = r->is_synced;

	mem_free(&r->version);
	r->version = TAKE(r->list_version);
	r->has_restarted_list = false;
	r->n_unproductive = 0;
	r->is_synced = true;
	kube_store_end_list(r->options.store, r->scope);
	set_alive(r);
	if (!was_synced)
		tell_state(r);
	wait_for(r, STEP_WATCH, 0);
}

static void on_page(void *arg, const struct kube_response *response)
{
	struct kube_reflector *r = arg;
	struct err err = response->err;

	r->call = NULL;
	if (err.code == ERR_OK)
		err = r->broken;
	if (err.code == ERR_OK)
		(void)stream_finish(&r->stream, &err);
	if (err.code == ERR_OK && !r->has_metadata)
		err_set(&err, ERR_UNAVAILABLE, "the list has no metadata");
	if (err.code != ERR_OK)
		on_list_failed(r, response, &err);
	else if (r->continue_)
		wait_for(r, STEP_PAGE, 0);
	else
		on_list_complete(r);
}

static void ask_page(struct kube_reflector *r)
{
	CLEANUP(buf_release) struct buf path = BUF_INIT(MAX_PATH_BYTES);
	struct kube_request request = {
		.timeout_ms = PAGE_TIMEOUT_MS,
		.on_bytes = on_list_bytes,
		.metric_resource = r->options.resource,
	};

	buf_printf(&path, "%s?limit=%d", r->path, PAGE_ITEMS);
	put_parameter(&path, "labelSelector", r->selector);
	put_parameter(&path, "continue", r->continue_);
	/* A continue token holds resourceVersion and its match: next to it they are not allowed. */
	if (!r->continue_ && r->list == STEP_LIST_NOT_OLDER) {
		put_parameter(&path, "resourceVersion", r->version);
		put_parameter(&path, "resourceVersionMatch", "NotOlderThan");
	}
	request.path = path.data;
	begin_stream(r, STREAM_LIST, on_list_part);
	r->call = kube_start(r->options.client, &request, on_page, r);
}

static void begin_list(struct kube_reflector *r, enum step list)
{
	r->list = list;
	mem_free(&r->continue_);
	mem_free(&r->list_version);
	kube_store_begin_list(r->options.store, r->scope);
	ask_page(r);
}

static void count_restart(const struct kube_reflector *r, enum watch_end end)
{
	log_msg(LOG_DEBUG, "reflector", "a watch ended", LOG_FIELD("resource", r->options.resource),
		LOG_FIELD("reason", end_names[end]));
	if (r->options.metrics)
		metrics_add(metrics_get(r->options.metrics, &watch_restarts,
					(const char *const[]){r->options.resource, end_names[end]}),
			    1);
}

/*
 * 410: list again, at once unless the last list led to a 410, too. Refused connections and 429 do
 * not make `version` invalid: back off and watch from it again. So after all other errors, but
 * after some watches without a sign of life `version` itself may be wrong (a server restored from a
 * backup): then list again.
 */
static void on_watch_ended(struct kube_reflector *r, enum watch_end end, const char *message)
{
	int64_t lasted_ms = clock_mono_ms(r->options.clock) - r->watch_since_ms;

	timer_stop(r->options.clock, &r->timer);
	count_restart(r, end);
	if (end == END_CLOSED && (r->has_brought_any || lasted_ms >= SHORT_WATCH_MS)) {
		wait_for(r, STEP_WATCH, 0);
		return;
	}
	if (end == END_EXPIRED) {
		if (r->n_expired++ == 0)
			wait_for(r, STEP_LIST_NOT_OLDER, 0);
		else
			back_off(r, STEP_LIST_NOT_OLDER, r->retry_after_ms);
		return;
	}
	set_error(r, message);
	if (end != END_UNREACHABLE && end != END_THROTTLED)
		r->n_unproductive = r->has_brought_any ? 0 : r->n_unproductive + 1;
	if (r->n_unproductive >= MAX_UNPRODUCTIVE)
		back_off(r, STEP_LIST_NOT_OLDER, r->retry_after_ms);
	else if (end == END_STALLED || end == END_DEADLINE)
		wait_for(r, STEP_WATCH, 0);
	else
		back_off(r, STEP_WATCH, r->retry_after_ms);
}

static void end_watch(struct kube_reflector *r, enum watch_end end, const char *message)
{
	kube_cancel(TAKE(r->call));
	on_watch_ended(r, end, message);
}

static void on_error_event(struct kube_reflector *r, const cJSON *status)
{
	int64_t code = json_int_at(status, "code", 0);
	int64_t seconds = json_int_at(status, "details/retryAfterSeconds", -1);
	const char *message = json_str_at(status, "message");
	CLEANUP(buf_release) struct buf shown = BUF_INIT(1024);

	buf_put_clean(&shown, str_of(message), 200);
	err_set(&r->broken, ERR_UNAVAILABLE, "the watch ended with %d: %s", (int)code,
		buf_text(&shown));
	r->end = code == 410 ? END_EXPIRED : code == 429 ? END_THROTTLED : END_ERROR;
	r->retry_after_ms = seconds > 0 && seconds <= 300 ? seconds * 1000 : -1;
}

static void put_key(struct buf *out, const cJSON *object)
{
	const char *namespace_ = json_str_at(object, "metadata/namespace");
	const char *name = json_str_at(object, "metadata/name");

	if (namespace_ && *namespace_)
		buf_printf(out, "%s/", namespace_);
	buf_put_str(out, str_of(name));
}

static void on_object_event(struct kube_reflector *r, const char *type, const cJSON *object)
{
	CLEANUP(buf_release) struct buf key = BUF_INIT(1024);
	const char *version = json_str_at(object, "metadata/resourceVersion");
	int64_t now_ms = clock_mono_ms(r->options.clock);

	if (strcmp(type, "ADDED") == 0 || strcmp(type, "MODIFIED") == 0) {
		kube_store_put(r->options.store, object, now_ms);
	} else if (strcmp(type, "DELETED") == 0) {
		put_key(&key, object);
		kube_store_remove(r->options.store, buf_text(&key));
	} else {
		kube_store_settle(r->options.store, now_ms);
	}
	if (version && *version && strlen(version) <= MAX_VERSION_BYTES)
		set_text(&r->version, version);
}

static void on_watch_part(void *arg, enum stream_part part, struct str text)
{
	CLEANUP(json_freep) cJSON *doc = NULL;
	struct kube_reflector *r = arg;
	struct err err = {0};
	const char *type = NULL;

	if (r->end != END_NONE)
		return;
	if (part == STREAM_OVERSIZED || json_parse(&doc, text, &err) < 0) {
		tell_poison(r, err.msg[0] ? err.msg : "larger than any object may be");
		return;
	}
	type = json_str_at(doc, "type");
	if (type && strcmp(type, "ERROR") == 0) {
		on_error_event(r, json_member(doc, "object"));
		return;
	}
	r->has_brought_any = true;
	r->n_unproductive = 0;
	r->n_expired = 0;
	on_object_event(r, type ? type : "", json_member(doc, "object"));
}

static void on_watch_bytes(void *arg, struct str bytes)
{
	struct kube_reflector *r = arg;

	set_alive(r);
	if (stream_feed(&r->stream, bytes, &r->broken) < 0)
		r->end = END_ERROR;
	if (r->end != END_NONE)
		end_watch(r, r->end, r->broken.msg);
}

static void on_watch_done(void *arg, const struct kube_response *response)
{
	struct kube_reflector *r = arg;
	enum watch_end end = END_ERROR;

	r->call = NULL;
	r->retry_after_ms = response->retry_after_ms;
	if (response->err.code == ERR_OK)
		end = END_CLOSED;
	else if (response->status == 0)
		end = END_UNREACHABLE;
	else if (response->status == 200)
		end = END_CUT;
	else if (response->err.code == ERR_EXPIRED)
		end = END_EXPIRED;
	else if (response->err.code == ERR_LIMIT)
		end = END_THROTTLED;
	on_watch_ended(r, end,
		       response->err.msg[0] ? response->err.msg : "the watch was closed at once");
}

static void check_watch(void *arg)
{
	struct kube_reflector *r = arg;
	int64_t now_ms = clock_mono_ms(r->options.clock);
	int64_t due_ms = r->heard_ms + STALL_MS;

	if (now_ms >= r->watch_until_ms) {
		end_watch(r, END_DEADLINE, "the server does not end the watch at its time");
		return;
	}
	if (now_ms >= due_ms) {
		end_watch(r, END_STALLED, "no sign of life from the watch");
		return;
	}
	if (r->watch_until_ms < due_ms)
		due_ms = r->watch_until_ms;
	timer_start(r->options.clock, &r->timer, due_ms - now_ms, check_watch, r);
}

static void begin_watch(struct kube_reflector *r)
{
	CLEANUP(buf_release) struct buf path = BUF_INIT(MAX_PATH_BYTES);
	struct clock *clock = r->options.clock;
	int64_t seconds = MIN_WATCH_S + (int64_t)clock_random_below(clock, WATCH_SPREAD_S + 1);
	struct kube_request request = {
		.on_bytes = on_watch_bytes,
		.is_watch = true,
		.metric_resource = r->options.resource,
	};

	buf_printf(&path, "%s?watch=true&allowWatchBookmarks=true&timeoutSeconds=%lld", r->path,
		   (long long)seconds);
	put_parameter(&path, "labelSelector", r->selector);
	put_parameter(&path, "resourceVersion", r->version);
	request.path = path.data;
	begin_stream(r, STREAM_WATCH, on_watch_part);
	r->has_brought_any = false;
	r->watch_since_ms = clock_mono_ms(clock);
	r->heard_ms = r->watch_since_ms;
	r->watch_until_ms = r->watch_since_ms + seconds * 1000 + WATCH_GRACE_MS;
	r->call = kube_start(r->options.client, &request, on_watch_done, r);
	check_watch(r);
}

static void take_step(void *arg)
{
	struct kube_reflector *r = arg;

	switch (r->step) {
	case STEP_LIST_NEWEST:
	case STEP_LIST_NOT_OLDER:
		begin_list(r, r->step);
		return;
	case STEP_PAGE:
		ask_page(r);
		return;
	case STEP_WATCH:
		begin_watch(r);
		return;
	}
}

struct kube_reflector *kube_reflector_new(const struct kube_reflector_options *options)
{
	struct kube_reflector *r = mem_new(1, sizeof(*r));

	r->options = *options;
	r->path = mem_strdup(options->path);
	r->scope = mem_strdup(options->scope);
	r->selector = mem_strdup(options->selector);
	r->alive_ms = -1;
	begin_list(r, STEP_LIST_NEWEST);
	return r;
}

void kube_reflector_free(struct kube_reflector *reflector)
{
	if (!reflector)
		return;
	kube_cancel(reflector->call);
	timer_stop(reflector->options.clock, &reflector->timer);
	stream_release(&reflector->stream);
	mem_free(&reflector->path);
	mem_free(&reflector->scope);
	mem_free(&reflector->selector);
	mem_free(&reflector->version);
	mem_free(&reflector->list_version);
	mem_free(&reflector->continue_);
	mem_free(&reflector);
}

int64_t kube_reflector_age_ms(const struct kube_reflector *reflector)
{
	if (reflector->alive_ms < 0)
		return -1;
	return clock_mono_ms(reflector->options.clock) - reflector->alive_ms;
}

const char *kube_reflector_error(const struct kube_reflector *reflector)
{
	return reflector->error;
}
