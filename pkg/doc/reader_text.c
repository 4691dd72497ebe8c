/*
 * The text of a value or key while it is read: it is lent from the chunk where it lies there whole,
 * and is copied where it does not.
 */
#include "doc/reader_state.h"

#include "base/mem.h"

#include <string.h>

void reader_keep(struct reader *r, const char *p, size_t n)
{
	size_t room = r->limit + 1 - r->text_n;

	if (n > room)
		n = room;
	if (n == 0)
		return;
	if (!r->text)
		r->text = mem_resize(NULL, r->paths->longest_key + r->paths->longest_text + 1, 1);
	memcpy(r->text + r->text_n, p, n);
	r->text_n += n;
}

void reader_keep_run(struct reader *r, const char *p)
{
	if (r->is_kept && r->begin)
		reader_keep(r, r->begin, (size_t)(p - r->begin));
}

void reader_begin_text(struct reader *r, const char *p, bool is_kept, size_t limit)
{
	r->is_kept = is_kept;
	r->limit = limit;
	r->begin = p;
	r->text_n = 0;
}

void reader_begin_value_text(struct reader *r, const char *p, const struct reader_field *field)
{
	reader_begin_text(r, p, field != NULL, field ? field->max_bytes : 0);
}

struct str reader_end_text(struct reader *r, const char *p)
{
	r->is_kept = false;
	if (r->text_n == 0)
		return str_range(r->begin, (size_t)(p - r->begin));
	reader_keep(r, r->begin, (size_t)(p - r->begin));
	return str_range(r->text, r->text_n);
}

/* Cuts TEXT to MAX bytes. It is longer by at least a byte, which shows whether a character ends
 * there. */
static struct str cut(enum reader_type type, struct str text, size_t max)
{
	while (type == READER_STRING && max > 0 && ((unsigned char)text.p[max] & 0xc0) == 0x80)
		max--;
	return str_range(text.p, max);
}

void reader_emit(struct reader *r, const struct reader_field *field, enum reader_type type,
		 struct str text)
{
	struct reader_value value = {.type = type, .text = text};

	if (text.n > field->max_bytes) {
		value.text = cut(type, text, field->max_bytes);
		value.is_cut = true;
	}
	r->fn(r->arg, field->field, &value);
}
