/* The merge patch by which a Build's status is written. Pure. */
#include "builder/status.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdio.h>

/* The log snippet is like OpenShift's: the last lines, long ones without their middle. */
#define SNIPPET_LINES      5
#define SNIPPET_LINE_BYTES 120
#define MAX_MESSAGE_BYTES  1024
#define NS_PER_S           INT64_C(1000000000)

static void put_time(cJSON *object, const char *key, int64_t wall_ms)
{
	char text[CLOCK_TEXT_BYTES];

	clock_format_rfc3339(text, wall_ms, false);
	json_put_str(object, key, text);
}

/* A merge patch takes a member away with null. */
static void put_text(cJSON *object, const char *key, const char *text)
{
	CLEANUP(buf_release) struct buf clean = BUF_INIT((size_t)3 * MAX_MESSAGE_BYTES);

	if (!text || !*text) {
		json_put(object, key, cJSON_CreateNull());
		return;
	}
	buf_put_clean(&clean, str_of(text), MAX_MESSAGE_BYTES);
	json_put_text(object, key, buf_str(&clean));
}

static void put_snippet_line(struct buf *out, struct str line)
{
	const size_t head = SNIPPET_LINE_BYTES / 2 - 2, tail = head + 1;

	if (line.n <= SNIPPET_LINE_BYTES) {
		buf_put_clean(out, line, 3 * line.n); /* a bad byte becomes three */
		return;
	}
	buf_put_clean(out, str_cut_utf8(line, head), head);
	buf_put_str(out, STR("..."));
	buf_put_clean(out, str_range(line.p + line.n - tail, tail), 3 * tail);
}

static void put_log_snippet(cJSON *status, const struct pod *pod)
{
	const struct pod_report *report = *pod->fetch.reason ? &pod->fetch : &pod->build_report;
	const char *text = *report->log_tail ? report->log_tail : pod->fetch.log_tail;
	CLEANUP(buf_release) struct buf snippet = BUF_INIT(8192);
	struct str rest = str_of(text), line;
	size_t n = 0, skip;

	for (struct str all = rest; str_next_part(&all, '\n', &line);)
		n++;
	skip = n > SNIPPET_LINES ? n - SNIPPET_LINES : 0;
	for (size_t i = 0; str_next_part(&rest, '\n', &line); i++) {
		if (i < skip)
			continue;
		if (snippet.len > 0)
			buf_put_char(&snippet, '\n');
		put_snippet_line(&snippet, line);
	}
	if (snippet.len > 0)
		json_put_text(status, "logSnippet", buf_str(&snippet));
}

/* One condition for each phase that the Build was in; that of the current phase is true. */
static void put_conditions(cJSON *status, const struct build *build,
			   const struct build_write *write, int64_t now_ms)
{
	cJSON *list = json_put_array(status, "conditions"), *condition;
	const char *type = build_phase_names[write->phase];
	const cJSON *old;
	char now[CLOCK_TEXT_BYTES];

	clock_format_rfc3339(now, now_ms, false);
	cJSON_ArrayForEach (old, build->conditions) {
		const char *old_type = json_str_at(old, "type");
		const char *old_status = json_str_at(old, "status");

		if (!old_type || strcmp(old_type, type) == 0)
			continue;
		condition = json_append(list, json_copy(old));
		if (!old_status || strcmp(old_status, "False") == 0)
			continue;
		cJSON_DeleteItemFromObjectCaseSensitive(condition, "status");
		cJSON_DeleteItemFromObjectCaseSensitive(condition, "lastTransitionTime");
		cJSON_DeleteItemFromObjectCaseSensitive(condition, "lastUpdateTime");
		json_put_str(condition, "status", "False");
		json_put_str(condition, "lastTransitionTime", now);
		json_put_str(condition, "lastUpdateTime", now);
	}
	condition = json_append(list, json_new_object());
	json_put_str(condition, "type", type);
	json_put_str(condition, "status", "True");
	json_put_str(condition, "lastTransitionTime", now);
	json_put_str(condition, "lastUpdateTime", now);
	if (write->reason && *write->reason)
		json_put_str(condition, "reason", write->reason);
	if (*write->message)
		put_text(condition, "message", write->message);
}

/* True for a number of milliseconds up to the year 9999. */
static bool is_ms(const cJSON *number)
{
	return cJSON_IsNumber(number) && number->valuedouble >= 0 &&
	       number->valuedouble < 253402300800000.0;
}

