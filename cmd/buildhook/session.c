/*
 * The session of one command: configuration, event loop, API client. A call runs the loop until its
 * answer is here, so that commands read from top to bottom.
 */
#include "session.h"

#include "suggest.h"

#include "base/mem.h"
#include "crypto/crypto.h"
#include "kubeconfig/config.h"
#include "net/loop.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#define MAX_PATH_BYTES    4096
#define MAX_BODY_BYTES    ((size_t)4 * 1024 * 1024)
#define MAX_ANSWER_BYTES  ((size_t)64 * 1024 * 1024)
#define MAX_FAILURE_BYTES 2048

struct session {
	const struct invocation *in;
	struct clock *clock;
	struct loop *loop;
	struct kube_config *config;
	struct kube_client *client;
	struct timer timer;
	const char *namespace_; /* of session_follow() */
	/* The last error of the API server in full, where struct err has no room for all of it. */
	char failure[MAX_FAILURE_BYTES];
	/* An existing name that is similar to the one that was not found, or "". */
	char similar[254];
	/* The call that is waited for. */
	struct session_answer *answer;
	struct err *err;
	int code;
};

static int read_config(struct session *s, struct err *err)
{
	const struct shared_options *o = &s->in->shared;
	const struct kube_config_options options = {
		.kubeconfig = o->kubeconfig, .context = o->context, .allow_exec = true};

	if (o->namespace_ && session_check_name("--namespace", o->namespace_, err) != 0)
		return err->code;
	if (kube_config_load(&s->config, &options, err) != 0)
		return err->code;
	return kube_config_run_exec(s->config, err);
}

int session_open(struct session **out, const struct invocation *in, struct err *err)
{
	static const struct clock_source source = {clock_real_mono_ms, clock_real_wall_ms,
						   crypto_random, NULL};
	CLEANUP(session_freep) struct session *s = mem_new(1, sizeof(*s));

	s->in = in;
	s->clock = clock_new(&source);
	s->loop = loop_new(s->clock);
	if (read_config(s, err) != 0 || kube_client_new(&s->client, s->loop, s->config, err) != 0)
		return err->code;
	*out = TAKE(s);
	return 0;
}

void session_free(struct session *session)
{
	if (!session)
		return;
	kube_client_free(session->client);
	kube_config_free(session->config);
	timer_stop(session->clock, &session->timer);
	loop_free(session->loop);
	clock_free(session->clock);
	mem_free(&session);
}

void session_freep(struct session **session)
{
	session_free(*session);
	*session = NULL;
}

const char *session_program(const struct session *session)
{
	return session->in->program;
}

const char *session_namespace(const struct session *session)
{
	const char *asked = session->in->shared.namespace_;

	return asked ? asked : session->config->namespace_;
}

const char *session_source(const struct session *session)
{
	return session->config->source;
}

struct clock *session_clock(const struct session *session)
{
	return session->clock;
}

struct loop *session_loop(const struct session *session)
{
	return session->loop;
}

struct kube_client *session_client(const struct session *session)
{
	return session->client;
}

static void wipe_texts(cJSON *doc)
{
	for (cJSON *item = doc; item; item = item->next) {
		if (item->valuestring)
			explicit_bzero(item->valuestring, strlen(item->valuestring));
		wipe_texts(item->child);
	}
}

void session_answer_release(struct session_answer *answer)
{
	wipe_texts(answer->doc);
	json_freep(&answer->doc);
	if (answer->text.data)
		explicit_bzero(answer->text.data, answer->text.cap);
	buf_release(&answer->text);
	answer->status = 0;
}

/*
 * The words of kubectl (k8s.io/kubectl/pkg/cmd/util, checkErr): users search the web for them.
 * RESPONSE's own message is cut; the document's is not.
 */
static void word_failure(struct session *s, const struct kube_response *response)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_FAILURE_BYTES - 1);
	const char *message = json_str_at(response->doc, "message");

	if (response->status == 401) {
		buf_put_str(&text,
			    STR("error: You must be logged in to the server (Unauthorized)"));
	} else if (response->status == 0) {
		const char *why = strstr(response->err.msg, ": ");

		buf_printf(&text, "Unable to connect to the server: %s",
			   why ? why + 2 : response->err.msg);
	} else if (!message && response->err.code == ERR_NOTFOUND) {
		buf_put_str(&text, STR("error: the server doesn't have a resource type "
				       "\"buildconfigs\""));
	} else {
		buf_printf(&text, "Error from server%s%s%s: ", *response->reason ? " (" : "",
			   response->reason, *response->reason ? ")" : "");
		buf_put_clean(&text,
			      message && *message ? str_of(message) : str_of(response->err.msg),
			      MAX_FAILURE_BYTES / 2);
	}
	(void)snprintf(s->failure, sizeof(s->failure), "%s", text.data);
	s->code = err_set(s->err, response->err.code, "%s", text.data);
}

