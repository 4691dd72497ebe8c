/* Makes the status annotations of a BuildConfig, and compares them with those that it has. */
#include "buildconfig/status.h"

#include "base/clock.h"
#include "base/fnv.h"
#include "base/mem.h"
#include "buildconfig/hint.h"
#include "buildconfig/status_text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* A line on the object that is more than this ahead of our clock is not believed. */
#define MAX_AHEAD_MS INT64_C(300000)
#define SECOND_MS    1000
static const char *key_of(size_t type, enum buildconfig_fact fact)
{
	return buildconfig_status_keys[type * BUILDCONFIG_FACTS + fact];
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

/* A line on the object, of an earlier process or another replica, that begins with a believable
 * time. */
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

/* The newest line wins; within a second the one that was not written yet. */
static bool is_ours_newer(int64_t ours_ms, bool is_dirty, int64_t held_ms)
{
	int64_t ours = whole_seconds(ours_ms);
	return ours > held_ms || (ours == held_ms && ours > 0 && is_dirty);
}

/* Puts the newer of the object's line and this replica's. */
static void pick_line(struct buf *out, const struct held_line *held, bool is_dirty, int64_t ours_ms,
		      const char *ours)
{
	CLEANUP(buf_release) struct buf line = BUF_INIT(STATUS_URL_BYTES);
	char time[CLOCK_TEXT_BYTES];
	if (!is_ours_newer(ours_ms, is_dirty, held->ms)) {
		buf_put_clean(out, str_of(held->text), STATUS_VALUE_BYTES);
		return;
	}
	clock_format_rfc3339(time, ours_ms, false);
	buf_printf(&line, "%s %s", time, ours ? ours : "");
	buf_put_clean(out, buf_str(&line), STATUS_VALUE_BYTES);
}

/* The held line of a delivery that started a build may be that of the newest delivery. */
static struct held_line read_held_built(const struct buildconfig *bc, size_t type, int64_t now_ms)
{
	struct held_line built = read_held(bc, key_of(type, BUILDCONFIG_FACT_BUILT), now_ms);
	struct held_line last = read_held(bc, key_of(type, BUILDCONFIG_FACT_LAST), now_ms);
	return last.ms >= built.ms && status_is_build_line(bc, last.text) ? last : built;
}

static void add_deliveries(struct status *out, const struct buildconfig *bc,
			   const struct status_input *input, size_t type)
{
	const struct hook_activity *hook = &input->hooks[type].activity;
	struct held_line last = read_held(bc, key_of(type, BUILDCONFIG_FACT_LAST), input->now_ms);
	struct held_line built = read_held_built(bc, type, input->now_ms);
	struct held_line refused =
		read_held(bc, key_of(type, BUILDCONFIG_FACT_REFUSED), input->now_ms);
	CLEANUP(buf_release) struct buf last_text = BUF_INIT(STATUS_URL_BYTES);
	CLEANUP(buf_release) struct buf text = BUF_INIT(STATUS_URL_BYTES);
	CLEANUP(buf_release) struct buf why = BUF_INIT(STATUS_URL_BYTES);

	pick_line(&last_text, &last, hook->is_dirty, hook->last_ms, hook->last);
	add_text(out, key_of(type, BUILDCONFIG_FACT_LAST), &last_text);
	pick_line(&text, &built, hook->is_dirty, hook->built_ms, hook->built);
	if (!str_eq(buf_str(&text), buf_str(&last_text)))
		add_text(out, key_of(type, BUILDCONFIG_FACT_BUILT), &text);
	buf_clear(&text);
	status_put_refused(&why, hook);
	pick_line(&text, &refused, hook->is_dirty, hook->refused_ms, why.data);
	add_text(out, key_of(type, BUILDCONFIG_FACT_REFUSED), &text);
}

static void add_hook(struct status *out, const struct buildconfig *bc,
		     const struct status_input *input, size_t type)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(STATUS_URL_BYTES);
	const char *state_key = key_of(type, BUILDCONFIG_FACT_STATE);
	const char *held = buildconfig_status(bc, state_key);
	enum status_state state = status_put_state(&text, bc, input, type);
	if (state == STATUS_NO_STATE) {
		buf_put_str(&text, str_of(held));
		state = status_read_state(held);
		out->is_complete = false;
	}
	out->states[type] = state;
	add_text(out, state_key, &text);
	buf_clear(&text);
	status_put_url(&text, bc, input->public_url, type);
	add(out, key_of(type, BUILDCONFIG_FACT_URL), buf_str(&text), STATUS_URL_BYTES);
	buf_clear(&text);
	status_put_secrets(&text, &bc->hooks[type]);
	add_text(out, key_of(type, BUILDCONFIG_FACT_SECRET), &text);
	add_deliveries(out, bc, input, type);
}

