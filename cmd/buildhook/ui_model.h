/*
 * The objects that the page shows: BuildConfigs and Builds as the API server has them, followed by
 * list and watch with the caller's rights.
 */
#pragma once

#include "session.h"
#include "view.h"

struct ui_model;

/* Follows the session's namespace, or all of them with --all-namespaces. ON_CHANGE(ARG) soon after
 * anything changed, at most a few times a second. */
struct ui_model *ui_model_new(struct session *session, void (*on_change)(void *arg), void *arg);
void ui_model_free(struct ui_model *model);

/* Rises with every change; begins at 1. */
uint64_t ui_model_version(const struct ui_model *model);
/* True if each first list has come or failed: a page can show more than "being read". */
bool ui_model_is_known(const struct ui_model *model);
/* Why objects are missing, in words; "" if none are. */
const char *ui_model_problem(const struct ui_model *model);

struct ui_buildconfig {
	const cJSON *doc;
	cJSON *builds; /* an array of references, newest first */
};

/* Sorted by namespace and name. Lent until the loop runs again; to be freed with
 * ui_model_free_list(). */
struct ui_buildconfig *ui_model_list(const struct ui_model *model, size_t *n);
void ui_model_free_list(struct ui_buildconfig *list, size_t n);

/* One thing that happened, for a list with the newest first. The texts are lent by the documents.
 */
struct ui_happening {
	int64_t at_ms;
	const char *namespace_, *name; /* of the BuildConfig */
	struct str text;               /* what buildhook wrote of a delivery; empty for a Build */
	const cJSON *build;            /* or NULL */
};

/* Puts the newest MAX happenings of the N BuildConfigs at LIST into OUT; returns how many. */
size_t ui_model_happenings(struct ui_happening *out, size_t max, const struct ui_buildconfig *list,
			   size_t n);
