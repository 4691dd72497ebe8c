/*
 * A connection's bytes, read at once and in pieces whose sizes the first input byte seeds: heads
 * and bodies must come out the same, and every length and offset must lie within what was read.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "net/http_parse.h"

#include <assert.h>
#include <stdlib.h>

enum { BODY_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_head_limits limits = {1024, 256, 20};

/* Cuts what is fed to the reader. */
struct feed {
	struct str rest;
	uint32_t seed; /* 0: everything at once */
};

static struct str next_piece(struct feed *feed)
{
	size_t n = feed->rest.n;
	if (feed->seed) {
		feed->seed = feed->seed * 1664525 + 1013904223;
		size_t wanted = 1 + (feed->seed >> 24) % 40;
		n = n < wanted ? n : wanted;
	}
	return str_range(feed->rest.p, n);
}

static void take(struct feed *feed, size_t used)
{
	feed->rest = str_range(feed->rest.p + used, feed->rest.n - used);
}

static void check_within(const struct http_head *head, struct str s)
{
	assert(str_eq(s, STR("/")) || (s.p >= head->bytes && s.p + s.n <= head->bytes + head->len));
}

/* Whatever was accepted, in a form that can be compared. */
static void describe_head(struct buf *out, const struct http_head *head)
{
	size_t n;
	check_within(head, http_head_method(head));
	check_within(head, http_head_path(head));
	check_within(head, http_head_query(head));
	assert(!(head->has_length && head->is_chunked));
	assert(head->n_hosts <= 1 && head->n_fields <= limits.fields &&
	       head->len <= limits.head_bytes);
	buf_printf(out, "%.*s|%.*s|%.*s|", STR_ARG(http_head_method(head)),
		   STR_ARG(http_head_path(head)), STR_ARG(http_head_query(head)));
	for (size_t i = 0; i < head->n_fields; i++) {
		const struct http_field *field = &head->fields[i];
		assert((size_t)field->name + field->name_len < head->len);
		assert((size_t)field->value + field->value_len < head->len);
		buf_put(out, head->bytes + field->value, field->value_len);
	}
	(void)http_head_find(head, "content-length", &n);
	assert(n == (head->has_length ? 1 : 0));
	buf_printf(out, "|%llu %d%d%d%d%d\n", (unsigned long long)head->content_length,
		   head->is_chunked, head->is_http10, head->wants_close, head->expects_continue,
		   head->expects_other);
}

static int read_head(struct buf *out, struct http_head *head, struct feed *feed)
{
	int status = HTTP_MORE;
	while (status == HTTP_MORE && feed->rest.n > 0) {
		size_t used;
		struct str piece = next_piece(feed);
		status = http_head_read(head, &limits, piece.p, piece.n, &used);
		assert(used <= piece.n && (used == piece.n || status != HTTP_MORE));
		take(feed, used);
	}
	if (status == HTTP_DONE)
		describe_head(out, head);
	else
		assert(status == HTTP_MORE || head->problem);
	return status;
}

/* The copies are as long as the piece, so that a byte read or written beyond it is seen. */
static int read_chunks(struct buf *out, struct feed *feed)
{
	struct http_chunks chunks = {.limit = BODY_MAX};
	int status = HTTP_MORE;
	uint64_t total = 0;
	while (status == HTTP_MORE && feed->rest.n > 0) {
		size_t used, n_body;
		struct str piece = next_piece(feed);
		CLEANUP(mem_free) char *copy = mem_resize(NULL, piece.n, 1);
		memcpy(copy, piece.p, piece.n);
		status = http_chunks_read(&chunks, copy, piece.n, &used, &n_body);
		assert(n_body <= used && used <= piece.n &&
		       (used == piece.n || status != HTTP_MORE));
		total += n_body;
		/* What follows a refusal within a piece depends on the piece. */
		if (status == HTTP_MORE || status == HTTP_DONE)
			buf_put(out, copy, n_body);
		take(feed, used);
	}
	assert(total <= BODY_MAX);
	if (status == HTTP_DONE)
		assert(total == chunks.total);
	return status;
}

static int read_body(struct buf *out, const struct http_head *head, struct feed *feed)
{
	if (head->is_chunked)
		return read_chunks(out, feed);
	if (head->content_length > feed->rest.n)
		return HTTP_MORE;
	take(feed, head->content_length);
	return HTTP_DONE;
}

static void release_head(struct http_head *head)
{
	http_head_release(head);
}

/* What was in the whole requests, and whether one was refused: which of its faults is named may
 * depend on the cut. */
static void read_connection(struct buf *out, struct feed feed)
{
	int status = HTTP_DONE;
	while (status == HTTP_DONE && feed.rest.n > 0) {
		CLEANUP(buf_release) struct buf request = BUF_INIT(1 << 20);
		CLEANUP(release_head) struct http_head head = {0};
		status = read_head(&request, &head, &feed);
		if (status == HTTP_DONE)
			status = read_body(&request, &head, &feed);
		if (status == HTTP_DONE)
			buf_put_str(out, buf_str(&request));
		else if (status != HTTP_MORE)
			buf_put_str(out, STR("refused"));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct str bytes = str_range((const char *)data + 1, size - 1);
	CLEANUP(buf_release) struct buf whole = BUF_INIT(16 << 20);
	CLEANUP(buf_release) struct buf cut = BUF_INIT(16 << 20);
	read_connection(&whole, (struct feed){.rest = bytes});
	read_connection(&cut, (struct feed){.rest = bytes, .seed = 1u + data[0]});
	assert(str_eq(buf_str(&whole), buf_str(&cut)));
	return 0;
}
