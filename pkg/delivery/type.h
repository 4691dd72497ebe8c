/*
 * The TYPE of a webhook trigger, as it is written in the URL and in the annotations. A trigger's
 * TYPE says which Git hosts may call it; which of them did is the host (hook/hook.h): Gitea,
 * Forgejo and Gogs call triggers of TYPE github.
 */
#pragma once

#include "base/str.h"

/*
 * X(name of the enum value, TYPE, type of the entry in spec.triggers, message of the build's
 * cause). TYPE is also the member of the entry, the label of metrics and logs, and with "WebHook"
 * behind it the member of the cause. The messages are OpenShift's. (openshift/api,
 * build/v1/consts.go)
 */
#define HOOK_TYPE_LIST(X)                                                                          \
	X(GITHUB, "github", "GitHub", "GitHub WebHook")                                            \
	X(GITLAB, "gitlab", "GitLab", "GitLab WebHook")                                            \
	X(BITBUCKET, "bitbucket", "Bitbucket", "Bitbucket WebHook")                                \
	X(GENERIC, "generic", "Generic", "Generic WebHook")

#define HOOK_TYPE_VALUE(name, type, trigger, cause) HOOK_##name,
enum hook_type { HOOK_TYPE_LIST(HOOK_TYPE_VALUE) HOOK_TYPES };
#undef HOOK_TYPE_VALUE

/* "github", ...; exact, lower case. False for anything else. */
bool hook_type_parse(struct str text, enum hook_type *out);
const char *hook_type_name(enum hook_type type);
/* "GitHub", ...: the type of a trigger in spec.triggers. */
const char *hook_type_trigger(enum hook_type type);
/* The message of the cause of a build that a webhook of this TYPE started. */
const char *hook_type_cause(enum hook_type type);
