/*
 * What a command for people has of the cluster: the kubeconfig as kubectl reads it (exec plug-ins
 * too), an API client on an event loop, and calls that wait for their answer. Errors are worded as
 * kubectl words them.
 */
#pragma once

#include "command.h"

#include "kube/informer.h"

struct loop;
struct session;

/* ERR_INVALID, ERR_NOTFOUND: the kubeconfig cannot be used, and the message says why. May run the
 * user's exec plug-in, which may ask on the terminal. */
int session_open(struct session **out, const struct invocation *in, struct err *err);
void session_free(struct session *session);
/* For CLEANUP. */
void session_freep(struct session **session);

/* The namespace of --namespace, or the context's; also with --all-namespaces. */
const char *session_namespace(const struct session *session);
/* How the program was called: "kubectl buildhook". For texts that say what to type. */
const char *session_program(const struct session *session);
/* "/root/.kube/config, context dev" */
const char *session_source(const struct session *session);
struct clock *session_clock(const struct session *session);
struct loop *session_loop(const struct session *session);
struct kube_client *session_client(const struct session *session);
/* Secrets and tokens are in memory: the bytes of SESSION's configuration are never printed. */

struct session_answer {
	int status;
	struct buf text; /* the bytes as they came */
	cJSON *doc;      /* parsed from them */
};

/* Overwrites what it frees: it may be a Secret. For CLEANUP. */
void session_answer_release(struct session_answer *answer);

/* Sends and waits. OUT, which has to be zeroed or released, is filled on success alone. */
int session_call(struct session *session, struct session_answer *out,
		 const struct kube_request *request, struct err *err);
/* GET of a path. */
int session_get(struct session *session, struct session_answer *out, struct err *err,
		const char *path_fmt, ...) __attribute__((format(printf, 4, 5)));
/* Sends JSON document BODY, which is borrowed, to a path. */
int session_send(struct session *session, struct session_answer *out, enum kube_method method,
		 const cJSON *body, struct err *err, const char *path_fmt, ...)
	__attribute__((format(printf, 6, 7)));
/*
 * GET of a stream (a log) until its end; its bytes go to FN as they come. Without a limit of time.
 */
int session_stream(struct session *session, void (*fn)(void *session, struct str bytes),
		   struct err *err, const char *path_fmt, ...)
	__attribute__((format(printf, 4, 5)));
/*
 * The objects of PLURAL in the namespaces that the flags choose, as whole documents (cJSON)
 * but for metadata.managedFields, which is long. Lists and watches from now on. The functions get
 * ARG, as in kube_informer_options.
 */
struct kube_informer *session_follow(struct session *session, const char *plural,
				     void (*on_object)(void *arg, const char *key, const void *old,
						       const void *new_),
				     void (*on_state)(void *arg), void *arg);
/* Whether the cluster starts builds by itself: OpenShift's buildconfigs/instantiate. */
int session_has_instantiate(struct session *session, bool *out, struct err *err);
/* Runs the loop for this long. */
void session_wait(struct session *session, int64_t ms);

/* After a NotFound of NAME: session_fail() will name the object of PLURAL ("buildconfigs") that was
 * probably meant. */
void session_suggest(struct session *session, const char *plural, const char *name);

/*
 * Prints "error: ..." or "Error from server (NotFound): ..." in full, and a second line with what
 * to do, on stderr. Returns EXIT_FAILED.
 */
int session_fail(const struct session *session, const struct err *err);

/* Prints DOC on stdout, for -o json. */
void session_print_json(const cJSON *doc);

/* Checks a name that becomes part of a path: ERR_INVALID says what is wrong with it. */
int session_check_name(const char *what, const char *name, struct err *err);
