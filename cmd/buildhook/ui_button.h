/*
 * The buttons of the page: each is a command of this program, with arguments from its form. Pure;
 * ui_run.h runs it.
 */
#pragma once

#include "command.h"

#include "base/buf.h"

#define UI_MAX_ARGS       12
#define UI_MAX_FORM_BYTES ((size_t)64 * 1024)

struct ui_button;

/* An argument list that owns its texts and ends with NULL. */
struct ui_argv {
	char *items[UI_MAX_ARGS + 1];
	size_t n;
};

/* For CLEANUP. */
void ui_argv_release(struct ui_argv *argv);

/* The last part of a form's path, "rotate". NULL: there is no such button. */
const struct ui_button *ui_button_find(struct str action);
/* The command for BuildConfig NAMESPACE/NAME, with the cluster of SHARED. False where FORM lacks
 * something; ARGV is to be released in any case. */
bool ui_button_read(struct ui_argv *argv, const struct ui_button *button,
		    const struct shared_options *shared, struct str form, const char *namespace_,
		    const char *name);
