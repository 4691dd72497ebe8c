/*
 * Borrowed text: a pointer and a length, not NUL-terminated, never owned. A zeroed struct is the
 * empty string.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *p;
	size_t n;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
/* For printf: "%.*s", STR_ARG(s) */
#define STR_ARG(s) (int)(s).n, str_text(s)

static inline const char *str_text(struct str s)
{
	return s.p ? s.p : "";
}

/* NULL gives the empty string. */
static inline struct str str_of(const char *s)
{
	return (struct str){s, s ? strlen(s) : 0};
}

static inline struct str str_range(const char *p, size_t n)
{
	return (struct str){p, n};
}

static inline bool str_empty(struct str s)
{
	return s.n == 0;
}

bool str_eq(struct str a, struct str b);
/* ASCII case is ignored: header names and the like. */
bool str_eq_nocase(struct str a, struct str b);
/* How many bytes at the beginning of S are printable ASCII, from space to tilde. */
size_t str_count_printable(struct str s);
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
/* Without PREFIX where S begins with it, else S. */
struct str str_without_prefix(struct str s, struct str prefix);
/* Without spaces and tabs at both ends. */
struct str str_trim(struct str s);
/* Position of C in S, or S.n. */
size_t str_find_char(struct str s, char c);
/* Every S contains the empty string. */
bool str_contains(struct str s, struct str needle);
/*
 * Takes the part of REST before the first SEP into *PART and leaves in REST what follows that SEP.
 * False when REST is empty: "a,,b" has three parts, "a," has one, and "" has none.
 */
bool str_next_part(struct str *rest, char sep, struct str *part);
/*
 * A DNS-1123 subdomain, the form of most names in Kubernetes: at most 253 bytes, labels of
 * lower-case letters, digits and inner dashes, with a dot between two. (Kubernetes docs, "Object
 * Names and IDs".)
 */
bool str_is_dns_subdomain(struct str s);
/* One DNS-1123 label of at most 63 bytes, as namespaces are named. */
bool str_is_dns_label(struct str s);
/*
 * A decimal number without sign, space or leading zero, at most MAX. False, and *OUT untouched,
 * otherwise.
 */
bool str_parse_u64(struct str s, uint64_t max, uint64_t *out);
/* The value of a hexadecimal digit in either case, or -1. */
int str_hex_digit(char c);
/*
 * Takes from S, which is not empty, the byte that "%" and two hexadecimal digits stand for, or the
 * first one as it is.
 */
char str_take_escaped(struct str *s);
/*
 * The PARTS one after the other, cut to SIZE - 1 bytes, and a NUL: what snprintf() does with "%s",
 * for a tenth of its time. STR_JOIN() takes an array.
 */
void str_join(char *out, size_t size, const struct str *parts, size_t n_parts);
#define STR_JOIN(out, ...)                                                                         \
	str_join((out), sizeof(out), (const struct str[]){__VA_ARGS__},                            \
		 sizeof((const struct str[]){__VA_ARGS__}) / sizeof(struct str))
/* An allocated, NUL-terminated copy. */
char *str_dup(struct str s);

/*
 * The character that S begins with into *OUT; returns how many bytes it has, or 0 when S is empty
 * or does not begin with valid UTF-8.
 */
size_t str_decode_utf8(struct str s, uint32_t *out);
/* Valid as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool str_is_utf8(struct str s);
/* The longest prefix of at most MAX bytes that ends at a character boundary. */
struct str str_cut_utf8(struct str s, size_t max);