static void on_response(void *arg, const struct kube_response *response)
{
	struct session *s = arg;

	s->code = response->err.code;
	if (s->code != ERR_OK) {
		word_failure(s, response);
	} else if (s->answer) {
		s->answer->status = response->status;
		s->answer->text = (struct buf)BUF_INIT(MAX_ANSWER_BYTES);
		buf_put_str(&s->answer->text, response->text);
		(void)json_parse(&s->answer->doc, buf_str(&s->answer->text), NULL);
	}
	loop_stop(s->loop);
}

int session_call(struct session *session, struct session_answer *out,
		 const struct kube_request *request, struct err *err)
{
	session->answer = out;
	session->err = err;
	(void)kube_start(session->client, request, on_response, session);
	loop_run(session->loop);
	return session->code;
}

int session_get(struct session *session, struct session_answer *out, struct err *err,
		const char *path_fmt, ...)
{
	char path[MAX_PATH_BYTES];
	va_list args;

	va_start(args, path_fmt);
	(void)vsnprintf(path, sizeof(path), path_fmt, args);
	va_end(args);
	return session_call(session, out,
			    &(struct kube_request){.method = KUBE_GET,
						   .path = path,
						   .max_bytes = MAX_ANSWER_BYTES,
						   .is_secret = true},
			    err);
}

int session_send(struct session *session, struct session_answer *out, enum kube_method method,
		 const cJSON *body, struct err *err, const char *path_fmt, ...)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_BODY_BYTES);
	char path[MAX_PATH_BYTES];
	va_list args;

	va_start(args, path_fmt);
	(void)vsnprintf(path, sizeof(path), path_fmt, args);
	va_end(args);
	json_format(&text, body);
	return session_call(session, out,
			    &(struct kube_request){.method = method,
						   .path = path,
						   .body = buf_str(&text),
						   .max_bytes = MAX_ANSWER_BYTES},
			    err);
}

int session_stream(struct session *session, void (*fn)(void *session, struct str bytes),
		   struct err *err, const char *path_fmt, ...)
{
	char path[MAX_PATH_BYTES];
	va_list args;

	va_start(args, path_fmt);
	(void)vsnprintf(path, sizeof(path), path_fmt, args);
	va_end(args);
	session->answer = NULL;
	session->err = err;
	(void)kube_start(session->client,
			 &(struct kube_request){.method = KUBE_GET,
						.path = path,
						.accept = "*/*",
						.on_bytes = fn,
						.is_watch = true},
			 on_response, session);
	loop_run(session->loop);
	return session->code;
}

static void *copy_doc(void *arg, const cJSON *doc)
{
	cJSON *copy = json_copy(doc);

	(void)arg;
	cJSON_DeleteItemFromObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(copy, "metadata"),
						"managedFields");
	return copy ? copy : json_new_object();
}

static void free_doc(void *object)
{
	cJSON_Delete(object);
}

struct kube_informer *session_follow(struct session *session, const char *plural,
				     void (*on_object)(void *arg, const char *key, const void *old,
						       const void *new_),
				     void (*on_state)(void *arg), void *arg)
{
	struct kube_informer *informer;

	session->namespace_ = session_namespace(session);
	informer = kube_informer_new(&(struct kube_informer_options){
		.client = session->client,
		.clock = session->clock,
		.group = "/apis/build.openshift.io/v1",
		.resource = plural,
		.namespaces = &session->namespace_,
		.n_namespaces = session->in->shared.all_namespaces ? 0 : 1,
		.type = {.parse = copy_doc, .free = free_doc, .on_change = on_object, .arg = arg},
		.on_state = on_state,
	});
	kube_informer_start(informer);
	return informer;
}

int session_has_instantiate(struct session *session, bool *out, struct err *err)
{
	CLEANUP(session_answer_release) struct session_answer answer = {0};

	if (session_get(session, &answer, err, "/apis/build.openshift.io/v1") != 0)
		return err->code;
	*out = json_find(json_member(answer.doc, "resources"), "name", "buildconfigs/instantiate");
	return 0;
}

static void on_timer(void *arg)
{
	loop_stop(arg);
}

void session_wait(struct session *session, int64_t ms)
{
	timer_start(session->clock, &session->timer, ms, on_timer, session->loop);
	loop_run(session->loop);
}

void session_suggest(struct session *session, const char *plural, const char *name)
{
	CLEANUP(session_answer_release) struct session_answer list = {0};
	struct suggestion similar = {.typed = name};
	char failure[MAX_FAILURE_BYTES];
	const cJSON *item = NULL;
	struct err ignored = {0};

	memcpy(failure, session->failure, sizeof(failure));
	(void)session_get(session, &list, &ignored, "/apis/build.openshift.io/v1/namespaces/%s/%s",
			  session_namespace(session), plural);
	memcpy(session->failure, failure, sizeof(failure));
	cJSON_ArrayForEach (item, json_member(list.doc, "items")) {
		const char *other = json_str_at(item, "metadata/name");

		if (other)
			suggest_offer(&similar, other);
	}
	(void)snprintf(session->similar, sizeof(session->similar), "%s",
		       similar.best ? similar.best : "");
}

