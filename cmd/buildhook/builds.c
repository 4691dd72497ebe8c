/* `buildhook start`, `cancel` and `logs`: what oc start-build, oc cancel-build and oc logs do, for
 * clusters without OpenShift's API. */
#include "target.h"
#include "view.h"

#include "base/clock.h"
#include "base/mem.h"
#include "controller/build_body.h"

#include <inttypes.h>
#include <stdio.h>

#define API           "/apis/build.openshift.io/v1/namespaces/%s"
#define MAX_TRIES     20
#define STEP_MS       500
#define CANCEL_MS     10000
#define PATIENCE_MS   5000
#define MAX_COMMIT    64
#define NOBODY_BUILDS "Where it stays New, nothing on this cluster runs builds"

struct options {
	const char *commit;
	bool follow;
};

static const struct flag start_flags[] = {
	{"commit", FLAG_STRING, offsetof(struct options, commit), "C",
	 "commit to build (default: what the BuildConfig's ref points at)", NULL},
	{"follow", FLAG_BOOL | FLAG_SHORT('f'), offsetof(struct options, follow), NULL,
	 "print the log until the build has ended; its failure is exit status 1", NULL},
};
static const size_t start_n_flags = ARRAY_LEN(start_flags);

static const struct flag logs_flags[] = {
	{"follow", FLAG_BOOL | FLAG_SHORT('f'), offsetof(struct options, follow), NULL,
	 "go on until the build has ended", NULL},
};
static const size_t logs_n_flags = ARRAY_LEN(logs_flags);

static int check_start(const struct target *target, const char *commit, struct err *err)
{
	const char *name = target->bc->name;

	if (target->bc->is_paused)
		return err_set(err, ERR_INVALID,
			       "buildconfig \"%s\" is paused: remove annotation "
			       "openshift.io/build-config.paused first",
			       name);
	if (commit && !target->bc->has_git)
		return err_set(err, ERR_INVALID,
			       "--commit: buildconfig \"%s\" has no Git source (spec.source.git)",
			       name);
	return 0;
}

static int check_commit(const char *commit, struct err *err)
{
	size_t n = commit ? strspn(commit, "0123456789abcdef") : 0;

	if (!commit || (n >= 7 && n <= MAX_COMMIT && !commit[n]))
		return 0;
	return err_set(err, ERR_INVALID,
		       "--commit: found \"%.70s\", expected 7 to 64 lower-case hex digits", commit);
}

/* The number of the next Build: after lastVersion, which may be out of date, and after all existing
 * Builds. */
static int find_number(int64_t *out, struct session *session, const struct target *target,
		       struct err *err)
{
	CLEANUP(session_answer_release) struct session_answer builds = {0};
	const cJSON *build = NULL;

	if (session_get(session, &builds, err, API "/builds", session_namespace(session)) != 0)
		return err->code;
	*out = target->bc->last_version;
	cJSON_ArrayForEach (build, json_member(builds.doc, "items"))
		if (view_is_build_of(build, target->bc->name) && view_build_number(build) > *out)
			*out = view_build_number(build);
	(*out)++;
	return 0;
}

/* A failure does no harm: if the caller lacks the right, or another client was faster, the next
 * start finds the name taken and moves on. */
static void raise_version(struct session *session, const struct target *target, int64_t number)
{
	CLEANUP(json_freep) cJSON *patch = json_new_object();
	cJSON *metadata = json_put_object(patch, "metadata");
	struct err ignored = {0};

	json_put_str(metadata, "uid", target->bc->uid);
	json_put_str(metadata, "resourceVersion", target->bc->resource_version);
	json_put_int(json_put_object(patch, "status"), "lastVersion", number);
	(void)session_send(session, NULL, KUBE_MERGE_PATCH, patch, &ignored,
			   API "/buildconfigs/%s/status?fieldManager=kubectl-buildhook",
			   session_namespace(session), target->bc->name);
}

static int create(char name_out[BUILD_NAME_BYTES], struct session *session,
		  const struct target *target, const struct journal_change *change, struct err *err)
{
	int64_t number = 0;

	if (find_number(&number, session, target, err) != 0)
		return err->code;
	for (int i = 0; i < MAX_TRIES; i++, number++) {
		CLEANUP(json_freep)
		cJSON *build = build_body(target->answer.doc, change, number,
					  clock_wall_ms(session_clock(session)));

		build_name(name_out, target->bc->name, number);
		if (session_send(session, NULL, KUBE_POST, build, err,
				 API "/builds?fieldManager=kubectl-buildhook",
				 session_namespace(session)) == 0) {
			raise_version(session, target, number);
			return 0;
		}
		if (err->code != ERR_EXISTS)
			break;
	}
	return err->code;
}

