/* The BuildConfig that a command is about, and its webhooks, as the caller's rights show them. */
#pragma once

#include "session.h"

#include "buildconfig/buildconfig.h"

struct target {
	struct session_answer answer; /* the document */
	struct buildconfig *bc;
	const char *program; /* session_program() */
};

/* GET of BuildConfig NAME in the session's namespace. */
int target_read(struct target *out, struct session *session, const char *name, struct err *err);
/* For CLEANUP. */
void target_release(struct target *target);

/* TYPE as an argument. NULL: the only one that TARGET has. ERR_INVALID where it is none;
 * ERR_NOTFOUND where the BuildConfig has no such trigger; both say what there is. */
int target_type(enum hook_type *out, const struct target *target, const char *text,
		struct err *err);
/* For messages. People look for the name of their host. */
#define TARGET_TYPES "github, gitlab, bitbucket or generic (Gitea, Forgejo and Gogs: github)"
/* "github" and so on, or ERR_INVALID. */
int target_parse_type(enum hook_type *out, const char *text, struct err *err);

/* Annotation buildhook.io/TYPE-NAME, "" without it. Lent by TARGET. */
const char *target_fact(const struct target *target, enum hook_type type, const char *name);
/* Any annotation, "" without it. */
const char *target_annotation(const struct target *target, const char *key);
/* The URL that buildhook wrote, or where it wrote none the path. It begins with "/" where the
 * public address is not known. */
void target_put_url(struct buf *out, const struct target *target, enum hook_type type);

/*
 * The newest usable secret of a hook into OUT, which is to be wiped: of a Secret, or inline.
 * ERR_NOTFOUND where its Secret does not exist or holds none; ERR_DENIED where the caller may not
 * read it.
 */
int target_read_secret(struct buf *out, struct session *session, const struct target *target,
		       enum hook_type type, struct err *err);
/* Whether the webhook accepts another secret, too: during a rotation, or of another trigger. True
 * where that cannot be read. */
bool target_accepts_others(struct session *session, const struct target *target,
			   enum hook_type type);
/* For CLEANUP of a buffer with a secret. */
void target_wipe(struct buf *secret);

/* Sets annotation KEY of the BuildConfig; VALUE NULL takes it away. */
int target_annotate(struct session *session, const struct target *target, const char *key,
		    const char *value, struct err *err);
