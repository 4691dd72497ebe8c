/* `buildhook deliveries`: the journal's newest rows, read from its file. For admins, beside a
 * `serve`. */
#include "command.h"
#include "session.h"
#include "table.h"

#include "base/clock.h"
#include "base/mem.h"
#include "journal/journal.h"

#include <stdio.h>

#define MAX_LINE_BYTES 2048

struct options {
	const char *data_dir;
	uint64_t limit;
};

static const struct flag flags[] = {
	{"data-dir", FLAG_STRING, offsetof(struct options, data_dir), "DIR",
	 "the journal's folder (default /var/lib/buildhook)", NULL},
	{"limit", FLAG_COUNT, offsetof(struct options, limit), "N",
	 "print at most N deliveries (default 50)", NULL},
};
static const size_t n_flags = ARRAY_LEN(flags);

static void init(void *options)
{
	*(struct options *)options =
		(struct options){.data_dir = "/var/lib/buildhook", .limit = 50};
}

struct output {
	struct table *table;
	cJSON *items;
	bool is_wide;
};

static enum table_colour colour_of(enum journal_state state)
{
	switch (state) {
	case JOURNAL_STARTED:
		return TABLE_GOOD;
	case JOURNAL_FAILED:
		return TABLE_BAD;
	case JOURNAL_ACCEPTED:
	case JOURNAL_STARTING:
		return TABLE_WARN;
	default:
		return TABLE_PLAIN;
	}
}

static void put_json(cJSON *items, const struct journal_change *change, const char *at)
{
	cJSON *item = json_append(items, json_new_object());

	json_put_str(item, "time", at);
	json_put_str(item, "state", journal_state_name(change->state));
	json_put_str(item, "namespace", change->namespace_);
	json_put_str(item, "name", change->name);
	json_put_str(item, "type", change->type);
	json_put_str(item, "provider", change->host);
	json_put_str(item, "delivery", change->delivery_id);
	json_put_str(item, "ref", change->ref);
	json_put_str(item, "commit", change->commit);
	json_put_str(item, "pusher", change->pusher);
	json_put_str(item, "build", change->build);
	json_put_str(item, "reason", change->reason);
	json_put_int(item, "attempts", change->attempts);
}

static void on_change(void *arg, const struct journal_change *change)
{
	struct output *out = arg;
	CLEANUP(buf_release) struct buf what = BUF_INIT(MAX_LINE_BYTES);
	struct str branch = str_without_prefix(str_of(change->ref), STR("refs/heads/"));
	const char *result = *change->build ? change->build : change->reason;
	char at[CLOCK_TEXT_BYTES];

	clock_format_rfc3339(at, change->accepted_ms, false);
	if (out->items) {
		put_json(out->items, change, at);
		return;
	}
	buf_printf(&what, "%.*s %.7s", STR_ARG(branch), change->commit);
	table_put(out->table, str_of(at), TABLE_PLAIN);
	table_putf(out->table, TABLE_PLAIN, "%s/%s", change->namespace_, change->name);
	table_put(out->table, str_of(journal_state_name(change->state)), colour_of(change->state));
	table_put(out->table, buf_str(&what), TABLE_PLAIN);
	table_put(out->table, str_of(result), TABLE_PLAIN);
	if (!out->is_wide)
		return;
	table_put(out->table, str_of(change->host), TABLE_PLAIN);
	table_put(out->table, str_of(change->delivery_id), TABLE_PLAIN);
	table_putf(out->table, TABLE_PLAIN, "%d", change->attempts);
}

static int run(const struct invocation *in)
{
	static const char *const narrow[] = {"ACCEPTED", "BUILDCONFIG", "STATE",
					     "REF",      "RESULT",      NULL};
	static const char *const wide[] = {"ACCEPTED", "BUILDCONFIG", "STATE",    "REF", "RESULT",
					   "PROVIDER", "DELIVERY",    "ATTEMPTS", NULL};
	const struct options *options = in->options;
	bool is_wide = in->shared.output && strcmp(in->shared.output, "wide") == 0;
	CLEANUP(table_freep) struct table *table = table_new(is_wide ? wide : narrow, 4, is_wide);
	CLEANUP(json_freep) cJSON *doc = json_new_object();
	struct output out = {.table = table, .is_wide = is_wide};
	struct err err = {0};

	if (in->shared.output && !is_wide)
		out.items = json_put_array(doc, "items");
	if (journal_read_file(options->data_dir, options->limit, on_change, &out, &err) != 0) {
		(void)command_fail(&err);
		if (err.code == ERR_NOTFOUND)
			(void)fputs("It is where `serve` runs: kubectl exec -n buildhook "
				    "buildhook-0 -- "
				    "buildhook deliveries; --data-dir names another folder.\n",
				    stderr);
		return EXIT_FAILED;
	}
	if (out.items)
		session_print_json(doc);
	else if (table_rows(table) > 0)
		table_print(table);
	else
		(void)fputs("No deliveries are in the journal.\n", stderr);
	return EXIT_OK;
}

const struct command command_deliveries = {
	.name = "deliveries",
	.args = "",
	.summary = "list the journal's newest deliveries (for admins)",
	.about = "Lists the newest deliveries that were to build, from the journal's file: what "
		 "was accepted, what "
		 "waits, what was started and what failed. It asks no cluster, and may run beside "
		 "`serve`: kubectl "
		 "exec -n buildhook buildhook-0 -- buildhook deliveries.",
	.examples = "buildhook deliveries --data-dir /var/lib/buildhook -o wide",
	.shared = FLAGS_OUTPUT,
	.flags = flags,
	.n_flags = &n_flags,
	.options_size = sizeof(struct options),
	.init = init,
	.run = run,
};
