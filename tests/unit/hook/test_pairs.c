/*
 * Deliveries as files: tests/data/HOST/CASE.http is what a host sends, headers, an empty line and
 * the raw body; CASE.json is the event that must be read from it. Members that CASE.json does not
 * name are not compared, and unknown names fail. tests/data/README.md has the keys.
 */
#include "sender.h"

#include "buildconfig/decision.h"
#include "buildconfig/refs.h"
#include "doc/json.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_FILE_BYTES (1024 * 1024)
#define SIGNING_KEY    "buildhook signs webhooks with it"
#define SIGNING_TOKEN  "whsec_YnVpbGRob29rIHNpZ25zIHdlYmhvb2tzIHdpdGggaXQ="

struct pair {
	char *http, *json;
	cJSON *expected;
	struct buf head;
	struct sender sender;
	enum hook_type type;
	char *values[SENDER_HEADERS]; /* with their placeholders filled in */
	struct hook_delivery *delivery;
	const struct delivery_event *event;
	struct buildconfig *bc; /* NULL where CASE.json has none */
	struct decision decision;
	size_t n_wrong;
};

static char *read_file(const char *path, size_t *n)
{
	FILE *file = fopen(path, "rb");
	char *text = mem_new(MAX_FILE_BYTES, 1);

	if (!file)
		fail_msg("cannot open %s", path);
	*n = fread(text, 1, MAX_FILE_BYTES - 1, file);
	(void)fclose(file);
	return text;
}

static const char *string_of(const struct pair *pair, const char *key, const char *fallback)
{
	const char *value = json_str_at(pair->expected, key);

	return value ? value : fallback;
}

/* The payload of a form, decoded: what Gitea signs. CASE.json has it, so that the test does not
 * depend on buildhook's decoder. */
static struct str signed_bytes(const struct pair *pair)
{
	const char *signed_text = json_str_at(pair->expected, "signed");

	return signed_text ? str_of(signed_text) : pair->sender.body;
}

static char *fill_in(const struct pair *pair, struct str value)
{
	static const struct str key = {SIGNING_KEY, sizeof(SIGNING_KEY) - 1};
	struct str prefix = str_range(value.p, str_find_char(value, '{'));
	struct str what = str_range(value.p + prefix.n, value.n - prefix.n);
	CLEANUP(mem_free) char *before = str_dup(prefix);

	if (str_eq(what, STR("{{hex}}")))
		return sender_hex(before, STR(SENDER_SECRET), signed_bytes(pair));
	if (str_eq(what, STR("{{hex of another secret}}")))
		return sender_hex(before, STR("another"), signed_bytes(pair));
	if (str_eq(what, STR("{{secret}}")))
		return mem_strdup(SENDER_SECRET);
	if (str_eq(what, STR("{{bearer}}")))
		return mem_strdup("Bearer " SENDER_SECRET);
	if (str_eq(what, STR("{{v1}}")))
		return sender_v1(key, "msg_2mNvK", "1763900000", signed_bytes(pair));
	if (!str_empty(what))
		fail_msg("%s: placeholder %.*s", pair->http, STR_ARG(what));
	return str_dup(value);
}

static void parse_http(struct pair *pair)
{
	struct str text = buf_str(&pair->head), line;

	while (str_next_part(&text, '\n', &line) && !str_empty(line)) {
		size_t colon = str_find_char(line, ':');

		if (colon == line.n)
			fail_msg("%s: not a header: %.*s", pair->http, STR_ARG(line));
		sender_put_str(&pair->sender, str_range(line.p, colon),
			       str_trim(str_range(line.p + colon + 1, line.n - colon - 1)));
	}
	pair->sender.body = text;
	for (size_t i = 0; i < pair->sender.n_headers; i++) {
		pair->values[i] = fill_in(pair, pair->sender.headers[i].value);
		pair->sender.headers[i].value = str_of(pair->values[i]);
	}
}

