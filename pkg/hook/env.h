/*
 * The environment variables of a Generic payload that a build may be given. The right to start
 * builds is not the right to run code in them, so names that the dynamic loader, Git or proxies
 * read are left out.
 */
#pragma once

#include "base/mem.h"
#include "doc/json.h"

#define HOOK_MAX_ENV       64
#define HOOK_MAX_ENV_BYTES 32768
/* A name that was cut to this length is too long to be accepted. */
#define HOOK_MAX_ENV_NAME_BYTES 256

/* One entry of a list, as it was sent. */
struct hook_env {
	char *name, *value; /* NULL: not sent */
	bool is_cut;        /* longer than a whole list may be */
	bool has_value_from;
	bool is_malformed; /* a warning names it already */
};

/* The accepted entries of a list. */
struct hook_env_list {
	cJSON *items; /* [{name, value}], NULL without any */
	size_t n, bytes;
	size_t n_sent; /* accepted or not */
};

void hook_env_release(struct hook_env *env);
/* NULL, or the reason why ENV is left out, which continues its name. Static text. */
const char *hook_env_put(struct hook_env_list *list, const struct hook_env *env);
