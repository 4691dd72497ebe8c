/*
 * Sends deliveries to the program, all of it but its sockets and threads being real: an API server
 * in memory and virtual time (tests/sim), and a connection that is a pair of sockets. Valgrind
 * counts what they cost, which is the same each time.
 *
 *     instructions BYTES N      N signed pushes of about BYTES to a branch that is not built
 */
#include "bench/world.h"
#include "torture/torture.h"

#include "base/log.h"
#include "crypto/crypto.h"
#include "net/http_conn.h"
#include "receiver/answer.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_BODY    (32 << 20)
#define PIECE_BYTES (64 << 10)
#define WARM_UP     20
#define SETTLE_MS   20000
#define ID_DIGITS   8

struct client {
	struct loop *loop;
	struct loop_watch *watch;
	int fd;
	struct buf request;
	char *id; /* the digits in REQUEST that are another delivery's each time */
	size_t sent;
	unsigned long n_left;
};

static void must(bool is_good, const char *what)
{
	if (is_good)
		return;
	(void)printf("instructions: %s\n", what);
	exit(1);
}

/* GitHub's example of a push, with so many commits more that it is as long as asked for. */
static void make_body(struct buf *out, size_t bytes)
{
	static char text[64 * 1024];
	FILE *file = fopen("tests/data/payloads/github-push.json", "rb");
	size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
	CLEANUP(json_freep) cJSON *doc = NULL;
	cJSON *list = NULL;
	struct err err = {0};

	must(n > 0, "tests/data/payloads/github-push.json cannot be read");
	(void)fclose(file);
	must(json_parse(&doc, str_range(text, n), &err) == 0, err.msg);
	cJSON_DeleteItemFromObjectCaseSensitive(doc, "ref");
	cJSON_DeleteItemFromObjectCaseSensitive(doc, "commits");
	json_put_str(doc, "ref", "refs/heads/other");
	list = json_put_array(doc, "commits");
	for (size_t size = n; size < bytes; size += 1000) {
		cJSON *commit = json_append(list, json_new_object()), *files = NULL;
		char line[120];

		json_put_str(commit, "id", "6113728f27ae82c7b1a177c8d03f9e96e0adf246");
		(void)snprintf(line, sizeof(line), "Mend step %zu\n\nIt \"rounded\" twice.", size);
		json_put_str(commit, "message", line);
		json_put_str(commit, "timestamp", "2026-05-15T15:20:41+02:00");
		json_put_str(json_put_object(commit, "author"), "name", "Alice Example");
		files = json_put_array(commit, "modified");
		for (int i = 0; i < 12; i++) {
			(void)snprintf(line, sizeof(line),
				       "services/cart/internal/checkout/step-%d.go", i);
			(void)json_append(files, cJSON_CreateString(line));
		}
	}
	buf_clear(out);
	json_format(out, doc);
}

static void make_request(struct client *c, struct str body)
{
	struct crypto_hmac *hmac = crypto_hmac_new(STR(SECRET));
	unsigned char digest[CRYPTO_SHA256_BYTES];
	char hex[CRYPTO_SHA256_HEX + 1];
	size_t head = 0;

	crypto_hmac_update(hmac, body);
	crypto_hmac_final(hmac, digest);
	crypto_hmac_free(hmac);
	crypto_hex(hex, digest, sizeof(digest));
	c->request = (struct buf)BUF_INIT(MAX_BODY);
	buf_printf(
		&c->request,
		"POST /hooks/shop/web/github HTTP/1.1\r\nHost: hooks.example.com\r\n"
		"User-Agent: GitHub-Hookshot/044aadd\r\nAccept: */*\r\n"
		"Content-Type: application/json\r\nX-GitHub-Event: push\r\n"
		"X-GitHub-Hook-ID: 292430182\r\nX-GitHub-Hook-Installation-Target-ID: 79929171\r\n"
		"X-GitHub-Hook-Installation-Target-Type: repository\r\n"
		"X-Hub-Signature-256: sha256=%s\r\nContent-Length: %zu\r\n"
		"X-GitHub-Delivery: 72d3162e-cc78-11e3-81ab-4c93%0*u\r\n\r\n",
		hex, body.n, ID_DIGITS, 0U);
	head = c->request.len;
	buf_put_str(&c->request, body);
	c->id = c->request.data + head - ID_DIGITS - 4;
	must(!c->request.overflow, "the body is too large");
}

