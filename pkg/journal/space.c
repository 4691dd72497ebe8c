#include "journal/space.h"

#define KIB 1024LL
#define MIB (1024 * KIB)

/* Of one BuildConfig. */
#define CONFIG_MAX_ROWS  1000
#define CONFIG_MAX_BYTES (16 * MIB)
/* Of all: each has its place in memory, twice. */
#define ALL_MAX_ROWS 100000
/* What of the journal is kept for namespaces that have little: the last eighth, of which each may
 * have a sixty-fourth, and the largest row in any case. */
#define KEPT_PART    8
#define LITTLE_PART  512
#define LITTLE_BYTES (128 * KIB)

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
	return value < low ? low : least(value, high);
}

void journal_space_measure(struct journal_space *out, const struct journal_figures *seen)
{
	int64_t taken = seen->file_bytes + seen->log_bytes;
	int64_t total = least(seen->size_bytes, taken + seen->disk_bytes);
	/* Whatever others do on the disk, the reserve stays. */
	int64_t most = least(seen->size_bytes, seen->whole_disk_bytes);
	int64_t log_limit = clamp(most / 16, 256 * KIB, JOURNAL_LOG_LIMIT_BYTES);
	/* The size of the log as long as no reader keeps it from restarting. */
	int64_t log = least(log_limit, 16 * MIB);
	int64_t reserve = clamp(most / 32, 64 * KIB, 512 * KIB);
	int64_t hold = clamp(total - log - 2 * reserve, 0, INT64_MAX);
	/* Ended rows are still needed to recognise duplicates: only those beyond that make room. */
	int64_t kept = least(seen->ended_bytes, total / 4);

	*out = (struct journal_space){
		.log_limit_bytes = log_limit,
		.reserve_bytes = reserve,
		.hold_bytes = hold,
		.waiting_bytes = clamp(hold - kept, 0, INT64_MAX),
		.room_bytes = seen->free_bytes + (total - taken) -
			      clamp(log - seen->log_bytes, 0, INT64_MAX) - reserve,
	};
	/* What ended rows have beyond their part is room, too, as soon as it is short. */
	out->free_bytes = out->room_bytes + seen->ended_bytes - kept;
	out->is_short = out->room_bytes < total / 16 && seen->ended_bytes > total / 4;
}

/* Of rows or bytes: whether a namespace that WANTS so much in all leaves less than its share to
 * others. LEFT: free afterwards. */
static bool is_over_share(int64_t wants, int64_t little, int64_t hold, int64_t left)
{
	return wants > hold / 4 || wants > left / 2 || (wants > little && left < hold / KEPT_PART);
}

enum journal_limit journal_space_check(const struct journal_space *space,
				       const struct journal_pending_sum *config,
				       const struct journal_pending_sum *in_namespace,
				       const struct journal_pending_sum *all,
				       const struct journal_pending_sum *more)
{
	const struct journal_pending_sum wants = {in_namespace->rows + more->rows,
						  in_namespace->bytes + more->bytes};
	const int64_t little_rows = ALL_MAX_ROWS / LITTLE_PART;
	const int64_t little_bytes =
		clamp(space->hold_bytes / LITTLE_PART, LITTLE_BYTES, INT64_MAX);
	const int64_t left_rows = ALL_MAX_ROWS - (int64_t)(all->rows + more->rows);
	/* A file has less room than the sum of its rows would leave. */
	const int64_t left_bytes =
		least(space->waiting_bytes - all->bytes, space->free_bytes) - more->bytes;

	/* What replaces a larger one asks for nothing. */
	if (more->rows == 0 && more->bytes <= 0)
		return JOURNAL_LIMIT_NONE;
	if (config->rows + more->rows > CONFIG_MAX_ROWS ||
	    config->bytes + more->bytes > CONFIG_MAX_BYTES)
		return JOURNAL_LIMIT_BUILDCONFIG;
	if (!is_over_share((int64_t)wants.rows, little_rows, ALL_MAX_ROWS, left_rows) &&
	    !is_over_share(wants.bytes, little_bytes, space->hold_bytes, left_bytes))
		/* Written to the log and to the file. */
		return 2 * more->bytes > space->room_bytes ? JOURNAL_LIMIT_DISK
							   : JOURNAL_LIMIT_NONE;
	/* A namespace that has little did not fill it. */
	if (in_namespace->rows == 0 ||
	    ((int64_t)wants.rows <= little_rows && wants.bytes <= little_bytes))
		return JOURNAL_LIMIT_DISK;
	return JOURNAL_LIMIT_NAMESPACE;
}
