/* Two informers. A page is rendered from the documents as they are: Builds are put to their
 * BuildConfigs once for each page, by one pass over sorted lists. */
#include "ui_model.h"

#include "base/mem.h"
#include "net/loop.h"

#include <stdio.h>
#include <stdlib.h>

/* A burst of changes within this time is one change. */
#define SETTLE_MS  250
#define MAX_RECENT 10

struct ui_model {
	struct session *session;
	void (*on_change)(void *arg);
	void *arg;
	struct kube_informer *bcs, *builds;
	struct timer settle;
	uint64_t version;
	char problem[600];
};

static void on_settled(void *arg)
{
	struct ui_model *m = arg;

	m->version++;
	m->on_change(m->arg);
}

static void touch(struct ui_model *m)
{
	if (!timer_running(&m->settle))
		timer_start(session_clock(m->session), &m->settle, SETTLE_MS, on_settled, m);
}

static void on_object(void *arg, const char *key, const void *old, const void *new_)
{
	(void)key;
	(void)old;
	(void)new_;
	touch(arg);
}

static void on_state(void *arg)
{
	touch(arg);
}

struct ui_model *ui_model_new(struct session *session, void (*on_change)(void *arg), void *arg)
{
	struct ui_model *m = mem_new(1, sizeof(*m));

	m->session = session;
	m->on_change = on_change;
	m->arg = arg;
	m->version = 1;
	m->bcs = session_follow(session, "buildconfigs", on_object, on_state, m);
	m->builds = session_follow(session, "builds", on_object, on_state, m);
	return m;
}

void ui_model_free(struct ui_model *model)
{
	if (!model)
		return;
	timer_stop(session_clock(model->session), &model->settle);
	kube_informer_free(model->bcs);
	kube_informer_free(model->builds);
	mem_free(&model);
}

uint64_t ui_model_version(const struct ui_model *model)
{
	return model->version;
}

static bool is_known(struct kube_informer *informer)
{
	return kube_store_is_synced(kube_informer_store(informer)) ||
	       *kube_informer_error(informer);
}

bool ui_model_is_known(const struct ui_model *model)
{
	return is_known(model->bcs) && is_known(model->builds);
}

static bool explain(char *out, size_t size, const char *what, struct kube_informer *informer)
{
	const char *error = kube_informer_error(informer);

	if (*error)
		(void)snprintf(out, size, "%s: %s", what, error);
	else if (!is_known(informer))
		(void)snprintf(out, size, "%s are being read.", what);
	else
		return false;
	return true;
}

const char *ui_model_problem(const struct ui_model *model)
{
	struct ui_model *m = (struct ui_model *)model;

	if (!explain(m->problem, sizeof(m->problem), "BuildConfigs", m->bcs) &&
	    !explain(m->problem, sizeof(m->problem), "Builds", m->builds))
		m->problem[0] = '\0';
	return m->problem;
}

static const char *text_at(const cJSON *doc, const char *path)
{
	const char *text = json_str_at(doc, path);

	return text ? text : "";
}

static const char *config_of(const cJSON *build)
{
	const char *name = view_annotation(build, "openshift.io/build-config.name");

	return *name ? name : text_at(build, "status/config/name");
}

static int compare(const char *a_namespace, const char *a_name, const char *b_namespace,
		   const char *b_name)
{
	int order = strcmp(a_namespace, b_namespace);

	return order ? order : strcmp(a_name, b_name);
}

static int compare_buildconfigs(const void *a, const void *b)
{
	const struct ui_buildconfig *x = a, *y = b;

	return compare(text_at(x->doc, "metadata/namespace"), text_at(x->doc, "metadata/name"),
		       text_at(y->doc, "metadata/namespace"), text_at(y->doc, "metadata/name"));
}

struct build_entry {
	const char *namespace_, *name; /* names of the BuildConfig */
	int64_t number;
	const cJSON *doc;
};

static int compare_builds(const void *a, const void *b)
{
	const struct build_entry *x = a, *y = b;
	int order = compare(x->namespace_, x->name, y->namespace_, y->name);

	return order ? order : (x->number < y->number) - (x->number > y->number);
}

struct collected {
	void *items;
	size_t n;
};

