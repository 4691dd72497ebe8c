/*
 * Rendering. Pages are readable without the script, which only adds Copy buttons and replaces the
 * element "live" when something changed.
 */
#include "ui_page.h"

#include "table.h"

#include "base/clock.h"
#include "base/mem.h"
#include "buildconfig/status.h"

#include <stdio.h>

#define MAX_TEXT_BYTES   4096
#define MAX_OUTPUT_BYTES ((size_t)256 * 1024)
#define MAX_HAPPENINGS   50

/* Text from outside, for content and for quoted attributes. */
static void put_text(struct buf *out, struct str s)
{
	CLEANUP(buf_wipe) struct buf clean = BUF_INIT(MAX_OUTPUT_BYTES);

	buf_put_clean(&clean, s, MAX_TEXT_BYTES);
	for (size_t i = 0; i < clean.len; i++) {
		switch (clean.data[i]) {
		case '&':
			buf_put_str(out, STR("&amp;"));
			break;
		case '<':
			buf_put_str(out, STR("&lt;"));
			break;
		case '>':
			buf_put_str(out, STR("&gt;"));
			break;
		case '"':
			buf_put_str(out, STR("&quot;"));
			break;
		case '\'':
			buf_put_str(out, STR("&#39;"));
			break;
		default:
			buf_put_char(out, clean.data[i]);
		}
	}
}

static void put_z(struct buf *out, const char *s)
{
	put_text(out, str_of(s));
}

static void put(struct buf *out, const char *html)
{
	buf_put_str(out, str_of(html));
}

static const char *text_at(const cJSON *doc, const char *path)
{
	const char *text = json_str_at(doc, path);

	return text ? text : "";
}

static void put_age(struct buf *out, const struct ui_page *page, int64_t at_ms)
{
	int64_t age_ms = page->now_ms - at_ms;
	char at[CLOCK_TEXT_BYTES];

	clock_format_rfc3339(at, at_ms, false);
	buf_printf(out, "<time datetime=\"%s\">", at);
	table_put_age(out, age_ms > 0 ? age_ms : 0);
	put(out, " ago</time>");
}

