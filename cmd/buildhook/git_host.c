/*
 * Sources: GitHub's OpenAPI description (repos/create-webhook, repos/update-webhook), GitLab's
 * "Project webhooks API", Gitea's routers/api/v1/utils/hook.go and its Swagger description, Gogs'
 * API pages, Bitbucket Cloud's OpenAPI description (repositories/{workspace}/{repo_slug}/hooks),
 * Bitbucket Data Center's REST reference (projects/{key}/repos/{slug}/webhooks).
 */
#include "git_host.h"

#include "base/mem.h"
#include "hook/hook.h"

#include <stdio.h>
#include <stdlib.h>

static const char *text_at(const cJSON *doc, const char *path)
{
	const char *text = json_str_at(doc, path);

	return text ? text : "";
}

static bool is_true(const cJSON *item, const char *name)
{
	return cJSON_IsTrue(json_member(item, name));
}

/* An id of a webhook is put into the path of a request and into messages. */
static bool is_id(const char *text)
{
	return *text && text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					  "0123456789{}_-")] == '\0';
}

/* A number or a text; "" where it is neither. */
static void read_id(struct git_hook *out, const cJSON *id)
{
	if (cJSON_IsNumber(id))
		(void)snprintf(out->id, sizeof(out->id), "%.0f", id->valuedouble);
	else if (cJSON_IsString(id) && is_id(id->valuestring))
		(void)snprintf(out->id, sizeof(out->id), "%s", id->valuestring);
}

static void read_events(struct git_hook *out, const cJSON *events, const char *push)
{
	const cJSON *event = NULL;

	cJSON_ArrayForEach (event, events) {
		if (cJSON_IsString(event) && strcmp(event->valuestring, push) == 0)
			out->sends_pushes = true;
		else
			out->sends_more = true;
	}
}

static void put_events(cJSON *body, const char *push)
{
	json_append(json_put_array(body, "events"), cJSON_CreateString(push));
}

static void put_escaped(struct buf *out, const char *text, bool keeps_slash)
{
	for (const char *c = text; *c; c++) {
		bool is_plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
				(*c >= '0' && *c <= '9') || strchr("-._~", *c) ||
				(*c == '/' && keeps_slash);

		if (is_plain)
			buf_put_char(out, *c);
		else
			buf_printf(out, "%%%02X", (unsigned char)*c);
	}
}

static void put_owner_and_name(struct buf *out, const char *repository)
{
	put_escaped(out, repository, true);
}

/* GitLab's API takes the repository's whole path as one segment. */
static void put_project(struct buf *out, const char *repository)
{
	put_escaped(out, repository, false);
}

/* "scm/KEY/slug" of an https URL, "KEY/slug" of an ssh URL. */
static void put_data_center_path(struct buf *out, const char *repository)
{
	CLEANUP(mem_free) char *key = NULL;
	const char *slash;

	if (strncmp(repository, "scm/", 4) == 0)
		repository += 4;
	slash = strchr(repository, '/');
	buf_put_str(out, STR("projects/"));
	if (!slash) {
		put_escaped(out, repository, true);
		return;
	}
	key = mem_strndup(repository, (size_t)(slash - repository));
	put_escaped(out, key, false);
	buf_put_str(out, STR("/repos"));
	put_escaped(out, slash, true);
}

/* GitHub's shape, which Gitea, Forgejo and Gogs share but for the name of the type. */

static void read_github(struct git_hook *out, const cJSON *item)
{
	const char *insecure = text_at(item, "config/insecure_ssl");
	const cJSON *number = json_at(item, "config/insecure_ssl");

	read_id(out, json_member(item, "id"));
	(void)snprintf(out->url, sizeof(out->url), "%s", text_at(item, "config/url"));
	(void)snprintf(out->branch_filter, sizeof(out->branch_filter), "%s",
		       text_at(item, "branch_filter"));
	out->is_active = is_true(item, "active");
	out->is_json = strcmp(text_at(item, "config/content_type"), "json") == 0;
	out->verifies_tls =
		strcmp(insecure, "1") != 0 && !(cJSON_IsNumber(number) && number->valuedouble == 1);
	read_events(out, json_member(item, "events"), "push");
}

