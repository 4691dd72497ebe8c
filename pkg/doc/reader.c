/*
 * The structure of a JSON document: containers, keys, and which values are wanted. Everything lives
 * in one fixed-size state, so that a document may come in chunks of any size.
 */
#include "doc/reader.h"

#include "base/mem.h"
#include "doc/reader_scan.h"
#include "doc/reader_state.h"

#include <assert.h>
#include <stdlib.h>

static const char *open_container(struct reader *r, const char *p)
{
	const struct reader_node *node = r->value;
	const struct reader_field *field = reader_find_field(node);
	bool is_object = *p == '{';

	if (r->depth == READER_MAX_DEPTH)
		return reader_fail(r, p, "nested deeper than %d", READER_MAX_DEPTH);
	if (field)
		reader_emit(r, field, is_object ? READER_OBJECT : READER_ARRAY, (struct str){0});
	r->depth++;
	r->is_object[r->depth] = is_object;
	r->container[r->depth] = node;
	r->seen[r->depth] = 0;
	r->value = node ? node->element : NULL;
	r->state = is_object ? AT_FIRST_KEY : AT_FIRST_ELEMENT;
	return p + 1;
}

static const char *close_container(struct reader *r, const char *p)
{
	const struct reader_field *field = reader_find_field(r->container[r->depth]);

	if (field)
		reader_emit(r, field, READER_END, (struct str){0});
	r->depth--;
	reader_end_value(r);
	return p + 1;
}

/* True if a member that is wanted here may have a key of N bytes: most others have another length.
 */
static inline bool may_be_wanted(const struct reader *r, size_t n)
{
	const struct reader_node *object = r->container[r->depth];

	return object && object->lengths & reader_paths_length_bit(n);
}

/* True if keys matter here, because some member is wanted. */
static inline bool are_keys_wanted(const struct reader *r)
{
	return r->container[r->depth] && r->container[r->depth]->members;
}

/* Looks up KEY, which ends at P, among the wanted members; false if it stands there twice. */
static bool match_key(struct reader *r, const char *p, struct str key)
{
	const struct reader_node *member = reader_paths_find(r->container[r->depth], key);

	r->value = member;
	if (!member)
		return true;
	if (r->seen[r->depth] & (uint64_t)1 << member->index) {
		(void)reader_fail(r, p, "the key \"%.*s\" a second time", STR_ARG(member->key));
		return false;
	}
	r->seen[r->depth] |= (uint64_t)1 << member->index;
	return true;
}

/* After a key's closing quote. */
static inline const char *read_colon(struct reader *r, const char *p, const char *end)
{
	bool is_here = p < end && *p == ':';

	r->state = is_here ? AT_VALUE : AT_COLON;
	return is_here ? p + 1 : p;
}

static const char *close_key(struct reader *r, const char *p, const char *end)
{
	if (r->is_kept && !match_key(r, p, reader_end_text(r, p)))
		return NULL;
	return read_colon(r, p + 1, end);
}

/* Most strings are plain and lie in one chunk. The next two functions read such strings at once,
 * without a change of state; they begin the others, which continue in state IN_STRING. */
static inline const char *read_key(struct reader *r, const char *p, const char *end)
{
	const char *close = NULL;

	if (*p != '"')
		return reader_unexpected(r, p);
	r->value = NULL;
	close = reader_find_special(p + 1, end);
	if (close < end && *close == '"') {
		if (may_be_wanted(r, (size_t)(close - p - 1)) &&
		    !match_key(r, close, str_range(p + 1, (size_t)(close - p - 1))))
			return NULL;
		return read_colon(r, close + 1, end);
	}
	r->is_key = true;
	reader_begin_text(r, p + 1, are_keys_wanted(r), r->paths->longest_key);
	r->state = IN_STRING;
	return p + 1;
}

static inline const char *read_string(struct reader *r, const char *p, const char *end)
{
	const struct reader_field *field = reader_find_field(r->value);
	const char *close = reader_find_special(p + 1, end);

	if (close < end && *close == '"') {
		if (field)
			reader_emit(r, field, READER_STRING,
				    str_range(p + 1, (size_t)(close - p - 1)));
		reader_end_value(r);
		return close + 1;
	}
	r->is_key = false;
	reader_begin_value_text(r, p + 1, field);
	r->state = IN_STRING;
	return p + 1;
}

static const char *close_string(struct reader *r, const char *p)
{
	if (r->is_kept)
		reader_emit(r, r->value->field, READER_STRING, reader_end_text(r, p));
	reader_end_value(r);
	return p + 1;
}

static const char *read_on_in_string(struct reader *r, const char *p, const char *end)
{
	p = reader_find_special(p, end);
	if (p == end)
		return p;
	if (*p != '"')
		return reader_read_special(r, p, end);
	return r->is_key ? close_key(r, p, end) : close_string(r, p);
}

/* A value that is no string. */
static const char *begin_other_value(struct reader *r, const char *p, const char *end)
{
	if (*p == '{' || *p == '[')
		return open_container(r, p);
	return reader_begin_scalar(r, p, end);
}

