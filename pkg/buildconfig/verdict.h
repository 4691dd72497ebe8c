/*
 * Which change builds, and the words for why one does not. Pure.
 *
 * The rules in their order; the first that says no is the reason. Each presupposes those before it:
 * a push from elsewhere has no ref of ours, and files matter only on a ref that builds. Paused is
 * last, so that it means: this would have been built.
 *
 *  1. source      a Git host needs spec.source.git (NoGitSource); Generic builds without it, and
 * rules 2 to 6 are left out
 *  2. repository  buildhook.io/repository: match, the payload's must be spec.source.git.uri
 * (RepositoryMismatch); without the annotation a hint, but a webhook for several repositories must
 * match, too. buildconfig/repository.h compares. A Generic payload that names none passes
 *  3. deleted     a deleted ref is never built (RefDeleted)
 *  4. ref         buildhook.io/refs, else spec.source.git.ref, else --default-branch, else the
 * payload's default branch, else main and master (RefMismatch; TagIgnored for a tag where no tag is
 * asked for). Generic without a ref passes: the BuildConfig's own is built
 *  5. paths       buildhook.io/paths (PathsUnchanged); passes where the payload lists no files or
 * not all
 *  6. skip-ci     buildhook.io/skip-ci: "true" (SkipCI), in any case of letters
 *  7. paused      openshift.io/build-config.paused (Paused)
 *
 * A list of globs has commas or line breaks between them. The last one that matches decides;
 * "!glob" excludes, and a list that begins so includes all else (for refs: all branches).
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
	/* Our side alone, for the status line behind the reason: "this BuildConfig builds master".
	 * "" when it starts. */
	char brief[160];
	/* Worth telling although it builds: "the push came from another repository ...", or "". */
	char hint[256];
};

/* OPTIONS may be NULL. */
void verdict_decide(struct verdict *out, const struct buildconfig *bc,
		    const struct delivery_event *event, const struct delivery_change *change,
		    const struct verdict_options *options);
/* The same, rule by rule: calls FN for each rule that applies, also for those after the first no.
 * MESSAGE may be "". */
typedef void (*verdict_rule_fn)(void *arg, const char *rule, enum outcome reason,
				const char *message);
void verdict_explain(const struct buildconfig *bc, const struct delivery_event *event,
		     const struct delivery_change *change, const struct verdict_options *options,
		     verdict_rule_fn fn, void *arg);
/* "main" of "refs/heads/main", "v1" of "refs/tags/v1", else REF. */
struct str ref_short(struct str ref);
/*
 * The whole of TEXT. "*" and "?" do not cross a slash; a double star does, and with a slash behind
 * it stands for any number of folders, also none; "[a-z]" and "[!a-z]" are sets, a backslash takes
 * away a meaning. At most len(pattern) * len(text) steps.
 */
bool glob_matches(struct str pattern, struct str text);
