#include "hook/form.h"

#include "hook/hook.h"

static const struct str wanted = {"payload", 7};

/* Decoded bytes of the payload that were not passed on yet. */
struct piece {
	char bytes[1024];
	size_t n;
};

static void hand_over(struct hook_form *form, struct piece *piece)
{
	if (piece->n)
		form->on_payload(form->arg, str_range(piece->bytes, piece->n));
	piece->n = 0;
}

static void fail(struct hook_form *form, const char *why)
{
	if (!form->problem.code)
		err_set(&form->problem, ERR_INVALID, "%s", why);
}

static void take_decoded(struct hook_form *form, struct piece *piece, char c)
{
	if (!form->is_in_value) {
		form->is_other |= form->name_bytes >= wanted.n || c != wanted.p[form->name_bytes];
		form->name_bytes++;
	} else if (!form->is_other) {
		if (piece->n == sizeof(piece->bytes))
			hand_over(form, piece);
		piece->bytes[piece->n++] = c;
	}
}

static void start_value(struct hook_form *form)
{
	form->is_in_value = true;
	form->is_other |= form->name_bytes != wanted.n;
	if (form->is_other)
		return;
	if (form->has_payload)
		fail(form, "the form has two fields \"payload\", expected one");
	form->has_payload = true;
}

static void start_name(struct hook_form *form)
{
	form->is_in_value = false;
	form->is_other = false;
	form->name_bytes = 0;
}

static void take_escape(struct hook_form *form, struct piece *piece, char c)
{
	int value = str_hex_digit(c);

	if (value < 0) {
		fail(form, "the form has a \"%\" without two hex digits after it");
	} else if (form->n_escape == 1) {
		form->high = (unsigned char)value;
		form->n_escape = 2;
	} else {
		form->n_escape = 0;
		take_decoded(form, piece, (char)(form->high << 4 | value));
	}
}

static void take(struct hook_form *form, struct piece *piece, char c)
{
	if (form->n_escape)
		take_escape(form, piece, c);
	else if (c == '%')
		form->n_escape = 1;
	else if (c == '&')
		start_name(form);
	else if (c == '=' && !form->is_in_value)
		start_value(form);
	else
		take_decoded(form, piece, c == '+' ? ' ' : c);
}

void hook_form_init(struct hook_form *form, hook_form_fn on_payload, void *arg)
{
	*form = (struct hook_form){.on_payload = on_payload, .arg = arg};
}

void hook_form_feed(struct hook_form *form, struct str bytes)
{
	struct piece piece;

	piece.n = 0;
	form->bytes += bytes.n;
	for (size_t i = 0; i < bytes.n && !form->problem.code; i++)
		take(form, &piece, bytes.p[i]);
	hand_over(form, &piece);
}

int hook_form_finish(struct hook_form *form, struct err *err)
{
	if (form->bytes > HOOK_MAX_FORM_BYTES)
		return err_set(
			err, ERR_LIMIT,
			"the form has %zu bytes, at most %d are read: set the content type of "
			"the webhook to application/json",
			form->bytes, HOOK_MAX_FORM_BYTES);
	if (form->n_escape)
		fail(form, "the form has a \"%\" without two hex digits after it");
	if (!form->has_payload)
		fail(form, "the form has no field \"payload\"");
	if (form->problem.code)
		return err_set(err, form->problem.code, "%s", form->problem.msg);
	return 0;
}
