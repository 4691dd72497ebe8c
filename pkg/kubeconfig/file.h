/*
 * Small files whole: kubeconfigs, tokens, certificates.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/*
 * Appends the file's bytes to OUT; OUT's limit is the file's. ERR_NOTFOUND, ERR_DENIED, ERR_LIMIT
 * or ERR_INVALID (a folder, say) with the path and the cause.
 */
int file_read(struct buf *out, const char *path, struct err *err);
