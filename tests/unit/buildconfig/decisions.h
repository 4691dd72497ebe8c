/* Tables of pushes, and what is decided for each. */
#pragma once

#include "fixture.h"

#include "buildconfig/verdict.h"

#define GIT(more)       "'source':{'git':{'uri':'https://git.example.com/acme/cart.git'" more "}}"
#define REF(ref)        GIT(",'ref':'" ref "'")
#define ANN(key, value) "'buildhook.io/" key "':'" value "'"

struct push {
	const char *ref;
	const char *default_branch;
	const char *message;
	const char *files; /* file names, each followed by a comma (in place of NUL) */
	const char *repository;
	bool lists_not_all_files;
	bool is_delete;
	bool is_generic;
};

static inline void decide(struct verdict *out, const struct buildconfig *bc,
			  const struct push *push, const char *fixed_branch)
{
	CLEANUP(mem_free) char *files = mem_strdup(push->files ? push->files : "");
	struct verdict_options options = {.default_branch = fixed_branch};
	const struct delivery_change change = {
		.ref = (char *)push->ref,
		.is_delete = push->is_delete,
		.message = (char *)push->message,
	};
	const struct delivery_event event = {
		.type = push->is_generic ? HOOK_GENERIC : HOOK_GITHUB,
		.default_branch = (char *)push->default_branch,
		.repositories = {(char *)push->repository},
		.files = files,
		.files_bytes = strlen(files),
		.have_all_files = push->files && !push->lists_not_all_files,
	};

	for (size_t i = 0; i < event.files_bytes; i++)
		files[i] = files[i] == ',' ? '\0' : files[i];
	verdict_decide(out, bc, &event, &change, fixed_branch ? &options : NULL);
}

struct ruling {
	const char *spec;
	const char *annotations;
	struct push push;
	enum outcome reason;
	const char *says; /* a part of the message */
};

static inline void check(const struct ruling *table, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct verdict verdict;
		BC bc = make_bc(table[i].spec, table[i].annotations);

		decide(&verdict, bc, &table[i].push, NULL);
		if (verdict.reason != table[i].reason ||
		    (table[i].says && !strstr(verdict.message, table[i].says)))
			fail_msg("%zu: %s %s %s: %s, %s", i, table[i].spec, table[i].annotations,
				 table[i].push.ref, outcome_name(verdict.reason), verdict.message);
		assert_true(verdict.reason == OUTCOME_START || *verdict.brief);
	}
}
