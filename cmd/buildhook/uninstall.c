/* `buildhook uninstall`: takes away what buildhook wrote on BuildConfigs. Without it an object
 * would still say Ready when nothing serves its webhooks any more. */
#include "session.h"
#include "view.h"

#include "base/mem.h"
#include "kube/secrets.h"

#include <stdio.h>

#define MANAGER "buildhook"
/* A `serve` that still runs writes again within its status interval, 5 s. */
#define AGAIN_MS 8000
#define LOOK_MS  1000

struct options {
	bool dry_run;
};

static const struct flag flags[] = {
	{"dry-run", FLAG_BOOL, offsetof(struct options, dry_run), NULL,
	 "say what would be taken away, and change nothing", NULL},
};
static const size_t n_flags = ARRAY_LEN(flags);

/* "f:buildhook.io/hint": {} in the annotations that server-side applies of ours own. */
static const cJSON *owned_annotations(const cJSON *bc)
{
	const cJSON *entry = NULL;

	cJSON_ArrayForEach (entry, json_at(bc, "metadata/managedFields")) {
		const char *manager = json_str_at(entry, "manager");
		const char *operation = json_str_at(entry, "operation");

		if (manager && operation && strcmp(manager, MANAGER) == 0 &&
		    strcmp(operation, "Apply") == 0)
			return json_at(entry, "fieldsV1/f:metadata/f:annotations");
	}
	return NULL;
}

static size_t count_owned(const cJSON *bc)
{
	const cJSON *field = NULL;
	size_t n = 0;

	cJSON_ArrayForEach (field, owned_annotations(bc))
		n += strncmp(field->string, "f:buildhook.io/", 15) == 0;
	return n;
}

static const char *text_at(const cJSON *doc, const char *path)
{
	const char *text = json_str_at(doc, path);

	return text ? text : "";
}

static int list_buildconfigs(struct session_answer *out, const struct invocation *in,
			     struct session *session, struct err *err)
{
	session_answer_release(out);
	if (!in->shared.namespace_)
		return session_get(session, out, err, "/apis/build.openshift.io/v1/buildconfigs");
	return session_get(session, out, err,
			   "/apis/build.openshift.io/v1/namespaces/%s/buildconfigs",
			   in->shared.namespace_);
}

static bool is_ready(const cJSON *pod)
{
	const cJSON *ready = json_find(json_at(pod, "status/conditions"), "type", "Ready");

	return strcmp(text_at(ready, "status"), "True") == 0;
}

/* Fails if a Pod of buildhook is ready. */
static int check_pods(struct session *session, struct err *err)
{
	CLEANUP(session_answer_release) struct session_answer pods = {0};
	const cJSON *pod = NULL;
	struct err ignored = {0};

	if (session_get(session, &pods, &ignored,
			"/api/v1/pods?labelSelector=app.kubernetes.io%%2Fname%%3Dbuildhook") != 0)
		return 0;
	cJSON_ArrayForEach (pod, json_member(pods.doc, "items"))
		if (is_ready(pod))
			return err_set(err, ERR_CONFLICT,
				       "buildhook still runs (pod %.60s in namespace %.60s) and "
				       "would write again: delete its manifests first, as "
				       "docs/deploy.md says",
				       text_at(pod, "metadata/name"),
				       text_at(pod, "metadata/namespace"));
	return 0;
}

/*
 * An apply gives up the annotations that earlier applies made and this one leaves out, here all but
 * those in KEPT, which becomes part of it; NULL: none. (Kubernetes docs, "Server-Side Apply",
 * "Clearing managedFields": fields that are left out are removed.)
 */
static int take_away(struct session *session, const cJSON *bc, cJSON *kept, struct err *err)
{
	CLEANUP(json_freep) cJSON *body = json_new_object();
	cJSON *metadata;

	json_put_str(body, "apiVersion", "build.openshift.io/v1");
	json_put_str(body, "kind", "BuildConfig");
	metadata = json_put_object(body, "metadata");
	json_put_str(metadata, "name", text_at(bc, "metadata/name"));
	json_put_str(metadata, "namespace", text_at(bc, "metadata/namespace"));
	json_put_str(metadata, "uid", text_at(bc, "metadata/uid"));
	if (kept)
		json_put(metadata, "annotations", kept);
	return session_send(session, NULL, KUBE_APPLY, body, err,
			    "/apis/build.openshift.io/v1/namespaces/%s/buildconfigs/%s"
			    "?fieldManager=" MANAGER "&force=true",
			    text_at(bc, "metadata/namespace"), text_at(bc, "metadata/name"));
}

