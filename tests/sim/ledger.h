/*
 * What was really pushed, what was acknowledged for it, and which Builds were made: what the rules
 * are checked against.
 */
#pragma once

#include "api.h"

#define LEDGER_ID_BYTES 40

/* One change that a Git host tells of: the same delivery id however often it is sent. */
struct push {
	char namespace_[64], name[64], uid[64];
	char id[LEDGER_ID_BYTES];
	char ref[64];
	char commit[41];
	char label[33];
	bool is_matching;   /* its ref is built */
	bool is_redelivery; /* asked for on the BuildConfig, by annotation */
	bool is_last;       /* pushed when all was well again */
	bool is_acked;      /* 200 or 202, that is not for nothing */
	bool is_failed;     /* answered 503, or not at all: the host sends it again, perhaps */
	int last_status;    /* of its last answer, 0 without */
	int64_t first_ms;   /* wall clock; before it was accepted anywhere */
	unsigned n_builds;
	unsigned n_attempts; /* requests to start a build */
	int64_t first_acked_ms;
	/* At rest: what the journals say. */
	bool is_pending, is_ended;
	int64_t accepted_ms[WORLD_REPLICAS]; /* 0: not there (any more) */
	struct push *next;
};

struct build {
	char uid[64], ref[64], name[256], label[33];
	int64_t accepted_ms;
	int64_t first_ms; /* of its push */
	int64_t number;
	bool is_redelivery;
	struct build *next;
};

struct secret_value {
	char *value;
	struct secret_value *next;
};

/* How often users asked for a new value of a Secret. */
struct rotation {
	char secret[300];
	unsigned n;
	struct rotation *next;
};

struct ledger {
	struct push *pushes; /* newest first */
	struct build *builds;
	struct secret_value *secrets; /* that ever were */
	struct rotation *rotations;
	char *gone;     /* uids of BuildConfigs that were deleted, and... */
	char *paused;   /* ...that were paused at some time, each with a space behind it */
	char *poisoned; /* whose builds the server has refused for good */
};

struct ledger *ledger_new(void);
void ledger_free(struct ledger *ledger);
struct push *ledger_find(struct ledger *ledger, const char *label);
/* A push that is new to all. */
struct push *ledger_add_push(struct world *w, const struct api_object *bc, const char *ref);
/* OF once more, as NONCE on the BuildConfig asks for it. */
struct push *ledger_add_redelivery(struct world *w, const struct push *of, unsigned nonce);
/* Made if there is none. */
struct rotation *ledger_rotation(struct ledger *ledger, const char *secret);
void ledger_add_secret(struct ledger *ledger, const char *value);
void ledger_put_word(char **words, const char *word);
bool ledger_has_word(const char *words, const char *word);

/* check.c: rules that must hold at every moment, told of what happens. */
void check_build_created(struct world *w, const struct api_object *build);
void check_secret_written(struct world *w, const char *before, struct api_object *secret);
void check_request(struct world *w, const struct api_request *request);
/* REQUEST was answered: the status is written. */
void check_status_written(struct world *w, const struct api_request *request);
/* TEXT holds no value of a secret. */
void check_leak(struct world *w, struct str text, const char *where);
/* What was logged to FD holds no value of a secret. */
void check_logs(struct world *w, int fd);
/* When all is at rest. */
void check_at_rest(struct world *w);