static void begin(struct buf *out, const char *title)
{
	put(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		 "<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
	put_z(out, title);
	put(out, "</title>\n<link rel=\"icon\" href=\"data:,\">\n"
		 "<link rel=\"stylesheet\" href=\"/style.css\">\n"
		 "<script src=\"/script.js\" defer></script>\n</head>\n<body>\n");
}

static void put_header(struct buf *out, const struct ui_page *page)
{
	put(out, "<header><a class=\"brand\" href=\"/\">buildhook</a> <span class=\"scope\">");
	put_z(out, page->scope);
	put(out, "</span> <span class=\"source\">");
	put_z(out, page->source);
	put(out, "</span></header>\n");
}

static void begin_live(struct buf *out, const struct ui_page *page)
{
	buf_printf(out, "<div id=\"live\" data-version=\"%llu\">\n",
		   (unsigned long long)page->version);
	if (*page->problem) {
		put(out, "<p class=\"problem\" role=\"status\">");
		put_z(out, page->problem);
		put(out, "</p>\n");
	}
}

static void end(struct buf *out)
{
	put(out, "</body>\n</html>\n");
}

/* A state is a word and a mark, so that neither colour nor shape alone has to carry it. */
static void put_state(struct buf *out, const char *state)
{
	bool is_ready = status_read_state(state) == STATUS_READY;

	buf_printf(out,
		   "<p class=\"state %s\"><span class=\"mark\" aria-hidden=\"true\">%s</span> ",
		   is_ready ? "good"
		   : *state ? "bad"
			    : "unknown",
		   is_ready ? "&#10003;"
		   : *state ? "&#10007;"
			    : "?");
	put_z(out, *state ? state : "buildhook has not looked at it yet");
	put(out, "</p>\n");
}

static void put_copyable(struct buf *out, const char *text)
{
	put(out, "<code>");
	put_z(out, text);
	put(out, "</code> <button type=\"button\" class=\"copy\" data-copy=\"");
	put_z(out, text);
	put(out, "\" hidden>Copy</button>");
}

static void put_build(struct buf *out, const struct ui_page *page, const cJSON *build)
{
	const char *phase = view_phase(build);
	int64_t took_ms = view_duration_ms(build, page->now_ms);
	bool is_good = strcmp(phase, "Complete") == 0;
	bool is_bad = strcmp(phase, "Failed") == 0 || strcmp(phase, "Error") == 0;

	put(out, "<strong>");
	put_z(out, text_at(build, "metadata/name"));
	buf_printf(out, "</strong> <span class=\"%s\">",
		   is_good  ? "good"
		   : is_bad ? "bad"
			    : "busy");
	put_z(out, phase);
	put(out, "</span>");
	if (took_ms >= 0) {
		put(out, view_is_over(build) ? " after " : " for ");
		table_put_age(out, took_ms);
	}
}

static void put_path(struct buf *out, const char *namespace_, const char *name)
{
	put(out, "/bc/");
	put_z(out, namespace_);
	put(out, "/");
	put_z(out, name);
}

static void begin_form(struct buf *out, const struct ui_page *page, const char *namespace_,
		       const char *name, const char *action, const char *class)
{
	buf_printf(out, "<form method=\"post\" class=\"%s\" action=\"", class);
	put_path(out, namespace_, name);
	buf_printf(out, "/%s\"><input type=\"hidden\" name=\"token\" value=\"%s\">", action,
		   page->token);
}

static void put_fact(struct buf *out, const char *title)
{
	buf_printf(out, "<div><dt>%s</dt><dd>", title);
}

static void put_secret_form(struct buf *out, const struct ui_page *page,
			    const struct view_hook *hook)
{
	begin_form(out, page, hook->namespace_, hook->name, "secret", "inline");
	buf_printf(out, "<button name=\"type\" value=\"%s\">Show secret<span class=\"hide\"> of ",
		   hook_type_name(hook->type));
	put_z(out, hook->name);
	buf_printf(out, " %s</span></button></form>", hook_type_name(hook->type));
}

static void put_hook(struct buf *out, const struct ui_page *page, const struct view_hook *hook,
		     bool is_link)
{
	CLEANUP(buf_release) struct buf last = BUF_INIT(MAX_TEXT_BYTES);

	put(out, "<li class=\"hook\">\n<h2>");
	if (is_link) {
		put(out, "<a href=\"");
		put_path(out, hook->namespace_, hook->name);
		put(out, "\">");
		put_z(out, hook->namespace_);
		put(out, "/");
		put_z(out, hook->name);
		put(out, "</a> ");
	}
	buf_printf(out, "<span class=\"type\">%s</span></h2>\n", hook_type_name(hook->type));
	put_state(out, hook->state);
	put(out, "<dl>\n");
	put_fact(out, "Last delivery");
	view_put_last(&last, hook);
	if (last.len == 0) {
		put(out, "none yet");
	} else {
		put_text(out, buf_str(&last));
		if (hook->last_ms > 0) {
			put(out, ", ");
			put_age(out, page, hook->last_ms);
		}
	}
	put(out, "</dd></div>\n");
	put_fact(out, "Last build");
	if (hook->build)
		put_build(out, page, hook->build);
	else
		put(out, "none");
	put(out, "</dd></div>\n");
	if (*hook->refused) {
		put_fact(out, "Refused");
		put_z(out, hook->refused);
		put(out, "</dd></div>\n");
	}
	put_fact(out, "Address");
	if (*hook->url)
		put_copyable(out, hook->url);
	else
		put(out, "not known yet");
	put(out, " ");
	put_secret_form(out, page, hook);
	put(out, "</dd></div>\n</dl>\n</li>\n");
}

static void put_hint(struct buf *out, const cJSON *bc)
{
	const char *hint = view_annotation(bc, "buildhook.io/hint");

	if (!*hint)
		return;
	put(out, "<p class=\"hint\"><strong>Hint:</strong> ");
	put_z(out, hint);
	put(out, "</p>\n");
}

static void put_happenings(struct buf *out, const struct ui_page *page,
			   const struct ui_buildconfig *list, size_t n, bool with_name)
{
	struct ui_happening items[MAX_HAPPENINGS];
	size_t n_items = ui_model_happenings(items, MAX_HAPPENINGS, list, n);

	put(out, "<section aria-labelledby=\"happened\">\n"
		 "<h2 id=\"happened\">What happened</h2>\n");
	if (n_items == 0)
		put(out, "<p>Nothing yet: push to the repository, or use Test.</p>\n");
	put(out, "<ol class=\"happened\">\n");
	for (size_t i = 0; i < n_items; i++) {
		struct str message;

		put(out, "<li>");
		put_age(out, page, items[i].at_ms);
		put(out, " ");
		if (with_name) {
			put(out, "<a href=\"");
			put_path(out, items[i].namespace_, items[i].name);
			put(out, "\">");
			put_z(out, items[i].name);
			put(out, "</a> ");
		}
		if (items[i].build) {
			put_build(out, page, items[i].build);
			put(out, " ");
			put_z(out, view_annotation(items[i].build, "buildhook.io/ref"));
			put(out, " ");
			message = str_of(text_at(items[i].build, "spec/revision/git/message"));
			put_text(out, str_range(message.p, str_find_char(message, '\n')));
		} else {
			put_text(out, items[i].text);
		}
		put(out, "</li>\n");
	}
	put(out, "</ol>\n</section>\n");
}

static bool is_shown(const cJSON *bc, struct str filter)
{
	CLEANUP(buf_release) struct buf key = BUF_INIT(1024);

	buf_printf(&key, "%s/%s", text_at(bc, "metadata/namespace"), text_at(bc, "metadata/name"));
	return str_empty(filter) || str_contains(buf_str(&key), filter);
}

void ui_page_list(struct buf *out, const struct ui_page *page, const struct ui_buildconfig *list,
		  size_t n, struct str filter)
{
	size_t n_hooks = 0;

	begin(out, "Webhooks - buildhook");
	put_header(out, page);
	put(out, "<main>\n<h1>Webhooks</h1>\n<form class=\"filter\" method=\"get\" action=\"/\">"
		 "<label for=\"q\">Name contains</label> <input id=\"q\" name=\"q\" value=\"");
	put_text(out, filter);
	put(out, "\"> <button>Filter</button></form>\n");
	begin_live(out, page);
	put(out, "<ul class=\"hooks\">\n");
	for (size_t i = 0; i < n; i++) {
		struct view_hook hooks[HOOK_TYPES];
		size_t n_here = 0;

		if (is_shown(list[i].doc, filter))
			n_here = view_hooks(hooks, list[i].doc, list[i].builds);
		for (size_t j = 0; j < n_here; j++)
			put_hook(out, page, &hooks[j], true);
		if (n_here > 0 && *hooks[0].hint) {
			put(out, "<li class=\"of\">");
			put_hint(out, list[i].doc);
			put(out, "</li>\n");
		}
		n_hooks += n_here;
	}
	put(out, "</ul>\n");
	if (n_hooks == 0)
		put(out,
		    "<p>No webhooks here. <code>kubectl buildhook add-trigger NAME TYPE</code> "
		    "adds one to a BuildConfig.</p>\n");
	put_happenings(out, page, list, n, true);
	put(out, "</div>\n</main>\n");
	end(out);
}

static void put_rule(struct buf *out, const char *title, const char *value)
{
	buf_printf(out, "<div><dt>%s</dt><dd>", title);
	put_z(out, value);
	put(out, "</dd></div>\n");
}

/* The rules that decide about the next push, in their order. */
static void put_rules(struct buf *out, const cJSON *bc)
{
	const char *ref = text_at(bc, "spec/source/git/ref");
	const char *refs = view_annotation(bc, "buildhook.io/refs");
	const char *paths = view_annotation(bc, "buildhook.io/paths");
	const char *repository = view_annotation(bc, "buildhook.io/repository");
	const char *paused = view_annotation(bc, "openshift.io/build-config.paused");

	put(out, "<section aria-labelledby=\"rules\">\n<h2 id=\"rules\">Rules for the next "
		 "push</h2>\n<dl class=\"rules\">\n");
	put_rule(out, "Repository", text_at(bc, "spec/source/git/uri"));
	if (*repository)
		put_rule(out, "Other repositories", "are not built (buildhook.io/repository)");
	if (*refs)
		put_rule(out, "Refs that build (buildhook.io/refs)", refs);
	else
		put_rule(out, "Branch or tag that builds",
			 *ref ? ref : "the repository's default branch");
	if (*paths)
		put_rule(out, "Files that build (buildhook.io/paths)", paths);
	if (strcmp(view_annotation(bc, "buildhook.io/skip-ci"), "true") == 0)
		put_rule(out, "[skip ci] in the message", "builds nothing");
	if (strcmp(paused, "true") == 0)
		put_rule(out, "Paused", "nothing is built until the BuildConfig is resumed");
	if (strcmp(view_annotation(bc, "buildhook.io/ignore"), "true") == 0)
		put_rule(out, "Ignored", "buildhook leaves this BuildConfig alone");
	put(out, "</dl>\n</section>\n");
}

static void put_type_field(struct buf *out, const struct view_hook *hooks, size_t n, const char *id)
{
	if (n == 1) {
		buf_printf(out, "<input type=\"hidden\" name=\"type\" value=\"%s\">",
			   hook_type_name(hooks[0].type));
		return;
	}
	buf_printf(out, "<label for=\"%s\">Webhook</label> <select id=\"%s\" name=\"type\">", id,
		   id);
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "<option>%s</option>", hook_type_name(hooks[i].type));
	put(out, "</select> ");
}

