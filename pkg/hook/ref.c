#include "hook/ref.h"

#include "base/mem.h"
#include "delivery/change.h"

/* git-check-ref-format(1), rules 4, 5 and 10. Git allows all bytes from 0x80 on. */
static bool is_forbidden(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f || strchr(" ~^:?*[\\", c) != NULL;
}

/* Rules 1 and 6: a part is not empty, begins with no dot and does not end in ".lock". */
static bool is_part_valid(struct str part)
{
	return !str_empty(part) && part.p[0] != '.' && !str_ends(part, STR(".lock"));
}

bool hook_ref_is_valid(struct str ref)
{
	struct str rest = str_without_prefix(ref, STR("refs/"));
	struct str part;

	if (rest.n == ref.n || str_empty(rest) || str_ends(rest, STR("/")) ||
	    str_ends(rest, STR(".")) || str_contains(rest, STR("..")) ||
	    str_contains(rest, STR("@{")))
		return false;
	for (size_t i = 0; i < rest.n; i++)
		if (is_forbidden(rest.p[i]))
			return false;
	while (str_next_part(&rest, '/', &part))
		if (!is_part_valid(part))
			return false;
	return true;
}

void hook_ref_put_full(struct buf *out, struct str ref)
{
	if (!str_starts(ref, STR("refs/")))
		buf_put_str(out, STR("refs/heads/"));
	buf_put_str(out, ref);
}

bool hook_ref_can_be_full(struct str ref)
{
	CLEANUP(buf_release) struct buf full = BUF_INIT(DELIVERY_MAX_REF_BYTES);

	if (str_starts(ref, STR("refs/")))
		return ref.n <= DELIVERY_MAX_REF_BYTES && hook_ref_is_valid(ref);
	hook_ref_put_full(&full, ref);
	return !str_empty(ref) && !full.overflow && hook_ref_is_valid(buf_str(&full));
}

bool hook_ref_is_tag(struct str ref)
{
	return str_starts(ref, STR("refs/tags/"));
}

bool hook_id_is_valid(struct str id)
{
	if (id.n != 40 && id.n != 64)
		return false;
	for (size_t i = 0; i < id.n; i++)
		if (!((id.p[i] >= '0' && id.p[i] <= '9') ||
		      ((id.p[i] | 0x20) >= 'a' && (id.p[i] | 0x20) <= 'f')))
			return false;
	return true;
}

void hook_id_lower(char *id)
{
	for (; *id; id++)
		if (*id >= 'A' && *id <= 'F')
			*id |= 0x20;
}

bool hook_id_is_zero(struct str id)
{
	for (size_t i = 0; i < id.n; i++)
		if (id.p[i] != '0')
			return false;
	return hook_id_is_valid(id);
}
