/*
 * Command-line flags, in the forms that kubectl takes: --name=value, --name value, -n value,
 * -nvalue.
 */
#include "flags.h"

#include "suggest.h"

#include "base/buf.h"
#include "base/mem.h"

#include <math.h>

#define MAX_DURATION_MS (10.0 * 365 * 24 * 3600 * 1000)

/* Digits with at most one point, as Go's durations have them; *REST is what follows. */
static bool take_number(struct str *rest, double *out)
{
	double value = 0, unit = 1;
	bool has_point = false;
	size_t n = 0, digits = 0;

	for (; n < rest->n; n++) {
		char c = rest->p[n];

		if (c == '.' && !has_point) {
			has_point = true;
			continue;
		}
		if (c < '0' || c > '9')
			break;
		digits++;
		value = value * 10 + (c - '0');
		if (has_point)
			unit *= 10;
	}
	*rest = str_range(rest->p + n, rest->n - n);
	*out = value / unit;
	return digits > 0 && digits < 16;
}

static bool take_unit(struct str *rest, double *out_ms)
{
	/* Longer ones first: "ms" is not "m". */
	static const struct {
		const char *name;
		double ms;
	} units[] = {{"ns", 1e-6}, {"us", 1e-3}, {"\u00b5s", 1e-3}, {"ms", 1},
		     {"s", 1e3},   {"m", 6e4},   {"h", 3.6e6}};

	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		struct str name = str_of(units[i].name);

		if (str_starts(*rest, name)) {
			*rest = str_without_prefix(*rest, name);
			*out_ms = units[i].ms;
			return true;
		}
	}
	return false;
}

static bool parse_duration(struct str text, int64_t *out_ms)
{
	double total_ms = 0;

	if (str_eq(text, STR("0"))) {
		*out_ms = 0;
		return true;
	}
	if (text.n == 0)
		return false;
	while (text.n > 0) {
		double number, unit_ms;

		if (!take_number(&text, &number) || !take_unit(&text, &unit_ms))
			return false;
		total_ms += number * unit_ms;
	}
	if (total_ms > MAX_DURATION_MS)
		return false;
	*out_ms = (int64_t)llround(total_ms);
	return true;
}

static bool parse_size(struct str text, uint64_t *out_bytes)
{
	static const struct {
		const char *suffix;
		uint64_t bytes;
	} units[] = {{"KiB", 1024}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};
	uint64_t unit = 1, number;

	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		struct str suffix = str_of(units[i].suffix);

		if (str_ends(text, suffix)) {
			text.n -= suffix.n;
			unit = units[i].bytes;
		}
	}
	if (!str_parse_u64(text, (UINT64_C(1) << 40) / unit, &number))
		return false;
	*out_bytes = number * unit;
	return true;
}

static bool parse_bool(struct str text, bool *out)
{
	if (!str_eq(text, STR("true")) && !str_eq(text, STR("false")))
		return false;
	*out = text.n == 4;
	return true;
}

static int set_choice(const struct flag *flag, const char **out, const char *value, struct err *err)
{
	CLEANUP(buf_release) struct buf list = BUF_INIT(200);

	for (const char *const *choice = flag->choices; choice && *choice; choice++) {
		if (strcmp(*choice, value) == 0) {
			*out = value;
			return 0;
		}
		buf_printf(&list, "%s%s", list.len ? ", " : "", *choice);
	}
	if (!flag->choices) {
		*out = value;
		return 0;
	}
	return err_set(err, ERR_INVALID, "--%s: found \"%.60s\", expected one of %s", flag->name,
		       value, list.data);
}

static int append(const struct flag *flag, struct flag_list *list, const char *value,
		  struct err *err)
{
	if (list->n == FLAG_LIST_MAX)
		return err_set(err, ERR_INVALID, "--%s: given more than %d times", flag->name,
			       FLAG_LIST_MAX);
	list->items[list->n++] = value;
	return 0;
}

static int set_flag(const struct flag *flag, void *out, const char *value, struct err *err)
{
	void *member = (char *)out + flag->offset;
	struct str text = str_of(value);
	const char *expected;
	double number;
	bool is_good;

	switch (flag_kind(flag)) {
	case FLAG_STRING:
		return set_choice(flag, member, value, err);
	case FLAG_STRINGS:
		return append(flag, member, value, err);
	case FLAG_BOOL:
		is_good = parse_bool(text, member);
		expected = "true or false";
		break;
	case FLAG_COUNT:
		is_good = str_parse_u64(text, 1000000, member);
		expected = "a whole number up to 1000000";
		break;
	case FLAG_NUMBER:
		is_good = take_number(&text, &number) && text.n == 0;
		expected = "a number, as 12 or 0.5";
		if (is_good)
			memcpy(member, &number, sizeof(number));
		break;
	case FLAG_SIZE:
		is_good = parse_size(text, member);
		expected = "a size in bytes, or with KiB, MiB or GiB, as 25MiB";
		break;
	default:
		is_good = parse_duration(text, member);
		expected = "a duration, as 4s, 500ms or 1h30m";
		break;
	}
	if (is_good)
		return 0;
	return err_set(err, ERR_INVALID, "--%s: found \"%.60s\", expected %s", flag->name, value,
		       expected);
}

