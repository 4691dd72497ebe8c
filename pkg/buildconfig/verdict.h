/*
 * Which change builds (CONTRACT: the rules of refs, paths, skip-ci and repository), and the words
 * for why one does not. Pure.
 */
#pragma once

#include "base/buf.h"
#include "buildconfig/buildconfig.h"

enum reason {
	REASON_NONE, /* start */
	REASON_REF_MISMATCH,
	REASON_REF_DELETED,
	REASON_TAG_IGNORED,
	REASON_PATHS_UNCHANGED,
	REASON_SKIP_CI,
	REASON_PAUSED,
	REASON_DUPLICATE,
	REASON_SUPERSEDED,
	REASON_EVENT_IGNORED,
	REASON_REPOSITORY_MISMATCH,
	REASON_NO_GIT_SOURCE,
	REASON_UNREADABLE,
	REASON_PING,
	REASON_QUEUED,
	REASON_FAILED,
};
#define REASONS 16

/* "RefMismatch", ...; "" for REASON_NONE. */
const char *reason_name(enum reason reason);

/* A change as the rules see it. Empty where the payload has nothing. */
struct verdict_input {
	bool is_generic;
	struct str ref; /* full; empty: Generic without a git part */
	bool is_delete;
	struct str message; /* of the head commit */
	struct str default_branch;
	const char *const *repositories;
	size_t n_repositories;
	struct str files; /* each followed by a NUL */
	bool have_all_files;
};

struct verdict_options {
	const char *default_branch; /* --default-branch, or NULL */
};

struct verdict {
	enum reason reason;
	/* One sentence that names both sides and what to do. */
	char message[512];
	/* Our side alone, for the status line behind the reason: "this BuildConfig builds master".
	 * "" when it starts. */
	char brief[160];
	/* The build is given this commit as revision (by buildhook.io/refs); otherwise the commit
	 * is of the BuildConfig's ref anyhow. */
	bool use_commit_ref;
	/* Worth telling although it builds: "the push came from another repository ...", or "". */
	char hint[256];
};

void verdict_decide(struct verdict *out, const struct buildconfig *bc,
		    const struct verdict_input *change, const struct verdict_options *options);
/* "main" of "refs/heads/main", "v1" of "refs/tags/v1", else REF. */
struct str ref_short(struct str ref);
/*
 * Glob as in .gitignore's pathspecs: "*" and "?" do not cross a slash, "**" does, "[a-z]" sets,
 * backslash escapes. Linear-ish: at most len(pattern) * len(text) steps.
 */
bool glob_matches(struct str pattern, struct str text);
