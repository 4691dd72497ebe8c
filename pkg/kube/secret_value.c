#include "kube/secret_value.h"

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/crypto.h"

#include <stdio.h>

#define MAX_OWNERS 256

void secret_value_release(struct secret_value *value)
{
	mem_wipe(&value->value, KUBE_SECRET_MAX_BYTES + 1);
	mem_wipe(&value->previous, KUBE_SECRET_MAX_BYTES + 1);
	free(value->owners);
	free(value->text);
	*value = (struct secret_value){0};
}

/* "" where the value counts; what counts is without one newline at its end, as editors and `echo`
 * leave it. */
static const char *read_key(char **out, struct str *value, const cJSON *encoded)
{
	size_t n = 0;

	*out = mem_new(1, KUBE_SECRET_MAX_BYTES + 1);
	if (!cJSON_IsString(encoded))
		return "it has no key " KUBE_SECRET_KEY;
	if (!crypto_unbase64((unsigned char *)*out, KUBE_SECRET_MAX_BYTES, &n,
			     str_of(encoded->valuestring)))
		return "the value of its key " KUBE_SECRET_KEY " is longer than 4096 bytes";
	if (memchr(*out, 0, n))
		return "the value of its key " KUBE_SECRET_KEY " holds a NUL byte";
	if (n > 0 && (*out)[n - 1] == '\n')
		n--;
	if (n == 0)
		return "the value of its key " KUBE_SECRET_KEY " is empty";
	*value = str_range(*out, n);
	return "";
}

static void read_owners(struct secret_value *out, const cJSON *list)
{
	const cJSON *entry;

	if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) == 0)
		return;
	out->owners = mem_new((size_t)cJSON_GetArraySize(list), sizeof(*out->owners));
	cJSON_ArrayForEach (entry, list) {
		const char *kind = json_str_at(entry, "kind"), *uid = json_str_at(entry, "uid");
		const char *name = json_str_at(entry, "name");
		struct kube_secret_owner *owner = &out->owners[out->known.n_owners];

		if (!kind || !uid || !name || strcmp(kind, "BuildConfig") != 0 ||
		    out->known.n_owners == MAX_OWNERS)
			continue;
		(void)snprintf(owner->uid, sizeof(owner->uid), "%s", uid);
		(void)snprintf(owner->name, sizeof(owner->name), "%s", name);
		out->known.n_owners++;
	}
	out->known.owners = out->owners;
}

static const char *text_of(const cJSON *value)
{
	return cJSON_IsString(value) ? value->valuestring : "";
}

/* The texts that are compared, in one block. */
static void read_texts(struct secret_value *out, const cJSON *metadata, const cJSON *annotations)
{
	const char *uid = text_of(json_member(metadata, "uid"));
	const char *version = text_of(json_member(metadata, "resourceVersion"));
	const char *rotated = text_of(json_member(annotations, "buildhook.io/rotated"));
	size_t uid_bytes = strlen(uid) + 1, version_bytes = strlen(version) + 1,
	       rotated_bytes = strlen(rotated) + 1;

	out->text = mem_new(1, uid_bytes + version_bytes + rotated_bytes);
	memcpy(out->text, uid, uid_bytes);
	memcpy(out->text + uid_bytes, version, version_bytes);
	memcpy(out->text + uid_bytes + version_bytes, rotated, rotated_bytes);
	out->known.uid = out->text;
	out->known.resource_version = out->text + uid_bytes;
	out->known.rotated_for = out->text + uid_bytes + version_bytes;
}

void secret_value_read(struct secret_value *out, const cJSON *doc)
{
	const cJSON *metadata = json_member(doc, "metadata"), *data = json_member(doc, "data");
	const cJSON *annotations = json_member(metadata, "annotations");
	const cJSON *manager = json_member(json_member(metadata, "labels"), KUBE_MANAGED_BY_LABEL);
	const char *until = text_of(json_member(annotations, "buildhook.io/previous-until"));

	*out = (struct secret_value){.known = {.state = KUBE_SECRET_PRESENT}};
	read_texts(out, metadata, annotations);
	out->known.is_ours = strcmp(text_of(manager), "buildhook") == 0;
	out->known.has_key = json_member(data, KUBE_SECRET_KEY) != NULL;
	out->known.problem =
		read_key(&out->value, &out->known.value, json_member(data, KUBE_SECRET_KEY));
	if (out->known.is_ours && json_member(data, KUBE_SECRET_PREVIOUS_KEY))
		(void)read_key(&out->previous, &out->known.previous,
			       json_member(data, KUBE_SECRET_PREVIOUS_KEY));
	(void)clock_parse_rfc3339(str_of(until), &out->known.previous_until_ms);
	read_owners(out, json_member(metadata, "ownerReferences"));
}