static int instantiate(char name_out[BUILD_NAME_BYTES], struct session *session,
		       const struct target *target, const struct journal_change *change,
		       struct err *err)
{
	CLEANUP(json_freep) cJSON *request = build_request_body(change, -1);
	CLEANUP(session_answer_release) struct session_answer build = {0};
	const char *name;

	if (session_send(session, &build, KUBE_POST, request, err,
			 API "/buildconfigs/%s/instantiate", session_namespace(session),
			 target->bc->name) != 0)
		return err->code;
	name = json_str_at(build.doc, "metadata/name");
	(void)snprintf(name_out, BUILD_NAME_BYTES, "%s", name ? name : "");
	return 0;
}

/* COMMIT NULL: what the BuildConfig's ref points at. NAME_OUT: name of the Build. Uses instantiate
 * where the cluster has it, else makes the Build itself. */
static int start_build(char name_out[BUILD_NAME_BYTES], struct session *session,
		       const struct target *target, const char *commit, struct err *err)
{
	struct journal_change change = build_change_by_hand(target->bc->uid, target->bc->namespace_,
							    target->bc->name, commit);
	bool has_instantiate = false;

	if (check_start(target, commit, err) != 0 ||
	    session_has_instantiate(session, &has_instantiate, err) != 0)
		return err->code;
	return has_instantiate ? instantiate(name_out, session, target, &change, err)
			       : create(name_out, session, target, &change, err);
}

static int read_build(struct session_answer *out, struct session *session, const char *name,
		      struct err *err)
{
	int code;

	session_answer_release(out);
	code = session_get(session, out, err, API "/builds/%s", session_namespace(session), name);
	if (code == ERR_NOTFOUND)
		session_suggest(session, "builds", name);
	return code;
}

static void print_bytes(void *session, struct str bytes)
{
	(void)session;
	if (bytes.n > 0)
		(void)fwrite(bytes.p, 1, bytes.n, stdout);
	(void)fflush(stdout);
}

static const cJSON *find_named(const cJSON *list, const char *name)
{
	const cJSON *item = NULL;

	cJSON_ArrayForEach (item, list) {
		const char *other = json_str_at(item, "name");

		if (other && strcmp(other, name) == 0)
			return item;
	}
	return NULL;
}

/* True if a container runs or has run, so that there is a log. */
static bool has_begun(const cJSON *pod, const char *list, const char *container)
{
	const cJSON *status = find_named(json_member(json_member(pod, "status"), list), container);

	return json_at(status, "state/running") || json_at(status, "state/terminated") ||
	       json_at(status, "lastState/terminated");
}

/* A Build's log is that of its Pod: as on OpenShift, NAME-N-build. */
static void pod_name(char out[BUILD_NAME_BYTES], const cJSON *build, const char *name)
{
	const char *annotated = view_annotation(build, "openshift.io/build.pod-name");

	if (*annotated)
		(void)snprintf(out, BUILD_NAME_BYTES, "%s", annotated);
	else
		buildconfig_child_name(out, name, "build");
}

/* Prints the log snippet of a Build that has ended and whose Pod is gone. */
static int print_snippet(const cJSON *build, const char *name, struct err *err)
{
	const char *snippet = json_str_at(build, "status/logSnippet");
	const char *message = json_str_at(build, "status/message");

	if (!snippet || !*snippet)
		return err_set(err, ERR_NOTFOUND,
			       "build \"%s\" is %s%s%s; its Pod, and with it the log, "
			       "is gone",
			       name, view_phase(build), message ? ": " : "",
			       message ? message : "");
	(void)fputs("The build's Pod is gone; the end of its log was:\n", stderr);
	printf("%s\n", snippet);
	return 0;
}

/* The logs of the Pod's containers, one after the other in the order in which they run. With FOLLOW
 * those that have not begun are waited for while the Build lasts. */
static int print_containers(struct session *session, const char *name, const char *pod_name_,
			    const char *specs, const char *statuses, bool follow, struct err *err)
{
	for (int i = 0;; i++) {
		CLEANUP(session_answer_release) struct session_answer build = {0}, pod = {0};
		const cJSON *spec;
		const char *container;

		if (session_get(session, &pod, err, "/api/v1/namespaces/%s/pods/%s",
				session_namespace(session), pod_name_) != 0)
			return err->code;
		spec = cJSON_GetArrayItem(json_member(json_member(pod.doc, "spec"), specs), i);
		container = json_str_at(spec, "name");
		if (!container)
			return 0;
		if (!has_begun(pod.doc, statuses, container)) {
			if (!follow || read_build(&build, session, name, err) != 0 ||
			    view_is_over(build.doc))
				continue;
			session_wait(session, STEP_MS);
			i--;
			continue;
		}
		if (session_stream(session, print_bytes, err,
				   "/api/v1/namespaces/%s/pods/%s/log?container=%s%s",
				   session_namespace(session), pod_name_, container,
				   follow ? "&follow=true" : "") != 0)
			return err->code;
	}
}

