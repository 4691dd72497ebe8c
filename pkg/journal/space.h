/*
 * How much the journal may hold, and who may have how much of it. Pure: from figures of the file,
 * the log and the disk to bounds.
 *
 * A row takes room twice for a while: in SQLite's write-ahead log, and in the file when the log is
 * put into it. So some room is never given to rows: for the log, and for pages that are free in the
 * file, with which a change that was acknowledged can end also on a disk that is full.
 */
#pragma once

#include "journal/pending.h"

#define JOURNAL_PAGE_BYTES 4096

struct journal_figures {
	int64_t size_bytes; /* what file and log may take together */
	int64_t file_bytes;
	int64_t free_bytes; /* of it, in pages that are free */
	int64_t log_bytes;  /* length of the log's file, which is used again and again */
	int64_t whole_disk_bytes;
	int64_t disk_bytes;  /* free for us on the disk, when the log is in the file */
	int64_t ended_bytes; /* rows that have ended; as charged */
};

struct journal_space {
	int64_t log_limit_bytes; /* of the log: longer means that somebody reads and does not end */
	int64_t reserve_bytes;   /* kept in free pages, and in the length of the log */
	int64_t hold_bytes;      /* what rows may take */
	int64_t waiting_bytes;   /* what rows that have not ended may take */
	int64_t room_bytes;      /* what can be written now */
	int64_t free_bytes;      /* what can be written when ended rows have made room */
	bool is_short;           /* ended rows have to make room */
};

void journal_space_measure(struct journal_space *out, const struct journal_figures *seen);

/* MORE is asked for by one BuildConfig. CONFIG and SPACE: what waits of it and of its namespace;
 * ALL: of all. */
enum journal_limit journal_space_check(const struct journal_space *space,
				       const struct journal_pending_sum *config,
				       const struct journal_pending_sum *in_namespace,
				       const struct journal_pending_sum *all,
				       const struct journal_pending_sum *more);
