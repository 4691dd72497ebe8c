/*
 * The durable record of deliveries (SQLite, WAL, synchronous=FULL). A change that is to start a
 * build is a row here before its delivery is answered, and stays until it has ended, whatever
 * happens to the process.
 *
 *     accepted -> starting -> started | failed | superseded | ignored
 *
 * Writes are collected and committed on the journal's own thread, whole batches at a time; what
 * came of them is told on the caller's thread by journal_collect(). Reads are the caller's, on a
 * second connection, and see every write that has been told. A function that gets rows lent must
 * not read the journal itself.
 *
 * Rows that have ended go when the dedupe window, and at least 72 h, have passed since they were
 * accepted. Sooner where they need the room of others, or are more than 200,000: then the namespace
 * that has most loses its oldest. What waits is bounded for each BuildConfig and each namespace
 * (space.h), so that one that floods the journal leaves room for the others. A full disk ends
 * acceptance, and never the end of what was accepted.
 */
#pragma once

#include "base/clock.h"
#include "base/err.h"

#define JOURNAL_MAX_TEXT                                                                           \
	1024 /* bytes of a ref, message, author, ...; longer is the caller's mistake */
#define JOURNAL_MAX_EXTRA (64 * 1024) /* bytes of env_json and options_json together */
/* SQLite's write-ahead log stays below this, or a sixteenth of what the journal may take, unless
 * somebody reads the file and does not come to an end. */
#define JOURNAL_LOG_LIMIT_BYTES (64LL * 1024 * 1024)

enum journal_state {
	JOURNAL_ACCEPTED,
	JOURNAL_STARTING,
	JOURNAL_STARTED,
	JOURNAL_FAILED,
	JOURNAL_SUPERSEDED,
	JOURNAL_IGNORED,
};
#define JOURNAL_STATES 6

/* A change in flat form. All texts NUL-terminated UTF-8, "" where there is nothing; never NULL in
 * rows from the journal. */
struct journal_change {
	int64_t seq; /* order of acceptance; given by the journal */
	enum journal_state state;
	int64_t accepted_ms;                 /* wall clock */
	const char *uid, *namespace_, *name; /* of the BuildConfig */
	const char *type;                    /* "github", ...: the hook */
	const char *host;                    /* "github", "gitea", ...: who sent it */
	const char *delivery_id;
	const char *ref;    /* full, "refs/heads/main"; "" for Generic without one */
	const char *commit; /* "" without one */
	const char *author_name, *author_email, *committer_name, *committer_email, *message;
	const char *pusher;       /* for the status line: who pushed, as the host names them */
	const char *env_json;     /* Generic: JSON array of EnvVar, or "" */
	const char *options_json; /* Generic: dockerStrategyOptions, or "" */
	const char *warning;
	/* The start. */
	int64_t gap_number; /* of a Build that was missing and may still come; 0 without */
	int64_t gap_ms;     /* wall clock: since when */
	int attempts;
	int64_t next_attempt_ms; /* wall clock; 0: at once */
	/* The end. */
	const char *build;  /* started */
	const char *reason; /* failed, superseded, ignored, or what the last attempt met */
	int64_t ended_ms;   /* wall clock; given by the journal */
	/*
	 * For hosts that deliver the same bytes again under another id: a digest of the body, and
	 * the commit at which the ref was before. "" for all others.
	 */
	const char *before, *body_digest;
};

/*
 * A delivery that was asked for once more: its delivery_id is that of the Git host, a space, and
 * what the asker chose to tell requests apart. (Hosts' ids have no space.)
 */
bool journal_change_is_redelivery(const struct journal_change *change);

struct journal;

struct journal_options {
	const char *data_dir; /* made (0700) if missing */
	struct clock *clock;
	int64_t dedupe_window_ms; /* of the monotonic clock while a process runs */
	int64_t size_bytes;       /* what it may take of the disk; 0: 1 GiB */
	/*
	 * Of the changes of one BuildConfig that wait and have a newer one of the same ref, so many
	 * are kept: as many builds as may start at once. One more ends superseded when the newer
	 * one comes. 0: all are kept, because none has to wait for its turn.
	 */
	size_t max_replaced;
	/* Called on the caller's thread for a change that ended so. May be NULL. */
	void (*on_superseded)(void *arg, int64_t seq);
	void *on_superseded_arg;
	/*
	 * Called from the journal's thread when journal_collect() has something to tell, or the
	 * journal has failed. NULL: no thread, commits happen within journal_collect() (for
	 * simulation).
	 */
	void (*wake)(void *arg);
	void *wake_arg;
};

