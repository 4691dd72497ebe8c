#define _GNU_SOURCE
#include "net/http_conn.h"

#include "http_world.h"

#include "../faults.h"

#include <netdb.h>
#include <sys/resource.h>
#include <time.h>

FAULT(int, socket, (int family, int type, int protocol), (family, type, protocol), -1)
FAULT(int, bind, (int fd, const struct sockaddr *address, socklen_t n), (fd, address, n), -1)
FAULT(int, listen, (int fd, int backlog), (fd, backlog), -1)
FAULT(int, getsockname, (int fd, struct sockaddr *out, socklen_t *n), (fd, out, n), -1)
FAULT(int, getnameinfo,
      (const struct sockaddr *address, socklen_t n, char *host, socklen_t host_n, char *port,
       socklen_t port_n, int flags),
      (address, n, host, host_n, port, port_n, flags), EAI_MEMORY)
FAULT(int, getrlimit, (__rlimit_resource_t what, struct rlimit *out), (what, out), -1)

/* Failing calls in a row. */
static struct {
	int error;
	unsigned left;
} bad_accepts;

int accept4(int fd, struct sockaddr *peer, socklen_t *n, int flags)
{
	static int (*real)(int, struct sockaddr *, socklen_t *, int);

	if (bad_accepts.left > 0) {
		bad_accepts.left--;
		errno = bad_accepts.error;
		return -1;
	}
	if (!real)
		fault_find(&real, "accept4");
	return real(fd, peer, n, flags);
}

/* "A,B" is a name that has the addresses A and B. */
int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
		struct addrinfo **out)
{
	static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	const char *comma = host ? strchr(host, ',') : NULL;

	if (!real)
		fault_find(&real, "getaddrinfo");
	if (!comma)
		return real(host, port, hints, out);
	CLEANUP(mem_free) char *first = mem_strndup(host, (size_t)(comma - host));
	assert_int_equal(real(first, port, hints, out), 0);
	assert_null((*out)->ai_next);
	return real(comma + 1, port, hints, &(*out)->ai_next);
}

static int set_up(void **state)
{
	struct world *world = mem_new(1, sizeof(*world));
	world_init(world);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	world_release(*state);
	free(*state);
	return 0;
}

static void addresses_are_listened_on(void **state)
{
	struct world *world = *state;
	char long_name[300];
	memset(long_name, 'a', sizeof(long_name));
	memcpy(long_name + sizeof(long_name) - 3, ":0", 3);
	const struct {
		const char *address;
		int code;
		const char *shown;
	} cases[] = {
		{"127.0.0.1:0", 0, "127.0.0.1:"},
		{"localhost:0", 0, NULL},
		{"no-such-host.invalid:0", ERR_UNAVAILABLE, "listen on no-such-host.invalid:0: "},
		{":0", 0, NULL},
		{"", ERR_INVALID, "listen address \"\": expected"},
		{"127.0.0.1", ERR_INVALID, NULL},
		{"127.0.0.1:", ERR_INVALID, NULL},
		{"127.0.0.1:65536", ERR_INVALID, NULL},
		{"127.0.0.1:http", ERR_INVALID, NULL},
		{"127.0.0.1:-1", ERR_INVALID, NULL},
		{"::1:0", ERR_INVALID, NULL},
		{"192.0.2.1:0", ERR_UNAVAILABLE, "listen on 192.0.2.1:0: "},
		{"192.0.2.1,127.0.0.1:0", 0, "127.0.0.1:"},
		{"127.0.0.1,127.0.0.2:0", 0, "127.0.0.1:"},
		{"127.0.0.1:00000000000", ERR_INVALID, "listen address \""},
		{"[::1:0", ERR_INVALID, "listen address \""},
		{"[ab:0", ERR_UNAVAILABLE, "listen on [ab:0: "},
		{"[]:0", ERR_UNAVAILABLE, "listen on []:0: "},
		{"[127.0.0.1]:0", 0, "127.0.0.1:"},
		{long_name, ERR_INVALID, "listen address \""},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		struct http_options options = world_options(world);
		struct http_server *server = NULL;
		int code = http_server_new(&server, world->loop, cases[i].address, &options, &err);
		assert_int_equal(code, cases[i].code);
		assert_true((code == 0) == (server != NULL));
		const char *shown = server ? http_server_address(server) : err.msg;
		if (cases[i].shown)
			assert_true(str_starts(str_of(shown), str_of(cases[i].shown)));
		if (server)
			assert_false(str_ends(str_of(shown), STR(":0")));
		http_server_free(server);
	}
}

