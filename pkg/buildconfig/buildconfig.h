/*
 * A BuildConfig as buildhook uses it: compact, immutable, made from the API server's document
 * without trusting any type in it. Fields that buildhook does not need are dropped; `problem`
 * describes malformed ones. Pure.
 */
#pragma once

#include "delivery/type.h"
#include "doc/json.h"

#define BUILDCONFIG_ANNOTATION_PREFIX "buildhook.io/"
#define BUILDCONFIG_MAX_SECRETS       8
/* The annotations that buildhook writes: BUILDCONFIG_FACTS for each hook, then those of the whole
 * BuildConfig. */
#define BUILDCONFIG_FACTS       6
#define BUILDCONFIG_KEY_RECENT  (HOOK_TYPES * BUILDCONFIG_FACTS)
#define BUILDCONFIG_KEY_HINT    (BUILDCONFIG_KEY_RECENT + 1)
#define BUILDCONFIG_STATUS_KEYS (BUILDCONFIG_KEY_HINT + 1)
/* Bytes of a name in Kubernetes. */
#define BUILDCONFIG_MAX_NAME 253

enum buildconfig_secret_kind {
	BUILDCONFIG_SECRET_REFERENCE, /* text: name of the Secret */
	BUILDCONFIG_SECRET_INLINE,    /* text: the value */
	BUILDCONFIG_SECRET_DEFAULT,   /* the trigger names none: text is "NAME-TYPE-webhook" */
};

struct buildconfig_secret {
	enum buildconfig_secret_kind kind;
	unsigned trigger; /* index in spec.triggers of the first that has it */
	const char *text;
};

/* The webhook triggers of one TYPE. */
struct buildconfig_hook {
	bool exists;
	bool allow_env;
	unsigned char n_secrets;
	const struct buildconfig_secret *secrets;
	const char *problem; /* in words, "" when there is none: "12 secrets given; ..." */
};

/* One block of memory; all texts are "" where the document has nothing, never NULL. */
struct buildconfig {
	const char *namespace_, *name, *uid, *resource_version;
	int64_t last_version;
	uint32_t status_keys;  /* bit I: it has annotation buildconfig_status_keys[I] */
	bool is_ignored;       /* buildhook.io/ignore: "true" */
	bool is_paused;        /* openshift.io/build-config.paused: "true" */
	bool is_deleting;      /* metadata.deletionTimestamp */
	bool has_git;          /* spec.source.git */
	bool has_image_change; /* a trigger of type ImageChange */
	bool skip_ci;          /* buildhook.io/skip-ci: "true" */
	const char *git_uri, *git_ref, *context_dir;
	const char *strategy; /* "Docker", "Source", "Custom", "JenkinsPipeline" or "", static */
	const char *refs, *paths, *repository, *rotate; /* our annotations */
	/* "ID NONCE": the delivery to build once more, and the newest that was built again. */
	const char *redeliver, *redelivered;
	const char *problem; /* what is malformed in the object, in words; "" when nothing is */
	struct buildconfig_hook hooks[HOOK_TYPES];
	/*
	 * The values on the object of the annotations that buildhook writes (status.h), for
	 * comparison: one for each bit of status_keys, from the lowest on, each with its NUL. A
	 * value too long to be one of ours is "".
	 */
	const char *status;
};

/* Never NULL. DOC may be anything. */
struct buildconfig *buildconfig_parse(const cJSON *doc);
void buildconfig_free(struct buildconfig *bc);
/* The value of annotation KEY ("buildhook.io/hint"), NULL without it. */
const char *buildconfig_find_status(const struct buildconfig *bc, const char *key);
/* As buildconfig_find_status(), but "" without it. */
const char *buildconfig_status(const struct buildconfig *bc, const char *key);
enum buildconfig_fact {
	BUILDCONFIG_FACT_STATE,
	BUILDCONFIG_FACT_URL,
	BUILDCONFIG_FACT_SECRET,
	BUILDCONFIG_FACT_LAST,
	BUILDCONFIG_FACT_BUILT,
	BUILDCONFIG_FACT_REFUSED,
};
/* "buildhook.io/github-state" at [TYPE * BUILDCONFIG_FACTS + FACT], ..., "buildhook.io/hint" at
 * [BUILDCONFIG_KEY_HINT]. */
extern const char *const buildconfig_status_keys[BUILDCONFIG_STATUS_KEYS];
/*
 * "NAME-SUFFIX", or where that is too long for a name: a part of NAME, a hash of all of it, and
 * SUFFIX (at most 200 bytes), as OpenShift shortens the names of Builds.
 */
void buildconfig_child_name(char out[BUILDCONFIG_MAX_NAME + 1], const char *name,
			    const char *suffix);
