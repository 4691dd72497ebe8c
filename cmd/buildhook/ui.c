/*
 * `buildhook ui`: a page on loopback with the caller's own rights. Routes requests to pages,
 * streams of changes and commands.
 */
#include "session.h"
#include "ui_assets.h"
#include "ui_button.h"
#include "ui_form.h"
#include "ui_guard.h"
#include "ui_page.h"
#include "ui_run.h"

#include "base/mem.h"
#include "net/http.h"
#include "net/loop.h"

#include <signal.h>
#include <stdio.h>

#define MAX_RUNS 8
/* An event stream without news ends after this time, and the browser asks again. */
#define STREAM_MS 20000
/* A page waits this long for the first list of BuildConfigs. */
#define FIRST_LIST_MS 10000

#define POLICY                                                                                     \
	"default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "            \
	"img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

struct options {
	const char *listen;
};

struct visit;

struct ui {
	const struct invocation *in;
	struct session *session;
	struct ui_model *model;
	struct http_server *server;
	struct visit *visits; /* requests that have not been answered */
	struct timer stream;
	struct timer first_list; /* while it runs, pages wait until the model is known */
	size_t n_runs;
	char scope[300];
	struct ui_guard guard;
};

/* One request. */
struct visit {
	struct ui *ui;
	struct http_request *request;
	struct visit *next;
	struct buf body;
	bool is_waiting; /* a page that is answered when the model is known */
	bool is_stream;  /* /events: answered when the model's version is over `after` */
	uint64_t after;
	struct ui_run *run; /* the running command of a button */
	struct timer answered;
	char key[600];      /* namespace/name that the command is about */
	struct buf command; /* the command as a person would type it */
};

static void init_options(void *options)
{
	((struct options *)options)->listen = "127.0.0.1:0";
}

static const struct flag flags[] = {
	{"listen", FLAG_STRING, offsetof(struct options, listen), "ADDR:PORT",
	 "the address of the page; a loopback address (default 127.0.0.1:0, a free port)", NULL},
};
static const size_t n_flags = ARRAY_LEN(flags);

static void free_visit(struct visit *visit)
{
	struct ui *ui = visit->ui;

	for (struct visit **at = &ui->visits; *at; at = &(*at)->next) {
		if (*at == visit) {
			*at = visit->next;
			break;
		}
	}
	if (visit->run)
		ui->n_runs--;
	ui_run_free(visit->run);
	timer_stop(session_clock(ui->session), &visit->answered);
	buf_wipe(&visit->body);
	buf_release(&visit->command);
	mem_free(&visit);
}

/* Answers and forgets the visit. */
static void respond(struct visit *visit, int status, const char *type, struct str body,
		    const struct http_header *extra)
{
	struct http_header headers[7] = {
		{STR("Content-Type"), str_of(type)},
		{STR("Content-Security-Policy"), STR(POLICY)},
		{STR("X-Content-Type-Options"), STR("nosniff")},
		{STR("Referrer-Policy"), STR("same-origin")},
		{STR("Cross-Origin-Opener-Policy"), STR("same-origin")},
		{STR("Cache-Control"), STR("no-store")},
	};
	size_t n = 6;

	if (extra)
		headers[n++] = *extra;
	http_respond(visit->request, status, headers, n, body);
	free_visit(visit);
}

static void respond_html(struct visit *visit, int status, const struct buf *page)
{
	respond(visit, status, "text/html; charset=utf-8", buf_str(page), NULL);
}

static void respond_message(struct visit *visit, int status, const char *title, const char *message)
{
	CLEANUP(buf_release) struct buf page = BUF_INIT(UI_MAX_PAGE_BYTES);

	ui_page_message(&page, title, message);
	respond_html(visit, status, &page);
}

static struct ui_page page_of(const struct ui *ui)
{
	return (struct ui_page){
		.scope = ui->scope,
		.source = session_source(ui->session),
		.problem = ui_model_problem(ui->model),
		.token = ui->guard.form,
		.version = ui_model_version(ui->model),
		.now_ms = clock_wall_ms(session_clock(ui->session)),
	};
}

/* GET /?token=...: the address that was printed. */
static void answer_launch(struct visit *visit, struct str token)
{
	struct ui *ui = visit->ui;
	CLEANUP(buf_release) struct buf cookie = BUF_INIT(256);
	const struct http_header to = {STR("Location"), STR("/")};
	struct http_header headers[] = {
		to, {STR("Set-Cookie"), {0}}, {STR("Cache-Control"), STR("no-store")}};

	if (ui_guard_has_cookie(&ui->guard, visit->request)) {
		respond(visit, 303, "text/plain", STR(""), &to);
		return;
	}
	if (!ui_guard_take_launch(&cookie, &ui->guard, token)) {
		respond_message(
			visit, 403, "This address is no longer valid",
			"It can be opened once. Go on in the window where it was opened, or "
			"start `buildhook ui` again for another.");
		return;
	}
	headers[1].value = buf_str(&cookie);
	http_respond(visit->request, 303, headers, ARRAY_LEN(headers), STR(""));
	free_visit(visit);
}

