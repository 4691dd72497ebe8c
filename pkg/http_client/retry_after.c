/* Retry-After (RFC 9110, 10.2.3): seconds or a date. Declared in http_client.h. */
#include "http_client/http_client.h"

#include <curl/curl.h>
#include <string.h>

int64_t http_client_retry_after(struct str text, int64_t now_ms)
{
	uint64_t seconds = 0;
	char date[64] = "";
	time_t when = 0;
	int64_t wait_ms = 0;

	text = str_trim(text);
	if (str_empty(text) || text.n >= sizeof(date))
		return -1;
	if (strspn(memcpy(date, text.p, text.n), "0123456789") == text.n) {
		if (!str_parse_u64(text, (uint64_t)HTTP_CLIENT_MAX_RETRY_AFTER_MS / 1000, &seconds))
			return HTTP_CLIENT_MAX_RETRY_AFTER_MS;
		return (int64_t)seconds * 1000;
	}
	/* curl_getdate() also accepts bare numbers and zones; an HTTP date begins with a weekday.
	 */
	if (text.p[0] < 'A' || text.p[0] > 'Z')
		return -1;
	when = curl_getdate(date, NULL);
	if (when < 0)
		return -1;
	wait_ms = (int64_t)when * 1000 - now_ms;
	if (wait_ms < 0)
		return 0;
	return wait_ms < HTTP_CLIENT_MAX_RETRY_AFTER_MS ? wait_ms : HTTP_CLIENT_MAX_RETRY_AFTER_MS;
}
