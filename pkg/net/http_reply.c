#include "net/http_reply.h"

#include "base/mem.h"

#include <stdio.h>
#include <time.h>

static const struct {
	int status;
	const char *text;
} status_texts[] = {
	{100, "Continue"},
	{200, "OK"},
	{202, "Accepted"},
	{204, "No Content"},
	{303, "See Other"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{408, "Request Timeout"},
	{409, "Conflict"},
	{413, "Content Too Large"},
	{414, "URI Too Long"},
	{415, "Unsupported Media Type"},
	{417, "Expectation Failed"},
	{422, "Unprocessable Content"},
	{429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"},
	{500, "Internal Server Error"},
	{502, "Bad Gateway"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
	{505, "HTTP Version Not Supported"},
};

const char *http_status_text(int status)
{
	for (size_t i = 0; i < ARRAY_LEN(status_texts); i++) {
		if (status_texts[i].status == status)
			return status_texts[i].text;
	}
	return "Unknown";
}

void http_format_date(char *out, int64_t wall_s)
{
	static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	struct tm tm = {0};
	time_t t = (time_t)wall_s;
	gmtime_r(&t, &tm);
	(void)snprintf(out, HTTP_DATE_BYTES, "%s, %02d %s %04d %02d:%02d:%02d GMT",
		       days[tm.tm_wday % 7], tm.tm_mday % 100, months[tm.tm_mon % 12],
		       (tm.tm_year + 1900) % 10000, tm.tm_hour % 100, tm.tm_min % 100,
		       tm.tm_sec % 100);
}

static void put_value(struct buf *out, struct str value)
{
	size_t begin = out->len;
	buf_put_str(out, value);
	char *end = out->data + out->len;
	for (char *c = out->data + begin + str_count_printable(value); c < end; c++) {
		if ((uint8_t)*c < ' ' || *c == 0x7f)
			*c = ' ';
	}
}

static void put_header(struct buf *out, struct str name, struct str value)
{
	buf_put_str(out, name);
	buf_put_str(out, STR(": "));
	put_value(out, value);
	buf_put_str(out, STR("\r\n"));
}

void http_format_reply(struct buf *out, const struct http_reply *reply)
{
	buf_put_str(out, STR("HTTP/1.1 "));
	buf_put_number(out, (uint64_t)reply->status);
	buf_put_char(out, ' ');
	buf_put_str(out, str_of(http_status_text(reply->status)));
	buf_put_str(out, STR("\r\n"));
	for (size_t i = 0; i < reply->n_headers; i++)
		put_header(out, reply->headers[i].name, reply->headers[i].value);
	bool has_body = reply->status >= 200 && reply->status != 204 && reply->status != 304;
	if (has_body) {
		buf_put_str(out, STR("Content-Length: "));
		buf_put_number(out, reply->body.n);
		buf_put_str(out, STR("\r\n"));
	}
	if (!str_empty(reply->date))
		put_header(out, STR("Date"), reply->date);
	if (reply->ends_connection)
		buf_put_str(out, STR("Connection: close\r\n"));
	buf_put_str(out, STR("\r\n"));
	if (has_body && !reply->leaves_body_out)
		buf_put_str(out, reply->body);
}
