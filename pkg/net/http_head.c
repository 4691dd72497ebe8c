/*
 * Parses a request's head (RFC 9112): request line and header fields. Anything that two readers
 * could understand differently is refused, and so is everything above the limits.
 */
#include "net/http_parse.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

static int refuse(struct http_head *head, int status, const char *problem)
{
	head->problem = problem;
	return status;
}

/* VCHAR, obs-text, space and tab: what a field value may hold (RFC 9110, 5.5), and more than the
 * rest may. */
static bool is_text(struct str s)
{
	for (size_t i = str_count_printable(s); i < s.n; i++) {
		uint8_t c = (uint8_t)s.p[i];
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

/* The rest of a field line as nearly everyone writes it: one space or none, then the value, then
 * nothing. */
static struct str without_first_space(struct str s)
{
	return str_without_prefix(s, STR(" "));
}

/* RFC 9110, 8.6 wants a list of equal lengths refused or merged; a leading zero, a sign or odd
 * spaces are read differently by different programs. */
static int read_content_length(struct http_head *head, struct str raw)
{
	struct str digits = without_first_space(raw);
	if (head->has_length)
		return refuse(head, 400, "more than one Content-Length");
	if (str_empty(digits) || (digits.n > 1 && digits.p[0] == '0'))
		return refuse(head, 400, "malformed Content-Length");

	uint64_t length = 0;
	for (size_t i = 0; i < digits.n; i++) {
		if (digits.p[i] < '0' || digits.p[i] > '9')
			return refuse(head, 400, "malformed Content-Length");
		if (__builtin_mul_overflow(length, 10, &length) ||
		    __builtin_add_overflow(length, digits.p[i] - '0', &length))
			length = UINT64_MAX;
	}
	head->has_length = true;
	head->content_length = length;
	return HTTP_MORE;
}

static int read_transfer_encoding(struct http_head *head, struct str raw)
{
	if (head->is_chunked || !str_eq_nocase(without_first_space(raw), STR("chunked")))
		return refuse(head, 400, "Transfer-Encoding other than one \"chunked\"");
	head->is_chunked = true;
	return HTTP_MORE;
}

static int read_host(struct http_head *head, struct str value)
{
	if (head->n_hosts++ > 0)
		return refuse(head, 400, "more than one Host");
	if (!http_authority_is_valid(value))
		return refuse(head, 400, "malformed Host");
	return HTTP_MORE;
}

static void read_connection(struct http_head *head, struct str value)
{
	struct str option;
	while (str_next_part(&value, ',', &option))
		head->wants_close |= str_eq_nocase(str_trim(option), STR("close"));
}

/* Lists, whose empty elements mean nothing (RFC 9110, 5.6.1.2). */
static void read_expect(struct http_head *head, struct str value)
{
	struct str part;
	while (str_next_part(&value, ',', &part)) {
		part = str_trim(part);
		if (str_eq_nocase(part, STR("100-continue")))
			head->expects_continue = true;
		else if (!str_empty(part))
			head->expects_other = true;
	}
}

static void read_content_encoding(struct http_head *head, struct str value)
{
	struct str part;
	while (str_next_part(&value, ',', &part)) {
		part = str_trim(part);
		head->is_encoded |= !str_empty(part) && !str_eq_nocase(part, STR("identity"));
	}
}

/* The fields that decide where a request ends and what becomes of the connection. RAW is what
 * follows the colon. */
static int read_meaning(struct http_head *head, struct str name, struct str raw, struct str value)
{
	switch (name.n) {
	case 4:
		return str_eq_nocase(name, STR("host")) ? read_host(head, value) : HTTP_MORE;
	case 6:
		if (str_eq_nocase(name, STR("expect")))
			read_expect(head, value);
		return HTTP_MORE;
	case 10:
		if (str_eq_nocase(name, STR("connection")))
			read_connection(head, value);
		return HTTP_MORE;
	case 14:
		return str_eq_nocase(name, STR("content-length")) ? read_content_length(head, raw)
								  : HTTP_MORE;
	case 16:
		if (str_eq_nocase(name, STR("content-encoding")))
			read_content_encoding(head, value);
		return HTTP_MORE;
	case 17:
		return str_eq_nocase(name, STR("transfer-encoding"))
			       ? read_transfer_encoding(head, raw)
			       : HTTP_MORE;
	default:
		return HTTP_MORE;
	}
}

/* A line that begins with a space (obs-fold), has one before the colon, or has no colon, has no
 * token before a colon. */
static int read_field(struct http_head *head, const struct http_head_limits *limits,
		      struct str line)
{
	size_t name_len = http_token_length(line.p, line.n);
	if (name_len == 0 || name_len == line.n || line.p[name_len] != ':')
		return refuse(head, 400, "malformed header field name");
	struct str raw = str_range(line.p + name_len + 1, line.n - name_len - 1);
	if (head->n_fields == limits->fields)
		return refuse(head, 431, "too many header fields");

	struct str value = str_trim(raw);
	head->fields[head->n_fields++] = (struct http_field){
		.name = (uint16_t)(line.p - head->bytes),
		.name_len = (uint16_t)name_len,
		.value = (uint16_t)(value.p - head->bytes),
		.value_len = (uint16_t)value.n,
	};
	return read_meaning(head, str_range(line.p, name_len), raw, value);
}

static int read_version(struct http_head *head, struct str version)
{
	if (version.n != 8 || !str_starts(version, STR("HTTP/")) || version.p[5] < '0' ||
	    version.p[5] > '9' || version.p[6] != '.' || version.p[7] < '0' || version.p[7] > '9')
		return refuse(head, 400, "malformed request line");
	if (version.p[5] != '1' || version.p[7] > '1')
		return refuse(head, 505, "this server speaks HTTP/1.1");
	head->is_http10 = version.p[7] == '0';
	return HTTP_MORE;
}

static bool is_http_scheme(struct str s)
{
	return str_eq_nocase(s, STR("http")) || str_eq_nocase(s, STR("https"));
}

/*
 * RFC 9112, 3.2: origin-form, or absolute-form, which servers must take. Bytes over 0x7f are no
 * part of a URI, but have one reading; the path's owner will not know such a path.
 */
static int read_target(struct http_head *head, struct str target)
{
	for (size_t i = 0; i < target.n; i++) {
		if (target.p[i] == '\t' || target.p[i] == '#')
			return refuse(head, 400, "malformed request target");
	}
	struct str path = target;
	if (str_empty(target) || target.p[0] != '/') {
		size_t colon = str_find_char(target, ':');
		struct str rest = str_range(target.p + colon, target.n - colon);
		if (!is_http_scheme(str_range(target.p, colon)) || !str_starts(rest, STR("://")))
			return refuse(head, 400, "malformed request target");
		rest = str_range(rest.p + 3, rest.n - 3);
		size_t end = 0;
		while (end < rest.n && rest.p[end] != '/' && rest.p[end] != '?')
			end++;
		if (!http_authority_is_valid(str_range(rest.p, end)))
			return refuse(head, 400, "malformed request target");
		path = str_range(rest.p + end, rest.n - end);
	}
	size_t mark = str_find_char(path, '?');
	head->path = (uint16_t)(path.p - head->bytes);
	head->path_len = (uint16_t)mark;
	head->query = (uint16_t)(head->path + mark + (mark < path.n));
	head->query_len = (uint16_t)(path.n - mark - (mark < path.n));
	return HTTP_MORE;
}

/* RFC 9112, 3: exactly one space between the three parts. CONNECT has no target that a server like
 * this one could mean. */
static int read_request_line(struct http_head *head, const struct http_head_limits *limits,
			     struct str line)
{
	size_t method_len = http_token_length(line.p, line.n);
	if (method_len == 0 || method_len == line.n || line.p[method_len] != ' ')
		return refuse(head, 400, "malformed request line");
	struct str rest = str_range(line.p + method_len + 1, line.n - method_len - 1);
	size_t target_len = str_find_char(rest, ' ');
	if (target_len > limits->target_bytes)
		return refuse(head, 414, "request target too long");
	if (target_len == rest.n)
		return refuse(head, 400, "malformed request line");

	head->has_request_line = true;
	head->method = (uint16_t)(line.p - head->bytes);
	head->method_len = (uint16_t)method_len;
	int status =
		read_version(head, str_range(rest.p + target_len + 1, rest.n - target_len - 1));
	if (status != HTTP_MORE)
		return status;
	if (str_eq(str_range(line.p, method_len), STR("CONNECT")))
		return refuse(head, 400, "CONNECT needs a proxy");
	return read_target(head, str_range(rest.p, target_len));
}

static int finish(struct http_head *head)
{
	if (head->is_chunked && (head->has_length || head->is_http10))
		return refuse(head, 400, "Transfer-Encoding beside Content-Length or in HTTP/1.0");
	if (head->n_hosts == 0 && !head->is_http10)
		return refuse(head, 400, "no Host");
	/* Such a body ended with the connection (RFC 1945, 8.3), which is also how it is cut off.
	 */
	if (head->is_http10 && !head->has_length && str_eq(http_head_method(head), STR("POST")))
		return refuse(head, 400, "POST in HTTP/1.0 without Content-Length");
	/* RFC 9110, 10.1.1: HTTP/1.0 knows no interim answers. */
	if (head->is_http10)
		head->expects_continue = false;
	return HTTP_DONE;
}

/* LINE has its line end. */
static int read_line(struct http_head *head, const struct http_head_limits *limits, struct str line)
{
	if (line.n < 2 || line.p[line.n - 2] != '\r')
		return refuse(head, 400, "line end without CR");
	line.n -= 2;
	if (!is_text(line))
		return refuse(head, 400, "control character in the head");
	if (!head->has_request_line) {
		/* RFC 9112, 2.2: one empty line before a request is passed over. */
		if (str_empty(line) && head->line == 0)
			return HTTP_MORE;
		return read_request_line(head, limits, line);
	}
	return str_empty(line) ? finish(head) : read_field(head, limits, line);
}

/*
 * What no continuation can make right is refused before its line ends: a TLS hello, a target
 * without end. N bytes were added; the one before them is looked at again, because a CR can only be
 * judged by what follows it.
 */
static int check_unfinished(struct http_head *head, const struct http_head_limits *limits, size_t n)
{
	struct str line = str_range(head->bytes + head->line, head->len - head->line);
	size_t first = line.n > n ? line.n - n - 1 : 0;
	size_t end = line.n > 0 && line.p[line.n - 1] == '\r' ? line.n - 1 : line.n;
	if (first < end && !is_text(str_range(line.p + first, end - first)))
		return refuse(head, 400, "control character in the head");
	if (head->has_request_line)
		return HTTP_MORE;
	size_t space = str_find_char(line, ' ');
	if (space < line.n && line.n - space - 1 > limits->target_bytes + sizeof(" HTTP/1.1\r"))
		return refuse(head, 414, "request target too long");
	return HTTP_MORE;
}

static void append(struct http_head *head, const char *p, size_t n)
{
	if (head->len + n > head->cap) {
		size_t cap = head->cap ? head->cap : 1024;
		while (cap < head->len + n)
			cap *= 2;
		head->bytes = mem_resize(head->bytes, cap, 1);
		head->cap = (uint32_t)cap;
	}
	memcpy(head->bytes + head->len, p, n);
	head->len += (uint32_t)n;
}

int http_head_read(struct http_head *head, const struct http_head_limits *limits, const char *p,
		   size_t n, size_t *used)
{
	assert(limits->head_bytes <= HTTP_HEAD_MAX && limits->fields <= HTTP_FIELDS_MAX);
	*used = 0;
	while (*used < n) {
		const char *rest = p + *used;
		const char *lf = memchr(rest, '\n', n - *used);
		size_t room = limits->head_bytes - head->len;
		size_t wanted = lf ? (size_t)(lf - rest) + 1 : n - *used;
		size_t taken = wanted < room ? wanted : room;
		append(head, rest, taken);
		*used += taken;

		int status = HTTP_MORE;
		if (lf && taken == wanted) {
			status = read_line(
				head, limits,
				str_range(head->bytes + head->line, head->len - head->line));
			head->line = head->len;
		} else {
			status = check_unfinished(head, limits, taken);
			if (status == HTTP_MORE && taken < wanted)
				status = refuse(head, 431, "head too large");
		}
		if (status != HTTP_MORE)
			return status;
	}
	return HTTP_MORE;
}

void http_head_release(struct http_head *head)
{
	free(head->bytes);
	head->bytes = NULL;
}

struct str http_head_method(const struct http_head *head)
{
	return str_range(head->bytes + head->method, head->method_len);
}

struct str http_head_path(const struct http_head *head)
{
	return head->path_len ? str_range(head->bytes + head->path, head->path_len) : STR("/");
}

struct str http_head_query(const struct http_head *head)
{
	return str_range(head->bytes + head->query, head->query_len);
}

struct str http_head_find(const struct http_head *head, const char *name, size_t *n)
{
	struct str wanted = str_of(name);
	struct str first = {0};
	size_t count = 0;
	for (size_t i = 0; i < head->n_fields; i++) {
		const struct http_field *field = &head->fields[i];
		if (field->name_len != wanted.n ||
		    !str_eq_nocase(str_range(head->bytes + field->name, field->name_len), wanted))
			continue;
		if (count++ == 0)
			first = str_range(head->bytes + field->value, field->value_len);
	}
	if (n)
		*n = count;
	return first;
}
