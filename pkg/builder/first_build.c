/*
 * The first Build of a BuildConfig with a ConfigChange trigger. The name is the lock: whoever comes
 * second finds NAME-1 taken. status.lastVersion is raised afterwards, and then no Build is the
 * first any more; a process that is killed between the two leaves the raise to the next process.
 */
#include "builder/internal.h"

#include "base/log.h"
#include "controller/build_body.h"

#include <inttypes.h>
#include <stdio.h>

#define PATH_BYTES    1024
#define MAX_NUMBER    64
#define API           "/apis/build.openshift.io/v1/namespaces/"
#define FIELD_MANAGER "fieldManager=buildhook-build-controller"

struct first_build {
	struct group *group;
	struct kube_call *call;
	char *namespace_, *name; /* of the BuildConfig */
	cJSON *config;           /* as the API server has it */
	int64_t number;
};

static void free_first_build(struct first_build *first)
{
	cJSON_Delete(first->config);
	free(first->namespace_);
	free(first->name);
	free(first);
}

void first_build_cancel(struct first_build *first)
{
	kube_cancel(first->call);
	free_first_build(first);
}

static void finish(struct first_build *first, bool has_failed)
{
	struct group *group = first->group;

	group->first_build = NULL;
	free_first_build(first);
	builder_finish(group, has_failed);
}

static void fail(struct first_build *first, const char *what, const struct err *err)
{
	log_msg(LOG_WARN, "builder", what, LOG_FIELD("namespace", first->namespace_),
		LOG_FIELD("name", first->name), LOG_FIELD("error", err->msg));
	finish(first, true);
}

static void send(struct first_build *first, enum kube_method method, const char *path,
		 const cJSON *doc, const char *resource, kube_response_fn fn)
{
	first->call = builder_send(first->group->builder, method, path, doc, resource, fn, first);
}

static const char *uid_of(const cJSON *doc)
{
	const char *uid = json_str_at(doc, "metadata/uid");

	return uid ? uid : "";
}

static void put_config(const struct first_build *first, const cJSON *doc)
{
	struct builder *builder = first->group->builder;

	kube_store_put_written(builder->configs, doc, clock_mono_ms(builder->opt.clock));
}

static void on_raised(void *arg, const struct kube_response *response)
{
	struct first_build *first = arg;

	first->call = NULL;
	if (response->err.code != ERR_OK && response->err.code != ERR_CONFLICT) {
		fail(first, "lastVersion was not raised", &response->err);
		return;
	}
	if (response->err.code == ERR_OK)
		put_config(first, response->doc);
	/* 409: somebody has changed the BuildConfig, and it is read again. */
	finish(first, response->err.code != ERR_OK);
}

static void raise_version(struct first_build *first)
{
	CLEANUP(json_freep) cJSON *patch = json_new_object();
	cJSON *metadata = json_put_object(patch, "metadata");
	const char *version = json_str_at(first->config, "metadata/resourceVersion");
	char path[PATH_BYTES];

	json_put_str(metadata, "uid", uid_of(first->config));
	json_put_str(metadata, "resourceVersion", version ? version : "");
	json_put_int(json_put_object(patch, "status"), "lastVersion", first->number);
	(void)snprintf(path, sizeof(path), API "%s/buildconfigs/%s/status?" FIELD_MANAGER,
		       first->namespace_, first->name);
	send(first, KUBE_MERGE_PATCH, path, patch, "buildconfigs", on_raised);
}

static void create(struct first_build *first);

/* A Build that a deleted BuildConfig of the same name has left keeps its number. */
static void on_looked(void *arg, const struct kube_response *response)
{
	struct first_build *first = arg;
	int code = response->err.code;

	first->call = NULL;
	if (code == ERR_OK && json_find(json_at(response->doc, "metadata/ownerReferences"), "uid",
					uid_of(first->config))) {
		raise_version(first);
	} else if ((code == ERR_OK || code == ERR_NOTFOUND) && first->number < MAX_NUMBER) {
		first->number += code == ERR_OK;
		create(first);
	} else {
		fail(first, "the first Build was not created", &response->err);
	}
}

static void format_build_path(char *out, const struct first_build *first)
{
	char name[BUILD_NAME_BYTES];

	build_name(name, first->name, first->number);
	(void)snprintf(out, PATH_BYTES, API "%s/builds/%s", first->namespace_, name);
}

static void on_created(void *arg, const struct kube_response *response)
{
	struct first_build *first = arg;
	struct builder *builder = first->group->builder;
	char path[PATH_BYTES];

	first->call = NULL;
	if (response->err.code == ERR_EXISTS) {
		format_build_path(path, first);
		send(first, KUBE_GET, path, NULL, "builds", on_looked);
		return;
	}
	if (response->err.code != ERR_OK) {
		fail(first, "the first Build was not created", &response->err);
		return;
	}
	kube_store_put_written(builder->builds, response->doc, clock_mono_ms(builder->opt.clock));
	log_msg(LOG_INFO, "builder", "first Build created",
		LOG_FIELD("namespace", first->namespace_), LOG_FIELD("name", first->name));
	raise_version(first);
}

static void create(struct first_build *first)
{
	const struct journal_change change =
		build_change_by_hand(uid_of(first->config), first->namespace_, first->name, NULL);
	CLEANUP(json_freep)
	cJSON *build = build_body(first->config, &change, first->number,
				  clock_wall_ms(first->group->builder->opt.clock));
	cJSON *spec = cJSON_GetObjectItemCaseSensitive(build, "spec");
	char path[PATH_BYTES];

	cJSON_DeleteItemFromObjectCaseSensitive(spec, "triggeredBy");
	json_put_str(json_append(json_put_array(spec, "triggeredBy"), json_new_object()), "message",
		     "Build configuration change");
	(void)snprintf(path, sizeof(path), API "%s/builds?" FIELD_MANAGER, first->namespace_);
	send(first, KUBE_POST, path, build, "builds", on_created);
}

/* The store may be older than the API server's BuildConfig, so the decision is made on a fresh
 * read. */
static void on_config(void *arg, const struct kube_response *response)
{
	struct first_build *first = arg;
	CLEANUP(mem_free) struct build_config *config = NULL;

	first->call = NULL;
	if (response->err.code != ERR_OK) {
		fail(first, "the BuildConfig was not read", &response->err);
		return;
	}
	config = build_config_parse(response->doc);
	if (!config->wants_first_build) {
		put_config(first, response->doc);
		finish(first, false);
		return;
	}
	first->config = json_copy(response->doc);
	create(first);
}

void first_build_start(struct group *group)
{
	struct first_build *first = mem_new(1, sizeof(*first));
	struct str name = str_of(group->key), namespace_ = {0};
	char path[PATH_BYTES];

	(void)str_next_part(&name, '/', &namespace_);
	first->group = group;
	first->namespace_ = str_dup(namespace_);
	first->name = str_dup(name);
	first->number = 1;
	group->first_build = first;
	(void)snprintf(path, sizeof(path), API "%s/buildconfigs/%s", first->namespace_,
		       first->name);
	send(first, KUBE_GET, path, NULL, "buildconfigs", on_config);
}
