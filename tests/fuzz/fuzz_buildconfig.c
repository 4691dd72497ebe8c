/*
 * A BuildConfig of any shape becomes an object whose texts are there and bounded, and neither the
 * rules nor the status trip over it. What the status says is clean, and once applied it stays.
 */
#include "base/mem.h"
#include "buildconfig/decision.h"
#include "buildconfig/refs.h"
#include "buildconfig/status.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_hook(const struct buildconfig_hook *hook)
{
	assert(hook->n_secrets <= BUILDCONFIG_MAX_SECRETS);
	assert(hook->exists || hook->n_secrets == 0);
	assert(!hook->exists || hook->n_secrets > 0 || *hook->problem);
	for (size_t i = 0; i < hook->n_secrets; i++) {
		size_t n = strlen(hook->secrets[i].text);
		bool is_inline = hook->secrets[i].kind == BUILDCONFIG_SECRET_INLINE;

		assert(n > 0 && n <= (is_inline ? 4096 : BUILDCONFIG_MAX_NAME));
	}
}

static void check_texts(const struct buildconfig *bc)
{
	const char *const texts[] = {
		bc->namespace_, bc->name,     bc->uid,     bc->resource_version, bc->git_uri,
		bc->git_ref,    bc->strategy, bc->refs,    bc->context_dir,      bc->paths,
		bc->repository, bc->rotate,   bc->problem,
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert(texts[i] && strlen(texts[i]) <= 4096);
	for (size_t i = 0; i < BUILDCONFIG_STATUS_KEYS; i++)
		assert(strlen(buildconfig_status(bc, buildconfig_status_keys[i])) <= 4096);
	assert(bc->last_version >= 0);
	for (size_t i = 0; i < HOOK_TYPES; i++)
		check_hook(&bc->hooks[i]);
}

static void check_verdict(const struct buildconfig *bc)
{
	struct delivery_change change = {
		.ref = (char *)"refs/heads/main",
		.message = (char *)"fix [skip ci]",
	};
	const struct delivery_event event = {
		.changes = &change,
		.n_changes = 1,
		.repository_path = (char *)"ACME/shop",
		.repositories = {(char *)"https://git.example.com/acme/shop.git"},
		.files = (char *)"src/a.c\0docs/b.md\0",
		.files_bytes = 18,
		.have_all_files = true,
	};
	CLEANUP(decision_release) struct decision decision = {0};
	struct verdict verdict;

	verdict_decide(&verdict, bc, &event, &change, NULL);
	decision_make(&decision, bc, &event, NULL);
	assert(decision.reason == verdict.reason);
	assert(verdict.reason != OUTCOME_START || !bc->has_git ||
	       refs_may_build(bc, str_of(change.ref), NULL));
	assert(str_is_utf8(str_of(verdict.message)) && str_is_utf8(str_of(verdict.hint)));
	assert(verdict.reason == OUTCOME_START || (*verdict.message && *verdict.brief));
}

static void check_status(const struct buildconfig *bc)
{
	const struct status_input input = {
		.now_ms = INT64_C(1795467011000),
		.hooks = {{.activity = {.last_ms = INT64_C(1795467011000),
					.last = "push",
					.ignored_reason = OUTCOME_REF_MISMATCH,
					.ignored_row = 2,
					.ignored_what = "refs/heads/main"},
			   .secrets = {{.state = STATUS_SECRET_USABLE}}}},
	};
	CLEANUP(status_release) struct status status;

	status_make(&status, bc, &input);
	for (size_t i = 0; i < status.n; i++) {
		size_t n = strlen(status.items[i].value);
		struct str key = str_of(status.items[i].key);
		size_t max = str_ends(key, STR("-url"))     ? STATUS_URL_BYTES
			     : str_ends(key, STR("recent")) ? STATUS_RECENT_BYTES
							    : STATUS_VALUE_BYTES;

		assert(n > 0 && n <= max);
		assert(str_is_utf8(str_of(status.items[i].value)));
	}
	CLEANUP(json_freep) cJSON *doc = status_document(&status, bc);
	CLEANUP(status_release) struct status again;
	struct buildconfig *applied = buildconfig_parse(doc);

	assert(status_compare(&status, applied) == STATUS_SAME);
	(void)status_fingerprint(&status, applied);
	buildconfig_free(applied);
	status_make(&again, bc, &input);
	assert(again.n == status.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(json_freep) cJSON *doc = NULL;
	struct err err = {0};

	if (json_parse(&doc, str_range((const char *)data, size), &err) != ERR_OK)
		return 0;
	struct buildconfig *bc = buildconfig_parse(doc);
	check_texts(bc);
	check_verdict(bc);
	check_status(bc);
	buildconfig_free(bc);
	return 0;
}