/* Pages. */

static void answer_list(struct visit *visit)
{
	const struct ui_page page = page_of(visit->ui);
	CLEANUP(buf_release) struct buf out = BUF_INIT(UI_MAX_PAGE_BYTES);
	CLEANUP(buf_release) struct buf filter = BUF_INIT(512);
	size_t n = 0;
	struct ui_buildconfig *list = ui_model_list(visit->ui->model, &n);

	(void)ui_form_read(&filter, visit->request->query, STR("q"));
	ui_page_list(&out, &page, list, n, buf_str(&filter));
	ui_model_free_list(list, n);
	respond_html(visit, 200, &out);
}

/* The page of BuildConfig KEY, with what a command printed. */
static void answer_buildconfig(struct visit *visit, const char *key, const struct ui_result *result)
{
	const struct ui_page page = page_of(visit->ui);
	CLEANUP(buf_wipe) struct buf out = BUF_INIT(UI_MAX_PAGE_BYTES);
	size_t n = 0;
	struct ui_buildconfig *list = ui_model_list(visit->ui->model, &n);

	for (size_t i = 0; i < n && out.len == 0; i++) {
		const char *namespace_ = json_str_at(list[i].doc, "metadata/namespace");
		const char *name = json_str_at(list[i].doc, "metadata/name");
		char this_key[600];

		(void)snprintf(this_key, sizeof(this_key), "%s/%s", namespace_ ? namespace_ : "",
			       name ? name : "");
		if (strcmp(this_key, key) == 0)
			ui_page_buildconfig(&out, &page, &list[i], result);
	}
	ui_model_free_list(list, n);
	if (out.len)
		respond_html(visit, 200, &out);
	else
		respond_message(visit, 404, "There is no such BuildConfig",
				*page.problem ? page.problem : "It may have been deleted.");
}

/* Commands. */

static void on_answered(void *arg)
{
	free_visit(arg);
}

static void on_run_done(void *arg, int status, struct str output)
{
	struct visit *visit = arg;
	const struct ui_result result = {
		.command = visit->command.data, .status = status, .output = output};
	struct visit *kept = mem_new(1, sizeof(*kept));

	/* The output is the run's, and it must not be freed from within its own call: a second
	 * visit takes the run over until the loop comes round. */
	*kept = (struct visit){.ui = visit->ui, .run = TAKE(visit->run), .next = visit->ui->visits};
	visit->ui->visits = kept;
	answer_buildconfig(visit, visit->key, &result);
	timer_start(session_clock(kept->ui->session), &kept->answered, 0, on_answered, kept);
}

static void answer_button(struct visit *visit, const struct ui_button *button,
			  const char *namespace_, const char *name)
{
	struct ui *ui = visit->ui;
	CLEANUP(ui_argv_release) struct ui_argv argv = {0};

	if (!ui_button_read(&argv, button, &ui->in->shared, buf_str(&visit->body), namespace_,
			    name)) {
		respond_message(visit, 400, "Something is missing",
				"Go back, and fill in the form's fields.");
		return;
	}
	if (ui->n_runs == MAX_RUNS) {
		respond_message(visit, 503, "Too much at once",
				"Other commands of this page still run: try again in a moment.");
		return;
	}
	visit->command = (struct buf)BUF_INIT(8192);
	buf_put_str(&visit->command, str_of(ui->in->program));
	for (size_t i = 1; i < argv.n; i++)
		if (strcmp(argv.items[i], "--") != 0)
			buf_printf(&visit->command, " %s", argv.items[i]);
	(void)snprintf(visit->key, sizeof(visit->key), "%s/%s", namespace_, name);
	ui->n_runs++;
	visit->run = ui_run_start(session_loop(ui->session), (const char *const *)argv.items,
				  on_run_done, visit);
}

