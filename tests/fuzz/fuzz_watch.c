/*
 * Lists and watches of the API server: the first byte says which and how the rest is cut. The
 * pieces must not depend on that.
 */
#include "base/mem.h"
#include "doc/json.h"
#include "kube/stream.h"

#include <stdlib.h>

struct seen {
	uint64_t hash;
	size_t n_bytes;
};

static void on_part(void *arg, enum stream_part part, struct str text)
{
	CLEANUP(json_freep) cJSON *doc = NULL;
	struct seen *seen = arg;

	if (part == STREAM_EVENT && (text.n == 0 || text.p[0] != '{'))
		abort();
	seen->n_bytes += text.n;
	seen->hash = seen->hash * 31 + (uint64_t)part;
	for (size_t i = 0; i < text.n; i++)
		seen->hash = seen->hash * 31 + (unsigned char)text.p[i];
	(void)json_parse(&doc, text, NULL);
	(void)json_str_at(doc, "object/metadata/resourceVersion");
}

static int feed(struct seen *seen, enum stream_kind kind, struct str text, size_t step)
{
	CLEANUP(stream_release) struct stream stream;
	int rc = 0;

	stream_init(&stream, kind, on_part, seen);
	for (size_t at = 0; at < text.n; at += step) {
		size_t n = text.n - at < step ? text.n - at : step;

		rc = stream_feed(&stream, str_range(text.p + at, n), NULL);
	}
	return rc ? rc : stream_finish(&stream, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole = {0};
	struct seen cut = {0};
	enum stream_kind kind;
	struct str text;

	if (size < 2)
		return 0;
	kind = data[0] & 1 ? STREAM_WATCH : STREAM_LIST;
	text = str_range((const char *)data + 1, size - 1);
	if (feed(&whole, kind, text, size) != feed(&cut, kind, text, 1 + (data[0] >> 1)))
		abort();
	if (whole.hash != cut.hash || whole.n_bytes > size)
		abort();
	return 0;
}
