#include "doc/reader.h"

#include "base/buf.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *const names[] = {
	[READER_NULL] = "null",     [READER_FALSE] = "false", [READER_TRUE] = "true",
	[READER_NUMBER] = "number", [READER_STRING] = "",     [READER_OBJECT] = "{",
	[READER_ARRAY] = "[",       [READER_END] = "end",
};

/* Field 0 is written as a, 1 as b, ...: "a=text b{ c=cut... bend ". */
static void on_value(void *arg, int field, const struct reader_value *value)
{
	struct buf *log = arg;

	buf_put_char(log, (char)('a' + field));
	if (value->type == READER_STRING || value->type == READER_NUMBER)
		buf_put_char(log, value->type == READER_STRING ? '=' : '#');
	else
		buf_put_str(log, str_of(names[value->type]));
	buf_put_str(log, value->text);
	if (value->is_cut)
		buf_put_str(log, STR("..."));
	buf_put_char(log, ' ');
}

struct fields {
	struct reader_field of[8];
	size_t n;
};

static struct fields fields_of(const char *const *paths, uint32_t max_bytes)
{
	struct fields fields = {0};

	for (; fields.n < ARRAY_LEN(fields.of) && paths[fields.n]; fields.n++)
		fields.of[fields.n] =
			(struct reader_field){paths[fields.n], (int)fields.n, max_bytes};
	return fields;
}

/* Feeds a copy of exact size, so that a read beyond the end is caught. */
static int feed(struct reader *reader, const char *p, size_t n, struct err *err)
{
	char *copy = malloc(n ? n : 1);
	int rc = 0;

	memcpy(copy, p, n);
	rc = reader_feed(reader, str_range(copy, n), err);
	memset(copy, 'X', n);
	free(copy);
	return rc;
}

static void free_paths(struct reader_paths **paths)
{
	reader_paths_free(*paths);
}

/* Reads TEXT in three pieces, which end at FIRST, SECOND and at its end. */
static int read_pieces(struct buf *log, const struct fields *fields, struct str text, size_t first,
		       size_t second, struct err *err)
{
	CLEANUP(free_paths)
	struct reader_paths *paths = reader_paths_new(fields->of, fields->n);
	CLEANUP(reader_freep) struct reader *reader = reader_new(paths, on_value, log);

	if (feed(reader, text.p, first, err) || feed(reader, text.p + first, second - first, err) ||
	    feed(reader, text.p + second, text.n - second, err)) {
		struct err again = {0};

		assert_int_equal(reader_feed(reader, STR(" "), &again), err->code);
		assert_string_equal(again.msg, err->msg);
		assert_int_equal(reader_finish(reader, &again), err->code);
		assert_string_equal(again.msg, err->msg);
		return err->code;
	}
	return reader_finish(reader, err);
}

/* Whole, and split at every place into two, and into three with a middle of one byte. */
static void assert_read(const struct fields *fields, struct str text, const char *expected_log,
			const char *expected_error)
{
	for (size_t at = 0; at <= text.n; at++) {
		for (size_t middle = 0; middle < 2 && at + middle <= text.n; middle++) {
			CLEANUP(buf_release) struct buf log = BUF_INIT(4096);
			struct err err = {0};
			int rc = read_pieces(&log, fields, text, at, at + middle, &err);

			assert_string_equal(err.msg, expected_error ? expected_error : "");
			assert_int_equal(rc, expected_error ? ERR_INVALID : 0);
			if (expected_log)
				assert_string_equal(buf_text(&log), expected_log);
		}
	}
}

