/* A saved delivery: headers and body, or the body alone, as a Git host's page shows them; and how
 * to sign it as the host does. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "hook/hook.h"

#define SAVED_MAX_HEADERS 100
#define SAVED_MAX_BYTES   ((size_t)25 * 1024 * 1024)

struct saved_header {
	struct str name, value;
};

struct saved {
	struct buf text; /* the file; the rest is lent by it, or static */
	struct saved_header headers[SAVED_MAX_HEADERS];
	size_t n_headers;
	struct str body;
	enum hook_type type;
};

/* FILE "-" is stdin. TYPE: the trigger that it is for; NULL: it is found from headers or body, or
 * ERR_INVALID. Headers that a bare body lacks are added. */
int saved_read(struct saved *out, const char *file, const enum hook_type *type, struct err *err);
/* A delivery with this BODY, which is copied. */
void saved_make(struct saved *out, enum hook_type type, struct str body);
/* For CLEANUP. */
void saved_release(struct saved *saved);
/* For hook_request.header; ARG is a struct saved. */
struct str saved_header(const void *arg, const char *name, size_t *n);

/*
 * The header fields to send, "Name: value", a NULL after the last: those of SAVED but for proofs,
 * the id and what belongs to a connection, then a proof by SECRET and a new id. To be freed with
 * saved_free_fields(), which wipes them.
 */
char **saved_sign(const struct saved *saved, struct str secret, int64_t wall_ms);
void saved_free_fields(char ***fields);
