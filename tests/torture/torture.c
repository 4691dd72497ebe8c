/*
 * torture [--step N] [--from K] [SCENARIO]: in each scenario of the receiver, the journal and the
 * start of a build, one allocation after the other fails (every Nth), once or from there on. Each
 * in a process of its own, which is "killed" where the program aborts, and also where it does not;
 * another one is then started on the journal as it is at that moment, and the Git host sends again
 * what was not answered with 2xx.
 *
 * Whatever failed, the answer is what it would have been, 202, 503 or none; in the end there are as
 * many builds as without the failure; and the journal is whole.
 */
#include "alloc.h"
#include "request.h"

#include "sim/ledger.h"

#include "base/log.h"
#include "crypto/crypto.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define EPOCH_MS   INT64_C(1763900000000) /* the recorded signatures' */
#define START_MS   1000000
#define ACT_MS     15000
#define SETTLE_MS  (20 * 60 * 1000)
#define MAX_LABELS 128
#define PATIENCE_S 60

/* What a child leaves behind. */
struct outcome {
	size_t n_allocations, n_builds;
	int status; /* of the answer; 0 without */
	bool is_killed, is_over;
	char failure[400];
};

struct torture {
	struct world w;
	struct outcome *outcome;
	char folder[64];
	char labels[MAX_LABELS][64];
	int status;
};

static struct torture t;
static sigjmp_buf kill_point;

/* The world, as tests/sim/world.c has it: without weather. */

uint64_t world_below(struct world *w, uint64_t bound)
{
	w->rng.state = w->rng.state * 6364136223846793005U + 1442695040888963407U;
	return (w->rng.state >> 33) % bound;
}

bool world_chance(struct world *w, unsigned percent)
{
	return world_below(w, 100) < percent;
}

void world_random(struct world *w, void *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((unsigned char *)out)[i] = (unsigned char)world_below(w, 256);
}

int64_t world_wall_ms(const struct world *w)
{
	return EPOCH_MS + w->now_ms - START_MS;
}

void world_fail(struct world *w, const char *fmt, ...)
{
	va_list args;

	(void)w;
	va_start(args, fmt);
	if (!*t.outcome->failure)
		(void)vsnprintf(t.outcome->failure, sizeof(t.outcome->failure), fmt, args);
	va_end(args);
}

void world_trace(struct world *w, const char *fmt, ...)
{
	(void)w;
	(void)fmt;
}

static int64_t mono_ms(void *arg)
{
	return ((const struct world *)arg)->now_ms;
}

static int64_t wall_ms(void *arg)
{
	return world_wall_ms(arg);
}

static void random_bytes(void *arg, void *out, size_t n)
{
	world_random(arg, out, n);
}

/* The program ends when its journal has failed. */
static void go_for(int64_t ms)
{
	struct world *w = &t.w;
	struct replica *r = w->replicas[0];
	int64_t until_ms = w->now_ms + ms;

	for (;;) {
		int64_t own_ms = clock_next_ms(w->clock);
		int64_t its_ms = r->is_up ? clock_next_ms(r->clock) : -1;
		bool is_its = its_ms >= 0 && (own_ms < 0 || its_ms <= own_ms);
		int64_t wait_ms = is_its ? its_ms : own_ms;

		if (wait_ms < 0 || w->now_ms + wait_ms > until_ms)
			break;
		w->now_ms += wait_ms;
		if (is_its)
			replica_run(r);
		else
			clock_run(w->clock);
		if (r->is_up)
			replica_follow_up(r);
		if (r->is_up && journal_failure(r->journal))
			(void)raise(SIGABRT);
	}
	w->now_ms = until_ms;
}

/* What the simulated worlds check elsewhere. */

void check_build_created(struct world *w, const struct api_object *build)
{
	const char *label = api_label(build, "buildhook.io/delivery");

	for (size_t i = 0; i < t.outcome->n_builds; i++)
		if (strcmp(t.labels[i], label) == 0)
			world_fail(w, "a change was built twice");
	(void)snprintf(t.labels[t.outcome->n_builds++ % MAX_LABELS], sizeof(t.labels[0]), "%s",
		       label);
}

void check_secret_written(struct world *w, const char *before, struct api_object *secret)
{
	(void)w;
	(void)before;
	(void)secret;
}

void check_request(struct world *w, const struct api_request *request)
{
	(void)w;
	(void)request;
}

