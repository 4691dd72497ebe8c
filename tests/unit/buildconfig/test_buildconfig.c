#include "fixture.h"

#include <malloc.h>

#define GITHUB  0
#define GITLAB  1
#define GENERIC 3

static void a_whole_one_is_read(void **state)
{
	BC bc = parse_bc(
		"{'metadata':{'namespace':'shop','name':'cart','uid':'u','resourceVersion':'"
		"9007199254740993',"
		"'annotations':{'openshift.io/build-config.paused':'True','buildhook.io/"
		"skip-ci':'true',"
		"'buildhook.io/refs':'main,v*','buildhook.io/paths':'contextDir',"
		"'buildhook.io/repository':'match','buildhook.io/rotate':'github=2',"
		"'buildhook.io/ignore':'true','other.io/x':'y'}},"
		"'spec':{'source':{'contextDir':'app','git':{'uri':'https://h/"
		"r.git','ref':'main'}},"
		"'strategy':{'type':'Docker'}},'status':{'lastVersion':41}}");

	(void)state;
	assert_string_equal(bc->namespace_, "shop");
	assert_string_equal(bc->name, "cart");
	assert_string_equal(bc->uid, "u");
	assert_string_equal(bc->resource_version, "9007199254740993");
	assert_true(bc->is_paused && bc->skip_ci && bc->is_ignored && bc->has_git);
	assert_false(bc->is_deleting);
	assert_string_equal(bc->refs, "main,v*");
	assert_string_equal(bc->paths, "contextDir");
	assert_string_equal(bc->repository, "match");
	assert_string_equal(bc->rotate, "github=2");
	assert_string_equal(bc->context_dir, "app");
	assert_string_equal(bc->git_uri, "https://h/r.git");
	assert_string_equal(bc->git_ref, "main");
	assert_string_equal(bc->strategy, "Docker");
	assert_int_equal(bc->last_version, 41);
	assert_string_equal(bc->problem, "");
}

/* Each case: triggers, and the hook of TYPE that they make. */
static const struct {
	const char *triggers;
	int type;
	const char *secrets; /* "reference:a inline:b default:c"; NULL: no such hook */
} triggers[] = {
	{"{'type':'GitHub','github':{'secretReference':{'name':'s'}}}", GITHUB, "reference:s"},
	{"{'type':'GitHub','github':{'secret':'abc'}}", GITHUB, "inline:abc"},
	{"{'type':'GitHub','github':{'secret':'abc','secretReference':{'name':'s'}}}", GITHUB,
	 "reference:s inline:abc"},
	{"{'type':'GitHub','github':{'secret':'abc\\n'}}", GITHUB, "inline:abc"},
	{"{'type':'GitHub','github':{'secret':'abc\\n\\n'}}", GITHUB, "inline:abc\n"},
	{"{'type':'GitHub','github':{}}", GITHUB, "default:cart-github-webhook"},
	{"{'type':'GitHub','github':{'secret':''}}", GITHUB, "default:cart-github-webhook"},
	{"{'type':'GitHub','github':{'secretReference':{}}}", GITHUB,
	 "default:cart-github-webhook"},
	{"{'type':'GitHub','github':{'secretReference':null}}", GITHUB,
	 "default:cart-github-webhook"},
	{"{'type':'GitLab','gitlab':{}}", GITLAB, "default:cart-gitlab-webhook"},
	{"{'type':'GitLab','gitlab':{}},{'type':'GitLab','gitlab':{'secret':'a'}}", GITLAB,
	 "default:cart-gitlab-webhook inline:a"},
	{"{'type':'GitLab','gitlab':{'secret':'a'}},{'type':'GitLab','gitlab':{'secret':'a'}}",
	 GITLAB, "inline:a"},
	{"{'type':'github','github':{}}", GITHUB, "default:cart-github-webhook"},
	{"{'type':'gitlab','gitlab':{}}", GITLAB, NULL},
	{"{'type':'Generic','generic':{'secret':5}}", GENERIC, ""},
	{"{'type':'Generic','generic':{'secret':'\\n'}}", GENERIC, ""},
	{"{'type':'Generic','generic':{'secretReference':{'name':5}}}", GENERIC, ""},
	{"{'type':'Generic','generic':{'secretReference':{'name':'../../x'}}}", GENERIC, ""},
	{"{'type':'Generic','generic':{'secretReference':{'name':'a/b'}}}", GENERIC, ""},
	{"{'type':'Generic','generic':{'secretReference':'s','secret':'a'}}", GENERIC, "inline:a"},
	{"{'type':'GitHub'}", GITHUB, NULL},
	{"{'type':'GitHub','github':null}", GITHUB, NULL},
	{"{'type':'GitHub','github':'x'}", GITHUB, NULL},
	{"{'type':'GitHub','generic':{'secret':'a'}}", GITHUB, NULL},
	{"{'type':'ConfigChange'}", GITHUB, NULL},
	{"{'type':'Bitbucket','Bitbucket':{}}", 2, NULL},
};

