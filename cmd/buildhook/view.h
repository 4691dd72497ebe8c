/*
 * What people are shown of BuildConfigs and Builds: rows made of the documents of the API server.
 * Pure. Shared by status, history and the page.
 */
#pragma once

#include "base/buf.h"
#include "delivery/type.h"
#include "doc/json.h"

/* One hook of a BuildConfig. Texts are lent by the documents, "" where there is nothing. */
struct view_hook {
	const char *namespace_, *name;
	enum hook_type type;
	const char *state, *url, *secret, *refused, *hint;
	int64_t last_ms;      /* wall clock of the newest delivery; 0: none is known */
	struct str last;      /* as its annotation tells it; view_put_last() has all of it */
	const cJSON *build;   /* the newest Build that this hook started, or NULL */
	bool is_last_a_build; /* that Build's delivery is newer than what is annotated */
};

/* The hooks of a BuildConfig in their order, into OUT, which has room for HOOK_TYPES; returns how
 * many. BUILDS: the items of a list, or NULL. */
size_t view_hooks(struct view_hook *out, const cJSON *bc, const cJSON *builds);

/*
 * The newest delivery: "push main 3f2a1b0 by bob -> cart-7"; nothing where none is known.
 * Annotations are written some seconds apart, and a Build is there at once.
 */
void view_put_last(struct buf *out, const struct view_hook *hook);

/* "push main 3f2a1b0 by Alice -> cart-7", as far as the Build tells. */
void view_put_build(struct buf *out, const cJSON *build);
/* Wall clock of the delivery that started it; 0 where no delivery did. */
int64_t view_accepted_ms(const cJSON *build);
/* Annotation KEY, "" without it. */
const char *view_annotation(const cJSON *object, const char *key);
/* Whether BUILD is of BuildConfig NAME. */
bool view_is_build_of(const cJSON *build, const char *name);
/* N of NAME-N. */
int64_t view_build_number(const cJSON *build);
/* "New", "Running", ... */
const char *view_phase(const cJSON *build);
/* The Build has ended. */
bool view_is_over(const cJSON *build);
/* Milliseconds that it has run until its end or NOW_MS; -1 where it has not begun. */
int64_t view_duration_ms(const cJSON *build, int64_t now_ms);
/* Wall clock of an RFC 3339 text; 0 where it is none. */
int64_t view_time(const char *text);
/* "2026-...Z rest" in two. */
void view_split_time(struct str line, struct str *at, struct str *rest);