static void wanted_values_come_in_document_order(void **state)
{
	static const struct {
		const char *text, *paths[8], *log;
	} cases[] = {
		{"{\"ref\":\"refs/heads/main\",\"x\":1}", {"/x", "/ref"}, "b=refs/heads/main a#1 "},
		{" { \"a\" : [ 1 , \"x\\n\" ] } \r\n\t", {"/a/*", "/a"}, "b[ a#1 a=x\n bend "},
		{"{\"a\":{\"b\":{\"c\":null},\"c\":true},\"b\":false}",
		 {"/a/b/c", "/a/c", "/b", "/c", "/a/b"},
		 "e{ anull eend btrue cfalse "},
		{"[{\"n\":\"x\"},{\"n\":\"y\"},{\"m\":{\"n\":\"z\"}},[{\"n\":1}],{}]",
		 {"/*/n"},
		 "a=x a=y "},
		{"[[1,[2]],[3],4]", {"/*/*", "/*"}, "b[ a#1 a[ aend bend b[ a#3 bend b#4 "},
		{"\"top\"", {""}, "a=top "},
		{"-12.5e+3", {""}, "a#-12.5e+3 "},
		{"0", {""}, "a#0 "},
		{"[]", {""}, "a[ aend "},
		{"null", {"", "/x"}, "anull "},
		{"{\"a\":1}", {"/*"}, ""},
		{"[{\"a\":1}]", {"/a"}, ""},
		{"{\"a\":{}}", {"/a/b"}, ""},
		{"{\"\":1,\"a\":2}", {"/a"}, "a#2 "},
		{"{\"ab\":1,\"a\":2,\"abc\":3}", {"/abc", "/a"}, "b#2 a#3 "},
		{"{\"REF\":1,\"Ref\":2}", {"/ref"}, ""},
		{"{\"r\\u0065f\":1,\"\\u0062\\/\":2}", {"/ref"}, "a#1 "},
		{"{\"refx\":1,\"re\":2}", {"/ref"}, ""},
		{"[1e999999,-0,0.10,1E-2]", {"/*"}, "a#1e999999 a#-0 a#0.10 a#1E-2 "},
		{"{\"x\":{\"x\":{\"x\":7}}}", {"/x/x/x"}, "a#7 "},
		{"{\"x\":[\"a\",\"b\",\"\",\"c\"],\"y\":1}", {"/y"}, "a#1 "},
		{"{\"x\":[\"a\",\"b\" ,\"c\\n\",\"\xc3\xa4\",7,\"e\", "
		 "\"f\",{\"y\":2},\"g\"],\"y\":1}",
		 {"/y"},
		 "a#1 "},
		{"[true,false,null,true]", {"/*"}, "atrue afalse anull atrue "},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fields fields = fields_of(cases[i].paths, 100);

		assert_read(&fields, str_of(cases[i].text), cases[i].log, NULL);
	}
}

/* What is not wanted is checked as strictly, wherever it lies in a chunk. */
static void unwanted_values_are_passed_over(void **state)
{
	static const struct {
		const char *value, *error;
		size_t at; /* of the error within the value */
	} cases[] = {
		{"{}", NULL, 0},
		{"[ ]", NULL, 0},
		{"[[],{},[{}],\"\"]", NULL, 0},
		{"{\"a\" : [ 1 , -2.5e3 , true,false,null ] , \"b\":{ \"c\" :\t\"d\" } }", NULL, 0},
		{"\"\\\"\\\\ \\u00e4 \\ud83d\\ude00 \xc3\xa4\"", NULL, 0},
		{"{\"k\\\"ey\":\"x\\n\",\"ref\":\"other\"}", NULL, 0},
		{"{\"a\":1,}", "expected a key in quotes, found '}'", 7},
		{"{\"a\" 1}", "expected ':' after a key, found '1'", 5},
		{"{,\"a\":1}", "expected a key in quotes or '}', found ','", 1},
		{"[1,]", "expected a value, found ']'", 3},
		{"[,1]", "expected a value or ']', found ','", 1},
		{"[1 2]", "expected ',' or ']' after a value, found '2'", 3},
		{"[{\"a\":1]]", "expected ',' or '}' after a value, found ']'", 7},
		{"[truE]", "expected the rest of true, false or null, found 'E'", 4},
		{"[01]", "expected ',' or ']' after a value, found '1'", 2},
		{"[-]", "expected a digit, found ']'", 2},
		{"\"a\tb\"", "byte 0x09 in a string, where only its escape may stand", 2},
		{"\"a\\x\"", "expected one of \"\\/bfnrtu after a backslash, found 'x'", 3},
		{"\"\xc3(\"", "expected the rest of a UTF-8 character, found '('", 2},
	};
	static const char before[] =
		"{\"long\":\"............................................................\",\"u\":";
	static const char after[] = ",\"list\":[\"................................\",\"............"
				    "....................\"],"
				    "\"ref\":\"main\"}";
	struct fields fields = fields_of((const char *[]){"/ref", NULL}, 100);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_release) struct buf text = BUF_INIT(1000);
		CLEANUP(buf_release) struct buf error = BUF_INIT(1000);

		buf_printf(&text, "%s%s%s", before, cases[i].value, after);
		if (cases[i].error)
			buf_printf(&error, "byte %zu: %s", sizeof(before) + cases[i].at,
				   cases[i].error);
		assert_read(&fields, buf_str(&text), cases[i].error ? "" : "a=main ",
			    cases[i].error ? buf_text(&error) : NULL);
	}
}