static void put_secrets(struct buf *out, const struct buildconfig_hook *hook)
{
	static const char *const kinds[] = {"reference", "inline", "default"};

	for (size_t i = 0; i < hook->n_secrets; i++)
		buf_printf(out, "%s%s:%s", i ? " " : "", kinds[hook->secrets[i].kind],
			   hook->secrets[i].text);
}

static void triggers_become_hooks_with_secrets(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(triggers); i++) {
		char spec[512];
		CLEANUP(buf_release) struct buf found = BUF_INIT(4096);

		(void)snprintf(spec, sizeof(spec), "'triggers':[%s]", triggers[i].triggers);
		BC bc = make_bc(spec, "");
		const struct buildconfig_hook *hook = &bc->hooks[triggers[i].type];
		put_secrets(&found, hook);
		if (hook->exists != !!triggers[i].secrets ||
		    strcmp(buf_text(&found), triggers[i].secrets ? triggers[i].secrets : "") != 0)
			fail_msg("%s: %s", triggers[i].triggers, found.data);
	}
}

static void a_hook_without_a_usable_secret_says_why(void **state)
{
	BC number = make_bc("'triggers':[{'type':'GitHub','github':{'secret':5}}]", "");
	BC name = make_bc(
		"'triggers':[{},{'type':'GitHub','github':{'secretReference':{'name':'A b'}}}]",
		"");
	BC dash = make_bc(
		"'triggers':[{'type':'GitHub','github':{'secretReference':{'name':'a.-b'}}}]", "");

	(void)state;
	assert_string_equal(number->hooks[GITHUB].problem,
			    "spec.triggers[0].github.secret is a number, not text");
	assert_string_equal(
		name->hooks[GITHUB].problem,
		"spec.triggers[1].github.secretReference.name is no name that a Secret can have");
	assert_string_equal(
		dash->hooks[GITHUB].problem,
		"spec.triggers[0].github.secretReference.name is no name that a Secret can have");
	assert_string_equal(name->problem, "spec.triggers[0] has no type");
}

/* Each case: a spec, and a part of the problem that is reported. */
static const struct {
	const char *spec;
	const char *problem;
} wrong[] = {
	{"'triggers':'x'", "spec.triggers is text, not a list"},
	{"'triggers':{}", "spec.triggers is an object, not a list"},
	{"'triggers':[5]", "spec.triggers[0] has no type"},
	{"'triggers':[{'type':5}]", "spec.triggers[0] has no type"},
	{"'triggers':[{'type':'GitHub'}]", "no object \"github\""},
	{"'triggers':[{'type':'GitHub','github':7}]", "unusable object \"github\""},
	{"'source':7", "spec.source is a number, not an object"},
	{"'source':{'git':true}", "spec.source.git is a boolean, not an object"},
	{"'source':{'git':{'uri':[],'ref':{}}}", "spec.source.git.uri is a list, not text"},
	{"'source':{'contextDir':1}", "spec.source.contextDir is a number, not text"},
	{"'strategy':{'type':'Magic'}", "spec.strategy.type \"Magic\" is not known"},
};

static void wrong_types_are_told_and_not_used(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		BC bc = make_bc(wrong[i].spec, "");

		if (!strstr(bc->problem, wrong[i].problem))
			fail_msg("%s: %s", wrong[i].spec, bc->problem);
		assert_string_equal(bc->git_uri, "");
	}
}

static void a_document_of_any_shape_becomes_an_object(void **state)
{
	static const char *const docs[] = {
		"null",
		"5",
		"[]",
		"{}",
		"'x'",
		"{'metadata':5,'spec':[]}",
		"{'metadata':{'name':5,'annotations':[]}}",
		"{'metadata':{'annotations':{'buildhook.io/refs':5,'buildhook.io/"
		"hint':{}}},'spec':{'triggers':[[]]}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(docs); i++) {
		BC bc = parse_bc(docs[i]);

		assert_string_equal(bc->name, "");
		assert_string_equal(bc->refs, "");
		assert_int_equal(bc->status_keys, 0);
	}
	BC none = buildconfig_parse(NULL);
	assert_string_equal(none->problem, "it has no spec");
}

