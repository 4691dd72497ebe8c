/* Records of the log: formatted as JSON or text, cut to what one write takes, and never waited for.
 */
#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * A pipe takes PIPE_BUF bytes or fewer whole or not at all, and as soon as it polls writable it has
 * room for them: such a write never waits. (pipe(7))
 */
enum { MAX_RECORD = PIPE_BUF, TYPICAL_RECORD = 600 };

static enum log_level min_level = LOG_INFO;
static enum log_format record_format = LOG_TEXT;
static atomic_uint_least64_t dropped;
/* stderr is no socket: send() has failed on it once and is not tried again. */
static atomic_bool is_no_socket;
/* True after a record was written in part: the next one begins on a line of its own. */
static atomic_bool torn;
/* See log_hold(). One write takes as much as a pipe takes whole. */
static _Thread_local struct {
	bool is_open;
	size_t n;
	char bytes[MAX_RECORD];
} held;

void log_init(enum log_level level, enum log_format format)
{
	min_level = level;
	record_format = format;
	atomic_store(&is_no_socket, false);
}

static bool is_enabled(enum log_level level)
{
	return level >= min_level;
}

uint64_t log_dropped(void)
{
	return atomic_load(&dropped);
}

static void put_json_value(struct buf *out, const char *key, struct str value)
{
	buf_put_str(out, out->len ? STR(",\"") : STR("{\""));
	buf_put_str(out, str_of(key));
	buf_put_str(out, STR("\":"));
	buf_put_json(out, value);
}

static bool is_plain_word(struct str value)
{
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] == ' ' || value.p[i] == '"' || value.p[i] == '=' ||
		    value.p[i] == '\\')
			return false;
	return value.n > 0;
}

static void put_text_value(struct buf *out, const char *key, struct str value)
{
	buf_put_str(out, out->len ? STR(" ") : STR(""));
	buf_put_str(out, str_of(key));
	buf_put_char(out, '=');
	if (is_plain_word(value))
		buf_put_str(out, value);
	else
		buf_put_json(out, value);
}

/* A record in the making. */
struct record {
	struct buf text;
	struct buf clean; /* the value at hand */
};

static void release_record(struct record *record)
{
	buf_release(&record->text);
	buf_release(&record->clean);
}

/* Cuts a value to the room that is left in the record, and leaves the field out if that is too
 * little. */
static void put_value(struct record *record, const char *key, struct str value)
{
	static const size_t cuts[] = {LOG_MAX_VALUE, LOG_MAX_VALUE / 4, LOG_MAX_VALUE / 16};
	struct buf *text = &record->text;
	size_t before = text->len;

	for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
		struct str clean = value;

		if (value.n > cuts[i] || str_count_printable(value) < value.n) {
			buf_clear(&record->clean);
			buf_put_clean(&record->clean, value, cuts[i]);
			clean = buf_str(&record->clean);
		}
		if (record_format == LOG_JSON)
			put_json_value(text, key, clean);
		else
			put_text_value(text, key, clean);
		if (!text->overflow)
			return;
		text->len = before;
		text->overflow = false;
	}
}

static size_t count_lines(struct str text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++)
		n += text.p[i] == '\n';
	return n;
}

/* Counts each record of which the reader of stderr does not get all bytes. */
static void write_records(struct str records)
{
	struct pollfd err = {.fd = STDERR_FILENO, .events = POLLOUT};
	/* A socket takes a flag for this one write; a pipe's O_NONBLOCK would be its other
	 * writers', too. */
	ssize_t n = -1;
	size_t written = 0;

	errno = ENOTSOCK;
	if (!atomic_load(&is_no_socket))
		n = send(err.fd, records.p, records.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno == ENOTSOCK)
		atomic_store(&is_no_socket, true);
	while (n < 0 && (errno == ENOTSOCK || errno == EINTR)) {
		if (poll(&err, 1, 0) < 1 || !(err.revents & POLLOUT))
			break;
		n = write(err.fd, records.p, records.n);
	}
	written = n > 0 ? (size_t)n : 0;
	if (written == records.n)
		return;
	atomic_fetch_add(&dropped,
			 count_lines(str_range(records.p + written, records.n - written)));
	if (written > 0 && records.p[written - 1] != '\n')
		atomic_store(&torn, true);
}

static void write_held(void)
{
	size_t n = held.n;

	held.n = 0;
	if (n > 0)
		write_records(str_range(held.bytes, n));
}

void log_hold(void)
{
	held.is_open = true;
}

void log_unhold(void)
{
	write_held();
	held.is_open = false;
}

/* LINE has its line end. */
static void hold(enum log_level level, struct str line)
{
	if (line.n > sizeof(held.bytes) - held.n)
		write_held();
	memcpy(held.bytes + held.n, line.p, line.n);
	held.n += line.n;
	if (level >= LOG_WARN)
		write_held();
}

void log_write(enum log_level level, const char *logger, const char *message,
	       const struct log_field *fields, size_t n_fields)
{
	static const char *const levels[] = {"debug", "info", "warn", "error"};
	CLEANUP(release_record)
	struct record record = {
		.text = BUF_INIT(MAX_RECORD - sizeof("\n}\n") + 1),
		.clean = BUF_INIT(LOG_MAX_VALUE),
	};
	CLEANUP(buf_release) struct buf line = BUF_INIT(MAX_RECORD);
	char time[CLOCK_TEXT_BYTES];

	if (!is_enabled(level))
		return;
	buf_reserve(&record.text, TYPICAL_RECORD);
	clock_format_rfc3339(time, clock_real_wall_ms(NULL), true);
	put_value(&record, "time", str_of(time));
	put_value(&record, "level", str_of(levels[level]));
	put_value(&record, "logger", str_of(logger));
	put_value(&record, "message", str_of(message));
	for (size_t i = 0; i < n_fields; i++)
		if (!str_empty(fields[i].value))
			put_value(&record, fields[i].key, fields[i].value);

	buf_reserve(&line, record.text.len + sizeof("\n}\n"));
	if (held.n == 0 && atomic_exchange(&torn, false))
		buf_put_char(&line, '\n');
	buf_put_str(&line, buf_str(&record.text));
	buf_put_str(&line, record_format == LOG_JSON ? STR("}\n") : STR("\n"));
	if (held.is_open)
		hold(level, buf_str(&line));
	else
		write_records(buf_str(&line));
}
