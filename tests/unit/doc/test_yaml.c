#include "doc/yaml.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define INVALID "invalid"
#define LIMIT   "limit"

/* The JSON of TEXT, or INVALID; allocated. */
static char *to_json(struct str text, struct err *err)
{
	CLEANUP(buf_release) struct buf json = BUF_INIT(1024 * 1024);
	CLEANUP(json_freep) cJSON *doc = NULL;
	int rc = yaml_parse(&doc, text, &yaml_limits_payload, err);

	if (rc) {
		assert_null(doc);
		assert_int_equal(rc, err->code);
		assert_true(rc == ERR_INVALID || rc == ERR_LIMIT);
		assert_true(strlen(err->msg) > 0);
		return mem_strdup(rc == ERR_INVALID ? INVALID : LIMIT);
	}
	json_format(&json, doc);
	return buf_take(&json);
}

static void assert_json(const char *text, const char *expected)
{
	struct err err = {0};
	CLEANUP(mem_free) char *json = to_json(str_of(text), &err);

	if (strcmp(json, expected) != 0)
		print_error("%s gives %s (%s), expected %s\n", text, json, err.msg, expected);
	assert_string_equal(json, expected);
}

static void assert_all(const char *const (*cases)[2], size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_json(cases[i][0], cases[i][1]);
}

/* Each case: a scalar, and the JSON that sigs.k8s.io/yaml 1.6 makes of it. */
static void scalars_mean_what_kubernetes_takes_them_for(void **state)
{
	static const char *const cases[][2] = {
		{"y", "true"},
		{"Y", "true"},
		{"yes", "true"},
		{"Yes", "true"},
		{"YES", "true"},
		{"true", "true"},
		{"True", "true"},
		{"TRUE", "true"},
		{"on", "true"},
		{"On", "true"},
		{"ON", "true"},
		{"n", "false"},
		{"N", "false"},
		{"no", "false"},
		{"No", "false"},
		{"NO", "false"},
		{"false", "false"},
		{"False", "false"},
		{"FALSE", "false"},
		{"off", "false"},
		{"Off", "false"},
		{"OFF", "false"},
		{"tRue", "\"tRue\""},
		{"yES", "\"yES\""},
		{"yEs", "\"yEs\""},
		{"oN", "\"oN\""},
		{"~", "null"},
		{"null", "null"},
		{"Null", "null"},
		{"NULL", "null"},
		{"nULL", "\"nULL\""},
		{"", "null"},
		{"\"\"", "\"\""},
		{"'true'", "\"true\""},
		{"\"12\"", "\"12\""},
		{"'~'", "\"~\""},
		{"0", "0"},
		{"-0", "0"},
		{"12", "12"},
		{"+5", "5"},
		{"-5", "-5"},
		{"014", "12"},
		{"0o14", "12"},
		{"0O14", "12"},
		{"0o8", "\"0o8\""},
		{"08", "8"},
		{"-08", "-8"},
		{"0x1F", "31"},
		{"-0x1f", "-31"},
		{"0x", "\"0x\""},
		{"0xg", "\"0xg\""},
		{"0b11", "3"},
		{"0b12", "\"0b12\""},
		{"1_000", "1000"},
		{"1__0_", "10"},
		{"_1", "\"_1\""},
		{"0x_1F", "31"},
		{"9007199254740993", "9007199254740993"},
		{"-9223372036854775808", "-9223372036854775808"},
		{"9223372036854775808", "9223372036854775808"},
		{"18446744073709551615", "18446744073709551615"},
		{"0xffffffffffffffff", "18446744073709551615"},
		{"1.5", "1.5"},
		{"1.", "1"},
		{".5", "0.5"},
		{"-.5", "-0.5"},
		{".5_0", "0.5"},
		{".5_", "\".5_\""},
		{"1e3", "1000"},
		{"1E+3", "1000"},
		{"1e-2", "0.01"},
		{"1e", "\"1e\""},
		{"1e+", "\"1e+\""},
		{"1e400", "\"1e400\""},
		{"1e-400", "0"},
		{".", "\".\""},
		{"+", "\"+\""},
		{".e5", "\".e5\""},
		{"1.2.3", "\"1.2.3\""},
		{"0x1p4", "\"0x1p4\""},
		{".inf", INVALID},
		{"-.Inf", INVALID},
		{"+.INF", INVALID},
		{".nan", INVALID},
		{".NaN", INVALID},
		{".iNF", "\".iNF\""},
		{"+.nan", "\"+.nan\""},
		{"NaN", "\"NaN\""},
		{"Inf", "\"Inf\""},
		{"infinity", "\"infinity\""},
		{"-9223372036854775809.5", "-9.2233720368547758e+18"},
		{"+18446744073709551615", "1.8446744073709552e+19"},
		{"2001-12-14", "\"2001-12-14\""},
		{"2001-12-14t21:59:43.10-05:00", "\"2001-12-14t21:59:43.10-05:00\""},
		{"12:30:45", "\"12:30:45\""},
		{"190:20:30", "\"190:20:30\""},
		{"=", "\"=\""},
		{"<<", "\"<<\""},
		{"1234567", "1234567"},
		{"3f2a1b0", "\"3f2a1b0\""},
		{"a b", "\"a b\""},
		{"|\n a\n b\n", "\"a\\nb\\n\""},
		{">-\n a\n b\n", "\"a b\""},
		{"\"\\u00e4\\x41\"", "\"\xc3\xa4"
				     "A\""},
	};

	(void)state;
	assert_all(cases, ARRAY_LEN(cases));
}

