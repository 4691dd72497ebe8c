/* The rules of the build controller, in order of dependence. Pure. */
#include "builder/plan.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* A node whose runtime has no user namespaces tries to start the Pod for ever, and says why only in
 * an Event, which is not read here. The hint's text fits into a status. */
#define SANDBOX_MS (2 * 60 * 1000)
static const char no_sandbox[] =
	"The node has not started the Pod for two minutes. The Pod's Events say why (kubectl "
	"describe pod). Where they name user namespaces, the node's runtime has none: containerd "
	"2.0 or CRI-O 1.25 does; or start the build controller with --host-users.";

/* Requests time out after this, and what was sent may still be carried out for a while. */
#define REQUEST_MS (30 * 1000)
#define SETTLE_MS  (2 * REQUEST_MS)

static bool is_unfinished(const struct pod *pod)
{
	return pod && pod->phase != POD_SUCCEEDED && pod->phase != POD_FAILED;
}

static bool is_ours(const struct seen_build *s)
{
	return s->pod && strcmp(s->pod->owner_uid, s->build->uid) == 0;
}

/* Whether a Build takes part in its BuildConfig's run policy: also one whose Pod was made before
 * its status could be written, and one that was cancelled while its Pod still runs. */
static bool is_active(const struct seen_build *s)
{
	return s->build->phase == BUILD_PENDING || s->build->phase == BUILD_RUNNING ||
	       (is_ours(s) && is_unfinished(s->pod)) || (!s->pod && s->expected_ms > 0);
}

static bool is_waiting(const struct seen_build *s)
{
	return s->build->phase == BUILD_NEW && !s->build->is_deleting && !s->pod &&
	       s->expected_ms <= 0;
}

static void wait_at_most(struct builder_action *next, int64_t wait_ms)
{
	if (next->wait_ms < 0 || wait_ms < next->wait_ms)
		next->wait_ms = wait_ms;
}

static int64_t left_ms(int64_t now_ms, int64_t since_ms, int64_t wait_ms)
{
	int64_t passed_ms = now_ms - since_ms;

	return passed_ms < 0 || passed_ms >= wait_ms ? 0 : wait_ms - passed_ms;
}

