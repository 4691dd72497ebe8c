/* Builds, Pods and BuildConfigs out of the API server's documents. */
#include "builder/model.h"

#include "base/clock.h"
#include "base/fnv.h"
#include "base/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#define MAX_NAME    253
#define MAX_TROUBLE 300

const char *const build_phase_names[BUILD_PHASES] = {"New",    "Pending", "Running",  "Complete",
						     "Failed", "Error",   "Cancelled"};

static char *copy_at(const cJSON *doc, const char *path)
{
	const char *text = json_str_at(doc, path);

	return mem_strdup(text ? text : "");
}

static int64_t time_at(const cJSON *doc, const char *path)
{
	int64_t ms = 0;

	(void)clock_parse_rfc3339(str_of(json_str_at(doc, path)), &ms);
	return ms;
}

static const char *annotation(const cJSON *doc, const char *key)
{
	const cJSON *value = json_member(json_at(doc, "metadata/annotations"), key);

	return cJSON_IsString(value) ? value->valuestring : NULL;
}

static const char *label(const cJSON *doc, const char *key)
{
	const cJSON *value = json_member(json_at(doc, "metadata/labels"), key);

	return cJSON_IsString(value) ? value->valuestring : NULL;
}

/* An unknown phase was written by another controller: such a Build is not run. */
static enum build_phase phase_of(const char *text)
{
	if (!text || !*text)
		return BUILD_NEW;
	for (size_t i = 0; i < BUILD_PHASES; i++)
		if (strcmp(text, build_phase_names[i]) == 0)
			return (enum build_phase)i;
	return BUILD_ERROR;
}

/* The annotation has the whole name; the label is cut to 63 characters. */
static const char *config_of(const cJSON *doc)
{
	const char *names[] = {json_str_at(doc, "status/config/name"),
			       annotation(doc, "openshift.io/build-config.name"),
			       label(doc, "openshift.io/build-config.name")};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (names[i] && *names[i])
			return names[i];
	return "";
}

static enum run_policy policy_of(const cJSON *doc)
{
	const char *text = label(doc, "openshift.io/build.start-policy");

	if (text && strcmp(text, "Parallel") == 0)
		return RUN_PARALLEL;
	if (text && strcmp(text, "SerialLatestOnly") == 0)
		return RUN_SERIAL_LATEST_ONLY;
	return RUN_SERIAL;
}

static const char *strategy_of(const cJSON *doc)
{
	static const struct {
		const char *member, *name;
	} kinds[] = {
		{"dockerStrategy", "Docker"},
		{"sourceStrategy", "Source"},
		{"customStrategy", "Custom"},
		{"jenkinsPipelineStrategy", "JenkinsPipeline"},
	};
	const cJSON *strategy = json_at(doc, "spec/strategy");

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (cJSON_IsObject(json_member(strategy, kinds[i].member)))
			return kinds[i].name;
	return "";
}

struct build *build_parse(const cJSON *doc)
{
	struct build *b = mem_new(1, sizeof(*b));
	const char *number = annotation(doc, "openshift.io/build.number");
	const char *pod_name = annotation(doc, "openshift.io/build.pod-name");
	uint64_t n = 0;

	b->namespace_ = copy_at(doc, "metadata/namespace");
	b->name = copy_at(doc, "metadata/name");
	b->uid = copy_at(doc, "metadata/uid");
	b->version = copy_at(doc, "metadata/resourceVersion");
	b->config = mem_strdup(config_of(doc));
	(void)str_parse_u64(str_of(number), INT64_MAX, &n);
	b->number = (int64_t)n;
	b->phase = phase_of(json_str_at(doc, "status/phase"));
	b->reason = copy_at(doc, "status/reason");
	b->message = copy_at(doc, "status/message");
	b->strategy = mem_strdup(strategy_of(doc));
	b->pod_name = mem_strdup(pod_name ? pod_name : "");
	b->policy = policy_of(doc);
	b->is_cancel_wanted = json_bool_at(doc, "status/cancelled", false);
	b->is_deleting = json_at(doc, "metadata/deletionTimestamp") != NULL;
	b->has_revision = json_str_at(doc, "spec/revision/git/commit") != NULL;
	b->created_ms = time_at(doc, "metadata/creationTimestamp");
	b->started_ms = time_at(doc, "status/startTimestamp");
	b->ended_ms = time_at(doc, "status/completionTimestamp");
	b->deadline_s = json_int_at(doc, "spec/completionDeadlineSeconds", 0);
	if (!build_phase_is_end(b->phase))
		b->spec = json_copy(json_at(doc, "spec"));
	b->conditions = json_copy(json_at(doc, "status/conditions"));
	return b;
}

