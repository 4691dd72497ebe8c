#include "base/log.h"

#include "base/clock.h"
#include "base/mem.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Sends stderr to a pipe or a socket, whose other end is `reader`, until it is released. */
struct capture {
	int reader;
	int saved;
	char text[256 * 1024];
	size_t n;
};

static void redirect(struct capture *c, int reader, int writer)
{
	c->n = 0;
	c->reader = reader;
	c->saved = dup(STDERR_FILENO);
	assert_int_equal(dup2(writer, STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(close(writer), 0);
	assert_int_equal(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
}

static void init_pipe(struct capture *c)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	redirect(c, fds[0], fds[1]);
}

static void init_socket(struct capture *c)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	redirect(c, fds[0], fds[1]);
}

static void release_capture(struct capture *c)
{
	(void)dup2(c->saved, STDERR_FILENO);
	(void)close(c->saved);
	(void)close(c->reader);
}

/* Returns what was written since the last call; empties the pipe even if not all fits. */
static const char *read_written(struct capture *c)
{
	ssize_t n = 0;

	c->n = 0;
	while ((n = read(c->reader, c->text + c->n, sizeof(c->text) - 1 - c->n)) > 0)
		c->n += (size_t)n;
	c->text[c->n] = '\0';
	return c->text;
}

/* The record without its time, which is checked. */
static const char *read_after_time(struct capture *c, const char *before, const char *after)
{
	const char *text = read_written(c);
	int64_t ms = 0;
	struct str time = {0};

	assert_true(str_starts(str_of(text), str_of(before)));
	time = str_range(text + strlen(before), strlen("2026-11-23T20:50:11.123Z"));
	assert_true(clock_parse_rfc3339(time, &ms));
	assert_in_range(clock_real_wall_ms(NULL) - ms, 0, 60000);
	text = time.p + time.n;
	assert_true(str_starts(str_of(text), str_of(after)));
	return text + strlen(after);
}

static void a_json_record_is_one_line(void **state)
{
	CLEANUP(release_capture) struct capture c;

	(void)state;
	init_pipe(&c);
	log_init(LOG_INFO, LOG_JSON);
	log_msg(LOG_INFO, "receiver", "build started", LOG_FIELD("namespace", "shop"),
		LOG_FIELD("error", ""), LOG_FIELD_STR("build", str_range("cart-77", 6)));
	assert_string_equal(read_after_time(&c, "{\"time\":\"", "\""),
			    ",\"level\":\"info\",\"logger\":\"receiver\","
			    "\"message\":\"build started\",\"namespace\":\"shop\","
			    "\"build\":\"cart-7\"}\n");
	log_msg(LOG_ERROR, "x", "without fields");
	assert_string_equal(
		read_after_time(&c, "{\"time\":\"", "\""),
		",\"level\":\"error\",\"logger\":\"x\",\"message\":\"without fields\"}\n");
}

static void a_text_record_quotes_what_is_no_plain_word(void **state)
{
	CLEANUP(release_capture) struct capture c;

	(void)state;
	init_pipe(&c);
	log_init(LOG_INFO, LOG_TEXT);
	log_msg(LOG_WARN, "kube", "away", LOG_FIELD("a", "x=y"), LOG_FIELD("b", "say \"hi\""),
		LOG_FIELD("c", "back\\slash"), LOG_FIELD("ref", "refs/heads/main"));
	assert_string_equal(read_after_time(&c, "time=", ""),
			    " level=warn logger=kube message=away a=\"x=y\" "
			    "b=\"say \\\"hi\\\"\" c=\"back\\\\slash\" ref=refs/heads/main\n");
}

/* Line ends, terminal sequences, reading direction, broken UTF-8: no value makes a second record.
 */
static void no_value_forges_a_record(void **state)
{
	static const char hostile[] = "x\r\n{\"level\":\"error\"}\n\x1B[2J\xE2\x80\xAE\xFF\xC2\x85";
	static const enum log_format formats[] = {LOG_TEXT, LOG_JSON};
	CLEANUP(release_capture) struct capture c;

	(void)state;
	init_pipe(&c);
	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		const char *text = NULL;

		log_init(LOG_INFO, formats[i]);
		log_msg(LOG_INFO, "receiver", hostile, LOG_FIELD("ref", hostile));
		text = read_written(&c);
		assert_true(str_is_utf8(str_of(text)));
		assert_ptr_equal(strchr(text, '\n'), text + c.n - 1);
		assert_null(strpbrk(text, "\r\x1B"));
		assert_null(strstr(text, "\xE2\x80\xAE"));
		assert_null(strstr(text, ",\"level\":\"error\""));
	}
}

