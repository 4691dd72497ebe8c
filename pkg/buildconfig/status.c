/* Makes the status annotations of a BuildConfig, and compares them with those that it has. */
#include "buildconfig/status.h"

#include "base/clock.h"
#include "base/fnv.h"
#include "base/mem.h"
#include "buildconfig/status_text.h"

#include <assert.h>
#include <stdlib.h>

/* A line on the object that is more than this ahead of our clock is not believed. */
#define MAX_AHEAD_MS INT64_C(300000)
#define SECOND_MS    1000
/* How long after it deliveries leave the caller's hint alone. */
#define HINT_GRACE_MS INT64_C(600000)

static const char *key_of(size_t type, enum buildconfig_fact fact)
{
	return buildconfig_status_keys[type * BUILDCONFIG_FACTS + fact];
}

static const char *hint_key(void)
{
	return buildconfig_status_keys[BUILDCONFIG_STATUS_KEYS - 1];
}

/* An empty one is left out. */
static void add(struct status *out, const char *key, struct str value, size_t max_bytes)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT(STATUS_URL_BYTES);
	assert(out->n < BUILDCONFIG_STATUS_KEYS);
	buf_put_clean(&b, value, max_bytes);
	if (b.len > 0)
		out->items[out->n++] = (struct status_annotation){key, buf_take(&b)};
}

static void add_text(struct status *out, const char *key, const struct buf *text)
{
	add(out, key, buf_str(text), STATUS_VALUE_BYTES);
}

/* A line that begins with a time we can believe, of an earlier process or another replica. */
struct held_line {
	const char *text; /* "" without */
	int64_t ms;       /* whole seconds; 0 without */
};

static struct held_line read_held(const struct buildconfig *bc, const char *key, int64_t now_ms)
{
	const char *text = buildconfig_status(bc, key);
	size_t time_bytes = str_find_char(str_of(text), ' ');
	int64_t ms = 0;
	if (!clock_parse_rfc3339(str_range(text, time_bytes), &ms) || ms > now_ms + MAX_AHEAD_MS)
		return (struct held_line){.text = ""};
	return (struct held_line){text, ms};
}

static int64_t whole_seconds(int64_t ms)
{
	return ms - ms % SECOND_MS;
}

/* The rule of the newest. */
static bool is_ours_newer(int64_t ours_ms, bool is_dirty, int64_t held_ms)
{
	int64_t ours = whole_seconds(ours_ms);
	return ours > held_ms || (ours == held_ms && ours > 0 && is_dirty);
}

static void add_line(struct status *out, const char *key, const struct held_line *held,
		     const struct status_hook *hook, int64_t ours_ms, const struct buf *ours)
{
	char time[CLOCK_TEXT_BYTES];
	CLEANUP(buf_release) struct buf line = BUF_INIT(STATUS_URL_BYTES);
	if (!is_ours_newer(ours_ms, hook->is_dirty, held->ms)) {
		add(out, key, str_of(held->text), STATUS_VALUE_BYTES);
		return;
	}
	clock_format_rfc3339(time, ours_ms, false);
	buf_printf(&line, "%s ", time);
	buf_put_str(&line, buf_str(ours));
	add_text(out, key, &line);
}

static void add_deliveries(struct status *out, const struct buildconfig *bc,
			   const struct status_input *input, size_t type)
{
	const struct status_hook *hook = &input->hooks[type];
	const char *last_key = key_of(type, BUILDCONFIG_FACT_LAST);
	const char *refused_key = key_of(type, BUILDCONFIG_FACT_REFUSED);
	struct held_line last = read_held(bc, last_key, input->now_ms);
	struct held_line refused = read_held(bc, refused_key, input->now_ms);
	CLEANUP(buf_release) struct buf text = BUF_INIT(STATUS_URL_BYTES);
	buf_put_str(&text, str_of(hook->last));
	add_line(out, last_key, &last, hook, hook->last_ms, &text);
	buf_clear(&text);
	status_put_refused(&text, hook);
	add_line(out, refused_key, &refused, hook, hook->refused_ms, &text);
}

static void add_hook(struct status *out, const struct buildconfig *bc,
		     const struct status_input *input, size_t type)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(STATUS_URL_BYTES);
	const char *state_key = key_of(type, BUILDCONFIG_FACT_STATE);
	bool is_known = status_put_state(&text, bc, input, type);
	if (!is_known)
		buf_put_str(&text, str_of(buildconfig_status(bc, state_key)));
	out->is_complete = out->is_complete && is_known;
	add_text(out, state_key, &text);
	buf_clear(&text);
	status_put_url(&text, bc, input->public_url, type);
	add(out, key_of(type, BUILDCONFIG_FACT_URL), buf_str(&text), STATUS_URL_BYTES);
	buf_clear(&text);
	status_put_secrets(&text, &bc->hooks[type]);
	add_text(out, key_of(type, BUILDCONFIG_FACT_SECRET), &text);
	add_deliveries(out, bc, input, type);
}

/* The newest deliveries, of this replica and on the object. */
struct newest {
	int64_t held_ms, ours_ms;
	bool is_dirty;
};

