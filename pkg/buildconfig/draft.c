#include "buildconfig/draft.h"

#include "base/buf.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

void draft_add_problem(char problem[DRAFT_PROBLEM_BYTES], const char *fmt, ...)
{
	char text[DRAFT_PROBLEM_BYTES];
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	size_t len = strlen(problem);
	const char *sep = len > 0 ? "; " : "";
	if (n >= 0 && len + strlen(sep) + strlen(text) < DRAFT_PROBLEM_BYTES)
		(void)snprintf(problem + len, DRAFT_PROBLEM_BYTES - len, "%s%s", sep, text);
}

const char *draft_type_name(const cJSON *item)
{
	if (cJSON_IsString(item))
		return "text";
	if (cJSON_IsNumber(item))
		return "a number";
	if (cJSON_IsBool(item))
		return "a boolean";
	if (cJSON_IsArray(item))
		return "a list";
	if (cJSON_IsObject(item))
		return "an object";
	return "null";
}

const char *draft_quote(char out[DRAFT_QUOTE_BYTES], const char *text)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT(DRAFT_QUOTE_BYTES);
	/* A byte that is replaced becomes three (U+FFFD). */
	buf_put_clean(&b, str_of(text), 40);
	(void)snprintf(out, DRAFT_QUOTE_BYTES, "\"%s\"", buf_text(&b));
	return out;
}

typedef void (*text_fn)(void *arg, const char **text);

/* Calls FN for every text of BC that lies in its block. */
static void each_text(struct buildconfig *bc, text_fn fn, void *arg)
{
	const char **const fixed[] = {
		&bc->namespace_,  &bc->name,       &bc->uid,    &bc->resource_version,
		&bc->git_uri,     &bc->git_ref,    &bc->refs,   &bc->context_dir,
		&bc->paths,       &bc->repository, &bc->rotate, &bc->redeliver,
		&bc->redelivered, &bc->problem,
	};
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		fn(arg, fixed[i]);
	for (size_t i = 0; i < HOOK_TYPES; i++) {
		struct buildconfig_hook *hook = &bc->hooks[i];
		struct buildconfig_secret *secrets = (struct buildconfig_secret *)hook->secrets;
		fn(arg, &hook->problem);
		for (size_t j = 0; j < hook->n_secrets; j++)
			fn(arg, &secrets[j].text);
	}
}

static void measure_text(void *arg, const char **text)
{
	size_t *bytes = arg;
	if (*text && **text)
		*bytes += strlen(*text) + 1;
}

static void place_text(void *arg, const char **text)
{
	char **free_space = arg;
	if (!*text || !**text) {
		*text = "";
		return;
	}
	size_t n = strlen(*text) + 1;
	memcpy(*free_space, *text, n);
	*text = *free_space;
	*free_space += n;
}

/* Moves the secrets behind the struct; returns their end. */
static char *place_secrets(struct buildconfig *bc)
{
	char *end = (char *)(bc + 1);
	for (size_t i = 0; i < HOOK_TYPES; i++) {
		struct buildconfig_hook *hook = &bc->hooks[i];
		size_t bytes = hook->n_secrets * sizeof(hook->secrets[0]);
		if (bytes > 0)
			memcpy(end, hook->secrets, bytes);
		hook->secrets = (struct buildconfig_secret *)end;
		end += bytes;
	}
	return end;
}

/* Appends the values of the status at END; returns the end of them. */
static char *place_status(struct buildconfig *bc, const struct draft *draft, char *end)
{
	bc->status = end;
	for (size_t i = 0; i < BUILDCONFIG_STATUS_KEYS; i++) {
		size_t n = draft->status[i] ? strlen(draft->status[i]) + 1 : 0;
		if (n > 0)
			memcpy(end, draft->status[i], n);
		end += n;
	}
	return end;
}

/* One newline at the end of an inline secret is not part of it. */
static void cut_newlines(struct buildconfig_hook *hook)
{
	for (size_t i = 0; i < hook->n_secrets; i++) {
		char *text = (char *)hook->secrets[i].text;
		size_t n = strlen(text);
		if (hook->secrets[i].kind == BUILDCONFIG_SECRET_INLINE && n > 0 &&
		    text[n - 1] == '\n')
			text[n - 1] = '\0';
	}
}

struct buildconfig *draft_pack(struct draft *draft)
{
	struct buildconfig *bc = &draft->bc;
	bc->problem = draft->problem;
	size_t bytes = sizeof(*bc);
	for (size_t i = 0; i < HOOK_TYPES; i++) {
		bc->hooks[i].secrets = draft->secrets[i];
		bc->hooks[i].problem = draft->hook_problems[i];
		bytes += bc->hooks[i].n_secrets * sizeof(draft->secrets[0][0]);
	}
	for (size_t i = 0; i < BUILDCONFIG_STATUS_KEYS; i++)
		bytes += draft->status[i] ? strlen(draft->status[i]) + 1 : 0;
	each_text(bc, measure_text, &bytes);

	struct buildconfig *packed = mem_new(1, bytes);
	*packed = *bc;
	char *free_space = place_status(packed, draft, place_secrets(packed));
	each_text(packed, place_text, &free_space);
	for (size_t i = 0; i < HOOK_TYPES; i++)
		cut_newlines(&packed->hooks[i]);
	return packed;
}
