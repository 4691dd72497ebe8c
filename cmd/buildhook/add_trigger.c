/* `buildhook add-trigger`: a webhook in one command. */
#include "hook_wait.h"
#include "url.h"

#include "base/mem.h"

#include <stdio.h>

#define MAX_TRIES 5

/*
 * The Secret gets the name that buildhook would give it: OpenShift requires a name in the trigger.
 */
static cJSON *new_trigger(const struct buildconfig *bc, enum hook_type type)
{
	cJSON *trigger = json_new_object();
	char secret[BUILDCONFIG_MAX_NAME + 1], suffix[40];

	(void)snprintf(suffix, sizeof(suffix), "%s-webhook", hook_type_name(type));
	buildconfig_child_name(secret, bc->name, suffix);
	json_put_str(trigger, "type", hook_type_trigger(type));
	json_put_str(
		json_put_object(json_put_object(trigger, hook_type_name(type)), "secretReference"),
		"name", secret);
	return trigger;
}

/* One addition, and the condition that the object is still the one that was read: nothing else of
 * it can change by this, whoever writes at the same time. (RFC 6902) */
static cJSON *new_patch(const struct target *target, enum hook_type type)
{
	bool has_list = cJSON_IsArray(json_at(target->answer.doc, "spec/triggers"));
	cJSON *patch = json_new_array();
	cJSON *test = json_append(patch, json_new_object());
	cJSON *add = json_append(patch, json_new_object());
	cJSON *trigger = new_trigger(target->bc, type);

	json_put_str(test, "op", "test");
	json_put_str(test, "path", "/metadata/resourceVersion");
	json_put_str(test, "value", target->bc->resource_version);
	json_put_str(add, "op", "add");
	json_put_str(add, "path", has_list ? "/spec/triggers/-" : "/spec/triggers");
	if (has_list) {
		json_put(add, "value", trigger);
	} else {
		json_append(json_put_array(add, "value"), trigger);
	}
	return patch;
}

/*
 * TARGET becomes the object as it was when the trigger was added or found; HAS_ADDED says which.
 */
static int add(bool *has_added, struct target *target, struct session *session, const char *name,
	       enum hook_type type, struct err *err)
{
	for (int i = 0;; i++) {
		CLEANUP(json_freep) cJSON *patch = NULL;
		CLEANUP(mem_free) char *version = NULL;

		if (target->bc->hooks[type].exists) {
			(void)fprintf(stderr, "buildconfig \"%s\" has a %s trigger already\n", name,
				      hook_type_name(type));
			return 0;
		}
		patch = new_patch(target, type);
		if (session_send(session, NULL, KUBE_JSON_PATCH, patch, err,
				 "/apis/build.openshift.io/v1/namespaces/%s/buildconfigs/%s"
				 "?fieldManager=kubectl-buildhook",
				 session_namespace(session), name) == 0) {
			*has_added = true;
			return 0;
		}
		/* Only a failed condition, because the object has changed, is worth another try. */
		version = mem_strdup(target->bc->resource_version);
		if (i == MAX_TRIES || (err->code != ERR_INVALID && err->code != ERR_CONFLICT))
			return err->code;
		struct err failure = *err;

		target_release(target);
		if (target_read(target, session, name, err) != 0)
			return err->code;
		if (strcmp(version, target->bc->resource_version) == 0) {
			*err = failure;
			return err->code;
		}
	}
}

static int run(const struct invocation *in)
{
	CLEANUP(session_freep) struct session *session = NULL;
	CLEANUP(target_release) struct target target = {0};
	CLEANUP(target_wipe) struct buf secret = BUF_INIT(8192);
	enum hook_type type = HOOK_GITHUB;
	bool has_added = false;
	struct err err = {0};

	if (target_parse_type(&type, in->args[1], &err) != 0 ||
	    session_open(&session, in, &err) != 0 ||
	    target_read(&target, session, in->args[0], &err) != 0 ||
	    add(&has_added, &target, session, in->args[0], type, &err) != 0)
		return session_fail(session, &err);
	if (hook_wait_ready(&target, session, in->args[0], type, &secret, &err) != 0) {
		if (err.code == ERR_DENIED)
			(void)fprintf(
				stderr,
				"buildconfig \"%s\" %s the %s trigger, but you may not read its "
				"secret; `%s url %s` prints the URL\n",
				in->args[0], has_added ? "now has" : "has", hook_type_name(type),
				in->program, in->args[0]);
		return session_fail(session, &err);
	}
	url_print_warnings(&target, type);
	url_print_guide(&target, type, &secret, true);
	return EXIT_OK;
}

const struct command command_add_trigger = {
	.name = "add-trigger",
	.args = "NAME TYPE",
	.summary = "add a webhook to a BuildConfig and print what to paste",
	.about = "Adds a webhook trigger to BuildConfig NAME and changes nothing else of it. TYPE "
		 "is " TARGET_TYPES ". Then it waits until buildhook has made the secret, and "
		 "prints URL and "
		 "secret as `url --with-secret` does.\n\nWhere the trigger is there already it "
		 "only prints.",
	.examples = "buildhook add-trigger cart github",
	.min_args = 2,
	.max_args = 2,
	.arg_kinds = {ARG_BUILDCONFIG, ARG_TYPE},
	.shared = FLAGS_CLUSTER,
	.run = run,
};
