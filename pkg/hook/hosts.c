/*
 * The table of hosts, and the search in it. Gitea sends the headers of Gogs and GitHub besides its
 * own, and Forgejo those of all three, so the first host whose event header is there is the sender.
 */
#include "hook/host.h"

#include "base/buf.h"
#include "base/mem.h"

#include <assert.h>

const struct hook_host *const hook_hosts[] = {
	&hook_forgejo,         &hook_gitea,        &hook_gogs,    &hook_github, &hook_gitlab,
	&hook_bitbucket_cloud, &hook_bitbucket_dc, &hook_generic, NULL,
};

static_assert(ARRAY_LEN(hook_hosts) == HOOK_MAX_HOSTS + 1, "HOOK_MAX_HOSTS is of this table");

bool hook_host_pushes(const struct hook_host *host, struct str event)
{
	for (size_t i = 0; i < ARRAY_LEN(host->push_events); i++)
		if (host->push_events[i] && str_eq(event, str_of(host->push_events[i])))
			return true;
	return false;
}

bool hook_host_pings(const struct hook_host *host, struct str event)
{
	return host->ping_event && str_eq(event, str_of(host->ping_event));
}

/* Pushes and pings have names of their own. Of other events any host with the header may be the
 * sender, and its further headers decide. */
static bool is_sender(const struct hook_host *host, const struct hook_request *request,
		      struct str event)
{
	if (!host->sends || hook_host_pushes(host, event) || hook_host_pings(host, event))
		return true;
	for (size_t i = 0; hook_hosts[i]; i++)
		if (hook_hosts[i]->type == host->type && (hook_host_pushes(hook_hosts[i], event) ||
							  hook_host_pings(hook_hosts[i], event)))
			return false;
	return host->sends(request);
}

const struct hook_host *hook_host_find(const struct hook_request *request)
{
	for (size_t i = 0; hook_hosts[i]; i++) {
		const struct hook_host *host = hook_hosts[i];
		struct str event;

		if (host->type != request->type)
			continue;
		if (!host->event_header)
			return host;
		event = hook_header(request, host->event_header, NULL);
		if (!str_empty(event) && is_sender(host, request, event))
			return host;
	}
	return NULL;
}

const struct hook_host *hook_host_named(enum hook_type type)
{
	for (size_t i = 0; hook_hosts[i]; i++)
		if (strcmp(hook_hosts[i]->name, hook_type_name(type)) == 0)
			return hook_hosts[i];
	assert(!"a host for each TYPE");
	return NULL;
}

void hook_host_report_absent(struct err *err, enum hook_type type)
{
	CLEANUP(buf_release) struct buf names = BUF_INIT(200);
	const char *last = "";

	for (size_t i = ARRAY_LEN(hook_hosts) - 1; i-- > 0;) {
		const char *header = hook_hosts[i]->event_header;

		if (hook_hosts[i]->type != type || !header || strcmp(header, last) == 0)
			continue;
		buf_printf(&names, "%s%s", *last ? " or " : "", header);
		last = header;
	}
	err_set(err, ERR_INVALID, "no event header: expected %s", names.data);
}
