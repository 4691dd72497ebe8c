/* The rules that must hold at every moment. */
#include "ledger.h"

#include "replica.h"

#include "controller/build_body.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <utlist.h>

#define STATUS_INTERVAL_MS 5000
#define MAX_ATTEMPTS       40

static void copy(char *out, size_t size, const char *text)
{
	(void)snprintf(out, size, "%s", text ? text : "");
}

static struct build *new_build(const struct api_object *object)
{
	struct build *build = mem_new(1, sizeof(*build));
	uint64_t number = 0;

	copy(build->name, sizeof(build->name), object->name);
	copy(build->label, sizeof(build->label), api_label(object, BUILD_DELIVERY_LABEL));
	copy(build->ref, sizeof(build->ref), api_annotation(object, BUILD_REF_ANNOTATION));
	copy(build->uid, sizeof(build->uid),
	     json_str_at(cJSON_GetArrayItem(json_at(object->doc, "metadata/ownerReferences"), 0),
			 "uid"));
	(void)clock_parse_rfc3339(str_of(api_annotation(object, BUILD_ACCEPTED_ANNOTATION)),
				  &build->accepted_ms);
	(void)str_parse_u64(str_of(api_annotation(object, "openshift.io/build.number")), INT64_MAX,
			    &number);
	build->number = (int64_t)number;
	return build;
}

/* One delivery, one build: as long as the first exists. */
static void check_unique(struct world *w, const struct api_object *created)
{
	const char *label = api_label(created, BUILD_DELIVERY_LABEL);
	const struct api_object *other = NULL;

	DL_FOREACH (w->api->objects[API_BUILD], other)
		if (other != created && strcmp(api_label(other, BUILD_DELIVERY_LABEL), label) == 0)
			world_fail(w, "builds %s and %s are of one delivery", other->name,
				   created->name);
}

/*
 * Made later, and with a higher number: what runs builds goes by one of the two. The other push
 * must have come after this one was accepted; a delivery that is repeated to another replica may
 * look newer than it is.
 */
static void check_order(struct world *w, const struct build *created)
{
	for (const struct build *b = w->ledger->builds; b; b = b->next)
		if (!b->is_redelivery && !created->is_redelivery &&
		    strcmp(b->uid, created->uid) == 0 && strcmp(b->ref, created->ref) == 0 &&
		    b->first_ms > created->accepted_ms && b->number < created->number)
			world_fail(w,
				   "build %s is of an older push of %s than build %s, which was "
				   "there before",
				   created->name, created->ref, b->name);
}

void check_build_created(struct world *w, const struct api_object *object)
{
	struct build *build = new_build(object);
	struct push *push = ledger_find(w->ledger, build->label);
	const char *commit = json_str_at(object->doc, "spec/revision/git/commit");

	if (push)
		build->first_ms = push->first_ms;
	build->is_redelivery = push && push->is_redelivery;
	check_unique(w, object);
	check_order(w, build);
	build->next = w->ledger->builds;
	w->ledger->builds = build;
	if (!push || !push->is_matching || strcmp(push->ref, build->ref) != 0 ||
	    strcmp(push->uid, build->uid) != 0) {
		world_fail(w, "build %s is of no push that is to be built", object->name);
		return;
	}
	if (!commit || strcmp(commit, push->commit) != 0)
		world_fail(w, "build %s has not the commit that was pushed", object->name);
	push->n_builds++;
}

/* Once for each request of a user, and what was counts on. */
static void check_rotation(struct world *w, const char *before, struct api_object *secret)
{
	CLEANUP(mem_free) char *previous = api_secret_previous(secret);

	if (++secret->n_rotations > ledger_rotation(w->ledger, secret->name)->n)
		world_fail(w, "the value of Secret %s was changed", secret->name);
	if (!previous || strcmp(previous, before) != 0)
		world_fail(w, "the value that Secret %s had is lost", secret->name);
}