static cJSON *new_github_shape(const struct git_hook_wish *wish)
{
	cJSON *body = json_new_object();
	cJSON *config = json_put_object(body, "config");

	json_put_bool(body, "active", true);
	put_events(body, "push");
	json_put_str(config, "url", wish->url);
	json_put_str(config, "content_type", "json");
	json_put_str(config, "secret", wish->secret);
	return body;
}

static cJSON *body_github(const struct git_hook_wish *wish)
{
	cJSON *body = new_github_shape(wish);

	json_put_str(body, "name", "web");
	json_put_str(cJSON_GetObjectItemCaseSensitive(body, "config"), "insecure_ssl", "0");
	return body;
}

static cJSON *new_gitea_shape(const struct git_hook_wish *wish, const char *type)
{
	cJSON *body = new_github_shape(wish);

	json_put_str(body, "type", type);
	if (wish->branch_filter && *wish->branch_filter)
		json_put_str(body, "branch_filter", wish->branch_filter);
	return body;
}

static cJSON *body_gitea(const struct git_hook_wish *wish)
{
	return new_gitea_shape(wish, "gitea");
}

static cJSON *body_forgejo(const struct git_hook_wish *wish)
{
	return new_gitea_shape(wish, "forgejo");
}

static cJSON *body_gogs(const struct git_hook_wish *wish)
{
	cJSON *body = new_github_shape(wish);

	json_put_str(body, "type", "gogs");
	return body;
}

/* Events that start no build. */
static const char *const gitlab_others[] = {
	"issues_events",   "confidential_issues_events", "merge_requests_events",
	"note_events",     "confidential_note_events",   "job_events",
	"pipeline_events", "wiki_page_events",           "deployment_events",
	"releases_events",
};

static void read_gitlab(struct git_hook *out, const cJSON *item)
{
	read_id(out, json_member(item, "id"));
	(void)snprintf(out->url, sizeof(out->url), "%s", text_at(item, "url"));
	(void)snprintf(out->branch_filter, sizeof(out->branch_filter), "%s",
		       text_at(item, "push_events_branch_filter"));
	/* A hook that GitLab has switched off after failures. */
	out->is_active = strcmp(text_at(item, "alert_status"), "disabled") != 0;
	out->is_json = true;
	out->verifies_tls = is_true(item, "enable_ssl_verification");
	out->sends_pushes = is_true(item, "push_events");
	for (size_t i = 0; i < ARRAY_LEN(gitlab_others); i++)
		out->sends_more |= is_true(item, gitlab_others[i]);
}

static cJSON *body_gitlab(const struct git_hook_wish *wish)
{
	cJSON *body = json_new_object();

	json_put_str(body, "url", wish->url);
	json_put_str(body, "token", wish->secret);
	json_put_bool(body, "enable_ssl_verification", true);
	json_put_bool(body, "push_events", true);
	json_put_bool(body, "tag_push_events", wish->with_tags);
	for (size_t i = 0; i < ARRAY_LEN(gitlab_others); i++)
		json_put_bool(body, gitlab_others[i], false);
	if (wish->branch_filter && *wish->branch_filter)
		json_put_str(body, "push_events_branch_filter", wish->branch_filter);
	return body;
}

static void read_bitbucket(struct git_hook *out, const cJSON *item)
{
	read_id(out, json_member(item, "uuid"));
	(void)snprintf(out->url, sizeof(out->url), "%s", text_at(item, "url"));
	out->is_active = is_true(item, "active");
	out->is_json = true;
	out->verifies_tls = !is_true(item, "skip_cert_verification");
	read_events(out, json_member(item, "events"), "repo:push");
}

