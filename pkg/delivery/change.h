/*
 * What a delivery says: an event, and of a push the refs that it moved. The decoders of pkg/hook
 * make one, the rules of pkg/buildconfig judge it, and the receiver stores of it what a build
 * needs.
 *
 * Texts are NULL where the payload has none; they are valid UTF-8, without NUL, within the bounds
 * below, and otherwise as they were sent: code that shows them cleans them.
 */
#pragma once

#include "delivery/type.h"

#define DELIVERY_MAX_REF_BYTES     1024
#define DELIVERY_MAX_MESSAGE_BYTES 1000
#define DELIVERY_MAX_FILES_BYTES   65536
/* The most builds that one delivery may start. */
#define DELIVERY_MAX_STARTS 64

struct delivery_person {
	char *name;
	char *email;
};

/* One ref that was moved. */
struct delivery_change {
	/* Full and valid: "refs/heads/main", "refs/tags/v1". NULL: Generic without a git part, the
	 * BuildConfig's own ref. */
	char *ref;
	/* 40 or 64 lower-case hex digits, the commit that the ref points at; for Generic also any
	 * other text. NULL where it was deleted, and for Generic where the payload names none. */
	char *commit;
	bool is_delete;
	struct delivery_person author, committer;
	char *message; /* cut at DELIVERY_MAX_MESSAGE_BYTES */
};

enum delivery_kind {
	/* There may still be no changes: Bitbucket sends such pushes, and a Generic payload whose
	 * git part names no ref, as `warning` then says, builds nothing. */
	DELIVERY_PUSH,
	DELIVERY_PING,
	DELIVERY_OTHER, /* an event of the host that never builds */
};

struct delivery_event {
	enum hook_type type;  /* of the trigger that was called */
	const char *provider; /* the host that called it: "github", "gitea", ...; static */
	enum delivery_kind kind;
	char name[64]; /* the event as the host calls it ("push", "Push Hook"), cleaned */
	struct delivery_change *changes;
	size_t n_changes;
	/* Of hosts that deliver the same bytes again under another id: a digest of the body, in
	 * hex, and the commit that the ref pointed at before. "" of all others. */
	char body_digest[33];
	char before[65];
	/* Generic's git.refs: only the first change whose ref the BuildConfig builds is built. */
	bool is_first_match_only;
	char *pusher;         /* login or name of the person who pushed */
	char *default_branch; /* short name */
	/* Addresses of the repository that the payload names, the first being the one to clone
	 * from; NULL ends them. */
	char *repositories[4];
	/* "ACME/shop", the last two parts of such an address, where the payload has none. NULL
	 * else. */
	char *repository_path;
	/* The hook sends pushes of several repositories: that of the BuildConfig must be among the
	 * above. "an organization's", for messages; static. NULL: a hook of one repository. */
	const char *hook_owner;
	/*
	 * Files that the push touched, each followed by a NUL, of a delivery with one change;
	 * have_all_files is false when the payload lists none or not all of them (a cap of the
	 * host's or of ours).
	 */
	char *files;
	size_t files_bytes;
	bool have_all_files;
	/* Generic: */
	char *env_json;     /* JSON array of {name, value}, checked, or NULL */
	char *options_json; /* dockerStrategyOptions, or NULL */
	char *warning;      /* what was left out and why, in words, or NULL */
};

/* Frees what EVENT holds, and empties it. */
void delivery_event_release(struct delivery_event *event);
/* One more change, empty. Moves those before it. */
struct delivery_change *delivery_event_add_change(struct delivery_event *event);
/* For CLEANUP, and for structs that hold persons. */
void delivery_person_release(struct delivery_person *person);
