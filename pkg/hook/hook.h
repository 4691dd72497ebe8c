/*
 * Deliveries of Git hosts: one HTTP request becomes a proof of its sender and an event. Pure: no
 * I/O, no clock, no randomness. Each host has a file, and a line in the table of hosts.c.
 *
 * Bytes may be hashed and read while they arrive, but nothing that was read may be used before
 * hook_delivery_holds() is true.
 */
#pragma once

#include "base/err.h"
#include "delivery/change.h"

/* The value of the first header of that NAME (any case; trimmed), and how many there are. */
typedef struct str (*hook_header_fn)(const void *arg, const char *name, size_t *n);

struct hook_request {
	enum hook_type type;
	hook_header_fn header; /* asked only within hook_delivery_new() */
	const void *header_arg;
	/* The hook's secrets, at most HOOK_MAX_SECRETS; empty ones never match. Lent for
	 * hook_delivery_new() alone. */
	const struct str *secrets;
	size_t n_secrets;
	/*
	 * OpenShift's URL: the secret in the path is the proof, checked by the caller. A proof of
	 * the host that is sent besides must verify, too. GitHub's SHA-1 signature is no such
	 * proof, and a bearer token is one for Generic only.
	 */
	bool is_path_proven;
	/* For commands that read a saved delivery: no proof is asked for, and none is checked.
	 * Never for a request from the network. */
	bool needs_no_proof;
	int64_t now_ms; /* wall clock, for timestamps of signing tokens */
	bool allow_env; /* Generic */
	/*
	 * Whether a push of REF may build; NULL: any may. Of a delivery that names many refs the
	 * first DELIVERY_MAX_STARTS of these are kept, and as many others, which explain an answer.
	 * Asked while the body is fed.
	 */
	bool (*wants_ref)(const void *arg, struct str ref);
	const void *wants_ref_arg;
	/* The names of changed files are not needed, and are not kept. */
	bool leaves_files_out;
};

#define HOOK_MAX_SECRETS    16
#define DELIVERY_MAX_STARTS 64
#define HOOK_MAX_FORM_BYTES 1048576
#define HOOK_MAX_ID_BYTES   128

/* Neither a branch nor a tag: `buildhook register` asks Gitea for a test push of it, and it counts
 * as a ping. */
#define HOOK_TEST_REF "refs/buildhook/test"

struct hook_delivery;

/*
 * Starts to read a delivery. Never fails: hook_delivery_finish() reports problems with
 * its headers, after the proof.
 */
struct hook_delivery *hook_delivery_new(const struct hook_request *request);
void hook_delivery_free(struct hook_delivery *delivery);
/* The next bytes of the body. */
void hook_delivery_feed(struct hook_delivery *delivery, struct str bytes);

/*
 * After the last byte: does one of the secrets prove it? Every secret is tried, in a time that does
 * not depend on their values.
 */
bool hook_delivery_holds(struct hook_delivery *delivery);
/* Which of the secrets proved the delivery, a bit for each; after hook_delivery_holds(). */
uint32_t hook_delivery_matched(const struct hook_delivery *delivery);
/* Why no secret proves the delivery, for the BuildConfig's owner (never for the sender): "signature
 * does not match the secret", "no X-Hub-Signature-256 header: ...". Static text. */
const char *hook_delivery_refusal(const struct hook_delivery *delivery);
/* An unsigned diagnostics:ping of Bitbucket Data Center: answered 200 whatever the path and its
 * secret are, recorded nowhere. Looks at the headers alone. */
bool hook_is_unsigned_ping(const struct hook_request *request);

/*
 * The event, once and only after hook_delivery_holds(); owned by the delivery. ERR_INVALID (answer
 * 400; GitLab 200 Unreadable): media type, event header or payload, with what was found, where, and
 * what is expected. ERR_LIMIT: a form over its bound. A Generic delivery never
 * fails.
 */
int hook_delivery_finish(struct hook_delivery *delivery, const struct delivery_event **out,
			 struct err *err);
/*
 * The host that its headers name: "github", "gitea", "forgejo", "gogs", "gitlab", "bitbucket",
 * "bitbucket-dc", "generic", else "unknown": a closed set, for metrics and annotations. NULL, a
 * request that ended before its delivery was read, is "unknown". Static text.
 */
const char *hook_delivery_provider(const struct hook_delivery *delivery);
/* The id as the host sent it, or a digest of it; "" when it sent none. */
const char *hook_delivery_id(const struct hook_delivery *delivery);
