#include "base/buf.h"
#include "base/mem.h"
#include "net/http_parse.h"

#include "framing_cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct http_head_limits limits = {16 << 10, 8 << 10, HTTP_FIELDS_MAX};

static void release_head(struct http_head *head)
{
	http_head_release(head);
}

/* Fed in pieces of PIECE bytes. *USED_OUT (may be NULL): what belonged to the head. */
static int read_head(struct http_head *head, struct str bytes, size_t piece, size_t *used_out)
{
	size_t total = 0;
	int status = HTTP_MORE;
	while (status == HTTP_MORE && total < bytes.n) {
		size_t used, n = bytes.n - total < piece ? bytes.n - total : piece;
		status = http_head_read(head, &limits, bytes.p + total, n, &used);
		assert_true(used <= n && (used == n || status != HTTP_MORE));
		total += used;
	}
	if (used_out)
		*used_out = total;
	return status;
}

/* What a server makes of a connection's bytes, as far as heads and chunks decide it. */
static void read_stream(struct buf *out, struct str bytes, size_t piece)
{
	while (bytes.n > 0) {
		CLEANUP(release_head) struct http_head head = {0};
		size_t used;
		int status = read_head(&head, bytes, piece, &used);
		bytes = str_range(bytes.p + used, bytes.n - used);
		if (status == HTTP_DONE && head.expects_other)
			status = 417;
		if (status == HTTP_DONE && head.content_length > 1 << 20)
			status = 413;
		if (status == HTTP_DONE && head.is_chunked) {
			CLEANUP(mem_free) char *copy = mem_strndup("", 0);
			struct http_chunks chunks = {.limit = 1 << 20};
			status = HTTP_MORE;
			while (status == HTTP_MORE && bytes.n > 0) {
				size_t n_body, n = bytes.n < piece ? bytes.n : piece;
				copy = mem_resize(copy, n, 1);
				memcpy(copy, bytes.p, n);
				status = http_chunks_read(&chunks, copy, n, &used, &n_body);
				bytes = str_range(bytes.p + used, bytes.n - used);
			}
		} else if (status == HTTP_DONE) {
			if (head.content_length > bytes.n)
				status = HTTP_MORE;
			else
				bytes = str_range(bytes.p + head.content_length,
						  bytes.n - head.content_length);
		}
		if (status == HTTP_MORE)
			status = 400;
		buf_printf(out, "%s%d", out->len ? " " : "", status == HTTP_DONE ? 200 : status);
		if (status != HTTP_DONE || head.is_http10 || head.wants_close)
			return;
	}
}

/* The table is a whole server's; what the reader does not decide counts as served. */
static void expect_of_reader(struct buf *out, const char *statuses)
{
	for (const char *p = statuses; *p; p += strcspn(p, " "), p += *p == ' ') {
		bool is_readers = strncmp(p, "404", 3) != 0 && strncmp(p, "405", 3) != 0;
		if (strncmp(p, "100", 3) != 0)
			buf_printf(out, "%s%.3s", out->len ? " " : "", is_readers ? p : "200");
	}
}

/* An answer before the body is read ends what the whole server reads, but not what this reader
 * does. */
static bool is_for_reader(const struct framing_case *c)
{
	return strncmp(c->statuses, "404!", 4) != 0 && strncmp(c->statuses, "405!", 4) != 0 &&
	       strcmp(c->name, "another expectation at an unknown path") != 0;
}

static void pieces_of_any_size_read_the_same(void **state)
{
	(void)state;
	static const size_t pieces[] = {1, 2, 3, 7, 64, SIZE_MAX};
	size_t n_refused = 0;
	for (size_t i = 0; i < ARRAY_LEN(framing_cases); i++) {
		const struct framing_case *c = &framing_cases[i];
		n_refused += strchr(c->statuses, '!') != NULL;
		for (size_t k = 0; k < ARRAY_LEN(pieces) && is_for_reader(c); k++) {
			CLEANUP(buf_release) struct buf got = BUF_INIT(4096);
			CLEANUP(buf_release) struct buf expected = BUF_INIT(4096);
			read_stream(&got, str_range(c->bytes, c->n), pieces[k]);
			expect_of_reader(&expected, c->statuses);
			if (!str_eq(buf_str(&got), buf_str(&expected)))
				fail_msg("%s %s, in pieces of %zu: expected %s, got %s", c->family,
					 c->name, pieces[k], expected.data, got.data);
		}
	}
	assert_true(n_refused >= 150);
}

