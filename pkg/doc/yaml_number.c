/*
 * Numbers of YAML 1.1 as Go's parser reads them: decimal, hexadecimal, octal, binary, with
 * underscores.
 */
#include "doc/yaml_number.h"

#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char *copy_without_underscores(struct str text)
{
	char *copy = mem_new(text.n + 1, 1);
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] != '_')
			copy[n++] = text.p[i];
	}
	return copy;
}

/* Removes the prefix 0x, 0o, 0b or 0, if a digit follows it. Returns the base. */
static unsigned take_base(const char **digits)
{
	const char *p = *digits;
	char letter = p[0] == '0' && p[1] && p[2] ? (char)(p[1] | 0x20) : 0;
	unsigned base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;

	if (base) {
		*digits += 2;
		return base;
	}
	if (p[0] != '0' || !p[1])
		return 10;
	*digits += 1;
	return 8;
}

static unsigned digit_value(char c)
{
	if (is_digit(c))
		return (unsigned)(c - '0');
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

static bool parse_integer(struct yaml_number *out, const char *text)
{
	bool is_negative = *text == '-';
	const char *p = text + (*text == '-' || *text == '+');
	uint64_t magnitude = 0;
	unsigned base = take_base(&p);

	if (!*p)
		return false;
	for (; *p; p++) {
		unsigned value = digit_value(*p);

		if (value >= base || __builtin_mul_overflow(magnitude, base, &magnitude) ||
		    __builtin_add_overflow(magnitude, value, &magnitude))
			return false;
	}
	/* Without a sign numbers go up to 2^64 - 1, with one they must fit an int64. */
	if ((*text == '-' || *text == '+') && magnitude > (uint64_t)INT64_MAX + is_negative)
		return false;
	is_negative = is_negative && magnitude > 0;
	*out = (struct yaml_number){.is_integer = true,
				    .is_negative = is_negative,
				    .magnitude = magnitude,
				    .value = is_negative ? -(double)magnitude : (double)magnitude};
	return true;
}

static const char *skip_digits(const char *p)
{
	while (is_digit(*p))
		p++;
	return p;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool looks_like_float(const char *p)
{
	const char *integer = NULL;
	const char *digits = NULL;

	p += *p == '-' || *p == '+';
	integer = p;
	p = skip_digits(p);
	if (*p == '.') {
		bool has_integer = p > integer;

		digits = p + 1;
		p = skip_digits(digits);
		if (!has_integer && p == digits)
			return false;
	} else if (p == integer) {
		return false;
	}
	if (*p != 'e' && *p != 'E')
		return *p == '\0';
	p++;
	p += *p == '-' || *p == '+';
	digits = p;
	p = skip_digits(p);
	return p > digits && *p == '\0';
}

static bool parse_float(struct yaml_number *out, const char *text)
{
	double value = 0;

	if (!looks_like_float(text))
		return false;
	value = strtod(text, NULL);
	if (!isfinite(value))
		return false;
	*out = (struct yaml_number){.value = value};
	return true;
}

/*
 * A number that begins with a point follows Go's syntax: an underscore stands between two digits.
 */
static bool are_underscores_between_digits(struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '_' && (i == 0 || i + 1 == text.n || !is_digit(text.p[i - 1]) ||
					 !is_digit(text.p[i + 1])))
			return false;
	}
	return true;
}

bool yaml_number_parse(struct yaml_number *out, struct str text)
{
	CLEANUP(mem_free) char *plain = NULL;

	if (str_empty(text) || !(is_digit(text.p[0]) || strchr("+-.", text.p[0])))
		return false;
	plain = copy_without_underscores(text);
	if (text.p[0] == '.')
		return are_underscores_between_digits(text) && parse_float(out, plain);
	return parse_integer(out, plain) || parse_float(out, plain);
}
