/* Activity in a hash table by the uid of the BuildConfig, one entry for each hook that was seen. */
#include "delivery/activity.h"

#include "base/hash.h"
#include "base/mem.h"

#include <stdio.h>

struct config_entry {
	UT_hash_handle hh;
	char *uid;
	struct hook_activity *hooks[HOOK_TYPES]; /* NULL where nothing was seen */
	struct unbuilt_line unbuilt[ACTIVITY_UNBUILT];
	size_t n_unbuilt;
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

size_t activity_key_bytes(struct str text)
{
	static const struct str refused = STR(" refused: ");
	size_t type_bytes = str_find_char(text, ' ');

	if (str_starts(str_range(text.p + type_bytes, text.n - type_bytes), refused))
		return type_bytes + refused.n;
	return text.n;
}

static struct unbuilt_line *find_place(struct config_entry *config, struct str key)
{
	struct unbuilt_line *oldest = &config->unbuilt[0];

	for (size_t i = 0; i < config->n_unbuilt; i++) {
		struct unbuilt_line *outcome = &config->unbuilt[i];
		struct str text = str_of(outcome->text);

		if (str_eq(str_range(text.p, activity_key_bytes(text)), key))
			return outcome;
		if (outcome->ms < oldest->ms)
			oldest = outcome;
	}
	return config->n_unbuilt < ACTIVITY_UNBUILT ? &config->unbuilt[config->n_unbuilt++]
						    : oldest;
}

void activity_add_unbuilt(struct activity *activity, const char *uid, enum hook_type type,
			  int64_t ms, const char *line)
{
	char text[2 * ACTIVITY_LINE_BYTES];
	struct unbuilt_line *place = NULL;

	STR_JOIN(text, str_of(hook_type_name(type)), STR(" "), str_of(line));
	place = find_place(get_config(activity, uid),
			   str_range(text, activity_key_bytes(str_of(text))));
	if (place->text && place->ms > ms)
		return;
	mem_free(&place->text);
	*place = (struct unbuilt_line){ms, mem_strdup(text)};
}

void activity_note_ignored(struct activity *activity, const char *uid, enum hook_type type,
			   enum outcome reason, const char *what)
{
	struct hook_activity *hook = activity_get(activity, uid, type);
	char shown[ACTIVITY_LINE_BYTES];

	STR_JOIN(shown, str_cut_utf8(str_of(what), sizeof(shown) - 1));
	if (reason != hook->ignored_reason || strcmp(shown, hook->ignored_what) != 0)
		hook->ignored_row = 0;
	hook->ignored_row++;
	hook->ignored_reason = reason;
	memcpy(hook->ignored_what, shown, sizeof(shown));
	hook->ignored++;
	memcpy(hook->ignored_line, hook->last, sizeof(hook->ignored_line));
	activity_add_unbuilt(activity, uid, type, hook->last_ms, hook->last);
}

size_t activity_find_unbuilt(const struct activity *activity, const char *uid,
			     const struct unbuilt_line **out)
{
	const struct config_entry *config = find_config(activity, uid);

	*out = config ? config->unbuilt : NULL;
	return config ? config->n_unbuilt : 0;
}

static void remove_config(struct activity *activity, struct config_entry *config)
{
	HASH_DEL(activity->configs, config);
	for (size_t i = 0; i < HOOK_TYPES; i++)
		mem_free(&config->hooks[i]);
	for (size_t i = 0; i < config->n_unbuilt; i++)
		mem_free(&config->unbuilt[i].text);
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