void check_status_written(struct world *w, const struct api_request *request)
{
	(void)w;
	(void)request;
}

/* The API server's memory is another one's. */
void __real_api_serve(struct api *api, const struct api_request *request, struct api_answer *out);
void __wrap_api_serve(struct api *api, const struct api_request *request, struct api_answer *out);
void __wrap_api_serve(struct api *api, const struct api_request *request, struct api_answer *out)
{
	bool was_armed = alloc_pause();

	__real_api_serve(api, request, out);
	alloc_resume(was_armed);
}

void __real_api_create_build(struct api *api, struct api_answer *answer);
void __wrap_api_create_build(struct api *api, struct api_answer *answer);
void __wrap_api_create_build(struct api *api, struct api_answer *answer)
{
	bool was_armed = alloc_pause();

	__real_api_create_build(api, answer);
	alloc_resume(was_armed);
}

static cJSON *new_object(const char *kind, const char *name)
{
	cJSON *doc = json_new_object(), *metadata = NULL;

	json_put_str(doc, "apiVersion",
		     strcmp(kind, "Secret") == 0 ? "v1" : "build.openshift.io/v1");
	json_put_str(doc, "kind", kind);
	metadata = json_put_object(doc, "metadata");
	json_put_str(metadata, "namespace", "shop");
	json_put_str(metadata, "name", name);
	return doc;
}

/* With an inline SECRET, or a reference to the Secret "hook". */
static void put_trigger(cJSON *triggers, const char *type, const char *member, const char *secret)
{
	cJSON *trigger = json_append(triggers, json_new_object());
	cJSON *hook = NULL;

	json_put_str(trigger, "type", type);
	hook = json_put_object(trigger, member);
	if (secret)
		json_put_str(hook, "secret", secret);
	else
		json_put_str(json_put_object(hook, "secretReference"), "name", "hook");
	if (strcmp(member, "generic") == 0)
		json_put_bool(hook, "allowEnv", true);
}

static void populate(void)
{
	cJSON *secret = new_object("Secret", "hook"), *doc = new_object("BuildConfig", "cart");
	cJSON *spec = json_put_object(doc, "spec"), *triggers = NULL, *git = NULL;
	char *value = crypto_base64((const unsigned char *)REQUEST_SECRET, strlen(REQUEST_SECRET));

	json_put_str(json_put_object(secret, "data"), "WebHookSecretKey", value);
	free(value);
	(void)api_add(t.w.api, API_SECRET, secret);
	json_put_str(
		json_put_object(cJSON_GetObjectItemCaseSensitive(doc, "metadata"), "annotations"),
		"buildhook.io/refs", "*,refs/tags/*");
	git = json_put_object(json_put_object(spec, "source"), "git");
	json_put_str(git, "uri", "https://git.example.com/x.git");
	json_put_object(json_put_object(spec, "strategy"), "dockerStrategy");
	triggers = json_put_array(spec, "triggers");
	put_trigger(triggers, "GitHub", "github", NULL);
	put_trigger(triggers, "GitHub", "github", REQUEST_PATH_SECRET);
	put_trigger(triggers, "GitLab", "gitlab", REQUEST_TOKEN);
	put_trigger(triggers, "GitLab", "gitlab", NULL);
	put_trigger(triggers, "Bitbucket", "bitbucket", NULL);
	put_trigger(triggers, "Generic", "generic", NULL);
	put_trigger(triggers, "Generic", "generic", REQUEST_PATH_SECRET);
	json_put_int(json_put_object(doc, "status"), "lastVersion", 0);
	(void)api_add(t.w.api, API_BUILDCONFIG, doc);
}

/* Scenarios. */

struct scenario {
	const char *name;
	void (*prepare)(const struct scenario *s); /* nothing fails yet */
	void (*act)(const struct scenario *s);
	struct request request; /* sent once more in the end, where it got no 2xx */
};

static void run_replica(const struct scenario *s)
{
	(void)s;
	replica_start(t.w.replicas[0]);
	go_for(ACT_MS);
}

static void prepare_nothing(const struct scenario *s)
{
	(void)s;
}

static void deliver(const struct scenario *s)
{
	request_send(t.w.replicas[0], &s->request, &t.status);
	go_for(ACT_MS);
}

