/* Tables for people: columns as wide as their content, 80 columns in all unless told otherwise. */
#pragma once

#include "base/buf.h"

#define TABLE_MAX_COLUMNS 10

enum table_colour { TABLE_PLAIN, TABLE_GOOD, TABLE_BAD, TABLE_WARN, TABLE_FAINT };

struct table;

/*
 * HEADS: the columns' titles, NULL-terminated. In a table that is wider than 80 columns column CUT
 * is shortened at its end, and if that is not enough the widest others in their middle; with
 * IS_WIDE none is.
 */
struct table *table_new(const char *const *heads, size_t cut, bool is_wide);
void table_free(struct table *table);
/* For CLEANUP. */
void table_freep(struct table **table);
/* The next cell, from left to right, row by row. Cleaned: the text may be from outside. */
void table_put(struct table *table, struct str text, enum table_colour colour);
void table_putf(struct table *table, enum table_colour colour, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Prints the table on stdout, with its head, and drops the rows. The widths stay at least as they
 * were, so that rows that follow (-w) stand below those before; these come without a head. */
void table_print(struct table *table);
size_t table_rows(const struct table *table);

/* The escape sequence of COLOUR, and the one that ends it; "" where there are no colours. */
const char *table_colour_start(enum table_colour colour);
const char *table_colour_end(void);

/* "45s", "3m", "5h12m", "2d3h": an age as kubectl prints it. */
void table_put_age(struct buf *out, int64_t ms);
