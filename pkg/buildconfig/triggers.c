/* Reads spec.triggers: which webhooks a BuildConfig has, and where their secrets are. */
#include "buildconfig/draft.h"

#include "base/mem.h"

#include <stdio.h>

/* A Secret's value has the same bound. */
#define MAX_INLINE_BYTES 4096

/* OpenShift still accepts the lower-case names of its first two webhook types. */
static bool find_type(const char *name, enum hook_type *out)
{
	for (enum hook_type type = 0; type < HOOK_TYPES; type++) {
		bool has_old_name = type == HOOK_GITHUB || type == HOOK_GENERIC;

		if (strcmp(name, hook_type_trigger(type)) == 0 ||
		    (has_old_name && strcmp(name, hook_type_name(type)) == 0)) {
			*out = type;
			return true;
		}
	}
	return false;
}

/* The member of an entry of spec.triggers that makes a hook. */
struct trigger {
	struct draft *draft;
	enum hook_type type;
	unsigned index;
	const char *path;  /* "spec.triggers[3].github" */
	bool names_secret; /* even an invalid name: then buildhook makes no Secret */
};

static void add_problem(struct trigger *trigger, const char *field, const char *what)
{
	draft_add_problem(trigger->draft->hook_problems[trigger->type], "%s%s %s", trigger->path,
			  field, what);
}

static void add_wrong_type(struct trigger *trigger, const char *field, const cJSON *item,
			   const char *expected)
{
	char what[64];
	(void)snprintf(what, sizeof(what), "is %s, not %s", draft_type_name(item), expected);
	add_problem(trigger, field, what);
}

/* Two triggers may name the same one. */
static void add_secret(struct trigger *trigger, enum buildconfig_secret_kind kind, const char *text)
{
	struct draft *draft = trigger->draft;
	struct buildconfig_hook *hook = &draft->bc.hooks[trigger->type];
	struct buildconfig_secret *secrets = draft->secrets[trigger->type];
	for (size_t i = 0; i < hook->n_secrets; i++)
		if (secrets[i].kind == kind && strcmp(secrets[i].text, text) == 0)
			return;
	draft->n_secrets_seen[trigger->type]++;
	if (hook->n_secrets < BUILDCONFIG_MAX_SECRETS)
		secrets[hook->n_secrets++] =
			(struct buildconfig_secret){kind, trigger->index, text};
}

static bool is_absent(const cJSON *item)
{
	return !item || cJSON_IsNull(item) || (cJSON_IsString(item) && !*item->valuestring);
}

static void read_reference(struct trigger *trigger, const cJSON *reference)
{
	const cJSON *name = json_member(reference, "name");
	if (is_absent(reference))
		return;
	trigger->names_secret = !cJSON_IsObject(reference) || !is_absent(name);
	if (!cJSON_IsObject(reference))
		add_wrong_type(trigger, ".secretReference", reference, "an object");
	else if (!is_absent(name) && !cJSON_IsString(name))
		add_wrong_type(trigger, ".secretReference.name", name, "text");
	/* The name becomes part of a URL. */
	else if (!is_absent(name) && !str_is_dns_subdomain(str_of(name->valuestring)))
		add_problem(trigger, ".secretReference.name", "is no name that a Secret can have");
	else if (!is_absent(name))
		add_secret(trigger, BUILDCONFIG_SECRET_REFERENCE, name->valuestring);
}

/* draft_pack() removes one newline at the end of the secret. */
static void read_inline(struct trigger *trigger, const cJSON *secret)
{
	if (is_absent(secret))
		return;
	trigger->names_secret = true;
	if (!cJSON_IsString(secret))
		add_wrong_type(trigger, ".secret", secret, "text");
	else if (strlen(secret->valuestring) > MAX_INLINE_BYTES)
		add_problem(trigger, ".secret", "is longer than 4096 bytes");
	else if (strcmp(secret->valuestring, "\n") == 0)
		add_problem(trigger, ".secret", "is an empty line");
	else
		add_secret(trigger, BUILDCONFIG_SECRET_INLINE, secret->valuestring);
}

