/* Carries out what builder_plan() decided: one request, or the few that belong together. */
#include "builder/internal.h"

#include "base/backoff.h"
#include "base/log.h"
#include "builder/status.h"

#include <stdio.h>

#define PATH_BYTES      1024
#define DEFAULT_ACCOUNT "default"

static const struct backoff_range retry = {1000, 5 * 60 * 1000};

struct build_work {
	struct group *group;
	struct kube_call *call;
	char *key; /* the Build's */
	char *namespace_, *name, *uid, *version;
	char pod_name[BUILDER_NAME_BYTES];
	struct build_write write; /* without its pod */
	enum build_phase from;
	bool is_dry_run;
};

static struct build_work *work_new(struct group *group, const struct build *build)
{
	struct build_work *work = mem_new(1, sizeof(*work));
	CLEANUP(buf_release) struct buf key = BUF_INIT(PATH_BYTES);

	buf_printf(&key, "%s/%s", build->namespace_, build->name);
	work->group = group;
	work->key = buf_take(&key);
	work->namespace_ = mem_strdup(build->namespace_);
	work->name = mem_strdup(build->name);
	work->uid = mem_strdup(build->uid);
	work->version = mem_strdup(build->version);
	work->from = build->phase;
	build_pod_name(work->pod_name, build->name);
	group->work = work;
	return work;
}

static void work_free(struct build_work *work)
{
	free(work->key);
	free(work->namespace_);
	free(work->name);
	free(work->uid);
	free(work->version);
	free(work);
}

void builder_cancel(struct build_work *work)
{
	kube_cancel(work->call);
	work_free(work);
}

static void finish(struct build_work *work, bool has_failed)
{
	struct group *group = work->group;

	work_free(work);
	builder_finish(group, has_failed);
}

static int64_t now_ms(const struct build_work *work)
{
	return clock_mono_ms(work->group->builder->opt.clock);
}

/* The Build as it is now; NULL when it has gone or was made again. */
static const struct build *find_build(const struct build_work *work)
{
	const struct build *build = kube_store_find(work->group->builder->builds, work->key);

	return build && strcmp(build->uid, work->uid) == 0 ? build : NULL;
}

static void log_failure(const struct build_work *work, const char *what, const struct err *err)
{
	log_msg(LOG_WARN, "builder", what, LOG_FIELD("namespace", work->namespace_),
		LOG_FIELD("build", work->name), LOG_FIELD("error", err->msg));
}

/* DOC: the body, or NULL. */
static void send(struct build_work *work, enum kube_method method, const char *path,
		 const cJSON *doc, const char *resource, kube_response_fn fn)
{
	work->call = builder_send(work->group->builder, method, path, doc, resource, fn, work);
}

static void pod_path(char *out, const struct build_work *work)
{
	(void)snprintf(out, PATH_BYTES, "/api/v1/namespaces/%s/pods/%s", work->namespace_,
		       work->pod_name);
}

static void build_path(char *out, const struct build_work *work)
{
	(void)snprintf(out, PATH_BYTES, "/apis/build.openshift.io/v1/namespaces/%s/builds/%s",
		       work->namespace_, work->name);
}

/* Writing the status. */

static const struct {
	const char *reason, *note;
} phase_events[BUILD_PHASES] = {
	[BUILD_RUNNING] = {"BuildStarted", "is now running"},
	[BUILD_COMPLETE] = {"BuildCompleted", "completed successfully"},
	[BUILD_FAILED] = {"BuildFailed", "failed"},
	[BUILD_ERROR] = {"BuildFailed", "failed"},
	[BUILD_CANCELLED] = {"BuildCancelled", "has been cancelled"},
};

