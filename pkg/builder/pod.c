/*
 * The Pod of a Build: an init container that fetches the source, and one that builds and pushes,
 * both from the builder image (hack/builder-image). What they have to do is one JSON document in
 * their environment; secrets are mounted, each where it is used, and are in no document.
 */
#include "builder/pod.h"

#include "base/mem.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#define MAX_LABEL_VALUE 63
#define MAX_JOB_BYTES   (1024 * 1024)
/* Seconds to end in: short, because buildah leaves nothing behind that outlives the Pod. */
#define GRACE_S 5
#define LIBEXEC "/usr/libexec/buildhook/"

/* The capabilities that buildah needs in a user namespace of its own, found by trying; Pod Security
 * "baseline" allows them. */
static const char *const capabilities[] = {"CHOWN",  "DAC_OVERRIDE", "FOWNER",
					   "SETUID", "SETGID",       "SETFCAP"};

/* A ConfigMap of the Build's namespace: registries.conf and ca.crt, how this tenant's registries
 * are reached. */
#define REGISTRIES "buildhook-registries"

/* Environment variables whose values only the kubelet knows. */
struct indirect {
	cJSON *env; /* of the container */
	size_t n;
};

static void refuse(struct builder_refusal *out, const char *reason, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* OpenShift's texts for the reasons, which this program's own words follow. */
static const struct {
	const char *reason, *text;
} refusals[] = {
	{"InvalidOutputReference", "Output image could not be resolved. "},
	{"InvalidImageReference", "Referenced image could not be resolved. "},
	{"CannotCreateBuildPodSpec", "Failed to create pod spec. "},
	{"UnresolvableEnvironmentVariable",
	 "Unable to resolve build environment variable reference. "},
};

static void refuse(struct builder_refusal *out, const char *reason, const char *format, ...)
{
	const char *text = "";
	va_list args;
	int n;

	if (out->reason)
		return;
	out->reason = reason;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
		if (strcmp(refusals[i].reason, reason) == 0)
			text = refusals[i].text;
	n = snprintf(out->message, sizeof(out->message), "%s", text);
	va_start(args, format);
	(void)vsnprintf(out->message + n, sizeof(out->message) - (size_t)n, format, args);
	va_end(args);
}

static const cJSON *strategy_of(const struct build *build)
{
	return json_at(build->spec, strcmp(build->strategy, "Source") == 0
					    ? "strategy/sourceStrategy"
					    : "strategy/dockerStrategy");
}

/* Plain Kubernetes has no image streams: NAME:TAG of namespace NS is HOST/PREFIX/NS/NAME:TAG. False
 * where REF names no image, or an image stream and there is no registry for those. */
static bool resolve_image(struct buf *out, const cJSON *ref, const struct build *build,
			  const char *registry)
{
	const char *kind = json_str_at(ref, "kind"), *name = json_str_at(ref, "name");
	const char *namespace_ = json_str_at(ref, "namespace");

	if (!name || !*name)
		return false;
	if (!kind || strcmp(kind, "DockerImage") == 0) {
		buf_printf(out, "%s", name);
		return true;
	}
	if (!registry || strncmp(kind, "ImageStream", strlen("ImageStream")) != 0)
		return false;
	buf_printf(out, "%s/%s/%s", registry,
		   namespace_ && *namespace_ ? namespace_ : build->namespace_, name);
	if (strcmp(kind, "ImageStream") == 0)
		buf_printf(out, ":latest");
	return true;
}

static void check_image(struct builder_refusal *out, const cJSON *ref, const struct build *build,
			const struct builder_pod_options *options, const char *field,
			const char *reason)
{
	CLEANUP(buf_release) struct buf image = BUF_INIT(4096);
	const char *kind = json_str_at(ref, "kind"), *name = json_str_at(ref, "name");

	if (!ref || cJSON_IsNull(ref) ||
	    resolve_image(&image, ref, build, options->output_registry))
		return;
	if (!name || !*name)
		refuse(out, reason, "%s names no image. Set its name.", field);
	else if (strncmp(kind, "ImageStream", strlen("ImageStream")) == 0)
		refuse(out, reason,
		       "%s is %.40s %.100s, and this cluster has no image streams. Use kind "
		       "DockerImage, or have the build controller started with --output-registry.",
		       field, kind, name);
	else
		refuse(out, reason, "%s is of kind %.40s; expected DockerImage or ImageStreamTag.",
		       field, kind);
}

static void check_env(struct builder_refusal *out, const cJSON *list, const char *field)
{
	const cJSON *entry;

	cJSON_ArrayForEach (entry, list) {
		const cJSON *from = json_at(entry, "valueFrom");
		const char *name = json_str_at(entry, "name");

		if (!from || cJSON_IsNull(from) || json_at(from, "configMapKeyRef"))
			continue;
		refuse(out, "UnresolvableEnvironmentVariable",
		       "%s, variable "
		       "%.100s: "
		       "only configMapKeyRef is supported, since values end up in the image; mount "
		       "a "
		       "secret with source.secrets or the strategy's volumes.",
		       field, name ? name : "");
	}
}

static void check_volumes(struct builder_refusal *out, const cJSON *list)
{
	const cJSON *volume;

	cJSON_ArrayForEach (volume, list) {
		const cJSON *source = json_at(volume, "source");
		const char *name = json_str_at(volume, "name");

		if (!json_at(source, "secret") && !json_at(source, "configMap"))
			refuse(out, "CannotCreateBuildPodSpec",
			       "Volume %.100s of the strategy: only secret and configMap are "
			       "supported.",
			       name ? name : "");
	}
}

void builder_check(struct builder_refusal *out, const struct build *build,
		   const struct builder_pod_options *options)
{
	const cJSON *strategy = strategy_of(build);
	const cJSON *source = json_at(build->spec, "source");

	*out = (struct builder_refusal){0};
	if (strcmp(build->strategy, "Docker") != 0 && strcmp(build->strategy, "Source") != 0)
		refuse(out, "CannotCreateBuildPodSpec",
		       "Strategy %s is not supported on this cluster. Use dockerStrategy or "
		       "sourceStrategy.",
		       *build->strategy ? build->strategy : "of the Build is missing, and none");
	if (cJSON_IsObject(json_at(source, "binary")))
		refuse(out, "CannotCreateBuildPodSpec",
		       "Binary sources are not supported on this cluster. Use source.git.");
	if (cJSON_GetArraySize(json_at(source, "images")) > 0)
		refuse(out, "CannotCreateBuildPodSpec",
		       "source.images is not supported on this cluster. Use COPY --from in a "
		       "Dockerfile.");
	if (!json_str_at(source, "git/uri") && !json_str_at(source, "dockerfile"))
		refuse(out, "CannotCreateBuildPodSpec",
		       "The Build has no source. Set source.git.uri or source.dockerfile.");
	if (strcmp(build->strategy, "Source") == 0 && !json_str_at(strategy, "from/name"))
		refuse(out, "InvalidImageReference",
		       "sourceStrategy.from names no builder image. Set it.");
	check_image(out, json_at(strategy, "from"), build, options, "The strategy's from",
		    "InvalidImageReference");
	check_image(out, json_at(build->spec, "output/to"), build, options, "output.to",
		    "InvalidOutputReference");
	check_env(out, json_at(strategy, "env"), "The strategy's env");
	check_env(out, json_at(strategy, "buildArgs"), "dockerStrategy.buildArgs");
	check_volumes(out, json_at(strategy, "volumes"));
}

bool builder_output_image(struct buf *out, const struct build *build,
			  const struct builder_pod_options *options)
{
	return resolve_image(out, json_at(build->spec, "output/to"), build,
			     options->output_registry);
}

const char *builder_service_account(const struct build *build)
{
	const char *name = json_str_at(build->spec, "serviceAccount");

	return name && *name ? name : "builder";
}

/* Volumes and their mounts. */

static void put_mount(cJSON *container, const char *volume, const char *path, bool is_read_only)
{
	cJSON *mounts = cJSON_GetObjectItemCaseSensitive(container, "volumeMounts");
	cJSON *mount = json_append(mounts ? mounts : json_put_array(container, "volumeMounts"),
				   json_new_object());

	json_put_str(mount, "name", volume);
	json_put_str(mount, "mountPath", path);
	if (is_read_only)
		json_put_bool(mount, "readOnly", true);
}

static cJSON *put_volume(cJSON *pod_spec, const char *name)
{
	cJSON *volumes = cJSON_GetObjectItemCaseSensitive(pod_spec, "volumes");
	cJSON *volume = json_append(volumes ? volumes : json_put_array(pod_spec, "volumes"),
				    json_new_object());

	json_put_str(volume, "name", name);
	return volume;
}

/* Mounted as optional although the build needs it: a Pod would wait for ever for a Secret that does
 * not exist, while the container fails and names the missing one. */
static void mount_secret(cJSON *pod_spec, cJSON *container, const char *volume_name,
			 const char *secret, const char *path)
{
	cJSON *source;

	if (!secret || !*secret)
		return;
	source = json_put_object(put_volume(pod_spec, volume_name), "secret");
	json_put_str(source, "secretName", secret);
	json_put_int(source, "defaultMode", 0400);
	json_put_bool(source, "optional", true);
	put_mount(container, volume_name, path, true);
}

/* source.secrets and source.configMaps: each at INPUTS/KIND-I, and named in the job with where it
 * goes. */
static void mount_inputs(cJSON *pod_spec, cJSON *container, cJSON *job, const cJSON *list,
			 const char *kind, const char *path_of_name)
{
	cJSON *entries = json_put_array(job, kind);
	const cJSON *input;
	int i = 0;

	cJSON_ArrayForEach (input, list) {
		CLEANUP(buf_release) struct buf volume = BUF_INIT(64), path = BUF_INIT(128);
		const char *name = json_str_at(input, path_of_name);
		const char *to = json_str_at(input, "destinationDir");
		bool is_secret = strcmp(kind, "secrets") == 0;
		cJSON *entry = json_append(entries, json_new_object()), *source;

		buf_printf(&volume, "input-%s-%d", is_secret ? "secret" : "config-map", i++);
		buf_printf(&path, "/inputs/%s", volume.data);
		source = json_put_object(put_volume(pod_spec, volume.data),
					 is_secret ? "secret" : "configMap");
		json_put_str(source, is_secret ? "secretName" : "name", name);
		json_put_bool(source, "optional", true);
		put_mount(container, volume.data, path.data, true);
		json_put_str(entry, "name", name);
		json_put_str(entry, "path", path.data);
		json_put_str(entry, "to", to ? to : "");
	}
}

/* The strategy's volumes, mounted again by buildah at their paths in the build. */
static void mount_volumes(cJSON *pod_spec, cJSON *container, cJSON *job, const cJSON *list)
{
	cJSON *entries = json_put_array(job, "volumes");
	const cJSON *given, *mount;
	int i = 0;

	cJSON_ArrayForEach (given, list) {
		CLEANUP(buf_release) struct buf name = BUF_INIT(64), path = BUF_INIT(128);
		const cJSON *secret = json_at(given, "source/secret");
		const cJSON *config_map = json_at(given, "source/configMap");
		cJSON *volume;

		buf_printf(&name, "volume-%d", i++);
		buf_printf(&path, "/volumes/%s", name.data);
		volume = put_volume(pod_spec, name.data);
		json_put(volume, secret ? "secret" : "configMap",
			 json_copy(secret ? secret : config_map));
		put_mount(container, name.data, path.data, true);
		cJSON_ArrayForEach (mount, json_at(given, "mounts")) {
			cJSON *entry = json_append(entries, json_new_object());

			json_put_str(entry, "path", path.data);
			json_put_str(entry, "to", json_str_at(mount, "destinationPath"));
		}
	}
}

/* The job. */

static void put_text(cJSON *to, const char *key, const cJSON *from, const char *path)
{
	const char *text = json_str_at(from, path);

	json_put_str(to, key, text ? text : "");
}

/* [{name, value}], or [{name, variable}] where the kubelet puts the value into a variable of ours.
 */
static void put_env(cJSON *job, const char *key, const cJSON *list, struct indirect *indirect)
{
	cJSON *entries = json_put_array(job, key);
	const cJSON *given;

	cJSON_ArrayForEach (given, list) {
		cJSON *entry = json_append(entries, json_new_object());
		const cJSON *from = json_at(given, "valueFrom");
		char variable[32];
		cJSON *env;

		put_text(entry, "name", given, "name");
		if (!cJSON_IsObject(from)) {
			put_text(entry, "value", given, "value");
			continue;
		}
		(void)snprintf(variable, sizeof(variable), "BUILDHOOK_VALUE_%zu", indirect->n++);
		json_put_str(entry, "variable", variable);
		env = json_append(indirect->env, json_new_object());
		json_put_str(env, "name", variable);
		json_put(env, "valueFrom", json_copy(from));
	}
}

static void put_copy(cJSON *to, const char *key, const cJSON *from, const char *path)
{
	const cJSON *value = json_at(from, path);

	if (value && !cJSON_IsNull(value))
		json_put(to, key, json_copy(value));
}

static cJSON *new_source_job(const struct build *build)
{
	cJSON *job = json_new_object();
	const cJSON *source = json_at(build->spec, "source");

	json_put_str(job, "namespace", build->namespace_);
	put_text(job, "uri", source, "git/uri");
	put_text(job, "ref", source, "git/ref");
	put_text(job, "commit", build->spec, "revision/git/commit");
	put_text(job, "contextDir", source, "contextDir");
	put_text(job, "secret", source, "sourceSecret/name");
	put_copy(job, "dockerfile", source, "dockerfile");
	return job;
}

static cJSON *new_build_job(const struct build *build, const struct builder_pod_options *options,
			    cJSON *pod_spec, cJSON *container, struct indirect *indirect)
{
	cJSON *job = json_new_object();
	const cJSON *strategy = strategy_of(build), *source = json_at(build->spec, "source");
	CLEANUP(buf_release) struct buf from = BUF_INIT(4096), output = BUF_INIT(4096);

	json_put_str(job, "namespace", build->namespace_);
	json_put_str(job, "name", build->name);
	json_put_str(job, "strategy", build->strategy);
	put_text(job, "contextDir", source, "contextDir");
	put_copy(job, "dockerfile", source, "dockerfile");
	(void)resolve_image(&from, json_at(strategy, "from"), build, options->output_registry);
	json_put_text(job, "from", buf_str(&from));
	put_text(job, "dockerfilePath", strategy, "dockerfilePath");
	put_text(job, "scripts", strategy, "scripts");
	json_put_bool(job, "noCache", json_bool_at(strategy, "noCache", false));
	json_put_bool(job, "forcePull", json_bool_at(strategy, "forcePull", false));
	json_put_bool(job, "incremental", json_bool_at(strategy, "incremental", false));
	put_env(job, "env", json_at(strategy, "env"), indirect);
	put_env(job, "buildArgs", json_at(strategy, "buildArgs"), indirect);
	(void)builder_output_image(&output, build, options);
	json_put_text(job, "output", buf_str(&output));
	put_copy(job, "imageLabels", build->spec, "output/imageLabels");
	put_copy(job, "postCommit", build->spec, "postCommit");
	put_text(job, "pushSecret", build->spec, "output/pushSecret/name");
	put_text(job, "pullSecret", strategy, "pullSecret/name");
	mount_secret(pod_spec, container, "push-secret", json_str_at(job, "pushSecret"),
		     "/secrets/push");
	mount_secret(pod_spec, container, "pull-secret", json_str_at(job, "pullSecret"),
		     "/secrets/pull");
	mount_inputs(pod_spec, container, job, json_at(source, "secrets"), "secrets",
		     "secret/name");
	mount_inputs(pod_spec, container, job, json_at(source, "configMaps"), "configMaps",
		     "configMap/name");
	mount_volumes(pod_spec, container, job, json_at(strategy, "volumes"));
	return job;
}

static void put_variable(cJSON *env, const char *name, const char *value)
{
	cJSON *entry;

	if (!value)
		return;
	entry = json_append(env, json_new_object());
	json_put_str(entry, "name", name);
	json_put_str(entry, "value", value);
}

static void put_job(cJSON *env, cJSON *job)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_JOB_BYTES);

	json_format(&text, job);
	put_variable(env, "BUILDHOOK_JOB", text.data);
	cJSON_Delete(job);
}

