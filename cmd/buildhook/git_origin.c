#include "git_origin.h"

#include "prompt.h"

#include "base/mem.h"

#include <assert.h>

static bool has_member(const cJSON *doc, const char *name)
{
	return json_member(cJSON_IsArray(doc) ? doc->child : doc, name) != NULL;
}

/* Asks without the token. */
static int probe(struct git_talk *talk, struct err *err)
{
	CLEANUP(buf_release) struct buf origin = BUF_INIT(512);
	CLEANUP(git_talk_free_client) struct http_client *client = NULL;

	buf_printf(&origin, "%s://%s", talk->repository.is_http ? "http" : "https",
		   talk->repository.host);
	if (git_talk_client(&client, talk, origin.data, err) != 0)
		return err->code;
	for (size_t i = 0; i < git_n_hosts && !talk->host; i++) {
		CLEANUP(json_freep) cJSON *doc = NULL;
		struct err ignored = {0};

		if (!git_hosts[i].probe)
			continue;
		if (git_talk_send(talk, client, "GET", git_hosts[i].probe, STR(""), NULL, err) != 0)
			return err->code;
		if (talk->status == 200 && json_parse(&doc, buf_str(&talk->body), &ignored) == 0 &&
		    has_member(doc, git_hosts[i].probe_member))
			talk->host = &git_hosts[i];
	}
	if (talk->host)
		return 0;
	return err_set(
		err, ERR_NOTFOUND,
		"which kind of Git host %s is cannot be told: say it with --host and --api-url",
		talk->repository.host);
}

int git_origin_find(struct git_talk *talk, const char *host, const char *api_url, const cJSON *bc,
		    struct err *err)
{
	const char *uri = json_str_at(bc, "spec/source/git/uri");
	const struct git_host *known;

	if (!uri || !git_repository_parse(&talk->repository, uri))
		return err_set(err, ERR_INVALID,
			       "spec.source.git.uri is \"%.200s\"; expected the address of a "
			       "repository: https://HOST/PATH or git@HOST:PATH",
			       uri ? uri : "");
	known = git_host_of(talk->repository.host);
	talk->host = host ? git_host_find(host) : known;
	if (host && !talk->host)
		return err_set(
			err, ERR_INVALID,
			"--host %s is not known; expected github, gitlab, gitea, forgejo, gogs, "
			"bitbucket or bitbucket-dc",
			host);
	if (!talk->host && api_url)
		return err_set(err, ERR_INVALID,
			       "--api-url needs --host, which says what kind it is");
	if (!talk->host && probe(talk, err) != 0)
		return err->code;
	assert(talk->host);
	if (api_url)
		buf_printf(&talk->api, "%s", api_url);
	else if (talk->host == known)
		buf_printf(&talk->api, "%s", talk->host->api);
	else
		buf_printf(&talk->api, "%s://%s%s", talk->repository.is_http ? "http" : "https",
			   talk->repository.host, talk->host->api_suffix);
	while (talk->api.len && talk->api.data[talk->api.len - 1] == '/')
		talk->api.data[--talk->api.len] = '\0';
	if (!api_url && talk->host != known) {
		CLEANUP(buf_release) struct buf question = BUF_INIT(2048);

		buf_printf(&question, "%s looks like %s. Send your token to %s?",
			   talk->repository.host, talk->host->title, talk->api.data);
		if (!prompt_confirm(question.data))
			return err_set(err, ERR_DENIED,
				       "the token is sent to no host that you have not confirmed: "
				       "answer y, or give --host %s --api-url %s",
				       talk->host->name, talk->api.data);
	}
	return git_talk_client(&talk->client, talk, talk->api.data, err);
}
