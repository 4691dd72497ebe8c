/*
 * A form body (application/x-www-form-urlencoded), decoded while it arrives: the field "payload" is
 * passed on in pieces, other fields are skipped. Stores no text.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

typedef void (*hook_form_fn)(void *arg, struct str piece);

struct hook_form {
	hook_form_fn on_payload;
	void *arg;
	size_t bytes;
	size_t name_bytes; /* decoded bytes of the name that is being read */
	bool is_other;     /* the name is not "payload" */
	bool is_in_value;
	unsigned char n_escape; /* digits of "%XX" read so far */
	unsigned char high;
	bool has_payload;
	struct err problem;
};

void hook_form_init(struct hook_form *form, hook_form_fn on_payload, void *arg);
/* Bytes after HOOK_MAX_FORM_BYTES are passed on as well, since they may be signed. */
void hook_form_feed(struct hook_form *form, struct str bytes);
/* ERR_INVALID: no payload, two of them, a wrong escape. ERR_LIMIT: too long. */
int hook_form_finish(struct hook_form *form, struct err *err);
