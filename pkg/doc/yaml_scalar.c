/*
 * The type of a plain YAML scalar (null, bool, number, text), as kubectl's parser
 * (sigs.k8s.io/yaml, YAML 1.1) decides it.
 */
#include "doc/yaml_scalar.h"

#include "base/mem.h"
#include "doc/yaml_number.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TAG(name) "tag:yaml.org,2002:" name

/* 10^15: from here on cJSON may write an integer with an exponent, and not all of its digits. */
#define PLAIN_BELOW ((uint64_t)1000000000000000)

enum kind { KIND_NULL, KIND_BOOL, KIND_INTEGER, KIND_FLOAT, KIND_STRING, KIND_BINARY };

static const struct {
	const char *tag;
	enum kind kind;
} tags[] = {
	{TAG("null"), KIND_NULL},   {TAG("bool"), KIND_BOOL},  {TAG("int"), KIND_INTEGER},
	{TAG("float"), KIND_FLOAT}, {TAG("str"), KIND_STRING}, {TAG("binary"), KIND_BINARY},
};

/* The words of YAML 1.1, which may stand in lower case, with a capital, or all in capitals; no
 * other mixture. */
static const struct {
	const char *word;
	enum kind kind;
	bool value;
} words[] = {
	{"", KIND_NULL, false},      {"~", KIND_NULL, false},   {"null", KIND_NULL, false},
	{"y", KIND_BOOL, true},      {"yes", KIND_BOOL, true},  {"true", KIND_BOOL, true},
	{"on", KIND_BOOL, true},     {"n", KIND_BOOL, false},   {"no", KIND_BOOL, false},
	{"false", KIND_BOOL, false}, {"off", KIND_BOOL, false},
};

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

/* TEXT is WORD, Word or WORD. */
static bool is_word(struct str text, const char *word)
{
	bool is_capitalized = text.n > 1 && is_upper(text.p[0]);
	bool is_shouted = is_capitalized && is_upper(text.p[1]);

	if (!str_eq_nocase(text, str_of(word)))
		return false;
	for (size_t i = 1; i < text.n; i++) {
		if (is_upper(text.p[i]) != is_shouted)
			return false;
	}
	return true;
}

/* YAML's infinities and its not-a-number, which JSON has no word for. */
static bool parse_special_float(struct str text, double *out)
{
	bool has_sign = text.n > 0 && (text.p[0] == '-' || text.p[0] == '+');
	struct str rest = has_sign ? str_range(text.p + 1, text.n - 1) : text;
	struct str word = str_without_prefix(rest, STR("."));

	if (word.n + 1 != rest.n)
		return false;
	if (is_word(word, "inf")) {
		*out = text.p[0] == '-' ? -INFINITY : INFINITY;
		return true;
	}
	if (has_sign ||
	    !(str_eq(word, STR("nan")) || str_eq(word, STR("NaN")) || str_eq(word, STR("NAN"))))
		return false;
	*out = NAN;
	return true;
}

static cJSON *new_string(struct str text)
{
	CLEANUP(mem_free) char *copy = str_dup(text);

	return cJSON_CreateString(copy);
}

static cJSON *new_number(const struct yaml_number *number)
{
	char digits[24];

	if (!number->is_integer || number->magnitude < PLAIN_BELOW)
		return cJSON_CreateNumber(number->value);
	(void)snprintf(digits, sizeof(digits), "%s%" PRIu64, number->is_negative ? "-" : "",
		       number->magnitude);
	return cJSON_CreateRaw(digits);
}

/* The value of an unquoted text without a tag. */
static cJSON *resolve(struct str text, enum kind *kind)
{
	struct yaml_number number = {0};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (is_word(text, words[i].word)) {
			*kind = words[i].kind;
			return *kind == KIND_NULL ? cJSON_CreateNull()
						  : cJSON_CreateBool(words[i].value);
		}
	}
	if (yaml_number_parse(&number, text) || parse_special_float(text, &number.value)) {
		*kind = number.is_integer ? KIND_INTEGER : KIND_FLOAT;
		return new_number(&number);
	}
	*kind = KIND_STRING;
	return new_string(text);
}

/* Makes a float of an integer, for the tag !!float. Go does that only for integers that fit an
 * int64. */
static bool become_float(cJSON **value, enum kind *kind, struct str text)
{
	struct yaml_number number = {0};

	if (*kind != KIND_INTEGER || !yaml_number_parse(&number, text) ||
	    (!number.is_negative && number.magnitude > INT64_MAX))
		return false;
	json_freep(value);
	*value = cJSON_CreateNumber(number.value);
	*kind = KIND_FLOAT;
	return true;
}

static int parse_tagged(cJSON **out, struct str text, enum kind wanted, struct err *err)
{
	CLEANUP(json_freep) cJSON *value = NULL;
	enum kind kind = KIND_STRING;

	value = resolve(text, &kind);
	if (kind != wanted && !(wanted == KIND_FLOAT && become_float(&value, &kind, text)))
		return err_set(err, ERR_INVALID, "a value that is not what its tag says");
	*out = TAKE(value);
	return 0;
}

static enum kind find_kind(const char *tag)
{
	for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
		if (strcmp(tag, tags[i].tag) == 0)
			return tags[i].kind;
	}
	/* JSON has no types for other tags: the text stays. */
	return KIND_STRING;
}

int yaml_scalar_parse(cJSON **out, const struct yaml_scalar *scalar, struct err *err)
{
	enum kind kind = scalar->tag ? find_kind(scalar->tag) : KIND_STRING;

	if (memchr(scalar->text.p, '\0', scalar->text.n))
		return err_set(err, ERR_INVALID, "U+0000 in a string");
	if (!scalar->tag && scalar->is_plain) {
		*out = resolve(scalar->text, &kind);
		return 0;
	}
	if (kind == KIND_BINARY)
		return err_set(err, ERR_INVALID, "!!binary is not supported; write it as text");
	if (kind != KIND_STRING)
		return parse_tagged(out, scalar->text, kind, err);
	*out = new_string(scalar->text);
	return 0;
}

/* NULL for fractions, infinities and numbers that a double does not hold exactly. */
static char *format_number_key(double value)
{
	char text[32];

	if (!(fabs(value) < (double)PLAIN_BELOW) || trunc(value) != value)
		return NULL;
	(void)snprintf(text, sizeof(text), "%.0f", value);
	return mem_strdup(text);
}

char *yaml_scalar_format_key(const cJSON *value)
{
	if (cJSON_IsString(value))
		return mem_strdup(value->valuestring);
	if (cJSON_IsBool(value))
		return mem_strdup(cJSON_IsTrue(value) ? "true" : "false");
	if (cJSON_IsNumber(value))
		return format_number_key(value->valuedouble);
	if (!cJSON_IsRaw(value))
		return NULL;
	errno = 0;
	(void)strtoll(value->valuestring, NULL, 10);
	return errno ? NULL : mem_strdup(value->valuestring);
}
