#include "base/mem.h"
#include "net/http_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void a_date_is_as_http_has_it(void **state)
{
	(void)state;
	char text[HTTP_DATE_BYTES];
	http_format_date(text, 784111777);
	assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
	http_format_date(text, 951782400);
	assert_string_equal(text, "Tue, 29 Feb 2000 00:00:00 GMT");
}

static void replies_are_framed(void **state)
{
	(void)state;
	const struct http_header headers[] = {
		{STR("Warning"), STR("299 - \"a\r\nSet-Cookie: b\"")},
		{STR("X"), STR("caf\xc3\xa9\x7f")},
	};
	static const struct {
		int status;
		size_t n_headers;
		const char *date;
		const char *body;
		bool leaves_body_out, ends_connection;
		const char *text;
	} cases[] = {
		{200, 0, "", "ok", false, false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
		{200, 0, "D", "", false, true,
		 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: D\r\nConnection: close\r\n\r\n"},
		{405, 0, "", "0123456789", true, false,
		 "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 10\r\n\r\n"},
		{204, 0, "", "no", false, false, "HTTP/1.1 204 No Content\r\n\r\n"},
		{304, 0, "", "no", false, false, "HTTP/1.1 304 Unknown\r\n\r\n"},
		{101, 0, "", "no", false, false, "HTTP/1.1 101 Unknown\r\n\r\n"},
		{299, 0, "", "", false, false, "HTTP/1.1 299 Unknown\r\nContent-Length: 0\r\n\r\n"},
		{202, 2, "", "", false, false,
		 "HTTP/1.1 202 Accepted\r\nWarning: 299 - \"a  Set-Cookie: b\"\r\nX: caf\xc3\xa9 "
		 "\r\n"
		 "Content-Length: 0\r\n\r\n"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_release) struct buf out = BUF_INIT(1000);
		const struct http_reply reply = {
			.status = cases[i].status,
			.headers = headers,
			.n_headers = cases[i].n_headers,
			.date = str_of(cases[i].date),
			.body = str_of(cases[i].body),
			.leaves_body_out = cases[i].leaves_body_out,
			.ends_connection = cases[i].ends_connection,
		};
		http_format_reply(&out, &reply);
		assert_string_equal(out.data, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_date_is_as_http_has_it),
		cmocka_unit_test(replies_are_framed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