static void add_default(struct trigger *trigger)
{
	char suffix[32];
	char *name = trigger->draft->default_names[trigger->type];
	(void)snprintf(suffix, sizeof(suffix), "%s-webhook", hook_type_name(trigger->type));
	buildconfig_child_name(name, trigger->draft->bc.name, suffix);
	add_secret(trigger, BUILDCONFIG_SECRET_DEFAULT, name);
}

/* Which of several triggers proved a delivery is not known when its variables are read, so every
 * trigger of the TYPE has to allow them. */
static void read_allow_env(struct trigger *trigger, const cJSON *allow, bool is_first)
{
	struct buildconfig_hook *hook = &trigger->draft->bc.hooks[trigger->type];
	bool is_allowed = cJSON_IsTrue(allow);
	if (allow && !cJSON_IsBool(allow) && !cJSON_IsNull(allow))
		add_problem(trigger, ".allowEnv", "is neither true nor false");
	if (!is_first && hook->allow_env != is_allowed)
		add_problem(trigger, ".allowEnv", "differs between triggers; false is used");
	hook->allow_env = is_allowed && (is_first || hook->allow_env);
}

static void read_hook(struct trigger *trigger, const cJSON *member)
{
	struct buildconfig_hook *hook = &trigger->draft->bc.hooks[trigger->type];
	bool is_first = !hook->exists;
	hook->exists = true;
	read_reference(trigger, json_member(member, "secretReference"));
	read_inline(trigger, json_member(member, "secret"));
	if (!trigger->names_secret)
		add_default(trigger);
	if (trigger->type == HOOK_GENERIC)
		read_allow_env(trigger, json_member(member, "allowEnv"), is_first);
}

/* Ignores types that are not webhooks, and types of later versions. */
static void read_trigger(struct draft *draft, const cJSON *entry, size_t index)
{
	enum hook_type type = HOOK_GITHUB;
	const char *type_name = json_str_at(entry, "type");
	if (!type_name) {
		draft_add_problem(draft->problem, "spec.triggers[%zu] has no type", index);
		return;
	}
	draft->bc.has_image_change |= strcmp(type_name, "ImageChange") == 0;
	if (!find_type(type_name, &type))
		return;
	const char *member_name = hook_type_name(type);
	const cJSON *member = json_member(entry, member_name);
	if (!cJSON_IsObject(member)) {
		draft_add_problem(draft->problem,
				  "spec.triggers[%zu] has type %s, but %s object \"%s\"", index,
				  type_name, member ? "an unusable" : "no", member_name);
		return;
	}
	char path[48];
	(void)snprintf(path, sizeof(path), "spec.triggers[%zu].%s", index, member_name);
	struct trigger trigger = {
		.draft = draft, .type = type, .index = (unsigned)index, .path = path};
	read_hook(&trigger, member);
}

void draft_read_triggers(struct draft *draft, const cJSON *triggers)
{
	if (!triggers || cJSON_IsNull(triggers))
		return;
	if (!cJSON_IsArray(triggers)) {
		draft_add_problem(draft->problem, "spec.triggers is %s, not a list",
				  draft_type_name(triggers));
		return;
	}
	size_t index = 0;
	const cJSON *entry = NULL;
	cJSON_ArrayForEach (entry, triggers) {
		read_trigger(draft, entry, index++);
	}
	for (size_t i = 0; i < HOOK_TYPES; i++)
		if (draft->n_secrets_seen[i] > BUILDCONFIG_MAX_SECRETS)
			draft_add_problem(draft->hook_problems[i],
					  "%zu secrets given; only the first %d are used",
					  draft->n_secrets_seen[i], BUILDCONFIG_MAX_SECRETS);
}
