/* The folder that the journal lives in: its owner's alone, and one process's at a time. */
#pragma once

#include "base/err.h"

#include <stdbool.h>

struct journal_folder {
	char *path;
	int fd;      /* of the folder; valid while path is not NULL */
	int lock_fd; /* held with flock(2) until release, by the kernel also after a kill */
};

/* Makes it (0700, parents too) if missing. ERR_DENIED, ERR_EXISTS and ERR_UNAVAILABLE as in
 * journal_open(). */
int journal_folder_open(struct journal_folder *out, const char *path, struct err *err);
void journal_folder_release(struct journal_folder *folder);

/* Makes the names in it durable. */
int journal_folder_sync(const struct journal_folder *folder, struct err *err);
/* PATH/NAME, for the caller to free. */
char *journal_folder_path(const char *folder, const char *name);
/* ERR_DENIED where a person has to give rights, else ERR_UNAVAILABLE; the text is errno's. */
int journal_folder_fail(struct err *err, const char *what, const char *path);
