/*
 * The numbers of YAML 1.1 as Go's YAML library reads them: 0o14 and 014 are twelve, 1_000 a
 * thousand, 08 is eight, and 1e999 is no number at all.
 */
#pragma once

#include "base/str.h"

struct yaml_number {
	bool is_integer;
	bool is_negative; /* of an integer: it is below 0 */
	uint64_t magnitude;
	double value; /* the value of an integer or a float */
};

/* False, and *OUT untouched, for what is no number. */
bool yaml_number_parse(struct yaml_number *out, struct str text);