/* Skips unwanted strings of an array that each have a comma right behind them, as the names of
 * files in large pushes do. P is where an element begins. */
static const char *skip_strings(const char *p, const char *end)
{
	while (p < end && *p == '"') {
		const char *close = reader_find_special(p + 1, end);

		if (end - close < 2 || close[0] != '"' || close[1] != ',')
			break;
		p = close + 2;
	}
	return p;
}

static inline const char *next_element(struct reader *r, const char *p, const char *end)
{
	const struct reader_node *array = r->container[r->depth];

	r->value = array ? array->element : NULL;
	r->state = AT_VALUE;
	return r->value ? p : skip_strings(p, end);
}

static inline const char *read_after_value(struct reader *r, const char *p, const char *end)
{
	bool is_object = r->is_object[r->depth];

	if (*p == ',' && is_object) {
		r->state = AT_KEY;
		return p + 1;
	}
	if (*p == ',')
		return next_element(r, p + 1, end);
	return *p == (is_object ? '}' : ']') ? close_container(r, p) : reader_unexpected(r, p);
}

/* The cases stand in the order of the most likely tokens, and fall through to the next one. */
static inline const char *read_between(struct reader *r, const char *p, const char *end)
{
	switch (r->state) {
	case AT_FIRST_KEY:
		if (*p == '}')
			return close_container(r, p);
		__attribute__((fallthrough));
	case AT_KEY:
		p = read_key(r, p, end);
		if (r->state != AT_VALUE || !p || (p = reader_skip_space(p, end)) == end)
			return p;
		__attribute__((fallthrough));
	case AT_VALUE:
		p = *p == '"' ? read_string(r, p, end) : begin_other_value(r, p, end);
		if (r->state != AFTER_VALUE || !p || (p = reader_skip_space(p, end)) == end)
			return p;
		__attribute__((fallthrough));
	case AFTER_VALUE:
		return read_after_value(r, p, end);
	case AT_COLON:
		if (*p != ':')
			return reader_unexpected(r, p);
		r->state = AT_VALUE;
		return p + 1;
	case AT_FIRST_ELEMENT:
		if (*p == ']')
			return close_container(r, p);
		return *p == '"' ? read_string(r, p, end) : begin_other_value(r, p, end);
	default:
		return reader_unexpected(r, p);
	}
}

static const char *read_within(struct reader *r, const char *p, const char *end)
{
	if (r->state == IN_STRING)
		return read_on_in_string(r, p, end);
	if (r->state == IN_LITERAL || r->state == IN_NUMBER)
		return reader_read_scalar(r, p, end);
	return reader_read_within_string(r, p, end);
}

/* Returns END, or NULL after an error. */
static const char *read_chunk(struct reader *r, const char *p, const char *end)
{
	while (p && p < end) {
		if (r->state > AFTER_DOCUMENT)
			p = read_within(r, p, end);
		else if ((p = reader_skip_space(p, end)) < end)
			p = read_between(r, p, end);
	}
	return p;
}

int reader_feed(struct reader *reader, struct str bytes, struct err *err)
{
	const char *end = NULL;

	if (reader->err.code)
		return err_set(err, reader->err.code, "%s", reader->err.msg);
	if (str_empty(bytes))
		return 0;
	reader->chunk = bytes.p;
	if (reader->begin)
		reader->begin = bytes.p;
	end = read_chunk(reader, bytes.p, bytes.p + bytes.n);
	if (!end)
		return err_set(err, reader->err.code, "%s", reader->err.msg);
	reader_keep_run(reader, end);
	reader->n_before += bytes.n;
	return 0;
}

int reader_finish(struct reader *reader, struct err *err)
{
	struct reader *r = reader;

	if (!r->err.code) {
		r->chunk = r->begin = "";
		if (r->state == IN_NUMBER)
			(void)reader_end_number(r, r->begin);
		if (r->state != AFTER_DOCUMENT)
			(void)reader_fail(r, r->chunk, "expected %s, found the end",
					  reader_expectation(r));
	}
	return r->err.code ? err_set(err, r->err.code, "%s", r->err.msg) : 0;
}

struct reader *reader_new(const struct reader_paths *paths, reader_fn fn, void *arg)
{
	struct reader *reader = mem_new(1, sizeof(*reader));

	reader->fn = fn;
	reader->arg = arg;
	reader->paths = paths;
	reader->value = &paths->nodes[0];
	return reader;
}

void reader_free(struct reader *reader)
{
	if (!reader)
		return;
	free(reader->text);
	free(reader);
}

void reader_freep(struct reader **reader)
{
	reader_free(*reader);
	*reader = NULL;
}

const char *reader_type_name(enum reader_type type)
{
	static const char *const names[] = {
		[READER_NULL] = "null",       [READER_FALSE] = "false",
		[READER_TRUE] = "true",       [READER_NUMBER] = "a number",
		[READER_STRING] = "a string", [READER_OBJECT] = "an object",
		[READER_ARRAY] = "an array",  [READER_END] = "an end",
	};

	return names[type];
}