/* The log of a Build, on stdout; with FOLLOW until the Build has ended. */
static int print_log(struct session *session, const char *name, bool follow, struct err *err)
{
	int64_t tell_ms = clock_mono_ms(session_clock(session)) + PATIENCE_MS;

	for (;;) {
		CLEANUP(session_answer_release) struct session_answer build = {0}, pod = {0};
		char pod_of[BUILD_NAME_BYTES];
		int code;

		if (read_build(&build, session, name, err) != 0)
			return err->code;
		pod_name(pod_of, build.doc, name);
		code = session_get(session, &pod, err, "/api/v1/namespaces/%s/pods/%s",
				   session_namespace(session), pod_of);
		if (code == 0)
			return print_containers(session, name, pod_of, "initContainers",
						"initContainerStatuses", follow, err) != 0
				       ? err->code
				       : print_containers(session, name, pod_of, "containers",
							  "containerStatuses", follow, err);
		if (code != ERR_NOTFOUND)
			return code;
		if (view_is_over(build.doc))
			return print_snippet(build.doc, name, err);
		if (!follow)
			return err_set(err, ERR_NOTFOUND,
				       "build \"%s\" is %s: it has no Pod yet (--follow "
				       "waits). " NOBODY_BUILDS,
				       name, view_phase(build.doc));
		if (clock_mono_ms(session_clock(session)) >= tell_ms) {
			(void)fprintf(
				stderr,
				"Waiting: build \"%s\" is %s, and has no Pod yet. " NOBODY_BUILDS
				".\n",
				name, view_phase(build.doc));
			tell_ms = INT64_MAX;
		}
		session_wait(session, STEP_MS);
	}
}

/* Waits for the end of a Build, and prints its phase. ERR_INVALID where that is not Complete. */
static int wait_for_end(struct session *session, const char *name, struct err *err)
{
	for (;;) {
		CLEANUP(session_answer_release) struct session_answer build = {0};
		const char *message;

		if (read_build(&build, session, name, err) != 0)
			return err->code;
		if (!view_is_over(build.doc)) {
			session_wait(session, STEP_MS);
			continue;
		}
		message = json_str_at(build.doc, "status/message");
		if (strcmp(view_phase(build.doc), "Complete") == 0) {
			printf("build.build.openshift.io/%s Complete\n", name);
			return 0;
		}
		return err_set(err, ERR_INVALID, "build \"%s\" is %s%s%s", name,
			       view_phase(build.doc), message ? ": " : "", message ? message : "");
	}
}

static int run_start(const struct invocation *in)
{
	const struct options *options = in->options;
	CLEANUP(session_freep) struct session *session = NULL;
	CLEANUP(target_release) struct target target = {0};
	char build[BUILD_NAME_BYTES] = "";
	struct err err = {0};

	if (check_commit(options->commit, &err) != 0)
		return command_fail_usage(in, &err);
	if (session_open(&session, in, &err) != 0 ||
	    target_read(&target, session, in->args[0], &err) != 0 ||
	    start_build(build, session, &target, options->commit, &err) != 0)
		return session_fail(session, &err);
	printf("build.build.openshift.io/%s started\n", build);
	(void)fflush(stdout);
	if (options->follow &&
	    (print_log(session, build, true, &err) != 0 || wait_for_end(session, build, &err) != 0))
		return session_fail(session, &err);
	return EXIT_OK;
}

static int cancel(struct session *session, const char *name, struct err *err)
{
	CLEANUP(session_answer_release) struct session_answer build = {0};
	CLEANUP(json_freep) cJSON *patch = json_new_object();
	int64_t until_ms;

	if (read_build(&build, session, name, err) != 0)
		return err->code;
	if (view_is_over(build.doc))
		return err_set(err, ERR_INVALID, "build \"%s\" has ended: %s", name,
			       view_phase(build.doc));
	json_put_bool(json_put_object(patch, "status"), "cancelled", true);
	if (session_send(session, NULL, KUBE_MERGE_PATCH, patch, err,
			 API "/builds/%s?fieldManager=kubectl-buildhook",
			 session_namespace(session), name) != 0)
		return err->code;
	until_ms = clock_mono_ms(session_clock(session)) + CANCEL_MS;
	while (!view_is_over(build.doc) && clock_mono_ms(session_clock(session)) < until_ms) {
		session_wait(session, STEP_MS);
		if (read_build(&build, session, name, err) != 0)
			return err->code;
	}
	if (view_is_over(build.doc))
		printf("build.build.openshift.io/%s %s\n", name, view_phase(build.doc));
	else
		printf("build.build.openshift.io/%s marked for cancellation (%s)\n"
		       "It ends as soon as whatever runs builds here sees the mark; where it does "
		       "not end, nothing runs builds.\n",
		       name, view_phase(build.doc));
	return 0;
}

