/*
 * The structure of a JSON document: containers, keys, and which values are wanted. Everything lives
 * in one fixed-size state, so that a document may come in chunks of any size.
 */
#include "doc/reader.h"

#include "base/mem.h"
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

static inline const char *read_key(struct reader *r, const char *p)
{
	if (*p != '"')
		return reader_unexpected(r, p);
	r->value = NULL;
	r->is_key = true;
	reader_begin_text(r, p + 1, are_keys_wanted(r), r->paths->longest_key);
	r->state = IN_STRING;
	return p + 1;
}

static inline const char *read_string(struct reader *r, const char *p)
{
	r->is_key = false;
	reader_begin_value_text(r, p + 1, reader_find_field(r->value));
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
	p = reader_find_special(&r->scan, p, end);
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

static const char *read_after_value(struct reader *r, const char *p)
{
	const struct reader_node *container = r->container[r->depth];
	bool is_object = r->is_object[r->depth];

	if (*p == ',') {
		r->value = reader_find_element(container);
		r->state = is_object ? AT_KEY : AT_VALUE;
		return p + 1;
	}
	return *p == (is_object ? '}' : ']') ? close_container(r, p) : reader_unexpected(r, p);
}

static const char *read_value(struct reader *r, const char *p, const char *end)
{
	return *p == '"' ? read_string(r, p) : begin_other_value(r, p, end);
}

static const char *read_between(struct reader *r, const char *p, const char *end)
{
	switch (r->state) {
	case AT_FIRST_KEY:
		return *p == '}' ? close_container(r, p) : read_key(r, p);
	case AT_KEY:
		return read_key(r, p);
	case AT_COLON:
		if (*p != ':')
			return reader_unexpected(r, p);
		r->state = AT_VALUE;
		return p + 1;
	case AT_FIRST_ELEMENT:
		return *p == ']' ? close_container(r, p) : read_value(r, p, end);
	case AT_VALUE:
		return read_value(r, p, end);
	case AFTER_VALUE:
		return read_after_value(r, p);
	default:
		return reader_unexpected(r, p);
	}
}

/* True between two tokens of a container where the next value is not known to be wanted. */
static bool may_skip(const struct reader *r)
{
	return r->state != AT_VALUE && r->state != AT_COLON && r->depth > 0;
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
		else if ((p = may_skip(r) ? reader_skip_unwanted(r, p, end)
					  : reader_skip_space(p, end)) < end)
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
	reader->scan = reader_scan_at(bytes.p, bytes.p + bytes.n);
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
