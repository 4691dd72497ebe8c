#include "ui_form.h"

static void put_decoded(struct buf *out, struct str s)
{
	while (s.n > 0) {
		bool is_space = s.p[0] == '+';
		char c = str_take_escaped(&s);

		buf_put_char(out, is_space ? ' ' : c);
	}
}

bool ui_form_read(struct buf *out, struct str fields, struct str name)
{
	struct str part = {0};

	while (str_next_part(&fields, '&', &part)) {
		size_t equals = str_find_char(part, '=');

		if (!str_eq(str_range(part.p, equals), name))
			continue;
		if (equals < part.n)
			put_decoded(out, str_range(part.p + equals + 1, part.n - equals - 1));
		return true;
	}
	return false;
}