/* Where the machine has no IPv6 there is nothing to see. */
static void ipv6_and_ipv4_reach_the_same_port(void **state)
{
	struct world *world = *state;
	struct http_options options = world_options(world);
	struct err err = {0};
	if (http_server_new(&world->server, world->loop, ":0", &options, &err))
		fail_msg("%s", err.msg);
	world->answers = LATER;
	client_send(client_new(world), STR(POST_HEAD "\r\n"));
	run_for(world, 50);
	assert_non_null(world->held);
	give_answer(world, world->held);

	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	const char *port = strrchr(http_server_address(world->server), ':') + 1;
	to.sin6_port = htons((uint16_t)strtoul(port, NULL, 10));
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to))) {
		print_message("no IPv6 here\n");
	} else {
		static const char request[] = POST_HEAD "\r\n";
		assert_int_equal(send(fd, request, strlen(request), 0), (ssize_t)strlen(request));
		run_for(world, 50);
		assert_non_null(world->held);
		give_answer(world, world->held);
	}
	if (fd >= 0)
		close(fd);
}

static void an_address_in_use_is_said(void **state)
{
	struct world *world = *state;
	struct http_options options = world_options(world);
	struct http_server *second = NULL;
	struct err err = {0};
	world_start(world, &options);
	assert_int_equal(http_server_new(&second, world->loop, http_server_address(world->server),
					 &options, &err),
			 ERR_UNAVAILABLE);
	assert_non_null(strstr(err.msg, "Address already in use"));
}

static void what_the_system_refuses_is_said(void **state)
{
	struct world *world = *state;
	static const struct {
		struct fault *fault;
		int error;
		const char *address;
		int code;
		const char *shown;
	} cases[] = {
		{&fault_socket, EMFILE, "127.0.0.1:0", ERR_UNAVAILABLE, "Too many open files"},
		{&fault_bind, EACCES, "127.0.0.1:0", ERR_DENIED, "Permission denied"},
		{&fault_listen, EADDRINUSE, "127.0.0.1:0", ERR_UNAVAILABLE,
		 "Address already in use"},
		{&fault_socket, EAFNOSUPPORT, ":0", 0, "0.0.0.0:"},
		{&fault_bind, EADDRNOTAVAIL, ":0", 0, "0.0.0.0:"},
		{&fault_socket, EMFILE, ":0", ERR_UNAVAILABLE, "Too many open files"},
		{&fault_getsockname, ENOBUFS, ":0", 0, "?"},
		{&fault_getnameinfo, 0, ":0", 0, "?"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		struct http_options options = world_options(world);
		struct http_server *server = NULL;
		fault_arm(cases[i].fault, 1, cases[i].error);
		assert_int_equal(
			http_server_new(&server, world->loop, cases[i].address, &options, &err),
			cases[i].code);
		assert_false(fault_is_armed(cases[i].fault));
		assert_non_null(
			strstr(server ? http_server_address(server) : err.msg, cases[i].shown));
		http_server_free(server);
	}
}

/* The pause for want of descriptors or memory is over soon; any other error is one client's. */
static void a_failed_accept_delays_no_more_than_a_pause(void **state)
{
	struct world *world = *state;
	struct http_options options = world_options(world);
	static const int errors[] = {ECONNABORTED, EPROTO, EMFILE, ENFILE, ENOBUFS, ENOMEM};
	world_start(world, &options);
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		bad_accepts.error = errors[i];
		bad_accepts.left = 1;
		struct client *client = client_new(world);
		client_send(client, STR(POST_HEAD "\r\n"));
		expect_answers(world, client, "200");
		assert_int_equal(bad_accepts.left, 0);
	}
}

