/* `buildhook status`: a table of webhooks, once or (-w) whenever something changes. */
#include "session.h"
#include "table.h"
#include "usage.h"
#include "view.h"

#include "base/clock.h"
#include "base/mem.h"
#include "buildconfig/status.h"
#include "net/loop.h"

#include <inttypes.h>
#include <stdio.h>

#define MAX_LINE_BYTES 4096
/* A burst of changes within this time is one refresh. */
#define REFRESH_MS 200

struct options {
	bool watch;
};

static const struct flag flags[] = {
	{"watch", FLAG_BOOL | FLAG_SHORT('w'), offsetof(struct options, watch), NULL,
	 "go on, and print each webhook again when it changes", NULL},
};
static const size_t n_flags = ARRAY_LEN(flags);

/* One run of the command. */
struct view {
	const struct invocation *in;
	struct session *session;
	struct table *table;
	bool is_wide, is_json;
	bool has_builds; /* the caller may list Builds */
	/* -w: */
	struct kube_informer *bcs, *builds;
	struct timer refresh;
	cJSON *shown; /* key/TYPE: the row as it was printed last */
};

static enum table_colour colour_of_state(const char *state)
{
	return status_read_state(state) == STATUS_READY ? TABLE_GOOD
	       : *state                                 ? TABLE_BAD
							: TABLE_WARN;
}

static enum table_colour colour_of_build(const cJSON *build)
{
	const char *phase = build ? view_phase(build) : "";

	if (strcmp(phase, "Complete") == 0)
		return TABLE_GOOD;
	if (strcmp(phase, "Failed") == 0 || strcmp(phase, "Error") == 0)
		return TABLE_BAD;
	return TABLE_PLAIN;
}

/* "Ready" or "NotReady": the remedy stands below the table. */
static struct str state_word(const char *state)
{
	struct str text = str_of(state);

	if (str_empty(text))
		return STR("Unknown");
	return str_range(text.p, strcspn(state, ":,"));
}

/* In the narrow table without the author: the outcome behind it would be cut off. */
static void put_last(struct buf *out, const struct view_hook *hook, int64_t now_ms, bool is_wide)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_LINE_BYTES);
	const char *last, *by, *arrow;

	view_put_last(&text, hook);
	last = buf_text(&text);
	by = is_wide ? NULL : strstr(last, " by ");
	arrow = by ? strstr(by, " -> ") : NULL;
	if (hook->last_ms > 0) {
		table_put_age(out, now_ms - hook->last_ms);
		buf_put_str(out, STR(" ago: "));
	}
	if (arrow)
		buf_printf(out, "%.*s%s", (int)(by - last), last, arrow);
	else
		buf_put_str(out, str_of(last));
	if (out->len == 0)
		buf_put_char(out, '-');
}

static void put_build(struct buf *out, const struct view_hook *hook, bool has_builds)
{
	if (hook->build)
		buf_printf(out, "%s %s", json_str_at(hook->build, "metadata/name"),
			   view_phase(hook->build));
	else
		buf_put_str(out, has_builds ? STR("-") : STR("?"));
}

static void put_row(struct view *v, const struct view_hook *hook)
{
	CLEANUP(buf_release) struct buf last = BUF_INIT(MAX_LINE_BYTES);
	CLEANUP(buf_release) struct buf build = BUF_INIT(MAX_LINE_BYTES);

	put_last(&last, hook, clock_wall_ms(session_clock(v->session)), v->is_wide);
	put_build(&build, hook, v->has_builds);
	if (v->in->shared.all_namespaces)
		table_put(v->table, str_of(hook->namespace_), TABLE_PLAIN);
	table_put(v->table, str_of(hook->name), TABLE_PLAIN);
	table_put(v->table, str_of(hook_type_name(hook->type)), TABLE_PLAIN);
	table_put(v->table,
		  v->is_wide && *hook->state ? str_of(hook->state) : state_word(hook->state),
		  colour_of_state(hook->state));
	table_put(v->table, buf_str(&last), TABLE_PLAIN);
	table_put(v->table, buf_str(&build), colour_of_build(hook->build));
	if (!v->is_wide)
		return;
	table_put(v->table, str_of(*hook->url ? hook->url : "-"), TABLE_PLAIN);
	table_put(v->table, str_of(*hook->secret ? hook->secret : "-"), TABLE_PLAIN);
	table_put(v->table, str_of(*hook->refused ? hook->refused : "-"), TABLE_PLAIN);
	table_put(v->table, str_of(*hook->hint ? hook->hint : "-"), TABLE_PLAIN);
}

/* Flags that make a command mean the namespace of HOOK: "" where it is the kubeconfig's. */
static void put_scope(struct buf *out, const struct view *v, const struct view_hook *hook)
{
	if (v->in->shared.all_namespaces || v->in->shared.namespace_)
		buf_printf(out, " -n %s", hook->namespace_);
}