static int read_text(struct http_head *head, struct buf *text)
{
	return read_head(head, buf_str(text), SIZE_MAX, NULL);
}

static void put_repeated(struct buf *out, char c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_put_char(out, c);
}

static void a_target_may_have_8_kib(void **state)
{
	(void)state;
	static const struct {
		size_t length;
		const char *rest;
		int status;
	} cases[] = {
		{8192, " HTTP/1.1\r\nHost: h\r\n\r\n", HTTP_DONE},
		{8193, " HTTP/1.1\r\nHost: h\r\n\r\n", 414},
		{8193, " HTTP/1.1\r\n", 414},
		{9000, "", 414},
		{20000, "", 414},
		{20000, " HTTP/1.1\r\nHost: h\r\n\r\n", 414},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(release_head) struct http_head head = {0};
		CLEANUP(buf_release) struct buf text = BUF_INIT(64 << 10);
		buf_put_str(&text, STR("POST /"));
		put_repeated(&text, 'a', cases[i].length - 1);
		buf_put_str(&text, str_of(cases[i].rest));
		assert_int_equal(read_text(&head, &text), cases[i].status);
	}
}

static void a_head_may_have_16_kib(void **state)
{
	(void)state;
	for (size_t excess = 0; excess < 4; excess++) {
		CLEANUP(release_head) struct http_head head = {0};
		CLEANUP(buf_release) struct buf text = BUF_INIT(64 << 10);
		buf_put_str(&text, STR("POST / HTTP/1.1\r\nHost: h\r\nX-A: "));
		put_repeated(&text, 'a', (16 << 10) - text.len - 4 + excess);
		buf_put_str(&text, STR("\r\n\r\n"));
		assert_int_equal(read_text(&head, &text), excess ? 431 : HTTP_DONE);
		assert_true(head.len <= 16 << 10);
	}
}

static void a_head_without_end_is_431(void **state)
{
	(void)state;
	static const char *const begins[] = {"POST / HTTP/1.1\r\nX-A: ", "POST / HTTP/1.1\r\n", ""};
	for (size_t i = 0; i < ARRAY_LEN(begins); i++) {
		CLEANUP(release_head) struct http_head head = {0};
		CLEANUP(buf_release) struct buf text = BUF_INIT(64 << 10);
		buf_put_str(&text, str_of(begins[i]));
		put_repeated(&text, 'a', 17 << 10);
		assert_int_equal(read_text(&head, &text), 431);
		assert_non_null(head.problem);
	}
}

static void a_head_may_have_100_fields(void **state)
{
	(void)state;
	for (int n = 99; n < 102; n++) {
		CLEANUP(release_head) struct http_head head = {0};
		CLEANUP(buf_release) struct buf text = BUF_INIT(64 << 10);
		buf_put_str(&text, STR("POST / HTTP/1.1\r\nHost: h\r\n"));
		for (int i = 1; i < n; i++)
			buf_printf(&text, "X-%d: %d\r\n", i, i);
		buf_put_str(&text, STR("\r\n"));
		assert_int_equal(read_text(&head, &text), n > 100 ? 431 : HTTP_DONE);
	}
}

/* Where lines do not end, it must not take the time limit to see that this is not HTTP. */
static void nonsense_is_refused_before_its_line_ends(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t n;
	} cases[] = {{"\x16\x03\x01", 3}, {"POST /a\x01", 8}, {"POST / HTTP/1.1\r\nX: \0", 21}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(release_head) struct http_head head = {0};
		assert_int_equal(
			read_head(&head, str_range(cases[i].bytes, cases[i].n), SIZE_MAX, NULL),
			400);
	}
}

