/*
 * Matches names against the patterns of `buildhook.io/refs` and `buildhook.io/paths`. No pattern is
 * tried twice at one place, so time is at most pattern times text, and a budget bounds the sum.
 */
#include "buildconfig/glob.h"

#include "base/mem.h"
#include "buildconfig/verdict.h"

/*
 * Which beginnings of the text the part of the pattern read so far matches: at[i] for the first i
 * bytes. Each token of the pattern moves the whole row on, so no input makes it try twice. Only lo
 * to hi can be set.
 */
struct row {
	unsigned char *at;
	struct str text;
	size_t lo, hi;
};

struct set {
	struct str members; /* between the brackets, without "!" */
	bool is_negated;
};

/* Bytes of the character at AT, 0 in the middle of one; *OUT is what it is. */
static size_t read_char(struct str text, size_t at, uint32_t *out)
{
	unsigned char byte = (unsigned char)text.p[at];
	*out = byte;
	if (byte < 0x80)
		return 1;
	size_t n = str_decode_utf8(str_range(text.p + at, text.n - at), out);
	return n > 0 || (byte & 0xC0) == 0x80 ? n : 1;
}

static size_t next_member(struct str members, size_t at, uint32_t *out)
{
	if (members.p[at] == '\\' && at + 1 < members.n)
		at++;
	size_t n = read_char(members, at, out);
	return at + (n > 0 ? n : 1);
}

static bool set_has(const struct set *set, uint32_t c)
{
	bool found = false;
	for (size_t at = 0; at < set->members.n;) {
		uint32_t low = 0;
		at = next_member(set->members, at, &low);
		uint32_t high = low;
		if (at + 1 < set->members.n && set->members.p[at] == '-')
			at = next_member(set->members, at + 1, &high);
		found = found || (c >= low && c <= high);
	}
	return c != '/' && found != set->is_negated;
}

/* The set that begins at the "[" at AT of the pattern, and where it ends; false where it is no set.
 */
static bool read_set(struct str pattern, size_t at, struct set *out, size_t *end)
{
	size_t from = at + 1;
	out->is_negated = from < pattern.n && (pattern.p[from] == '!' || pattern.p[from] == '^');
	from += out->is_negated;
	/* A "]" at the beginning is a member. */
	for (size_t i = from; i < pattern.n; i++) {
		if (pattern.p[i] == ']' && i > from) {
			out->members = str_range(pattern.p + from, i - from);
			*end = i + 1;
			return true;
		}
		if (pattern.p[i] == '\\')
			i++;
	}
	return false;
}

static void trim_row(struct row *row)
{
	while (row->lo <= row->hi && !row->at[row->lo])
		row->lo++;
	while (row->hi > row->lo && !row->at[row->hi])
		row->hi--;
}

/* One character: of SET, or where that is NULL any but a slash. From behind, as it sets what lies
 * ahead. */
static void match_char(struct row *row, const struct set *set)
{
	size_t top = row->hi;
	for (size_t i = top + 1; i-- > row->lo;) {
		uint32_t c = 0;
		bool was_set = row->at[i];
		row->at[i] = 0;
		size_t n = was_set && i < row->text.n ? read_char(row->text, i, &c) : 0;
		if (n == 0 || (set ? !set_has(set, c) : c == '/'))
			continue;
		row->at[i + n] = 1;
		row->hi = i + n > row->hi ? i + n : row->hi;
	}
	trim_row(row);
}

static void match_byte(struct row *row, char byte)
{
	for (size_t i = row->hi + 1; i-- > row->lo;) {
		bool goes_on = row->at[i] && i < row->text.n && row->text.p[i] == byte;
		row->at[i] = 0;
		if (goes_on)
			row->at[i + 1] = 1;
	}
	row->hi += row->hi < row->text.n;
	trim_row(row);
}

/* "*" */
static void match_part(struct row *row)
{
	for (size_t i = row->lo; i <= row->hi && i < row->text.n; i++) {
		if (!row->at[i] || row->text.p[i] == '/')
			continue;
		row->at[i + 1] = 1;
		row->hi = i + 1 > row->hi ? i + 1 : row->hi;
	}
}