static void send_on(struct client *c)
{
	size_t left = c->request.len - c->sent;
	ssize_t n = send(c->fd, c->request.data + c->sent, left < PIECE_BYTES ? left : PIECE_BYTES,
			 MSG_NOSIGNAL);

	must(n > 0, "the connection broke");
	c->sent += (size_t)n;
	if (c->sent == c->request.len)
		loop_watch_change(c->watch, LOOP_READ);
}

static void next_id(char *digits)
{
	for (int i = ID_DIGITS - 1; i >= 0; i--) {
		if (digits[i]++ < '9')
			return;
		digits[i] = '0';
	}
}

static void on_client(void *arg, int what)
{
	struct client *c = arg;
	char answer[8192];
	ssize_t n = 0;

	if (what == LOOP_WRITE) {
		send_on(c);
		return;
	}
	n = recv(c->fd, answer, sizeof(answer), 0);
	must(n > 12 && memcmp(answer, "HTTP/1.1 200", 12) == 0, "not answered 200");
	c->sent = 0;
	next_id(c->id);
	if (--c->n_left == 0)
		loop_stop(c->loop);
	else
		loop_watch_change(c->watch, LOOP_WRITE);
}

__attribute__((noinline)) static void deliver(struct client *c, unsigned long n)
{
	c->n_left = n;
	loop_watch_change(c->watch, LOOP_WRITE);
	loop_run(c->loop);
}

/* Valgrind counts from its beginning to its end. */
__attribute__((noinline)) void measure(struct client *c, unsigned long n);
void measure(struct client *c, unsigned long n)
{
	deliver(c, n);
	must(c->n_left == 0, "not all were answered");
}

int main(int argc, char **argv)
{
	struct http_options options = {.limits = http_default_limits,
				       .error_body = answer_error_body,
				       .error_header = ANSWER_MESSAGE_HEADER};
	const struct sockaddr_storage peer = {.ss_family = AF_INET};
	struct client c = {0};
	struct http_server *server = NULL;
	struct torture_result outcome = {0};
	struct err err = {0};
	int fds[2];
	CLEANUP(buf_release) struct buf body = BUF_INIT(MAX_BODY);

	must(argc == 3, "usage: instructions BYTES N");
	t.outcome = &outcome;
	(void)snprintf(t.folder, sizeof(t.folder), "%s", "/tmp/instructions-XXXXXX");
	must(mkdtemp(t.folder) != NULL, "no temporary folder");
	log_init(LOG_INFO, LOG_JSON);
	crypto_load();
	torture_make_world(CONTROLLER_KUBERNETES);
	add_buildconfig("web");
	replica_start(t.w.replicas[0]);
	torture_go_for(SETTLE_MS);

	c.loop = loop_new(t.w.replicas[0]->clock);
	options.handler = app_handler(t.w.replicas[0]->app);
	must(http_server_new(&server, c.loop, "127.0.0.1:0", &options, &err) == 0, err.msg);
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0,
	     "no sockets");
	http_conn_settle(http_conn_new(server, &(struct http_stream){.fd = fds[0]}, &peer));
	c.fd = fds[1];
	c.watch = loop_watch_fd(c.loop, c.fd, 0, on_client, &c);
	make_body(&body, (size_t)atol(argv[1]));
	make_request(&c, buf_str(&body));
	deliver(&c, WARM_UP);
	measure(&c, (unsigned long)atol(argv[2]));
	return 0;
}