static void what_follows_the_head_is_left(void **state)
{
	(void)state;
	static const char text[] = "POST /a HTTP/1.1\r\nHost: h\r\n\r\n\r\nbody\r\n\r\n";
	CLEANUP(release_head) struct http_head head = {0};
	size_t used;
	assert_int_equal(read_head(&head, str_of(text), SIZE_MAX, &used), HTTP_DONE);
	assert_string_equal(text + used, "\r\nbody\r\n\r\n");
}

static void fields_are_found_by_name(void **state)
{
	(void)state;
	CLEANUP(release_head) struct http_head head = {0};
	size_t n;
	assert_int_equal(read_head(&head,
				   STR("POST /a HTTP/1.1\r\nhost: h\r\nA: 1\r\nAB:\t 2 \t \r\na: "
				       "3\r\nB:\r\n\r\n"),
				   5, NULL),
			 HTTP_DONE);
	assert_true(str_eq(http_head_find(&head, "Host", &n), STR("h")));
	assert_int_equal(n, 1);
	assert_true(str_eq(http_head_find(&head, "a", &n), STR("1")));
	assert_int_equal(n, 2);
	assert_true(str_eq(http_head_find(&head, "ab", NULL), STR("2")));
	assert_true(str_empty(http_head_find(&head, "B", &n)));
	assert_int_equal(n, 1);
	assert_true(str_empty(http_head_find(&head, "C", &n)));
	assert_int_equal(n, 0);
}

/* RFC 9110: what each of these fields means, and that others of the same length mean nothing. */
static void a_field_means_what_its_whole_name_says(void **state)
{
	static const struct {
		const char *field;
		bool is_encoded, expects_continue, expects_other, wants_close, is_chunked;
	} cases[] = {
		{.field = "Content-Encoding: gzip", .is_encoded = true},
		{.field = "Content-Encoding: identity, br", .is_encoded = true},
		{.field = "Content-Encoding: Identity"},
		{.field = "Content-Encoding:"},
		{.field = "Content-Encoding: ,, identity ,"},
		{.field = "X-Forwarded-Host: gzip"},
		{.field = "Expect: 100-Continue", .expects_continue = true},
		{.field = "Expect: , x", .expects_other = true},
		{.field = "Expect:"},
		{.field = "Accept: 100-continue"},
		{.field = "Connection: keep-alive, close", .wants_close = true},
		{.field = "Connection: upgrade"},
		{.field = "User-Agent: close"},
		{.field = "Date: close"},
		{.field = "Accept-Charset: 5"},
		{.field = "If-Modified-Since: chunked"},
		{.field = "Transfer-Encoding: chunked", .is_chunked = true},
		{.field = "X: gzip, close, chunked, 100-continue"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(release_head) struct http_head head = {0};
		CLEANUP(buf_release) struct buf text = BUF_INIT(1000);
		buf_printf(&text, "POST /a HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n", cases[i].field);
		assert_int_equal(read_head(&head, buf_str(&text), SIZE_MAX, NULL), HTTP_DONE);
		if (head.is_encoded != cases[i].is_encoded ||
		    head.expects_continue != cases[i].expects_continue ||
		    head.expects_other != cases[i].expects_other ||
		    head.wants_close != cases[i].wants_close ||
		    head.is_chunked != cases[i].is_chunked || head.content_length != 0)
			fail_msg("%s", cases[i].field);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_of_any_size_read_the_same),
		cmocka_unit_test(a_target_may_have_8_kib),
		cmocka_unit_test(a_head_may_have_16_kib),
		cmocka_unit_test(a_head_without_end_is_431),
		cmocka_unit_test(a_head_may_have_100_fields),
		cmocka_unit_test(nonsense_is_refused_before_its_line_ends),
		cmocka_unit_test(what_follows_the_head_is_left),
		cmocka_unit_test(fields_are_found_by_name),
		cmocka_unit_test(a_field_means_what_its_whole_name_says),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
