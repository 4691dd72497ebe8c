/*
 * Secrets by name: each is fetched when a caller asks for it, kept for a while, and never listed or
 * watched. While the API server does not answer, the fetched value stays valid; only a definite 404
 * or 403 ends it. Values are wiped when they go.
 */
#pragma once

#include "kube/client.h"

#define KUBE_SECRET_KEY          "WebHookSecretKey"
#define KUBE_SECRET_PREVIOUS_KEY "WebHookSecretKey.previous"
#define KUBE_MANAGED_BY_LABEL    "app.kubernetes.io/managed-by"
/* Longer values are treated as unusable. */
#define KUBE_SECRET_MAX_BYTES 4096
/* Bounds for what others can write into a Secret that buildhook made; more is not kept. */
#define KUBE_SECRET_MAX_OWNERS 1024
#define KUBE_SECRET_MAX_RECORD ((size_t)64 * 1024)

struct kube_secrets;

enum kube_secret_state {
	KUBE_SECRET_UNKNOWN, /* not fetched yet, or every fetch has failed */
	KUBE_SECRET_PRESENT,
	KUBE_SECRET_MISSING, /* 404 */
	KUBE_SECRET_DENIED,  /* 403 */
};

struct kube_secret_owner {
	const char *uid;
	const char *name;
};

struct kube_secret {
	enum kube_secret_state state;
	int64_t fetched_ms; /* monotonic, of the answer that state is based on */
	bool is_fresh;      /* fetched less than the TTL ago */
	/* Where PRESENT: */
	const char *uid;
	const char *resource_version;
	bool is_ours;        /* label app.kubernetes.io/managed-by: buildhook */
	bool has_key;        /* the key is there; its value may still be empty or unusable */
	struct str value;    /* without one trailing newline; empty if there is no usable one */
	struct str previous; /* like value, from WebHookSecretKey.previous; only where is_ours */
	int64_t previous_until_ms; /* wall clock, from annotation buildhook.io/previous-until; 0
				      without */
	const char *rotated_for;   /* annotation buildhook.io/rotated, or "" */
	const struct kube_secret_owner *owners; /* ownerReferences of kind BuildConfig */
	size_t n_owners;
	bool has_more_owners; /* there are more owners than KUBE_SECRET_MAX_OWNERS */
	bool has_long_record; /* rotated_for is longer than KUBE_SECRET_MAX_RECORD, and so "" */
	const char *problem;  /* why value is empty, and what to do, in words; "" otherwise */
};

/*
 * It was made for an object of this NAME that was deleted and made again: an owner has the name,
 * none the UID. Such a value is not valid; the garbage collector removes the Secret or the
 * reference.
 */
static inline bool kube_secret_is_former(const struct kube_secret *secret, const char *name,
					 const char *uid)
{
	bool has_name = false;

	for (size_t i = 0; i < secret->n_owners; i++) {
		if (strcmp(secret->owners[i].uid, uid) == 0)
			return false;
		has_name |= strcmp(secret->owners[i].name, name) == 0;
	}
	return has_name;
}

struct kube_secrets_options {
	struct kube_client *client;
	struct clock *clock;
	int64_t ttl_ms;
};

struct kube_secrets *kube_secrets_new(const struct kube_secrets_options *options);
/* Cancels all lookups. */
void kube_secrets_free(struct kube_secrets *secrets);

/* The cached Secret, without a request. Lent until the return to the loop. Never NULL. */
const struct kube_secret *kube_secrets_peek(struct kube_secrets *secrets, const char *namespace_,
					    const char *name);

struct kube_secret_lookup;
/* ERROR: ERR_OK when SECRET was fetched now or is fresh, whatever its state; else why the fetch
 * failed: SECRET is then the one that was known before. */
typedef void (*kube_secret_fn)(void *arg, const struct kube_secret *secret,
			       const struct err *error);

/*
 * Fetches the Secret unless the cached one is younger than MAX_AGE_MS (and never within 1 s of its
 * last fetch). Several lookups of one Secret share a request. FN is called once, never from within
 * this call; freeing the lookup cancels it.
 */
struct kube_secret_lookup *kube_secrets_fetch(struct kube_secrets *secrets, const char *namespace_,
					      const char *name, int64_t max_age_ms,
					      kube_secret_fn fn, void *arg);
void kube_secrets_cancel(struct kube_secret_lookup *lookup);
/* True if a fetch now would send no request: one is under way, or was sent less than 1 s ago. */
bool kube_secrets_is_asked(struct kube_secrets *secrets, const char *namespace_, const char *name);

/* The answer (a Secret) to a write of ours enters the cache at once. */
void kube_secrets_put_written(struct kube_secrets *secrets, const cJSON *doc);
/* Drops the cached Secret: the next lookup sends a request. */
void kube_secrets_forget(struct kube_secrets *secrets, const char *namespace_, const char *name);
