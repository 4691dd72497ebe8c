/* Activity in a hash table by the uid of the BuildConfig, one entry for each hook that was seen. */
#include "delivery/activity.h"

#include "base/hash.h"
#include "base/mem.h"

#include <utlist.h>

struct hook_entry {
	struct hook_entry *next;
	char *type;
	struct hook_activity activity;
};

struct config_entry {
	UT_hash_handle hh;
	char *uid;
	struct hook_entry *hooks; /* few: one of each type at most */
};

struct activity {
	struct config_entry *configs; /* by uid */
};

struct activity *activity_new(void)
{
	return mem_new(1, sizeof(struct activity));
}

static struct config_entry *find_config(const struct activity *activity, const char *uid)
{
	struct config_entry *config = NULL;

	HASH_FIND_STR(activity->configs, uid, config);
	return config;
}

static struct config_entry *get_config(struct activity *activity, const char *uid)
{
	struct config_entry *config = find_config(activity, uid);

	if (config)
		return config;
	config = mem_new(1, sizeof(*config));
	config->uid = mem_strdup(uid);
	HASH_ADD_KEYPTR(hh, activity->configs, config->uid, strlen(uid), config);
	return config;
}

static struct hook_entry *find_hook(const struct config_entry *config, const char *type)
{
	struct hook_entry *hook = NULL;

	LL_FOREACH (config->hooks, hook)
		if (strcmp(hook->type, type) == 0)
			return hook;
	return NULL;
}

struct hook_activity *activity_get(struct activity *activity, const char *uid, const char *type)
{
	struct config_entry *config = get_config(activity, uid);
	struct hook_entry *hook = find_hook(config, type);

	if (!hook) {
		hook = mem_new(1, sizeof(*hook));
		hook->type = mem_strdup(type);
		LL_PREPEND(config->hooks, hook);
	}
	return &hook->activity;
}

struct hook_activity *activity_find(const struct activity *activity, const char *uid,
				    const char *type)
{
	const struct config_entry *config = find_config(activity, uid);
	struct hook_entry *hook = config ? find_hook(config, type) : NULL;

	return hook ? &hook->activity : NULL;
}

static void remove_config(struct activity *activity, struct config_entry *config)
{
	struct hook_entry *hook = NULL, *next = NULL;

	HASH_DEL(activity->configs, config);
	LL_FOREACH_SAFE (config->hooks, hook, next) {
		mem_free(&hook->type);
		mem_free(&hook);
	}
	mem_free(&config->uid);
	mem_free(&config);
}

void activity_drop(struct activity *activity, const char *uid)
{
	struct config_entry *config = find_config(activity, uid);

	if (config)
		remove_config(activity, config);
}

void activity_free(struct activity *activity)
{
	if (!activity)
		return;
	while (activity->configs)
		remove_config(activity, activity->configs);
	mem_free(&activity);
}
