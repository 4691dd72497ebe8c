#include "journal/space.h"

#define KIB 1024LL
#define MIB (1024 * KIB)

/* Of one BuildConfig. */
#define CONFIG_MAX_ROWS  1000
#define CONFIG_MAX_BYTES (16 * MIB)
/* Of all: each has its place in memory, twice. */
#define ALL_MAX_ROWS 100000

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
	out->is_short = out->room_bytes < total / 16 && seen->ended_bytes > total / 4;
}

enum journal_limit journal_space_check(const struct journal_space *space,
				       const struct journal_pending_sum *config,
				       const struct journal_pending_sum *in_namespace,
				       const struct journal_pending_sum *all,
				       const struct journal_pending_sum *more)
{
	const struct journal_pending_sum left = {
		ALL_MAX_ROWS - least((int64_t)(all->rows + more->rows), ALL_MAX_ROWS),
		space->waiting_bytes - all->bytes - more->bytes};

	if (more->rows == 0)
		return JOURNAL_LIMIT_NONE;
	if (config->rows + more->rows > CONFIG_MAX_ROWS ||
	    config->bytes + more->bytes > CONFIG_MAX_BYTES)
		return JOURNAL_LIMIT_BUILDCONFIG;
	/* Written to the log and to the file. */
	if (left.bytes < 0 || 2 * more->bytes > space->room_bytes)
		return JOURNAL_LIMIT_DISK;
	if (in_namespace->rows + more->rows > ALL_MAX_ROWS / 4 ||
	    in_namespace->rows + more->rows > left.rows / 2 ||
	    in_namespace->bytes + more->bytes > space->hold_bytes / 4 ||
	    in_namespace->bytes + more->bytes > left.bytes / 2)
		return JOURNAL_LIMIT_NAMESPACE;
	return JOURNAL_LIMIT_NONE;
}
