/* Sends a delivery to a hook and reads its answer. Shared by send and test. */
#pragma once

#include "fetch.h"
#include "saved.h"

/* What buildhook answered, in words. */
struct delivered {
	struct fetch_answer answer;
	char reason[64]; /* of a Status, "" of a Build */
	char text[1024]; /* the sentence of the answer */
	char build[256]; /* of the Build, or "" */
};

/* SAVED, signed with SECRET, to URL. ERR_INVALID where the URL is none. */
int deliver(struct delivered *out, struct loop *loop, const char *url, const struct saved *saved,
	    struct str secret, int64_t wall_ms, bool is_dry_run, struct err *err);
/* For CLEANUP. */
void delivered_release(struct delivered *delivered);
/* The value of --url; NULL is right. */
int deliver_check_url(const char *url, struct err *err);
/* "http" to another machine shows a token to everybody on the way. */
void deliver_warn(const char *url, enum hook_type type);
