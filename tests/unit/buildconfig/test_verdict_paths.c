#include "decisions.h"

static void paths_are_compared_where_all_are_known(void **state)
{
	static const struct decision table[] = {
		{REF("main"),
		 ANN("paths", "src/**"),
		 {.ref = "main", .files = "src/a.c,"},
		 REASON_NONE,
		 NULL},
		{REF("main"),
		 ANN("paths", "src/**"),
		 {.ref = "main", .files = "README.md,docs/a,"},
		 REASON_PATHS_UNCHANGED,
		 "src/** (annotation buildhook.io/paths)"},
		{REF("main"),
		 ANN("paths", "src/**"),
		 {.ref = "main", .files = "README.md,src/a.c,"},
		 REASON_NONE,
		 NULL},
		{REF("main"), ANN("paths", "src/**"), {.ref = "main"}, REASON_NONE, NULL},
		{REF("main"),
		 ANN("paths", "src/**"),
		 {.ref = "main", .files = ""},
		 REASON_NONE,
		 NULL},
		{REF("main"),
		 ANN("paths", "src/**"),
		 {.ref = "main", .files = "a,", .lists_not_all_files = true},
		 REASON_NONE,
		 NULL},
		{REF("main"),
		 ANN("paths", "!docs/**"),
		 {.ref = "main", .files = "docs/a,docs/b,"},
		 REASON_PATHS_UNCHANGED,
		 NULL},
		{REF("main"),
		 ANN("paths", "!docs/**"),
		 {.ref = "main", .files = "docs/a,x,"},
		 REASON_NONE,
		 NULL},
		{REF("main"),
		 ANN("paths", "src/**,!**/*.md"),
		 {.ref = "main", .files = "src/a.md,"},
		 REASON_PATHS_UNCHANGED,
		 NULL},
		{REF("main"),
		 ANN("paths", "src/**,!**/*.md"),
		 {.ref = "main", .files = "src/a.md,src/a.c,"},
		 REASON_NONE,
		 NULL},
		{REF("main"),
		 ANN("paths", "src/**,!src/gen/**,src/gen/keep"),
		 {.ref = "main", .files = "src/gen/keep,"},
		 REASON_NONE,
		 NULL},
		{REF("main"),
		 ANN("paths", "src"),
		 {.ref = "main", .files = "src/a/b,"},
		 REASON_NONE,
		 NULL},
		{REF("main"),
		 ANN("paths", "src/"),
		 {.ref = "main", .files = "src/a/b,"},
		 REASON_NONE,
		 NULL},
		{REF("main"),
		 ANN("paths", "/src/**"),
		 {.ref = "main", .files = "src/a/b,"},
		 REASON_NONE,
		 NULL},
		{REF("main"),
		 ANN("paths", "src"),
		 {.ref = "main", .files = "srcs/a,"},
		 REASON_PATHS_UNCHANGED,
		 NULL},
		{REF("main"),
		 ANN("paths", "docs/*"),
		 {.ref = "main", .files = "docs/a/b,"},
		 REASON_PATHS_UNCHANGED,
		 NULL},
		{REF("main"),
		 ANN("paths", "\xC3\xA4/*"),
		 {.ref = "main", .files = "\xC3\xA4/b,"},
		 REASON_NONE,
		 NULL},
	};

	(void)state;
	check(table, ARRAY_LEN(table));
}

static void context_dir_stands_for_the_folder_that_is_built(void **state)
{
#define IN(dir) "'source':{'contextDir':'" dir "','git':{'uri':'u','ref':'main'}}"
	static const struct decision table[] = {
		{IN("app"),
		 ANN("paths", "contextDir"),
		 {.ref = "main", .files = "app/a,"},
		 REASON_NONE,
		 NULL},
		{IN("app"),
		 ANN("paths", "contextDir"),
		 {.ref = "main", .files = "apple/a,lib/b,"},
		 REASON_PATHS_UNCHANGED,
		 NULL},
		{IN("/app/"),
		 ANN("paths", "contextDir"),
		 {.ref = "main", .files = "app/x/y,"},
		 REASON_NONE,
		 NULL},
		{IN("./app"),
		 ANN("paths", "contextDir"),
		 {.ref = "main", .files = "app/x/y,"},
		 REASON_NONE,
		 NULL},
		{IN("."),
		 ANN("paths", "contextDir"),
		 {.ref = "main", .files = "x,"},
		 REASON_NONE,
		 NULL},
		{IN("/"),
		 ANN("paths", "contextDir"),
		 {.ref = "main", .files = "x,"},
		 REASON_NONE,
		 NULL},
		{REF("main"),
		 ANN("paths", "contextDir"),
		 {.ref = "main", .files = "x,"},
		 REASON_NONE,
		 NULL},
		{IN("a*"),
		 ANN("paths", "contextDir"),
		 {.ref = "main", .files = "abc/x,"},
		 REASON_PATHS_UNCHANGED,
		 NULL},
		{IN("app"),
		 ANN("paths", "contextDir,lib/**"),
		 {.ref = "main", .files = "lib/x,"},
		 REASON_NONE,
		 NULL},
		{IN("app"),
		 ANN("paths", "contextDir,!**/*.md"),
		 {.ref = "main", .files = "app/x.md,"},
		 REASON_PATHS_UNCHANGED,
		 NULL},
	};

	(void)state;
	check(table, ARRAY_LEN(table));
}

static void so_many_files_that_comparing_takes_long_build(void **state)
{
	CLEANUP(buf_release) struct buf files = BUF_INIT(64 * 1024);
	CLEANUP(buf_release) struct buf annotation = BUF_INIT(8192);
	struct push push = {.ref = "main"};
	struct verdict verdict;

	(void)state;
	while (files.len + 2 < files.limit)
		buf_put_str(&files, STR("a,"));
	buf_put_str(&annotation, STR("'buildhook.io/paths':'"));
	for (int i = 0; i < 1000; i++)
		buf_put_str(&annotation, STR("b*,"));
	buf_put_char(&annotation, '\'');
	BC bc = make_bc(REF("main"), annotation.data);
	push.files = files.data;
	decide(&verdict, bc, &push, NULL);
	assert_int_equal(verdict.reason, REASON_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_compared_where_all_are_known),
		cmocka_unit_test(context_dir_stands_for_the_folder_that_is_built),
		cmocka_unit_test(so_many_files_that_comparing_takes_long_build),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