/* The annotation with the URL, which a serve writes on every BuildConfig with a webhook. NULL:
 * there is none. */
static const char *find_probe(const cJSON *bc)
{
	const cJSON *field = NULL;

	cJSON_ArrayForEach (field, owned_annotations(bc)) {
		if (str_starts(str_of(field->string), STR("f:buildhook.io/")) &&
		    str_ends(str_of(field->string), STR("-url")))
			return field->string + 2;
	}
	return NULL;
}

/* Applies all owned annotations as they were listed, except LEFT_OUT (NULL: none). */
static int put_back(struct session *session, const cJSON *bc, const char *left_out, struct err *err)
{
	const cJSON *annotations = json_at(bc, "metadata/annotations"), *field = NULL;
	cJSON *kept = json_new_object();

	cJSON_ArrayForEach (field, owned_annotations(bc)) {
		const char *name = field->string + (strncmp(field->string, "f:", 2) == 0 ? 2 : 0);
		const cJSON *value = json_member(annotations, name);

		if (cJSON_IsString(value) && !(left_out && strcmp(name, left_out) == 0))
			json_put_str(kept, name, value->valuestring);
	}
	return take_away(session, bc, kept, err);
}

static int start_probes(cJSON *probed, struct session *session, const cJSON *bcs, struct err *err)
{
	const cJSON *bc = NULL;

	cJSON_ArrayForEach (bc, json_member(bcs, "items")) {
		const char *probe = find_probe(bc);

		if (!probe ||
		    json_find(probed, "metadata/namespace", text_at(bc, "metadata/namespace")))
			continue;
		if (put_back(session, bc, probe, err) != 0)
			return err->code;
		json_append(probed, json_copy(bc));
	}
	return 0;
}

static int look_at_probes(const cJSON *probed, const struct invocation *in, struct session *session,
			  struct err *err)
{
	CLEANUP(session_answer_release) struct session_answer bcs = {0};
	const cJSON *bc = NULL;

	if (list_buildconfigs(&bcs, in, session, err) != 0)
		return err->code;
	cJSON_ArrayForEach (bc, json_member(bcs.doc, "items"))
		if (find_probe(bc) &&
		    json_find(probed, "metadata/uid", text_at(bc, "metadata/uid")))
			return err_set(err, ERR_CONFLICT,
				       "a buildhook serve still runs somewhere: it wrote on "
				       "%.60s/%.60s again. Nothing was taken away; end it, and run "
				       "uninstall again",
				       text_at(bc, "metadata/namespace"),
				       text_at(bc, "metadata/name"));
	return 0;
}

/*
 * A serve outside the cluster, or one whose Pods the caller may not list, is found by its writes:
 * it puts back an annotation that is missing, within its status interval. One annotation is taken
 * from one BuildConfig of each namespace, and is put back when the answer is no.
 */
static int check_serve(const struct invocation *in, struct session *session, const cJSON *bcs,
		       struct err *err)
{
	CLEANUP(json_freep) cJSON *probed = cJSON_CreateArray();
	const cJSON *bc = NULL;
	int code = start_probes(probed, session, bcs, err);

	if (code == 0 && cJSON_GetArraySize(probed) > 0)
		(void)fprintf(stderr, "Waiting %d s to see whether a serve still runs ...\n",
			      AGAIN_MS / 1000);
	for (int64_t ms = 0; code == 0 && probed->child && ms < AGAIN_MS; ms += LOOK_MS) {
		session_wait(session, LOOK_MS);
		code = look_at_probes(probed, in, session, err);
	}
	if (code == 0)
		return 0;
	cJSON_ArrayForEach (bc, probed) {
		struct err ignored = {0};

		(void)put_back(session, bc, NULL, &ignored);
	}
	return code;
}

static int clean_all(const cJSON *bcs, struct session *session, bool is_dry, size_t *n_cleaned,
		     struct err *err)
{
	const cJSON *bc = NULL;

	cJSON_ArrayForEach (bc, json_member(bcs, "items")) {
		size_t n = count_owned(bc);

		if (n == 0)
			continue;
		if (!is_dry && take_away(session, bc, NULL, err) != 0 && err->code != ERR_NOTFOUND)
			return err->code;
		printf("%s/%s: %zu annotation%s %s\n", text_at(bc, "metadata/namespace"),
		       text_at(bc, "metadata/name"), n, n == 1 ? "" : "s",
		       is_dry ? "would be taken away" : "taken away");
		(*n_cleaned)++;
	}
	return 0;
}

