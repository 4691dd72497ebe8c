/* The rules that must hold when nothing is under way any more. */
#include "ledger.h"

#include "replica.h"

#include "buildconfig/buildconfig.h"

#include <stdio.h>
#include <utlist.h>

#define MAX_ROWS 100000

struct rows {
	struct world *w;
	const struct replica *replica;
};

/* A push that came later to this replica may have been built by another, to which it came sooner.
 */
static bool is_newer_built(const struct rows *rows, const struct journal_change *row)
{
	for (const struct build *b = rows->w->ledger->builds; b; b = b->next) {
		const struct push *push = ledger_find(rows->w->ledger, b->label);
		int64_t here_ms = push ? push->accepted_ms[rows->replica->index] : 0;

		if (strcmp(b->uid, row->uid) == 0 && strcmp(b->ref, row->ref) == 0 &&
		    (b->accepted_ms >= row->accepted_ms || here_ms >= row->accepted_ms))
			return true;
	}
	return false;
}

static const struct build *find_build(const struct world *w, const char *name, const char *label)
{
	const struct build *b = w->ledger->builds;

	while (b && (strcmp(b->name, name) != 0 || strcmp(b->label, label) != 0))
		b = b->next;
	return b;
}

static bool is_rightly_ended(struct world *w, const struct journal_change *row,
			     const struct push *push)
{
	switch (row->state) {
	case JOURNAL_STARTED:
		return find_build(w, row->build, push->label);
	case JOURNAL_FAILED:
		return ledger_has_word(w->ledger->gone, row->uid) ||
		       ledger_has_word(w->ledger->poisoned, row->uid);
	case JOURNAL_IGNORED:
		return ledger_has_word(w->ledger->paused, row->uid);
	case JOURNAL_SUPERSEDED:
		return true; /* judged apart */
	default:
		return false;
	}
}

static void check_row(void *arg, const struct journal_change *row)
{
	struct rows *rows = arg;
	struct world *w = rows->w;
	struct push *push = NULL;

	for (push = w->ledger->pushes; push; push = push->next)
		if (strcmp(push->id, row->delivery_id) == 0)
			break;
	if (!push) {
		world_fail(w, "replica %zu has a row of no push", rows->replica->index);
		return;
	}
	if (row->state == JOURNAL_ACCEPTED || row->state == JOURNAL_STARTING) {
		world_fail(w, "push %s of %s still waits at replica %zu: %s", push->id, row->name,
			   rows->replica->index, row->reason);
		return;
	}
	if (!is_rightly_ended(w, row, push))
		world_fail(w, "push %s of %s ended %s at replica %zu: %s %s", push->id, row->name,
			   journal_state_name(row->state), rows->replica->index, row->build,
			   row->reason);
	if (row->state != JOURNAL_STARTED && !*row->reason)
		world_fail(w, "push %s ended without a reason", push->id);
	push->is_ended = true;
	push->accepted_ms[rows->replica->index] = row->accepted_ms;
}

/* By what was built since; or by what would have been, had the BuildConfig not gone or been paused.
 */
static void check_superseded(void *arg, const struct journal_change *row)
{
	const struct rows *rows = arg;
	const struct ledger *ledger = rows->w->ledger;
	bool has_trouble = ledger_has_word(ledger->gone, row->uid) ||
			   ledger_has_word(ledger->poisoned, row->uid) ||
			   ledger_has_word(ledger->paused, row->uid);

	if (row->state == JOURNAL_SUPERSEDED && !has_trouble && !is_newer_built(rows, row))
		world_fail(rows->w, "push %s of %s was superseded by nothing", row->delivery_id,
			   row->name);
}

static void check_rows(struct world *w)
{
	for (size_t i = 0; i < w->n_replicas; i++) {
		struct rows rows = {.w = w, .replica = w->replicas[i]};

		journal_each_recent(w->replicas[i]->journal, MAX_ROWS, check_row, &rows);
	}
	for (size_t i = 0; i < w->n_replicas; i++) {
		struct rows rows = {.w = w, .replica = w->replicas[i]};

		journal_each_recent(w->replicas[i]->journal, MAX_ROWS, check_superseded, &rows);
	}
}