static cJSON *body_bitbucket(const struct git_hook_wish *wish)
{
	cJSON *body = json_new_object();

	json_put_str(body, "description", "buildhook");
	json_put_str(body, "url", wish->url);
	json_put_str(body, "secret", wish->secret);
	json_put_bool(body, "active", true);
	json_put_bool(body, "skip_cert_verification", false);
	put_events(body, "repo:push");
	return body;
}

static void read_data_center(struct git_hook *out, const cJSON *item)
{
	read_id(out, json_member(item, "id"));
	(void)snprintf(out->url, sizeof(out->url), "%s", text_at(item, "url"));
	out->is_active = is_true(item, "active");
	out->is_json = true;
	out->verifies_tls = !cJSON_IsFalse(json_member(item, "sslVerificationRequired"));
	read_events(out, json_member(item, "events"), "repo:refs_changed");
}

static cJSON *body_data_center(const struct git_hook_wish *wish)
{
	cJSON *body = json_new_object();

	json_put_str(body, "name", "buildhook");
	json_put_str(body, "url", wish->url);
	json_put_bool(body, "active", true);
	json_put_bool(body, "sslVerificationRequired", true);
	json_put_str(json_put_object(body, "configuration"), "secret", wish->secret);
	put_events(body, "repo:refs_changed");
	return body;
}

/* Gitea's test sends a push of the newest commit. The ref is neither a branch nor a tag, so that it
 * builds nothing. */
#define GITEA_TEST "/tests?ref=" HOOK_TEST_REF
/* Gitea, Forgejo and Gogs have one API. */
#define GITEA_API                                                                                  \
	.type = HOOK_GITHUB, .api_suffix = "/api/v1", .token_field = "Authorization: token ",      \
	.before = "/repos/", .after = "/hooks", .update = "PATCH", .keeps_secret = true,           \
	.event = "push", .put_path = put_owner_and_name, .read = read_github
/* Gogs has neither pages, nor a test, nor scopes of tokens. */
#define GITEA_PAGES                                                                                \
	.probe_member = "version", .query = "?limit=50&page=", .page_size = 50,                    \
	.test = GITEA_TEST,                                                                        \
	.rights = "a token with write:repository, of an admin of the repository"

