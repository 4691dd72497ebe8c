#include "base/err.h"

#include "base/mem.h"
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>

/* TEXT, of which LEN bytes were meant to be there, without a character that was cut in two. */
static void end_at_character(char *text, size_t cap, int len)
{
	size_t max = cap - 1;

	if (len < 0)
		text[0] = '\0';
	else if ((size_t)len > max)
		while (max > 0 && !str_is_utf8(str_range(text, max)) && max > cap - 4)
			max--;
	text[max] = '\0';
}

static void format_text(char *out, size_t cap, const char *fmt, va_list args)
{
	end_at_character(out, cap, vsnprintf(out, cap, fmt, args));
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
	char text[sizeof(err->msg)];
	va_list args;

	if (!err)
		return code;
	va_start(args, fmt);
	format_text(text, sizeof(text), fmt, args);
	va_end(args);
	err->code = code;
	memcpy(err->msg, text, sizeof(text));
	return code;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	char text[sizeof(err->msg)];
	va_list args;

	if (!err)
		return ERR_INTERNAL;
	va_start(args, fmt);
	format_text(text, sizeof(text), fmt, args);
	va_end(args);
	return err_set(err, err->code, "%s: %s", text, err->msg);
}
