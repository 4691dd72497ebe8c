/* What the parts of the torture share: one scenario that is played in a child, and its outcome. */
#pragma once

#include "request.h"

#define EPOCH_MS   INT64_C(1763900000000) /* the recorded signatures' */
#define START_MS   1000000
#define ACT_MS     15000
#define MAX_LABELS 128

/* What a child leaves behind. */
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
	struct request request; /* sent once more in the end, where it got no 2xx */
	bool is_sent_once;      /* but not here: it would not be known again any more */
};

/* scenarios.c */
extern const struct scenario scenarios[];
extern const size_t n_scenarios;

/* world.c: a world without weather, with one replica, not yet started. */
void torture_make_world(enum controller_backend backend);
/* Of virtual time. The process ends where the program's would: when its journal has failed. */
void torture_go_for(int64_t ms);

/* child.c: plays S in this process, with allocation K failing (0: none), and ends it. */
void torture_live(const struct scenario *s, size_t k, bool is_lasting) __attribute__((noreturn));
bool torture_is_success(int status);
