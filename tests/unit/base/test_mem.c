#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void memory_is_zeroed_and_never_null(void **state)
{
	CLEANUP(mem_free) char *some = mem_new(100, 7);
	CLEANUP(mem_free) char *none = mem_new(0, 7);
	CLEANUP(mem_free) char *grown = mem_resize(NULL, 0, 0);

	(void)state;
	assert_non_null(none);
	assert_non_null(grown);
	for (size_t i = 0; i < 700; i++)
		assert_int_equal(some[i], 0);
}

static void copies_end_where_they_are_told(void **state)
{
	CLEANUP(mem_free) char *whole = mem_strdup("main");
	CLEANUP(mem_free) char *part = mem_strndup("main", 2);
	CLEANUP(mem_free) char *shorter = mem_strndup("ma", 9);

	(void)state;
	assert_null(mem_strdup(NULL));
	assert_null(mem_strndup(NULL, 3));
	assert_string_equal(whole, "main");
	assert_string_equal(part, "ma");
	assert_string_equal(shorter, "ma");
}

static long resident_file_kib(void)
{
	FILE *status = fopen("/proc/self/status", "re");
	char line[256];
	long kib = -1;

	while (status && fgets(line, sizeof(line), status))
		if (strncmp(line, "RssFile:", 8) == 0)
			kib = strtol(line + 8, NULL, 10);
	if (status)
		(void)fclose(status);
	return kib;
}

static const char constant[] = "what is in the file is read again";
static char variable[] = "what was written stays";

static void what_only_the_start_needed_is_given_back(void **state)
{
	CLEANUP(mem_free) char *block = mem_strdup("in use");
	long before = resident_file_kib();

	(void)state;
	variable[0] = 'W';
	mem_settle();
	assert_true(resident_file_kib() < before);
	assert_string_equal(constant, "what is in the file is read again");
	assert_string_equal(variable, "What was written stays");
	assert_string_equal(block, "in use");
}

static void freeing_leaves_null(void **state)
{
	char *p = mem_strdup("x");
	char *secret = mem_strdup("secret");

	(void)state;
	mem_free(&p);
	assert_null(p);
	mem_free(&p);
	mem_wipe_str(&secret);
	assert_null(secret);
	mem_wipe_str(&secret);
	mem_wipe(&secret, 100);
}

static void taking_leaves_nothing_to_clean_up(void **state)
{
	CLEANUP(mem_free) char *p = mem_strdup("x");
	CLEANUP(mem_free) char *taken = TAKE(p);

	(void)state;
	assert_null(p);
	assert_string_equal(taken, "x");
}

static void the_owner_is_found_from_its_member(void **state)
{
	struct owner {
		int a;
		char b;
	} owner;

	(void)state;
	assert_ptr_equal(CONTAINER_OF(&owner.b, struct owner, b), &owner);
}

static void new_too_much(void)
{
	(void)mem_new(SIZE_MAX / 2, 3);
}

static void resize_too_much(void)
{
	(void)mem_resize(NULL, SIZE_MAX / 2, 3);
}

static void an_overflow_of_the_product_aborts(void **state)
{
	void (*const calls[])(void) = {new_too_much, resize_too_much};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		int status = 0;
		pid_t child = fork();

		if (child == 0) {
			(void)close(STDERR_FILENO);
			calls[i]();
			_exit(0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_zeroed_and_never_null),
		cmocka_unit_test(copies_end_where_they_are_told),
		cmocka_unit_test(what_only_the_start_needed_is_given_back),
		cmocka_unit_test(freeing_leaves_null),
		cmocka_unit_test(taking_leaves_nothing_to_clean_up),
		cmocka_unit_test(the_owner_is_found_from_its_member),
		cmocka_unit_test(an_overflow_of_the_product_aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