/* Reports a difference and continues, so that one run shows all differences of all pairs. */
__attribute__((format(printf, 2, 3))) static void complain(struct pair *pair, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	print_error("%s: %s\n", pair->http, text);
	pair->n_wrong++;
}

static void expect_text(struct pair *pair, const char *key, const char *expected, const char *found)
{
	if (!found || !str_eq(str_of(expected), str_of(found)))
		complain(pair, "%s: expected \"%s\", found \"%s\"", key, expected,
			 found ? found : "(none)");
}

static void expect_words(struct pair *pair, const char *key, const char *expected,
			 const char *found)
{
	if (!found || !str_contains(str_of(found), str_of(expected)))
		complain(pair, "%s: expected \"...%s...\", found \"%s\"", key, expected,
			 found ? found : "(none)");
}

/* EXPECTED is a string, or null for none. */
static void check_text(struct pair *pair, const cJSON *expected, const char *found)
{
	if (cJSON_IsString(expected))
		expect_text(pair, expected->string, expected->valuestring, found);
	else if (!cJSON_IsNull(expected) || found)
		complain(pair, "%s: expected none, found \"%s\"", expected->string,
			 found ? found : "(none)");
}

static void check_bool(struct pair *pair, const cJSON *expected, bool found)
{
	if (!cJSON_IsBool(expected) || (bool)cJSON_IsTrue(expected) != found)
		complain(pair, "%s: found %s", expected->string, found ? "true" : "false");
}

