#include "decisions.h"

static void paths_are_compared_where_all_are_known(void **state)
{
	static const struct ruling table[] = {
		{REF("main"),
		 ANN("paths", "src/**"),
		 {.ref = "main", .files = "src/a.c,"},
		 OUTCOME_START,
		 NULL},
		{REF("main"),
		 ANN("paths", "src/**"),
		 {.ref = "main", .files = "README.md,docs/a,"},
		 OUTCOME_PATHS_UNCHANGED,
		 "src/** (annotation buildhook.io/paths)"},
		{REF("main"),
		 ANN("paths", "src/**"),
		 {.ref = "main", .files = "README.md,src/a.c,"},
		 OUTCOME_START,
		 NULL},
		{REF("main"), ANN("paths", "src/**"), {.ref = "main"}, OUTCOME_START, NULL},
		{REF("main"),
		 ANN("paths", "src/**"),
		 {.ref = "main", .files = ""},
		 OUTCOME_START,
		 NULL},
		{REF("main"),
		 ANN("paths", "src/**"),
		 {.ref = "main", .files = "a,", .lists_not_all_files = true},
		 OUTCOME_START,
		 NULL},
		{REF("main"),
		 ANN("paths", "!docs/**"),
		 {.ref = "main", .files = "docs/a,docs/b,"},
		 OUTCOME_PATHS_UNCHANGED,
		 NULL},
		{REF("main"),
		 ANN("paths", "!docs/**"),
		 {.ref = "main", .files = "docs/a,x,"},
		 OUTCOME_START,
		 NULL},
		{REF("main"),
		 ANN("paths", "src/**,!**/*.md"),
		 {.ref = "main", .files = "src/a.md,"},
		 OUTCOME_PATHS_UNCHANGED,
		 NULL},
		{REF("main"),
		 ANN("paths", "src/**,!**/*.md"),
		 {.ref = "main", .files = "src/a.md,src/a.c,"},
		 OUTCOME_START,
		 NULL},
		{REF("main"),
		 ANN("paths", "src/**,!src/gen/**,src/gen/keep"),
		 {.ref = "main", .files = "src/gen/keep,"},
		 OUTCOME_START,
		 NULL},
		{REF("main"),
		 ANN("paths", "src"),
		 {.ref = "main", .files = "src/a/b,"},
		 OUTCOME_START,
		 NULL},
		{REF("main"),
		 ANN("paths", "src/"),
		 {.ref = "main", .files = "src/a/b,"},
		 OUTCOME_START,
		 NULL},
		{REF("main"),
		 ANN("paths", "/src/**"),
		 {.ref = "main", .files = "src/a/b,"},
		 OUTCOME_START,
		 NULL},
		{REF("main"),
		 ANN("paths", "src"),
		 {.ref = "main", .files = "srcs/a,"},
		 OUTCOME_PATHS_UNCHANGED,
		 NULL},
		{REF("main"),
		 ANN("paths", "docs/*"),
		 {.ref = "main", .files = "docs/a/b,"},
		 OUTCOME_PATHS_UNCHANGED,
		 NULL},
		{REF("main"),
		 ANN("paths", "\xC3\xA4/*"),
		 {.ref = "main", .files = "\xC3\xA4/b,"},
		 OUTCOME_START,
		 NULL},
	};

	(void)state;
	check(table, ARRAY_LEN(table));
}

static void context_dir_stands_for_the_folder_that_is_built(void **state)
{
#define IN(dir) "'source':{'contextDir':'" dir "','git':{'uri':'u','ref':'main'}}"
	static const struct ruling table[] = {
		{IN("app"),
		 ANN("paths", "contextDir"),
		 {.ref = "main", .files = "app/a,"},
		 OUTCOME_START,
		 NULL},
		{IN("app"),
		 ANN("paths", "contextDir"),
		 {.ref = "main", .files = "apple/a,lib/b,"},
		 OUTCOME_PATHS_UNCHANGED,
		 NULL},
		{IN("/app/"),
		 ANN("paths", "contextDir"),
		 {.ref = "main", .files = "app/x/y,"},
		 OUTCOME_START,
		 NULL},
		{IN("./app"),
		 ANN("paths", "contextDir"),
		 {.ref = "main", .files = "app/x/y,"},
		 OUTCOME_START,
		 NULL},
		{IN("."),
		 ANN("paths", "contextDir"),
		 {.ref = "main", .files = "x,"},
		 OUTCOME_START,
		 NULL},
		{IN("/"),
		 ANN("paths", "contextDir"),
		 {.ref = "main", .files = "x,"},
		 OUTCOME_START,
		 NULL},
		{REF("main"),
		 ANN("paths", "contextDir"),
		 {.ref = "main", .files = "x,"},
		 OUTCOME_START,
		 NULL},
		{IN("a*"),
		 ANN("paths", "contextDir"),
		 {.ref = "main", .files = "abc/x,"},
		 OUTCOME_PATHS_UNCHANGED,
		 NULL},
		{IN("app"),
		 ANN("paths", "contextDir,lib/**"),
		 {.ref = "main", .files = "lib/x,"},
		 OUTCOME_START,
		 NULL},
		{IN("app"),
		 ANN("paths", "contextDir,!**/*.md"),
		 {.ref = "main", .files = "app/x.md,"},
		 OUTCOME_PATHS_UNCHANGED,
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
	assert_int_equal(verdict.reason, OUTCOME_START);
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