/* A flag, and the struct that it belongs to. */
struct found {
	const struct flag *flag;
	void *out;
};

static bool is_meant(const struct flag *flag, struct str name, char letter)
{
	return letter ? flag_letter(flag) == letter : str_eq(name, str_of(flag->name));
}

/* Finds a flag by NAME, or by LETTER if that is not 0. */
static bool find_flag(struct found *out, const struct flag_set *sets, size_t n_sets,
		      struct str name, char letter)
{
	for (size_t i = 0; i < n_sets; i++)
		for (size_t k = 0; k < sets[i].n; k++)
			if (is_meant(&sets[i].flags[k], name, letter)) {
				*out = (struct found){&sets[i].flags[k], sets[i].out};
				return true;
			}
	return false;
}

/* The flag's value is the next argument. */
static int take_next(const struct found *found, char **argv, int *at, struct err *err)
{
	const struct flag *flag = found->flag;

	if (!argv[*at + 1])
		return err_set(err, ERR_INVALID, "--%s needs a value: --%s %s", flag->name,
			       flag->name, flag->value);
	(*at)++;
	return set_flag(flag, found->out, argv[*at], err);
}

static int fail_unknown(const struct flag_set *sets, size_t n_sets, struct str name,
			struct err *err)
{
	CLEANUP(mem_free) char *typed = str_dup(name);
	struct suggestion similar = {.typed = typed};

	for (size_t i = 0; i < n_sets; i++)
		for (size_t k = 0; k < sets[i].n; k++)
			suggest_offer(&similar, sets[i].flags[k].name);
	if (similar.best)
		return err_set(err, ERR_INVALID, "unknown flag: --%.60s; did you mean --%s?", typed,
			       similar.best);
	return err_set(err, ERR_INVALID, "unknown flag: --%.60s; --help lists the flags", typed);
}

static int parse_long(const struct flag_set *sets, size_t n_sets, char **argv, int *at,
		      struct err *err)
{
	struct str text = str_range(argv[*at] + 2, strlen(argv[*at]) - 2);
	size_t equals = str_find_char(text, '=');
	struct found found;

	if (!find_flag(&found, sets, n_sets, str_range(text.p, equals), 0))
		return fail_unknown(sets, n_sets, str_range(text.p, equals), err);
	if (equals < text.n)
		return set_flag(found.flag, found.out, text.p + equals + 1, err);
	if (flag_kind(found.flag) == FLAG_BOOL)
		return set_flag(found.flag, found.out, "true", err);
	return take_next(&found, argv, at, err);
}

/* As kubectl has them: "-n NS", "-nNS", "-n=NS", and switches together, "-Aw". */
static int parse_short(const struct flag_set *sets, size_t n_sets, char **argv, int *at,
		       struct err *err)
{
	const char *arg = argv[*at];

	for (const char *c = arg + 1; *c; c++) {
		struct found found;

		if (!find_flag(&found, sets, n_sets, (struct str){0}, *c))
			return err_set(
				err, ERR_INVALID,
				"unknown shorthand flag: '%.1s' in %.60s; --help lists the flags",
				c, arg);
		if (flag_kind(found.flag) == FLAG_BOOL && c[1] != '=') {
			if (set_flag(found.flag, found.out, "true", err) != 0)
				return err->code;
			continue;
		}
		if (!c[1])
			return take_next(&found, argv, at, err);
		return set_flag(found.flag, found.out, c + (c[1] == '=' ? 2 : 1), err);
	}
	return 0;
}

/* "--provision false": the likeliest way to get a switch wrong. */
static bool is_switch_value(char **argv, int i)
{
	return i > 1 && strncmp(argv[i - 1], "--", 2) == 0 &&
	       (strcmp(argv[i], "true") == 0 || strcmp(argv[i], "false") == 0);
}

int flags_parse(const struct flag_set *sets, size_t n_sets, int argc, char **argv,
		const char **args, size_t max_args, size_t *n_args, struct err *err)
{
	bool is_over = false;

	*n_args = 0;
	for (int i = 1; i < argc; i++) {
		bool is_flag = !is_over && argv[i][0] == '-' && argv[i][1];

		if (is_flag && strcmp(argv[i], "--") == 0) {
			is_over = true;
		} else if (is_flag && argv[i][1] == '-') {
			if (parse_long(sets, n_sets, argv, &i, err) != 0)
				return err->code;
		} else if (is_flag) {
			if (parse_short(sets, n_sets, argv, &i, err) != 0)
				return err->code;
		} else if (*n_args == max_args && is_switch_value(argv, i)) {
			return err_set(err, ERR_INVALID,
				       "\"%s\" after %.60s: a switch takes its value with =, "
				       "%.60s=%s",
				       argv[i], argv[i - 1], argv[i - 1], argv[i]);
		} else if (*n_args == max_args) {
			return err_set(err, ERR_INVALID, "unexpected argument \"%.60s\"", argv[i]);
		} else {
			args[(*n_args)++] = argv[i];
		}
	}
	return 0;
}