static void ten_thousand_triggers_keep_eight_secrets(void **state)
{
	CLEANUP(buf_release) struct buf spec = BUF_INIT(1024 * 1024);

	(void)state;
	buf_put_str(&spec, STR("'triggers':["));
	for (int i = 0; i < 10000; i++)
		buf_printf(&spec, "%s{'type':'GitHub','github':{'secret':'s%d'}}", i ? "," : "", i);
	buf_put_str(&spec, STR("]"));
	BC bc = make_bc(spec.data, "");
	assert_int_equal(bc->hooks[GITHUB].n_secrets, BUILDCONFIG_MAX_SECRETS);
	assert_string_equal(bc->hooks[GITHUB].secrets[7].text, "s7");
	assert_string_equal(bc->hooks[GITHUB].problem,
			    "10000 secrets given; only the first 8 are used");
}

static void deep_documents_are_no_danger(void **state)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(4096);

	(void)state;
	for (int i = 0; i < 500; i++)
		buf_put_char(&text, '[');
	for (int i = 0; i < 500; i++)
		buf_put_char(&text, ']');
	CLEANUP(buf_release) struct buf spec = BUF_INIT(4096);
	buf_printf(&spec, "'triggers':[{'type':'GitHub','github':{'secret':%s}}]", text.data);
	BC bc = make_bc(spec.data, "");
	assert_int_equal(bc->hooks[GITHUB].n_secrets, 0);
	assert_non_null(strstr(bc->hooks[GITHUB].problem, "secret is a list, not text"));
}

static void variables_are_allowed_only_where_every_trigger_allows_them(void **state)
{
	BC yes = make_bc("'triggers':[{'type':'Generic','generic':{'allowEnv':true}}]", "");
	BC other = make_bc("'triggers':[{'type':'GitHub','github':{'allowEnv':true}}]", "");
	BC text = make_bc("'triggers':[{'type':'Generic','generic':{'allowEnv':'true'}}]", "");
	BC mixed =
		make_bc("'triggers':[{'type':'Generic','generic':{'secret':'a','allowEnv':false}},"
			"{'type':'Generic','generic':{'secret':'b','allowEnv':true}}]",
			"");

	(void)state;
	assert_true(yes->hooks[GENERIC].allow_env);
	assert_false(other->hooks[GITHUB].allow_env);
	assert_false(text->hooks[GENERIC].allow_env);
	assert_false(mixed->hooks[GENERIC].allow_env);
	assert_non_null(strstr(mixed->hooks[GENERIC].problem, "differs between triggers"));
}

static void a_strategy_without_a_type_is_known_by_its_member(void **state)
{
	BC source = make_bc("'strategy':{'sourceStrategy':{}}", "");
	BC jenkins = make_bc("'strategy':{'jenkinsPipelineStrategy':{}}", "");
	BC none = make_bc("'strategy':{}", "");

	(void)state;
	assert_string_equal(source->strategy, "Source");
	assert_string_equal(jenkins->strategy, "JenkinsPipeline");
	assert_string_equal(none->strategy, "");
}

static void annotations_of_ours_that_mean_nothing_are_told(void **state)
{
	static const struct {
		const char *annotations;
		const char *problem;
	} cases[] = {
		{"'buildhook.io/path':'x'", "annotation \"buildhook.io/path\" is not known"},
		{"'buildhook.io/skip-ci':'yes'",
		 "annotation buildhook.io/skip-ci must be \"true\" or \"false\""},
		{"'buildhook.io/repository':'yes'",
		 "annotation buildhook.io/repository must be \"match\""},
		{"'buildhook.io/skip-ci':'false','openshift.io/build-config.paused':'no'", ""},
		{"'buildhook.io/gitlab-state':'Ready'", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		BC bc = make_bc("", cases[i].annotations);

		assert_string_equal(bc->problem, cases[i].problem);
	}
}

static void what_the_object_holds_of_ours_is_kept_for_comparison(void **state)
{
	BC bc = make_bc("", "'buildhook.io/hint':'h','buildhook.io/github-state':'Ready','x':'y',"
			    "'buildhook.io/generic-last':'l'");

	(void)state;
	assert_null(buildconfig_find_status(bc, "buildhook.io/github-url"));
	assert_string_equal(buildconfig_status(bc, "buildhook.io/github-state"), "Ready");
	assert_string_equal(buildconfig_status(bc, "buildhook.io/generic-last"), "l");
	assert_string_equal(buildconfig_status(bc, "buildhook.io/hint"), "h");
	assert_string_equal(buildconfig_status(bc, "buildhook.io/github-url"), "");
	assert_string_equal(buildconfig_status(bc, "x"), "");
}

static void a_quarter_megabyte_in_an_annotation_is_not_kept(void **state)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(1024 * 1024);

	(void)state;
	buf_put_str(&text, STR("'buildhook.io/refs':'"));
	for (int i = 0; i < 100 * 1024; i++)
		buf_put_char(&text, 'r');
	buf_put_str(&text, STR("','buildhook.io/hint':'"));
	for (int i = 0; i < 150 * 1024; i++)
		buf_put_char(&text, 'x');
	buf_put_char(&text, '\'');
	BC bc = make_bc("", text.data);
	assert_string_equal(bc->refs, "");
	assert_string_equal(bc->problem, "annotation buildhook.io/refs is longer than 4096 bytes");
	assert_non_null(buildconfig_find_status(bc, "buildhook.io/hint"));
	assert_string_equal(buildconfig_status(bc, "buildhook.io/hint"), "");
}

