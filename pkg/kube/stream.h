/*
 * Cuts the API server's two kinds of long answers into pieces as their bytes come: a list into its
 * items, a watch into its events. It finds where JSON values begin and end; what is in them is for
 * json_parse(). No more than one piece is ever held.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* Larger than any object that etcd takes. */
#define STREAM_MAX_PIECE_BYTES ((size_t)4 * 1024 * 1024)

enum stream_kind { STREAM_LIST, STREAM_WATCH };

enum stream_part {
	STREAM_EVENT,     /* of a watch: {"type": ..., "object": ...} */
	STREAM_ITEM,      /* of a list */
	STREAM_METADATA,  /* of a list; before or after its items */
	STREAM_OVERSIZED, /* an event or item of more than STREAM_MAX_PIECE_BYTES, without its text
			   */
};

/* TEXT is lent until the function returns. It must not call the stream. */
typedef void (*stream_fn)(void *arg, enum stream_part part, struct str text);

/* All members are the stream's own. */
struct stream {
	enum stream_kind kind;
	stream_fn fn;
	void *arg;
	int state;
	int after;             /* the state that follows the value */
	enum stream_part part; /* kind of the value, where it is captured */
	bool is_captured;
	bool is_string; /* within a string of the value */
	bool is_escaped;
	size_t depth;     /* nesting of arrays and objects in the value */
	struct buf piece; /* the value's part in earlier chunks */
	char key[16];     /* the key that is being read; longer ones are cut */
	size_t n_key;
};

void stream_init(struct stream *stream, enum stream_kind kind, stream_fn fn, void *arg);
void stream_release(struct stream *stream);
/* ERR_INVALID: this is no list or watch; later calls return it again. */
int stream_feed(struct stream *stream, struct str bytes, struct err *err);
/* No more bytes: ERR_INVALID if a list is not complete, or a watch broke off within an event. */
int stream_finish(const struct stream *stream, struct err *err);