static void a_tag_says_what_a_scalar_is(void **state)
{
	static const char *const cases[][2] = {
		{"!!str 12", "\"12\""},
		{"!!str ~", "\"~\""},
		{"!!int \"12\"", "12"},
		{"!!int abc", INVALID},
		{"!!int 1.5", INVALID},
		{"!!int", INVALID},
		{"!!float 1", "1"},
		{"!!float 18446744073709551615", INVALID},
		{"!!float .inf", INVALID},
		{"!!bool \"yes\"", "true"},
		{"!!bool 1", INVALID},
		{"!!null \"\"", "null"},
		{"!!null x", INVALID},
		{"!foo 12", "\"12\""},
		{"!!python/object:os.system x", "\"x\""},
		{"!<tag:yaml.org,2002:int> 3", "3"},
		{"!!binary Zm9v", INVALID},
		{"!!set {a, b}", "{\"a\":null,\"b\":null}"},
		{"!!str [a]", "[\"a\"]"},
	};

	(void)state;
	assert_all(cases, ARRAY_LEN(cases));
}

static void keys_become_strings(void **state)
{
	static const char *const cases[][2] = {
		{"1: x", "{\"1\":\"x\"}"},
		{"0x10: x", "{\"16\":\"x\"}"},
		{"true: x", "{\"true\":\"x\"}"},
		{"no: x", "{\"false\":\"x\"}"},
		{"1.5: x", INVALID},
		{"0.1: x", INVALID},
		{"-0.0: x", "{\"-0\":\"x\"}"},
		{"0.12345679: x", INVALID},
		{"8.0000005e-10: x", INVALID},
		{"0.00001: x", INVALID},
		{"123456.5: x", INVALID},
		{"1234567.5: x", INVALID},
		{"1e300: x", INVALID},
		{"-.INF: x", INVALID},
		{".nan: x", INVALID},
		{"9223372036854775807: x", "{\"9223372036854775807\":\"x\"}"},
		{"18446744073709551615: x", INVALID},
		{"\"\": x", "{\"\":\"x\"}"},
		{"~: x", INVALID},
		{"null: x", INVALID},
		{": x", INVALID},
		{"? [a]\n: x", INVALID},
		{"? {a: b}\n: x", INVALID},
		{"a: 1\nb: 2\na: 3", "{\"b\":2,\"a\":3}"},
		{"{a: 1, A: 2}", "{\"a\":1,\"A\":2}"},
		{"1: a\n\"1\": b", "{\"1\":\"b\"}"},
		{"[{a: {x: 1, x: 2}, a: {x: 3, x: 4}}]", "[{\"a\":{\"x\":4}}]"},
	};

	(void)state;
	assert_all(cases, ARRAY_LEN(cases));
}