/* A command at the end of TEXT stands on a line of its own, unwrapped, to be copied. */
static void print_note(const struct view *v, const struct view_hook *hook, const char *what,
		       const char *text)
{
	CLEANUP(buf_release) struct buf line = BUF_INIT(MAX_LINE_BYTES);
	CLEANUP(buf_release) struct buf out = BUF_INIT(2 * MAX_LINE_BYTES);
	const char *command = strstr(text, STATUS_COMMAND);
	struct str words = str_of(text);

	if (command)
		words.n = (size_t)(command - text) + 1;
	if (v->in->shared.all_namespaces)
		buf_printf(&line, "%s/", hook->namespace_);
	buf_printf(&line, "%s", hook->name);
	if (*what)
		buf_printf(&line, " %s", what);
	buf_put_str(&line, STR(": "));
	buf_put_clean(&line, words, 1024);
	usage_put_wrapped(&out, line.data, 2, 0);
	if (command) {
		buf_put_str(&out, STR("\n  "));
		buf_put_clean(&out, str_of(command + 2), 1024);
		put_scope(&out, v, hook);
	}
	printf("%s\n", out.data);
}

/*
 * True if the newest delivery came after the newest refused request: the host has the right secret.
 */
static bool is_accepted_since(const struct view_hook *hook)
{
	struct str refused_at, rest;
	int64_t refused_ms = 0;

	view_split_time(str_of(hook->refused), &refused_at, &rest);
	return clock_parse_rfc3339(refused_at, &refused_ms) &&
	       hook->last_ms / 1000 > refused_ms / 1000;
}

static void print_refused(const struct view *v, const struct view_hook *hook)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_LINE_BYTES);
	const char *type = hook_type_name(hook->type);
	/* Where it is not ready, the state says what to do. */
	bool says_state = status_read_state(hook->state) == STATUS_NOT_READY;
	char what[40];

	buf_put_str(&text, str_of(hook->refused));
	if (!says_state && is_accepted_since(hook)) {
		buf_put_str(&text, STR(". A later delivery was accepted"));
	} else if (!says_state) {
		buf_printf(&text,
			   ". If your Git host sent it, paste there what `%s url %s %s "
			   "--with-secret",
			   v->in->program, hook->name, type);
		put_scope(&text, v, hook);
		buf_put_str(&text, STR("` prints"));
	}
	(void)snprintf(what, sizeof(what), "%s refused", type);
	print_note(v, hook, what, buf_text(&text));
}

static bool is_same_buildconfig(const struct view_hook *a, const struct view_hook *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->namespace_, b->namespace_) == 0;
}

/* Below the table: what is wrong, and the hint, in full. */
static void print_notes(const struct view *v, const struct view_hook *hooks, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct view_hook *hook = &hooks[i];
		const char *type = hook_type_name(hook->type);

		if (strchr(hook->state, ' '))
			print_note(v, hook, type, hook->state);
		else if (!*hook->state)
			print_note(v, hook, type,
				   "buildhook has not looked at it: does it run, and watch this "
				   "namespace?");
		if (*hook->refused)
			print_refused(v, hook);
		/* The hint belongs to the BuildConfig, so it stands after the last of its hooks. */
		if (*hook->hint && (i + 1 == n || !is_same_buildconfig(hook, hook + 1)))
			print_note(v, hook, "hint", hook->hint);
	}
}

static void print_rows(struct view *v, const struct view_hook *hooks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put_row(v, &hooks[i]);
	table_print(v->table);
	if (!v->is_wide)
		print_notes(v, hooks, n);
	(void)fflush(stdout);
}

static void put_json(cJSON *items, const struct view_hook *hook)
{
	CLEANUP(buf_release) struct buf last = BUF_INIT(MAX_LINE_BYTES);
	cJSON *item = json_append(items, json_new_object());
	char at[CLOCK_TEXT_BYTES] = "";
	cJSON *build;

	json_put_str(item, "namespace", hook->namespace_);
	json_put_str(item, "name", hook->name);
	json_put_str(item, "type", hook_type_name(hook->type));
	json_put_str(item, "state", hook->state);
	json_put_str(item, "url", hook->url);
	json_put_str(item, "secret", hook->secret);
	view_put_last(&last, hook);
	if (hook->last_ms > 0)
		clock_format_rfc3339(at, hook->last_ms, false);
	json_put_str(item, "lastTime", at);
	json_put_text(item, "last", buf_str(&last));
	json_put_str(item, "refused", hook->refused);
	json_put_str(item, "hint", hook->hint);
	if (!hook->build)
		return;
	build = json_put_object(item, "build");
	json_put_str(build, "name", json_str_at(hook->build, "metadata/name"));
	json_put_str(build, "phase", view_phase(hook->build));
}