static void strings_come_without_escapes(void **state)
{
	static const char *const cases[][2] = {
		{"\"\"", "a= "},
		{"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "a=\"\\/\b\f\n\r\t "},
		{"\"\\u0041\\u00e4\\u20AC\\ud83d\\uDE00\"",
		 "a=A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 "},
		{"\"x\\u0001\\uFFFF\\uE000\\ud7ff\"",
		 "a=x\x01\xef\xbf\xbf\xee\x80\x80\xed\x9f\xbf "},
		{"\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\"",
		 "a=\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf "},
		{"\"plain text of more than sixteen bytes\\nand more\"",
		 "a=plain text of more than sixteen bytes\nand more "},
		{"\"\x7f\"", "a=\x7f "},
	};
	struct fields fields = fields_of((const char *[]){"", NULL}, 100);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_read(&fields, str_of(cases[i][0]), cases[i][1], NULL);
}

static void too_long_a_text_is_cut_at_a_character(void **state)
{
	static const char *const cases[][2] = {
		{"\"1234\"", "a=1234 "},
		{"\"12345\"", "a=1234... "},
		{"\"123\xc3\xa4\"", "a=123... "},
		{"\"12\xc3\xa4\"", "a=12\xc3\xa4 "},
		{"\"12\xc3\xa4\xc3\xa4\"", "a=12\xc3\xa4... "},
		{"\"1\xf0\x9f\x98\x80\"", "a=1... "},
		{"\"\xf0\x9f\x98\x80\"", "a=\xf0\x9f\x98\x80 "},
		{"\"1\\ud83d\\ude00\"", "a=1... "},
		{"\"12\\u00e4\\n\"", "a=12\xc3\xa4... "},
		{"\"\\n\\n\\n\\n\"", "a=\n\n\n\n "},
		{"\"\\n\\n\\n\\n\\n\\n\\n\"", "a=\n\n\n\n... "},
		{"1234", "a#1234 "},
		{"-1234567", "a#-123... "},
	};
	struct fields fields = fields_of((const char *[]){"", NULL}, 4);
	CLEANUP(free_paths) struct reader_paths *paths = reader_paths_new(fields.of, fields.n);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_read(&fields, str_of(cases[i][0]), cases[i][1], NULL);
	fields.of[0].max_bytes = 0;
	assert_read(&fields, STR("\"\""), "a= ", NULL);
	assert_read(&fields, STR("\"\xc3\xa4\""), "a=... ", NULL);
}

