/*
 * Who waits for what becomes of a change: the receiver asks by the row's seq, the controller tells.
 * In memory only.
 */
#pragma once

#include "base/str.h"

struct news;
struct news_wait;

enum news_kind {
	NEWS_STARTED, /* build and build_json are set */
	NEWS_WAITING, /* it cannot start now; reason says why. It will later */
	NEWS_ENDED,   /* failed, superseded or ignored: reason */
};

/* Texts are "" where there is nothing. */
struct news_item {
	enum news_kind kind;
	const char *build;
	struct str build_json;
	const char *reason; /* a reason word of buildconfig/verdict.h */
	const char *message;
};

struct news *news_new(void);
/* Those who still wait are not called. */
void news_free(struct news *news);
/*
 * FN is called once, from within news_tell(), and the wait is over. Any number may wait for one
 * change. The handle is for news_cancel(), and lasts until FN is called.
 */
struct news_wait *news_wait(struct news *news, int64_t seq,
			    void (*fn)(void *arg, const struct news_item *item), void *arg);
/* FN will not be called. WAIT may be NULL. */
void news_cancel(struct news_wait *wait);
bool news_is_awaited(const struct news *news, int64_t seq);
/*
 * Calls all who wait for this change, first come first. They may cancel other waits, and may wait
 * anew, for what is told next.
 */
void news_tell(struct news *news, int64_t seq, const struct news_item *item);
