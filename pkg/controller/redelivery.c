/*
 * Annotation buildhook.io/redeliver: "ID NONCE" on a BuildConfig. The replica whose journal holds
 * delivery ID stores its changes once more under the id "ID NONCE", and then says so in annotation
 * buildhook.io/redelivered, on the condition that nobody has written the BuildConfig meanwhile.
 *
 * In this order a crash loses nothing: a change that is stored already is found as a duplicate.
 * Where two replicas hold the delivery both may store it; their rows have the same label, so one
 * Build is made.
 */
#include "controller/redelivery.h"

#include "base/fnv.h"
#include "base/log.h"
#include "controller/internal.h"

/* How long replicas may take to find the delivery before the hint says that none has it. */
#define SEARCH_MS INT64_C(60000)
#define RETRY_MS  5000
/* The most changes of one delivery, as in hook.h. */
#define MAX_CHANGES 64

struct redelivery {
	struct work work; /* first */
	uint64_t ticket;
	char *request;
	char *version; /* resourceVersion of the BuildConfig whose annotation was read */
};

bool redelivery_is_unknown(const struct object *object)
{
	const struct redelivery_memory *memory = &object->redelivery;
	int64_t now_ms = clock_mono_ms(object->controller->opt.services->clock);

	return memory->is_searched && now_ms - memory->since_ms >= SEARCH_MS;
}

void redelivery_observe(struct observed *seen, struct object *object)
{
	struct redelivery_memory *memory = &object->redelivery;
	int64_t now_ms = clock_mono_ms(object->controller->opt.services->clock);
	const struct buildconfig *bc = seen->bc;
	uint64_t request = fnv_64_text(fnv_64_text(FNV_64_INIT, bc->uid), bc->redeliver);
	int64_t at_ms = 0;

	if (!*bc->redeliver || bc->is_ignored || strcmp(bc->redeliver, bc->redelivered) == 0) {
		*memory = (struct redelivery_memory){0};
		return;
	}
	if (memory->request != request)
		*memory = (struct redelivery_memory){.request = request, .since_ms = now_ms};
	seen->wants_redelivery = !memory->is_searched;
	at_ms = memory->is_searched ? memory->since_ms + SEARCH_MS : memory->retry_ms;
	seen->redelivery_wait_ms = at_ms > now_ms ? at_ms - now_ms : 0;
}

static void release(struct work *work)
{
	struct redelivery *r = (struct redelivery *)work;

	if (r->ticket)
		journal_forget(work->controller->opt.services->journal, r->ticket);
	free(r->request);
	free(r->version);
	free(r);
}

static void end(struct redelivery *r, const char *error)
{
	struct object *object = r->work.object;

	if (error) {
		log_msg(LOG_WARN, "controller", "the redelivery waits",
			LOG_FIELD("key", object->key), LOG_FIELD("error", error));
		object->redelivery.retry_ms =
			clock_mono_ms(r->work.controller->opt.services->clock) + RETRY_MS;
	}
	work_end(&r->work, error ? RECONCILE_ERROR : RECONCILE_SUCCESS, 0);
}

static void on_claimed(void *arg, const struct kube_response *response)
{
	struct redelivery *r = arg;
	struct controller *c = r->work.controller;

	r->work.call = NULL;
	if (response->err.code != ERR_OK) {
		end(r, response->err.msg);
		return;
	}
	kube_store_put_written(c->opt.services->store, response->doc,
			       clock_mono_ms(c->opt.services->clock));
	log_msg(LOG_INFO, "controller", "a delivery is built once more, as asked for",
		LOG_FIELD("key", r->work.object->key), LOG_FIELD("delivery", r->request));
	end(r, NULL);
}

static void claim(struct redelivery *r)
{
	CLEANUP(buf_release) struct buf path = BUF_INIT(2048);
	CLEANUP(buf_release) struct buf body = BUF_INIT(16 * 1024);
	CLEANUP(json_freep) cJSON *patch = json_new_object();
	cJSON *metadata = json_put_object(patch, "metadata");
	char namespace_[KUBE_NAME_BYTES], name[KUBE_NAME_BYTES];

	object_split(r->work.object, namespace_, name);
	json_put_str(metadata, "resourceVersion", r->version);
	json_put_str(json_put_object(metadata, "annotations"), BUILD_REDELIVERED_ANNOTATION,
		     r->request);
	json_format(&body, patch);
	buf_printf(&path,
		   "/apis/build.openshift.io/v1/namespaces/%s/buildconfigs/"
		   "%s?fieldManager=buildhook",
		   namespace_, name);
	work_call(&r->work,
		  &(struct kube_request){.method = KUBE_MERGE_PATCH,
					 .path = path.data,
					 .body = buf_str(&body),
					 .metric_resource = "buildconfigs"},
		  on_claimed);
}

static void on_added(void *arg, int status, const struct journal_add_result *results, size_t n)
{
	struct redelivery *r = arg;

	(void)results;
	(void)n;
	r->ticket = 0;
	if (status != ERR_OK)
		end(r, "it could not be stored");
	else
		claim(r);
}

static void store(struct object *object, const struct buildconfig *bc, const int64_t *seqs,
		  size_t n)
{
	struct controller *c = object->controller;
	struct redelivery *r = mem_new(1, sizeof(*r));
	struct journal_change *rows[MAX_CHANGES] = {0};
	struct journal_change changes[MAX_CHANGES];
	size_t n_changes = 0;

	r->request = mem_strdup(bc->redeliver);
	r->version = mem_strdup(bc->resource_version);
	work_begin(&r->work, object, release);
	/* The changes are stored again in their old order, oldest first. */
	for (size_t i = n; i > 0; i--) {
		rows[i - 1] = journal_read_row(c->opt.services->journal, seqs[i - 1]);
		if (!rows[i - 1])
			continue;
		changes[n_changes] = *rows[i - 1];
		changes[n_changes].delivery_id = r->request;
		changes[n_changes].accepted_ms = clock_wall_ms(c->opt.services->clock);
		changes[n_changes++].next_attempt_ms = 0;
	}
	if (n_changes > 0)
		r->ticket = journal_add(c->opt.services->journal, changes, n_changes, on_added, r);
	for (size_t i = 0; i < n; i++)
		free(rows[i]);
	if (!r->ticket)
		end(r, "it could not be stored");
}

void redelivery_act(struct object *object)
{
	struct redelivery_memory *memory = &object->redelivery;
	const struct buildconfig *bc = object_buildconfig(object);
	struct str request = str_of(bc->redeliver);
	CLEANUP(buf_release) struct buf id = BUF_INIT(2048);
	int64_t seqs[MAX_CHANGES];
	size_t n = 0;

	buf_put_str(&id, str_range(request.p, str_find_char(request, ' ')));
	n = journal_find_delivery(object->controller->opt.services->journal, bc->uid, id.data,
				  memory->before_seq, &memory->before_seq, seqs, MAX_CHANGES);
	if (n > 0) {
		memory->before_seq = 0;
		store(object, bc, seqs, n);
		return;
	}
	memory->is_searched = memory->before_seq == 0;
	work_finish(object, RECONCILE_REQUEUE, 0);
}
