#include "buildconfig/refs.h"

#include "buildconfig/glob.h"

#define HEADS STR("refs/heads/")
#define REFS  STR("refs/")

/* True for a branch; *NAME is then its short name. */
static bool read_branch(struct str ref, struct str *name)
{
	*name = str_without_prefix(ref, HEADS);
	return str_starts(ref, HEADS) || !str_starts(ref, REFS);
}

bool ref_is_tag(struct str ref)
{
	return str_starts(ref, STR("refs/tags/"));
}

struct refs refs_wanted(const struct buildconfig *bc, struct str payload_default,
			const struct verdict_options *options)
{
	struct str list = str_trim(str_of(bc->refs));
	struct str git_ref = str_trim(str_of(bc->git_ref));
	struct str fixed = str_of(options ? options->default_branch : NULL);
	if (list.n > 0)
		return (struct refs){.list = list, .source = "annotation buildhook.io/refs"};
	if (git_ref.n > 0)
		return (struct refs){.names = {git_ref}, .source = "spec.source.git.ref"};
	if (fixed.n > 0)
		return (struct refs){
			.names = {fixed},
			.source = "buildhook's default branch, as spec.source.git.ref is empty"};
	if (payload_default.n > 0)
		return (struct refs){.names = {payload_default},
				     .source = "the repository's default branch, as "
					       "spec.source.git.ref is empty"};
	return (struct refs){.names = {STR("main"), STR("master")},
			     .source = "spec.source.git.ref is empty, and the payload names no "
				       "default branch"};
}

static bool is_same(struct str a, struct str b)
{
	struct str a_name = {0}, b_name = {0};
	bool both_branches = read_branch(a, &a_name) == read_branch(b, &b_name);
	return both_branches && str_eq(a_name, b_name);
}

static bool glob_covers(struct str glob, struct str ref)
{
	struct str pattern = {0}, name = {0};
	bool is_branch = read_branch(ref, &name);
	if (read_branch(glob, &pattern))
		return is_branch && glob_matches(pattern, name);
	return glob_matches(glob, ref);
}

static bool list_covers(struct str list, struct str ref)
{
	struct str glob = {0}, ignored = {0};
	bool is_first = true, is_in = false;
	while (glob_next(&list, &glob)) {
		bool is_exclusion = glob_is_exclusion(&glob);
		if (is_first)
			is_in = is_exclusion && read_branch(ref, &ignored);
		is_first = false;
		if (glob_covers(glob, ref))
			is_in = !is_exclusion;
	}
	return is_in;
}

bool refs_match(const struct refs *refs, struct str ref)
{
	if (refs->list.n > 0)
		return list_covers(refs->list, ref);
	return is_same(refs->names[0], ref) ||
	       (refs->names[1].n > 0 && is_same(refs->names[1], ref));
}

/* Hosts that name several refs in a delivery (both kinds of Bitbucket, Generic) name no default
 * branch. */
bool refs_may_build(const struct buildconfig *bc, struct str ref,
		    const struct verdict_options *options)
{
	struct refs refs = refs_wanted(bc, STR(""), options);

	return refs_match(&refs, ref);
}

bool refs_name_tags(const struct refs *refs)
{
	struct str list = refs->list, glob = {0}, ignored = {0};
	if (list.n == 0)
		return !read_branch(refs->names[0], &ignored);
	while (glob_next(&list, &glob))
		if (!glob_is_exclusion(&glob) && !read_branch(glob, &ignored))
			return true;
	return false;
}

void refs_format(struct buf *out, const struct refs *refs, size_t max_bytes)
{
	struct str first = refs->list.n > 0 ? refs->list : refs->names[0];
	struct str name = {0};
	if (refs->list.n == 0 && read_branch(first, &name))
		first = name;
	buf_put_clean(out, first, max_bytes);
	if (refs->names[1].n > 0)
		buf_printf(out, " and %.*s", STR_ARG(refs->names[1]));
}
