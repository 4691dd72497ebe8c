/*
 * The APIs by which Git hosts manage a repository's webhooks: one table, one row a kind of host.
 * Pure: paths, bodies and what an answer says; git_talk.h sends.
 */
#pragma once

#include "base/buf.h"
#include "delivery/type.h"
#include "doc/json.h"

#include <stdbool.h>

/* A webhook as a host describes it. */
struct git_hook {
	char id[128]; /* part of its path: letters, digits and {}_-; "": it has none */
	char url[2048];
	bool is_active;
	bool is_json;      /* true where a host knows no other media type */
	bool verifies_tls; /* true where a host cannot switch the check off */
	bool sends_pushes;
	bool sends_more; /* events that start no build */
	char branch_filter[256];
};

/* What the webhook is to be. */
struct git_hook_wish {
	const char *url, *secret;
	bool with_tags;            /* GitLab: tags are an event of their own */
	const char *branch_filter; /* the filter of the hook that is changed: Gitea would drop it
				      otherwise */
};

struct git_host {
	const char *name;  /* as --host takes it */
	const char *title; /* "GitHub" */
	enum hook_type type;
	const char *well_known; /* "github.com", or NULL */
	const char *api;        /* URL of the well-known host's API */
	const char *api_suffix; /* the API of other hosts is https://HOST and this */
	/* A path of the host that shows without a token whether it is of this kind, and the member
	 * of the answer (or of its first item) that must be there; NULL: it cannot be told. */
	const char *probe, *probe_member;
	const char *token_field;    /* "Authorization: Bearer " */
	const char *accept;         /* or NULL */
	const char *before, *after; /* around the repository's path: the list of its hooks */
	const char *query;          /* query of the list; the page's number is added */
	size_t page_size;           /* 0: there are no pages */
	const char *list_member; /* member of the answer that holds the hooks; NULL: the answer is
				    the array */
	const char *update;      /* method that changes a hook: "PATCH", "PUT" */
	/* A change never touches the secret, so a hook with another secret is a new hook. */
	bool keeps_secret;
	const char *test;   /* POST to HOOKS/ID + this makes the host send a delivery that builds
			       nothing; NULL: there is none */
	const char *rights; /* what the token must be allowed, for error messages */
	const char *event;  /* the event of pushes, as the host's page calls it */
	void (*put_path)(struct buf *out, const char *repository);
	void (*read)(struct git_hook *out, const cJSON *item);
	cJSON *(*body)(const struct git_hook_wish *wish);
};

extern const struct git_host git_hosts[];
extern const size_t git_n_hosts;

/* The host with this value of --host; NULL: unknown. */
const struct git_host *git_host_find(const char *name);
/* The host with this well-known name; NULL: none. */
const struct git_host *git_host_of(const char *host);

/* URL's path is that of the webhook TYPE of NAMESPACE/NAME, in buildhook's form or OpenShift's, at
 * any host and below any prefix. */
bool git_hook_is_ours(const char *url, const char *namespace_, const char *name,
		      enum hook_type type);