/* Finds the newest deliveries that this replica and the object know. */
static struct status_newest find_newest(const struct buildconfig *bc,
					const struct status_input *input)
{
	static const struct status_hook nothing = {0};
	struct status_newest newest = {.hook = &nothing};
	for (size_t i = 0; i < HOOK_TYPES; i++) {
		const struct hook_activity *hook = &input->hooks[i].activity;
		struct held_line held =
			read_held(bc, key_of(i, BUILDCONFIG_FACT_LAST), input->now_ms);
		if (!bc->hooks[i].exists)
			continue;
		newest.held_ms = held.ms > newest.held_ms ? held.ms : newest.held_ms;
		newest.has_built = newest.has_built || hook->built_ms > 0 ||
				   read_held_built(bc, i, input->now_ms).ms > 0;
		if (hook->last_ms > newest.ours_ms) {
			newest.ours_ms = hook->last_ms;
			newest.hook = &input->hooks[i];
			newest.type = i;
		}
	}
	newest.is_ours =
		is_ours_newer(newest.ours_ms, newest.hook->activity.is_dirty, newest.held_ms);
	return newest;
}

static void add_hint(struct status *out, const struct buildconfig *bc,
		     const struct status_input *input)
{
	const char *key = buildconfig_status_keys[BUILDCONFIG_KEY_HINT];
	const struct status_newest newest = find_newest(bc, input);
	CLEANUP(buf_release) struct buf text = BUF_INIT(STATUS_URL_BYTES);
	hint_put(&text, bc, input, &newest, str_of(buildconfig_status(bc, key)));
	add_text(out, key, &text);
}

struct recent {
	struct recent_line {
		int64_t ms; /* whole seconds */
		char text[STATUS_VALUE_BYTES + 1];
	} lines[STATUS_RECENT_LINES];
	size_t n;
};

/* Newest first; within a second by their text, so that all replicas have the same order. */
static bool is_before(const struct recent_line *a, const struct recent_line *b)
{
	return a->ms != b->ms ? a->ms > b->ms : strcmp(a->text, b->text) < 0;
}

static struct str outcome_key(const char *line)
{
	struct str text = str_of(line);
	size_t time_bytes = str_find_char(text, ' ') + 1;
	if (time_bytes > text.n)
		return text;
	text = str_range(text.p + time_bytes, text.n - time_bytes);
	return str_range(text.p, activity_key_bytes(text));
}

static void put_recent_line(struct recent *recent, int64_t ms, struct str text)
{
	CLEANUP(buf_release) struct buf clean = BUF_INIT(STATUS_URL_BYTES);
	struct recent_line line = {.ms = whole_seconds(ms)};
	size_t at = 0;
	buf_put_clean(&clean, text, STATUS_VALUE_BYTES);
	(void)snprintf(line.text, sizeof(line.text), "%s", buf_text(&clean));
	for (size_t i = 0; i < recent->n; i++) {
		if (!str_eq(outcome_key(recent->lines[i].text), outcome_key(line.text)))
			continue;
		if (is_before(&recent->lines[i], &line))
			return;
		recent->n--;
		memmove(&recent->lines[i], &recent->lines[i + 1], (recent->n - i) * sizeof(line));
		break;
	}
	while (at < recent->n && is_before(&recent->lines[at], &line))
		at++;
	if (at == STATUS_RECENT_LINES)
		return;
	if (recent->n == STATUS_RECENT_LINES)
		recent->n--;
	memmove(&recent->lines[at + 1], &recent->lines[at], (recent->n - at) * sizeof(line));
	recent->lines[at] = line;
	recent->n++;
}

/* Merges the lines that the object holds, of whichever replica, with this replica's. */
static void add_recent(struct status *out, const struct buildconfig *bc,
		       const struct status_input *input)
{
	const char *key = buildconfig_status_keys[BUILDCONFIG_KEY_RECENT];
	struct str rest = str_of(buildconfig_status(bc, key)), part;
	CLEANUP(buf_release) struct buf value = BUF_INIT(STATUS_RECENT_BYTES);
	struct recent recent = {0};
	while (str_next_part(&rest, '\n', &part)) {
		int64_t ms = 0;
		if (clock_parse_rfc3339(str_range(part.p, str_find_char(part, ' ')), &ms) &&
		    ms <= input->now_ms + MAX_AHEAD_MS)
			put_recent_line(&recent, ms, part);
	}
	for (size_t i = 0; i < input->n_unbuilt; i++) {
		CLEANUP(buf_release) struct buf line = BUF_INIT(STATUS_URL_BYTES);
		char time[CLOCK_TEXT_BYTES];
		clock_format_rfc3339(time, input->unbuilt[i].ms, false);
		buf_printf(&line, "%s %s", time, input->unbuilt[i].text);
		put_recent_line(&recent, input->unbuilt[i].ms, buf_str(&line));
	}
	for (size_t i = 0; i < recent.n; i++)
		buf_printf(&value, "%s%s", i ? "\n" : "", recent.lines[i].text);
	if (value.len > 0)
		out->items[out->n++] = (struct status_annotation){key, buf_take(&value)};
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
	/* A BuildConfig without webhooks gets no annotations, unless its triggers have a problem or
	 * it waits for image streams that this cluster does not have. */
	if (has_hook)
		add_recent(out, bc, input);
	if (has_hook || *bc->problem || (bc->has_image_change && input->has_no_image_streams))
		add_hint(out, bc, input);
}