/* Once all is well a push is built, and its BuildConfig says so. */
static void check_last(struct world *w, const struct push *p)
{
	const struct api_object *bc = api_find(w->api, API_BUILDCONFIG, p->namespace_, p->name);
	bool is_paused =
		strcmp(api_annotation(bc, "openshift.io/build-config.paused"), "true") == 0;
	const struct build *build = w->ledger->builds;
	const char *line = api_annotation(bc, "buildhook.io/github-last");
	char end[300];

	while (build && strcmp(build->label, p->label) != 0)
		build = build->next;
	if (!build && !is_paused && !bc->is_poison)
		world_fail(w, "the last push to %s was answered %d, and not built", p->name,
			   p->last_status);
	if (build)
		(void)snprintf(end, sizeof(end), "-> %s", build->name);
	else
		(void)snprintf(end, sizeof(end), "%s", is_paused ? "Paused" : "failed");
	/* A redelivery may have come after it. */
	if (!strstr(line, end) && !*api_annotation(bc, "buildhook.io/redeliver"))
		world_fail(w, "%s says \"%s\", where \"%s\" was last", p->name, line, end);
}

/* A replica has said on the BuildConfig that it builds this redelivery. */
static bool is_claimed(const struct world *w, const struct push *p)
{
	const struct api_object *bc = api_find(w->api, API_BUILDCONFIG, p->namespace_, p->name);

	return bc && strcmp(bc->uid, p->uid) == 0 &&
	       strcmp(api_annotation(bc, "buildhook.io/redelivered"), p->id) == 0;
}

static void check_pushes(struct world *w)
{
	for (const struct push *p = w->ledger->pushes; p; p = p->next) {
		if ((p->is_acked || is_claimed(w, p)) && p->n_builds == 0 && !p->is_ended)
			world_fail(w, "push %s of %s was acknowledged, and came to nothing", p->id,
				   p->name);
		if (p->is_last)
			check_last(w, p);
		if (p->n_builds > 1)
			world_fail(w, "push %s of %s was built %u times", p->id, p->name,
				   p->n_builds);
	}
}

static void check_store(struct world *w, const struct replica *r)
{
	const struct api_object *bc = NULL;
	size_t n = 0;

	DL_FOREACH (w->api->objects[API_BUILDCONFIG], bc) {
		const char *version = json_str_at(bc->doc, "metadata/resourceVersion");
		const struct buildconfig *stored = NULL;
		char key[400];

		n++;
		(void)snprintf(key, sizeof(key), "%s/%s", bc->namespace_, bc->name);
		stored = kube_store_find(r->store, key);
		if (!stored || strcmp(stored->resource_version, version) != 0)
			world_fail(w, "replica %zu has version \"%s\" of %s, the server %s",
				   r->index, stored ? stored->resource_version : "", key, version);
	}
	if (kube_store_count(r->store) != n)
		world_fail(w, "replica %zu has %zu objects, the server %zu", r->index,
			   kube_store_count(r->store), n);
}

static void check_status(struct world *w, const struct api_object *bc)
{
	const char *state = api_annotation(bc, "buildhook.io/github-state");
	const char *last = api_annotation(bc, "buildhook.io/github-last");

	CLEANUP(buf_release) struct buf url = BUF_INIT(1024);

	buf_printf(&url, WORLD_PUBLIC_URL "/hooks/%s/%s/github", bc->namespace_, bc->name);
	if (strcmp(api_annotation(bc, "buildhook.io/github-url"), url.data) != 0)
		world_fail(w, "%s says its URL is \"%s\"", bc->name,
			   api_annotation(bc, "buildhook.io/github-url"));
	if (strcmp(state, "Ready") != 0 &&
	    strncmp(state, "Ready, the old secret is accepted until ", 40) != 0)
		world_fail(w, "%s says it is \"%s\"", bc->name, state);
	if (strstr(last, "-> waiting"))
		world_fail(w, "%s says \"%s\", and nothing waits", bc->name, last);
}

void check_at_rest(struct world *w)
{
	const struct api_object *bc = NULL;

	check_rows(w);
	check_pushes(w);
	for (size_t i = 0; i < w->n_replicas; i++)
		check_store(w, w->replicas[i]);
	DL_FOREACH (w->api->objects[API_BUILDCONFIG], bc)
		check_status(w, bc);
}
