#include "kube/stream.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void on_part(void *arg, enum stream_part part, struct str text)
{
	static const char letters[] = "EIMO";
	struct buf *seen = arg;

	buf_printf(seen, "%c%.*s|", letters[part], STR_ARG(text));
}

static const struct {
	enum stream_kind kind;
	const char *text;
	const char *parts; /* E event, I item, M metadata, each ended by a bar */
	int fed, finished;
} cases[] = {
	{STREAM_LIST,
	 "{\"kind\":\"L\",\"metadata\":{\"a\":1},\"items\":[{\"b\":[]},{\"c\":\"}\"}]}\n",
	 "M{\"a\":1}|I{\"b\":[]}|I{\"c\":\"}\"}|", 0, 0},
	{STREAM_LIST, "{\"items\":[{\"b\":1}],\"kind\":\"L\",\"metadata\":{\"a\":{}}}",
	 "I{\"b\":1}|M{\"a\":{}}|", 0, 0},
	{STREAM_LIST, "{\"items\":null,\"metadata\":{}}", "M{}|", 0, 0},
	{STREAM_LIST, "{\"items\":[],\"metadata\":null}", "", 0, 0},
	{STREAM_LIST, " { \"items\" : [ { } , 5 , \"x\" , null ] } ", "I{ }|I5|I\"x\"|Inull|", 0,
	 0},
	{STREAM_LIST, "{\"a\":\"\\\\\",\"b\":\"\\\"\",\"items\":[{\"q\":\"\\\"]}\"}]}",
	 "I{\"q\":\"\\\"]}\"}|", 0, 0},
	{STREAM_LIST, "{\"x\":{\"items\":[1]},\"i\\u0074ems\":[2],\"items\":[3]}", "I3|", 0, 0},
	{STREAM_LIST, "{\"a very long key that is none of ours\":1,\"items\":[1]}", "I1|", 0, 0},
	{STREAM_LIST, "{\"items\":[{\"b\":1},", "I{\"b\":1}|", 0, ERR_INVALID},
	{STREAM_LIST, "{\"items\":[{\"b\":1", "", 0, ERR_INVALID},
	{STREAM_LIST, "", "", 0, ERR_INVALID},
	{STREAM_LIST, "<html>", "", ERR_INVALID, ERR_INVALID},
	{STREAM_LIST, "[]", "", ERR_INVALID, ERR_INVALID},
	{STREAM_LIST, "{\"items\":[1}", "I1|", ERR_INVALID, ERR_INVALID},
	{STREAM_LIST, "{\"items\":[]}{", "", ERR_INVALID, ERR_INVALID},
	{STREAM_LIST, "{\"items\" 1}", "", ERR_INVALID, ERR_INVALID},
	{STREAM_LIST, "{\"items\":,}", "", ERR_INVALID, ERR_INVALID},
	{STREAM_LIST, "{5:1}", "", ERR_INVALID, ERR_INVALID},
	{STREAM_WATCH, "{\"type\":\"ADDED\"}\n{\"type\":\"DELETED\",\"object\":{\"a\":[1,{}]}}\n",
	 "E{\"type\":\"ADDED\"}|E{\"type\":\"DELETED\",\"object\":{\"a\":[1,{}]}}|", 0, 0},
	{STREAM_WATCH, "{}{}\r\n\r\n{\n}\n", "E{}|E{}|E{\n}|", 0, 0},
	{STREAM_WATCH, "", "", 0, 0},
	{STREAM_WATCH, "{\"type\":\"ADDED\"}\n{\"type\":\"MODI", "E{\"type\":\"ADDED\"}|", 0,
	 ERR_INVALID},
	{STREAM_WATCH, "{\"type\":\"ADDED\"}\n<html>{}", "E{\"type\":\"ADDED\"}|", ERR_INVALID,
	 ERR_INVALID},
	{STREAM_WATCH, "null", "", ERR_INVALID, ERR_INVALID},
};

static void check(size_t i, size_t step)
{
	CLEANUP(buf_release) struct buf seen = BUF_INIT(4096);
	CLEANUP(stream_release) struct stream stream;
	struct str text = str_of(cases[i].text);
	struct err err = {0};
	int fed = 0;

	stream_init(&stream, cases[i].kind, on_part, &seen);
	for (size_t at = 0; at < text.n; at += step) {
		size_t n = text.n - at < step ? text.n - at : step;

		fed = stream_feed(&stream, str_range(text.p + at, n), &err);
	}
	if (fed != cases[i].fed || stream_finish(&stream, &err) != cases[i].finished ||
	    !str_eq(buf_str(&seen), str_of(cases[i].parts)))
		fail_msg("case %zu, %zu bytes at a time: %s (%d)", i, step, buf_text(&seen), fed);
}

static void pieces_are_the_same_however_the_bytes_are_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (size_t step = 1; step < 100; step++)
			check(i, step);
	}
}

static void an_oversized_object_is_passed_over(void **state)
{
	CLEANUP(buf_release) struct buf seen = BUF_INIT(4096);
	CLEANUP(stream_release) struct stream stream;
	char chunk[4096];
	struct err err = {0};

	(void)state;
	memset(chunk, 'x', sizeof(chunk));
	stream_init(&stream, STREAM_LIST, on_part, &seen);
	assert_int_equal(stream_feed(&stream, STR("{\"items\":[{\"a\":\""), &err), 0);
	for (size_t n = 0; n <= STREAM_MAX_PIECE_BYTES; n += sizeof(chunk))
		assert_int_equal(stream_feed(&stream, str_range(chunk, sizeof(chunk)), &err), 0);
	assert_int_equal(stream_feed(&stream, STR("\"},{\"b\":2}]}"), &err), 0);
	assert_int_equal(stream_finish(&stream, &err), 0);
	assert_string_equal(seen.data, "O|I{\"b\":2}|");
	assert_true(stream.piece.cap < 65536 + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_the_same_however_the_bytes_are_cut),
		cmocka_unit_test(an_oversized_object_is_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