/* /bc/NAMESPACE/NAME[/ACTION] */
static void answer_path(struct visit *visit, struct str rest)
{
	struct str namespace_part = {0}, name_part = {0}, action = {0};
	bool is_post = str_eq(visit->request->method, STR("POST"));
	CLEANUP(mem_free) char *namespace_ = NULL;
	CLEANUP(mem_free) char *name = NULL;
	const struct ui_button *button;
	struct err err = {0};
	char key[600];

	(void)str_next_part(&rest, '/', &namespace_part);
	(void)str_next_part(&rest, '/', &name_part);
	(void)str_next_part(&rest, '/', &action);
	namespace_ = str_dup(namespace_part);
	name = str_dup(name_part);
	if (session_check_name("namespace", namespace_, &err) != 0 ||
	    session_check_name("name", name, &err) != 0) {
		respond_message(visit, 404, "There is no such page", err.msg);
		return;
	}
	if (str_empty(action) && !is_post) {
		(void)snprintf(key, sizeof(key), "%s/%s", namespace_, name);
		answer_buildconfig(visit, key, NULL);
		return;
	}
	button = is_post ? ui_button_find(action) : NULL;
	if (button) {
		answer_button(visit, button, namespace_, name);
		return;
	}
	respond_message(visit, 404, "There is no such page", "Go back to the list of webhooks.");
}

/* Events: each answer is one short stream, after which the browser asks again. */

static void answer_stream(struct visit *visit)
{
	CLEANUP(buf_release) struct buf body = BUF_INIT(256);
	unsigned long long version = ui_model_version(visit->ui->model);

	if (version > visit->after)
		buf_printf(&body, "retry: 200\nid: %llu\ndata: %llu\n\n", version, version);
	else
		buf_put_str(&body, STR("retry: 200\n: nothing changed\n\n"));
	respond(visit, 200, "text/event-stream", buf_str(&body), NULL);
}

static void answer_streams(struct ui *ui, bool is_all)
{
	struct visit *next;

	for (struct visit *visit = ui->visits; visit; visit = next) {
		next = visit->next;
		if (visit->is_stream && (is_all || ui_model_version(ui->model) > visit->after))
			answer_stream(visit);
	}
}

/* A page of GET. */
static void answer_page(struct visit *visit)
{
	struct ui *ui = visit->ui;
	struct str path = visit->request->path;

	visit->is_waiting = !ui_model_is_known(ui->model) && timer_running(&ui->first_list);
	if (visit->is_waiting)
		return;
	if (str_eq(path, STR("/")))
		answer_list(visit);
	else
		answer_path(visit, str_without_prefix(path, STR("/bc/")));
}

static void answer_waiting_pages(struct ui *ui)
{
	struct visit *next;

	for (struct visit *visit = ui->visits; visit; visit = next) {
		next = visit->next;
		if (visit->is_waiting)
			answer_page(visit);
	}
}

static void on_first_list_late(void *arg)
{
	answer_waiting_pages(arg);
}

static void on_change(void *arg)
{
	struct ui *ui = arg;

	if (ui_model_is_known(ui->model))
		timer_stop(session_clock(ui->session), &ui->first_list);
	answer_waiting_pages(ui);
	answer_streams(ui, false);
}

static void on_stream_timer(void *arg)
{
	struct ui *ui = arg;

	answer_streams(ui, true);
	timer_start(session_clock(ui->session), &ui->stream, STREAM_MS, on_stream_timer, ui);
}

/* The browser names the newest version that it has, first in the query and then in a header. */
static void begin_stream(struct visit *visit)
{
	const struct str last = http_header(visit->request, "Last-Event-ID", NULL);
	CLEANUP(buf_release) struct buf after = BUF_INIT(64);

	if (last.n)
		buf_put_str(&after, last);
	else
		(void)ui_form_read(&after, visit->request->query, STR("after"));
	visit->after = 0;
	(void)str_parse_u64(buf_str(&after), UINT64_MAX, &visit->after);
	visit->is_stream = true;
	if (ui_model_version(visit->ui->model) > visit->after)
		answer_stream(visit);
}

/* The handler. */

static void on_head(void *arg, struct http_request *request)
{
	struct ui *ui = arg;
	struct visit *visit = mem_new(1, sizeof(*visit));

	visit->ui = ui;
	visit->request = request;
	visit->body = (struct buf)BUF_INIT(UI_MAX_FORM_BYTES);
	visit->next = ui->visits;
	ui->visits = visit;
	request->user = visit;
}

static void on_body(void *arg, struct http_request *request, struct str bytes)
{
	struct visit *visit = request->user;

	(void)arg;
	buf_put_str(&visit->body, bytes);
}

static void on_abort(void *arg, struct http_request *request)
{
	(void)arg;
	free_visit(request->user);
}