/* The Pod. */

static void put_security(cJSON *container, bool has_capabilities)
{
	cJSON *security = json_put_object(container, "securityContext");
	cJSON *caps, *add;

	json_put_int(security, "runAsUser", 0);
	json_put_bool(security, "allowPrivilegeEscalation", false);
	caps = json_put_object(security, "capabilities");
	json_append(json_put_array(caps, "drop"), cJSON_CreateString("ALL"));
	if (!has_capabilities)
		return;
	add = json_put_array(caps, "add");
	for (size_t i = 0; i < ARRAY_LEN(capabilities); i++)
		json_append(add, cJSON_CreateString(capabilities[i]));
}

static cJSON *add_container(cJSON *list, const char *name, const struct build *build,
			    const struct builder_pod_options *options, bool has_capabilities)
{
	cJSON *container = json_append(list, json_new_object());
	const cJSON *own = json_at(build->spec, "resources");
	const cJSON *resources = cJSON_GetArraySize(own) > 0 ? own : options->resources;
	CLEANUP(buf_release) struct buf command = BUF_INIT(128);

	buf_printf(&command, LIBEXEC "%s", name);
	json_put_str(container, "name", name);
	json_put_str(container, "image", options->builder_image);
	json_put_str(container, "imagePullPolicy", "IfNotPresent");
	json_append(json_put_array(container, "command"), cJSON_CreateString(command.data));
	json_put_str(container, "terminationMessagePolicy", "FallbackToLogsOnError");
	put_security(container, has_capabilities);
	if (resources)
		json_put(container, "resources", json_copy(resources));
	put_mount(container, "work", "/work", false);
	return container;
}