/* OpenShift's stages and steps. The Pod runs a user's code, so no other name is taken from its
 * report. */
static const struct {
	const char *stage, *step;
} stages[] = {
	{"FetchInputs", "FetchGitSource"}, {"PullImages", "PullBaseImage"},
	{"Build", "DockerBuild"},          {"PostCommit", "RunPostCommitHook"},
	{"PushImage", "PushDockerImage"},
};

static cJSON *add_span(cJSON *list, const char *name, int64_t start_ms, int64_t duration_ms)
{
	cJSON *span = json_append(list, json_new_object());

	json_put_str(span, "name", name);
	put_time(span, "startTime", start_ms);
	json_put_int(span, "durationMilliseconds", duration_ms);
	return span;
}

static void add_stages(cJSON *list, const struct pod_report *report)
{
	const cJSON *entry;

	cJSON_ArrayForEach (entry, report->stages) {
		const char *stage = cJSON_GetStringValue(cJSON_GetArrayItem(entry, 0));
		const cJSON *start = cJSON_GetArrayItem(entry, 2),
			    *duration = cJSON_GetArrayItem(entry, 3);

		for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
			cJSON *span;

			if (!stage || strcmp(stage, stages[i].stage) != 0 || !is_ms(start) ||
			    !is_ms(duration) || cJSON_GetArraySize(list) >= (int)ARRAY_LEN(stages))
				continue;
			span = add_span(list, stages[i].stage, (int64_t)start->valuedouble,
					(int64_t)duration->valuedouble);
			(void)add_span(json_put_array(span, "steps"), stages[i].step,
				       (int64_t)start->valuedouble, (int64_t)duration->valuedouble);
		}
	}
}

static void put_stages(cJSON *status, const struct pod *pod)
{
	CLEANUP(json_freep) cJSON *list = json_new_array();

	add_stages(list, &pod->fetch);
	add_stages(list, &pod->build_report);
	if (cJSON_GetArraySize(list) > 0)
		json_put(status, "stages", TAKE(list));
}

/* metav1.Time has whole seconds, and the duration is the difference of what is shown. */
static void put_end(cJSON *status, const struct build *build, int64_t started_ms, int64_t now_ms)
{
	int64_t start_s = (build->started_ms ? build->started_ms : started_ms) / 1000;

	put_time(status, "completionTimestamp", now_ms);
	json_put_int(status, "duration", (now_ms / 1000 - start_s) * NS_PER_S);
}

static void put_revision(cJSON *patch, const struct build *build, const struct pod *pod)
{
	cJSON *revision;

	if (build->has_revision || !pod || !pod->fetch.git)
		return;
	revision = json_put_object(json_put_object(patch, "spec"), "revision");
	json_put_str(revision, "type", "Git");
	json_put(revision, "git", json_copy(pod->fetch.git));
}

cJSON *build_patch(const struct build *build, const struct build_write *write, const char *output,
		   int64_t now_ms)
{
	cJSON *patch = json_new_object(), *metadata = json_put_object(patch, "metadata"), *status;
	const struct pod *pod = write->pod;
	bool is_end = build_phase_is_end(write->phase);
	int64_t started_ms = pod && pod->started_ms ? pod->started_ms : now_ms;

	json_put_str(metadata, "uid", build->uid);
	json_put_str(metadata, "resourceVersion", build->version);
	if (pod && !*build->pod_name)
		json_put_str(json_put_object(metadata, "annotations"),
			     "openshift.io/build.pod-name", pod->name);
	put_revision(patch, build, pod);
	status = json_put_object(patch, "status");
	json_put_str(status, "phase", build_phase_names[write->phase]);
	put_text(status, "reason", write->reason);
	put_text(status, "message", write->message);
	if (*output)
		json_put_str(status, "outputDockerImageReference", output);
	if ((write->phase == BUILD_RUNNING || is_end) && build->started_ms == 0)
		put_time(status, "startTimestamp", started_ms);
	if (is_end)
		put_end(status, build, started_ms, now_ms);
	if ((write->phase == BUILD_FAILED || write->phase == BUILD_ERROR) && pod)
		put_log_snippet(status, pod);
	if (is_end && pod)
		put_stages(status, pod);
	if (pod && *pod->build_report.digest)
		json_put_str(json_put_object(json_put_object(status, "output"), "to"),
			     "imageDigest", pod->build_report.digest);
	put_conditions(status, build, write, now_ms);
	return patch;
}