/* The choices of the field Redeliver: the ids of deliveries that the Builds name. */
static void put_deliveries(struct buf *out, const cJSON *builds, const char *name)
{
	const cJSON *build = NULL;

	put(out, "<datalist id=\"deliveries\">");
	cJSON_ArrayForEach (build, builds) {
		const char *id = view_annotation(build, "buildhook.io/delivery-id");

		if (!*id || !view_is_build_of(build, name))
			continue;
		put(out, "<option value=\"");
		put_z(out, id);
		put(out, "\">");
		put_z(out, text_at(build, "metadata/name"));
		put(out, " ");
		put_z(out, view_annotation(build, "buildhook.io/ref"));
		put(out, "</option>");
	}
	put(out, "</datalist>");
}

static void put_actions(struct buf *out, const struct ui_page *page, const struct view_hook *hooks,
			size_t n, const cJSON *builds)
{
	const char *namespace_ = hooks[0].namespace_, *name = hooks[0].name;

	put(out, "<section aria-labelledby=\"actions\">\n<h2 id=\"actions\">Try and change</h2>\n"
		 "<div class=\"actions\">\n");
	begin_form(out, page, namespace_, name, "test", "action");
	put_type_field(out, hooks, n, "test-type");
	put(out, "<label for=\"test-ref\">Ref</label> <input id=\"test-ref\" name=\"ref\" "
		 "placeholder=\"the one that builds\"> <label><input type=\"checkbox\" "
		 "name=\"dry-run\" value=\"true\" checked> only show what would happen</label> "
		 "<button>Test</button></form>\n");
	begin_form(out, page, namespace_, name, "explain", "action");
	put(out, "<label for=\"explain-ref\">Ref</label> <input id=\"explain-ref\" name=\"ref\" "
		 "placeholder=\"main\" required> <button>Explain</button></form>\n");
	begin_form(out, page, namespace_, name, "rotate", "action");
	put_type_field(out, hooks, n, "rotate-type");
	put(out, "<span>A new secret; the old one is accepted for a while.</span> "
		 "<button>Rotate</button></form>\n");
	begin_form(out, page, namespace_, name, "redeliver", "action");
	put(out, "<label for=\"redeliver-id\">Delivery ID</label> <input id=\"redeliver-id\" "
		 "name=\"id\" list=\"deliveries\" autocomplete=\"off\" required> ");
	put_deliveries(out, builds, name);
	put(out, "<button>Redeliver</button></form>\n</div>\n</section>\n");
}

