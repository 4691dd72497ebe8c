/*
 * Whether a PEM text is complete, so that a file that is still being written never replaces
 * credentials that work. Whether the certificate or key inside is any good is for TLS to find out.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

enum pem_kind { PEM_CERTIFICATE, PEM_PRIVATE_KEY };

/*
 * TEXT needs at least one block of KIND; each block has to be complete, its base64 exactly one DER
 * value. ERR_INVALID says what is wrong, without quoting the text.
 */
int pem_check(struct str text, enum pem_kind kind, struct err *err);