static void put_profile(cJSON *security, const char *key, const char *profile)
{
	const struct str prefix = STR("localhost/");
	struct str file = str_without_prefix(str_of(profile), prefix);
	cJSON *object;

	if (!profile || !*profile)
		return;
	object = json_put_object(security, key);
	if (file.n == strlen(profile)) {
		json_put_str(object, "type", profile);
		return;
	}
	json_put_str(object, "type", "Localhost");
	json_put_text(object, "localhostProfile", file);
}

/* A label's value has at most 63 characters and ends with a letter or digit. */
static void put_name_label(cJSON *labels, const char *key, const char *name)
{
	struct str value = {name, strnlen(name, MAX_LABEL_VALUE)};

	while (value.n > 0 && !isalnum((unsigned char)value.p[value.n - 1]))
		value.n--;
	json_put_text(labels, key, value);
}

static void put_metadata(cJSON *pod, const struct build *build)
{
	cJSON *metadata = json_put_object(pod, "metadata");
	char name[BUILDER_NAME_BYTES];
	cJSON *owner;

	build_pod_name(name, build->name);
	json_put_str(metadata, "name", name);
	json_put_str(metadata, "namespace", build->namespace_);
	put_name_label(json_put_object(metadata, "labels"), "openshift.io/build.name", build->name);
	json_put_str(json_put_object(metadata, "annotations"), "openshift.io/build.name",
		     build->name);
	owner = json_append(json_put_array(metadata, "ownerReferences"), json_new_object());
	json_put_str(owner, "apiVersion", "build.openshift.io/v1");
	json_put_str(owner, "kind", "Build");
	json_put_str(owner, "name", build->name);
	json_put_str(owner, "uid", build->uid);
	json_put_bool(owner, "controller", true);
}

