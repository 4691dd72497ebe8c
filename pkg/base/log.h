/*
 * Structured log records, one a line on stderr, as JSON or logfmt: time, level, logger, message,
 * then fields. Values are escaped and cut, so that no text from outside can forge a record. Writing
 * never blocks: what a full pipe does not take is dropped and counted. Callable from any thread.
 */
#pragma once

#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

/* Bytes of a value; a record is at most 4 KiB, and leaves out the fields that do not fit. */
#define LOG_MAX_VALUE 1024

struct log_field {
	const char *key;  /* a word of ours: it is not escaped */
	struct str value; /* an empty one is left out */
};

#define LOG_FIELD(key, text)                                                                       \
	{                                                                                          \
		(key), str_of(text)                                                                \
	}
#define LOG_FIELD_STR(key, s)                                                                      \
	{                                                                                          \
		(key), (s)                                                                         \
	}

/* To be called before there is a second thread. Without this call: LOG_INFO and LOG_TEXT. */
void log_init(enum log_level level, enum log_format format);
void log_write(enum log_level level, const char *logger, const char *message,
	       const struct log_field *fields, size_t n_fields);
/*
 * Between the two calls, which do not nest, records of this thread below LOG_WARN may be kept, and
 * are written together: a write costs as much as the rest of a small delivery. A record from
 * LOG_WARN on takes those before it along. A process that is killed in between loses them.
 */
void log_hold(void);
void log_unhold(void);
/* Records dropped or torn since start because stderr did not take them. */
uint64_t log_dropped(void);

/* log_msg(LOG_INFO, "receiver", "build started", LOG_FIELD("build", name), ...) */
#define log_msg(level, logger, message, ...)                                                       \
	do {                                                                                       \
		const struct log_field fields_[] = {__VA_ARGS__ __VA_OPT__(, ){0}};                \
		log_write((level), (logger), (message), fields_,                                   \
			  sizeof(fields_) / sizeof(fields_[0]) - 1);                               \
	} while (0)
