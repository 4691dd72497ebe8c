#include "buildconfig/repository.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void addresses_of_one_repository_are_the_same(void **state)
{
	static const char *const same[][2] = {
		{"https://github.com/acme/shop.git", "https://github.com/acme/shop"},
		{"https://github.com/acme/shop/", "https://github.com/acme/shop.git"},
		{"https://GitHub.com/acme/shop", "https://github.COM/acme/shop"},
		{"git@github.com:acme/shop.git", "https://github.com/acme/shop"},
		{"git@github.com:/acme/shop.git", "https://github.com/acme/shop"},
		{"ssh://git@github.com/acme/shop.git", "git@github.com:acme/shop.git"},
		{"ssh://git@github.com:22/acme/shop.git", "git@github.com:acme/shop.git"},
		{"https://user:pass@github.com/acme/shop", "https://github.com/acme/shop"},
		{"https://github.com:443/acme/shop", "https://github.com/acme/shop"},
		{"git://github.com/acme/shop", "https://github.com/acme/shop"},
		{"https://git.example.com:8443/acme/shop",
		 "https://git.example.com:8443/acme/shop.git"},
		{"ssh://git@git.example.com:7999/acme/shop.git",
		 "https://git.example.com/acme/shop"},
		{"HTTPS://git.example.com/acme/shop", "https://git.example.com/acme/shop"},
		{"https://git.example.com./acme/shop#main", "https://git.example.com/acme/shop"},
		{"https://[::1]:3000/acme/shop", "https://[::1]:3000/acme/shop.git"},
		{"https://github.com/acme/shop", "https://github.com/Acme/Shop.git"},
		{"ssh://git@ssh.github.com:443/acme/shop.git", "https://github.com/acme/shop"},
		{"ssh://git@ssh.github.com:443/acme/shop.git", "git@github.com:acme/shop.git"},
		{"ssh://git@altssh.gitlab.com:443/acme/shop", "ssh://git@gitlab.com/acme/shop"},
		{"ssh://git@altssh.bitbucket.org:443/acme/shop", "https://bitbucket.org/acme/shop"},
		{"git@ssh.github.com:acme/shop", "git@github.com:acme/shop"},
		{"/srv/git/shop.git", "/srv/git/shop"},
		{" https://git.example.com/acme/shop ", "https://git.example.com/acme/shop"},
		{"", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		if (!repository_is_same(str_of(same[i][0]), str_of(same[i][1])))
			fail_msg("%s and %s", same[i][0], same[i][1]);
}

static void the_last_parts_of_an_address_are_compared_with_a_path(void **state)
{
	static const struct {
		const char *address, *path;
		bool has;
	} cases[] = {
		{"https://bitbucket.example.com/scm/acme/shop.git", "ACME/shop", true},
		{"ssh://git@bitbucket.example.com:7999/acme/shop.git", "ACME/shop", true},
		{"ssh://git@bitbucket.example.com:7999/~ann/shop.git", "~ANN/shop", true},
		{"https://bitbucket.example.com/acme/shop", "ACME/shop", true},
		{"https://bitbucket.example.com/scm/pacme/shop.git", "ACME/shop", false},
		{"https://bitbucket.example.com/scm/acme/shop2.git", "ACME/shop", false},
		{"https://bitbucket.example.com/shop.git", "ACME/shop", false},
		{"https://bitbucket.example.com/scm/acme/shop.git", "", false},
		{"", "ACME/shop", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (repository_has_path(str_of(cases[i].address), str_of(cases[i].path)) !=
		    cases[i].has)
			fail_msg("%s and %s", cases[i].address, cases[i].path);
}

static void addresses_of_others_are_not(void **state)
{
	static const char *const other[][2] = {
		{"https://github.com/acme/shop", "https://github.com/acme/shop2"},
		{"https://ssh.github.com/acme/shop", "https://github.com/acme/shop"},
		{"ssh://git@ssh.github.com:8443/acme/shop", "ssh://git@github.com/acme/shop"},
		{"/srv/git/shop", "/srv/git/Shop"},
		{"https://github.com/acme/shop", "https://gitlab.com/acme/shop"},
		{"https://github.com/acme/shop", "https://github.com.evil.example/acme/shop"},
		{"https://github.com/acme/shop", "https://github.com@evil.example/acme/shop"},
		{"https://github.com/acme/shop", "git@evil.example:github.com/acme/shop"},
		{"https://git.example.com:8443/acme/shop",
		 "https://git.example.com:9443/acme/shop"},
		{"https://git.example.com/acme/shop", "http://git.example.com:8080/acme/shop"},
		{"https://[::1]/acme/shop", "https://[::2]/acme/shop"},
		{"/srv/git/shop.git", "https://srv/git/shop"},
		{"https://github.com/acme/shop", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(other); i++)
		if (repository_is_same(str_of(other[i][0]), str_of(other[i][1])))
			fail_msg("%s and %s", other[i][0], other[i][1]);
}

static void one_of_several_addresses_may_be_the_same(void **state)
{
	char *const others[] = {"https://git.example.com/acme/cart", "git@github.com:acme/shop.git",
				NULL, "https://gitlab.com/acme/shop"};

	(void)state;
	assert_true(repository_is_among(STR("https://github.com/acme/shop"), others, 4));
	assert_false(repository_is_among(STR("https://github.com/acme/shop"), others, 1));
	assert_false(repository_is_among(STR("https://gitlab.com/acme/shop"), others, 4));
	assert_false(repository_is_among(STR("https://github.com/acme/shop"), others, 0));
}

static void people_see_no_password(void **state)
{
	static const char *const shown[][2] = {
		{"https://user:pa@ss@github.com/acme/shop.git", "github.com/acme/shop"},
		{"git@github.com:acme/shop.git", "github.com/acme/shop"},
		{"https://git.example.com:8443/a/b", "git.example.com:8443/a/b"},
		{"https://user:pass@github.com", "github.com/"},
		{"https://h/a\nb", "h/a\xEF\xBF\xBD"
				   "b"},
		{"https://h/0123456789012345678901234567890123456789",
		 "h/01234567890123456789012345678901234567"},
		{"", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
		CLEANUP(buf_release) struct buf text = BUF_INIT(100);

		repository_format(&text, str_of(shown[i][0]), 40);
		assert_string_equal(buf_text(&text), shown[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_of_one_repository_are_the_same),
		cmocka_unit_test(the_last_parts_of_an_address_are_compared_with_a_path),
		cmocka_unit_test(addresses_of_others_are_not),
		cmocka_unit_test(one_of_several_addresses_may_be_the_same),
		cmocka_unit_test(people_see_no_password),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
