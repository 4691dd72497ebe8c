/*
 * JSON documents of the API server, as cJSON trees: typed access by path that never trusts a type,
 * and building. A parsed document is never printed back (numbers above 2^53 would change): what is
 * sent is built from scratch. Not for payloads from outside (doc/reader.h): a string ends at an
 * escaped U+0000 here. That is accepted, because one such string in one user's object must not keep
 * a whole list from being read.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <cjson/cJSON.h>

/* For CLEANUP. */
void json_freep(cJSON **doc);

/* Exactly one value, nested at most 1,000 deep, and nothing after it. ERR_INVALID otherwise. */
int json_parse(cJSON **out, struct str text, struct err *err);
/* Appends the compact text of DOC. */
void json_format(struct buf *out, const cJSON *doc);

/*
 * The member at PATH ("metadata/name"; keys that hold a slash are found with json_member()), or
 * NULL when there is none or what is on the way is no object. "" is DOC itself. Case-sensitive.
 * DOC may be NULL.
 */
const cJSON *json_at(const cJSON *doc, const char *path);
const cJSON *json_member(const cJSON *object, const char *key);
/* NULL unless a string is there; lent by DOC. */
const char *json_str_at(const cJSON *doc, const char *path);
/* The first element of LIST with the string TEXT at PATH, or NULL. LIST may be NULL. */
const cJSON *json_find(const cJSON *list, const char *path, const char *text);
/* FALLBACK unless an integral number between -2^53 and 2^53, both excluded, is there. */
int64_t json_int_at(const cJSON *doc, const char *path, int64_t fallback);
bool json_bool_at(const cJSON *doc, const char *path, bool fallback);

/* Building. Each function returns the item that it added; a string or text that is NULL is left out
 * (NULL is returned). Allocation failure aborts. */
cJSON *json_new_object(void);
cJSON *json_new_array(void);
cJSON *json_put_str(cJSON *object, const char *key, const char *value);
cJSON *json_put_text(cJSON *object, const char *key, struct str value);
cJSON *json_put_int(cJSON *object, const char *key, int64_t value);
cJSON *json_put_bool(cJSON *object, const char *key, bool value);
/* Takes CHILD over. */
cJSON *json_put(cJSON *object, const char *key, cJSON *child);
cJSON *json_put_object(cJSON *object, const char *key);
cJSON *json_put_array(cJSON *object, const char *key);
/* Takes CHILD over. */
cJSON *json_append(cJSON *array, cJSON *child);
/*
 * A deep copy of DOC, to be put elsewhere. Only for documents without numbers above 2^53; NULL
 * gives NULL.
 */
cJSON *json_copy(const cJSON *doc);
