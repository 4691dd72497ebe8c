/* Sample payloads of the Git hosts: the smallest one that is read as a push. */
#pragma once

#include "base/buf.h"
#include "delivery/type.h"

struct sample {
	enum hook_type type;
	const char *uri;    /* address of the repository */
	const char *ref;    /* full */
	const char *commit; /* 40 hex digits */
};

void sample_put(struct buf *out, const struct sample *sample);
