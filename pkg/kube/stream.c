/*
 * A scanner for the outer shape of lists and watch events. It follows strings and nesting, and
 * leaves the values inside to json_parse(). The strict reader of doc/reader.h would not do: it
 * gives a document up at the first wrong byte, and here an object that cannot be parsed must cost
 * that object alone.
 */
#include "kube/stream.h"

#include "base/mem.h"

/* The memory of a piece larger than this is given back. */
#define KEPT_PIECE_BYTES ((size_t)64 * 1024)

enum state {
	BETWEEN_EVENTS,
	BEFORE_LIST,
	BEFORE_KEY, /* or the list's end */
	IN_KEY,
	BEFORE_COLON,
	BEFORE_VALUE,
	BETWEEN_ITEMS, /* or the items' end */
	IN_VALUE,
	AFTER_LIST,
	BROKEN,
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void begin_value(struct stream *s, enum state after, bool is_captured, enum stream_part part)
{
	s->state = IN_VALUE;
	s->after = after;
	s->is_captured = is_captured;
	s->part = part;
	s->depth = 0;
	s->is_string = false;
	s->is_escaped = false;
}

/* Returns how many bytes belong to the string, its closing quote included; N if it does not end
 * here. */
static size_t skip_string(struct stream *s, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s->is_escaped) {
			s->is_escaped = false;
		} else if (p[i] == '\\') {
			s->is_escaped = true;
		} else if (p[i] == '"') {
			s->is_string = false;
			return i + 1;
		}
	}
	return n;
}

static bool ends_scalar(char c)
{
	return is_space(c) || c == ',' || c == ']' || c == '}';
}

/* Returns how many bytes belong to the value; sets *DONE if it ends there. */
static size_t skip_value(struct stream *s, const char *p, size_t n, bool *done)
{
	size_t i = 0;

	*done = false;
	while (i < n) {
		if (s->is_string) {
			i += skip_string(s, p + i, n - i);
			*done = !s->is_string && s->depth == 0;
		} else if (p[i] == '"') {
			s->is_string = true;
			i++;
		} else if (p[i] == '{' || p[i] == '[') {
			s->depth++;
			i++;
		} else if (s->depth > 0) {
			if (p[i] == '}' || p[i] == ']')
				*done = --s->depth == 0;
			i++;
		} else if (ends_scalar(p[i])) {
			*done = true;
		} else {
			i++;
		}
		if (*done)
			break;
	}
	return i;
}

static void emit(struct stream *s, struct str tail)
{
	struct str piece = tail;

	if (s->piece.len > 0 || s->piece.overflow) {
		buf_put_str(&s->piece, tail);
		piece = buf_str(&s->piece);
	}
	if (s->piece.overflow || piece.n > STREAM_MAX_PIECE_BYTES)
		s->fn(s->arg, STREAM_OVERSIZED, (struct str){0});
	else
		s->fn(s->arg, s->part, piece);
	if (s->piece.cap > KEPT_PIECE_BYTES)
		buf_release(&s->piece);
	else
		buf_clear(&s->piece);
}

static size_t feed_value(struct stream *s, const char *p, size_t n)
{
	bool done = false;
	size_t used = skip_value(s, p, n, &done);

	if (done)
		s->state = s->after;
	if (!s->is_captured)
		return used;
	if (done)
		emit(s, str_range(p, used));
	else
		buf_put(&s->piece, p, used);
	return used;
}

static void feed_key(struct stream *s, char c)
{
	/* "items" and "metadata" are written without escapes, so a key with escapes is neither. */
	if (s->is_escaped) {
		s->is_escaped = false;
	} else if (c == '\\') {
		s->is_escaped = true;
		s->n_key = sizeof(s->key);
	} else if (c == '"') {
		s->state = BEFORE_COLON;
	} else if (s->n_key < sizeof(s->key)) {
		s->key[s->n_key++] = c;
	}
}

static bool has_key(const struct stream *s, struct str name)
{
	return str_eq(str_range(s->key, s->n_key), name);
}

/*
 * The value begins with C. Returns 1 if C opens the items; 0: C is read again as part of the value.
 */
static size_t start_value(struct stream *s, char c)
{
	if (has_key(s, STR("items")) && c == '[') {
		s->state = BETWEEN_ITEMS;
		return 1;
	}
	begin_value(s, BEFORE_KEY, has_key(s, STR("metadata")) && c == '{', STREAM_METADATA);
	return 0;
}

/* The next byte is wrong: nothing after it is read. */
static size_t break_off(struct stream *s)
{
	s->state = BROKEN;
	return 0;
}

static size_t expect(struct stream *s, char found, char expected, enum state next)
{
	if (found != expected)
		return break_off(s);
	s->state = next;
	return 1;
}

static size_t feed_key_or_end(struct stream *s, char c)
{
	if (c == ',')
		return 1;
	if (c == '}') {
		s->state = AFTER_LIST;
		return 1;
	}
	s->n_key = 0;
	s->is_escaped = false;
	return expect(s, c, '"', IN_KEY);
}

static size_t feed_item_or_end(struct stream *s, char c)
{
	if (c == ',')
		return 1;
	if (c == ']') {
		s->state = BEFORE_KEY;
		return 1;
	}
	if (c == '}')
		return break_off(s);
	begin_value(s, BETWEEN_ITEMS, true, STREAM_ITEM);
	return 0;
}

static size_t feed_structure(struct stream *s, char c)
{
	if (s->state == IN_KEY) {
		feed_key(s, c);
		return 1;
	}
	if (is_space(c))
		return 1;
	switch ((enum state)s->state) {
	case BETWEEN_EVENTS:
		if (c != '{')
			return break_off(s);
		begin_value(s, BETWEEN_EVENTS, true, STREAM_EVENT);
		return 0;
	case BEFORE_LIST:
		return expect(s, c, '{', BEFORE_KEY);
	case BEFORE_KEY:
		return feed_key_or_end(s, c);
	case BEFORE_COLON:
		return expect(s, c, ':', BEFORE_VALUE);
	case BEFORE_VALUE:
		return ends_scalar(c) ? break_off(s) : start_value(s, c);
	case BETWEEN_ITEMS:
		return feed_item_or_end(s, c);
	default:
		return break_off(s);
	}
}

void stream_init(struct stream *stream, enum stream_kind kind, stream_fn fn, void *arg)
{
	*stream = (struct stream){.kind = kind, .fn = fn, .arg = arg};
	stream->state = kind == STREAM_WATCH ? BETWEEN_EVENTS : BEFORE_LIST;
	stream->piece.limit = STREAM_MAX_PIECE_BYTES;
}

void stream_release(struct stream *stream)
{
	buf_release(&stream->piece);
}

int stream_feed(struct stream *stream, struct str bytes, struct err *err)
{
	size_t i = 0;

	while (i < bytes.n && stream->state != BROKEN) {
		if (stream->state == IN_VALUE)
			i += feed_value(stream, bytes.p + i, bytes.n - i);
		else
			i += feed_structure(stream, bytes.p[i]);
	}
	if (stream->state == BROKEN)
		return err_set(err, ERR_INVALID, "not a %s of the API server",
			       stream->kind == STREAM_WATCH ? "watch" : "list");
	return 0;
}

int stream_finish(const struct stream *stream, struct err *err)
{
	int end = stream->kind == STREAM_WATCH ? BETWEEN_EVENTS : AFTER_LIST;

	if (stream->state != end)
		return err_set(err, ERR_INVALID, "the answer ended too early");
	return 0;
}