static void levels_below_the_minimum_are_left_out(void **state)
{
	CLEANUP(release_capture) struct capture c;

	(void)state;
	init_pipe(&c);
	log_init(LOG_WARN, LOG_TEXT);
	log_msg(LOG_INFO, "x", "quiet");
	assert_string_equal(read_written(&c), "");
	log_init(LOG_DEBUG, LOG_TEXT);
	log_msg(LOG_DEBUG, "x", "loud");
	assert_non_null(strstr(read_written(&c), "level=debug"));
}

static void values_are_cut_and_a_record_fits_a_pipes_atomic_write(void **state)
{
	CLEANUP(release_capture) struct capture c;
	char big[100 * 1024];

	(void)state;
	init_pipe(&c);
	log_init(LOG_INFO, LOG_JSON);
	memset(big, 'a', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	log_msg(LOG_INFO, "x", "m", LOG_FIELD("ref", big), LOG_FIELD("last", "here"));
	read_written(&c);
	assert_in_range(c.n, LOG_MAX_VALUE + 100, LOG_MAX_VALUE + 200);
	assert_non_null(strstr(c.text, ",\"last\":\"here\"}\n"));

	/* Each quote becomes two bytes. */
	memset(big, '"', sizeof(big) - 1);
	log_msg(LOG_INFO, "x", big, LOG_FIELD("a", big), LOG_FIELD("b", big), LOG_FIELD("c", big),
		LOG_FIELD("last", "here"));
	read_written(&c);
	assert_in_range(c.n, 3000, 4096);
	assert_non_null(strstr(c.text, ",\"last\":\"here\"}\n"));
}

static void a_full_pipe_drops_records_and_does_not_wait(void **state)
{
	CLEANUP(release_capture) struct capture c;
	uint64_t before = log_dropped();
	size_t n_lines = 0;

	(void)state;
	init_pipe(&c);
	log_init(LOG_INFO, LOG_TEXT);
	(void)alarm(20);
	for (int i = 0; i < 5000; i++)
		log_msg(LOG_INFO, "x", "a message that takes its place in the pipe");
	(void)alarm(0);
	read_written(&c);
	for (const char *p = c.text; (p = strchr(p, '\n')); p++)
		n_lines++;
	assert_true(n_lines > 100);
	assert_int_equal(c.text[c.n - 1], '\n');
	read_written(&c);
	assert_in_range(log_dropped() - before, 1000, 5000 - n_lines);

	log_msg(LOG_INFO, "x", "again");
	assert_non_null(strstr(read_written(&c), "message=again"));
}

static void a_full_socket_drops_records_and_the_next_begins_a_line(void **state)
{
	CLEANUP(release_capture) struct capture c;
	uint64_t before = log_dropped();
	char big[2000];
	char last = '\n';

	(void)state;
	init_socket(&c);
	log_init(LOG_INFO, LOG_TEXT);
	memset(big, 'a', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	(void)alarm(20);
	for (int i = 0; i < 5000; i++)
		log_msg(LOG_INFO, "x", big, LOG_FIELD("b", big));
	(void)alarm(0);
	assert_true(log_dropped() > before);
	while (*read_written(&c))
		last = c.text[c.n - 1];
	log_msg(LOG_INFO, "x", "again");
	read_written(&c);
	assert_true(last == '\n' || c.text[0] == '\n');
	assert_non_null(strstr(c.text, "message=again\n"));
}

/* A reader that went away must not end the program. */
static void a_closed_pipe_counts_as_dropped(void **state)
{
	pid_t child = fork();
	int status = 0;

	(void)state;
	if (child == 0) {
		struct capture c;

		init_pipe(&c);
		(void)signal(SIGPIPE, SIG_IGN);
		(void)close(c.reader);
		log_msg(LOG_ERROR, "x", "nobody reads this");
		_exit(log_dropped() > 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void a_file_takes_everything(void **state)
{
	char path[] = "/tmp/test_log.XXXXXX";
	int writer = mkstemp(path);
	CLEANUP(release_capture) struct capture c;
	uint64_t before = log_dropped();

	(void)state;
	redirect(&c, open(path, O_RDONLY), writer);
	assert_int_equal(unlink(path), 0);
	log_init(LOG_INFO, LOG_TEXT);
	for (int i = 0; i < 100; i++)
		log_msg(LOG_INFO, "x", "to a file");
	assert_int_equal(log_dropped(), before);
	read_written(&c);
	assert_int_equal(c.n % 100, 0);
	assert_true(c.n > 4000);
}

static void held_records_are_written_together_and_a_warning_takes_them_along(void **state)
{
	CLEANUP(release_capture) struct capture c;
	const char *text = NULL;

	(void)state;
	init_pipe(&c);
	log_init(LOG_INFO, LOG_TEXT);
	log_hold();
	log_msg(LOG_INFO, "x", "one");
	assert_string_equal(read_written(&c), "");
	log_msg(LOG_WARN, "x", "two");
	text = read_written(&c);
	assert_non_null(strstr(text, "message=one\n"));
	assert_non_null(strstr(text, "message=two\n"));
	log_msg(LOG_INFO, "x", "three");
	log_unhold();
	assert_non_null(strstr(read_written(&c), "message=three\n"));
	log_msg(LOG_INFO, "x", "four");
	assert_non_null(strstr(read_written(&c), "message=four\n"));
}

static void what_is_held_is_written_when_it_is_as_much_as_a_pipe_takes_whole(void **state)
{
	CLEANUP(release_capture) struct capture c;
	size_t n_lines = 0;

	(void)state;
	init_pipe(&c);
	log_init(LOG_INFO, LOG_TEXT);
	log_hold();
	for (int i = 0; i < 200; i++)
		log_msg(LOG_INFO, "x", "a message that takes its place");
	read_written(&c);
	assert_in_range(c.n, 10000, 200L * 100);
	assert_int_equal(c.text[c.n - 1], '\n');
	for (const char *p = c.text; (p = strchr(p, '\n')); p++)
		n_lines++;
	log_unhold();
	read_written(&c);
	for (const char *p = c.text; (p = strchr(p, '\n')); p++)
		n_lines++;
	assert_int_equal(n_lines, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_json_record_is_one_line),
		cmocka_unit_test(a_text_record_quotes_what_is_no_plain_word),
		cmocka_unit_test(no_value_forges_a_record),
		cmocka_unit_test(levels_below_the_minimum_are_left_out),
		cmocka_unit_test(values_are_cut_and_a_record_fits_a_pipes_atomic_write),
		cmocka_unit_test(a_full_pipe_drops_records_and_does_not_wait),
		cmocka_unit_test(a_full_socket_drops_records_and_the_next_begins_a_line),
		cmocka_unit_test(a_closed_pipe_counts_as_dropped),
		cmocka_unit_test(a_file_takes_everything),
		cmocka_unit_test(held_records_are_written_together_and_a_warning_takes_them_along),
		cmocka_unit_test(what_is_held_is_written_when_it_is_as_much_as_a_pipe_takes_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
