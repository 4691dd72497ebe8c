/* The fields of a query or of a form: application/x-www-form-urlencoded. */
#pragma once

#include "base/buf.h"

/* The first field NAME of FIELDS, decoded, is added to OUT. False where FIELDS has none. */
bool ui_form_read(struct buf *out, struct str fields, struct str name);
