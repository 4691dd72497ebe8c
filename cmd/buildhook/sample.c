#include "sample.h"

#include "base/mem.h"
#include "doc/json.h"

#define ZERO    "0000000000000000000000000000000000000000"
#define MESSAGE "a test by buildhook test"

static void put_commit(cJSON *commit, const struct sample *sample)
{
	json_put_str(commit, "id", sample->commit);
	json_put_str(commit, "message", MESSAGE);
	json_put_str(json_put_object(commit, "author"), "name", "buildhook test");
}

static void put_github(cJSON *doc, const struct sample *sample)
{
	json_put_str(doc, "ref", sample->ref);
	json_put_str(doc, "before", ZERO);
	json_put_str(doc, "after", sample->commit);
	json_put_bool(doc, "deleted", false);
	json_put_str(json_put_object(doc, "repository"), "clone_url", sample->uri);
	json_put_str(json_put_object(doc, "pusher"), "name", "buildhook test");
	put_commit(json_put_object(doc, "head_commit"), sample);
	json_put_array(doc, "commits");
}

static void put_gitlab(cJSON *doc, const struct sample *sample)
{
	bool is_tag = str_starts(str_of(sample->ref), STR("refs/tags/"));

	json_put_str(doc, "object_kind", is_tag ? "tag_push" : "push");
	json_put_str(doc, "ref", sample->ref);
	json_put_str(doc, "before", ZERO);
	json_put_str(doc, "after", sample->commit);
	json_put_str(doc, "checkout_sha", sample->commit);
	json_put_str(doc, "user_name", "buildhook test");
	json_put_str(json_put_object(doc, "project"), "git_http_url", sample->uri);
	put_commit(json_append(json_put_array(doc, "commits"), json_new_object()), sample);
	json_put_int(doc, "total_commits_count", 1);
}

static void put_bitbucket(cJSON *doc, const struct sample *sample)
{
	bool is_tag = str_starts(str_of(sample->ref), STR("refs/tags/"));
	cJSON *changes = json_put_array(json_put_object(doc, "push"), "changes");
	cJSON *now = json_put_object(json_append(changes, json_new_object()), "new");
	cJSON *target;
	struct str name = str_without_prefix(str_of(sample->ref), STR("refs/heads/"));

	name = str_without_prefix(name, STR("refs/tags/"));
	json_put_str(now, "type", is_tag ? "tag" : "branch");
	json_put_text(now, "name", name);
	target = json_put_object(now, "target");
	json_put_str(target, "hash", sample->commit);
	json_put_str(target, "message", MESSAGE);
	json_put_str(json_put_object(doc, "actor"), "display_name", "buildhook test");
	json_put_str(json_put_object(json_put_object(json_put_object(doc, "repository"), "links"),
				     "html"),
		     "href", sample->uri);
}

static void put_generic(cJSON *doc, const struct sample *sample)
{
	cJSON *git = json_put_object(doc, "git");

	json_put_str(git, "uri", sample->uri);
	json_put_str(git, "ref", sample->ref);
	json_put_str(git, "commit", sample->commit);
	json_put_str(git, "message", MESSAGE);
}

void sample_put(struct buf *out, const struct sample *sample)
{
	static void (*const puts[HOOK_TYPES])(cJSON * doc, const struct sample *sample) = {
		[HOOK_GITHUB] = put_github,
		[HOOK_GITLAB] = put_gitlab,
		[HOOK_BITBUCKET] = put_bitbucket,
		[HOOK_GENERIC] = put_generic,
	};
	CLEANUP(json_freep) cJSON *doc = json_new_object();

	puts[sample->type](doc, sample);
	json_format(out, doc);
}
