/* Metrics that are read from the parts at each scrape, rather than counted as things happen. */
#include "stats.h"

#include "process.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/version.h"
#include "buildconfig/status.h"

#define MAX_COMMITS 256

static const struct metrics_family journal_rows = {.name = "buildhook_journal_rows",
						   .help = "Changes in the journal.",
						   .kind = METRICS_GAUGE,
						   .labels = {"state"}};
static const struct metrics_family hooks = {.name = "buildhook_hooks",
					    .help = "Webhooks of the watched BuildConfigs.",
					    .kind = METRICS_GAUGE,
					    .labels = {"state"}};
static const struct metrics_family build_info = {.name = "buildhook_build_info",
						 .help = "The version that is running.",
						 .kind = METRICS_GAUGE,
						 .labels = {"version"}};

enum figure {
	FIGURE_OLDEST_PENDING,
	FIGURE_JOURNAL_LOG,
	FIGURE_JOURNAL_ROOM,
	FIGURE_JOURNAL_EARLY,
	FIGURE_LOG_DROPPED,
	FIGURE_WATCH_AGE,
	FIGURE_CERTIFICATE,
	FIGURE_STALL,
	FIGURE_QUEUE_DEPTH,
	FIGURE_QUEUE_ADDS,
	FIGURE_QUEUE_RETRIES,
	FIGURE_QUEUE_UNFINISHED,
	FIGURE_QUEUE_LONGEST,
	FIGURE_CPU,
	FIGURE_RESIDENT,
	FIGURE_VIRTUAL,
	FIGURE_OPEN_FDS,
	FIGURE_MAX_FDS,
	FIGURE_START,
	FIGURES,
};

#define GAUGE(metric, text)                                                                        \
	{                                                                                          \
		.name = (metric), .help = (text), .kind = METRICS_GAUGE                            \
	}
#define COUNTER(metric, text)                                                                      \
	{                                                                                          \
		.name = (metric), .help = (text), .kind = METRICS_COUNTER                          \
	}
/* As client-go's metrics provider labels them. */
#define QUEUE(metric, text, type)                                                                  \
	{                                                                                          \
		.name = (metric), .help = (text), .kind = (type), .labels = { "name" }             \
	}

static const struct metrics_family figures[FIGURES] = {
	[FIGURE_OLDEST_PENDING] = GAUGE("buildhook_journal_oldest_pending_seconds",
					"Age of the oldest change that has not ended."),
	[FIGURE_JOURNAL_LOG] =
		GAUGE("buildhook_journal_log_bytes",
		      "The journal's write-ahead log; it stays below 64 MiB or a sixteenth of "
		      "--journal-size, unless a reader keeps it from being reused."),
	[FIGURE_JOURNAL_ROOM] =
		GAUGE("buildhook_journal_room_bytes",
		      "Room for further deliveries in the journal, beyond what is reserved."),
	[FIGURE_JOURNAL_EARLY] =
		COUNTER("buildhook_journal_removed_early_total",
			"Ended changes that were removed before --dedupe-window was over, because "
			"others needed the room."),
	[FIGURE_LOG_DROPPED] = COUNTER("buildhook_log_records_dropped_total",
				       "Log records that nobody took in time."),
	[FIGURE_WATCH_AGE] =
		GAUGE("buildhook_watch_age_seconds", "Since the last sign of life of the watch."),
	[FIGURE_CERTIFICATE] =
		GAUGE("buildhook_tls_certificate_not_after_seconds",
		      "End of the certificate's validity, since 1970; 0 without TLS."),
	[FIGURE_STALL] = GAUGE("buildhook_loop_stall_seconds",
			       "Longest round of the event loop since the last scrape."),
	[FIGURE_QUEUE_DEPTH] = QUEUE("workqueue_depth", "Keys that wait.", METRICS_GAUGE),
	[FIGURE_QUEUE_ADDS] = QUEUE("workqueue_adds_total", "Keys added.", METRICS_COUNTER),
	[FIGURE_QUEUE_RETRIES] =
		QUEUE("workqueue_retries_total", "Keys added after a delay.", METRICS_COUNTER),
	[FIGURE_QUEUE_UNFINISHED] =
		QUEUE("workqueue_unfinished_work_seconds",
		      "Sum of the ages of all keys that are worked on.", METRICS_GAUGE),
	[FIGURE_QUEUE_LONGEST] = QUEUE("workqueue_longest_running_processor_seconds",
				       "Age of the key longest in work.", METRICS_GAUGE),
	[FIGURE_CPU] = COUNTER("process_cpu_seconds_total", "User and system CPU time."),
	[FIGURE_RESIDENT] = GAUGE("process_resident_memory_bytes", "Resident memory."),
	[FIGURE_VIRTUAL] = GAUGE("process_virtual_memory_bytes", "Virtual memory."),
	[FIGURE_OPEN_FDS] = GAUGE("process_open_fds", "Open file descriptors."),
	[FIGURE_MAX_FDS] = GAUGE("process_max_fds", "Limit of open file descriptors."),
	[FIGURE_START] = GAUGE("process_start_time_seconds", "Start of the process, since 1970."),
};

struct stats {
	const struct services *services;
	struct loop *loop;
	struct http_server *http;
	struct metrics_series *figures[FIGURES];
	struct metrics_series *rows[JOURNAL_STATES];
	struct metrics_series *ready, *not_ready;
	struct metrics_series *commit_seconds;
};

