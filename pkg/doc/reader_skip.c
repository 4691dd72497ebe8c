/*
 * Most of a payload is not wanted. This file passes over that with its place in local variables,
 * for as long as each token is plain and whole in the chunk, and leaves every other token, errors
 * among them, to the ordinary steps of reader.c.
 */
#include "doc/reader_state.h"

#include <string.h>

/* Bytes at the end of a chunk that the ordinary steps read, so that here a token may be looked at
 * without asking for each byte whether it is there. */
#define LAST_BYTES 8

/* Where the reader is, as its fields of the same names. */
struct place {
	const char *p;
	const char *last; /* of the chunk's bytes the first that is not read here */
	const char *end;
	struct reader_scan scan;
	enum reader_state state;
	unsigned depth;
	bool is_object;
	const struct reader_node *container;
	uint64_t key_bits; /* the container's */
};

/* All that follow return false or NULL where the ordinary steps have to go on. */

static inline bool skip_space(struct place *at)
{
	if ((unsigned char)*at->p <= ' ')
		at->p = reader_skip_space(at->p, at->end);
	return at->p < at->last;
}

/* From an escape at P on. Not inlined, so that the strings without escapes keep the registers. */
static __attribute__((noinline)) const char *find_end_behind_escape(struct reader_scan *scan,
								    const char *p, const char *last,
								    const char *end)
{
	while (p < last && *p == '\\' && reader_unescape(p[1]))
		p = reader_find_special(scan, p + 2, end);
	return p < last && *p == '"' ? p + 1 : NULL;
}

static inline const char *find_string_end(struct place *at)
{
	const char *p = reader_find_special(&at->scan, at->p + 1, at->end);
	struct reader_scan scan = at->scan;

	if (p >= at->last)
		return NULL;
	if (*p == '"')
		return p + 1;
	p = find_end_behind_escape(&scan, p, at->last, at->end);
	at->scan = scan;
	return p;
}

static inline const char *find_scalar_end(const struct place *at)
{
	switch (*at->p) {
	case 't':
		return memcmp(at->p, "true", 4) == 0 ? at->p + 4 : NULL;
	case 'f':
		return memcmp(at->p, "false", 5) == 0 ? at->p + 5 : NULL;
	case 'n':
		return memcmp(at->p, "null", 4) == 0 ? at->p + 4 : NULL;
	default:
		return reader_find_integer_end(at->p, at->last);
	}
}

static inline bool pass_key(struct place *at)
{
	const char *close = NULL;

	if (!skip_space(at) || *at->p != '"')
		return false;
	close = reader_find_special(&at->scan, at->p + 1, at->end);
	if (close >= at->last || memcmp(close, "\":", 2) != 0)
		return false;
	if (at->key_bits & reader_paths_key_bit(at->p + 1, (size_t)(close - at->p - 1)))
		return false;
	at->p = close + 2;
	at->state = AT_VALUE;
	return true;
}

static inline bool open_container(struct reader *r, struct place *at)
{
	if (at->depth == READER_MAX_DEPTH)
		return false;
	at->is_object = *at->p == '{';
	at->container = NULL;
	at->key_bits = 0;
	at->state = at->is_object ? AT_FIRST_KEY : AT_FIRST_ELEMENT;
	at->depth++;
	r->is_object[at->depth] = at->is_object;
	r->container[at->depth] = NULL;
	at->p++;
	return true;
}

static inline bool pass_value(struct reader *r, struct place *at)
{
	const char *end = NULL;

	if (!skip_space(at))
		return false;
	if (*at->p == '"')
		end = find_string_end(at);
	else if (memcmp(at->p, "[]", 2) == 0 && at->depth < READER_MAX_DEPTH)
		end = at->p + 2;
	else if (*at->p == '{' || *at->p == '[')
		return open_container(r, at);
	else
		end = find_scalar_end(at);
	if (!end)
		return false;
	at->p = end;
	at->state = AFTER_VALUE;
	return true;
}

static inline void enter(const struct reader *r, struct place *at, unsigned depth)
{
	at->depth = depth;
	at->is_object = r->is_object[depth];
	at->container = r->container[depth];
	at->key_bits = at->container ? at->container->key_bits : 0;
}

/* Passes over the ends of containers, up to the comma before the next value. */
static inline bool pass_end(const struct reader *r, struct place *at)
{
	while (skip_space(at)) {
		if (*at->p == ',') {
			at->p++;
			at->state = at->is_object ? AT_KEY : AT_VALUE;
			return true;
		}
		if (*at->p != (at->is_object ? '}' : ']') || at->depth == 1 ||
		    reader_find_field(at->container))
			return false;
		at->p++;
		enter(r, at, at->depth - 1);
	}
	return false;
}

const char *reader_skip_unwanted(struct reader *r, const char *p, const char *end)
{
	struct place at = {.p = p, .end = end, .scan = r->scan, .state = r->state};

	if (end - p <= LAST_BYTES)
		return reader_skip_space(p, end);
	at.last = end - LAST_BYTES;
	enter(r, &at, r->depth);
	while ((at.state != AFTER_VALUE || pass_end(r, &at)) &&
	       (at.is_object ? pass_key(&at) : !reader_find_element(at.container)) &&
	       pass_value(r, &at))
		;
	r->scan = at.scan;
	r->state = at.state;
	r->depth = at.depth;
	r->value = at.is_object ? NULL : reader_find_element(at.container);
	return reader_skip_space(at.p, end);
}