static struct table *new_table(const struct view *v)
{
	const char *heads[TABLE_MAX_COLUMNS] = {NULL};
	size_t n = 0;

	if (v->in->shared.all_namespaces)
		heads[n++] = "NAMESPACE";
	heads[n++] = "NAME";
	heads[n++] = "TYPE";
	heads[n++] = "STATE";
	heads[n++] = "LAST DELIVERY";
	heads[n++] = "BUILD";
	if (v->is_wide) {
		heads[n++] = "URL";
		heads[n++] = "SECRET";
		heads[n++] = "REFUSED";
		heads[n++] = "HINT";
	}
	return table_new(heads, v->in->shared.all_namespaces ? 4 : 3, v->is_wide);
}

static void put_path(struct buf *out, const struct view *v, const char *plural)
{
	buf_put_str(out, STR("/apis/build.openshift.io/v1/"));
	if (!v->in->shared.all_namespaces)
		buf_printf(out, "namespaces/%s/", session_namespace(v->session));
	buf_put_str(out, str_of(plural));
}

static bool is_meant(const struct view *v, const cJSON *bc)
{
	const char *name = json_str_at(bc, "metadata/name");

	return v->in->n_args == 0 || (name && strcmp(name, v->in->args[0]) == 0);
}

/* BUILDS are shown where the caller may read them; that is no error otherwise. */
static int list(struct view *v, struct session_answer *bcs, struct session_answer *builds,
		struct err *err)
{
	CLEANUP(buf_release) struct buf path = BUF_INIT(1024);
	struct err ignored = {0};

	put_path(&path, v, "buildconfigs");
	if (v->in->n_args > 0 && !v->in->shared.all_namespaces) {
		CLEANUP(session_answer_release) struct session_answer one = {0};

		if (session_get(v->session, &one, err, "%s/%s", path.data, v->in->args[0]) != 0) {
			if (err->code == ERR_NOTFOUND)
				session_suggest(v->session, "buildconfigs", v->in->args[0]);
			return err->code;
		}
	}
	if (session_get(v->session, bcs, err, "%s", path.data) != 0)
		return err->code;
	buf_clear(&path);
	put_path(&path, v, "builds");
	v->has_builds = session_get(v->session, builds, &ignored, "%s", path.data) == 0;
	return 0;
}

static void print_nothing(const struct view *v)
{
	const char *program = v->in->program;

	if (v->in->shared.all_namespaces)
		(void)fprintf(stderr, "No webhooks found.\n");
	else if (v->in->n_args > 0)
		(void)fprintf(stderr, "BuildConfig %s has no webhook trigger.\n", v->in->args[0]);
	else
		(void)fprintf(stderr, "No webhooks found in %s namespace.\n",
			      session_namespace(v->session));
	(void)fprintf(stderr, "%s add-trigger NAME TYPE adds one to a BuildConfig.\n", program);
}

static int print_once(struct view *v, struct err *err)
{
	CLEANUP(session_answer_release) struct session_answer bcs = {0}, builds = {0};
	CLEANUP(json_freep) cJSON *doc = json_new_object();
	CLEANUP(mem_free) struct view_hook *hooks = NULL;
	cJSON *items = json_put_array(doc, "items");
	const cJSON *bc = NULL;
	size_t n = 0;

	if (list(v, &bcs, &builds, err) != 0)
		return err->code;
	hooks = mem_new((size_t)cJSON_GetArraySize(json_member(bcs.doc, "items")) + 1,
			HOOK_TYPES * sizeof(*hooks));
	cJSON_ArrayForEach (bc, json_member(bcs.doc, "items"))
		if (is_meant(v, bc))
			n += view_hooks(hooks + n, bc, json_member(builds.doc, "items"));
	for (size_t i = 0; i < n && v->is_json; i++)
		put_json(items, &hooks[i]);
	if (v->is_json)
		session_print_json(doc);
	else if (n == 0)
		print_nothing(v);
	else
		print_rows(v, hooks, n);
	return 0;
}

/* -w: two informers; a row is printed when it has changed. */

static bool is_synced(struct kube_informer *informer)
{
	return kube_store_is_synced(kube_informer_store(informer));
}

static void add_doc(void *arg, const char *key, const void *object)
{
	(void)key;
	json_append(arg, json_copy(object));
}

/* True if HOOK is as it was printed last; notes it as printed. */
static bool is_shown(struct view *v, const struct view_hook *hook)
{
	CLEANUP(buf_release) struct buf key = BUF_INIT(1024);
	CLEANUP(buf_release) struct buf row = BUF_INIT(4 * MAX_LINE_BYTES);
	const cJSON *before;
	bool is_same;

	buf_printf(&key, "%s/%s/%s", hook->namespace_, hook->name, hook_type_name(hook->type));
	buf_printf(&row, "%s|%" PRId64 " ", hook->state, hook->last_ms / 1000);
	view_put_last(&row, hook);
	buf_printf(&row, "|%s|%s|", hook->refused, hook->hint);
	put_build(&row, hook, v->has_builds);
	before = json_member(v->shown, key.data);
	is_same = before && strcmp(before->valuestring, row.data) == 0;
	cJSON_DeleteItemFromObjectCaseSensitive(v->shown, key.data);
	json_put_text(v->shown, key.data, buf_str(&row));
	return is_same;
}