struct hook_count {
	double ready, not_ready;
};

static void count_hooks(void *arg, const char *key, const void *object)
{
	const struct buildconfig *bc = object;
	struct hook_count *count = arg;

	(void)key;
	for (size_t type = 0; type < HOOK_TYPES; type++) {
		const size_t i = type * BUILDCONFIG_FACTS + BUILDCONFIG_FACT_STATE;
		const char *value = buildconfig_find_status(bc, buildconfig_status_keys[i]);

		if (!value)
			continue;
		if (status_read_state(value) == STATUS_READY)
			count->ready++;
		else
			count->not_ready++;
	}
}

static void read_hooks(struct stats *s)
{
	struct hook_count count = {0};

	kube_store_each(s->services->store, count_hooks, &count);
	metrics_set(s->ready, count.ready);
	metrics_set(s->not_ready, count.not_ready);
}

static void read_journal(struct stats *s)
{
	struct journal_stats journal;
	double seconds[MAX_COMMITS];
	size_t n = journal_take_commit_seconds(s->services->journal, seconds, ARRAY_LEN(seconds));

	journal_read_stats(s->services->journal, &journal);
	for (size_t i = 0; i < JOURNAL_STATES; i++)
		metrics_set(s->rows[i], (double)journal.rows[i]);
	for (size_t i = 0; i < n; i++)
		metrics_observe(s->commit_seconds, seconds[i]);
	metrics_set(s->figures[FIGURE_OLDEST_PENDING], (double)journal.oldest_pending_ms / 1000);
	metrics_set(s->figures[FIGURE_JOURNAL_LOG], (double)journal.log_bytes);
	metrics_set(s->figures[FIGURE_JOURNAL_ROOM], (double)journal.room_bytes);
	metrics_set(s->figures[FIGURE_JOURNAL_EARLY], (double)journal.n_removed_early);
}

static void read_queue(struct stats *s)
{
	struct queue_stats queue;

	queue_read_stats(s->services->queue, &queue);
	metrics_set(s->figures[FIGURE_QUEUE_DEPTH], (double)queue.depth);
	metrics_set(s->figures[FIGURE_QUEUE_ADDS], (double)queue.adds);
	metrics_set(s->figures[FIGURE_QUEUE_RETRIES], (double)queue.retries);
	metrics_set(s->figures[FIGURE_QUEUE_UNFINISHED], (double)queue.working_ms / 1000);
	metrics_set(s->figures[FIGURE_QUEUE_LONGEST], (double)queue.oldest_working_ms / 1000);
}

static void read_process(struct stats *s)
{
	struct process_figures process = {0};

	process_read(&process);
	metrics_set(s->figures[FIGURE_CPU], process.cpu_seconds);
	metrics_set(s->figures[FIGURE_RESIDENT], process.resident_bytes);
	metrics_set(s->figures[FIGURE_VIRTUAL], process.virtual_bytes);
	metrics_set(s->figures[FIGURE_OPEN_FDS], process.open_fds);
	metrics_set(s->figures[FIGURE_MAX_FDS], process.max_fds);
	metrics_set(s->figures[FIGURE_START], process.start_seconds);
}

static void collect(void *arg)
{
	struct stats *s = arg;

	read_hooks(s);
	read_journal(s);
	read_queue(s);
	read_process(s);
	metrics_set(s->figures[FIGURE_LOG_DROPPED], (double)log_dropped());
	metrics_set(s->figures[FIGURE_WATCH_AGE],
		    (double)kube_informer_age_ms(s->services->buildconfigs) / 1000);
	metrics_set(s->figures[FIGURE_STALL], (double)loop_take_stall_ms(s->loop) / 1000);
	metrics_set(s->figures[FIGURE_CERTIFICATE],
		    (double)http_server_certificate_not_after_ms(s->http) / 1000);
}

static struct metrics_series *get_series(struct stats *s, const struct metrics_family *family,
					 const char *label)
{
	return metrics_get(s->services->metrics, family, (const char *const[]){label});
}

struct stats *stats_new(const struct services *services, struct loop *loop,
			struct http_server *http)
{
	static struct metrics_family commit_seconds = {
		.name = "buildhook_journal_commit_seconds",
		.help = "Time that a commit of the journal took.",
		.kind = METRICS_HISTOGRAM,
		.buckets = metrics_seconds};
	struct stats *s = mem_new(1, sizeof(*s));

	commit_seconds.n_buckets = metrics_n_seconds;
	s->services = services;
	s->loop = loop;
	s->http = http;
	for (size_t i = 0; i < FIGURES; i++)
		s->figures[i] = get_series(s, &figures[i], "buildconfig");
	for (size_t i = 0; i < JOURNAL_STATES; i++)
		s->rows[i] =
			get_series(s, &journal_rows, journal_state_name((enum journal_state)i));
	s->ready = get_series(s, &hooks, "Ready");
	s->not_ready = get_series(s, &hooks, "NotReady");
	s->commit_seconds = get_series(s, &commit_seconds, NULL);
	metrics_set(get_series(s, &build_info, version_text), 1);
	metrics_on_collect(s->services->metrics, collect, s);
	return s;
}

void stats_free(struct stats *s)
{
	free(s);
}
