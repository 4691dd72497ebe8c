/* Lays out tables in columns; a table wider than the screen has one column cut. */
#include "table.h"

#include "base/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define GAP            2
#define SCREEN_COLUMNS 80
#define MIN_CUT        12
#define MAX_CELL_BYTES 2048

struct cell {
	char *text;
	size_t n_chars;
	enum table_colour colour;
};

struct table {
	size_t n_columns, cut;
	bool is_wide;
	bool has_head;
	size_t widths[TABLE_MAX_COLUMNS];
	const char *heads[TABLE_MAX_COLUMNS];
	struct cell *cells;
	size_t n_cells, cap_cells;
};

/* Characters, each taken to be one column wide. */
static size_t count_chars(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

struct table *table_new(const char *const *heads, size_t cut, bool is_wide)
{
	struct table *table = mem_new(1, sizeof(*table));

	table->cut = cut;
	table->is_wide = is_wide;
	for (; heads[table->n_columns] && table->n_columns < TABLE_MAX_COLUMNS;
	     table->n_columns++) {
		table->heads[table->n_columns] = heads[table->n_columns];
		table->widths[table->n_columns] = count_chars(heads[table->n_columns]);
	}
	return table;
}

static void drop_rows(struct table *table)
{
	for (size_t i = 0; i < table->n_cells; i++)
		mem_free(&table->cells[i].text);
	table->n_cells = 0;
}

void table_free(struct table *table)
{
	if (!table)
		return;
	drop_rows(table);
	mem_free(&table->cells);
	mem_free(&table);
}

void table_freep(struct table **table)
{
	table_free(*table);
	*table = NULL;
}

void table_put(struct table *table, struct str text, enum table_colour colour)
{
	CLEANUP(buf_release) struct buf clean = BUF_INIT(MAX_CELL_BYTES);
	size_t column = table->n_cells % table->n_columns;
	struct cell *cell;

	if (table->n_cells == table->cap_cells) {
		table->cap_cells = table->cap_cells ? 2 * table->cap_cells : 64;
		table->cells = mem_resize(table->cells, table->cap_cells, sizeof(*table->cells));
	}
	buf_put_clean(&clean, text, MAX_CELL_BYTES - 8);
	cell = &table->cells[table->n_cells++];
	*cell = (struct cell){.text = buf_take(&clean), .colour = colour};
	cell->n_chars = count_chars(cell->text);
	if (cell->n_chars > table->widths[column])
		table->widths[column] = cell->n_chars;
}

void table_putf(struct table *table, enum table_colour colour, const char *fmt, ...)
{
	char text[MAX_CELL_BYTES];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	table_put(table, str_of(text), colour);
}

size_t table_rows(const struct table *table)
{
	return table->n_cells / table->n_columns;
}

bool table_has_colour(void)
{
	const char *no_colour = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_colour && *no_colour) &&
	       !(term && strcmp(term, "dumb") == 0);
}

const char *table_colour_start(enum table_colour colour)
{
	static const char *const starts[] = {
		[TABLE_PLAIN] = "",        [TABLE_GOOD] = "\033[32m", [TABLE_BAD] = "\033[31m",
		[TABLE_WARN] = "\033[33m", [TABLE_FAINT] = "\033[2m",
	};

	return table_has_colour() ? starts[colour] : "";
}

const char *table_colour_end(void)
{
	return table_has_colour() ? "\033[0m" : "";
}

/* TEXT in WIDTH columns, with an ellipsis where it is cut; padded unless it is the last of its
 * line. */
static void print_cell(const char *text, size_t n_chars, size_t width, bool is_last,
		       enum table_colour colour)
{
	size_t n_bytes = 0, n_shown = 0;
	bool is_cut = n_chars > width;
	size_t room = is_cut && width > 0 ? width - 1 : width;

	for (; text[n_bytes] && (n_shown < room || ((unsigned char)text[n_bytes] & 0xc0) == 0x80);
	     n_bytes++)
		n_shown += ((unsigned char)text[n_bytes] & 0xc0) != 0x80;
	/* A character is whole: the loop ended before the next one's first byte. */
	printf("%s%.*s%s%s", colour ? table_colour_start(colour) : "", (int)n_bytes, text,
	       is_cut ? "\u2026" : "", colour ? table_colour_end() : "");
	if (!is_last)
		printf("%*s", (int)(width - n_shown - is_cut + GAP), "");
}

static size_t width_of_cut(const struct table *table)
{
	size_t others = 0;

	for (size_t i = 0; i < table->n_columns; i++)
		if (i != table->cut)
			others += table->widths[i] + GAP;
	if (table->is_wide || others + table->widths[table->cut] <= SCREEN_COLUMNS)
		return table->widths[table->cut];
	return others + MIN_CUT > SCREEN_COLUMNS ? MIN_CUT : SCREEN_COLUMNS - others;
}

void table_print(struct table *table)
{
	size_t cut_width = width_of_cut(table);

	for (size_t i = 0; i < table->n_columns && !table->has_head; i++) {
		bool is_last = i + 1 == table->n_columns;

		print_cell(table->heads[i], count_chars(table->heads[i]),
			   i == table->cut ? cut_width : table->widths[i], is_last, TABLE_PLAIN);
		if (is_last)
			(void)putchar('\n');
	}
	table->has_head = true;
	assert(table->n_columns > 0);
	for (size_t i = 0; i < table->n_cells; i++) {
		size_t column = i % table->n_columns;
		bool is_last = column + 1 == table->n_columns;
		const struct cell *cell = &table->cells[i];

		print_cell(cell->text, cell->n_chars,
			   column == table->cut ? cut_width : table->widths[column], is_last,
			   cell->colour);
		if (is_last)
			(void)putchar('\n');
	}
	(void)fflush(stdout);
	drop_rows(table);
}

void table_put_age(struct buf *out, int64_t ms)
{
	int64_t s = ms > 0 ? ms / 1000 : 0;

	if (s < 120)
		buf_printf(out, "%" PRId64 "s", s);
	else if (s < 10 * 60 && s % 60)
		buf_printf(out, "%" PRId64 "m%" PRId64 "s", s / 60, s % 60);
	else if (s < 3 * 3600)
		buf_printf(out, "%" PRId64 "m", s / 60);
	else if (s < 8 * 3600 && s / 60 % 60)
		buf_printf(out, "%" PRId64 "h%" PRId64 "m", s / 3600, s / 60 % 60);
	else if (s < 48 * 3600)
		buf_printf(out, "%" PRId64 "h", s / 3600);
	else if (s < 8 * 24 * 3600 && s / 3600 % 24)
		buf_printf(out, "%" PRId64 "d%" PRId64 "h", s / 86400, s / 3600 % 24);
	else
		buf_printf(out, "%" PRId64 "d", s / 86400);
}
