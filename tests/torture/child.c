/* Runs one scenario in which an allocation fails. Whether or not the program aborts, the process
 * is "killed" afterwards, and another one is started on the journal as it is at that moment. */
#include "alloc.h"
#include "torture.h"

#include "base/log.h"
#include "crypto/crypto.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETTLE_MS  (20 * 60 * 1000)
#define PATIENCE_S 60

static sigjmp_buf kill_point;

extern void __gcov_dump(void) __attribute__((weak));

static void on_abort(int signo)
{
	(void)signo;
	siglongjmp(kill_point, 1);
}

static void copy_file(const char *from, const char *to, const char *name)
{
	char path[300], buffer[8192];
	ssize_t n = 0;
	int in, out;

	(void)snprintf(path, sizeof(path), "%s/%s", from, name);
	in = open(path, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return;
	(void)snprintf(path, sizeof(path), "%s/%s", to, name);
	out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	while ((n = read(in, buffer, sizeof(buffer))) > 0)
		if (write(out, buffer, (size_t)n) != n)
			_exit(3);
	(void)close(in);
	(void)close(out);
}

/* Starts another process on the journal that the first left, without touching the first one's
 * memory. */
static void restart(void)
{
	static const char *const names[] = {"journal.db", "journal.db-wal", "journal.db.new",
					    "journal.db.new-journal"};
	struct replica *old = t.w.replicas[0], *next = NULL;
	char folder[100];

	timer_stop(t.w.clock, &old->commit);
	timer_stop(t.w.clock, &old->upkeep);
	transport_free(old->transport);
	(void)snprintf(folder, sizeof(folder), "%s/next", t.folder);
	(void)mkdir(folder, 0700);
	next = replica_new(&t.w, 0, folder);
	(void)mkdir(next->folder, 0700);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		copy_file(old->folder, next->folder, names[i]);
	t.w.replicas[0] = next;
	replica_start(next);
	torture_go_for(ACT_MS);
}

bool torture_is_success(int status)
{
	return status == 200 || status == 202;
}

static void run_scenario(const struct scenario *s, size_t k, bool is_lasting)
{
	if (sigsetjmp(kill_point, 1) == 0) {
		(void)signal(SIGABRT, on_abort);
		alloc_arm(k, is_lasting);
		s->act(s);
	} else {
		t.outcome->is_killed = true;
	}
	(void)signal(SIGABRT, SIG_DFL);
	t.outcome->n_allocations = alloc_disarm();
	t.outcome->status = t.status;
	restart();
	if (!s->is_sent_once && s->request.file && !torture_is_success(t.outcome->status)) {
		int status = 0;

		request_send(t.w.replicas[0], &s->request, &status);
		torture_go_for(ACT_MS);
	}
	torture_go_for(SETTLE_MS);
}

void torture_live(const struct scenario *s, size_t k, bool is_lasting)
{
	const struct rlimit none = {0, 0};

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)alarm(PATIENCE_S);
	if (!getenv("V"))
		(void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
	log_init(LOG_ERROR, LOG_TEXT);
	crypto_load();
	torture_make_world((s - scenarios) % 2 ? CONTROLLER_OPENSHIFT : CONTROLLER_KUBERNETES);
	s->prepare(s);
	run_scenario(s, k, is_lasting);
	t.outcome->is_over = true;
	if (__gcov_dump)
		__gcov_dump();
	_exit(0);
}