/* Stored, and not started when the process was killed. */
static void leave_rows(const struct scenario *s)
{
	static const char *const refs[] = {"refs/heads/a", "refs/heads/b", "refs/tags/v1"};
	struct journal_change change = {.uid = t.w.api->objects[API_BUILDCONFIG]->uid,
					.namespace_ = "shop",
					.name = "cart",
					.type = "github",
					.host = "github",
					.delivery_id = "left",
					.accepted_ms = EPOCH_MS,
					.commit = "3f2a1b04c5d6e7f8091a2b3c4d5e6f708192a3b4"};

	t.w.replicas[0]->is_cut_off = true;
	run_replica(s);
	for (size_t i = 0; i < ARRAY_LEN(refs); i++) {
		change.ref = refs[i];
		(void)journal_add(t.w.replicas[0]->journal, &change, 1, NULL, NULL);
	}
	go_for(1000);
	replica_crash(t.w.replicas[0], true);
	t.w.replicas[0]->is_cut_off = false;
}

static void prepare_delivered(const struct scenario *s)
{
	run_replica(s);
	deliver(s);
	t.status = 0;
}

static void prepare_cut_off(const struct scenario *s)
{
	run_replica(s);
	deliver(&(struct scenario){.request = {.file = "github/ping"}});
	t.status = 0;
	t.w.replicas[0]->is_cut_off = true;
}

static void prepare_without_secret(const struct scenario *s)
{
	api_remove(t.w.api, t.w.api->objects[API_SECRET]);
	run_replica(s);
}

static void deliver_twice_at_once(const struct scenario *s)
{
	request_send(t.w.replicas[0], &s->request, &t.status);
	deliver(s);
}

static void deliver_and_stop(const struct scenario *s)
{
	deliver(s);
	replica_crash(t.w.replicas[0], true);
}

/* Old rows go, the log is put into the file, the BuildConfigs are listed anew. */
static void pass_days(const struct scenario *s)
{
	(void)s;
	for (int i = 0; i < 8; i++) {
		t.w.now_ms += INT64_C(10 * 3600) * 1000;
		go_for(ACT_MS);
	}
}

static void ask_for_new_secret(const struct scenario *s)
{
	struct api_object *bc = t.w.api->objects[API_BUILDCONFIG];
	cJSON *metadata = cJSON_GetObjectItemCaseSensitive(bc->doc, "metadata");
	bool was_armed = alloc_pause();

	(void)s;
	json_put_str(cJSON_GetObjectItemCaseSensitive(metadata, "annotations"),
		     "buildhook.io/rotate", "1");
	api_touch(t.w.api, bc);
	alloc_resume(was_armed);
	go_for(ACT_MS);
}

static void keep_nothing(void *arg, const struct journal_change *change)
{
	(void)arg;
	(void)change;
}

static void read_journal(const struct scenario *s)
{
	struct err err = {0};

	(void)s;
	(void)journal_read_file(t.w.replicas[0]->folder, 100, keep_nothing, NULL, &err);
}

#define DELIVERY(FILE)                                                                             \
	{                                                                                          \
		.name = FILE, .prepare = run_replica, .act = deliver, .request = {.file = FILE }   \
	}
#define PATH_DELIVERY(FILE)                                                                        \
	{                                                                                          \
		.name = FILE " to OpenShift's URL", .prepare = run_replica, .act = deliver,        \
		.request = {                                                                       \
			.file = FILE,                                                              \
			.has_path_secret = true                                                    \
		}                                                                                  \
	}