static void put_fetch(cJSON *spec, const struct build *build,
		      const struct builder_pod_options *options)
{
	cJSON *container = add_container(json_put_array(spec, "initContainers"), "fetch", build,
					 options, false);
	const cJSON *git = json_at(build->spec, "source/git");
	cJSON *env = json_put_array(container, "env");

	put_job(env, new_source_job(build));
	put_variable(env, "http_proxy", json_str_at(git, "httpProxy"));
	put_variable(env, "https_proxy", json_str_at(git, "httpsProxy"));
	put_variable(env, "no_proxy", json_str_at(git, "noProxy"));
	mount_secret(spec, container, "source-secret",
		     json_str_at(build->spec, "source/sourceSecret/name"), "/secrets/source");
}

static void put_build(cJSON *spec, const struct build *build,
		      const struct builder_pod_options *options)
{
	cJSON *container =
		add_container(json_put_array(spec, "containers"), "build", build, options, true);
	cJSON *env = json_put_array(container, "env"), *registries;
	struct indirect indirect = {.env = env};

	put_mount(container, "store", "/var/lib/containers", false);
	registries = json_put_object(put_volume(spec, "registries"), "configMap");
	json_put_str(registries, "name", REGISTRIES);
	json_put_bool(registries, "optional", true);
	put_mount(container, "registries", "/registries", true);
	put_job(env, new_build_job(build, options, spec, container, &indirect));
}

