#include "doc/json.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static cJSON *parse(const char *text)
{
	struct err err = {0};
	cJSON *doc = NULL;

	assert_int_equal(json_parse(&doc, str_of(text), &err), 0);
	assert_non_null(doc);
	return doc;
}

static void assert_text(const cJSON *doc, const char *expected)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(1024);

	json_format(&text, doc);
	assert_string_equal(text.data, expected);
}

static void exactly_one_document_is_taken(void **state)
{
	static const char *const good[] = {"{}", " [1] \r\n\t", "null", "\"x\"", "1", "true"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		CLEANUP(json_freep) cJSON *doc = parse(good[i]);
	}
}

static void anything_else_is_refused_and_leaves_out_untouched(void **state)
{
	static const char *const bad[] = {"",     " ",       "{",   "{} {}", "{}x",
					  "[1,]", "{\"a\"}", "nul", "{}\f",  "\"a"};
	cJSON *const before = (cJSON *)&before;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = {0};
		cJSON *doc = before;

		assert_int_equal(json_parse(&doc, str_of(bad[i]), &err), ERR_INVALID);
		assert_ptr_equal(doc, before);
		assert_int_equal(err.code, ERR_INVALID);
		assert_true(strlen(err.msg) > 0);
	}
}

static void the_text_ends_where_its_length_says(void **state)
{
	CLEANUP(json_freep) cJSON *doc = NULL;

	(void)state;
	assert_int_equal(json_parse(&doc, str_range("12345", 2), NULL), 0);
	assert_int_equal((int)doc->valuedouble, 12);
	assert_int_equal(json_parse(&doc, str_range("{}\0", 3), NULL), ERR_INVALID);
}

static void deep_nesting_is_refused_not_followed(void **state)
{
	char text[5000];

	(void)state;
	memset(text, '[', sizeof(text));
	assert_int_equal(json_parse(&(cJSON *){NULL}, str_range(text, sizeof(text)), NULL),
			 ERR_INVALID);
}

static void members_are_found_by_path(void **state)
{
	CLEANUP(json_freep)
	cJSON *doc = parse("{\"metadata\":{\"name\":\"cart\",\"labels\":{\"a/b\":\"c\"}},"
			   "\"list\":[{\"x\":1}],\"Spec\":{},\"n\":null}");

	(void)state;
	assert_string_equal(json_str_at(doc, "metadata/name"), "cart");
	assert_null(json_at(doc, "metadata/nam"));
	assert_null(json_at(doc, "metadata/names"));
	assert_null(json_at(doc, "metadata/name/x"));
	assert_null(json_at(doc, "list/x"));
	assert_null(json_at(doc, "spec"));
	assert_non_null(json_at(doc, "Spec"));
	assert_null(json_at(NULL, "metadata"));
	assert_true(cJSON_IsNull(json_at(doc, "n")));
	assert_string_equal(json_member(json_at(doc, "metadata/labels"), "a/b")->valuestring, "c");
	assert_null(json_member(NULL, "a"));
	assert_null(json_member(json_at(doc, "list"), "x"));
}

static void no_type_is_trusted(void **state)
{
	CLEANUP(json_freep)
	cJSON *doc = parse("{\"s\":\"7\",\"i\":7,\"b\":true,\"o\":{},\"n\":null}");

	(void)state;
	assert_string_equal(json_str_at(doc, "s"), "7");
	assert_null(json_str_at(doc, "i"));
	assert_null(json_str_at(doc, "n"));
	assert_null(json_str_at(doc, "o"));
	assert_int_equal(json_int_at(doc, "i", -1), 7);
	assert_int_equal(json_int_at(doc, "s", -1), -1);
	assert_int_equal(json_int_at(doc, "b", -1), -1);
	assert_int_equal(json_int_at(doc, "missing", -1), -1);
	assert_true(json_bool_at(doc, "b", false));
	assert_true(json_bool_at(doc, "i", true));
	assert_false(json_bool_at(doc, "s", false));
}