static void aliases_repeat_what_they_name(void **state)
{
	static const char *const cases[][2] = {
		{"a: &x [1, 2]\nb: *x", "{\"a\":[1,2],\"b\":[1,2]}"},
		{"a: &x 1\n*x : 2", "{\"a\":1,\"1\":2}"},
		{"&x a: 1\nb: *x", "{\"a\":1,\"b\":\"a\"}"},
		{"a: &x 1\nb: &x 2\nc: *x", "{\"a\":1,\"b\":2,\"c\":2}"},
		{"a: &x {b: &y 1, b: 2}\nc: *x\nd: *y",
		 "{\"a\":{\"b\":2},\"c\":{\"b\":2},\"d\":1}"},
		{"a: &x [1]\na: 2\nb: *x", "{\"a\":2,\"b\":[1]}"},
		{"a: *x", INVALID},
		{"*x", INVALID},
		{"&x [*x]", INVALID},
		{"&x {a: [*x]}", INVALID},
		{"&x [&x [*x]]", INVALID},
		{"a: &x [1]\n*x : 2", INVALID},
		{"&x .inf: 1\nb: *x", INVALID},
	};

	(void)state;
	assert_all(cases, ARRAY_LEN(cases));
}

/* In document order: what comes later wins, as in the library that Kubernetes uses. */
static void merge_keys_merge(void **state)
{
	static const char *const cases[][2] = {
		{"<<: {a: 1}\nb: 2", "{\"a\":1,\"b\":2}"},
		{"x: &x {a: 1}\nz:\n  <<: *x\n  b: 2", "{\"x\":{\"a\":1},\"z\":{\"a\":1,\"b\":2}}"},
		{"<<: {a: 1}\na: 2", "{\"a\":2}"},
		{"a: 2\n<<: {a: 1}", "{\"a\":1}"},
		{"<<: [{a: 1}, {a: 2, b: 3}]", "{\"b\":3,\"a\":1}"},
		{"x: &x {a: 1}\nz:\n  <<: [*x, {c: 1}]",
		 "{\"x\":{\"a\":1},\"z\":{\"c\":1,\"a\":1}}"},
		{"<<: &x {a: 1}\nb: *x", "{\"a\":1,\"b\":{\"a\":1}}"},
		{"<<: {<<: {a: 1}, b: 2}", "{\"a\":1,\"b\":2}"},
		{"<<: []", "{}"},
		{"\"<<\": {a: 1}", "{\"<<\":{\"a\":1}}"},
		{"!!merge \"<<\": {a: 1}", "{\"a\":1}"},
		{"<<: 1", INVALID},
		{"<<: null", INVALID},
		{"<<:", INVALID},
		{"<<: [1]", INVALID},
		{"<<: [[{a: 1}]]", INVALID},
		{"x: &x [{a: 1}]\nz:\n  <<: *x", INVALID},
		{"&x {<<: *x}", INVALID},
	};

	(void)state;
	assert_all(cases, ARRAY_LEN(cases));
}

static void the_first_document_is_read(void **state)
{
	static const char *const cases[][2] = {
		{"a: 1\n---\nb: 2\n", "{\"a\":1}"},
		{"---\na: 1\n...\n%%% [", "{\"a\":1}"},
		{"---\n...\nx", "null"},
		{"# nothing\n", "null"},
		{"\xef\xbb\xbf"
		 "a: 1",
		 "{\"a\":1}"},
		{"%YAML 1.1\n---\na", "\"a\""},
		{"%YAML 1.2\n---\na", INVALID},
		{"%TAG !e! tag:yaml.org,2002:\n---\n!e!int \"3\"", "3"},
		{"{\"a\": [1, 2.5, null, true, \"\\n\"]}", "{\"a\":[1,2.5,null,true,\"\\n\"]}"},
	};

	(void)state;
	assert_all(cases, ARRAY_LEN(cases));
}