cJSON *builder_pod(const struct build *build, const struct builder_pod_options *options,
		   const char *service_account)
{
	cJSON *pod = json_new_object(), *spec, *security;

	json_put_str(pod, "apiVersion", "v1");
	json_put_str(pod, "kind", "Pod");
	put_metadata(pod, build);
	spec = json_put_object(pod, "spec");
	json_put_str(spec, "restartPolicy", "Never");
	json_put_str(spec, "serviceAccountName",
		     service_account ? service_account : builder_service_account(build));
	json_put_bool(spec, "automountServiceAccountToken", false);
	json_put_bool(spec, "enableServiceLinks", false);
	json_put_int(spec, "terminationGracePeriodSeconds", GRACE_S);
	if (!options->host_users)
		json_put_bool(spec, "hostUsers", false);
	put_copy(spec, "nodeSelector", build->spec, "nodeSelector");
	if (build->deadline_s > 0)
		json_put_int(spec, "activeDeadlineSeconds", build->deadline_s);
	security = json_put_object(spec, "securityContext");
	put_profile(security, "seccompProfile", options->seccomp_profile);
	put_profile(security, "appArmorProfile", options->apparmor_profile);
	json_put_object(put_volume(spec, "work"), "emptyDir");
	json_put_object(put_volume(spec, "store"), "emptyDir");
	put_fetch(spec, build, options);
	put_build(spec, build, options);
	return pod;
}
