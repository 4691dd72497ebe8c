#include "journal/news.h"

#include "base/hash.h"
#include "base/mem.h"

#include <utlist.h>

struct news_wait {
	struct news_wait *prev, *next;
	struct topic *topic;
	void (*fn)(void *arg, const struct news_item *item);
	void *arg;
};

/* A change that somebody waits for. */
struct topic {
	UT_hash_handle hh;
	struct news *news; /* NULL while it is being told of, and out of the table */
	int64_t seq;
	struct news_wait *waits;
};

struct news {
	struct topic *topics; /* by seq */
};

struct news *news_new(void)
{
	return mem_new(1, sizeof(struct news));
}

static struct topic *find_topic(const struct news *news, int64_t seq)
{
	struct topic *topic = NULL;

	HASH_FIND(hh, news->topics, &seq, sizeof(seq), topic);
	return topic;
}

static struct topic *get_topic(struct news *news, int64_t seq)
{
	struct topic *topic = find_topic(news, seq);

	if (topic)
		return topic;
	topic = mem_new(1, sizeof(*topic));
	topic->news = news;
	topic->seq = seq;
	HASH_ADD(hh, news->topics, seq, sizeof(seq), topic);
	return topic;
}

struct news_wait *news_wait(struct news *news, int64_t seq,
			    void (*fn)(void *arg, const struct news_item *item), void *arg)
{
	struct news_wait *wait = mem_new(1, sizeof(*wait));

	wait->topic = get_topic(news, seq);
	wait->fn = fn;
	wait->arg = arg;
	DL_APPEND(wait->topic->waits, wait);
	return wait;
}

static void remove_topic(struct topic *topic)
{
	HASH_DEL(topic->news->topics, topic);
	mem_free(&topic);
}

void news_cancel(struct news_wait *wait)
{
	struct topic *topic = NULL;

	if (!wait)
		return;
	topic = wait->topic;
	DL_DELETE(topic->waits, wait);
	mem_free(&wait);
	if (!topic->waits && topic->news)
		remove_topic(topic);
}

bool news_is_awaited(const struct news *news, int64_t seq)
{
	return find_topic(news, seq) != NULL;
}

void news_tell(struct news *news, int64_t seq, const struct news_item *item)
{
	CLEANUP(mem_free) struct topic *topic = find_topic(news, seq);

	if (!topic)
		return;
	/* Out of the table, so that who waits anew from within FN does so for the next news. */
	HASH_DEL(news->topics, topic);
	topic->news = NULL;
	while (topic->waits) {
		CLEANUP(mem_free) struct news_wait *wait = topic->waits;

		DL_DELETE(topic->waits, wait);
		wait->fn(wait->arg, item);
	}
}

void news_free(struct news *news)
{
	if (!news)
		return;
	while (news->topics)
		news_cancel(news->topics->waits);
	mem_free(&news);
}
