/*
 * Access to cJSON documents: getters that never trust a type, and a printer for documents that we
 * build ourselves.
 */
#include "doc/json.h"

#include "base/mem.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* 2^53: from here on neighbouring integers are the same double. */
#define EXACT_BELOW 9007199254740992.0
/* 10^15: from here on cJSON may print an exponent, which Go's decoder refuses for an integer. */
#define PLAIN_BELOW 1000000000000000LL

static void *allocate(size_t n)
{
	return mem_resize(NULL, 1, n);
}

/*
 * cJSON reports a failed allocation as if the text were wrong. With an allocator that aborts, NULL
 * can only mean the text. Set before main(), since cJSON keeps it for the whole process.
 */
__attribute__((constructor)) static void set_allocator(void)
{
	cJSON_Hooks hooks = {.malloc_fn = allocate, .free_fn = free};

	cJSON_InitHooks(&hooks);
}

void json_freep(cJSON **doc)
{
	cJSON_Delete(*doc);
	*doc = NULL;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

int json_parse(cJSON **out, struct str text, struct err *err)
{
	CLEANUP(json_freep) cJSON *doc = NULL;
	const char *at = text.p;

	if (str_empty(text))
		return err_set(err, ERR_INVALID, "expected a JSON document, found nothing");
	doc = cJSON_ParseWithLengthOpts(text.p, text.n, &at, false);
	if (!doc)
		return err_set(err, ERR_INVALID, "not a JSON document: byte %zu",
			       (size_t)(at - text.p) + 1);
	while (at < text.p + text.n && is_space(*at))
		at++;
	if (at != text.p + text.n)
		return err_set(err, ERR_INVALID,
			       "expected the end of the JSON document at byte %zu",
			       (size_t)(at - text.p) + 1);
	*out = TAKE(doc);
	return 0;
}

void json_format(struct buf *out, const cJSON *doc)
{
	char *text = cJSON_PrintUnformatted(doc);

	assert(text);
	buf_put_str(out, str_of(text));
	cJSON_free(text);
}

static const cJSON *find_member(const cJSON *object, struct str key)
{
	const cJSON *child = NULL;

	if (!cJSON_IsObject(object))
		return NULL;
	cJSON_ArrayForEach (child, object) {
		if (str_eq(str_of(child->string), key))
			return child;
	}
	return NULL;
}

const cJSON *json_member(const cJSON *object, const char *key)
{
	return find_member(object, str_of(key));
}

const cJSON *json_at(const cJSON *doc, const char *path)
{
	struct str rest = str_of(path);
	struct str key = {0};

	while (doc && str_next_part(&rest, '/', &key))
		doc = find_member(doc, key);
	return doc;
}

const char *json_str_at(const cJSON *doc, const char *path)
{
	return cJSON_GetStringValue(json_at(doc, path));
}

const cJSON *json_find(const cJSON *list, const char *path, const char *text)
{
	const cJSON *item = NULL;

	cJSON_ArrayForEach (item, list) {
		const char *its_text = json_str_at(item, path);

		if (its_text && strcmp(its_text, text) == 0)
			return item;
	}
	return NULL;
}

int64_t json_int_at(const cJSON *doc, const char *path, int64_t fallback)
{
	const cJSON *number = json_at(doc, path);

	if (!number || !cJSON_IsNumber(number))
		return fallback;
	if (fabs(number->valuedouble) >= EXACT_BELOW ||
	    trunc(number->valuedouble) != number->valuedouble)
		return fallback;
	return (int64_t)number->valuedouble;
}

bool json_bool_at(const cJSON *doc, const char *path, bool fallback)
{
	const cJSON *item = json_at(doc, path);

	return cJSON_IsBool(item) ? cJSON_IsTrue(item) : fallback;
}

cJSON *json_new_object(void)
{
	return cJSON_CreateObject();
}

cJSON *json_new_array(void)
{
	return cJSON_CreateArray();
}

cJSON *json_put(cJSON *object, const char *key, cJSON *child)
{
	cJSON_bool added = cJSON_AddItemToObject(object, key, child);

	assert(added);
	return child;
}

cJSON *json_append(cJSON *array, cJSON *child)
{
	cJSON_bool added = cJSON_AddItemToArray(array, child);

	assert(added);
	return child;
}

cJSON *json_put_str(cJSON *object, const char *key, const char *value)
{
	return value ? json_put(object, key, cJSON_CreateString(value)) : NULL;
}

cJSON *json_put_text(cJSON *object, const char *key, struct str value)
{
	CLEANUP(mem_free) char *copy = value.p ? str_dup(value) : NULL;

	return json_put_str(object, key, copy);
}

cJSON *json_put_int(cJSON *object, const char *key, int64_t value)
{
	char digits[24];

	if (value > -PLAIN_BELOW && value < PLAIN_BELOW)
		return json_put(object, key, cJSON_CreateNumber((double)value));
	(void)snprintf(digits, sizeof(digits), "%lld", (long long)value);
	return json_put(object, key, cJSON_CreateRaw(digits));
}

cJSON *json_put_bool(cJSON *object, const char *key, bool value)
{
	return json_put(object, key, cJSON_CreateBool(value));
}

cJSON *json_put_object(cJSON *object, const char *key)
{
	return json_put(object, key, json_new_object());
}

cJSON *json_put_array(cJSON *object, const char *key)
{
	return json_put(object, key, json_new_array());
}

cJSON *json_copy(const cJSON *doc)
{
	cJSON *copy = cJSON_Duplicate(doc, true);

	/* The copy does not keep the key that DOC has as a member of its parent. */
	if (copy) {
		cJSON_free(copy->string);
		copy->string = NULL;
	}
	return copy;
}