void build_free(struct build *b)
{
	if (!b)
		return;
	free(b->namespace_);
	free(b->name);
	free(b->uid);
	free(b->version);
	free(b->config);
	free(b->reason);
	free(b->message);
	free(b->strategy);
	free(b->pod_name);
	cJSON_Delete(b->spec);
	cJSON_Delete(b->conditions);
	free(b);
}

static enum pod_phase pod_phase_of(const char *text)
{
	static const char *const names[] = {"Pending", "Running", "Succeeded", "Failed"};

	for (size_t i = 0; text && i < ARRAY_LEN(names); i++)
		if (strcmp(text, names[i]) == 0)
			return (enum pod_phase)i;
	return text && *text ? POD_UNKNOWN : POD_PENDING;
}

/*
 * "buildhook {...}" in the first line, then the end of the log. A container that was killed has
 * written nothing, and the kubelet puts the end of its log there (FallbackToLogsOnError).
 */
static void read_report(struct pod_report *out, const char *text)
{
	struct str rest = str_of(text), line = {0}, json;
	CLEANUP(json_freep) cJSON *doc = NULL;

	if (str_starts(rest, STR("buildhook ")) && str_next_part(&rest, '\n', &line)) {
		json = str_without_prefix(line, STR("buildhook "));
		(void)json_parse(&doc, json, NULL);
	}
	out->reason = copy_at(doc, "reason");
	out->message = copy_at(doc, "message");
	out->digest = copy_at(doc, "digest");
	out->git = cJSON_IsObject(json_at(doc, "git")) ? json_copy(json_at(doc, "git")) : NULL;
	out->stages =
		cJSON_IsArray(json_at(doc, "stages")) ? json_copy(json_at(doc, "stages")) : NULL;
	out->log_tail = str_dup(rest);
}

static void release_report(struct pod_report *report)
{
	free(report->reason);
	free(report->message);
	free(report->digest);
	free(report->log_tail);
	cJSON_Delete(report->git);
	cJSON_Delete(report->stages);
}

static const cJSON *first_container(const cJSON *doc, const char *path)
{
	return cJSON_GetArrayItem(json_at(doc, path), 0);
}

/* Why a container waits: an image that cannot be pulled, a volume that is refused. */
static void put_trouble(struct buf *out, const cJSON *container)
{
	const char *reason = json_str_at(container, "state/waiting/reason");
	const char *message = json_str_at(container, "state/waiting/message");

	/* Cleaned as a status is (status.c), or each look would find the status to be another. */
	if (out->len > 0 || !reason || strcmp(reason, "PodInitializing") == 0 ||
	    strcmp(reason, "ContainerCreating") == 0)
		return;
	buf_put_clean(out, str_of(reason), 100);
	buf_put_str(out, STR(": "));
	buf_put_clean(out, str_of(message), MAX_TROUBLE);
}

static char *trouble_of(const cJSON *doc)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
	const cJSON *condition;

	put_trouble(&text, first_container(doc, "status/initContainerStatuses"));
	put_trouble(&text, first_container(doc, "status/containerStatuses"));
	cJSON_ArrayForEach (condition, json_at(doc, "status/conditions")) {
		const char *reason = json_str_at(condition, "reason");
		const char *message = json_str_at(condition, "message");

		if (text.len > 0 || !reason || strcmp(reason, "Unschedulable") != 0)
			continue;
		buf_put_str(&text, STR("Unschedulable: "));
		buf_put_clean(&text, str_of(message), MAX_TROUBLE);
	}
	return buf_take(&text);
}

static const cJSON *find_condition(const cJSON *doc, const char *type)
{
	return json_find(json_at(doc, "status/conditions"), "type", type);
}

static bool is_condition(const cJSON *doc, const char *type, const char *status)
{
	const char *its_status = json_str_at(find_condition(doc, type), "status");

	return its_status && strcmp(its_status, status) == 0;
}

