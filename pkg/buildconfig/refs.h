/*
 * The refs that a BuildConfig builds, by its annotation, its source or a default. A branch and a
 * tag of one name are different refs; a name without "refs/" is a branch. Pure.
 */
#pragma once

#include "buildconfig/verdict.h"

struct refs {
	struct str list;     /* a list of globs; empty: names are the rule */
	struct str names[2]; /* the refs that build where list is empty; the second may be empty */
	const char *source;  /* where the rule is set, for people: "spec.source.git.ref" */
};

struct refs refs_wanted(const struct buildconfig *bc, struct str payload_default,
			const struct verdict_options *options);
/*
 * Could a push of REF build, whatever else its payload says? For the decoders of pkg/hook, which
 * keep a bounded number of refs (hook_request.wants_ref). OPTIONS may be NULL.
 */
bool refs_may_build(const struct buildconfig *bc, struct str ref,
		    const struct verdict_options *options);
bool refs_match(const struct refs *refs, struct str ref);
/* At least one of them is not a branch. */
bool refs_name_tags(const struct refs *refs);
bool ref_is_tag(struct str ref);
/* "main", "main and master" or the list; cut. */
void refs_format(struct buf *out, const struct refs *refs, size_t max_bytes);
