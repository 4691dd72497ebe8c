/*
 * Command-line flags from a table: parsing, help and messages. A wrong flag is one line that says
 * what was found and what is expected.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

enum flag_kind {
	FLAG_STRING,   /* const char * */
	FLAG_STRINGS,  /* struct flag_list, repeatable */
	FLAG_BOOL,     /* bool; "--x" and "--x=false" */
	FLAG_COUNT,    /* uint64_t */
	FLAG_NUMBER,   /* double, not negative */
	FLAG_SIZE,     /* uint64_t, bytes: "1048576", "25MiB" */
	FLAG_DURATION, /* int64_t, milliseconds: "4s", "1h30m", as in Go */
};

#define FLAG_LIST_MAX 64

struct flag_list {
	const char *items[FLAG_LIST_MAX];
	size_t n;
};

/* Or-ed to the kind: the flag has a short form, too, "-n". */
#define FLAG_SHORT(letter) ((unsigned)(letter) << 8)

struct flag {
	const char *name;  /* without dashes */
	unsigned kind;     /* enum flag_kind | FLAG_SHORT() */
	size_t offset;     /* of the member that the flag sets */
	const char *value; /* what the help calls its value: "FILE" */
	const char *help;
	const char *const *choices; /* FLAG_STRING: NULL-terminated, or NULL: any */
};

static inline enum flag_kind flag_kind(const struct flag *flag)
{
	return (enum flag_kind)(flag->kind & 0xff);
}

/* 'n' for "-n", 0 without a short form. */
static inline char flag_letter(const struct flag *flag)
{
	return (char)(flag->kind >> 8);
}

/* Flags and the struct whose members they set; it holds the defaults. */
struct flag_set {
	const struct flag *flags;
	size_t n;
	void *out;
};

/*
 * Sets the members and collects in ARGS (at most MAX_ARGS; *N_ARGS) the arguments that are not
 * flags. The texts are ARGV's. ARGV[0] is not looked at. "--" ends the flags; "-" is an argument.
 */
int flags_parse(const struct flag_set *sets, size_t n_sets, int argc, char **argv,
		const char **args, size_t max_args, size_t *n_args, struct err *err);