static const struct scenario scenarios[] = {
	{.name = "first start", .prepare = prepare_nothing, .act = run_replica},
	{.name = "start with rows that wait", .prepare = leave_rows, .act = run_replica},
	{"redelivery", prepare_delivered, deliver, {.file = "github/push"}},
	{"two copies at once", run_replica, deliver_twice_at_once, {.file = "github/push"}},
	{"delivery while the API server is away",
	 prepare_cut_off,
	 deliver,
	 {.file = "github/push"}},
	{"dry run", run_replica, deliver, {.file = "github/push", .is_dry_run = true}},
	{"delivery and clean stop", run_replica, deliver_and_stop, {.file = "github/push"}},
	{.name = "days without a delivery",
	 .prepare = prepare_delivered,
	 .act = pass_days,
	 .request = {.file = "bitbucket-cloud/push-several-refs"}},
	{.name = "a Secret is made", .prepare = prepare_nothing, .act = prepare_without_secret},
	{.name = "a Secret is rotated", .prepare = run_replica, .act = ask_for_new_secret},
	{.name = "the journal is read",
	 .prepare = prepare_delivered,
	 .act = read_journal,
	 .request = {.file = "github/push"}},
	DELIVERY("github/push"),
	DELIVERY("github/push-form"),
	DELIVERY("github/push-new-tag"),
	DELIVERY("github/push-deleted-branch"),
	DELIVERY("github/push-long-message"),
	DELIVERY("github/push-sha256-repository"),
	DELIVERY("github/ping"),
	DELIVERY("github/event-pull-request"),
	DELIVERY("github/bad-truncated"),
	DELIVERY("github/push-wrong-signature"),
	DELIVERY("github/push-no-signature"),
	DELIVERY("github/head-text-plain"),
	PATH_DELIVERY("github/path-without-signature"),
	DELIVERY("gitea/push"),
	DELIVERY("gitea/push-new-branch"),
	DELIVERY("forgejo/push"),
	DELIVERY("gogs/push"),
	DELIVERY("gitlab/push"),
	DELIVERY("gitlab/push-many-commits"),
	DELIVERY("gitlab/tag-new"),
	DELIVERY("gitlab/signing-token"),
	DELIVERY("gitlab/bad-no-commit"),
	DELIVERY("gitlab/token-wrong"),
	DELIVERY("bitbucket-cloud/push"),
	DELIVERY("bitbucket-cloud/push-several-refs"),
	DELIVERY("bitbucket-cloud/push-renamed-branch"),
	DELIVERY("bitbucket-dc/push"),
	DELIVERY("bitbucket-dc/push-annotated-tag"),
	DELIVERY("bitbucket-dc/ping"),
	DELIVERY("generic/env"),
	DELIVERY("generic/env-many-warnings"),
	PATH_DELIVERY("generic/empty-body"),
	PATH_DELIVERY("generic/github-payload"),
};

/* The child. */

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

/* Another process on what the first left. Nothing of that one's memory is touched. */
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
	go_for(ACT_MS);
}

static bool is_success(int status)
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
	if (s->act != pass_days && s->request.file && !is_success(t.outcome->status)) {
		int status = 0;

		request_send(t.w.replicas[0], &s->request, &status);
		go_for(ACT_MS);
	}
	go_for(SETTLE_MS);
}

static void live(const struct scenario *s, size_t k, bool is_lasting, const char *folder)
{
	const struct rlimit none = {0, 0};

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)alarm(PATIENCE_S);
	if (!getenv("V"))
		(void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
	log_init(LOG_ERROR, LOG_TEXT);
	crypto_load();
	(void)snprintf(t.folder, sizeof(t.folder), "%s", folder);
	t.w = (struct world){.now_ms = START_MS,
			     .n_replicas = 1,
			     .backend = (s - scenarios) % 2 ? CONTROLLER_OPENSHIFT
							    : CONTROLLER_KUBERNETES};
	t.w.clock = clock_new(&(struct clock_source){mono_ms, wall_ms, random_bytes, &t.w});
	t.w.ledger = ledger_new();
	t.w.api = api_new(&t.w);
	t.w.api->quota = SIZE_MAX;
	populate();
	t.w.replicas[0] = replica_new(&t.w, 0, t.folder);
	s->prepare(s);
	run_scenario(s, k, is_lasting);
	t.outcome->is_over = true;
	if (__gcov_dump)
		__gcov_dump();
	_exit(0);
}

/* The parent. */

static void remove_all(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry = NULL;

	while (dir && (entry = readdir(dir))) {
		char path[400];

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (unlink(path) != 0)
			remove_all(path);
	}
	if (dir)
		(void)closedir(dir);
	(void)rmdir(folder);
}

static void run_child(struct outcome *out, const struct scenario *s, size_t k, bool is_lasting)
{
	char folder[64];
	int status = 0;
	pid_t child;

	(void)snprintf(folder, sizeof(folder), "/dev/shm/buildhook-torture-%d", (int)getpid());
	remove_all(folder);
	(void)mkdir(folder, 0700);
	*out = (struct outcome){0};
	t.outcome = out;
	child = fork();
	if (child == 0)
		live(s, k, is_lasting, folder);
	(void)waitpid(child, &status, 0);
	if (WIFSIGNALED(status) && !*out->failure)
		(void)snprintf(out->failure, sizeof(out->failure), "%s",
			       strsignal(WTERMSIG(status)));
	else if (!out->is_over && !*out->failure)
		(void)snprintf(out->failure, sizeof(out->failure), "exit status %d",
			       WEXITSTATUS(status));
	remove_all(folder);
}

