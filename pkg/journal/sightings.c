#include "journal/sightings.h"

#include "base/hash.h"
#include "base/mem.h"

#include <utlist.h>

struct hook_entry {
	struct hook_entry *next;
	char *type;
	struct sighting sighting;
};

struct config_entry {
	UT_hash_handle hh;
	char *uid;
	struct hook_entry *hooks; /* few: one of each type at most */
};

struct sightings {
	struct config_entry *configs; /* by uid */
};

struct sightings *sightings_new(void)
{
	return mem_new(1, sizeof(struct sightings));
}

static struct config_entry *find_config(const struct sightings *sightings, const char *uid)
{
	struct config_entry *config = NULL;

	HASH_FIND_STR(sightings->configs, uid, config);
	return config;
}

static struct config_entry *get_config(struct sightings *sightings, const char *uid)
{
	struct config_entry *config = find_config(sightings, uid);

	if (config)
		return config;
	config = mem_new(1, sizeof(*config));
	config->uid = mem_strdup(uid);
	HASH_ADD_KEYPTR(hh, sightings->configs, config->uid, strlen(uid), config);
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

struct sighting *sightings_get(struct sightings *sightings, const char *uid, const char *type)
{
	struct config_entry *config = get_config(sightings, uid);
	struct hook_entry *hook = find_hook(config, type);

	if (!hook) {
		hook = mem_new(1, sizeof(*hook));
		hook->type = mem_strdup(type);
		LL_PREPEND(config->hooks, hook);
	}
	return &hook->sighting;
}

struct sighting *sightings_find(const struct sightings *sightings, const char *uid,
				const char *type)
{
	const struct config_entry *config = find_config(sightings, uid);
	struct hook_entry *hook = config ? find_hook(config, type) : NULL;

	return hook ? &hook->sighting : NULL;
}

static void remove_config(struct sightings *sightings, struct config_entry *config)
{
	struct hook_entry *hook = NULL, *next = NULL;

	HASH_DEL(sightings->configs, config);
	LL_FOREACH_SAFE (config->hooks, hook, next) {
		mem_free(&hook->type);
		mem_free(&hook);
	}
	mem_free(&config->uid);
	mem_free(&config);
}

void sightings_drop(struct sightings *sightings, const char *uid)
{
	struct config_entry *config = find_config(sightings, uid);

	if (config)
		remove_config(sightings, config);
}

void sightings_free(struct sightings *sightings)
{
	if (!sightings)
		return;
	while (sightings->configs)
		remove_config(sightings, sightings->configs);
	mem_free(&sightings);
}
