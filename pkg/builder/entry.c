/*
 * The ground of the builder's other files: what is remembered of a Build, requests to the API
 * server, and the end of what is done for a group.
 */
#include "builder/internal.h"

#include "base/backoff.h"

#include <assert.h>

/* When the watch has not shown a created Pod after this time, the API server is asked
 * (BUILDER_CREATE_POD, BUILDER_LOOK_FOR_POD). */
#define EXPECT_MS      5000
#define MAX_BODY_BYTES (2 * 1024 * 1024)

static const struct backoff_range retry = {500, 60 * 1000};

struct entry *builder_find_entry(struct builder *builder, const char *key)
{
	struct entry *entry = NULL;

	HASH_FIND_STR(builder->entries, key, entry);
	return entry;
}

void entry_expect_pod(struct entry *entry, int64_t now_ms)
{
	entry->expected_ms = now_ms + EXPECT_MS;
	mem_free(&entry->gone_version);
}

void entry_set_trouble(struct entry *entry, const char *reason, const char *message)
{
	free(entry->trouble);
	free(entry->trouble_message);
	entry->trouble = mem_strdup(reason);
	entry->trouble_message = mem_strdup(message);
}

struct kube_call *builder_send(struct builder *builder, enum kube_method method, const char *path,
			       const cJSON *doc, const char *resource, kube_response_fn fn,
			       void *arg)
{
	CLEANUP(buf_release) struct buf body = BUF_INIT(MAX_BODY_BYTES);

	if (doc)
		json_format(&body, doc);
	assert(!body.overflow);
	return kube_start(builder->opt.client,
			  &(struct kube_request){.method = method,
						 .path = path,
						 .body = buf_str(&body),
						 .metric_resource = resource},
			  fn, arg);
}

void builder_finish(struct group *group, bool has_failed)
{
	struct builder *builder = group->builder;

	group->work = NULL;
	group->is_starting = false;
	builder->n_working--;
	queue_done(builder->queue, group->key);
	if (has_failed) {
		queue_add_after(builder->queue, group->key,
				backoff_ms(builder->opt.clock, &retry, ++group->failures));
	} else {
		group->failures = 0;
		queue_add(builder->queue, group->key);
	}
	if (builder->is_full)
		builder->run(builder);
}