static struct newest find_newest(const struct buildconfig *bc, const struct status_input *input)
{
	struct newest newest = {0};
	for (size_t i = 0; i < HOOK_TYPES; i++) {
		const struct status_hook *hook = &input->hooks[i];
		struct held_line held =
			read_held(bc, key_of(i, BUILDCONFIG_FACT_LAST), input->now_ms);
		if (!bc->hooks[i].exists)
			continue;
		newest.held_ms = held.ms > newest.held_ms ? held.ms : newest.held_ms;
		if (hook->last_ms > newest.ours_ms) {
			newest.ours_ms = hook->last_ms;
			newest.is_dirty = hook->is_dirty;
		}
	}
	return newest;
}

/* Who moves to another address may have both called for a while. */
static bool is_hint_recent(const struct status_input *input, const struct newest *newest)
{
	int64_t since_ms = input->hint_ms + HINT_GRACE_MS;
	return newest->held_ms <= since_ms && newest->ours_ms <= since_ms;
}

/*
 * What is wrong with the object is known to every replica. What deliveries told is known to one:
 * others keep it, unless it is a complaint about the object that is no longer true.
 */
static void add_hint(struct status *out, const struct buildconfig *bc,
		     const struct status_input *input)
{
	struct str held = str_of(buildconfig_status(bc, hint_key()));
	struct newest newest = find_newest(bc, input);
	CLEANUP(buf_release) struct buf text = BUF_INIT(STATUS_URL_BYTES);
	if (status_is_outdated(held, bc))
		held = STR("");
	if (!status_put_fix(&text, bc, input)) {
		/* Where no other replica has seen a delivery later than all of ours it is ours to
		 * say. */
		if (is_ours_newer(newest.ours_ms, newest.is_dirty, newest.held_ms))
			status_put_hint(&text, bc, input);
		else
			buf_put_str(&text, held);
		if (text.len == 0 && is_hint_recent(input, &newest))
			buf_put_str(&text, str_of(input->hint));
	}
	add_text(out, hint_key(), &text);
}

void status_make(struct status *out, const struct buildconfig *bc, const struct status_input *input)
{
	bool has_hook = false;
	*out = (struct status){.is_complete = true};
	if (bc->is_ignored)
		return;
	for (size_t i = 0; i < HOOK_TYPES; i++) {
		has_hook = has_hook || bc->hooks[i].exists;
		if (bc->hooks[i].exists)
			add_hook(out, bc, input, i);
	}
	/* One without webhooks is no business of ours, unless it meant to have some. */
	if (has_hook || *bc->problem)
		add_hint(out, bc, input);
}

void status_release(struct status *status)
{
	for (size_t i = 0; i < status->n; i++)
		free(status->items[i].value);
	*status = (struct status){0};
}

static const char *value_of(const struct status *status, const char *key)
{
	for (size_t i = 0; i < status->n; i++)
		if (strcmp(status->items[i].key, key) == 0)
			return status->items[i].value;
	return NULL;
}

static const char *held_value(const struct buildconfig *bc, const char *key)
{
	for (size_t i = 0; i < bc->n_status; i++)
		if (strcmp(bc->status[i].key, key) == 0)
			return bc->status[i].value;
	return NULL;
}

enum status_change status_compare(const struct status *status, const struct buildconfig *bc)
{
	enum status_change change = STATUS_SAME;
	for (size_t i = 0; i < BUILDCONFIG_STATUS_KEYS; i++) {
		const char *key = buildconfig_status_keys[i];
		const char *wanted = value_of(status, key), *held = held_value(bc, key);
		bool is_refused = i % BUILDCONFIG_FACTS == BUILDCONFIG_FACT_REFUSED &&
				  i + 1 < BUILDCONFIG_STATUS_KEYS;
		if (wanted == held || (wanted && held && strcmp(wanted, held) == 0))
			continue;
		if (!is_refused)
			return STATUS_CHANGED;
		change = STATUS_REFUSED;
	}
	return change;
}

uint64_t status_fingerprint(const struct status *status, const struct buildconfig *bc)
{
	uint64_t sum = FNV_64_INIT;
	bool is_effective = false;
	for (size_t i = 0; i < BUILDCONFIG_STATUS_KEYS; i++) {
		const char *wanted = value_of(status, buildconfig_status_keys[i]);
		const char *held = held_value(bc, buildconfig_status_keys[i]);
		sum = fnv_64_text(fnv_64_text(sum, wanted), held);
		is_effective = is_effective || (wanted && (!held || strcmp(wanted, held) != 0));
	}
	/* An apply that does change the object may be needed again whenever somebody changes it
	 * back. */
	if (is_effective)
		sum = fnv_64_text(sum, bc->resource_version);
	return sum;
}

cJSON *status_document(const struct status *status, const struct buildconfig *bc)
{
	cJSON *doc = json_new_object();
	json_put_str(doc, "apiVersion", "build.openshift.io/v1");
	json_put_str(doc, "kind", "BuildConfig");
	cJSON *metadata = json_put_object(doc, "metadata");
	json_put_str(metadata, "name", bc->name);
	json_put_str(metadata, "namespace", bc->namespace_);
	json_put_str(metadata, "uid", bc->uid);
	cJSON *annotations = json_put_object(metadata, "annotations");
	for (size_t i = 0; i < status->n; i++)
		json_put_str(annotations, status->items[i].key, status->items[i].value);
	return doc;
}