/*
 * ERR_DENIED: the folder has a wrong owner or mode. ERR_EXISTS: another process has it.
 * ERR_INVALID: not a journal of ours, or damaged, or of a newer version: untouched, and the message
 * says how to set it aside. ERR_UNAVAILABLE: I/O.
 */
int journal_open(struct journal **out, const struct journal_options *options, struct err *err);
/*
 * Commits what waits, telling nobody, and puts the log into the file: the last thing before
 * journal_close(). See journal_failure() for how it went.
 */
void journal_finish(struct journal *journal);
/* Finishes and closes. */
void journal_close(struct journal *journal);

/* Tells the results of what has been committed, by the functions given with each write. On the
 * caller's thread. */
void journal_collect(struct journal *journal);
/* An I/O error ended it: nothing is acknowledged any more, the process should exit. NULL while all
 * is well. */
const char *journal_failure(const struct journal *journal);
/* False while it cannot store (disk full, failure); it finds out by itself, within about a second,
 * when it can again. */
bool journal_is_writable(const struct journal *journal);

/* The reason of a change that ended because a newer one came (max_replaced). */
#define JOURNAL_REPLACED "a newer push of the same ref came while this one waited"

enum journal_added {
	JOURNAL_NEW,
	JOURNAL_REVIVED,   /* it had ended without a build, and is accepted again */
	JOURNAL_DUPLICATE, /* it is here already; see state and build */
	/* It ended without a build, came again under another id, and a newer change of the same ref
	 * was built: it is not stored, and seq and build are the newer one's. */
	JOURNAL_OUTDATED,
};

/* Which bound a delivery met that was not stored. */
enum journal_limit {
	JOURNAL_LIMIT_NONE,
	JOURNAL_LIMIT_BUILDCONFIG, /* 1,000 changes or 16 MiB of its BuildConfig wait */
	JOURNAL_LIMIT_NAMESPACE,   /* its namespace has its share of the journal */
	JOURNAL_LIMIT_DISK,        /* the journal is full, or the disk */
};

struct journal_add_result {
	enum journal_added added;
	enum journal_limit limit; /* with ERR_LIMIT: the same in each */
	int64_t superseded;       /* seq of the change that it replaced, which has ended; 0: none */
	int64_t seq;
	/* What there was before this delivery; nothing where it is new. */
	enum journal_state state;
	char build[256];
	char reason[256];
};

/*
 * STATUS: ERR_OK (durable), ERR_UNAVAILABLE (not stored: disk full or failing) or ERR_LIMIT (not
 * stored: a bound was met; see limit). RESULTS as many as changes, lent; the rest of them means
 * something only with ERR_OK.
 */
typedef void (*journal_add_fn)(void *arg, int status, const struct journal_add_result *results,
			       size_t n);
/*
 * Stores the changes of one delivery to one BuildConfig, all or none, as accepted: their state,
 * start (but next_attempt_ms) and end are not looked at. A change is recognised by (uid, type,
 * delivery_id, ref): while it waits, and within the dedupe window after it was accepted if
 * it has started. It is also recognised by (uid, type, body_digest, ref), where it has a
 * body_digest and nobody asked for it once more, unless its "before" is the commit of the newest
 * change of that ref: a branch may be forced back and forth. Copies everything. Returns a ticket
 * for journal_forget(), or 0 when too much waits already (then FN is not called: answer 503).
 */
uint64_t journal_add(struct journal *journal, const struct journal_change *changes, size_t n,
		     journal_add_fn fn, void *arg);
/* As journal_add(), and stores nothing: RESULTS tell what would come of it. */
uint64_t journal_ask(struct journal *journal, const struct journal_change *changes, size_t n,
		     journal_add_fn fn, void *arg);
/* The asker is gone: FN will not be called. The rows are stored all the same. */
void journal_forget(struct journal *journal, uint64_t ticket);