static void collect_buildconfig(void *arg, const char *key, const void *object)
{
	struct collected *c = arg;

	(void)key;
	((struct ui_buildconfig *)c->items)[c->n++].doc = object;
}

static void collect_build(void *arg, const char *key, const void *object)
{
	struct collected *c = arg;

	(void)key;
	((struct build_entry *)c->items)[c->n++] = (struct build_entry){
		.namespace_ = text_at(object, "metadata/namespace"),
		.name = config_of(object),
		.number = view_build_number(object),
		.doc = object,
	};
}

static void count(void *arg, const char *key, const void *object)
{
	(void)key;
	(void)object;
	++*(size_t *)arg;
}

static size_t count_of(const struct kube_store *store)
{
	size_t n = 0;

	kube_store_each(store, count, &n);
	return n;
}

struct ui_buildconfig *ui_model_list(const struct ui_model *model, size_t *n)
{
	struct ui_buildconfig *list =
		mem_new(count_of(kube_informer_store(model->bcs)) + 1, sizeof(*list));
	CLEANUP(mem_free)
	struct build_entry *builds =
		mem_new(count_of(kube_informer_store(model->builds)) + 1, sizeof(*builds));
	struct collected bcs = {list, 0}, of_builds = {builds, 0};
	size_t next = 0;

	kube_store_each(kube_informer_store(model->bcs), collect_buildconfig, &bcs);
	kube_store_each(kube_informer_store(model->builds), collect_build, &of_builds);
	qsort(list, bcs.n, sizeof(*list), compare_buildconfigs);
	qsort(builds, of_builds.n, sizeof(*builds), compare_builds);
	for (size_t i = 0; i < bcs.n; i++) {
		const char *namespace_ = text_at(list[i].doc, "metadata/namespace");
		const char *name = text_at(list[i].doc, "metadata/name");

		list[i].builds = json_new_array();
		for (; next < of_builds.n; next++) {
			int order = compare(builds[next].namespace_, builds[next].name, namespace_,
					    name);

			if (order > 0)
				break;
			if (order == 0)
				mem_require(cJSON_AddItemReferenceToArray(
					list[i].builds, (cJSON *)builds[next].doc));
		}
	}
	*n = bcs.n;
	return list;
}

void ui_model_free_list(struct ui_buildconfig *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		cJSON_Delete(list[i].builds);
	mem_free(&list);
}

/* The newest stand first; what is older than the last of a full list is dropped. */
static void add(struct ui_happening *out, size_t max, size_t *n, const struct ui_happening *item)
{
	size_t at = *n;

	while (at > 0 && out[at - 1].at_ms < item->at_ms)
		at--;
	if (at == max)
		return;
	if (*n < max)
		++*n;
	memmove(&out[at + 1], &out[at], (*n - 1 - at) * sizeof(*out));
	out[at] = *item;
}

static void add_recent(struct ui_happening *out, size_t max, size_t *n, const cJSON *bc)
{
	struct str rest = str_of(view_annotation(bc, "buildhook.io/recent"));
	struct str line;

	for (int i = 0; i < MAX_RECENT && str_next_part(&rest, '\n', &line); i++) {
		CLEANUP(mem_free) char *at_text = NULL;
		struct ui_happening item = {.namespace_ = text_at(bc, "metadata/namespace"),
					    .name = text_at(bc, "metadata/name")};
		struct str at;

		view_split_time(line, &at, &item.text);
		at_text = str_dup(at);
		item.at_ms = view_time(at_text);
		if (item.at_ms > 0)
			add(out, max, n, &item);
	}
}

size_t ui_model_happenings(struct ui_happening *out, size_t max, const struct ui_buildconfig *list,
			   size_t n)
{
	size_t n_out = 0;

	for (size_t i = 0; i < n; i++) {
		const cJSON *build = NULL;

		add_recent(out, max, &n_out, list[i].doc);
		cJSON_ArrayForEach (build, list[i].builds) {
			const struct ui_happening item = {
				.at_ms = view_time(text_at(build, "metadata/creationTimestamp")),
				.namespace_ = text_at(list[i].doc, "metadata/namespace"),
				.name = text_at(list[i].doc, "metadata/name"),
				.build = build,
			};

			add(out, max, &n_out, &item);
		}
	}
	return n_out;
}
