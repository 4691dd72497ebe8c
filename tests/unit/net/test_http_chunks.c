#include "base/buf.h"
#include "base/mem.h"
#include "net/http_parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* Decodes TEXT in pieces of PIECE bytes, and puts the body into OUT. */
static int decode(struct buf *out, struct http_chunks *chunks, struct str text, size_t piece,
		  size_t *left)
{
	int status = HTTP_MORE;
	CLEANUP(mem_free) char *copy = str_dup(text);
	size_t at = 0;
	while (status == HTTP_MORE && at < text.n) {
		size_t used, n_body, n = text.n - at < piece ? text.n - at : piece;
		status = http_chunks_read(chunks, copy + at, n, &used, &n_body);
		assert_true(n_body <= used && used <= n);
		buf_put(out, copy + at, n_body);
		at += used;
	}
	*left = text.n - at;
	return status;
}

static void pieces_of_any_size_decode_the_same(void **state)
{
	(void)state;
	const struct str text = STR("5\r\nhello\r\n1;x=y\r\n \r\n00005\r\nworld\r\n0\r\n\r\nPOST");
	for (size_t piece = 1; piece < 50; piece++) {
		CLEANUP(buf_release) struct buf body = BUF_INIT(100);
		struct http_chunks chunks = {.limit = 11};
		size_t left;
		assert_int_equal(decode(&body, &chunks, text, piece, &left), HTTP_DONE);
		assert_string_equal(body.data, "hello world");
		assert_string_equal(text.p + text.n - left, "POST");
	}
}

static void the_limit_is_of_the_decoded_body(void **state)
{
	(void)state;
	static const struct {
		uint64_t limit;
		int status;
	} cases[] = {{0, 413}, {9, 413}, {10, HTTP_DONE}, {UINT64_MAX, HTTP_DONE}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_release) struct buf body = BUF_INIT(100);
		struct http_chunks chunks = {.limit = cases[i].limit};
		size_t left;
		assert_int_equal(decode(&body, &chunks,
					STR("5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n"), 100, &left),
				 cases[i].status);
		assert_true(body.len <= cases[i].limit);
	}
}

static void an_extension_may_be_short(void **state)
{
	(void)state;
	for (size_t n = HTTP_CHUNK_LINE_MAX - 1; n < HTTP_CHUNK_LINE_MAX + 2; n++) {
		CLEANUP(buf_release) struct buf text = BUF_INIT(1000);
		CLEANUP(buf_release) struct buf body = BUF_INIT(100);
		struct http_chunks chunks = {.limit = 10};
		size_t left;
		buf_put_str(&text, STR("1;"));
		for (size_t i = 0; i < n; i++)
			buf_put_char(&text, 'x');
		buf_put_str(&text, STR("\r\na\r\n0\r\n\r\n"));
		assert_int_equal(decode(&body, &chunks, buf_str(&text), 1000, &left),
				 n > HTTP_CHUNK_LINE_MAX ? 400 : HTTP_DONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_of_any_size_decode_the_same),
		cmocka_unit_test(the_limit_is_of_the_decoded_body),
		cmocka_unit_test(an_extension_may_be_short),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