static void an_element_is_found_by_its_text(void **state)
{
	CLEANUP(json_freep)
	cJSON *list = parse("[5,null,{\"a\":{\"b\":1}},{\"a\":{\"b\":\"x\"},\"n\":1},"
			    "{\"a\":{\"b\":\"x\"},\"n\":2}]");

	(void)state;
	assert_int_equal(json_int_at(json_find(list, "a/b", "x"), "n", 0), 1);
	assert_null(json_find(list, "a/b", "y"));
	assert_null(json_find(list, "a", "x"));
	assert_null(json_find(NULL, "a/b", "x"));
}

static void only_exact_integers_are_integers(void **state)
{
	static const struct {
		const char *text;
		int64_t value;
	} cases[] = {
		{"{\"v\":0}", 0},
		{"{\"v\":-3}", -3},
		{"{\"v\":2e3}", 2000},
		{"{\"v\":9007199254740991}", 9007199254740991},
		{"{\"v\":-9007199254740991}", -9007199254740991},
		{"{\"v\":9007199254740993}", -1},
		{"{\"v\":-9223372036854775808}", -1},
		{"{\"v\":1.5}", -1},
		{"{\"v\":1e999}", -1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(json_freep) cJSON *doc = parse(cases[i].text);

		assert_int_equal(json_int_at(doc, "v", -1), cases[i].value);
	}
}

static void a_document_is_built_from_scratch(void **state)
{
	CLEANUP(json_freep) cJSON *doc = json_new_object();
	cJSON *metadata = json_put_object(doc, "metadata");
	cJSON *list = json_put_array(doc, "list");

	(void)state;
	(void)json_put_str(metadata, "name", "a\"b\n");
	(void)json_put_text(metadata, "uid", str_range("1234", 2));
	(void)json_put_text(metadata, "empty", STR(""));
	assert_null(json_put_str(metadata, "none", NULL));
	assert_null(json_put_text(metadata, "none", (struct str){0}));
	(void)json_append(list, json_copy(metadata));
	(void)json_put_bool(doc, "yes", true);
	(void)json_put(doc, "more", json_new_array());
	assert_text(doc, "{\"metadata\":{\"name\":\"a\\\"b\\n\",\"uid\":\"12\",\"empty\":\"\"},"
			 "\"list\":[{\"name\":\"a\\\"b\\n\",\"uid\":\"12\",\"empty\":\"\"}],"
			 "\"yes\":true,\"more\":[]}");
	assert_null(json_copy(NULL));
}

static void a_copy_leaves_its_key_behind(void **state)
{
	CLEANUP(json_freep) cJSON *doc = parse("{\"a\":{\"b\":1}}");
	CLEANUP(json_freep) cJSON *copy = json_copy(json_at(doc, "a"));

	(void)state;
	assert_null(copy->string);
	assert_text(copy, "{\"b\":1}");
}

/* Go's decoder takes no exponent for an integer. */
static void integers_are_written_in_full(void **state)
{
	static const int64_t values[] = {
		0, -1, 1000000000000000, 999999999999999, INT64_MAX, INT64_MIN, 100000};
	CLEANUP(json_freep) cJSON *doc = json_new_object();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(values); i++)
		(void)json_put_int(doc, "v", values[i]);
	assert_text(doc, "{\"v\":0,\"v\":-1,\"v\":1000000000000000,\"v\":999999999999999,"
			 "\"v\":9223372036854775807,\"v\":-9223372036854775808,\"v\":100000}");
}

static void text_over_the_limit_of_the_buffer_is_noticed(void **state)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(4);
	CLEANUP(json_freep) cJSON *doc = parse("[1,2,3]");

	(void)state;
	json_format(&text, doc);
	assert_true(text.overflow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exactly_one_document_is_taken),
		cmocka_unit_test(anything_else_is_refused_and_leaves_out_untouched),
		cmocka_unit_test(the_text_ends_where_its_length_says),
		cmocka_unit_test(deep_nesting_is_refused_not_followed),
		cmocka_unit_test(members_are_found_by_path),
		cmocka_unit_test(no_type_is_trusted),
		cmocka_unit_test(an_element_is_found_by_its_text),
		cmocka_unit_test(only_exact_integers_are_integers),
		cmocka_unit_test(a_document_is_built_from_scratch),
		cmocka_unit_test(a_copy_leaves_its_key_behind),
		cmocka_unit_test(integers_are_written_in_full),
		cmocka_unit_test(text_over_the_limit_of_the_buffer_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
