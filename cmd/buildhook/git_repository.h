/* Where a repository is, from its clone URL. Pure. */
#pragma once

#include <stdbool.h>

struct git_repository {
	char host[300]; /* with the port of an http(s) URL */
	char path[700]; /* "shop/cart", without .git */
	bool is_http;   /* http:// */
};

/* https, http, ssh and user@host:path. False where URI is none of them. */
bool git_repository_parse(struct git_repository *out, const char *uri);
