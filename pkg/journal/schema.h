/*
 * The journal's file: making it, telling whether it is ours and sound, and bringing an older one up
 * to date. Nothing is written to a file that is not taken.
 *
 * A new file is made under another name and renamed when it is complete, so journal.db is never a
 * half-made one.
 */
#pragma once

#include "journal/folder.h"

#include <sqlite3.h>

#include <stdint.h>

#define JOURNAL_FILE "journal.db"
/* Of the tables that this program writes; it reads and brings up to date all before it. */
#define JOURNAL_VERSION 2

/* Checks, or makes, FOLDER's journal and opens it for writing, with everything in it durable.
 * Errors as in journal_open(). */
int journal_schema_open(sqlite3 **out, const struct journal_folder *folder, struct err *err);
/* Which version DB's tables have. ERR_INVALID unless it is a journal of a version that we know. */
int journal_schema_check(sqlite3 *db, int64_t *version, struct err *err);