static void tell(const struct build_work *work, const struct build *build)
{
	enum build_phase phase = work->write.phase;
	CLEANUP(buf_release) struct buf note = BUF_INIT(2048);

	if (phase == BUILD_NEW) {
		builder_event(work->group->builder, build, true, "FailedCreate",
			      work->write.message);
		return;
	}
	if (phase == work->from || !phase_events[phase].reason)
		return;
	log_msg(LOG_INFO, "builder", "phase", LOG_FIELD("namespace", work->namespace_),
		LOG_FIELD("build", work->name), LOG_FIELD("phase", build_phase_names[phase]),
		LOG_FIELD("reason", work->write.reason), LOG_FIELD("error", work->write.message));
	buf_printf(&note, "Build %s/%s %s", work->namespace_, work->name, phase_events[phase].note);
	if (*work->write.message)
		buf_printf(&note, ": %s", work->write.message);
	builder_event(work->group->builder, build, phase == BUILD_FAILED || phase == BUILD_ERROR,
		      phase_events[phase].reason, note.data);
}

static void on_written(void *arg, const struct kube_response *response)
{
	struct build_work *work = arg;
	struct builder *builder = work->group->builder;
	int code = response->err.code;

	work->call = NULL;
	if (code == ERR_OK) {
		kube_store_put_written(builder->builds, response->doc, now_ms(work));
		if (find_build(work))
			tell(work, find_build(work));
	} else if (code != ERR_CONFLICT && code != ERR_NOTFOUND) {
		log_failure(work, "status was not written", &response->err);
	}
	/* 409, 404: the Build has changed or gone, and the watch will report it. */
	finish(work, code != ERR_OK);
}

static void write_status(struct group *group, const struct builder_action *next)
{
	const struct build *build = next->target->build;
	struct build_work *work = work_new(group, build);
	CLEANUP(buf_release) struct buf output = BUF_INIT(4096);
	CLEANUP(json_freep) cJSON *patch = NULL;
	char path[PATH_BYTES];

	work->write = next->write;
	work->write.pod = NULL;
	if (build->spec && *build->strategy)
		(void)builder_output_image(&output, build, &group->builder->opt.pod);
	patch = build_patch(build, &next->write, buf_text(&output),
			    clock_wall_ms(group->builder->opt.clock));
	build_path(path, work);
	send(work, KUBE_MERGE_PATCH, path, patch, "builds", on_written);
}

/* Making the Pod. */

static void post_pod(struct build_work *work);

/* Shown as reason CannotCreateBuildPod of a Build that stays New, and tried again. */
static void set_trouble(struct build_work *work, const char *text)
{
	struct entry *entry = builder_find_entry(work->group->builder, work->key);
	CLEANUP(buf_release) struct buf message = BUF_INIT(4096);

	if (!entry)
		return;
	entry->retry_ms = now_ms(work) +
			  backoff_ms(work->group->builder->opt.clock, &retry, ++entry->attempts);
	/* Cleaned like a status (status.c): otherwise each look would find that the status differs,
	 * and write it again. */
	buf_put_str(&message, STR("Failed creating build pod. "));
	buf_put_clean(&message, str_of(text), 600);
	entry_set_trouble(entry, "CannotCreateBuildPod", message.data);
}

static void on_version(void *arg, const struct kube_response *response)
{
	struct build_work *work = arg;
	const char *version = json_str_at(response->doc, "gitVersion");
	CLEANUP(buf_release) struct buf text = BUF_INIT(1024);

	work->call = NULL;
	buf_printf(
		&text,
		"The API server (%.40s), or a policy of the namespace, drops hostUsers: false, so "
		"the build would run without a user namespace. Use a cluster with user namespaces "
		"for Pods (Kubernetes 1.33), or "
		"start the build controller with --host-users, which lets root of a build be root "
		"on the node.",
		version ? version : "of unknown version");
	set_trouble(work, text.data);
	finish(work, false);
}

static bool is_account_missing(const struct build_work *work, const struct kube_response *response)
{
	const struct build *build = find_build(work);

	return response->err.code == ERR_DENIED && !work->group->has_no_builder_account && build &&
	       strcmp(builder_service_account(build), "builder") == 0 &&
	       str_contains(str_of(response->err.msg), STR("serviceaccount \"builder\" not found"));
}