const struct git_host git_hosts[] = {
	{
		.name = "github",
		.title = "GitHub",
		.type = HOOK_GITHUB,
		.well_known = "github.com",
		.api = "https://api.github.com",
		.api_suffix = "/api/v3",
		.probe = "/api/v3/meta",
		.probe_member = "installed_version",
		.token_field = "Authorization: Bearer ",
		.accept = "application/vnd.github+json",
		.before = "/repos/",
		.after = "/hooks",
		.query = "?per_page=100&page=",
		.page_size = 100,
		.update = "PATCH",
		.test = "/pings",
		.rights = "a classic token with admin:repo_hook, or a fine-grained one with "
			  "Webhooks: read and write, of somebody who is admin of the repository",
		.event = "push",
		.put_path = put_owner_and_name,
		.read = read_github,
		.body = body_github,
	},
	{
		.name = "gitlab",
		.title = "GitLab",
		.type = HOOK_GITLAB,
		.well_known = "gitlab.com",
		.api = "https://gitlab.com/api/v4",
		.api_suffix = "/api/v4",
		/* GitLab's /version needs a token, so projects are listed. */
		.probe = "/api/v4/projects?per_page=1&simple=true",
		.probe_member = "path_with_namespace",
		.token_field = "PRIVATE-TOKEN: ",
		.before = "/projects/",
		.after = "/hooks",
		.query = "?per_page=100&page=",
		.page_size = 100,
		.update = "PUT",
		.rights = "a token with scope api, of a Maintainer of the project",
		.event = "push_events",
		.put_path = put_project,
		.read = read_gitlab,
		.body = body_gitlab,
	},
	{
		GITEA_API,
		.name = "forgejo",
		.title = "Forgejo",
		.well_known = "codeberg.org",
		.api = "https://codeberg.org/api/v1",
		.probe = "/api/forgejo/v1/version",
		GITEA_PAGES,
		.body = body_forgejo,
	},
	{
		GITEA_API,
		.name = "gitea",
		.title = "Gitea",
		.well_known = "gitea.com",
		.api = "https://gitea.com/api/v1",
		.probe = "/api/v1/version",
		GITEA_PAGES,
		.body = body_gitea,
	},
	{
		GITEA_API,
		.name = "gogs",
		.title = "Gogs",
		.query = "",
		.rights = "a token of an admin of the repository",
		.body = body_gogs,
	},
	{
		.name = "bitbucket",
		.title = "Bitbucket Cloud",
		.type = HOOK_BITBUCKET,
		.well_known = "bitbucket.org",
		.api = "https://api.bitbucket.org/2.0",
		.api_suffix = "/2.0",
		.token_field = "Authorization: Bearer ",
		.before = "/repositories/",
		.after = "/hooks",
		.query = "?pagelen=100&page=",
		.page_size = 100,
		.list_member = "values",
		.update = "PUT",
		.rights = "an access token with scopes webhook and repository:admin, or "
			  "USER:APP_PASSWORD",
		.event = "repo:push",
		.put_path = put_owner_and_name,
		.read = read_bitbucket,
		.body = body_bitbucket,
	},
	{
		.name = "bitbucket-dc",
		.title = "Bitbucket Data Center",
		.type = HOOK_BITBUCKET,
		.api_suffix = "/rest/api/1.0",
		.probe = "/rest/api/1.0/application-properties",
		.probe_member = "version",
		.token_field = "Authorization: Bearer ",
		.before = "/",
		.after = "/webhooks",
		.query = "?limit=1000",
		.list_member = "values",
		.update = "PUT",
		.rights = "an HTTP access token with repository admin",
		.event = "repo:refs_changed",
		.put_path = put_data_center_path,
		.read = read_data_center,
		.body = body_data_center,
	},
};
const size_t git_n_hosts = ARRAY_LEN(git_hosts);

const struct git_host *git_host_find(const char *name)
{
	for (size_t i = 0; i < git_n_hosts; i++)
		if (strcmp(git_hosts[i].name, name) == 0)
			return &git_hosts[i];
	return NULL;
}

const struct git_host *git_host_of(const char *host)
{
	for (size_t i = 0; i < git_n_hosts; i++)
		if (git_hosts[i].well_known &&
		    str_eq_nocase(str_of(git_hosts[i].well_known), str_of(host)))
			return &git_hosts[i];
	return NULL;
}

bool git_hook_is_ours(const char *url, const char *namespace_, const char *name,
		      enum hook_type type)
{
	CLEANUP(buf_release) struct buf own = BUF_INIT(1024);
	CLEANUP(buf_release) struct buf theirs = BUF_INIT(1024);
	CLEANUP(buf_release) struct buf end = BUF_INIT(64);
	struct str text = str_of(url);
	const char *middle;

	text.n = str_find_char(text, '?');
	buf_printf(&own, "/hooks/%s/%s/%s", namespace_, name, hook_type_name(type));
	if (str_ends(text, buf_str(&own)))
		return true;
	/* .../webhooks/SECRET/TYPE, the secret being one segment. */
	buf_printf(&theirs, "/apis/build.openshift.io/v1/namespaces/%s/buildconfigs/%s/webhooks/",
		   namespace_, name);
	buf_printf(&end, "/%s", hook_type_name(type));
	middle = strstr(url, theirs.data);
	if (!middle || !str_ends(text, buf_str(&end)))
		return false;
	text = str_range(middle + theirs.len, text.n - (size_t)(middle - url) - theirs.len);
	return str_find_char(text, '/') == text.n - end.len;
}
