/*
 * The journal's internals, shared by the caller's side (journal.c) and the writing side
 * (worker.c). The two meet in the three lists: an op is in one of them from journal_add() or
 * journal_write() until its result has been delivered.
 */
#pragma once

#include "journal/folder.h"
#include "journal/memory.h"
#include "journal/op.h"
#include "journal/pending.h"
#include "journal/reader.h"
#include "journal/writer.h"

#include <pthread.h>
#include <stdatomic.h>

#define JOURNAL_MAX_SECONDS 1024

struct journal {
	struct journal_options options; /* data_dir is not kept */
	struct journal_folder folder;

	/* The caller's. */
	struct journal_reader reader;
	struct journal_pending pending; /* results delivered so far */
	struct journal_memory memory;
	int64_t time_base_ms; /* journal time less monotonic time */
	uint64_t last_ticket;

	/* The worker's. */
	struct journal_writer writer;
	struct journal_ops held; /* writes reported as stored, for which there was no room yet */
	int64_t probe_at_ms;     /* monotonic */
	int64_t prune_at_ms;
	int64_t measure_at_ms;

	pthread_t thread;
	bool has_thread;
	atomic_bool is_writable;
	atomic_bool has_failed; /* once true, failure doesn't change any more */

	pthread_mutex_t lock; /* for all below */
	pthread_cond_t is_needed;
	struct journal_ops waiting;
	struct journal_ops running;
	struct journal_ops done;
	bool is_stopping;
	bool is_woken;              /* and has not begun to collect */
	int64_t now_ms;             /* journal time when the caller last asked for something */
	struct journal_stats stats; /* but the age */
	struct journal_cut cuts[JOURNAL_MAX_CUTS];
	size_t n_cuts;
	double seconds[JOURNAL_MAX_SECONDS];
	size_t n_seconds;
	char failure[256];
};

/* Starts the journal's thread, which carries out what was submitted. */
int journal_worker_start(struct journal *journal, struct err *err);
/* Ends the thread after all submitted ops are committed, then checkpoints the log. */
void journal_worker_stop(struct journal *journal);
/* Without a thread: commits all submitted ops, and does the upkeep that is due. */
void journal_worker_finish(struct journal *journal);
/* Records an SQLite error that cannot be recovered from; only the first is kept. */
void journal_fail(struct journal *journal, const char *what, int rc);