static void on_refused(struct build_work *work, const struct kube_response *response)
{
	struct entry *entry = builder_find_entry(work->group->builder, work->key);

	if (response->err.code == ERR_EXISTS) {
		/* The Pod is another replica's, or of an earlier request whose answer was lost, or
		 * somebody else's: plan.c tells by its owner. */
		if (entry)
			entry_expect_pod(entry, now_ms(work));
		finish(work, false);
		return;
	}
	if (is_account_missing(work, response)) {
		/* OpenShift gives each namespace a ServiceAccount "builder"; elsewhere there need
		 * be none. */
		work->group->has_no_builder_account = true;
		post_pod(work);
		return;
	}
	log_failure(work, "Pod was not created", &response->err);
	if (response->err.code == ERR_DENIED || response->err.code == ERR_INVALID) {
		set_trouble(work, response->err.msg);
		finish(work, false);
		return;
	}
	finish(work, true);
}

static bool keeps_host_users(const struct builder *builder, const cJSON *pod)
{
	return builder->opt.pod.host_users || !json_bool_at(pod, "spec/hostUsers", true);
}

static void send_delete(struct build_work *work, const char *path, const char *uid,
			const char *version, const char *resource, kube_response_fn fn);

static void on_unsafe_deleted(void *arg, const struct kube_response *response)
{
	struct build_work *work = arg;

	work->call = NULL;
	if (response->err.code != ERR_OK && response->err.code != ERR_NOTFOUND)
		log_failure(work, "Pod without a user namespace was not deleted", &response->err);
	send(work, KUBE_GET, "/version", NULL, "version", on_version);
}

/* A policy of this namespace removed hostUsers: false from the Pod, so its root would be root on
 * the node. */
static void delete_unsafe_pod(struct build_work *work, const cJSON *pod)
{
	const char *uid = json_str_at(pod, "metadata/uid");
	char path[PATH_BYTES];

	work->group->drops_host_users = true;
	pod_path(path, work);
	send_delete(work, path, uid ? uid : "", NULL, "pods", on_unsafe_deleted);
}

static void on_pod(void *arg, const struct kube_response *response)
{
	struct build_work *work = arg;
	struct builder *builder = work->group->builder;

	work->call = NULL;
	if (response->err.code != ERR_OK) {
		on_refused(work, response);
		return;
	}
	if (!work->is_dry_run && !keeps_host_users(builder, response->doc)) {
		delete_unsafe_pod(work, response->doc);
		return;
	}
	if (!work->is_dry_run) {
		struct entry *entry = builder_find_entry(builder, work->key);

		if (entry) {
			entry->attempts = 0;
			entry_expect_pod(entry, now_ms(work));
		}
		log_msg(LOG_INFO, "builder", "Pod created",
			LOG_FIELD("namespace", work->namespace_), LOG_FIELD("build", work->name),
			LOG_FIELD("pod", work->pod_name));
		finish(work, false);
		return;
	}
	if (keeps_host_users(builder, response->doc)) {
		work->group->drops_host_users = false;
		builder->user_namespaces = USER_NAMESPACES_KEPT;
		post_pod(work);
		return;
	}
	send(work, KUBE_GET, "/version", NULL, "version", on_version);
}

/* Whether the cluster keeps hostUsers: false shows only in a created Pod, which then runs; so the
 * first one is a dry run. */
static void post_pod(struct build_work *work)
{
	struct builder *builder = work->group->builder;
	const struct build *build = find_build(work);
	CLEANUP(json_freep) cJSON *pod = NULL;
	char path[PATH_BYTES];
	bool is_default;

	if (!build || strcmp(build->version, work->version) != 0) {
		finish(work, false);
		return;
	}
	is_default = work->group->has_no_builder_account &&
		     strcmp(builder_service_account(build), "builder") == 0;
	work->is_dry_run = !builder->opt.pod.host_users &&
			   (builder->user_namespaces == USER_NAMESPACES_UNKNOWN ||
			    work->group->drops_host_users);
	pod = builder_pod(build, &builder->opt.pod, is_default ? DEFAULT_ACCOUNT : NULL);
	(void)snprintf(path, sizeof(path),
		       "/api/v1/namespaces/%s/pods?fieldManager=buildhook-build-controller%s",
		       work->namespace_, work->is_dry_run ? "&dryRun=All" : "");
	send(work, KUBE_POST, path, pod, "pods", on_pod);
}

/* Looking for it, and deleting. */