static void long_names_are_shortened_and_stay_different(void **state)
{
	char a[254], b[254], name[254];

	(void)state;
	buildconfig_child_name(a, "cart", "12");
	assert_string_equal(a, "cart-12");
	memset(name, 'n', 253);
	name[253] = '\0';
	name[226] = '.';
	buildconfig_child_name(a, name, "gitlab-webhook");
	name[252] = 'm';
	buildconfig_child_name(b, name, "gitlab-webhook");
	assert_string_not_equal(a, b);
	assert_true(strlen(a) <= 253 && str_ends(str_of(a), STR("-gitlab-webhook")));
	name[238] = '\0';
	buildconfig_child_name(a, name, "gitlab-webhook");
	assert_int_equal(strlen(a), 253);
	for (size_t cut = 225; cut <= 232; cut++) {
		memset(name, 'n', 253);
		name[cut] = '.';
		buildconfig_child_name(a, name, "gitlab-webhook");
		assert_null(strstr(a, ".-"));
	}
}

/* At most 1 KiB together with the store's entry. */
static void a_usual_one_takes_little_memory(void **state)
{
	BC bare = make_bc(
		"'source':{'git':{'uri':'https://github.com/acme/shopping-cart.git','ref':'main'}},"
		"'strategy':{'type':'Docker'},"
		"'triggers':[{'type':'GitHub','github':{'secretReference':{'name':'cart-github'}}},"
		"{'type':'ConfigChange'}]",
		"");
	BC whole = make_bc(
		"'source':{'git':{'uri':'https://github.com/acme/shopping-cart.git','ref':'main'}},"
		"'strategy':{'type':'Docker'},"
		"'triggers':[{'type':'GitHub','github':{'secretReference':{'name':'cart-github'}}}"
		"]",
		"'buildhook.io/github-state':'Ready','buildhook.io/github-secret':'cart-github',"
		"'buildhook.io/github-url':'https://hooks.example.com/hooks/shop/cart/github',"
		"'buildhook.io/github-last':'2026-11-23T20:50:11Z push main 3f2a1b0 by alice -> "
		"cart-7'");

	(void)state;
	assert_true(malloc_usable_size(bare) <= 448);
	assert_true(malloc_usable_size(whole) <= 704);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_one_is_read),
		cmocka_unit_test(triggers_become_hooks_with_secrets),
		cmocka_unit_test(a_hook_without_a_usable_secret_says_why),
		cmocka_unit_test(wrong_types_are_told_and_not_used),
		cmocka_unit_test(a_document_of_any_shape_becomes_an_object),
		cmocka_unit_test(ten_thousand_triggers_keep_eight_secrets),
		cmocka_unit_test(deep_documents_are_no_danger),
		cmocka_unit_test(variables_are_allowed_only_where_every_trigger_allows_them),
		cmocka_unit_test(a_strategy_without_a_type_is_known_by_its_member),
		cmocka_unit_test(annotations_of_ours_that_mean_nothing_are_told),
		cmocka_unit_test(what_the_object_holds_of_ours_is_kept_for_comparison),
		cmocka_unit_test(a_quarter_megabyte_in_an_annotation_is_not_kept),
		cmocka_unit_test(long_names_are_shortened_and_stay_different),
		cmocka_unit_test(a_usual_one_takes_little_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
