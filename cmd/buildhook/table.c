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
#define MIN_COLUMN     8
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

/* Colours are used: stdout is a terminal and NO_COLOR is not set. */
static bool has_colour(void)
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

	return has_colour() ? starts[colour] : "";
}

const char *table_colour_end(void)
{
	return has_colour() ? "\033[0m" : "";
}

/* How many bytes the first N characters of TEXT have. */
static size_t bytes_of(const char *text, size_t n)
{
	size_t at = 0;

	for (; text[at] && n > 0; n--) {
		at++;
		while (((unsigned char)text[at] & 0xc0) == 0x80)
			at++;
	}
	return at;
}

/* A cell in WIDTH columns. In a wider one an ellipsis replaces the end, or with KEEPS_END the
 * middle, where names differ the least ("frontend…tion-12 Complete"). */
static void print_cell(const struct cell *cell, size_t width, bool is_last, bool keeps_end)
{
	bool is_cut = cell->n_chars > width;
	size_t shown = is_cut ? width - 1 : cell->n_chars;
	size_t n_tail = is_cut && keeps_end ? (width - 1) * 2 / 3 : 0;
	const char *tail = cell->text + bytes_of(cell->text, cell->n_chars - n_tail);

	printf("%s%.*s%s%s%s", table_colour_start(cell->colour),
	       (int)bytes_of(cell->text, shown - n_tail), cell->text, is_cut ? "\u2026" : "",
	       is_cut ? tail : "", cell->colour ? table_colour_end() : "");
	if (!is_last)
		printf("%*s", (int)(width - shown - is_cut + GAP), "");
}

/* Column CUT gets shorter first, and then whichever is the widest, until the screen has room. */
static void shrink(size_t *widths, const struct table *table)
{
	size_t sum = GAP * (table->n_columns - 1);

	for (size_t i = 0; i < table->n_columns; i++)
		sum += widths[i];
	while (sum > SCREEN_COLUMNS) {
		size_t widest = 0;

		for (size_t i = 1; i < table->n_columns; i++)
			if (widths[i] > widths[widest])
				widest = i;
		if (widths[table->cut] > MIN_CUT)
			widest = table->cut;
		else if (widths[widest] <= MIN_COLUMN)
			return;
		widths[widest]--;
		sum--;
	}
}

void table_print(struct table *table)
{
	size_t widths[TABLE_MAX_COLUMNS];

	assert(table->n_columns > 0);
	memcpy(widths, table->widths, sizeof(widths));
	if (!table->is_wide)
		shrink(widths, table);
	for (size_t i = 0; i < table->n_columns && !table->has_head; i++) {
		bool is_last = i + 1 == table->n_columns;

		printf("%-*.*s%s", is_last ? 0 : (int)(widths[i] + GAP), (int)widths[i],
		       table->heads[i], is_last ? "\n" : "");
	}
	table->has_head = true;
	for (size_t i = 0; i < table->n_cells; i++) {
		size_t column = i % table->n_columns;
		bool is_last = column + 1 == table->n_columns;

		print_cell(&table->cells[i], widths[column], is_last, column != table->cut);
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
