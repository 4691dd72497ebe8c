#include "doc/json_cut.h"

#include "base/mem.h"

/* The functions below return positions in TEXT, or its length where the text is not valid JSON. */

static size_t skip_space(struct str text, size_t at)
{
	while (at < text.n && (text.p[at] == ' ' || text.p[at] == '\t' || text.p[at] == '\n' ||
			       text.p[at] == '\r'))
		at++;
	return at;
}

static size_t skip_string(struct str text, size_t at)
{
	for (at++; at < text.n && text.p[at] != '"'; at++)
		if (text.p[at] == '\\')
			at++;
	return at < text.n ? at + 1 : text.n;
}

/* A value ends where, outside of its own brackets, a comma or its parent's bracket comes. */
static size_t skip_value(struct str text, size_t at)
{
	size_t depth = 0;

	while (at < text.n) {
		char c = text.p[at];

		if (c == '"') {
			at = skip_string(text, at);
			continue;
		}
		if (depth == 0 && (c == ',' || c == '}' || c == ']'))
			return at;
		if (c == '{' || c == '[')
			depth++;
		if (c == '}' || c == ']')
			depth--;
		at++;
	}
	return text.n;
}

struct member {
	size_t begin; /* position of the key's opening quote */
	size_t value;
	size_t end; /* position after the value and the space behind it */
};

/* The member KEY of the object that begins at AT. */
static bool find_member(struct member *out, struct str text, size_t at, const char *key)
{
	at = skip_space(text, at);
	while (at < text.n && (text.p[at] == '{' || text.p[at] == ',')) {
		size_t begin = skip_space(text, at + 1), key_end = 0, value = 0;

		if (begin >= text.n || text.p[begin] != '"')
			return false;
		key_end = skip_string(text, begin);
		value = skip_space(text, key_end);
		value = skip_space(text, value < text.n ? value + 1 : value);
		at = skip_value(text, value);
		if (str_eq(str_range(text.p + begin + 1, key_end - begin - 2), str_of(key))) {
			*out = (struct member){begin, value, at};
			return at < text.n;
		}
	}
	return false;
}

void json_put_without(struct buf *out, struct str text, const char *parent, const char *key)
{
	struct member in = {0}, cut = {0};
	size_t comma = 0;

	if (!find_member(&in, text, 0, parent) || text.p[in.value] != '{' ||
	    !find_member(&cut, text, in.value, key)) {
		buf_put_str(out, text);
		return;
	}
	/* One comma goes as well: the one behind the member, or the one before the last member. */
	if (text.p[cut.end] == ',') {
		cut.end++;
	} else {
		for (comma = cut.begin - 1; text.p[comma] != ',' && text.p[comma] != '{'; comma--)
			;
		if (text.p[comma] == ',')
			cut.begin = comma;
	}
	buf_put(out, text.p, cut.begin);
	buf_put(out, text.p + cut.end, text.n - cut.end);
}
