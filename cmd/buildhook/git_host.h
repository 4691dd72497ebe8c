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
	bool verifies_tls; /* likewise */
	bool sends_pushes;
	bool sends_more; /* events that start no build */
	char branch_filter[256];
};

/* What the webhook is to be. */
struct git_hook_wish {
	const char *url, *secret;
	bool with_tags;            /* GitLab: tags are an event of their own */
	const char *branch_filter; /* of the hook that is changed: Gitea drops it otherwise */
};

/* Where a repository is, from a clone URL. */
struct git_repository {
	char host[300]; /* with the port of an http(s) URL */
	char path[700]; /* "shop/cart", without .git */
	bool is_http;   /* http:// */
};

struct git_host {
	const char *name;  /* as --host takes it */
	const char *title; /* "GitHub" */
	enum hook_type type;
	const char *well_known; /* "github.com", or NULL */
	const char *api;        /* of the well-known host */
	const char *api_suffix; /* of others: https://HOST + this */
	/* A path of the host that shows without a token whether it is of this kind, and the member
	 * of the answer (or of its first item) that must be there; NULL: it cannot be told. */
	const char *probe, *probe_member;
	const char *token_field;    /* "Authorization: Bearer " */
	const char *accept;         /* or NULL */
	const char *before, *after; /* around the repository's path: the list of its hooks */
	const char *query;          /* of the list, to which the page's number is added */
	size_t page_size;           /* 0: all come at once, and no number is added */
	const char *list_member;    /* where the hooks are in the answer; NULL: it is the array */
	const char *update;         /* method that changes a hook: "PATCH", "PUT" */
	/* A change never touches the secret, so a hook with another secret is a new hook. */
	bool keeps_secret;
	const char *test;   /* POST to HOOKS/ID + this makes the host send a delivery that builds
			       nothing; NULL: there is none */
	const char *rights; /* what the token must be allowed, for error messages */
	const char *event;  /* of pushes, as the host's page calls it */
	void (*put_path)(struct buf *out, const char *repository);
	void (*read)(struct git_hook *out, const cJSON *item);
	cJSON *(*body)(const struct git_hook_wish *wish);
};

extern const struct git_host git_hosts[];
extern const size_t git_n_hosts;

/* By --host; NULL: unknown. */
const struct git_host *git_host_find(const char *name);
/* By the name of a well-known host; NULL: it is none. */
const struct git_host *git_host_of(const char *host);

/* https, http, ssh and user@host:path. False where URI is none of them. */
bool git_repository_parse(struct git_repository *out, const char *uri);

/* URL's path is that of the webhook TYPE of NAMESPACE/NAME, in buildhook's form or OpenShift's, at
 * any host and below any prefix. */
bool git_hook_is_ours(const char *url, const char *namespace_, const char *name,
		      enum hook_type type);
