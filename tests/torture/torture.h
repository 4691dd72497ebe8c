/* Shared by the files of the out-of-memory tests: a scenario, which runs in a child process, and
 * its result. */
#pragma once

#include "request.h"

#define EPOCH_MS   INT64_C(1763900000000) /* the time of the recorded signatures */
#define START_MS   1000000
#define ACT_MS     15000
#define MAX_LABELS 128

/* The report of a child process. */
struct torture_result {
	size_t n_allocations, n_builds;
	int status; /* of the answer; 0 without */
	bool is_killed, is_over;
	char failure[400];
};

struct torture {
	struct world w;
	struct torture_result *outcome;
	char folder[64];
	char labels[MAX_LABELS][64];
	int status;
};

extern struct torture t;

struct scenario {
	const char *name;
	void (*prepare)(const struct scenario *s); /* nothing fails yet */
	void (*act)(const struct scenario *s);
	struct request request; /* sent again at the end unless it got a 2xx */
	bool is_sent_once; /* not sent again: it would no longer be recognised as a duplicate */
};

/* scenarios.c */
extern const struct scenario scenarios[];
extern const size_t n_scenarios;

/* world.c: a world without network faults, with one replica that is not started yet. */
void torture_make_world(enum controller_backend backend);
/* Runs the world for so much virtual time. Ends the process where the program would end: when
 * its journal has failed. */
void torture_go_for(int64_t ms);

/* child.c: runs S in this process, with allocation K failing (0: none), and ends the process. */
void torture_live(const struct scenario *s, size_t k, bool is_lasting) __attribute__((noreturn));
bool torture_is_success(int status);
