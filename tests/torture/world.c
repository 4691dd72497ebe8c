/* The world of tests/sim/world.c without network faults and without the checks of the simulated
 * worlds. */
#include "alloc.h"
#include "torture.h"

#include "sim/ledger.h"

#include "crypto/crypto.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

struct torture t;

uint64_t world_below(struct world *w, uint64_t bound)
{
	w->rng.state = w->rng.state * 6364136223846793005U + 1442695040888963407U;
	return (w->rng.state >> 33) % bound;
}

bool world_chance(struct world *w, unsigned percent)
{
	return world_below(w, 100) < percent;
}

void world_random(struct world *w, void *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((unsigned char *)out)[i] = (unsigned char)world_below(w, 256);
}

int64_t world_wall_ms(const struct world *w)
{
	return EPOCH_MS + w->now_ms - START_MS;
}

void world_fail(struct world *w, const char *fmt, ...)
{
	va_list args;

	(void)w;
	va_start(args, fmt);
	if (!*t.outcome->failure)
		(void)vsnprintf(t.outcome->failure, sizeof(t.outcome->failure), fmt, args);
	va_end(args);
}

void world_trace(struct world *w, const char *fmt, ...)
{
	(void)w;
	(void)fmt;
}

static int64_t mono_ms(void *arg)
{
	return ((const struct world *)arg)->now_ms;
}

static int64_t wall_ms(void *arg)
{
	return world_wall_ms(arg);
}

static void random_bytes(void *arg, void *out, size_t n)
{
	world_random(arg, out, n);
}

void torture_go_for(int64_t ms)
{
	struct world *w = &t.w;
	struct replica *r = w->replicas[0];
	int64_t until_ms = w->now_ms + ms;

	for (;;) {
		int64_t own_ms = clock_next_ms(w->clock);
		int64_t its_ms = r->is_up ? clock_next_ms(r->clock) : -1;
		bool is_its = its_ms >= 0 && (own_ms < 0 || its_ms <= own_ms);
		int64_t wait_ms = is_its ? its_ms : own_ms;

		if (wait_ms < 0 || w->now_ms + wait_ms > until_ms)
			break;
		w->now_ms += wait_ms;
		if (is_its)
			replica_run(r);
		else
			clock_run(w->clock);
		if (r->is_up)
			replica_follow_up(r);
		if (r->is_up && journal_failure(r->journal))
			(void)raise(SIGABRT);
	}
	w->now_ms = until_ms;
}

/* Checks of the simulated worlds that are empty here. */

void check_build_created(struct world *w, const struct api_object *build)
{
	const char *label = api_label(build, "buildhook.io/delivery");

	for (size_t i = 0; i < t.outcome->n_builds; i++)
		if (strcmp(t.labels[i], label) == 0)
			world_fail(w, "a change was built twice");
	(void)snprintf(t.labels[t.outcome->n_builds++ % MAX_LABELS], sizeof(t.labels[0]), "%s",
		       label);
}

void check_secret_written(struct world *w, const char *before, struct api_object *secret)
{
	(void)w;
	(void)before;
	(void)secret;
}

void check_request(struct world *w, const struct api_request *request)
{
	(void)w;
	(void)request;
}

void check_status_written(struct world *w, const struct api_request *request)
{
	(void)w;
	(void)request;
}

/* Allocations of the API server belong to another process. */
void __real_api_serve(struct api *api, const struct api_request *request, struct api_answer *out);
void __wrap_api_serve(struct api *api, const struct api_request *request, struct api_answer *out);
void __wrap_api_serve(struct api *api, const struct api_request *request, struct api_answer *out)
{
	bool was_armed = alloc_pause();

	__real_api_serve(api, request, out);
	alloc_resume(was_armed);
}

void __real_api_create_build(struct api *api, struct api_answer *answer);
void __wrap_api_create_build(struct api *api, struct api_answer *answer);
void __wrap_api_create_build(struct api *api, struct api_answer *answer)
{
	bool was_armed = alloc_pause();

	__real_api_create_build(api, answer);
	alloc_resume(was_armed);
}

static cJSON *new_object(const char *kind, const char *name)
{
	cJSON *doc = json_new_object(), *metadata = NULL;

	json_put_str(doc, "apiVersion",
		     strcmp(kind, "Secret") == 0 ? "v1" : "build.openshift.io/v1");
	json_put_str(doc, "kind", kind);
	metadata = json_put_object(doc, "metadata");
	json_put_str(metadata, "namespace", "shop");
	json_put_str(metadata, "name", name);
	return doc;
}

/* With an inline SECRET, or a reference to the Secret "hook". */
static void put_trigger(cJSON *triggers, const char *type, const char *member, const char *secret)
{
	cJSON *trigger = json_append(triggers, json_new_object());
	cJSON *hook = NULL;

	json_put_str(trigger, "type", type);
	hook = json_put_object(trigger, member);
	if (secret)
		json_put_str(hook, "secret", secret);
	else
		json_put_str(json_put_object(hook, "secretReference"), "name", "hook");
	if (strcmp(member, "generic") == 0)
		json_put_bool(hook, "allowEnv", true);
}

static void populate(void)
{
	cJSON *secret = new_object("Secret", "hook"), *doc = new_object("BuildConfig", "cart");
	cJSON *spec = json_put_object(doc, "spec"), *triggers = NULL, *git = NULL;
	char *value = crypto_base64((const unsigned char *)REQUEST_SECRET, strlen(REQUEST_SECRET));

	json_put_str(json_put_object(secret, "data"), "WebHookSecretKey", value);
	free(value);
	(void)api_add(t.w.api, API_SECRET, secret);
	json_put_str(
		json_put_object(cJSON_GetObjectItemCaseSensitive(doc, "metadata"), "annotations"),
		"buildhook.io/refs", "*,refs/tags/*");
	git = json_put_object(json_put_object(spec, "source"), "git");
	json_put_str(git, "uri", "https://git.example.com/x.git");
	json_put_object(json_put_object(spec, "strategy"), "dockerStrategy");
	triggers = json_put_array(spec, "triggers");
	put_trigger(triggers, "GitHub", "github", NULL);
	put_trigger(triggers, "GitHub", "github", REQUEST_PATH_SECRET);
	put_trigger(triggers, "GitLab", "gitlab", REQUEST_TOKEN);
	put_trigger(triggers, "GitLab", "gitlab", NULL);
	put_trigger(triggers, "Bitbucket", "bitbucket", NULL);
	put_trigger(triggers, "Generic", "generic", NULL);
	put_trigger(triggers, "Generic", "generic", REQUEST_PATH_SECRET);
	json_put_int(json_put_object(doc, "status"), "lastVersion", 0);
	(void)api_add(t.w.api, API_BUILDCONFIG, doc);
}

void torture_make_world(enum controller_backend backend)
{
	t.w = (struct world){
		.now_ms = START_MS, .n_replicas = 1, .backend = backend, .has_public_url = true};
	t.w.clock = clock_new(&(struct clock_source){mono_ms, wall_ms, random_bytes, &t.w});
	t.w.ledger = ledger_new();
	t.w.api = api_new(&t.w);
	t.w.api->quota = SIZE_MAX;
	populate();
	t.w.replicas[0] = replica_new(&t.w, 0, t.folder);
}
