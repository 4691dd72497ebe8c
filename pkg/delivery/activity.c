/* Activity in a hash table by the uid of the BuildConfig, one entry for each hook that was seen. */
#include "delivery/activity.h"

#include "base/hash.h"
#include "base/mem.h"

struct config_entry {
	UT_hash_handle hh;
	char *uid;
	struct hook_activity *hooks[HOOK_TYPES]; /* NULL where nothing was seen */
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

struct hook_activity *activity_get(struct activity *activity, const char *uid, enum hook_type type)
{
	struct config_entry *config = get_config(activity, uid);

	if (!config->hooks[type])
		config->hooks[type] = mem_new(1, sizeof(*config->hooks[type]));
	return config->hooks[type];
}

struct hook_activity *activity_find(const struct activity *activity, const char *uid,
				    enum hook_type type)
{
	const struct config_entry *config = find_config(activity, uid);

	return config ? config->hooks[type] : NULL;
}

static void remove_config(struct activity *activity, struct config_entry *config)
{
	HASH_DEL(activity->configs, config);
	for (size_t i = 0; i < HOOK_TYPES; i++)
		mem_free(&config->hooks[i]);
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