static int run_cancel(const struct invocation *in)
{
	CLEANUP(session_freep) struct session *session = NULL;
	struct err err = {0};

	if (session_open(&session, in, &err) != 0 || cancel(session, in->args[0], &err) != 0)
		return session_fail(session, &err);
	return EXIT_OK;
}

/* "cart-7" */
static bool is_build_name(const char *name)
{
	const char *dash = strrchr(name, '-');

	return dash && dash[1] && !dash[1 + strspn(dash + 1, "0123456789")];
}

/* NAME is a Build, or else a BuildConfig, whose newest Build is meant. */
static int resolve_build(char out[BUILD_NAME_BYTES], struct session *session, const char *name,
			 struct err *err)
{
	CLEANUP(session_answer_release) struct session_answer build = {0}, builds = {0};
	CLEANUP(target_release) struct target target = {0};
	const cJSON *item = NULL;
	int64_t newest = 0;

	if (session_get(session, &build, err, API "/builds/%s", session_namespace(session), name) ==
	    0) {
		(void)snprintf(out, BUILD_NAME_BYTES, "%s", name);
		return 0;
	}
	if (err->code != ERR_NOTFOUND)
		return err->code;
	if (target_read(&target, session, name, err) != 0)
		return err->code == ERR_NOTFOUND && is_build_name(name)
			       ? read_build(&build, session, name, err)
			       : err->code;
	if (session_get(session, &builds, err, API "/builds", session_namespace(session)) != 0)
		return err->code;
	cJSON_ArrayForEach (item, json_member(builds.doc, "items")) {
		const char *found = json_str_at(item, "metadata/name");

		if (!found || !view_is_build_of(item, name) || view_build_number(item) <= newest)
			continue;
		newest = view_build_number(item);
		(void)snprintf(out, BUILD_NAME_BYTES, "%s", found);
	}
	if (newest > 0)
		return 0;
	return err_set(err, ERR_NOTFOUND, "buildconfig \"%s\" has no builds; start %s starts one",
		       name, name);
}

static int run_logs(const struct invocation *in)
{
	const struct options *options = in->options;
	CLEANUP(session_freep) struct session *session = NULL;
	char build[BUILD_NAME_BYTES] = "";
	struct err err = {0};

	if (session_open(&session, in, &err) != 0 ||
	    resolve_build(build, session, in->args[0], &err) != 0 ||
	    print_log(session, build, options->follow, &err) != 0)
		return session_fail(session, &err);
	return EXIT_OK;
}

const struct command command_start = {
	.name = "start",
	.args = "NAME",
	.summary = "start a build of a BuildConfig",
	.about = "Starts a build of BuildConfig NAME, as `oc start-build` does: on OpenShift "
		 "through its own API, "
		 "on other clusters by making the Build as buildhook does.",
	.examples = "buildhook start cart\nbuildhook start cart --commit 3f2a1b0c --follow",
	.min_args = 1,
	.max_args = 1,
	.arg_kinds = {ARG_BUILDCONFIG},
	.shared = FLAGS_CLUSTER,
	.flags = start_flags,
	.n_flags = &start_n_flags,
	.options_size = sizeof(struct options),
	.run = run_start,
};

const struct command command_cancel = {
	.name = "cancel",
	.args = "BUILD",
	.summary = "cancel a build",
	.about = "Marks a Build for cancellation, as `oc cancel-build` does, and waits a few "
		 "seconds for its end.",
	.examples = "buildhook cancel cart-7",
	.min_args = 1,
	.max_args = 1,
	.arg_kinds = {ARG_BUILD},
	.shared = FLAGS_CLUSTER,
	.run = run_cancel,
};

const struct command command_logs = {
	.name = "logs",
	.args = "NAME",
	.summary = "print the log of a build",
	.about = "Prints the log of Build NAME, or of the newest Build of BuildConfig NAME: what "
		 "its Pod, "
		 "NAME-N-build, wrote. Where the Pod is gone it prints the end of the log that the "
		 "Build keeps.",
	.examples = "buildhook logs cart\nbuildhook logs cart-7 -f",
	.min_args = 1,
	.max_args = 1,
	.arg_kinds = {ARG_BUILD},
	.shared = FLAGS_CLUSTER,
	.flags = logs_flags,
	.n_flags = &logs_n_flags,
	.options_size = sizeof(struct options),
	.run = run_logs,
};