static void errors_name_the_place_and_quote_nothing(void **state)
{
	static const char *const cases[][2] = {
		{"a: 1\nb: c: d\n",
		 "line 2, column 5: mapping values are not allowed in this context"},
		{"a:\n\t- b", "line 2, column 1: found character that cannot start any token"},
		{"secret: !!int hunter2",
		 "line 1, column 9: a value that is not what its tag says"},
		{"a: *hunter2", "line 1, column 4: an alias of an anchor that is not there"},
		{"a: \"x\\0y\"", "line 1, column 4: U+0000 in a string"},
		{"a: \x01", "byte 4: control characters are not allowed"},
		{"a: \x80", "not UTF-8"},
		{"\xff\xfe"
		 "a",
		 "not UTF-8"},
		{"a: 1\n? [b]\n: c", "line 2, column 3: a key that is a collection"},
		{"a: .inf", "line 1, column 4: a number that JSON cannot have"},
		{"%YAML 1.2\n---\na", "line 1, column 1: YAML 1.2, expected 1.1"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		CLEANUP(mem_free) char *json = to_json(str_of(cases[i][0]), &err);

		assert_string_equal(json, INVALID);
		assert_string_equal(err.msg, cases[i][1]);
	}
}

static void a_zero_byte_is_refused(void **state)
{
	struct err err = {0};
	CLEANUP(mem_free) char *json = to_json(STR("a: x\0y"), &err);

	(void)state;
	assert_string_equal(json, INVALID);
}

/* BEGIN, N times UNIT, END. */
static void repeat(struct buf *out, const char *begin, const char *unit, size_t n, const char *end)
{
	buf_put_str(out, str_of(begin));
	for (size_t i = 0; i < n; i++)
		buf_put_str(out, str_of(unit));
	buf_put_str(out, str_of(end));
}

static void what_fits_the_limits_is_read_and_one_more_is_not(void **state)
{
	static const struct {
		const char *begin, *unit, *end, *error;
		size_t n;
	} cases[] = {
		{"", "[", "]]]]]]]]]]]]]]]]", "line 1, column 17: nested deeper than 16", 16},
		{"", "- ", "x", "line 1, column 33: nested deeper than 16", 16},
		{"[", "a,", "]", "line 1, column 8192: more than 4096 keys and values", 4095},
		{"[", "[],", "]", "line 1, column 12287: more than 4096 keys and values", 4095},
		{"- &a [", "x,", "]\n- *a\n- *a\n- *a\n- *a\n- *a\n- *a\n",
		 "line 7, column 3: more than 4096 keys and values", 584},
		{"- &a {", "k: v,",
		 "}\n- <<: *a\n- <<: *a\n- <<: *a\n- <<: *a\n- <<: *a\n- <<: *a\n",
		 "line 7, column 7: more than 4096 keys and values", 291},
		{"- &a x\n", "- *a\n", "", "line 18, column 3: more than 16 aliases", 16},
		{"\"", "x", "\"", "more than 65536 bytes", 65534},
		{"", "%TAG !a! b\n", "", "more than 32 %TAG directives", 33},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (size_t more = 0; more < 2; more++) {
			CLEANUP(buf_release) struct buf text = BUF_INIT(100000);
			CLEANUP(mem_free) char *json = NULL;
			struct err err = {0};

			/* Two %TAG directives for one handle are an error in themselves. */
			if (cases[i].unit[0] == '%' && !more)
				continue;
			repeat(&text, cases[i].begin, cases[i].unit, cases[i].n + more,
			       cases[i].end);
			json = to_json(buf_str(&text), &err);
			assert_string_equal(err.msg, more ? cases[i].error : "");
			if (more)
				assert_string_equal(json, LIMIT);
		}
	}
}

static void aliases_do_not_multiply_past_the_limits(void **state)
{
	static const char *const cases[] = {
		"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\n"
		"d: &d [*c,*c,*c]\ne: [*d,*d,*d]",
		"a: &a [[[[[[[[[[x]]]]]]]]]]\nb: [[[[[[[*a]]]]]]]",
		"a: &a {b: [[[[[[[[x]]]]]]]]}\nb: [[[[[[[{<<: *a}]]]]]]]",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		CLEANUP(mem_free) char *json = to_json(str_of(cases[i]), &err);

		assert_string_equal(json, LIMIT);
	}
}

static double seconds(void)
{
	struct timespec now = {0};

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* 5 ms is the limit; the sanitizers and a busy machine get twenty times that. Unbounded, each takes
 * far longer. */
static void nothing_hostile_takes_long(void **state)
{
	static const char *const units[] = {
		"[",   "{", "[{",   "- ",           "? ",     "{a: ",   "*a ",
		"&a ", "!", "a:\n", "%TAG !a! b\n", "a: b\n", "- *a\n", ":",
		"\"",  "'", "\n",   "[],",          "a,",     "{},",    "? a\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		CLEANUP(buf_release) struct buf text = BUF_INIT(100000);
		CLEANUP(mem_free) char *json = NULL;
		struct err err = {0};
		double begin = 0;

		repeat(&text, "", units[i], 65536 / strlen(units[i]), "");
		begin = seconds();
		json = to_json(buf_str(&text), &err);
		assert_true(seconds() - begin < 0.1);
	}
}

static void what_is_left_out_is_told(void **state)
{
	static const struct {
		const char *text;
		struct yaml_left_out left_out;
	} cases[] = {
		{"", {0}},
		{"a: 1\n", {0}},
		{"---\na: 1\n...\n# no more\n", {0}},
		{"a: !!str 1\nb: !!seq [! x, x]\nc: !!map {}\n", {0}},
		{"a: 1\n---\nb: 2\n", {.documents = true}},
		{"a: 1\n---\n", {.documents = true}},
		{"a: 1\n---\nb: [", {.documents = true}},
		{"---\na: 1\n...\n%%% [", {.documents = true}},
		{"a: !!python/object:os.system {}", {.tags = true}},
		{"a: !own [1]", {.tags = true}},
		{"a: !!set x\n---\n", {.documents = true, .tags = true}},
		{"a: 1\n---\nb: !own x", {.documents = true}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(json_freep) cJSON *doc = NULL;
		struct yaml_left_out left_out = {0};
		struct err err = {0};

		assert_int_equal(yaml_parse_telling(&doc, &left_out, str_of(cases[i].text),
						    &yaml_limits_payload, &err),
				 0);
		if (left_out.documents != cases[i].left_out.documents ||
		    left_out.tags != cases[i].left_out.tags)
			fail_msg("%s: documents %d, tags %d", cases[i].text, left_out.documents,
				 left_out.tags);
	}
}

static void a_large_file_of_one_mapping_is_read(void **state)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(1024 * 1024);
	CLEANUP(json_freep) cJSON *doc = NULL;
	struct err err = {0};

	(void)state;
	for (int i = 0; i < 40000; i++)
		buf_printf(&text, "k%d: v\n", i % 39999);
	assert_int_equal(yaml_parse(&doc, buf_str(&text), &yaml_limits_file, &err), 0);
	assert_int_equal(cJSON_GetArraySize(doc), 39999);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scalars_mean_what_kubernetes_takes_them_for),
		cmocka_unit_test(a_tag_says_what_a_scalar_is),
		cmocka_unit_test(keys_become_strings),
		cmocka_unit_test(aliases_repeat_what_they_name),
		cmocka_unit_test(merge_keys_merge),
		cmocka_unit_test(the_first_document_is_read),
		cmocka_unit_test(errors_name_the_place_and_quote_nothing),
		cmocka_unit_test(a_zero_byte_is_refused),
		cmocka_unit_test(what_fits_the_limits_is_read_and_one_more_is_not),
		cmocka_unit_test(aliases_do_not_multiply_past_the_limits),
		cmocka_unit_test(nothing_hostile_takes_long),
		cmocka_unit_test(what_is_left_out_is_told),
		cmocka_unit_test(a_large_file_of_one_mapping_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