void status_release(struct status *status)
{
	for (size_t i = 0; i < status->n; i++)
		free(status->items[i].value);
	*status = (struct status){0};
}

/* The index of KEY's item; status->n where the object should not hold KEY. */
static size_t find_item(const struct status *status, const char *key)
{
	size_t i = 0;

	while (i < status->n && strcmp(status->items[i].key, key) != 0)
		i++;
	return i;
}

static const char *value_of(const struct status *status, const char *key)
{
	size_t i = find_item(status, key);

	return i < status->n ? status->items[i].value : NULL;
}

const char *status_state_text(const struct status *status, enum hook_type type)
{
	const char *value = value_of(status, key_of(type, BUILDCONFIG_FACT_STATE));

	return value ? value : "";
}

unsigned status_compare(const struct status *status, const struct buildconfig *bc)
{
	unsigned change = STATUS_SAME;
	for (size_t i = 0; i < BUILDCONFIG_STATUS_KEYS; i++) {
		const char *key = buildconfig_status_keys[i];
		const char *wanted = value_of(status, key),
			   *held = buildconfig_find_status(bc, key);
		if (wanted == held || (wanted && held && strcmp(wanted, held) == 0))
			continue;
		if (i == BUILDCONFIG_KEY_RECENT)
			change |= STATUS_RECENT;
		else if (i < BUILDCONFIG_KEY_RECENT &&
			 i % BUILDCONFIG_FACTS == BUILDCONFIG_FACT_REFUSED)
			change |= STATUS_REFUSED;
		else
			change |= STATUS_CHANGED;
	}
	return change;
}

/* How a state describes starts that wait, from harmless to worst. */
enum start_trouble {
	START_FREE,
	START_WAITS,
	START_REFUSED,
	START_UNKNOWN, /* the hook itself does not work */
};

static enum start_trouble read_trouble(const char *state)
{
	if (!state)
		return START_FREE;
	if (status_read_state(state) != STATUS_NOT_READY)
		return status_says_waiting(state) ? START_WAITS : START_FREE;
	return status_says_secret(state) ? START_UNKNOWN : START_REFUSED;
}

/* The held state of this hook says more of a start than OURS, which differs. */
static bool is_held_worse(const struct buildconfig *bc, const char *key, const char *ours)
{
	const char *held = buildconfig_status(bc, key);
	enum start_trouble trouble = read_trouble(held);

	return (trouble == START_WAITS || trouble == START_REFUSED) && ours &&
	       read_trouble(ours) <= trouble && strcmp(held, ours) != 0;
}

bool status_is_milder(const struct status *status, const struct buildconfig *bc)
{
	for (size_t type = 0; type < HOOK_TYPES; type++) {
		const char *key = key_of(type, BUILDCONFIG_FACT_STATE);

		if (is_held_worse(bc, key, value_of(status, key)))
			return true;
	}
	return false;
}

void status_keep_trouble(struct status *status, const struct buildconfig *bc)
{
	for (size_t type = 0; type < HOOK_TYPES; type++) {
		const char *key = key_of(type, BUILDCONFIG_FACT_STATE);
		char **value = NULL;

		if (!is_held_worse(bc, key, value_of(status, key)))
			continue;
		value = &status->items[find_item(status, key)].value;
		free(*value);
		*value = mem_strdup(buildconfig_status(bc, key));
		status->states[type] = status_read_state(*value);
	}
}

uint64_t status_trouble(const struct status *status, const struct buildconfig *bc)
{
	uint64_t sum = FNV_64_INIT;
	for (size_t type = 0; type < HOOK_TYPES; type++) {
		const char *key = key_of(type, BUILDCONFIG_FACT_STATE);
		const char *state =
			status ? value_of(status, key) : buildconfig_find_status(bc, key);
		sum = fnv_64_text(sum, read_trouble(state) == START_FREE ? NULL : state);
	}
	return sum;
}

uint64_t status_fingerprint(const struct status *status, const struct buildconfig *bc)
{
	uint64_t sum = FNV_64_INIT;
	bool is_effective = false;
	for (size_t i = 0; i < BUILDCONFIG_STATUS_KEYS; i++) {
		const char *wanted = value_of(status, buildconfig_status_keys[i]);
		const char *held = buildconfig_find_status(bc, buildconfig_status_keys[i]);
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
