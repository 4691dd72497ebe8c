#include "hook/env.h"

/* A name that Kubernetes accepts (apimachinery, IsEnvVarName), but not "." or one that begins with
 * "..". */
static bool is_name(struct str name)
{
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		bool is_digit = c >= '0' && c <= '9';
		bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!is_letter && !(is_digit && i > 0) && c != '_' && c != '-' && c != '.')
			return false;
	}
	return !str_empty(name) && name.n < HOOK_MAX_ENV_NAME_BYTES && !str_eq(name, STR(".")) &&
	       !str_starts(name, STR(".."));
}

/* Programs read the names of proxies in either case. */
static bool is_of_proxy(struct str name)
{
	static const struct str suffix = {"_PROXY", 6};

	return name.n >= suffix.n &&
	       str_eq_nocase(str_range(name.p + name.n - suffix.n, suffix.n), suffix);
}

static bool is_reserved(struct str name)
{
	return str_eq(name, STR("PATH")) || str_starts(name, STR("LD_")) ||
	       str_starts(name, STR("GIT_")) || is_of_proxy(name);
}

void hook_env_release(struct hook_env *env)
{
	mem_free(&env->name);
	mem_free(&env->value);
	*env = (struct hook_env){0};
}

const char *hook_env_put(struct hook_env_list *list, const struct hook_env *env)
{
	struct str name = str_of(env->name), value = str_of(env->value);
	cJSON *item = NULL;

	if (!is_name(name))
		return "is no name of an environment variable";
	if (is_reserved(name))
		return "is a name that a payload may not set";
	if (env->has_value_from)
		return "has valueFrom, and only value counts";
	if (list->n == HOOK_MAX_ENV)
		return "is one of more than 64";
	if (env->is_cut || list->bytes + name.n + value.n > HOOK_MAX_ENV_BYTES)
		return "makes it more than 32 KiB";
	list->n++;
	list->bytes += name.n + value.n;
	if (!list->items)
		list->items = json_new_array();
	item = json_append(list->items, json_new_object());
	json_put_text(item, "name", name);
	json_put_text(item, "value", env->value ? value : STR(""));
	return NULL;
}