/* In wanted and in unwanted parts of the document. */
static void what_is_not_json_is_refused_with_its_place(void **state)
{
	static const char *const cases[][2] = {
		{"", "byte 1: expected a value, found the end"},
		{"  ", "byte 3: expected a value, found the end"},
		{"{", "byte 2: expected a key in quotes or '}', found the end"},
		{"{\"a\"", "byte 5: expected ':' after a key, found the end"},
		{"{\"a\":1", "byte 7: expected ',' or '}' after a value, found the end"},
		{"[1", "byte 3: expected ',' or ']' after a value, found the end"},
		{"[", "byte 2: expected a value or ']', found the end"},
		{"\"a", "byte 3: expected the rest of a string, found the end"},
		{"{} {}", "byte 4: expected nothing after the document, found '{'"},
		{"1 2", "byte 3: expected nothing after the document, found '2'"},
		{"{\"a\":1 x}", "byte 8: expected ',' or '}' after a value, found 'x'"},
		{"{\"a\":1]", "byte 7: expected ',' or '}' after a value, found ']'"},
		{"[1}", "byte 3: expected ',' or ']' after a value, found '}'"},
		{"[1,]", "byte 4: expected a value, found ']'"},
		{"[\"a\",\"b\",]", "byte 10: expected a value, found ']'"},
		{"[\"a\",\"b\" \"c\"]", "byte 10: expected ',' or ']' after a value, found '\"'"},
		{"[,1]", "byte 2: expected a value or ']', found ','"},
		{"{\"a\":1,}", "byte 8: expected a key in quotes, found '}'"},
		{"{a:1}", "byte 2: expected a key in quotes or '}', found 'a'"},
		{"{\"a\" 1}", "byte 6: expected ':' after a key, found '1'"},
		{"{\"a\":}", "byte 6: expected a value, found '}'"},
		{"\xef\xbb\xbf{}", "byte 1: expected a value, found byte 0xef"},
		{"{}\f", "byte 3: expected nothing after the document, found byte 0x0c"},
		{"nul", "byte 4: expected the rest of true, false or null, found the end"},
		{"nulL", "byte 4: expected the rest of true, false or null, found 'L'"},
		{"truex", "byte 5: expected nothing after the document, found 'x'"},
		{"True", "byte 1: expected a value, found 'T'"},
		{"NaN", "byte 1: expected a value, found 'N'"},
		{"-", "byte 2: expected a digit, found the end"},
		{"-a", "byte 2: expected a digit, found 'a'"},
		{"+1", "byte 1: expected a value, found '+'"},
		{".5", "byte 1: expected a value, found '.'"},
		{"01", "byte 2: expected nothing after the document, found '1'"},
		{"-01", "byte 3: expected nothing after the document, found '1'"},
		{"1.", "byte 3: expected a digit, found the end"},
		{"1.e5", "byte 3: expected a digit, found 'e'"},
		{"1e", "byte 3: expected a digit, found the end"},
		{"1e+", "byte 4: expected a digit, found the end"},
		{"1e+-1", "byte 4: expected a digit, found '-'"},
		{"0x10", "byte 2: expected nothing after the document, found 'x'"},
		{"1.5.5", "byte 4: expected nothing after the document, found '.'"},
		{"'a'", "byte 1: expected a value, found '''"},
		{"// x\n1", "byte 1: expected a value, found '/'"},
		{"\"a\nb\"", "byte 3: byte 0x0a in a string, where only its escape may stand"},
		{"\"a\tb\"", "byte 3: byte 0x09 in a string, where only its escape may stand"},
		{"\"\\x41\"", "byte 3: expected one of \"\\/bfnrtu after a backslash, found 'x'"},
		{"\"\\", "byte 3: expected one of \"\\/bfnrtu after a backslash, found the end"},
		{"\"\\u12g4\"", "byte 6: expected four hex digits after \\u, found 'g'"},
		{"\"\\u12", "byte 6: expected four hex digits after \\u, found the end"},
		{"\"\\ud800\"", "byte 8: expected the other half of a surrogate pair, found '\"'"},
		{"\"\\ud800\\n\"",
		 "byte 9: expected the other half of a surrogate pair, found 'n'"},
		{"\"\\ud800\\u0041\"", "byte 13: half of a surrogate pair in a string"},
		{"\"\\ud800\\ud800\"", "byte 13: half of a surrogate pair in a string"},
		{"\"\\udc00\"", "byte 7: half of a surrogate pair in a string"},
		{"\"\x80\"", "byte 2: no UTF-8 character begins with byte 0x80"},
		{"\"\xc0\xaf\"", "byte 2: no UTF-8 character begins with byte 0xc0"},
		{"\"\xc1\xbf\"", "byte 2: no UTF-8 character begins with byte 0xc1"},
		{"\"\xf5\x80\x80\x80\"", "byte 2: no UTF-8 character begins with byte 0xf5"},
		{"\"\xc3(\"", "byte 3: expected the rest of a UTF-8 character, found '('"},
		{"\"\xc3\"", "byte 3: expected the rest of a UTF-8 character, found '\"'"},
		{"\"\xe0\x9f\xbf\"",
		 "byte 3: expected the rest of a UTF-8 character, found byte 0x9f"},
		{"\"\xed\xa0\x80\"",
		 "byte 3: expected the rest of a UTF-8 character, found byte 0xa0"},
		{"\"\xf0\x8f\xbf\xbf\"",
		 "byte 3: expected the rest of a UTF-8 character, found byte 0x8f"},
		{"\"\xf4\x90\x80\x80\"",
		 "byte 3: expected the rest of a UTF-8 character, found byte 0x90"},
		{"\"\xe2\x82\"", "byte 4: expected the rest of a UTF-8 character, found '\"'"},
		{"\"\xe2\x82", "byte 4: expected the rest of a UTF-8 character, found the end"},
	};
	static const char *const wanted[][2] = {{NULL}, {"", NULL}, {"/a", NULL}, {"/*", NULL}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (size_t j = 0; j < ARRAY_LEN(wanted); j++) {
			struct fields fields = fields_of(wanted[j], 100);

			assert_read(&fields, str_of(cases[i][0]), NULL, cases[i][1]);
		}
	}
}

