/*
 * The verdict on a change: it builds, or the reason why not, in words. Pure.
 *
 * The rules in their order; the first that refuses gives the reason. Each rule relies on those
 * before it: the ref of another repository is not compared, and files matter only on a ref that
 * builds. `paused` is last, so that Paused means: this would have been built.
 *
 *  source      A Git host needs spec.source.git (NoGitSource). Generic builds without it, and the
 *              rules from `repository` to `skip-ci` do not apply then.
 *  repository  With buildhook.io/repository: match, and for a webhook of several repositories, the
 *              payload's repository must be spec.source.git.uri (RepositoryMismatch); else a
 *              mismatch is a hint. A Generic payload that names none passes.
 *  deleted     A deleted ref is never built (RefDeleted).
 *  ref         buildhook.io/refs, else spec.source.git.ref, else --default-branch, else the
 *              payload's default branch, else main and master (RefMismatch; TagIgnored for a tag
 *              where the rule names no tags). Generic without a ref passes: it builds the
 *              BuildConfig's own.
 *  paths       buildhook.io/paths (PathsUnchanged). Passes where the payload lists no files or
 *              not all of them.
 *  skip-ci     buildhook.io/skip-ci: "true" (SkipCI), in any case of letters.
 *  paused      openshift.io/build-config.paused (Paused).
 *
 * The globs of a list are separated by commas or line breaks. The last one that matches decides;
 * "!glob" excludes, and a list that begins with an exclusion includes all others (for refs: all
 * branches).
 */
#pragma once

#include "base/buf.h"
#include "buildconfig/buildconfig.h"
#include "delivery/change.h"
#include "delivery/outcome.h"

struct verdict_options {
	const char *default_branch; /* --default-branch, or NULL */
};

struct verdict {
	enum outcome reason;
	/* One sentence that names both sides and what to do. */
	char message[512];
	/* The status line says it after the reason: "this BuildConfig builds master". "" for a
	 * verdict that starts a build. */
	char brief[160];
	/* Worth reporting although it builds: "the push came from another repository ...", or "".
	 */
	char hint[256];
};

/* OPTIONS may be NULL. */
void verdict_decide(struct verdict *out, const struct buildconfig *bc,
		    const struct delivery_event *event, const struct delivery_change *change,
		    const struct verdict_options *options);
/* As verdict_decide(), rule by rule: calls FN for each rule that applies, also for those after the
 * first that refuses. MESSAGE says why, also where the rule holds. */
typedef void (*verdict_rule_fn)(void *arg, const char *rule, enum outcome reason,
				const char *message);
void verdict_explain(const struct buildconfig *bc, const struct delivery_event *event,
		     const struct delivery_change *change, const struct verdict_options *options,
		     verdict_rule_fn fn, void *arg);
/* "main" of "refs/heads/main", "v1" of "refs/tags/v1", else REF. */
struct str ref_short(struct str ref);
/*
 * Does PATTERN match the whole of TEXT? "*" and "?" do not cross a slash; a double star does, and
 * with a slash behind it matches any number of folders, also none; "[a-z]" and "[!a-z]" are sets; a
 * backslash makes the next character an ordinary one. At most len(pattern) * len(text) steps.
 */
bool glob_matches(struct str pattern, struct str text);
