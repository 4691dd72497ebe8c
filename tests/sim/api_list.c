/* Lists of BuildConfigs, as the API server's watch cache gives them: pages of one moment, which may
 * be past. */
#include "api.h"

#include <inttypes.h>
#include <stdio.h>

#define MAX_LIST (4 * 1024 * 1024)

/* The last change of KEY up to VERSION. */
static const struct api_change *find_state(const struct api *api, const char *key, uint64_t version)
{
	const struct api_change *found = NULL;

	for (size_t i = 0; i < api->n_changes && api->changes[i].version <= version; i++)
		if (strcmp(api->changes[i].key, key) == 0)
			found = &api->changes[i];
	return found && strcmp(found->type, "DELETED") != 0 ? found : NULL;
}

/* The first existing key behind AFTER. */
static const struct api_change *next_state(const struct api *api, const char *after,
					   uint64_t version)
{
	const struct api_change *best = NULL;

	for (size_t i = 0; i < api->n_changes && api->changes[i].version <= version; i++) {
		const char *key = api->changes[i].key;

		if (strcmp(key, after) > 0 && (!best || strcmp(key, best->key) < 0) &&
		    find_state(api, key, version))
			best = find_state(api, key, version);
	}
	return best;
}

static uint64_t pick_version(struct api *api, const char *version)
{
	uint64_t least = 0;

	if (!*version)
		return api->version;
	(void)str_parse_u64(str_of(version), UINT64_MAX, &least);
	if (least < api->oldest)
		least = api->oldest;
	if (least >= api->version)
		return least;
	return least + world_below(api->world, api->version - least + 1);
}

static void put_list(struct api *api, const char *after, uint64_t version, size_t limit,
		     struct api_answer *out)
{
	CLEANUP(buf_release) struct buf items = BUF_INIT(MAX_LIST);
	CLEANUP(buf_release) struct buf body = BUF_INIT(MAX_LIST);
	const struct api_change *state = next_state(api, after, version), *last = NULL;

	for (size_t n = 0; state && (limit == 0 || n < limit); n++) {
		if (n > 0)
			buf_put_char(&items, ',');
		buf_put_str(&items, str_of(state->text));
		last = state;
		state = next_state(api, last->key, version);
	}
	buf_printf(&body,
		   "{\"kind\":\"BuildConfigList\",\"apiVersion\":\"build.openshift.io/"
		   "v1\",\"metadata\":{"
		   "\"resourceVersion\":\"%" PRIu64 "\"",
		   version);
	if (state && last)
		buf_printf(&body, ",\"continue\":\"%" PRIu64 ":%s\"", version, last->key);
	buf_put_str(&body, STR("},\"items\":["));
	buf_put_str(&body, buf_str(&items));
	buf_put_str(&body, STR("]}"));
	out->status = 200;
	out->body = buf_take(&body);
}

void api_list_buildconfigs(struct api *api, const char *version, const char *from, size_t limit,
			   struct api_answer *out)
{
	const char *colon = strchr(from, ':');
	uint64_t at = 0;

	if (!colon) {
		at = pick_version(api, version);
		if (at > api->version)
			api_put_status(out, 504, "Timeout", "Too large resource version: %" PRIu64,
				       at);
		else
			put_list(api, "", at, limit, out);
		return;
	}
	(void)str_parse_u64(str_range(from, (size_t)(colon - from)), UINT64_MAX, &at);
	if (at < api->oldest)
		api_put_status(out, 410, "Expired", "the provided continue parameter is too old");
	else
		put_list(api, colon + 1, at, limit, out);
}
