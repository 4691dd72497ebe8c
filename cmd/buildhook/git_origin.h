/*
 * Which Git host a BuildConfig's repository is at, of which kind, and where its API is.
 *
 * The token is the caller's, and the clone URL belongs to whoever may edit the BuildConfig: so the
 * token goes only to an origin that is well known, or that the caller has named or confirmed.
 */
#pragma once

#include "git_talk.h"

/*
 * Fills TALK's host, repository, api and client. HOST, API_URL: as the caller named them, or NULL.
 * A host that is not well known is asked, without the token, and the caller confirms it.
 */
int git_origin_find(struct git_talk *talk, const char *host, const char *api_url, const cJSON *bc,
		    struct err *err);