static void on_looked(void *arg, const struct kube_response *response)
{
	struct build_work *work = arg;
	struct builder *builder = work->group->builder;
	struct entry *entry = builder_find_entry(builder, work->key);
	int code = response->err.code;

	work->call = NULL;
	if (code == ERR_OK && entry)
		entry_expect_pod(entry, now_ms(work));
	if (code == ERR_NOTFOUND && entry) {
		mem_free(&entry->gone_version);
		entry->gone_version = mem_strdup(work->version);
	}
	finish(work, code != ERR_OK && code != ERR_NOTFOUND);
}

/* The Pod is gone at once, or marked and ends within its grace period. */
static void on_pod_deleted(void *arg, const struct kube_response *response)
{
	struct build_work *work = arg;
	struct builder *builder = work->group->builder;
	const char *kind = json_str_at(response->doc, "kind");
	int code = response->err.code;

	work->call = NULL;
	if (code == ERR_OK && kind && strcmp(kind, "Pod") == 0 &&
	    json_at(response->doc, "metadata/deletionTimestamp")) {
		kube_store_put_written(builder->pods, response->doc, now_ms(work));
	} else if (code == ERR_OK || code == ERR_NOTFOUND) {
		CLEANUP(buf_release) struct buf key = BUF_INIT(PATH_BYTES);

		buf_printf(&key, "%s/%s", work->namespace_, work->pod_name);
		kube_store_remove(builder->pods, key.data);
	} else if (code != ERR_CONFLICT) { /* the watch is behind */
		log_failure(work, "Pod was not deleted", &response->err);
	}
	finish(work, code != ERR_OK && code != ERR_NOTFOUND);
}

/* VERSION: the resourceVersion that the object must still have, or NULL. */
static void send_delete(struct build_work *work, const char *path, const char *uid,
			const char *version, const char *resource, kube_response_fn fn)
{
	CLEANUP(json_freep) cJSON *options = json_new_object();
	cJSON *preconditions;

	json_put_str(options, "apiVersion", "v1");
	json_put_str(options, "kind", "DeleteOptions");
	json_put_str(options, "propagationPolicy", "Background");
	preconditions = json_put_object(options, "preconditions");
	json_put_str(preconditions, "uid", uid);
	if (version)
		json_put_str(preconditions, "resourceVersion", version);
	send(work, KUBE_DELETE, path, options, resource, fn);
}

static void on_pruned(void *arg, const struct kube_response *response)
{
	struct build_work *work = arg;
	struct entry *entry = builder_find_entry(work->group->builder, work->key);
	int code = response->err.code;

	work->call = NULL;
	if (code == ERR_OK || code == ERR_NOTFOUND) {
		if (entry && find_build(work))
			entry->is_pruned = true; /* the watch tells of its end */
		if (code == ERR_OK)
			log_msg(LOG_INFO, "builder", "Build pruned",
				LOG_FIELD("namespace", work->namespace_),
				LOG_FIELD("build", work->name));
	} else {
		log_failure(work, "Build was not pruned", &response->err);
	}
	finish(work, code != ERR_OK && code != ERR_NOTFOUND);
}

void builder_act(struct group *group, const struct builder_action *next)
{
	struct build_work *work;
	char path[PATH_BYTES];

	if (next->kind == BUILDER_WRITE) {
		write_status(group, next);
		return;
	}
	if (next->kind == BUILDER_FIRST_BUILD) {
		first_build_start(group);
		return;
	}
	work = work_new(group, next->target->build);
	pod_path(path, work);
	switch (next->kind) {
	case BUILDER_CREATE_POD:
		group->is_starting = true;
		post_pod(work);
		return;
	case BUILDER_LOOK_FOR_POD:
		send(work, KUBE_GET, path, NULL, "pods", on_looked);
		return;
	case BUILDER_DELETE_POD:
		send_delete(work, path, next->target->pod->uid,
			    next->only_as_seen ? next->target->pod->version : NULL, "pods",
			    on_pod_deleted);
		return;
	case BUILDER_PRUNE:
		build_path(path, work);
		send_delete(work, path, work->uid, NULL, "builds", on_pruned);
		return;
	case BUILDER_WRITE:
	case BUILDER_FIRST_BUILD:
	case BUILDER_NONE:
		break;
	}
	abort();
}
