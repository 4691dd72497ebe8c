/* Sends a delivery to a hook and reads its answer. Shared by send and test. */
#pragma once

#include "fetch.h"
#include "saved.h"

/* What buildhook answered, in words. */
struct delivered {
	struct fetch_answer answer;
	char reason[64]; /* reason of a Status, "" of a Build */
	char text[1024]; /* the sentence of the answer */
	char build[256]; /* name of the Build, or "" */
};

/* Sends SAVED, signed with SECRET, to URL. ERR_INVALID where URL is not an address. */
int deliver(struct delivered *out, struct loop *loop, const char *url, const struct saved *saved,
	    struct str secret, int64_t wall_ms, bool is_dry_run, struct err *err);
/* For CLEANUP. */
void delivered_release(struct delivered *delivered);
/* Checks the value of --url, which may be NULL. */
int deliver_check_url(const char *url, struct err *err);
/* Warns where the URL is http to another machine: everybody on the way can read a token. */
void deliver_warn(const char *url, enum hook_type type);
