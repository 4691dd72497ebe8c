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

struct flag {
	const char *name; /* without dashes */
	enum flag_kind kind;
	size_t offset;     /* of the member it sets */
	const char *value; /* what the help calls its value: "FILE" */
	const char *help;
	const char *const *choices; /* FLAG_STRING: NULL-terminated, or NULL: any */
};

/*
 * Fills OUT (which holds the defaults) and collects what is no flag in ARGS (at most MAX_ARGS;
 * *N_ARGS). The texts are ARGV's. ARGV[0] is not looked at. "--" ends the flags.
 */
int flags_parse(void *out, const struct flag *flags, size_t n_flags, int argc, char **argv,
		const char **args, size_t max_args, size_t *n_args, struct err *err);
/* One line a flag, on stdout. */
void flags_print(const struct flag *flags, size_t n_flags);

bool flags_parse_duration(struct str text, int64_t *out_ms);
bool flags_parse_size(struct str text, uint64_t *out_bytes);
