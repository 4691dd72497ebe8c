/*
 * The JSON value of a YAML scalar, as sigs.k8s.io/yaml converts it.
 */
#pragma once

#include "doc/json.h"

struct yaml_scalar {
	struct str text;
	const char *tag; /* the tag in full, or NULL */
	bool is_plain;   /* neither quoted nor a block */
};

/*
 * Integers from 10^15 on become raw JSON, exact up to 2^64 - 1. ERR_INVALID for a text
 * that is not what its tag says, and for what no C string holds.
 */
int yaml_scalar_parse(cJSON **out, const struct yaml_scalar *scalar, struct err *err);
/* The text that VALUE becomes as a key in JSON, allocated; NULL if it cannot be a key. */
char *yaml_scalar_format_key(const cJSON *value);