static void check_change_item(struct pair *pair, const cJSON *item,
			      const struct delivery_change *change)
{
	const struct {
		const char *key, *found;
	} texts[] = {
		{"ref", change->ref},
		{"commit", change->commit},
		{"author", change->author.name},
		{"authorEmail", change->author.email},
		{"committer", change->committer.name},
		{"committerEmail", change->committer.email},
		{"message", change->message},
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (str_eq(str_of(item->string), str_of(texts[i].key))) {
			check_text(pair, item, texts[i].found);
			return;
		}
	if (!str_eq(str_of(item->string), STR("delete")))
		complain(pair, "unknown key %s", item->string);
	check_bool(pair, item, change->is_delete);
}

static void check_changes(struct pair *pair, const cJSON *expected)
{
	size_t at = 0;
	const cJSON *change, *item;

	if (cJSON_GetArraySize(expected) != (int)pair->event->n_changes) {
		complain(pair, "found %zu changes", pair->event->n_changes);
		return;
	}
	cJSON_ArrayForEach (change, expected) {
		cJSON_ArrayForEach (item, change) {
			check_change_item(pair, item, &pair->event->changes[at]);
		}
		at++;
	}
}

/* Lists are compared as "a b c". */
static void check_list(struct pair *pair, const cJSON *expected, const char *const *found, size_t n)
{
	CLEANUP(buf_release) struct buf want = BUF_INIT(4096), have = BUF_INIT(4096);
	const cJSON *item;

	cJSON_ArrayForEach (item, expected) {
		buf_printf(&want, "%s ", item->valuestring);
	}
	for (size_t i = 0; i < n && found[i]; i++)
		buf_printf(&have, "%s ", found[i]);
	expect_text(pair, expected->string, buf_text(&want), buf_text(&have));
}

static void check_repositories(struct pair *pair, const cJSON *expected)
{
	const char *found[ARRAY_LEN(pair->event->repositories)];

	for (size_t i = 0; i < ARRAY_LEN(found); i++)
		found[i] = pair->event->repositories[i];
	check_list(pair, expected, found, ARRAY_LEN(found));
}

static void check_repository_path(struct pair *pair, const cJSON *expected)
{
	check_text(pair, expected, pair->event->repository_path);
}

static void check_files(struct pair *pair, const cJSON *expected)
{
	const char *found[64];
	size_t n = 0;
	struct str rest = str_range(pair->event->files, pair->event->files_bytes), file;

	while (n < ARRAY_LEN(found) && str_next_part(&rest, 0, &file))
		found[n++] = file.p;
	check_list(pair, expected, found, n);
}

static void check_kind(struct pair *pair, const cJSON *expected)
{
	static const char *const kinds[] = {"push", "ping", "other"};

	check_text(pair, expected, kinds[pair->event->kind]);
}

static void check_host(struct pair *pair, const cJSON *expected)
{
	check_text(pair, expected, pair->event->provider);
}

static void check_name(struct pair *pair, const cJSON *expected)
{
	check_text(pair, expected, pair->event->name);
}

static void check_pusher(struct pair *pair, const cJSON *expected)
{
	check_text(pair, expected, pair->event->pusher);
}

static void check_default_branch(struct pair *pair, const cJSON *expected)
{
	check_text(pair, expected, pair->event->default_branch);
}

static void check_all_files(struct pair *pair, const cJSON *expected)
{
	check_bool(pair, expected, pair->event->have_all_files);
}

static void check_first_match(struct pair *pair, const cJSON *expected)
{
	check_bool(pair, expected, pair->event->is_first_match_only);
}

static void check_env(struct pair *pair, const cJSON *expected)
{
	check_text(pair, expected, pair->event->env_json);
}

static void check_options(struct pair *pair, const cJSON *expected)
{
	check_text(pair, expected, pair->event->options_json);
}

static void check_warning(struct pair *pair, const cJSON *expected)
{
	if (cJSON_IsString(expected))
		expect_words(pair, "warning", expected->valuestring, pair->event->warning);
	else
		check_text(pair, expected, pair->event->warning);
}

static void check_outcome(struct pair *pair, const cJSON *expected)
{
	enum outcome reason = pair->decision.reason;

	check_text(pair, expected, reason == OUTCOME_START ? "builds" : outcome_name(reason));
}

static void check_says(struct pair *pair, const cJSON *expected)
{
	expect_words(pair, "says", expected->valuestring, pair->decision.message);
}

static void check_hint(struct pair *pair, const cJSON *expected)
{
	expect_words(pair, "hint", expected->valuestring, pair->decision.hint);
}

static void check_starts(struct pair *pair, const cJSON *expected)
{
	const char *found[DELIVERY_MAX_STARTS];

	for (size_t i = 0; i < pair->decision.n_starts; i++)
		found[i] = pair->decision.starts[i]->ref ? pair->decision.starts[i]->ref : "(own)";
	check_list(pair, expected, found, pair->decision.n_starts);
}

static const struct {
	const char *key;
	void (*check)(struct pair *pair, const cJSON *expected); /* NULL: of the request */
} checks[] = {
	{"type", NULL},
	{"pathProven", NULL},
	{"allowEnv", NULL},
	{"signed", NULL},
	{"secret", NULL},
	{"buildConfig", NULL},
	{"about", NULL},
	{"host", check_host},
	{"kind", check_kind},
	{"name", check_name},
	{"id", NULL},
	{"changes", check_changes},
	{"pusher", check_pusher},
	{"defaultBranch", check_default_branch},
	{"repositories", check_repositories},
	{"repositoryPath", check_repository_path},
	{"files", check_files},
	{"allFiles", check_all_files},
	{"firstMatchOnly", check_first_match},
	{"env", check_env},
	{"options", check_options},
	{"warning", check_warning},
	{"outcome", check_outcome},
	{"says", check_says},
	{"hint", check_hint},
	{"starts", check_starts},
};

static void check_event(struct pair *pair)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, pair->expected) {
		size_t i = 0;

		while (i < ARRAY_LEN(checks) &&
		       !str_eq(str_of(checks[i].key), str_of(item->string)))
			i++;
		if (i == ARRAY_LEN(checks))
			complain(pair, "unknown key %s", item->string);
		else if (checks[i].check)
			checks[i].check(pair, item);
	}
}

