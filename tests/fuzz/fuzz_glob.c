/*
 * Pattern and text, with a NUL between: globs answer as a plain recursive reading of their rules
 * does (for short ASCII ones without sets), and any others within len(pattern) * len(text) steps.
 */
#include "buildconfig/glob.h"
#include "buildconfig/paths.h"
#include "buildconfig/repository.h"
#include "buildconfig/verdict.h"

#include "base/mem.h"

#include <assert.h>

#define MAX_ORACLE_BYTES 9

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str drop(struct str s, size_t n)
{
	return str_range(s.p + n, s.n - n);
}

static bool oracle(struct str pattern, struct str text, bool begins_part);

static bool oracle_stars(struct str pattern, struct str text, bool begins_part)
{
	size_t stars = 0;
	while (stars < pattern.n && pattern.p[stars] == '*')
		stars++;
	struct str rest = drop(pattern, stars);
	bool folders = stars > 1 && begins_part && str_starts(rest, STR("/"));

	for (size_t i = 0; i <= text.n; i++) {
		bool at_part = i == 0 || text.p[i - 1] == '/';

		if (folders && at_part && oracle(drop(rest, 1), drop(text, i), true))
			return true;
		if (!folders && oracle(rest, drop(text, i), false))
			return true;
		if (stars == 1 && i < text.n && text.p[i] == '/')
			return false;
	}
	return false;
}

static bool oracle(struct str pattern, struct str text, bool begins_part)
{
	if (pattern.n == 0)
		return text.n == 0;
	char c = pattern.p[0];
	if (c == '*')
		return oracle_stars(pattern, text, begins_part);
	bool is_escape = c == '\\' && pattern.n > 1;
	if (is_escape)
		pattern = drop(pattern, 1);
	if (text.n == 0)
		return false;
	bool fits = c == '?' ? text.p[0] != '/' : text.p[0] == pattern.p[0];
	return fits && oracle(drop(pattern, 1), drop(text, 1), pattern.p[0] == '/');
}

static bool is_plain(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '[' || (unsigned char)s.p[i] >= 0x80)
			return false;
	return s.n <= MAX_ORACLE_BYTES;
}

static void check_list(struct str list, struct str files)
{
	CLEANUP(buf_release) struct buf shown = BUF_INIT(100);
	struct str glob = {0}, rest = list;
	size_t n = 0;

	while (glob_next(&rest, &glob))
		n += glob.n;
	assert(n <= list.n);
	(void)paths_compare(list, STR("src"), files);
	repository_format(&shown, list, 80);
	assert(!shown.overflow && str_is_utf8(buf_str(&shown)));
	assert(repository_is_same(list, list));
	(void)repository_is_same(list, files);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str all = str_range((const char *)data, size);
	struct str pattern = str_range(all.p, str_find_char(all, '\0'));
	struct str text = pattern.n < all.n ? drop(all, pattern.n + 1) : STR("");
	size_t budget = (pattern.n + 1) * (text.n + 2);

	bool matches = glob_matches_within(pattern, text, &budget);
	assert(budget > 0);
	if (is_plain(pattern) && is_plain(text) && !memchr(text.p ? text.p : "", 0, text.n))
		assert(matches == oracle(pattern, text, true));
	check_list(pattern, text);
	return 0;
}