static void a_zero_byte_is_refused_anywhere(void **state)
{
	struct fields none = {0};

	(void)state;
	assert_read(&none, STR("\0{}"), NULL, "byte 1: expected a value, found byte 0x00");
	assert_read(&none, STR("{}\0"), NULL,
		    "byte 3: expected nothing after the document, found byte 0x00");
	assert_read(&none, STR("\"a\0\""), NULL,
		    "byte 3: byte 0x00 in a string, where only its escape may stand");
	assert_read(&none, STR("\"\\\0\""), NULL,
		    "byte 3: expected one of \"\\/bfnrtu after a backslash, found byte 0x00");
}

static void a_wanted_key_may_stand_once(void **state)
{
	static const struct {
		const char *text, *paths[8], *error;
	} cases[] = {
		{"{\"ref\":1,\"ref\":1}", {"/ref"}, "byte 14: the key \"ref\" a second time"},
		{"{\"ref\":1,\"r\\u0065f\":1}", {"/ref"}, "byte 19: the key \"ref\" a second time"},
		{"{\"a\":{},\"b\":{},\"a\":{}}", {"/a/x"}, "byte 18: the key \"a\" a second time"},
		{"[{\"n\":1},{\"n\":1,\"m\":2,\"n\":1}]",
		 {"/*/n"},
		 "byte 25: the key \"n\" a second time"},
		{"{\"a\":{\"a\":1}}", {"/a/a"}, NULL},
		{"[{\"n\":1},{\"n\":1}]", {"/*/n"}, NULL},
		{"{\"a\":1,\"a\":2,\"b\":{\"b\":1,\"b\":2}}", {"/b", "/c"}, NULL},
		{"{\"REF\":1,\"ref\":2,\"Ref\":3}", {"/ref"}, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fields fields = fields_of(cases[i].paths, 100);

		assert_read(&fields, str_of(cases[i].text), NULL, cases[i].error);
	}
}

static void an_escaped_zero_is_refused_only_in_what_was_asked_for(void **state)
{
	static const struct {
		const char *text, *paths[8], *error;
	} cases[] = {
		{"{\"ref\":\"main\\u0000evil\"}", {"/ref"}, "byte 18: U+0000 in /ref"},
		{"{\"ref\":\"\\u0000\"}", {"/ref/x"}, NULL},
		{"{\"x\":\"\\u0000\",\"ref\":[\"\\u0000\"]}", {"/ref"}, NULL},
		{"{\"ref\\u0000\":1}", {"/ref"}, "byte 11: U+0000 in a key"},
		{"{\"x\":{\"ref\\u0000\":1}}", {"/ref"}, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fields fields = fields_of(cases[i].paths, 100);

		assert_read(&fields, str_of(cases[i].text), NULL, cases[i].error);
	}
}

static void nesting_ends_at_the_limit(void **state)
{
	static const char *const opening[] = {"[", "{\"a\":"};
	static const char *const closing[] = {"]", "}"};

	(void)state;
	for (size_t kind = 0; kind < 2; kind++) {
		for (size_t depth = READER_MAX_DEPTH; depth <= READER_MAX_DEPTH + 1; depth++) {
			CLEANUP(buf_release) struct buf text = BUF_INIT(1024);
			CLEANUP(buf_release) struct buf log = BUF_INIT(1024);
			struct fields fields = fields_of((const char *[]){"", NULL}, 0);
			struct err err = {0};
			int rc = 0;

			for (size_t i = 0; i < depth; i++)
				buf_put_str(&text, str_of(opening[kind]));
			buf_put_char(&text, '1');
			for (size_t i = 0; i < depth; i++)
				buf_put_str(&text, str_of(closing[kind]));
			rc = read_pieces(&log, &fields, buf_str(&text), 0, 0, &err);
			assert_int_equal(rc, depth > READER_MAX_DEPTH ? ERR_INVALID : 0);
			if (rc)
				assert_non_null(strstr(err.msg, "nested deeper than 64"));
		}
	}
}

static void a_path_may_be_as_deep_as_a_document(void **state)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(1024);
	CLEANUP(buf_release) struct buf path = BUF_INIT(1024);
	struct fields fields = {.n = 1};

	(void)state;
	for (size_t i = 0; i < READER_MAX_DEPTH; i++) {
		buf_put_str(&text, STR("{\"k\":"));
		buf_put_str(&path, STR("/k"));
	}
	buf_put_char(&text, '7');
	for (size_t i = 0; i < READER_MAX_DEPTH; i++)
		buf_put_char(&text, '}');
	fields.of[0] = (struct reader_field){path.data, 0, 10};
	assert_read(&fields, buf_str(&text), "a#7 ", NULL);
}

static void huge_texts_pass_in_fixed_memory(void **state)
{
	static char run[100000];
	static const struct {
		char begin[4], filling, end[4];
		const char *log;
	} cases[] = {
		{"1", '7', "", "a#1777... "},
		{"\"", 'x', "\"", "a=xxxx... "},
		{"0.", '0', "", "a#0.00... "},
		{"[", ' ', "]", "a[ aend "},
	};
	struct fields fields = fields_of((const char *[]){"", NULL}, 4);
	CLEANUP(free_paths) struct reader_paths *paths = reader_paths_new(fields.of, fields.n);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_release) struct buf log = BUF_INIT(100);
		CLEANUP(reader_freep) struct reader *reader = reader_new(paths, on_value, &log);

		memset(run, cases[i].filling, sizeof(run));
		assert_int_equal(reader_feed(reader, str_of(cases[i].begin), NULL), 0);
		for (size_t k = 0; k < 20; k++)
			assert_int_equal(reader_feed(reader, str_range(run, sizeof(run)), NULL), 0);
		assert_int_equal(reader_feed(reader, str_of(cases[i].end), NULL), 0);
		assert_int_equal(reader_finish(reader, NULL), 0);
		assert_string_equal(log.data, cases[i].log);
	}
}

