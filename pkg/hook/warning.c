#include "hook/warning.h"

#include "base/mem.h"

#define QUOTED_BYTES 60
/* Room for " (and 4096 more)". */
#define TAIL_BYTES 32

void hook_warning_release(struct hook_warning *warning)
{
	buf_release(&warning->text);
}

void hook_warning_add(struct hook_warning *warning, struct str what, const char *why)
{
	CLEANUP(buf_release) struct buf one = BUF_INIT(HOOK_MAX_WARNING_BYTES - TAIL_BYTES);

	warning->text.limit = HOOK_MAX_WARNING_BYTES;
	if (warning->text.len)
		buf_put_str(&one, STR("; "));
	buf_put_clean(&one, what, QUOTED_BYTES);
	buf_printf(&one, "%s %s", what.n > QUOTED_BYTES ? "..." : "", why);
	if (warning->n_more || warning->text.len + one.len > HOOK_MAX_WARNING_BYTES - TAIL_BYTES)
		warning->n_more++;
	else
		buf_put_str(&warning->text, buf_str(&one));
}

char *hook_warning_take(struct hook_warning *warning)
{
	if (!warning->text.len)
		return NULL;
	if (warning->n_more)
		buf_printf(&warning->text, " (and %zu more)", warning->n_more);
	return buf_take(&warning->text);
}
