/*
 * `buildhook history`: what happened to a BuildConfig, newest first. No object keeps all of it:
 * Builds show what was built, annotations what was not, Events the rest; so the output also says
 * since when it is complete.
 */
#include "table.h"
#include "target.h"
#include "usage.h"
#include "view.h"

#include "base/clock.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define API            "/apis/build.openshift.io/v1/namespaces/%s"
#define MAX_TEXT_BYTES 2048
#define MAX_RECENT     10

struct options {
	uint64_t limit;
};

static const struct flag flags[] = {
	{"limit", FLAG_COUNT, offsetof(struct options, limit), "N",
	 "print at most N entries (default 20; 0: all)", NULL},
};
static const size_t n_flags = ARRAY_LEN(flags);

static void init(void *options)
{
	((struct options *)options)->limit = 20;
}

enum kind { KIND_BUILD, KIND_UNBUILT, KIND_EVENT };

struct entry {
	int64_t ms; /* wall clock */
	enum kind kind;
	enum table_colour colour;
	char *text;
	const cJSON *build; /* KIND_BUILD */
	int64_t number;     /* of the build */
	size_t order;       /* order in which the entries were found, for equal times */
};

struct entries {
	struct entry *list;
	size_t n, cap;
};

static void release_entries(struct entries *entries)
{
	for (size_t i = 0; i < entries->n; i++)
		mem_free(&entries->list[i].text);
	mem_free(&entries->list);
	entries->n = 0;
}

static struct entry *add(struct entries *entries, int64_t ms, enum kind kind, struct str text)
{
	CLEANUP(buf_release) struct buf clean = BUF_INIT(MAX_TEXT_BYTES);
	struct entry *entry;

	if (entries->n == entries->cap) {
		entries->cap = entries->cap ? 2 * entries->cap : 32;
		entries->list = mem_resize(entries->list, entries->cap, sizeof(*entries->list));
	}
	buf_put_clean(&clean, text, MAX_TEXT_BYTES - 8);
	entry = &entries->list[entries->n];
	*entry = (struct entry){
		.ms = ms, .kind = kind, .text = buf_take(&clean), .order = entries->n};
	entries->n++;
	return entry;
}

static bool has(const struct entries *entries, int64_t ms, struct str text)
{
	for (size_t i = 0; i < entries->n; i++)
		if (entries->list[i].ms == ms && str_eq(str_of(entries->list[i].text), text))
			return true;
	return false;
}

static const char *text_at(const cJSON *doc, const char *path)
{
	const char *text = json_str_at(doc, path);

	return text ? text : "";
}

/* "github push main 3f2a1b0 by Alice -> cart-7 Complete (2m10s)" */
static void add_build(struct entries *entries, const cJSON *build, int64_t now_ms)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_TEXT_BYTES);
	const char *provider = view_annotation(build, "buildhook.io/provider");
	const char *cause = text_at(build, "spec/triggeredBy/0/message");
	const char *message = text_at(build, "status/message");
	int64_t accepted = view_accepted_ms(build);
	int64_t duration = view_duration_ms(build, now_ms);
	struct entry *entry;

	buf_put_str(&text, str_of(*provider ? provider : *cause ? cause : "started"));
	buf_put_char(&text, ' ');
	view_put_build(&text, build);
	buf_printf(&text, " %s", view_phase(build));
	if (duration >= 0) {
		buf_put_str(&text, STR(" ("));
		table_put_age(&text, duration);
		buf_put_char(&text, ')');
	}
	if (*message && strcmp(view_phase(build), "Complete") != 0)
		buf_printf(&text, ": %s", message);
	entry = add(entries,
		    accepted ? accepted : view_time(text_at(build, "metadata/creationTimestamp")),
		    KIND_BUILD, buf_str(&text));
	entry->build = build;
	entry->number = view_build_number(build);
	if (strcmp(view_phase(build), "Complete") == 0)
		entry->colour = TABLE_GOOD;
	else if (view_is_over(build))
		entry->colour = TABLE_BAD;
}

/* "2026-...Z push wip 9e0d4c2 by bob -> ignored: RefMismatch, ..." */
static bool add_line(struct entries *entries, const char *before, struct str line)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_TEXT_BYTES);
	struct str at, rest;
	int64_t ms = 0;

	view_split_time(line, &at, &rest);
	if (!clock_parse_rfc3339(at, &ms))
		return false;
	buf_printf(&text, "%s%.*s", before, STR_ARG(rest));
	if (!has(entries, ms, buf_str(&text)))
		add(entries, ms, KIND_UNBUILT, buf_str(&text))->colour = TABLE_WARN;
	return true;
}

