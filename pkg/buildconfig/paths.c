#include "buildconfig/paths.h"

#include "buildconfig/glob.h"

/* Characters compared for one push: a few milliseconds. */
#define MAX_STEPS ((size_t)2 * 1024 * 1024)

static struct str drop(struct str s, size_t n)
{
	return str_range(s.p + n, s.n - n);
}

/* "./src/" and "/src" as "src". */
static struct str clean_folder(struct str path)
{
	while (str_starts(path, STR("/")) || str_starts(path, STR("./")))
		path = drop(path, path.p[0] == '/' ? 1 : 2);
	while (str_ends(path, STR("/")))
		path.n--;
	return str_eq(path, STR(".")) ? STR("") : path;
}

/* FOLDER itself or what is below it; "" is all. */
static bool is_below(struct str file, struct str folder)
{
	if (str_empty(folder))
		return true;
	return str_starts(file, folder) && (file.n == folder.n || file.p[folder.n] == '/');
}

static bool matches(struct str glob, struct str context_dir, struct str file, size_t *budget)
{
	if (str_eq(glob, STR("contextDir")))
		return is_below(file, clean_folder(context_dir));
	if (glob_is_literal(glob))
		return is_below(file, clean_folder(glob));
	glob = str_without_prefix(str_without_prefix(glob, STR("./")), STR("/"));
	return glob_matches_within(glob, file, budget);
}

static bool counts(struct str list, struct str context_dir, struct str file, size_t *budget)
{
	struct str glob = {0};
	bool is_first = true, is_in = false;
	*budget -= list.n < *budget ? list.n : *budget;
	while (glob_next(&list, &glob)) {
		bool is_exclusion = glob_is_exclusion(&glob);
		if (is_first)
			is_in = is_exclusion;
		is_first = false;
		if (is_in == is_exclusion && matches(glob, context_dir, file, budget))
			is_in = !is_exclusion;
	}
	return is_in;
}

enum paths_answer paths_compare(struct str list, struct str context_dir, struct str files)
{
	size_t budget = MAX_STEPS;
	struct str file = {0};
	while (str_next_part(&files, '\0', &file)) {
		bool is_counted = counts(list, context_dir, file, &budget);
		if (budget == 0)
			return PATHS_TOO_MANY;
		if (is_counted)
			return PATHS_CHANGED;
	}
	return PATHS_UNCHANGED;
}
