/* A BuildConfig as the commands see it: its hooks and what the annotations say of them. */
#include "view.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdio.h>

#define MAX_PART_BYTES 256

const char *view_annotation(const cJSON *object, const char *key)
{
	const cJSON *value = json_member(json_at(object, "metadata/annotations"), key);

	return cJSON_IsString(value) ? value->valuestring : "";
}

static const char *fact(const cJSON *bc, enum hook_type type, const char *name)
{
	char key[100];

	(void)snprintf(key, sizeof(key), "buildhook.io/%s-%s", hook_type_name(type), name);
	return view_annotation(bc, key);
}

static const char *text_at(const cJSON *doc, const char *path)
{
	const char *text = json_str_at(doc, path);

	return text ? text : "";
}

bool view_is_build_of(const cJSON *build, const char *name)
{
	const char *owner = view_annotation(build, "openshift.io/build-config.name");

	if (!*owner)
		owner = text_at(build, "status/config/name");
	return strcmp(owner, name) == 0;
}

int64_t view_build_number(const cJSON *build)
{
	uint64_t number = 0;

	(void)str_parse_u64(str_of(view_annotation(build, "openshift.io/build.number")), 1ULL << 53,
			    &number);
	return (int64_t)number;
}

const char *view_phase(const cJSON *build)
{
	const char *phase = text_at(build, "status/phase");

	return *phase ? phase : "New";
}

bool view_is_over(const cJSON *build)
{
	static const char *const over[] = {"Complete", "Failed", "Error", "Cancelled"};

	for (size_t i = 0; i < ARRAY_LEN(over); i++)
		if (strcmp(view_phase(build), over[i]) == 0)
			return true;
	return false;
}

int64_t view_time(const char *text)
{
	int64_t ms = 0;

	(void)clock_parse_rfc3339(str_of(text), &ms);
	return ms;
}

int64_t view_duration_ms(const cJSON *build, int64_t now_ms)
{
	int64_t began = view_time(text_at(build, "status/startTimestamp"));
	int64_t ended = view_time(text_at(build, "status/completionTimestamp"));

	if (began == 0)
		return -1;
	return (ended ? ended : now_ms) - began;
}

void view_split_time(struct str line, struct str *at, struct str *rest)
{
	size_t space = str_find_char(line, ' ');
	int64_t ms = 0;

	*at = (struct str){0};
	*rest = line;
	if (!clock_parse_rfc3339(str_range(line.p, space), &ms))
		return;
	*at = str_range(line.p, space);
	*rest = str_range(line.p + space, line.n - space);
	*rest = str_trim(*rest);
}

/* The cause names the hook: spec.triggeredBy[].githubWebHook. */
static bool is_caused_by(const cJSON *build, enum hook_type type)
{
	const cJSON *cause = NULL;
	char member[40];

	(void)snprintf(member, sizeof(member), "%sWebHook", hook_type_name(type));
	cJSON_ArrayForEach (cause, json_at(build, "spec/triggeredBy"))
		if (json_member(cause, member))
			return true;
	return false;
}

static const cJSON *newest_build(const cJSON *builds, const cJSON *bc, enum hook_type type)
{
	const cJSON *newest = NULL, *build = NULL;
	const char *namespace_ = text_at(bc, "metadata/namespace");

	cJSON_ArrayForEach (build, builds) {
		if (strcmp(text_at(build, "metadata/namespace"), namespace_) != 0 ||
		    !view_is_build_of(build, text_at(bc, "metadata/name")) ||
		    !is_caused_by(build, type))
			continue;
		if (!newest || view_build_number(build) > view_build_number(newest))
			newest = build;
	}
	return newest;
}

int64_t view_accepted_ms(const cJSON *build)
{
	return view_time(view_annotation(build, "buildhook.io/accepted"));
}

void view_put_build(struct buf *out, const cJSON *build)
{
	const char *ref = view_annotation(build, "buildhook.io/ref");
	const char *commit = text_at(build, "spec/revision/git/commit");
	const char *author = text_at(build, "spec/revision/git/author/name");
	struct str branch = str_without_prefix(str_of(ref), STR("refs/heads/"));

	if (*ref) {
		buf_put_str(out, STR("push "));
		buf_put_clean(out, branch, MAX_PART_BYTES);
		buf_put_char(out, ' ');
	}
	if (*commit) {
		buf_put_clean(out, str_cut_utf8(str_of(commit), 7), 7);
		buf_put_char(out, ' ');
	}
	if (*author) {
		buf_put_str(out, STR("by "));
		buf_put_clean(out, str_of(author), MAX_PART_BYTES);
		buf_put_char(out, ' ');
	}
	buf_printf(out, "-> %s", text_at(build, "metadata/name"));
}

void view_put_last(struct buf *out, const struct view_hook *hook)
{
	if (hook->is_last_a_build)
		view_put_build(out, hook->build);
	else
		buf_put_str(out, hook->last);
}

/* LAST, " -> cart-7" at its end, names another of BuildConfig NAME's Builds than BUILD. */
static bool names_another(struct str last, const char *name, const cJSON *build)
{
	CLEANUP(mem_free) char *line = str_dup(last);
	CLEANUP(buf_release) struct buf any = BUF_INIT(1024);
	const char *named;

	buf_printf(&any, " -> %s-", name);
	named = strstr(line, buf_text(&any));
	return named && strcmp(named + strlen(" -> "), text_at(build, "metadata/name")) != 0;
}

/* Annotations have whole seconds: of two Builds within one the other is the newer. */
static bool is_last(const cJSON *build, const struct view_hook *hook)
{
	const int64_t built_s = view_accepted_ms(build) / 1000, last_s = hook->last_ms / 1000;

	return built_s > last_s ||
	       (built_s == last_s && names_another(hook->last, hook->name, build));
}

static bool has_trigger(const cJSON *bc, enum hook_type type)
{
	return json_find(json_at(bc, "spec/triggers"), "type", hook_type_trigger(type));
}

size_t view_hooks(struct view_hook *out, const cJSON *bc, const cJSON *builds)
{
	size_t n = 0;

	for (size_t i = 0; i < HOOK_TYPES; i++) {
		enum hook_type type = (enum hook_type)i;
		struct view_hook *hook = &out[n];
		struct str at;

		if (!has_trigger(bc, type))
			continue;
		*hook = (struct view_hook){
			.namespace_ = text_at(bc, "metadata/namespace"),
			.name = text_at(bc, "metadata/name"),
			.type = type,
			.state = fact(bc, type, "state"),
			.url = fact(bc, type, "url"),
			.secret = fact(bc, type, "secret"),
			.refused = fact(bc, type, "refused"),
			.hint = view_annotation(bc, "buildhook.io/hint"),
			.build = newest_build(builds, bc, type),
		};
		view_split_time(str_of(fact(bc, type, "last")), &at, &hook->last);
		(void)clock_parse_rfc3339(at, &hook->last_ms);
		hook->is_last_a_build = hook->build && is_last(hook->build, hook);
		if (hook->is_last_a_build)
			hook->last_ms = view_accepted_ms(hook->build);
		n++;
	}
	return n;
}
