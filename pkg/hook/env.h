/*
 * Environment variables that a Generic payload asks for: which of them a build may be given. Who
 * may start builds is not thereby one who may run code in them, so names that the loader, Git or
 * the way to the network heed are left out.
 */
#pragma once

#include "base/mem.h"
#include "doc/json.h"

#define HOOK_MAX_ENV       64
#define HOOK_MAX_ENV_BYTES 32768
/* A name cut to this is longer, and none that counts. */
#define HOOK_MAX_ENV_NAME_BYTES 256

/* One entry of a list, as it was sent. */
struct hook_env {
	char *name, *value; /* NULL: none */
	bool is_cut;        /* longer than all of a list may be */
	bool has_value_from;
	bool is_malformed; /* a warning names it already */
};

/* Those that were let through. */
struct hook_env_list {
	cJSON *items; /* [{name, value}], NULL without any */
	size_t n, bytes;
	size_t n_sent; /* let through or not */
};

void hook_env_release(struct hook_env *env);
/* NULL, or why ENV is left out, in words that go on after its name. Static text. */
const char *hook_env_put(struct hook_env_list *list, const struct hook_env *env);