/* Adds deliveries that built nothing: the newest of each hook, and buildhook.io/recent. Returns
 * since when they are known. */
static int64_t add_unbuilt(struct entries *entries, const struct target *target)
{
	struct str rest = str_of(target_annotation(target, "buildhook.io/recent")), line;
	int64_t since = view_time(text_at(target->answer.doc, "metadata/creationTimestamp"));
	size_t n = 0;

	while (str_next_part(&rest, '\n', &line))
		n += add_line(entries, "", line);
	/* A full list has lost older ones. */
	if (n >= MAX_RECENT)
		since = entries->list[entries->n - 1].ms;
	for (size_t i = 0; i < HOOK_TYPES && n == 0; i++) {
		const char *last = target_fact(target, (enum hook_type)i, "last");
		const char *refused = target_fact(target, (enum hook_type)i, "refused");
		char before[40];

		(void)snprintf(before, sizeof(before),
			       "%s refused: ", hook_type_name((enum hook_type)i));
		if (strstr(last, "-> ignored") || strstr(last, "-> failed"))
			(void)add_line(entries, "", str_of(last));
		if (*refused)
			(void)add_line(entries, before, str_of(refused));
	}
	return since;
}

static int64_t event_time(const cJSON *event)
{
	static const char *const paths[] = {"series/lastObservedTime", "lastTimestamp", "eventTime",
					    "metadata/creationTimestamp"};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (view_time(text_at(event, paths[i])) > 0)
			return view_time(text_at(event, paths[i]));
	return 0;
}

/* Adds Events, without those about deliveries that Builds and annotations show better. */
static void add_events(struct entries *entries, const cJSON *events, int64_t unbuilt_since)
{
	static const char *const told[] = {"BuildTriggered", "WebhookIgnored", "WebhookRefused"};
	const cJSON *event = NULL;

	cJSON_ArrayForEach (event, events) {
		CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_TEXT_BYTES);
		const char *reason = text_at(event, "reason");
		int64_t n = json_int_at(event, "series/count", json_int_at(event, "count", 1));
		int64_t ms = event_time(event);
		bool is_told = strcmp(reason, told[0]) == 0 ||
			       (ms >= unbuilt_since &&
				(strcmp(reason, told[1]) == 0 || strcmp(reason, told[2]) == 0));

		if (is_told)
			continue;
		buf_printf(&text, "%s: %s", reason, text_at(event, "message"));
		if (n > 1)
			buf_printf(&text, " (%" PRId64 " times)", n);
		add(entries, ms, KIND_EVENT, buf_str(&text))->colour =
			strcmp(text_at(event, "type"), "Warning") == 0 ? TABLE_WARN : TABLE_FAINT;
	}
}

/* Most times have whole seconds: within one, Builds come first, the newest before the others. */
static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int64_t x_key[] = {-x->ms / 1000, x->kind, -x->number, -x->ms, (int64_t)x->order};
	int64_t y_key[] = {-y->ms / 1000, y->kind, -y->number, -y->ms, (int64_t)y->order};

	for (size_t i = 0; i < ARRAY_LEN(x_key); i++)
		if (x_key[i] != y_key[i])
			return x_key[i] < y_key[i] ? -1 : 1;
	return 0;
}

static void print_entry(const struct entry *entry, int64_t now_ms, bool is_wide)
{
	CLEANUP(buf_release) struct buf line = BUF_INIT(2 * MAX_TEXT_BYTES);
	const char *delivery;
	char at[CLOCK_TEXT_BYTES];

	if (is_wide) {
		clock_format_rfc3339(at, entry->ms, false);
		delivery = entry->build ? view_annotation(entry->build, "buildhook.io/delivery-id")
					: "";
		buf_put_clean(&line, str_of(delivery), MAX_TEXT_BYTES);
		printf("%s  %s%s%s%s%s\n", at, table_colour_start(entry->colour), entry->text,
		       table_colour_end(), *delivery ? ", delivery " : "", buf_text(&line));
		return;
	}
	table_put_age(&line, now_ms - entry->ms);
	while (line.len < 8)
		buf_put_char(&line, ' ');
	buf_put_str(&line, str_of(table_colour_start(entry->colour)));
	usage_put_wrapped(&line, entry->text, 8, 8);
	printf("%s%s\n", line.data, table_colour_end());
}