/* Every alignment of special bytes to the blocks that the scan reads at once. */
static void nothing_special_hides_in_a_long_string(void **state)
{
	static const char specials[] = {'"', '\\', '\n', '\0', '\x1f', '\x80', '\xff'};
	struct fields fields = fields_of((const char *[]){"", NULL}, 100);

	(void)state;
	for (size_t i = 0; i < sizeof(specials); i++) {
		for (size_t at = 1; at < 70; at++) {
			CLEANUP(buf_release) struct buf log = BUF_INIT(200);
			struct err err = {0};
			char text[72];

			memset(text, 'x', sizeof(text));
			text[0] = text[sizeof(text) - 1] = '"';
			text[at] = specials[i];
			assert_int_equal(read_pieces(&log, &fields, str_range(text, sizeof(text)),
						     0, 0, &err),
					 ERR_INVALID);
		}
	}
}

static void white_space_of_any_length_is_passed(void **state)
{
	static const char *const line_ends[] = {"\n", "\r\n", "\n\t", "\n \n", " "};
	struct fields fields = fields_of((const char *[]){"/*", NULL}, 100);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(line_ends); i++) {
		for (size_t n = 0; n < 40; n++) {
			CLEANUP(buf_release) struct buf text = BUF_INIT(200);

			buf_put_char(&text, '[');
			buf_put_str(&text, str_of(line_ends[i]));
			for (size_t k = 0; k < n; k++)
				buf_put_char(&text, ' ');
			buf_put_str(&text, STR("1"));
			buf_put_str(&text, str_of(line_ends[i]));
			buf_put_str(&text, STR("]"));
			assert_read(&fields, buf_str(&text), "a#1 ", NULL);
		}
	}
}

