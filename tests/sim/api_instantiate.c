/*
 * OpenShift's buildconfigs/instantiate (generator.go): the compare-and-set, then lastVersion is
 * raised, and the Build is made after that, as a second step: what comes between the two is the
 * transport's and leaves a gap.
 */
#include "api.h"

#include <inttypes.h>
#include <stdio.h>

/* Of instantiate's three attempts to raise lastVersion; somebody is always writing. */
#define CONFLICT_PERCENT 2

static void put_labels(cJSON *metadata, const struct api_object *bc, const cJSON *request)
{
	cJSON *labels = json_put_object(metadata, "labels");
	const cJSON *item = NULL;

	cJSON_ArrayForEach (item, json_at(request, "metadata/labels"))
		json_put_str(labels, item->string, item->valuestring);
	json_put_str(labels, "openshift.io/build-config.name", bc->name);
}

static cJSON *new_build(const struct api_object *bc, const cJSON *request, int64_t number)
{
	cJSON *build = json_new_object(), *metadata = NULL, *annotations = NULL, *owner = NULL,
	      *spec = NULL;
	const cJSON *item = NULL;
	char text[300];

	json_put_str(build, "kind", "Build");
	metadata = json_put_object(build, "metadata");
	(void)snprintf(text, sizeof(text), "%s-%" PRId64, bc->name, number);
	json_put_str(metadata, "name", text);
	json_put_str(metadata, "namespace", bc->namespace_);
	put_labels(metadata, bc, request);
	annotations = json_put_object(metadata, "annotations");
	cJSON_ArrayForEach (item, json_at(request, "metadata/annotations"))
		json_put_str(annotations, item->string, item->valuestring);
	(void)snprintf(text, sizeof(text), "%" PRId64, number);
	json_put_str(annotations, "openshift.io/build.number", text);
	owner = json_append(json_put_array(metadata, "ownerReferences"), json_new_object());
	json_put_str(owner, "kind", "BuildConfig");
	json_put_str(owner, "name", bc->name);
	json_put_str(owner, "uid", bc->uid);
	json_put_str(json_put_object(json_put_object(build, "status"), "config"), "name", bc->name);
	spec = json_put_object(build, "spec");
	if (json_member(request, "revision"))
		json_put(spec, "revision", json_copy(json_member(request, "revision")));
	return build;
}

void api_instantiate(struct api *api, struct api_object *bc, const cJSON *request,
		     struct api_answer *out)
{
	cJSON *status = cJSON_GetObjectItemCaseSensitive(bc->doc, "status");
	int64_t version = json_int_at(status, "lastVersion", 0);
	int64_t expected = json_int_at(request, "lastVersion", version);

	if (strcmp(api_annotation(bc, "openshift.io/build-config.paused"), "true") == 0) {
		api_put_status(out, 400, "BadRequest",
			       "can't instantiate from BuildConfig %s/%s: BuildConfig is paused",
			       bc->namespace_, bc->name);
	} else if (expected != version) {
		api_put_status(out, 400, "BadRequest",
			       "the LastVersion(%" PRId64
			       ") on build config %s/%s does not match the build request "
			       "LastVersion(%" PRId64 ")",
			       version, bc->namespace_, bc->name, expected);
	} else if (!api->world->is_healing && world_chance(api->world, CONFLICT_PERCENT)) {
		api_put_status(out, 409, "Conflict",
			       "Operation cannot be fulfilled on buildconfigs: the object has been "
			       "modified");
	} else {
		cJSON_DeleteItemFromObjectCaseSensitive(status, "lastVersion");
		json_put_int(status, "lastVersion", version + 1);
		api_touch(api, bc);
		out->build = new_build(bc, request, version + 1);
	}
}