static void on_end(void *arg, struct http_request *request)
{
	struct ui *ui = arg;
	struct visit *visit = request->user;
	struct str path = request->path;
	bool is_post = str_eq(request->method, STR("POST"));
	CLEANUP(buf_wipe) struct buf token = BUF_INIT(256);

	if (!ui_guard_is_host(&ui->guard, http_header(request, "Host", NULL)))
		respond_message(visit, 403, "This page has another address",
				"Open it by the address that the program printed.");
	else if (!is_post && !str_eq(request->method, STR("GET")))
		respond_message(visit, 405, "Method not allowed", "Only GET and POST are known.");
	else if (!is_post && str_eq(path, STR("/")) &&
		 ui_form_read(&token, request->query, STR("token")))
		answer_launch(visit, buf_str(&token));
	else if (!ui_guard_has_cookie(&ui->guard, request))
		respond_message(visit, 403, "Open the address that was printed",
				"It holds a token that lets this browser in, once.");
	else if (is_post && !ui_guard_is_from_page(&ui->guard, request, buf_str(&visit->body)))
		respond_message(visit, 403, "This did not come from the page",
				"Load the page again, and use its buttons.");
	else if (!is_post && (str_eq(path, STR("/")) || str_starts(path, STR("/bc/"))))
		answer_page(visit);
	else if (!is_post && str_eq(path, STR("/style.css")))
		respond(visit, 200, "text/css; charset=utf-8", ui_style(), NULL);
	else if (!is_post && str_eq(path, STR("/script.js")))
		respond(visit, 200, "text/javascript; charset=utf-8", ui_script(), NULL);
	else if (!is_post && str_eq(path, STR("/events")))
		begin_stream(visit);
	else if (str_starts(path, STR("/bc/")))
		answer_path(visit, str_without_prefix(path, STR("/bc/")));
	else
		respond_message(visit, 404, "There is no such page",
				"Go back to the list of webhooks.");
}

static void on_interrupt(void *arg, int signo)
{
	(void)signo;
	loop_stop(arg);
}

static int listen_at(struct ui *ui, const char *address, struct err *err)
{
	struct http_options options = {
		.limits = http_default_limits,
		.handler = {on_head, on_body, on_end, on_abort, ui},
	};

	options.limits.max_body_bytes = UI_MAX_FORM_BYTES;
	if (http_server_new(&ui->server, session_loop(ui->session), address, &options, err) != 0)
		return err->code;
	ui_guard_init(&ui->guard, http_server_address(ui->server));
	return 0;
}

static int run(const struct invocation *in)
{
	const struct options *options = in->options;
	CLEANUP(session_freep) struct session *session = NULL;
	struct ui ui = {.in = in};
	struct loop_watch *interrupt, *terminate;
	struct err err = {0};

	if (!ui_guard_is_loopback(str_of(options->listen))) {
		(void)err_set(&err, ERR_INVALID,
			      "--listen %s: the page shows secrets to whoever opens it, so it is "
			      "served on loopback only: 127.0.0.1:PORT or [::1]:PORT",
			      options->listen);
		return command_fail_usage(in, &err);
	}
	if (session_open(&session, in, &err) != 0)
		return session_fail(session, &err);
	ui.session = session;
	if (listen_at(&ui, options->listen, &err) != 0)
		return session_fail(session, &err);
	if (in->shared.all_namespaces)
		(void)snprintf(ui.scope, sizeof(ui.scope), "all namespaces");
	else
		(void)snprintf(ui.scope, sizeof(ui.scope), "namespace %s",
			       session_namespace(session));
	ui.model = ui_model_new(session, on_change, &ui);
	on_stream_timer(&ui);
	timer_start(session_clock(session), &ui.first_list, FIRST_LIST_MS, on_first_list_late, &ui);
	printf("The page is at http://%s/?token=%s\nIt ends with Ctrl-C.\n", ui.guard.hosts[0],
	       ui.guard.launch);
	(void)fflush(stdout);
	interrupt =
		loop_on_signal(session_loop(session), SIGINT, on_interrupt, session_loop(session));
	terminate =
		loop_on_signal(session_loop(session), SIGTERM, on_interrupt, session_loop(session));
	loop_run(session_loop(session));
	loop_watch_free(interrupt);
	loop_watch_free(terminate);
	timer_stop(session_clock(session), &ui.stream);
	timer_stop(session_clock(session), &ui.first_list);
	http_server_free(ui.server);
	while (ui.visits)
		free_visit(ui.visits);
	ui_model_free(ui.model);
	return EXIT_OK;
}

const struct command command_ui = {
	.name = "ui",
	.args = "",
	.summary = "show webhooks and what happened on a page in the browser",
	.about = "Serves a page on this machine alone, with your own rights: the webhooks with "
		 "their "
		 "state, address, last delivery and last build, what happened, and for each "
		 "BuildConfig the rules that its next push meets, with buttons that test, explain, "
		 "rotate and redeliver. It follows changes by itself.\n"
		 "\n"
		 "The printed address holds a token and can be opened once.",
	.examples = "kubectl buildhook ui\nkubectl buildhook ui --all-namespaces",
	.shared = FLAGS_CLUSTER | FLAGS_ALL,
	.flags = flags,
	.n_flags = &n_flags,
	.options_size = sizeof(struct options),
	.init = init_options,
	.run = run,
};