/* Prints which Secrets stay. They are not deleted: they hold the values that Git hosts have, and an
 * owner may use them on. */
static void print_secrets(const struct invocation *in, struct session *session)
{
	CLEANUP(session_answer_release) struct session_answer secrets = {0};
	CLEANUP(buf_release) struct buf path = BUF_INIT(1024);
	const cJSON *secret = NULL;
	struct err ignored = {0};

	buf_put_str(&path, STR("/api/v1/"));
	if (in->shared.namespace_)
		buf_printf(&path, "namespaces/%s/", in->shared.namespace_);
	buf_put_str(&path, STR("secrets?labelSelector=app.kubernetes.io%2Fmanaged-by%3Dbuildhook"));
	if (session_get(session, &secrets, &ignored, "%s", path.data) != 0) {
		(void)fputs("You may not list Secrets; those that buildhook made have the label "
			    "app.kubernetes.io/managed-by=buildhook.\n",
			    stderr);
		return;
	}
	if (cJSON_GetArraySize(json_member(secrets.doc, "items")) > 0)
		printf("Secrets that buildhook made; each goes with its BuildConfig, or by kubectl "
		       "delete:\n");
	cJSON_ArrayForEach (secret, json_member(secrets.doc, "items"))
		printf("  %s/%s\n", text_at(secret, "metadata/namespace"),
		       text_at(secret, "metadata/name"));
}

/* Finds a serve that watches only some BuildConfigs of a namespace (--selector). */
static int check_not_again(const struct invocation *in, struct session *session, struct err *err)
{
	CLEANUP(session_answer_release) struct session_answer bcs = {0};
	const cJSON *bc = NULL;

	(void)fprintf(stderr, "Waiting %d s to see whether a serve writes them again ...\n",
		      AGAIN_MS / 1000);
	session_wait(session, AGAIN_MS);
	if (list_buildconfigs(&bcs, in, session, err) != 0)
		return err->code;
	cJSON_ArrayForEach (bc, json_member(bcs.doc, "items"))
		if (count_owned(bc) > 0)
			return err_set(err, ERR_CONFLICT,
				       "they were written again, as on %.60s/%.60s: a buildhook "
				       "serve still "
				       "runs somewhere; end it, and run uninstall again",
				       text_at(bc, "metadata/namespace"),
				       text_at(bc, "metadata/name"));
	return 0;
}

static int uninstall(const struct invocation *in, struct session *session, struct err *err)
{
	const struct options *options = in->options;
	CLEANUP(session_answer_release) struct session_answer bcs = {0};
	size_t n_cleaned = 0;

	if (list_buildconfigs(&bcs, in, session, err) != 0 ||
	    (!options->dry_run &&
	     (check_pods(session, err) != 0 || check_serve(in, session, bcs.doc, err) != 0)) ||
	    clean_all(bcs.doc, session, options->dry_run, &n_cleaned, err) != 0)
		return err->code;
	if (n_cleaned == 0)
		printf("No BuildConfig has annotations of buildhook's.\n");
	print_secrets(in, session);
	(void)fflush(stdout);
	return n_cleaned > 0 && !options->dry_run ? check_not_again(in, session, err) : 0;
}

static int run(const struct invocation *in)
{
	CLEANUP(session_freep) struct session *session = NULL;
	struct err err = {0};

	if (session_open(&session, in, &err) != 0 || uninstall(in, session, &err) != 0)
		return session_fail(session, &err);
	return EXIT_OK;
}

const struct command command_uninstall = {
	.name = "uninstall",
	.args = "",
	.summary = "take buildhook's annotations off all BuildConfigs (for admins)",
	.about = "Takes off all BuildConfigs, or those of --namespace, the annotations that "
		 "buildhook itself wrote "
		 "(field manager buildhook), and lists the Secrets that it made. What the owners "
		 "set, such as "
		 "buildhook.io/refs, stays.\n\nTo be run after buildhook was removed: it refuses "
		 "while a serve "
		 "answers, which would write them again.",
	.examples = "buildhook uninstall --dry-run\nbuildhook uninstall",
	.shared = FLAGS_CLUSTER,
	.flags = flags,
	.n_flags = &n_flags,
	.options_size = sizeof(struct options),
	.run = run,
};