static char *disruption_of(const cJSON *doc)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
	const char *message = json_str_at(find_condition(doc, "DisruptionTarget"), "message");

	if (is_condition(doc, "DisruptionTarget", "True"))
		buf_put_clean(&text, str_of(message), MAX_TROUBLE);
	return buf_take(&text);
}

static void read_container(struct pod *pod, const cJSON *container)
{
	const char *reason = json_str_at(container, "state/terminated/reason");

	pod->is_out_of_memory |= reason && strcmp(reason, "OOMKilled") == 0;
	pod->has_failed_container |= json_int_at(container, "state/terminated/exitCode", 0) != 0;
}

static void read_owner(struct pod *pod, const cJSON *doc)
{
	const char *name = annotation(doc, "openshift.io/build.name");
	const cJSON *owners = json_at(doc, "metadata/ownerReferences");

	pod->owner_uid = copy_at(json_find(owners, "kind", "Build"), "uid");
	pod->build = mem_strdup(name ? name : "");
}

struct pod *pod_parse(const cJSON *doc)
{
	struct pod *pod = mem_new(1, sizeof(*pod));
	const cJSON *init = first_container(doc, "status/initContainerStatuses");
	const cJSON *main = first_container(doc, "status/containerStatuses");

	pod->namespace_ = copy_at(doc, "metadata/namespace");
	pod->name = copy_at(doc, "metadata/name");
	pod->uid = copy_at(doc, "metadata/uid");
	pod->version = copy_at(doc, "metadata/resourceVersion");
	read_owner(pod, doc);
	pod->phase = pod_phase_of(json_str_at(doc, "status/phase"));
	pod->reason = copy_at(doc, "status/reason");
	pod->message = copy_at(doc, "status/message");
	pod->trouble = trouble_of(doc);
	pod->disruption = disruption_of(doc);
	pod->has_no_sandbox = is_condition(doc, "PodReadyToStartContainers", "False");
	pod->is_deleting = json_at(doc, "metadata/deletionTimestamp") != NULL;
	pod->started_ms = time_at(doc, "status/startTime");
	pod->has_begun = json_at(init, "state/running") || json_at(init, "state/terminated");
	pod->has_containers = main != NULL;
	pod->is_out_of_memory = strcmp(pod->reason, "OOMKilled") == 0;
	read_container(pod, init);
	read_container(pod, main);
	read_report(&pod->fetch, json_str_at(init, "state/terminated/message"));
	read_report(&pod->build_report, json_str_at(main, "state/terminated/message"));
	return pod;
}

void pod_free(struct pod *pod)
{
	if (!pod)
		return;
	free(pod->namespace_);
	free(pod->name);
	free(pod->uid);
	free(pod->version);
	free(pod->owner_uid);
	free(pod->build);
	free(pod->reason);
	free(pod->message);
	free(pod->trouble);
	free(pod->disruption);
	release_report(&pod->fetch);
	release_report(&pod->build_report);
	free(pod);
}

struct build_config *build_config_parse(const cJSON *doc)
{
	struct build_config *config = mem_new(1, sizeof(*config));
	const char *paused = annotation(doc, "openshift.io/build-config.paused");

	config->successful = json_int_at(doc, "spec/successfulBuildsHistoryLimit", -1);
	config->failed = json_int_at(doc, "spec/failedBuildsHistoryLimit", -1);
	config->has_config_change =
		json_find(json_at(doc, "spec/triggers"), "type", "ConfigChange");
	config->wants_first_build = config->has_config_change &&
				    json_int_at(doc, "status/lastVersion", 0) <= 0 &&
				    !(paused && strcmp(paused, "true") == 0) &&
				    !json_at(doc, "metadata/deletionTimestamp");
	return config;
}

void build_pod_name(char *out, const char *build_name)
{
	int len;

	if (strlen(build_name) + strlen("-build") <= MAX_NAME)
		len = snprintf(out, BUILDER_NAME_BYTES, "%s-build", build_name);
	else
		len = snprintf(out, BUILDER_NAME_BYTES, "%.*s-%08" PRIx32 "-build",
			       MAX_NAME - 10 - (int)strlen("build"), build_name,
			       fnv_32(build_name));
	assert(len < BUILDER_NAME_BYTES);
}