/* As kubectl -w: one document after the other. */
static void print_each_json(const struct view_hook *hooks, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		CLEANUP(json_freep) cJSON *list = json_new_array();

		put_json(list, &hooks[i]);
		session_print_json(list->child);
	}
}

static void on_refresh(void *arg)
{
	struct view *v = arg;
	CLEANUP(json_freep) cJSON *bcs = json_new_array();
	CLEANUP(json_freep) cJSON *builds = json_new_array();
	CLEANUP(mem_free) struct view_hook *changed = NULL;
	const cJSON *bc = NULL;
	size_t n_changed = 0;

	if (!is_synced(v->bcs) || (v->has_builds && !is_synced(v->builds)))
		return;
	kube_store_each(kube_informer_store(v->bcs), add_doc, bcs);
	if (v->has_builds)
		kube_store_each(kube_informer_store(v->builds), add_doc, builds);
	changed = mem_new((size_t)cJSON_GetArraySize(bcs) + 1, HOOK_TYPES * sizeof(*changed));
	cJSON_ArrayForEach (bc, bcs) {
		struct view_hook hooks[HOOK_TYPES];
		size_t n = is_meant(v, bc) ? view_hooks(hooks, bc, builds) : 0;

		for (size_t i = 0; i < n; i++)
			if (!is_shown(v, &hooks[i]))
				changed[n_changed++] = hooks[i];
	}
	if (v->is_json)
		print_each_json(changed, n_changed);
	else if (n_changed > 0)
		print_rows(v, changed, n_changed);
}

static void on_state(void *arg)
{
	struct view *v = arg;

	timer_start(session_clock(v->session), &v->refresh, REFRESH_MS, on_refresh, v);
}

static void on_object(void *arg, const char *key, const void *old, const void *new_)
{
	(void)key;
	(void)old;
	(void)new_;
	on_state(arg);
}

/* Runs until it is interrupted. A list before that shows whether the caller has the rights. */
static int watch(struct view *v, struct err *err)
{
	CLEANUP(session_answer_release) struct session_answer bcs = {0}, builds = {0};
	CLEANUP(json_freep) cJSON *shown = json_new_object();

	if (list(v, &bcs, &builds, err) != 0)
		return err->code;
	v->shown = shown;
	v->bcs = session_follow(v->session, "buildconfigs", on_object, on_state, v);
	if (v->has_builds)
		v->builds = session_follow(v->session, "builds", on_object, on_state, v);
	loop_run(session_loop(v->session));
	return 0;
}

static int run(const struct invocation *in)
{
	const struct options *options = in->options;
	CLEANUP(session_freep) struct session *session = NULL;
	CLEANUP(table_freep) struct table *table = NULL;
	struct view v = {.in = in};
	struct err err = {0};
	int code = session_open(&session, in, &err);

	if (code != 0)
		return session_fail(session, &err);
	v.session = session;
	v.is_wide = in->shared.output && strcmp(in->shared.output, "wide") == 0;
	v.is_json = in->shared.output && !v.is_wide;
	table = new_table(&v);
	v.table = table;
	code = options->watch ? watch(&v, &err) : print_once(&v, &err);
	timer_stop(session_clock(session), &v.refresh);
	kube_informer_free(v.bcs);
	kube_informer_free(v.builds);
	return code == 0 ? EXIT_OK : session_fail(session, &err);
}

const struct command command_status = {
	.name = "status",
	.args = "[NAME]",
	.summary = "show webhooks: state, last delivery, last build, hint",
	.about = "Shows the webhooks of the namespace, or of BuildConfig NAME: whether each is "
		 "ready, the newest "
		 "delivery and what came of it, the newest build that it started and its phase, "
		 "and below the "
		 "table what is wrong and what to do about it.\n\n"
		 "A build shows at once. buildhook writes the rest at most every 5 s "
		 "(--status-interval of serve), and requests that it refused once a minute.",
	.examples = "buildhook status\nbuildhook status cart -w\nbuildhook status -A -o wide",
	.max_args = 1,
	.arg_kinds = {ARG_BUILDCONFIG},
	.shared = FLAGS_CLUSTER | FLAGS_ALL | FLAGS_OUTPUT,
	.flags = flags,
	.n_flags = &n_flags,
	.options_size = sizeof(struct options),
	.run = run,
};
