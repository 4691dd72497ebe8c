/*
 * Deliveries that name one ref: GitHub, Gitea and its relatives, GitLab. They say what the ref
 * pointed at before and after, and list commits with the files that each touched.
 */
#pragma once

#include "hook/decode.h"

/* Reads an element of a list of commits, whose members are read into d->commit. */
void hook_read_commit(struct hook_decode *d, const struct hook_field *field,
		      const struct reader_value *value);
/* The number of commits of the push, listed or not. */
void hook_read_total(struct hook_decode *d, const struct hook_field *field,
		     const struct reader_value *value);

#define HOOK_COMMIT_FILES(path)                                                                    \
	{path, hook_read_files, 0, 0},                                                             \
	{                                                                                          \
		path "/*", hook_read_file, 0, HOOK_MAX_FILE_BYTES                                  \
	}

/*
 * Author, committer and message of CHANGE's commit, found by its id: neither the head nor the end
 * of a list need be what the ref points at.
 */
void hook_describe_from_list(struct delivery_change *change, const struct hook_decode *d);

/*
 * The event's only change, of d->push. COMMIT is what the ref points at, or NULL where the payload
 * does not say. LISTS_ALL: the host's list of commits, as far as it is there, is all of the push.
 */
int hook_push_finish(struct hook_decode *d, const char *commit, bool lists_all, struct err *err);