static void draining_ends_although_clients_go_on_coming(void **state)
{
	struct world *world = *state;
	struct http_options options = world_options(world);
	world_start(world, &options);
	bad_accepts.error = ECONNABORTED;
	bad_accepts.left = 100000;
	http_server_drain(world->server);
	assert_true(bad_accepts.left > 0);
	bad_accepts.left = 0;
	assert_int_equal(http_server_connections(world->server), 0);
}

static const char *json_error(struct buf *body, int status, const char *message)
{
	buf_printf(body, "{\"code\":%d,\"message\":\"%s\"}", status, message);
	return "application/json";
}

static void errors_look_as_the_owner_wants(void **state)
{
	struct world *world = *state;
	struct http_options options = world_options(world);
	options.error_body = json_error;
	options.error_header = "X-Problem";
	world_start(world, &options);
	struct client *client = client_new(world);
	client_send(client, STR("POST / HTTP/1.1\r\n\r\n"));
	expect_answers(world, client, "400!");
	assert_non_null(strstr(client->got.data, "\r\nX-Problem: no Host\r\n"));
	assert_non_null(strstr(client->got.data, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(client->got.data, "{\"code\":400,\"message\":\"no Host\"}"));
}

static bool all_are_open(struct world *world, void *arg)
{
	return http_server_connections(world->server) == *(const size_t *)arg;
}

static void a_connection_over_the_limit_is_told_503(void **state)
{
	struct world *world = *state;
	struct http_options options = world_options(world);
	size_t n = options.limits.max_connections = 5;
	world_start(world, &options);
	for (size_t i = 0; i < n; i++)
		client_new(world);
	assert_true(run_until(world, all_are_open, &n, 1000));
	struct client *early = world->clients;
	for (size_t i = 0; i < 100; i++) {
		struct client *client = client_new(world);
		client_send(client, STR(POST_HEAD "\r\n"));
		expect_answers(world, client, "503!");
		assert_non_null(strstr(client->got.data, "\r\nRetry-After: "));
	}
	client_send(early, STR(POST_HEAD "\r\n"));
	expect_answers(world, early, "200");
	client_free(world, early);
	run_for(world, 1200);
	struct client *late = client_new(world);
	client_send(late, STR(POST_HEAD "\r\n"));
	expect_answers(world, late, "200");
}

static int64_t now_us(clockid_t of)
{
	struct timespec t;
	assert_int_equal(clock_gettime(of, &t), 0);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* No descriptor left, and clients waiting: that must cost next to nothing, and pass. */
static void no_descriptors_left_is_survived(void **state)
{
	struct world *world = *state;
	struct http_options options = world_options(world);
	struct rlimit old, low;
	world_start(world, &options);
	struct client *client = client_new(world);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	int lowest_free = dup(0);
	close(lowest_free);
	low = (struct rlimit){(rlim_t)lowest_free, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	client_send(client, STR(POST_HEAD "\r\n"));
	run_for(world, 30);
	is_real_time = true;
	int64_t began_us = now_us(CLOCK_MONOTONIC);
	int64_t cpu_began_us = now_us(CLOCK_PROCESS_CPUTIME_ID);
	world->until = never;
	world->give_up_ms = clock_mono_ms(world->clock) + 400;
	timer_start(world->clock, &world->tick, 400, on_tick, world);
	loop_run(world->loop);
	int64_t cpu_us = now_us(CLOCK_PROCESS_CPUTIME_ID) - cpu_began_us;
	int64_t took_us = now_us(CLOCK_MONOTONIC) - began_us;
	is_real_time = false;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_true(cpu_us < took_us / 20);
	assert_int_equal(client->got.len, 0);
	expect_answers(world, client, "200");
}

static void the_limit_leaves_descriptors_for_others(void **state)
{
	struct world *world = *state;
	struct http_options options = world_options(world);
	struct rlimit old;
	static const struct {
		rlim_t descriptors;
		size_t connections;
	} cases[] = {{300, 300 - 128}, {256, 128}, {200, 100}, {2000, 1000}};
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rlimit low = {cases[i].descriptors, old.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
		world_start(world, &options);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		assert_int_equal(world->server->limits.max_connections, cases[i].connections);
		http_server_free(TAKE(world->server));
	}
	fault_arm(&fault_getrlimit, 1, EPERM);
	world_start(world, &options);
	assert_int_equal(world->server->limits.max_connections, 1000);
	assert_int_equal(http_server_certificate_not_after_ms(world->server), 0);
}

static bool is_drained(struct world *world, void *arg)
{
	(void)arg;
	return http_server_connections(world->server) == 0;
}

static void draining_answers_what_is_under_way(void **state)
{
	struct world *world = *state;
	struct http_options options = world_options(world);
	world_start(world, &options);
	struct client *idle = client_new(world);
	struct client *late = client_new(world);
	struct client *waiting = client_new(world);
	world->answers = LATER;
	client_send(waiting, STR(POST_HEAD "\r\n"));
	run_for(world, 30);
	struct http_request *held = world->held;
	assert_non_null(held);
	world->answers = AT_END;
	struct client *sending = client_new(world);
	client_send(sending, STR(POST_HEAD "Content-Length: 5\r\n\r\nhe"));
	run_for(world, 30);
	struct client *queued = client_new(world);
	client_send(queued, STR(POST_HEAD "\r\n"));

	http_server_drain(world->server);
	client_send(idle, STR(POST_HEAD "\r\n"));
	expect_answers(world, idle, "200!");
	expect_answers(world, queued, "200!");
	client_send(sending, STR("llo"));
	expect_answers(world, sending, "200!");
	give_answer(world, held);
	expect_answers(world, waiting, "200!");
	run_for(world, 700);
	client_send(late, STR(POST_HEAD "\r\n"));
	expect_answers(world, late, "200!");
	for (struct client *i = world->clients; i; i = i->next)
		i->finishes = true;
	assert_true(run_until(world, is_drained, NULL, 3000));
	assert_int_equal(world->n_aborts, 0);
}

static void draining_closes_idle_connections_and_the_port(void **state)
{
	struct world *world = *state;
	struct http_options options = world_options(world);
	world_start(world, &options);
	struct client *idle = client_new(world);
	client_send(idle, STR(POST_HEAD "\r\n"));
	expect_answers(world, idle, "200");
	http_server_drain(world->server);
	http_server_drain(world->server);
	expect_closed(world, idle, 1000);
	assert_false(idle->is_reset);
	assert_true(is_drained(world, NULL));

	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	to.sin_port = htons(
		(uint16_t)strtoul(strrchr(http_server_address(world->server), ':') + 1, NULL, 10));
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(fd);
}

static void freeing_aborts_what_is_under_way(void **state)
{
	struct world *world = *state;
	struct http_options options = world_options(world);
	world_start(world, &options);
	world->answers = LATER;
	struct client *client = client_new(world);
	client_send(client, STR(POST_HEAD "\r\n"));
	client_send(client_new(world), STR(POST_HEAD "Content-Length: 9\r\n\r\n"));
	client_send(client_new(world), STR("POST"));
	run_for(world, 30);
	http_server_free(TAKE(world->server));
	assert_int_equal(world->n_aborts, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		IN_WORLD(addresses_are_listened_on),
		IN_WORLD(ipv6_and_ipv4_reach_the_same_port),
		IN_WORLD(an_address_in_use_is_said),
		IN_WORLD(what_the_system_refuses_is_said),
		IN_WORLD(a_failed_accept_delays_no_more_than_a_pause),
		IN_WORLD(draining_ends_although_clients_go_on_coming),
		IN_WORLD(errors_look_as_the_owner_wants),
		IN_WORLD(a_connection_over_the_limit_is_told_503),
		IN_WORLD(no_descriptors_left_is_survived),
		IN_WORLD(the_limit_leaves_descriptors_for_others),
		IN_WORLD(draining_answers_what_is_under_way),
		IN_WORLD(draining_closes_idle_connections_and_the_port),
		IN_WORLD(freeing_aborts_what_is_under_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
