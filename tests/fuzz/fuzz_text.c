/*
 * Text from outside on its way into one line: whatever the bytes are, what comes out is valid
 * UTF-8 within its bound, and a time that is read is the time that is written.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_clean(struct str in, size_t max)
{
	CLEANUP(buf_release) struct buf clean = BUF_INIT(max);
	CLEANUP(buf_release) struct buf again = BUF_INIT(max);

	buf_put_clean(&clean, in, max);
	assert(!clean.overflow && str_is_utf8(buf_str(&clean)));
	for (size_t i = 0; i < clean.len; i++)
		assert((unsigned char)clean.data[i] >= 0x20 && clean.data[i] != 0x7F);
	buf_put_clean(&again, buf_str(&clean), max);
	assert(str_eq(buf_str(&clean), buf_str(&again)));
}

static void check_utf8(struct str in)
{
	bool good = true;
	uint32_t c = 0;

	for (size_t i = 0, n = 0; i < in.n; i += n) {
		n = str_decode_utf8(str_range(in.p + i, in.n - i), &c);
		if (n == 0) {
			good = false;
			break;
		}
	}
	assert(good == str_is_utf8(in));
	for (size_t max = 0; good && max <= in.n; max++)
		assert(str_is_utf8(str_cut_utf8(in, max)));
}

static void check_time(struct str in)
{
	char text[CLOCK_TEXT_BYTES];
	int64_t ms = 0, back = 0;

	if (!clock_parse_rfc3339(in, &ms))
		return;
	clock_format_rfc3339(text, ms, true);
	assert(clock_parse_rfc3339(str_of(text), &back));
	/* An offset may lead out of the years that can be written. */
	assert(back == ms || text[0] == '0' || text[0] == '9');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = size ? str_range((const char *)data + 1, size - 1) : (struct str){0};

	check_clean(in, size ? data[0] : 0);
	check_utf8(in);
	check_time(in);
	return 0;
}
