/*
 * A conversation with one Git host: requests that are waited for, with the caller's token, and what
 * the host says where it refuses. Follows no redirect, which would take the token along.
 */
#pragma once

#include "git_host.h"
#include "git_repository.h"
#include "session.h"

#include "http_client/http_client.h"

#define GIT_MAX_TOKEN_BYTES ((size_t)8192)
#define GIT_MAX_PATH_BYTES  4096
#define GIT_MAX_SHOWN_BYTES 150

struct git_talk {
	struct session *session; /* borrowed */
	const struct git_host *host;
	struct git_repository repository;
	struct buf api; /* URL of the API */
	struct buf token_field;
	struct http_client *client;
	struct buf hooks; /* path of the list, without a query */
	/* The request that is waited for. */
	int status; /* 0: no answer */
	struct buf body;
	struct buf location; /* target of a redirect */
	struct err err;
};

void git_talk_init(struct git_talk *talk, struct session *session);
void git_talk_release(struct git_talk *talk);

/* A client of the origin of URL; to be freed with git_talk_free_client. */
int git_talk_client(struct http_client **out, struct git_talk *talk, const char *url,
		    struct err *err);
/* For CLEANUP. */
void git_talk_free_client(struct http_client **client);
/* Sends to CLIENT and waits; FIELDS as in http_client_request. 0, or the error where there is no
 * answer. */
int git_talk_send(struct git_talk *talk, struct http_client *client, const char *method,
		  const char *path, struct str body, const char *const *fields, struct err *err);
/* A request to the API with the token; WHAT, for errors: "list webhooks". DOC may be NULL. */
int git_talk_call(struct git_talk *talk, cJSON **doc, const char *what, const char *method,
		  const char *path, const cJSON *body, struct err *err);
