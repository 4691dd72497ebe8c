/*
 * Whether a PEM text is whole: what was written halfway must not replace what works. What is inside
 * is libcurl's business.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

enum pem_kind { PEM_CERTIFICATE, PEM_PRIVATE_KEY };

/*
 * At least one block of KIND, each block complete, its base64 one DER value to the last byte.
 * ERR_INVALID says what is wrong, without quoting the text.
 */
int pem_check(struct str text, enum pem_kind kind, struct err *err);
