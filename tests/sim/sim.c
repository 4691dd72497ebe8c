/*
 * sim [--seeds N] [--from SEED] [--actions N] [--openshift|--kubernetes] [--replicas N] [--stop]
 * [-v]: runs
 * simulated worlds, by default of all kinds in turn, and prints which seeds broke a rule.
 */
#define _GNU_SOURCE
#include "world.h"

#include "base/log.h"
#include "ledger.h"
#include "program.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct settings {
	uint64_t from, seeds;
	size_t actions;
	int backend;     /* -1: both in turn */
	size_t replicas; /* 0: one or two in turn */
	bool is_verbose;
	bool stops; /* at the first that fails */
};

static void parse(struct settings *s, char **argv)
{
	*s = (struct settings){.from = 1, .seeds = 100, .actions = 60, .backend = -1};
	for (; *argv; argv++) {
		if (strcmp(*argv, "--seeds") == 0)
			s->seeds = program_number(*++argv, 0);
		else if (strcmp(*argv, "--from") == 0)
			s->from = program_number(*++argv, 0);
		else if (strcmp(*argv, "--actions") == 0)
			s->actions = (size_t)program_number(*++argv, 0);
		else if (strcmp(*argv, "--replicas") == 0)
			s->replicas = (size_t)program_number(*++argv, 0);
		else if (strcmp(*argv, "--openshift") == 0)
			s->backend = CONTROLLER_OPENSHIFT;
		else if (strcmp(*argv, "--kubernetes") == 0)
			s->backend = CONTROLLER_KUBERNETES;
		else if (strcmp(*argv, "--stop") == 0)
			s->stops = true;
		else if (strcmp(*argv, "-v") == 0)
			s->is_verbose = true;
		else
			(void)fprintf(stderr, "sim: %s is not understood\n", *argv), exit(2);
	}
}

/*
 * The program's log goes to a file, where it can be searched. What a sanitizer or an assertion says
 * must not get lost there.
 */
extern void __sanitizer_set_report_fd(void *fd) __attribute__((weak));
extern void __sanitizer_set_death_callback(void (*fn)(void)) __attribute__((weak));

static struct {
	int file, terminal;
	uint64_t seed;
} out;

static void on_death(void)
{
	(void)dprintf(out.terminal, "sim: died in seed %llu\n", (unsigned long long)out.seed);
}

static void on_abort(int signo)
{
	char text[2048];
	off_t n = lseek(out.file, 0, SEEK_END);
	off_t from = n > (off_t)sizeof(text) ? n - (off_t)sizeof(text) : 0;
	ssize_t got = pread(out.file, text, sizeof(text), from);

	if (got > 0)
		(void)!write(out.terminal, text, (size_t)got);
	on_death();
	(void)signal(signo, SIG_DFL);
	(void)raise(signo);
}

static void divert_log(void)
{
	out.terminal = dup(STDERR_FILENO);
	out.file = (int)memfd_create("log", 0);
	if (out.file < 0 || dup2(out.file, STDERR_FILENO) < 0)
		exit(2);
	if (__sanitizer_set_report_fd)
		__sanitizer_set_report_fd((void *)(intptr_t)out.terminal);
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(on_death);
	(void)signal(SIGABRT, on_abort);
}

static void empty_log(void)
{
	if (ftruncate(out.file, 0) == 0)
		(void)lseek(out.file, 0, SEEK_SET);
}

/* The kind of world is the seed's, so that a seed alone says what it was. */
static bool run_seed(const struct settings *s, uint64_t seed, const char *folder, size_t *steps)
{
	enum controller_backend backend = seed % 2 ? CONTROLLER_OPENSHIFT : CONTROLLER_KUBERNETES;
	const struct world_options options = {
		.seed = seed,
		.backend = s->backend >= 0 ? (enum controller_backend)s->backend : backend,
		.n_replicas = s->replicas ? s->replicas : 1 + seed / 2 % 2,
		.n_actions = s->actions,
		.is_crashing = seed / 4 % 4 == 0,
		.folder = folder,
		.log_fd = out.file,
		.is_verbose = s->is_verbose,
	};
	char message[1024];

	out.seed = seed;
	if (!s->is_verbose)
		empty_log();

	if (world_run(&options, steps, message, sizeof(message)))
		return true;
	(void)printf("seed %llu (%s, %zu replica%s, %zu actions): %s\n", (unsigned long long)seed,
		     options.backend == CONTROLLER_OPENSHIFT ? "openshift" : "kubernetes",
		     options.n_replicas, options.n_replicas > 1 ? "s" : "", options.n_actions,
		     message);
	return false;
}

static double now_seconds(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct settings s;
	char folder[64];
	size_t passed = 0, failed = 0, steps = 0;
	double began = now_seconds(), took = 0;

	(void)argc;
	parse(&s, argv + 1);
	(void)snprintf(folder, sizeof(folder), "/dev/shm/buildhook-sim-%d", (int)getpid());
	log_init(LOG_DEBUG, LOG_TEXT);
	out.file = -1;
	if (!s.is_verbose)
		divert_log();
	for (uint64_t i = 0; i < s.seeds && !(s.stops && failed > 0); i++) {
		program_make_folder(folder);
		if (run_seed(&s, s.from + i, folder, &steps))
			passed++;
		else
			failed++;
	}
	program_remove_folder(folder);
	took = now_seconds() - began;
	(void)printf("sim: %zu seeds passed, %zu failed (%zu steps, %.0f a second)\n", passed,
		     failed, steps, (double)steps / took);
	program_count(passed, failed);
	return failed > 0;
}