static void write_phase(struct builder_action *next, const struct seen_build *s,
			enum build_phase phase, const char *reason, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

static void write_phase(struct builder_action *next, const struct seen_build *s,
			enum build_phase phase, const char *reason, const char *format, ...)
{
	va_list args;

	next->kind = BUILDER_WRITE;
	next->target = s;
	next->write.phase = phase;
	next->write.reason = reason;
	next->write.pod = is_ours(s) ? s->pod : NULL;
	va_start(args, format);
	(void)vsnprintf(next->write.message, sizeof(next->write.message), format, args);
	va_end(args);
}

static bool plan_delete_pod(const struct seen_build *s, struct builder_action *next)
{
	if (!is_ours(s) || s->pod->is_deleting)
		return false;
	next->kind = BUILDER_DELETE_POD;
	next->target = s;
	return true;
}

/* OpenShift's texts for the reasons that a container of the Pod reports, before its own words. */
static const struct failure {
	const char *reason, *text;
} failures[] = {
	{"FetchSourceFailed", "Failed to fetch the input source."},
	{"InvalidContextDirectory", "The supplied context directory does not exist."},
	{"ManageDockerfileFailed", "Failed to prepare the dockerfile for the build."},
	{"PullBuilderImageFailed", "Failed pulling builder image."},
	{"DockerBuildFailed", "Dockerfile build strategy has failed."},
	{"GenericBuildFailed", "Generic Build failure - check logs for details."},
	{"PostCommitHookFailed", "Build failed because of post commit hook."},
	{"PushImageToRegistryFailed", "Failed to push the image to the registry."},
};

/* A Pod is made of a user's image names and files, so only reasons of the table are taken from it.
 */
static const struct failure *find_failure(const struct pod_report *report)
{
	for (size_t i = 0; i < ARRAY_LEN(failures); i++)
		if (strcmp(failures[i].reason, report->reason) == 0)
			return &failures[i];
	return NULL;
}

static void plan_failed_pod(const struct seen_build *s, struct builder_action *next)
{
	const struct pod *pod = s->pod;
	const struct pod_report *report = *pod->fetch.reason ? &pod->fetch : &pod->build_report;
	const struct failure *failure = find_failure(report);

	if (pod->is_out_of_memory)
		write_phase(next, s, BUILD_FAILED, "OutOfMemoryKilled",
			    "The build pod was killed due to an out of memory condition. Raise "
			    "spec.resources.limits.memory of the BuildConfig.");
	else if (strcmp(pod->reason, "Evicted") == 0)
		write_phase(next, s, BUILD_FAILED, "BuildPodEvicted", "%s",
			    *pod->message ? pod->message : "The build pod was evicted.");
	else if (*pod->disruption && !failure)
		write_phase(next, s, BUILD_FAILED, "BuildPodEvicted", "%s", pod->disruption);
	else if (strcmp(pod->reason, "DeadlineExceeded") == 0)
		write_phase(next, s, BUILD_FAILED, "GenericBuildFailed",
			    "The build took longer than completionDeadlineSeconds (%" PRId64
			    ") and was ended. Raise spec.completionDeadlineSeconds of the "
			    "BuildConfig.",
			    s->build->deadline_s);
	else if (pod->is_deleting)
		write_phase(next, s, BUILD_ERROR, "BuildPodDeleted",
			    "The pod for this build was deleted before the build completed.");
	else if (failure)
		write_phase(next, s, BUILD_FAILED, failure->reason, "%s%s%s", failure->text,
			    *report->message ? " " : "", report->message);
	else
		write_phase(next, s, BUILD_FAILED, "GenericBuildFailed",
			    "Generic Build failure - check logs for details.%s%s",
			    *pod->message ? " " : "", pod->message);
}

static bool is_status(const struct seen_build *s, const char *reason, const char *message)
{
	return strcmp(s->build->reason, reason) == 0 && strcmp(s->build->message, message) == 0;
}

/*
 * Phases follow the Pod. It is Pending until its first container has begun; from a build's
 * point of view fetching is running. The Pod's name is recorded as soon as there is one: its end is
 * then told from a Pod that was never made.
 */
static bool plan_pod(const struct seen_config *seen, const struct seen_build *s,
		     struct builder_action *next)
{
	const struct build *b = s->build;
	const struct pod *pod = s->pod;
	const char *trouble;

	if (!is_ours(s)) {
		write_phase(
			next, s, BUILD_ERROR, "BuildPodExists",
			"The pod for this build already exists and is older than the build. Delete "
			"Pod %s and start another build.",
			pod->name);
		return true;
	}
	if (pod->phase == POD_FAILED) {
		plan_failed_pod(s, next);
		return true;
	}
	if (pod->phase == POD_SUCCEEDED) {
		if (pod->has_failed_container)
			write_phase(
				next, s, BUILD_ERROR, "FailedContainer",
				"The pod for this build has at least one container with a non-zero "
				"exit status.");
		else if (!pod->has_containers)
			write_phase(next, s, BUILD_ERROR, "NoBuildContainerStatus",
				    "The pod for this build has no container statuses indicating "
				    "success or failure.");
		else
			write_phase(next, s, BUILD_COMPLETE, "", "%s", "");
		return true;
	}
	if (pod->phase == POD_RUNNING || pod->has_begun) {
		if (b->phase == BUILD_RUNNING)
			return false;
		write_phase(next, s, BUILD_RUNNING, "", "%s", "");
		return true;
	}
	if (b->phase == BUILD_RUNNING) /* the phase never goes back */
		return false;
	trouble = pod->trouble;
	if (!*trouble && pod->has_no_sandbox && pod->started_ms > 0) {
		int64_t left = left_ms(seen->wall_ms, pod->started_ms, SANDBOX_MS);

		if (left > 0)
			wait_at_most(next, left);
		else
			trouble = no_sandbox;
	}
	if (b->phase == BUILD_PENDING && *b->pod_name && is_status(s, "", trouble))
		return false;
	write_phase(next, s, BUILD_PENDING, "", "%s", trouble);
	return true;
}

/* "status.cancelled cancels": the Pod goes first, so that a Build that says Cancelled does not run
 * on. */
static bool plan_cancel(const struct seen_build *s, struct builder_action *next)
{
	if (plan_delete_pod(s, next))
		return true;
	write_phase(next, s, BUILD_CANCELLED, "CancelledBuild",
		    "The build was cancelled by the user.");
	return true;
}

/*
 * Another replica may have made the Pod of a Build that had just ended. A finished Pod is the
 * Build's log, and goes with it.
 */
static bool plan_ended(const struct seen_config *seen, const struct seen_build *s,
		       struct builder_action *next)
{
	if (s->build->ended_ms == 0) { /* another client ended the Build and set no times */
		write_phase(next, s, s->build->phase, s->build->reason, "%s", s->build->message);
		return true;
	}
	/* The watch of Pods may be older than that of Builds: the Pod may have finished meanwhile,
	 * and is then kept. */
	next->only_as_seen = seen->keeps_pods;
	return (is_unfinished(s->pod) || !seen->keeps_pods) && plan_delete_pod(s, next);
}

/* The Pod of an active Build is not in the store. */
static bool plan_missing_pod(const struct seen_build *s, struct builder_action *next)
{
	next->target = s;
	if (!s->is_pod_gone) {
		next->kind = BUILDER_LOOK_FOR_POD;
	} else if (*s->build->pod_name || s->build->phase == BUILD_RUNNING) {
		write_phase(next, s, BUILD_ERROR, "BuildPodDeleted",
			    "The pod for this build was deleted before the build completed.");
	} else if (s->retry_ms > 0) {
		wait_at_most(next, s->retry_ms);
		return false;
	} else { /* the Build was claimed (plan_start), and its Pod was never made */
		next->kind = BUILDER_CREATE_POD;
	}
	return true;
}

static bool plan_build(const struct seen_config *seen, const struct seen_build *s,
		       struct builder_action *next)
{
	const struct build *b = s->build;

	if (b->is_deleting) /* a deleted Build's Pod is garbage-collected with it */
		return false;
	if (build_phase_is_end(b->phase))
		return plan_ended(seen, s, next);
	if (!s->pod && s->expected_ms > 0) {
		wait_at_most(next, s->expected_ms);
		return false;
	}
	if (b->is_cancel_wanted)
		return plan_cancel(s, next);
	if (s->pod)
		return plan_pod(seen, s, next);
	if (b->phase != BUILD_NEW)
		return plan_missing_pod(s, next);
	if (s->refusal) {
		write_phase(next, s, BUILD_ERROR, s->refusal, "%s", s->refusal_message);
		return true;
	}
	if (s->trouble && !is_status(s, s->trouble, s->trouble_message)) {
		write_phase(next, s, BUILD_NEW, s->trouble, "%s", s->trouble_message);
		return true;
	}
	return false;
}

static const struct seen_build *find_waiting(const struct seen_config *seen, bool is_latest)
{
	const struct seen_build *found = NULL;

	for (size_t i = 0; i < seen->n; i++)
		if (is_waiting(&seen->builds[i]) && (is_latest || !found))
			found = &seen->builds[i];
	return found;
}

/*
 * "runPolicy": Serial runs the oldest that waits when none is active. SerialLatestOnly runs the
 * newest and cancels those before it; a replica that knows of no newer one may be about to start
 * one that another cancels, so there the Build is claimed, as Pending, before its Pod is made:
 * either write is refused if the Build has changed. Builds of one BuildConfig become visible in the
 * order of their numbers, so with Serial all replicas agree on the next. Parallel runs all.
 */
static void plan_start(const struct seen_config *seen, struct builder_action *next)
{
	bool is_busy = false;

	for (size_t i = 0; i < seen->n; i++)
		is_busy |= is_active(&seen->builds[i]) &&
			   seen->builds[i].build->policy != RUN_PARALLEL;
	for (size_t i = 0; i < seen->n; i++) {
		const struct seen_build *s = &seen->builds[i];
		const struct seen_build *latest = find_waiting(seen, true);

		if (!is_waiting(s))
			continue;
		if (s->build->policy == RUN_SERIAL_LATEST_ONLY && s != latest) {
			write_phase(next, s, BUILD_CANCELLED, "CancelledBuild",
				    "The build was superseded by %s before it started (runPolicy "
				    "SerialLatestOnly).",
				    latest->build->name);
			return;
		}
		if (s->build->policy != RUN_PARALLEL && (is_busy || s != find_waiting(seen, false)))
			continue;
		if (seen->is_full) {
			next->waits_for_room = true;
			return;
		}
		if (s->retry_ms > 0) {
			wait_at_most(next, s->retry_ms);
			continue;
		}
		next->target = s;
		if (s->build->policy == RUN_SERIAL_LATEST_ONLY)
			write_phase(next, s, BUILD_PENDING, "", "%s", "");
		else
			next->kind = BUILDER_CREATE_POD;
		return;
	}
}

/*
 * How long until an ended Build may go: its Pod has finished, or none can come any more. Another
 * replica may have been making one when the Build was cancelled, and the watch has not shown it
 * yet. The same holds for the first Build of a ConfigChange: as long as it is there, its name keeps
 * a late request of another replica from making it again.
 */
static int64_t prune_wait_ms(const struct seen_config *seen, const struct seen_build *s)
{
	const struct build *b = s->build;

	if (is_unfinished(s->pod))
		return SETTLE_MS;
	if (!s->pod)
		return left_ms(seen->wall_ms, b->ended_ms, SETTLE_MS);
	if (seen->config->has_config_change && b->number == 1)
		return left_ms(seen->wall_ms, b->created_ms, REQUEST_MS);
	return 0;
}

/*
 * "history limits prune, oldest first": Complete against the one limit, Failed, Error and Cancelled
 * against the other.
 */
static bool plan_prune(const struct seen_config *seen, struct builder_action *next)
{
	for (int is_good = 0; seen->config && is_good < 2; is_good++) {
		int64_t limit = is_good ? seen->config->successful : seen->config->failed;
		const struct seen_build *oldest = NULL;
		int64_t n = 0;

		for (size_t i = 0; i < seen->n; i++) {
			const struct build *b = seen->builds[i].build;

			if (!build_phase_is_end(b->phase) || b->is_deleting ||
			    (b->phase == BUILD_COMPLETE) != (is_good == 1))
				continue;
			if (n++ == 0)
				oldest = &seen->builds[i];
		}
		if (limit < 0 || n <= limit)
			continue;
		if (prune_wait_ms(seen, oldest) > 0) {
			wait_at_most(next, prune_wait_ms(seen, oldest));
			continue;
		}
		next->kind = BUILDER_PRUNE;
		next->target = oldest;
		return true;
	}
	return false;
}

/*
 * What has happened is written before anything is started, and what starts is not kept waiting by
 * what is only tidying up.
 */
void builder_plan(const struct seen_config *seen, struct builder_action *next)
{
	*next = (struct builder_action){.kind = BUILDER_NONE, .wait_ms = -1};
	for (size_t i = 0; i < seen->n; i++)
		if (plan_build(seen, &seen->builds[i], next))
			return;
	if (seen->config && seen->config->wants_first_build) {
		next->kind = BUILDER_FIRST_BUILD;
		return;
	}
	plan_start(seen, next);
	if (next->kind == BUILDER_NONE)
		(void)plan_prune(seen, next);
}
