/*
 * Takes the chunked coding (RFC 9112, section 7.1) off a body. Strict: bare LF, spaces before the
 * size and trailer fields are refused, because intermediaries read them differently.
 */
#include "net/http_parse.h"

/* RFC 9112, 7.1. The states name what is read next. */
enum { SIZE, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF, END_CR, END_LF, OVER };

enum { SIZE_DIGITS_MAX = 16 };

static int refuse(struct http_chunks *chunks, int status, const char *problem)
{
	chunks->problem = problem;
	return status;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int read_size(struct http_chunks *chunks, char c)
{
	int digit = hex_value(c);
	if (digit >= 0 && chunks->n_digits < SIZE_DIGITS_MAX) {
		chunks->n_digits++;
		chunks->left = chunks->left << 4 | (uint64_t)digit;
		return HTTP_MORE;
	}
	if (chunks->n_digits == 0 || (c != '\r' && c != ';'))
		return refuse(chunks, 400, "malformed chunk size");
	chunks->line_len = 0;
	chunks->state = c == ';' ? EXTENSION : SIZE_LF;
	return HTTP_MORE;
}

/* Nobody here knows an extension, and RFC 9112, 7.1.1 has those ignored. */
static int read_extension(struct http_chunks *chunks, char c)
{
	if (c == '\r') {
		chunks->state = SIZE_LF;
		return HTTP_MORE;
	}
	bool is_text = c == '\t' || (c >= ' ' && c < 0x7f);
	if (!is_text || ++chunks->line_len > HTTP_CHUNK_LINE_MAX)
		return refuse(chunks, 400, "malformed chunk extension");
	return HTTP_MORE;
}

static int begin_chunk(struct http_chunks *chunks, char c)
{
	if (c != '\n')
		return refuse(chunks, 400, "malformed chunk size");
	if (chunks->left > chunks->limit - chunks->total)
		return refuse(chunks, 413, "body too large");
	chunks->total += chunks->left;
	chunks->state = chunks->left ? DATA : END_CR;
	chunks->n_digits = 0;
	return HTTP_MORE;
}

/* A byte that frames: everything but DATA. */
static int read_frame(struct http_chunks *chunks, char c)
{
	switch (chunks->state) {
	case SIZE:
		return read_size(chunks, c);
	case EXTENSION:
		return read_extension(chunks, c);
	case SIZE_LF:
		return begin_chunk(chunks, c);
	case DATA_CR:
	case DATA_LF:
		if (c != (chunks->state == DATA_CR ? '\r' : '\n'))
			return refuse(chunks, 400, "chunk longer than its size");
		chunks->state = chunks->state == DATA_CR ? DATA_LF : SIZE;
		return HTTP_MORE;
	case END_CR:
		if (c != '\r')
			return refuse(chunks, 400, "trailers are not taken");
		chunks->state = END_LF;
		return HTTP_MORE;
	default:
		if (c != '\n')
			return refuse(chunks, 400, "malformed end of the body");
		chunks->state = OVER;
		return HTTP_DONE;
	}
}

int http_chunks_read(struct http_chunks *chunks, char *p, size_t n, size_t *used, size_t *n_body)
{
	*used = 0;
	*n_body = 0;
	while (*used < n) {
		if (chunks->state != DATA) {
			int status = read_frame(chunks, p[(*used)++]);
			if (status != HTTP_MORE)
				return status;
			continue;
		}
		size_t part = n - *used;
		if (part > chunks->left)
			part = (size_t)chunks->left;
		if (*n_body != *used)
			memmove(p + *n_body, p + *used, part);
		*n_body += part;
		*used += part;
		chunks->left -= part;
		if (chunks->left == 0)
			chunks->state = DATA_CR;
	}
	return HTTP_MORE;
}
