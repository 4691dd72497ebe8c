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
#include "torture.h"

#include "sim/program.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void run_child(struct torture_result *out, const struct scenario *s, size_t k,
		      bool is_lasting)
{
	int status = 0;
	pid_t child;

	(void)snprintf(t.folder, sizeof(t.folder), "/dev/shm/buildhook-torture-%d", (int)getpid());
	program_make_folder(t.folder);
	*out = (struct torture_result){0};
	t.outcome = out;
	child = fork();
	if (child == 0)
		torture_live(s, k, is_lasting);
	(void)waitpid(child, &status, 0);
	if (WIFSIGNALED(status) && !*out->failure)
		(void)snprintf(out->failure, sizeof(out->failure), "%s",
			       strsignal(WTERMSIG(status)));
	else if (!out->is_over && !*out->failure)
		(void)snprintf(out->failure, sizeof(out->failure), "exit status %d",
			       WEXITSTATUS(status));
	program_remove_folder(t.folder);
}

static bool is_as_promised(const struct torture_result *seen, const struct torture_result *usual,
			   char *why, size_t size)
{
	bool is_answer_good = seen->status == usual->status || seen->status == 0 ||
			      seen->status == 503 ||
			      (seen->status == 202 && torture_is_success(usual->status));

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

static bool torture_one(struct tally *tally, struct torture_result *out,
			const struct torture_result *usual, const struct scenario *s, size_t k,
			bool is_lasting)
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

/* An odd allocation fails together with all after it, an even one alone; where every allocation
 * is tried, each is tried both ways. */
static bool torture(struct tally *tally, struct torture_result *out, const struct scenario *s,
		    const struct settings *settings)
{
	size_t step = settings->step;
	size_t k = settings->from ? settings->from : 1 + tally->n % step;
	struct torture_result usual;
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

static void parse(struct settings *out, char **argv)
{
	*out = (struct settings){.step = 1};
	for (; *argv; argv++) {
		if (strcmp(*argv, "--step") == 0)
			out->step = (size_t)program_number(*++argv, 1);
		else if (strcmp(*argv, "--from") == 0)
			out->from = (size_t)program_number(*++argv, 1);
		else
			out->only = *argv;
	}
}

int main(int argc, char **argv)
{
	struct torture_result *out =
		mmap(NULL, sizeof(*out), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct tally tally = {0};
	struct settings settings;
	size_t passed = 0, failed = 0;

	(void)argc;
	parse(&settings, argv + 1);
	for (size_t i = 0; i < n_scenarios; i++) {
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
	program_count(passed, failed);
	return failed > 0 || passed == 0;
}