void check_secret_written(struct world *w, const char *before, struct api_object *secret)
{
	CLEANUP(mem_free) char *value = api_secret_value(secret);

	if (strcmp(api_label(secret, KUBE_MANAGED_BY_LABEL), "buildhook") != 0)
		world_fail(w, "Secret %s was written, which is not ours", secret->name);
	if (!value || strlen(value) != 64)
		world_fail(w, "Secret %s was written without a value that counts", secret->name);
	else if (before && *before && strcmp(before, value) != 0)
		check_rotation(w, before, secret);
	if (value)
		ledger_add_secret(w->ledger, value);
}

static struct api_object *find_buildconfig(const struct world *w, const char *path)
{
	char namespace_[64], name[64];

	if (sscanf(path, "/apis/build.openshift.io/v1/namespaces/%63[^/]/buildconfigs/%63[^/?]",
		   namespace_, name) != 2)
		return NULL;
	return api_find(w->api, API_BUILDCONFIG, namespace_, name);
}

void check_status_written(struct world *w, const struct api_request *request)
{
	struct api_object *bc = find_buildconfig(w, request->path);

	if (bc)
		bc->status_ms[request->replica] = w->now_ms;
}

static void check_interval(struct world *w, const struct api_request *request)
{
	const struct api_object *bc = find_buildconfig(w, request->path);
	int64_t last_ms = bc ? bc->status_ms[request->replica] : 0;

	if (last_ms > w->replicas[request->replica]->started_ms &&
	    w->now_ms - last_ms < STATUS_INTERVAL_MS)
		world_fail(w, "replica %zu writes the status of %s after %lld ms again",
			   request->replica, bc->name, (long long)(w->now_ms - last_ms));
}

void check_leak(struct world *w, struct str text, const char *where)
{
	for (const struct secret_value *s = w->ledger->secrets; s; s = s->next)
		if (str_contains(text, str_of(s->value)))
			world_fail(w, "the value of a secret is in %s", where);
}

/* instantiate gives up after three conflicts, so nobody of ours writes meanwhile. */
static void check_not_starting(struct world *w, const struct api_request *request)
{
	char path[400];

	(void)snprintf(path, sizeof(path), "%.*s/instantiate", (int)strcspn(request->path, "?"),
		       request->path);
	if (transport_has(w->replicas[request->replica]->transport, KUBE_POST, path))
		world_fail(w, "the status is written while a build is being started");
}

/* What fails is tried again, but not in a hurry. */
static void check_attempts(struct world *w, const struct api_request *request)
{
	static const char key[] = "\"" BUILD_DELIVERY_LABEL "\":\"";
	const char *label = strstr(request->body.p, key);
	struct push *push = NULL;
	char text[BUILD_DELIVERY_LABEL_CHARS + 1];

	if (!label)
		return;
	copy(text, sizeof(text), label + strlen(key));
	push = ledger_find(w->ledger, text);
	if (push && ++push->n_attempts > MAX_ATTEMPTS)
		world_fail(w, "a build was asked for more than %d times", MAX_ATTEMPTS);
}

void check_request(struct world *w, const struct api_request *request)
{
	bool is_secret = request->method != KUBE_GET && strstr(request->path, "/secrets");

	check_leak(w, str_of(request->path), "a request's path");
	if (!is_secret)
		check_leak(w, request->body, "a request's body");
	if (request->method == KUBE_POST)
		check_attempts(w, request);
	if (request->method == KUBE_APPLY) {
		check_not_starting(w, request);
		check_interval(w, request);
	}
}

void check_logs(struct world *w, int fd)
{
	off_t n = lseek(fd, 0, SEEK_END);
	void *text = n > 0 ? mmap(NULL, (size_t)n, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

	if (text == MAP_FAILED)
		return;
	check_leak(w, str_range(text, (size_t)n), "the log");
	(void)munmap(text, (size_t)n);
}