static void put_json(cJSON *items, const struct entry *entry)
{
	static const char *const kinds[] = {"build", "unbuilt", "event"};
	cJSON *item = json_append(items, json_new_object());
	char at[CLOCK_TEXT_BYTES];

	clock_format_rfc3339(at, entry->ms, false);
	json_put_str(item, "time", at);
	json_put_str(item, "kind", kinds[entry->kind]);
	json_put_str(item, "text", entry->text);
	if (!entry->build)
		return;
	json_put_str(item, "build", text_at(entry->build, "metadata/name"));
	json_put_str(item, "phase", view_phase(entry->build));
	json_put_str(item, "ref", view_annotation(entry->build, "buildhook.io/ref"));
	json_put_str(item, "commit", text_at(entry->build, "spec/revision/git/commit"));
	json_put_str(item, "delivery", view_annotation(entry->build, "buildhook.io/delivery-id"));
}

static void print_since(const struct entries *entries, int64_t unbuilt_since, bool has_builds,
			bool has_events)
{
	int64_t first_build = 0;
	char at[CLOCK_TEXT_BYTES];

	for (size_t i = 0; i < entries->n; i++)
		if (entries->list[i].kind == KIND_BUILD)
			first_build = entries->list[i].ms;
	if (first_build) {
		clock_format_rfc3339(at, first_build, false);
		printf("Builds are known from %s on, deliveries that built nothing\nfrom ", at);
	} else {
		printf("%s; deliveries that built nothing are known\nfrom ",
		       has_builds ? "There are no builds" : "You may not list builds");
	}
	clock_format_rfc3339(at, unbuilt_since, false);
	printf("%s on%s.\n", at,
	       has_events ? "; Events are kept for about an hour" : "; you may not list Events");
}

static int show(const struct invocation *in, struct session *session, struct err *err)
{
	const struct options *options = in->options;
	CLEANUP(target_release) struct target target = {0};
	CLEANUP(session_answer_release) struct session_answer builds = {0}, events = {0};
	CLEANUP(release_entries) struct entries entries = {0};
	CLEANUP(json_freep) cJSON *doc = json_new_object();
	int64_t now_ms = clock_wall_ms(session_clock(session)), since;
	bool is_wide = in->shared.output && strcmp(in->shared.output, "wide") == 0;
	bool is_json = in->shared.output && !is_wide, has_builds, has_events;
	cJSON *items = json_put_array(doc, "items");
	const cJSON *build = NULL;
	struct err ignored = {0};
	size_t n;

	if (target_read(&target, session, in->args[0], err) != 0)
		return err->code;
	has_builds = session_get(session, &builds, &ignored, API "/builds",
				 session_namespace(session)) == 0;
	has_events =
		session_get(session, &events, &ignored,
			    "/api/v1/namespaces/%s/events?fieldSelector=involvedObject.uid%%3D%s",
			    session_namespace(session), target.bc->uid) == 0;
	since = add_unbuilt(&entries, &target);
	cJSON_ArrayForEach (build, json_member(builds.doc, "items"))
		if (view_is_build_of(build, target.bc->name))
			add_build(&entries, build, now_ms);
	add_events(&entries, json_member(events.doc, "items"), since);
	if (entries.n > 0)
		qsort(entries.list, entries.n, sizeof(*entries.list), compare);
	n = options->limit && options->limit < entries.n ? options->limit : entries.n;
	for (size_t i = 0; i < n; i++) {
		if (is_json)
			put_json(items, &entries.list[i]);
		else
			print_entry(&entries.list[i], now_ms, is_wide);
	}
	if (is_json) {
		session_print_json(doc);
		return 0;
	}
	if (entries.n == 0)
		printf("Nothing has happened yet.\n");
	if (n < entries.n)
		printf("... and %zu older ones (--limit 0 prints all).\n", entries.n - n);
	print_since(&entries, since, has_builds, has_events);
	return 0;
}

static int run(const struct invocation *in)
{
	CLEANUP(session_freep) struct session *session = NULL;
	struct err err = {0};

	if (session_open(&session, in, &err) != 0 || show(in, session, &err) != 0)
		return session_fail(session, &err);
	return EXIT_OK;
}

const struct command command_history = {
	.name = "history",
	.args = "NAME",
	.summary = "tell what happened to a BuildConfig, newest first",
	.about = "Tells what happened to BuildConfig NAME, newest first: the builds that "
		 "deliveries started, with "
		 "phase and duration, the deliveries that were ignored or refused, and why, and "
		 "from when on it "
		 "knows. It reads Builds, annotations and Events.",
	.examples = "buildhook history cart\nbuildhook history cart -o wide --limit 0",
	.min_args = 1,
	.max_args = 1,
	.arg_kinds = {ARG_BUILDCONFIG},
	.shared = FLAGS_CLUSTER | FLAGS_OUTPUT,
	.flags = flags,
	.n_flags = &n_flags,
	.options_size = sizeof(struct options),
	.init = init,
	.run = run,
};
