#include "hook/form.h"

#include "base/buf.h"
#include "base/mem.h"
#include "hook/hook.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void on_payload(void *arg, struct str piece)
{
	buf_put_str(arg, piece);
}

/* Feeds BODY in pieces of PIECE bytes. OUT is the payload or the error. */
static void decode(struct buf *out, struct str body, size_t piece)
{
	struct hook_form form;
	struct err err = {0};

	hook_form_init(&form, on_payload, out);
	for (size_t at = 0; at < body.n; at += piece)
		hook_form_feed(&form,
			       str_range(body.p + at, body.n - at < piece ? body.n - at : piece));
	if (!hook_form_finish(&form, &err))
		return;
	buf_clear(out);
	buf_printf(out, "%s", err.msg);
}

#define NO_PAYLOAD "the form has no field \"payload\""
#define TWO        "the form has two fields \"payload\", expected one"
#define BAD_ESCAPE "the form has a \"%\" without two hex digits after it"

static void forms_are_decoded(void **state)
{
	static const struct {
		const char *body, *expected;
	} cases[] = {
		{"payload=abc", "abc"},
		{"payload=", ""},
		{"payload", NO_PAYLOAD},
		{"", NO_PAYLOAD},
		{"&&&", NO_PAYLOAD},
		{"=payload", NO_PAYLOAD},
		{"Payload=abc", NO_PAYLOAD},
		{"payloads=abc&payloa=d&xpayload=e", NO_PAYLOAD},
		{"a=1&payload=abc&b=2", "abc"},
		{"a=payload=1&payload=abc", "abc"},
		{"payload=a=b=c", "a=b=c"},
		{"payload=a+b%20c%2B", "a b c+"},
		{"payload=%7b%7B%C3%bc", "{{\xc3\xbc"},
		{"%70ay%6Coad=abc", "abc"},
		{"pay+load=abc", NO_PAYLOAD},
		{"payload%3D=abc", NO_PAYLOAD},
		{"payload=abc&payload=abc", TWO},
		{"payload=abc&%70ayload=", TWO},
		{"payload=%", BAD_ESCAPE},
		{"payload=%7", BAD_ESCAPE},
		{"payload=%7g", BAD_ESCAPE},
		{"payload=%g7", BAD_ESCAPE},
		{"payload=%%37", BAD_ESCAPE},
		{"payload=abc&other=%", BAD_ESCAPE},
		{"%=1&payload=abc", BAD_ESCAPE},
		{"payload=%&a=1", BAD_ESCAPE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t piece = 1; piece <= 40; piece++) {
			CLEANUP(buf_release) struct buf out = BUF_INIT(4096);

			decode(&out, str_of(cases[i].body), piece);
			if (!str_eq(buf_str(&out), str_of(cases[i].expected)))
				fail_msg("%s: %s", cases[i].body, out.data);
		}
}

static void an_escaped_nul_is_a_byte_like_others(void **state)
{
	CLEANUP(buf_release) struct buf out = BUF_INIT(4096);

	(void)state;
	decode(&out, STR("payload=a%00b"), 3);
	assert_int_equal(out.len, 3);
	assert_memory_equal(out.data, "a\0b", 3);
}

static void long_payloads_come_whole_and_are_then_too_long(void **state)
{
	CLEANUP(mem_free) char *body = mem_new(HOOK_MAX_FORM_BYTES + 1, 1);
	CLEANUP(buf_release) struct buf out = BUF_INIT(2 * HOOK_MAX_FORM_BYTES);
	struct hook_form form;
	struct err err = {0};

	(void)state;
	memset(body, 'x', HOOK_MAX_FORM_BYTES + 1);
	memcpy(body, "payload=", 8);
	decode(&out, str_range(body, HOOK_MAX_FORM_BYTES), 10000);
	assert_int_equal(out.len, HOOK_MAX_FORM_BYTES - 8);
	hook_form_init(&form, on_payload, &out);
	hook_form_feed(&form, str_range(body, HOOK_MAX_FORM_BYTES + 1));
	assert_int_equal(out.len, 2 * HOOK_MAX_FORM_BYTES - 15);
	assert_int_equal(hook_form_finish(&form, &err), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms_are_decoded),
		cmocka_unit_test(an_escaped_nul_is_a_byte_like_others),
		cmocka_unit_test(long_payloads_come_whole_and_are_then_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