/* What a write changes in a row. */
struct journal_update {
	int64_t seq;
	enum journal_state state;
	int64_t gap_number;
	int64_t gap_ms;
	int attempts;
	int64_t next_attempt_ms;
	const char *build;
	const char *reason;
};
/*
 * STATUS: ERR_OK (durable); ERR_LIMIT: there is no room, so it is kept in memory and written when
 * there is; what the journal says is already the new state, but a crash before that leaves the row
 * as it was; ERR_UNAVAILABLE: the journal has failed. FN may be NULL. A row that has ended is not
 * changed any more, which is no error.
 */
void journal_write(struct journal *journal, const struct journal_update *update,
		   void (*fn)(void *arg, int status), void *arg);

/*
 * What waits of one BuildConfig: changes that have not ended, by name (also those of a deleted
 * BuildConfig of the same name). It comes from an index in memory, so it costs the same however
 * much waits.
 */
struct journal_waiting {
	size_t n;
	int64_t newest_seq;
	/* The oldest. */
	int64_t seq;
	int64_t next_attempt_ms;
	bool is_starting;
	bool is_replaced; /* a newer change of the same ref came */
};
/* KEY: "namespace/name". N is 0 where nothing waits. */
void journal_read_waiting(const struct journal *journal, const char *key,
			  struct journal_waiting *out);
/* Calls FN for each change of a BuildConfig that waits and is newer than AFTER_SEQ, newest first.
 * FN must not write to the journal. */
void journal_each_waiting(const struct journal *journal, const char *key, int64_t after_seq,
			  void (*fn)(void *arg, int64_t seq), void *arg);
/*
 * What a BuildConfig's owner has to know of the bounds. The times are of the wall clock, 0: never.
 * LIMIT is the bound that refused the newest delivery that was refused, within the last hour.
 * KEPT_SINCE_MS: deliveries of the namespace that are older are not recognised any more, though
 * the dedupe window is longer: other rows needed the room.
 */
struct journal_limits {
	enum journal_limit limit;
	int64_t refused_ms;
	size_t n_refused; /* in a row, within an hour of each other */
	int64_t kept_since_ms;
};
void journal_read_limits(const struct journal *journal, const char *key,
			 struct journal_limits *out);
/* BuildConfigs of which something waits. */
void journal_each_waiting_key(const struct journal *journal, void (*fn)(void *arg, const char *key),
			      void *arg);
/*
 * A row, whole, for the caller to free. NULL where there is none, or where it cannot be read: then
 * the journal has failed (journal_failure()).
 */
struct journal_change *journal_read_row(struct journal *journal, int64_t seq);
/*
 * Rows of delivery ID of the BuildConfig with UID among some of those with a seq below BEFORE_SEQ
 * (0: all); their seq goes to OUT, newest first, at most MAX. Returns how many. *NEXT_SEQ is where
 * to look on, 0 at the end. A call takes a few milliseconds, however much the journal holds.
 */
size_t journal_find_delivery(struct journal *journal, const char *uid, const char *id,
			     int64_t before_seq, int64_t *next_seq, int64_t *out, size_t max);
/* The newest rows, newest first. */
void journal_each_recent(struct journal *journal, size_t max,
			 void (*fn)(void *arg, const struct journal_change *change), void *arg);

struct journal_stats {
	size_t rows[JOURNAL_STATES];
	int64_t oldest_pending_ms; /* age; 0 without */
	int64_t log_bytes;         /* of the write-ahead log */
	int64_t log_limit_bytes;   /* more in the log is worth an alarm: somebody reads the file and
				      does not come to an end */
	int64_t room_bytes;        /* for rows, until some end or go */
	uint64_t n_removed_early;  /* ended rows that went before their time, since the start */
};
void journal_read_stats(struct journal *journal, struct journal_stats *out);
/* Seconds that each commit took since the last call; at most MAX are kept. Returns how many. */
size_t journal_take_commit_seconds(struct journal *journal, double *out, size_t max);
const char *journal_state_name(enum journal_state state);

/*
 * The newest rows, newest first, of a journal that is not opened for writing, also while a process
 * has it, and where the folder can't be written to: for `buildhook deliveries`. ERR_NOTFOUND: there
 * is none. ERR_INVALID: not readable as one.
 */
int journal_read_file(const char *data_dir, size_t max,
		      void (*fn)(void *arg, const struct journal_change *change), void *arg,
		      struct err *err);