static void put_result(struct buf *out, const struct ui_result *result)
{
	struct str rest = result->output, line;

	buf_printf(out,
		   "<section class=\"result\" aria-labelledby=\"result\" role=\"status\">\n"
		   "<h2 id=\"result\">Result: %s</h2>\n<p><code>",
		   result->status == 0 ? "it worked" : "it did not work");
	put_z(out, result->command);
	put(out, "</code></p>\n<pre tabindex=\"0\">");
	while (str_next_part(&rest, '\n', &line)) {
		put_text(out, line);
		put(out, "\n");
	}
	put(out, "</pre>\n</section>\n");
}

void ui_page_buildconfig(struct buf *out, const struct ui_page *page,
			 const struct ui_buildconfig *bc, const struct ui_result *result)
{
	struct view_hook hooks[HOOK_TYPES];
	size_t n = view_hooks(hooks, bc->doc, bc->builds);
	CLEANUP(buf_release) struct buf title = BUF_INIT(1024);

	buf_printf(&title, "%s - buildhook", text_at(bc->doc, "metadata/name"));
	begin(out, title.data);
	put_header(out, page);
	put(out, "<main>\n<p><a href=\"/\">All webhooks</a></p>\n<h1>");
	put_z(out, text_at(bc->doc, "metadata/namespace"));
	put(out, "/");
	put_z(out, text_at(bc->doc, "metadata/name"));
	put(out, "</h1>\n");
	if (result)
		put_result(out, result);
	begin_live(out, page);
	put(out, "<ul class=\"hooks\">\n");
	for (size_t i = 0; i < n; i++)
		put_hook(out, page, &hooks[i], false);
	put(out, "</ul>\n");
	if (n == 0)
		put(out, "<p>This BuildConfig has no webhook trigger.</p>\n");
	put_hint(out, bc->doc);
	put_rules(out, bc->doc);
	put_happenings(out, page, bc, 1, false);
	put(out, "</div>\n");
	if (n > 0)
		put_actions(out, page, hooks, n, bc->builds);
	put(out, "</main>\n");
	end(out);
}

void ui_page_message(struct buf *out, const char *title, const char *message)
{
	begin(out, title);
	put(out, "<main>\n<h1>");
	put_z(out, title);
	put(out, "</h1>\n<p>");
	put_z(out, message);
	put(out, "</p>\n</main>\n");
	end(out);
}