static bool is_as_promised(const struct outcome *seen, const struct outcome *usual, char *why,
			   size_t size)
{
	bool is_answer_good = seen->status == usual->status || seen->status == 0 ||
			      seen->status == 503 ||
			      (seen->status == 202 && is_success(usual->status));

	if (*seen->failure)
		(void)snprintf(why, size, "%s", seen->failure);
	else if (!is_answer_good)
		(void)snprintf(why, size, "answered %d", seen->status);
	else if (seen->n_builds != usual->n_builds)
		(void)snprintf(why, size, "answered %d, and %zu builds instead of %zu",
			       seen->status, seen->n_builds, usual->n_builds);
	else
		return true;
	return false;
}

struct tally {
	size_t n, n_killed, n_refused;
};

static bool torture_one(struct tally *tally, struct outcome *out, const struct outcome *usual,
			const struct scenario *s, size_t k, bool is_lasting)
{
	char why[500];

	run_child(out, s, k, is_lasting);
	tally->n++;
	tally->n_killed += out->is_killed;
	tally->n_refused += out->status == 503;
	if (is_as_promised(out, usual, why, sizeof(why)))
		return true;
	(void)printf("%s, allocation %zu%s: %s\n", s->name, k,
		     is_lasting ? " and all after it" : "", why);
	return false;
}

struct settings {
	size_t step, from; /* FROM 0: not the same for each scenario */
	const char *only;  /* of the scenarios; NULL: all */
};

/* An odd allocation fails with all after it, an even one alone; where all are tried, each does
 * both. */
static bool torture(struct tally *tally, struct outcome *out, const struct scenario *s,
		    const struct settings *settings)
{
	size_t step = settings->step;
	size_t k = settings->from ? settings->from : 1 + tally->n % step;
	struct outcome usual;
	bool is_good = true;

	run_child(out, s, 0, false);
	usual = *out;
	if (*usual.failure)
		(void)printf("%s: %s\n", s->name, usual.failure);
	for (; k <= usual.n_allocations && !*usual.failure; k += step) {
		is_good = torture_one(tally, out, &usual, s, k, k % 2) && is_good;
		if (step == 1)
			is_good = torture_one(tally, out, &usual, s, k, k % 2 == 0) && is_good;
	}
	if (getenv("V"))
		(void)printf("%s: %d, %zu builds, %zu allocations\n", s->name, usual.status,
			     usual.n_builds, usual.n_allocations);
	return is_good && !*usual.failure && usual.n_allocations > 0;
}

static size_t number(const char *text)
{
	uint64_t n = 0;

	if (!text || !str_parse_u64(str_of(text), 1000000, &n) || n == 0)
		exit(2);
	return (size_t)n;
}

static void parse(struct settings *out, char **argv)
{
	*out = (struct settings){.step = 1};
	for (; *argv; argv++) {
		if (strcmp(*argv, "--step") == 0)
			out->step = number(*++argv);
		else if (strcmp(*argv, "--from") == 0)
			out->from = number(*++argv);
		else
			out->only = *argv;
	}
}

static void count_result(size_t passed, size_t failed)
{
	const char *path = getenv("COUNTS");
	FILE *file = path ? fopen(path, "a") : NULL;

	if (!file)
		return;
	(void)fprintf(file, "%zu %zu\n", passed, failed);
	(void)fclose(file);
}

int main(int argc, char **argv)
{
	struct outcome *out =
		mmap(NULL, sizeof(*out), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct tally tally = {0};
	struct settings settings;
	size_t passed = 0, failed = 0;

	(void)argc;
	parse(&settings, argv + 1);
	for (size_t i = 0; i < ARRAY_LEN(scenarios); i++) {
		if (settings.only && strcmp(settings.only, scenarios[i].name) != 0)
			continue;
		if (torture(&tally, out, &scenarios[i], &settings))
			passed++;
		else
			failed++;
	}
	(void)printf(
		"torture: %zu scenarios passed, %zu failed; of %zu allocations that failed %zu "
		"ended the process, and %zu were answered 503\n",
		passed, failed, tally.n, tally.n_killed, tally.n_refused);
	count_result(passed, failed);
	return failed > 0 || passed == 0;
}