/* A double star: anything. */
static void match_all(struct row *row)
{
	memset(row->at + row->lo, 1, row->text.n - row->lo + 1);
	row->hi = row->text.n;
}

/* A double star and a slash: any number of folders. */
static void match_folders(struct row *row)
{
	for (size_t i = row->lo + 1; i <= row->text.n; i++)
		if (row->text.p[i - 1] == '/')
			row->at[i] = 1;
	row->hi = row->text.n;
	trim_row(row);
}

static size_t skip_stars(struct str pattern, size_t at)
{
	while (at < pattern.n && pattern.p[at] == '*')
		at++;
	return at;
}

static size_t match_stars(struct row *row, struct str pattern, size_t at)
{
	size_t end = skip_stars(pattern, at);
	bool begins_part = at == 0 || pattern.p[at - 1] == '/';
	if (end - at == 1) {
		match_part(row);
	} else if (begins_part && end < pattern.n && pattern.p[end] == '/') {
		match_folders(row);
		end++;
	} else {
		match_all(row);
	}
	return end;
}

/* Moves the row on by the token at AT; returns where the next one is. */
static size_t match_token(struct row *row, struct str pattern, size_t at)
{
	struct set set = {0};
	size_t end = at + 1;
	switch (pattern.p[at]) {
	case '*':
		return match_stars(row, pattern, at);
	case '?':
		match_char(row, NULL);
		return end;
	case '[':
		if (read_set(pattern, at, &set, &end))
			match_char(row, &set);
		else
			match_byte(row, '[');
		return end;
	case '\\':
		if (end < pattern.n)
			at = end++;
		break;
	default:
		break;
	}
	match_byte(row, pattern.p[at]);
	return end;
}

static size_t literal_prefix(struct str pattern)
{
	size_t n = 0;
	while (n < pattern.n && !strchr("*?[\\", pattern.p[n]))
		n++;
	return n;
}

bool glob_matches_within(struct str pattern, struct str text, size_t *budget)
{
	size_t at = literal_prefix(pattern);
	if (!str_starts(text, str_range(pattern.p, at)) || *budget == 0)
		return false;
	if (at == pattern.n)
		return text.n == at;
	CLEANUP(mem_free) unsigned char *bits = mem_new(text.n + 1, 1);
	struct row row = {.at = bits, .text = text, .lo = at, .hi = at};
	row.at[at] = 1;
	while (at < pattern.n && row.lo <= row.hi) {
		size_t next = match_token(&row, pattern, at);
		/* A set costs by its length. */
		size_t steps = (next - at) * (row.hi + 1 - row.lo) + 1;
		*budget -= steps < *budget ? steps : *budget;
		if (*budget == 0)
			return false;
		at = next;
	}
	return row.lo <= row.hi && row.at[text.n];
}

bool glob_matches(struct str pattern, struct str text)
{
	size_t budget = SIZE_MAX;
	return glob_matches_within(pattern, text, &budget);
}

static bool is_separator(char c)
{
	return c == ',' || c == '\n' || c == '\r';
}

bool glob_next(struct str *list, struct str *glob)
{
	while (list->n > 0) {
		size_t end = 0;
		while (end < list->n && !is_separator(list->p[end]))
			end += list->p[end] == '\\' && end + 1 < list->n ? 2 : 1;
		*glob = str_trim(str_range(list->p, end));
		end += end < list->n;
		*list = str_range(list->p + end, list->n - end);
		if (glob->n > 0)
			return true;
	}
	return false;
}

bool glob_is_exclusion(struct str *glob)
{
	bool is_exclusion = str_starts(*glob, STR("!"));
	if (is_exclusion)
		*glob = str_trim(str_without_prefix(*glob, STR("!")));
	return is_exclusion;
}

bool glob_is_literal(struct str glob)
{
	return literal_prefix(glob) == glob.n;
}