static void a_reader_may_be_dropped_at_any_place(void **state)
{
	struct fields fields = fields_of((const char *[]){"/a", NULL}, 100);
	CLEANUP(buf_release) struct buf log = BUF_INIT(100);
	CLEANUP(free_paths) struct reader_paths *paths = reader_paths_new(fields.of, fields.n);
	struct reader *reader = reader_new(paths, on_value, &log);

	(void)state;
	assert_int_equal(reader_feed(reader, STR("{\"a\":\"half"), NULL), 0);
	reader_free(reader);
	reader_free(NULL);
}

static void a_type_has_a_name_for_error_texts(void **state)
{
	(void)state;
	assert_string_equal(reader_type_name(READER_NUMBER), "a number");
	assert_string_equal(reader_type_name(READER_END), "an end");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wanted_values_come_in_document_order),
		cmocka_unit_test(unwanted_values_are_passed_over),
		cmocka_unit_test(strings_come_without_escapes),
		cmocka_unit_test(too_long_a_text_is_cut_at_a_character),
		cmocka_unit_test(what_is_not_json_is_refused_with_its_place),
		cmocka_unit_test(a_zero_byte_is_refused_anywhere),
		cmocka_unit_test(a_wanted_key_may_stand_once),
		cmocka_unit_test(an_escaped_zero_is_refused_only_in_what_was_asked_for),
		cmocka_unit_test(nesting_ends_at_the_limit),
		cmocka_unit_test(a_path_may_be_as_deep_as_a_document),
		cmocka_unit_test(huge_texts_pass_in_fixed_memory),
		cmocka_unit_test(nothing_special_hides_in_a_long_string),
		cmocka_unit_test(white_space_of_any_length_is_passed),
		cmocka_unit_test(a_type_has_a_name_for_error_texts),
		cmocka_unit_test(a_reader_may_be_dropped_at_any_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
