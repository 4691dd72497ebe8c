#include "ui_button.h"

#include "ui_form.h"

#include "base/mem.h"
#include "delivery/type.h"

struct ui_button {
	const char *command;
	bool takes_type;
	const char *field, *flag; /* a text field and its flag; a flag of NULL: an argument */
	bool is_needed;           /* the text field must not be empty */
	const char *always;       /* a flag that is always given, or NULL */
};

static const struct {
	const char *action;
	struct ui_button button;
} buttons[] = {
	{"secret", {"url", true, NULL, NULL, false, "--with-secret"}},
	{"test", {"test", true, "ref", "--ref=", false, NULL}},
	{"explain", {"explain", false, "ref", "--ref=", true, NULL}},
	{"rotate", {"rotate", true, NULL, NULL, false, NULL}},
	{"redeliver", {"redeliver", false, "id", NULL, true, NULL}},
};

const struct ui_button *ui_button_find(struct str action)
{
	for (size_t i = 0; i < ARRAY_LEN(buttons); i++)
		if (str_eq(action, str_of(buttons[i].action)))
			return &buttons[i].button;
	return NULL;
}

void ui_argv_release(struct ui_argv *argv)
{
	for (size_t i = 0; i < argv->n; i++)
		mem_free(&argv->items[i]);
}

static void argv_add(struct ui_argv *argv, const char *prefix, const char *text)
{
	CLEANUP(buf_release) struct buf item = BUF_INIT(UI_MAX_FORM_BYTES);

	if (argv->n == UI_MAX_ARGS)
		return;
	buf_printf(&item, "%s%s", prefix, text);
	argv->items[argv->n++] = buf_take(&item);
}

static bool is_flag_set(struct str form, struct str name)
{
	CLEANUP(buf_release) struct buf value = BUF_INIT(64);

	return ui_form_read(&value, form, name) && str_eq(buf_str(&value), STR("true"));
}

bool ui_button_read(struct ui_argv *argv, const struct ui_button *button,
		    const struct shared_options *shared, struct str form, const char *namespace_,
		    const char *name)
{
	CLEANUP(buf_release) struct buf type = BUF_INIT(64);
	CLEANUP(buf_release) struct buf text = BUF_INIT(2048);
	enum hook_type known;

	argv_add(argv, "", "buildhook");
	argv_add(argv, "", button->command);
	argv_add(argv, "--namespace=", namespace_);
	if (shared->kubeconfig)
		argv_add(argv, "--kubeconfig=", shared->kubeconfig);
	if (shared->context)
		argv_add(argv, "--context=", shared->context);
	if (button->always)
		argv_add(argv, "", button->always);
	if (is_flag_set(form, STR("dry-run")))
		argv_add(argv, "", "--dry-run");
	if (button->field)
		(void)ui_form_read(&text, form, str_of(button->field));
	if (text.overflow || (button->is_needed && text.len == 0) ||
	    (text.len && memchr(text.data, '\0', text.len)))
		return false;
	if (text.len && button->flag)
		argv_add(argv, button->flag, text.data);
	argv_add(argv, "", "--");
	argv_add(argv, "", name);
	if (button->takes_type) {
		(void)ui_form_read(&type, form, STR("type"));
		if (!hook_type_parse(buf_str(&type), &known))
			return false;
		argv_add(argv, "", hook_type_name(known));
	}
	if (text.len && !button->flag)
		argv_add(argv, "", text.data);
	return true;
}