static void check_delivery(struct pair *pair)
{
	const char *refused = json_str_at(pair->expected, "refused");
	const char *unreadable = json_str_at(pair->expected, "unreadable");
	struct err err = {0};
	bool holds = hook_delivery_holds(pair->delivery);
	const cJSON *id = json_at(pair->expected, "id");
	const cJSON *unsigned_ping = json_at(pair->expected, "unsignedPing");
	const struct hook_request request = sender_request(&pair->sender, pair->type);

	if (unsigned_ping)
		check_bool(pair, unsigned_ping, hook_is_unsigned_ping(&request));
	if (id)
		check_text(pair, id, hook_delivery_id(pair->delivery));
	if (refused) {
		if (holds)
			complain(pair, "was accepted");
		expect_words(pair, "refused", refused, hook_delivery_refusal(pair->delivery));
		return;
	}
	if (!holds)
		complain(pair, "refused: %s", hook_delivery_refusal(pair->delivery));
	if (hook_delivery_finish(pair->delivery, &pair->event, &err)) {
		expect_words(pair, "unreadable", unreadable ? unreadable : "(readable)", err.msg);
		return;
	}
	if (unreadable)
		complain(pair, "was read, expected \"%s\"", unreadable);
	if (pair->bc)
		decision_make(&pair->decision, pair->bc, pair->event, NULL);
	check_event(pair);
}

static void load(struct pair *pair, const char *path)
{
	const cJSON *bc;
	CLEANUP(mem_free) char *expected = NULL;
	struct err err = {0};
	struct str stem = str_of(path);
	size_t n = 0;

	pair->http = mem_strdup(path);
	pair->json = mem_new(stem.n + 1, 1);
	memcpy(pair->json, path, stem.n - 4);
	memcpy(pair->json + stem.n - 4, "json", 5);
	expected = read_file(pair->json, &n);
	if (json_parse(&pair->expected, str_range(expected, n), &err))
		fail_msg("%s: %s", pair->json, err.msg);
	pair->head.data = read_file(path, &pair->head.len);
	pair->sender.secrets[0] = str_of(string_of(pair, "secret", SENDER_SECRET));
	pair->sender.secrets[1] = STR(SIGNING_TOKEN);
	pair->sender.n_secrets = 2;
	bc = json_at(pair->expected, "buildConfig");
	pair->bc = bc ? buildconfig_parse(bc) : NULL;
	pair->sender.is_path_proven = json_bool_at(pair->expected, "pathProven", false);
	pair->sender.allow_env = json_bool_at(pair->expected, "allowEnv", false);
	assert_true(hook_type_parse(str_of(string_of(pair, "type", "")), &pair->type));
	parse_http(pair);
}

static void release(struct pair *pair)
{
	for (size_t i = 0; i < SENDER_HEADERS; i++)
		mem_free(&pair->values[i]);
	decision_release(&pair->decision);
	buildconfig_free(pair->bc);
	hook_delivery_free(pair->delivery);
	json_freep(&pair->expected);
	buf_release(&pair->head);
	mem_free(&pair->http);
	mem_free(&pair->json);
}

static bool wants_ref(const void *bc, struct str ref)
{
	return !bc || refs_may_build(bc, ref, NULL);
}

static size_t check_pair(const char *path, size_t piece)
{
	CLEANUP(release) struct pair pair = {0};

	load(&pair, path);
	pair.sender.piece = piece;
	pair.sender.wants_ref = wants_ref;
	pair.sender.wants_ref_arg = pair.bc;
	pair.delivery = sender_send(&pair.sender, pair.type);
	check_delivery(&pair);
	return pair.n_wrong;
}

static void check_all(size_t piece)
{
	glob_t found = {0};
	size_t n_wrong = 0;

	assert_int_equal(glob("tests/data/*/*.http", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		n_wrong += check_pair(found.gl_pathv[i], piece);
	globfree(&found);
	assert_int_equal(n_wrong, 0);
}

static void every_delivery_is_understood(void **state)
{
	(void)state;
	check_all(0);
}

static void a_delivery_that_comes_in_pieces_is_understood_all_the_same(void **state)
{
	(void)state;
	check_all(1);
	check_all(7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_delivery_is_understood),
		cmocka_unit_test(a_delivery_that_comes_in_pieces_is_understood_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