static void print_advice(const struct session *s, int code)
{
	const char *program = s->in->program;
	bool is_login = strncmp(s->failure, "error: You must", 15) == 0;

	if (code == ERR_NOTFOUND && *s->similar)
		(void)fprintf(stderr, "Did you mean \"%s\"? ", s->similar);
	if (is_login)
		(void)fprintf(stderr,
			      "Log in again (on OpenShift: oc login), or mend the user in %s.\n",
			      s->config->source);
	else if (code == ERR_UNAVAILABLE && !str_starts(str_of(s->failure), STR("Error from")))
		(void)fprintf(
			stderr,
			"The address is from %s; --context and --kubeconfig choose another.\n",
			s->config->source);
	else if (code == ERR_DENIED &&
		 str_contains(str_of(s->failure), STR("at the cluster scope")))
		(void)fprintf(stderr,
			      "That is for admins of the cluster; %s-n NAMESPACE it needs rights "
			      "in that namespace alone.\n",
			      s->in->shared.all_namespaces ? "without -A, and with " : "with ");
	else if (code == ERR_DENIED)
		(void)fprintf(stderr,
			      "Ask an admin of the namespace for that right; `kubectl auth can-i "
			      "--list -n %s` lists yours.\n",
			      session_namespace(s));
	else if (code == ERR_NOTFOUND && str_starts(str_of(s->failure), STR("error: the server")))
		(void)fprintf(stderr,
			      "An admin has to install buildhook's CRDs first (docs/deploy.md); "
			      "on OpenShift the cluster serves them itself.\n");
	else if (code == ERR_NOTFOUND && str_contains(str_of(s->failure), STR("secrets \"")))
		(void)fprintf(stderr,
			      "buildhook makes it when the next delivery comes; `%s rotate NAME` "
			      "makes it now, with a new value.\n",
			      program);
	else if (code == ERR_NOTFOUND && str_contains(str_of(s->failure), STR("buildconfigs")))
		(void)fprintf(stderr,
			      "`kubectl get buildconfigs -n %s` lists those that are there; -n "
			      "chooses another namespace.\n",
			      session_namespace(s));
	else if (code == ERR_NOTFOUND && str_contains(str_of(s->failure), STR("builds.build")))
		(void)fprintf(
			stderr,
			"`%s history NAME -n %s` lists the builds of a BuildConfig; -n chooses "
			"another namespace.\n",
			program, session_namespace(s));
}

int session_fail(const struct session *session, const struct err *err)
{
	/* ERR holds as much of the failure as it has room for. */
	bool is_of_server = session && *session->failure && *err->msg &&
			    strncmp(session->failure, err->msg, strlen(err->msg)) == 0;

	if (!is_of_server)
		return command_fail(err);
	(void)fprintf(stderr, "%s\n", session->failure);
	print_advice(session, err->code);
	return EXIT_FAILED;
}

int session_check_name(const char *what, const char *name, struct err *err)
{
	if (str_is_dns_subdomain(str_of(name)))
		return 0;
	return err_set(
		err, ERR_INVALID,
		"%s: \"%.60s\" is not a name: expected lower-case letters, digits, '-' and '.'",
		what, name);
}

/* TEXT is compact JSON. Indented by four spaces, as kubectl prints it. */
static void print_indented(const char *text)
{
	int depth = 0;
	bool is_string = false;

	for (const char *c = text; *c; c++) {
		bool is_empty = (*c == '{' && c[1] == '}') || (*c == '[' && c[1] == ']');

		if (!is_string && (*c == '}' || *c == ']'))
			printf("\n%*s", 4 * --depth, "");
		(void)putchar(*c);
		if (is_string) {
			if (*c == '\\')
				(void)putchar(*++c);
			else if (*c == '"')
				is_string = false;
		} else if (is_empty) {
			(void)putchar(*++c);
		} else if (*c == '{' || *c == '[') {
			printf("\n%*s", 4 * ++depth, "");
		} else if (*c == ',') {
			printf("\n%*s", 4 * depth, "");
		} else if (*c == ':') {
			(void)putchar(' ');
		} else if (*c == '"') {
			is_string = true;
		}
	}
	(void)putchar('\n');
}

void session_print_json(const cJSON *doc)
{
	char *text = cJSON_PrintUnformatted(doc);

	mem_require(text != NULL);
	assert(text);
	print_indented(text);
	(void)fflush(stdout);
	explicit_bzero(text, strlen(text));
	cJSON_free(text);
}
