/*
 * Reads kubeconfig files: several are merged as kubectl does, and one context of them becomes a
 * configuration.
 */
#include "kubeconfig/kubeconfig.h"

#include "base/mem.h"
#include "crypto/crypto.h"
#include "doc/json.h"
#include "doc/yaml.h"
#include "kubeconfig/exec.h"
#include "kubeconfig/file.h"

#include <assert.h>

#define MAX_FILES     16
#define MAX_PEM_BYTES ((size_t)1024 * 1024)

struct kubeconfig_file {
	char *path;
	char *folder;
	cJSON *doc;
};

struct files {
	struct kubeconfig_file list[MAX_FILES];
	size_t n;
};

/* A cluster, user or context, and the file that it is in. */
struct entry {
	const cJSON *object;
	const struct kubeconfig_file *file;
};

static void release_files(struct files *files)
{
	for (size_t i = 0; i < files->n; i++) {
		mem_free(&files->list[i].path);
		mem_free(&files->list[i].folder);
		json_freep(&files->list[i].doc);
	}
}

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return mem_strdup(".");
	return slash == path ? mem_strdup("/") : mem_strndup(path, (size_t)(slash - path));
}

static int read_one(struct files *files, struct str path, struct err *err)
{
	CLEANUP(buf_wipe) struct buf text = BUF_INIT(yaml_limits_file.max_bytes);
	CLEANUP(mem_free) char *name = str_dup(path);
	CLEANUP(json_freep) cJSON *doc = NULL;
	struct kubeconfig_file *file = &files->list[files->n];
	int rc = file_read(&text, name, err);

	if (rc < 0)
		return err_wrap(err, "kubeconfig");
	if (yaml_parse(&doc, buf_str(&text), &yaml_limits_file, err) < 0)
		return err_wrap(err, "kubeconfig %s", name);
	if (!cJSON_IsObject(doc))
		return err_set(
			err, ERR_INVALID,
			"kubeconfig %s: empty or no mapping; expected apiVersion: v1, kind: Config",
			name);
	file->folder = folder_of(name);
	file->path = TAKE(name);
	file->doc = TAKE(doc);
	files->n++;
	return 0;
}

static int read_files(struct files *files, const char *path, bool is_list, struct err *err)
{
	struct str rest = str_of(path);
	struct str part;

	while (str_next_part(&rest, is_list ? ':' : '\0', &part)) {
		struct err why = {0};

		if (str_empty(part))
			continue;
		if (files->n == MAX_FILES)
			return err_set(err, ERR_LIMIT, "more than %d kubeconfig files", MAX_FILES);
		if (read_one(files, part, &why) < 0 && why.code != ERR_NOTFOUND)
			return err_set(err, why.code, "%s", why.msg);
	}
	if (files->n == 0)
		return err_set(err, ERR_NOTFOUND, "kubeconfig %s: no such file or directory", path);
	return 0;
}

/* LIST is "clusters", "users" or "contexts": [{name: x, cluster: {...}}, ...]. */
static bool find_entry(const struct files *files, const char *list, const char *member,
		       const char *name, struct entry *out)
{
	for (size_t i = 0; i < files->n; i++) {
		const cJSON *item = json_find(json_member(files->list[i].doc, list), "name", name);

		if (!item)
			continue;
		*out = (struct entry){json_member(item, member), &files->list[i]};
		return true;
	}
	return false;
}

static void put_names(struct buf *out, const struct files *files, const char *list)
{
	size_t n_before = out->len;

	for (size_t i = 0; i < files->n; i++) {
		const cJSON *item = NULL;

		cJSON_ArrayForEach (item, json_member(files->list[i].doc, list)) {
			const char *name = json_str_at(item, "name");

			if (name && out->len > n_before)
				buf_put_str(out, STR(", "));
			if (name)
				buf_put_clean(out, str_of(name), 64);
		}
	}
	if (out->len == n_before)
		buf_put_str(out, STR("(none)"));
}

/* Puts "kubeconfig FILE: KIND "NAME"" before the message. */
static int wrap_entry(const struct entry *entry, const char *kind, const char *name,
		      struct err *err)
{
	CLEANUP(buf_release) struct buf shown = BUF_INIT(256);

	buf_put_clean(&shown, str_of(name), 64);
	return err_wrap(err, "kubeconfig %s: %s \"%s\"", entry->file->path, kind, buf_text(&shown));
}

static int fail_missing(const struct files *files, const char *list, const char *kind,
			const char *name, struct err *err)
{
	CLEANUP(buf_release) struct buf shown = BUF_INIT(256);
	CLEANUP(buf_release) struct buf names = BUF_INIT(4096);

	buf_put_clean(&shown, str_of(name), 64);
	put_names(&names, files, list);
	return err_set(err, ERR_INVALID, "kubeconfig %s: %s \"%s\" does not exist; %s are: %s",
		       files->list[0].path, kind, buf_text(&shown), list, names.data);
}

/* Reads a text into OUT: NULL if it is absent, null or empty. */
static int read_text(char **out, const struct entry *entry, const char *key, struct err *err)
{
	const cJSON *value = json_member(entry->object, key);

	if (!value || cJSON_IsNull(value))
		return 0;
	if (!cJSON_IsString(value))
		return err_set(err, ERR_INVALID, "%s has to be a string", key);
	if (*value->valuestring)
		*out = mem_strdup(value->valuestring);
	return 0;
}

static int read_path(char **out, const struct entry *entry, const char *key, struct err *err)
{
	CLEANUP(mem_free) char *text = NULL;
	CLEANUP(buf_release) struct buf path = BUF_INIT(8192);

	if (read_text(&text, entry, key, err) < 0)
		return err->code;
	if (!text || text[0] == '/') {
		*out = TAKE(text);
		return 0;
	}
	buf_printf(&path, "%s/%s", entry->file->folder, text);
	*out = buf_take(&path);
	return 0;
}

static int read_data(struct buf *out, const struct entry *entry, const char *key, struct err *err)
{
	CLEANUP(mem_wipe_str) char *text = NULL;
	size_t n = 0;

	out->limit = MAX_PEM_BYTES;
	if (read_text(&text, entry, key, err) < 0)
		return err->code;
	if (!text)
		return 0;
	out->cap = strlen(text) + 1;
	out->data = mem_new(1, out->cap);
	if (!crypto_unbase64((unsigned char *)out->data, out->cap - 1, &n, str_of(text)))
		return err_set(err, ERR_INVALID, "%s is not base64", key);
	out->len = n;
	return 0;
}

/* Data wins over a file of the same kind. */
static int read_data_or_path(struct buf *data, char **path, const struct entry *entry,
			     const char *data_key, const char *path_key, struct err *err)
{
	if (read_data(data, entry, data_key, err) < 0)
		return err->code;
	return data->len > 0 ? 0 : read_path(path, entry, path_key, err);
}

static int read_cluster(struct kube_config *out, const struct entry *cluster, struct err *err)
{
	const cJSON *insecure = json_member(cluster->object, "insecure-skip-tls-verify");

	if (read_text(&out->server, cluster, "server", err) < 0 ||
	    read_text(&out->tls_server_name, cluster, "tls-server-name", err) < 0 ||
	    read_text(&out->proxy_url, cluster, "proxy-url", err) < 0 ||
	    read_data_or_path(&out->ca_pem, &out->ca_file, cluster, "certificate-authority-data",
			      "certificate-authority", err) < 0)
		return err->code;
	if (!out->server)
		return err_set(err, ERR_INVALID, "server is missing");
	if (insecure && !cJSON_IsNull(insecure) && !cJSON_IsBool(insecure))
		return err_set(err, ERR_INVALID,
			       "insecure-skip-tls-verify has to be true or false");
	out->insecure = cJSON_IsTrue(insecure);
	if (out->insecure && (out->ca_file || out->ca_pem.len > 0))
		return err_set(
			err, ERR_INVALID,
			"certificate-authority and insecure-skip-tls-verify exclude each other");
	return 0;
}

static int refuse_unsupported(const struct entry *user, struct err *err)
{
	static const char *const keys[] = {"auth-provider", "as", "as-uid", "as-groups",
					   "as-user-extra"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const cJSON *value = json_member(user->object, keys[i]);

		if (value && !cJSON_IsNull(value))
			return err_set(err, ERR_INVALID,
				       "%s is not supported; use a token or a client certificate",
				       keys[i]);
	}
	return 0;
}

static int read_user(struct kube_config *out, const struct entry *user, bool allow_exec,
		     struct err *err)
{
	const cJSON *exec = json_member(user->object, "exec");

	if (refuse_unsupported(user, err) < 0 || read_text(&out->token, user, "token", err) < 0 ||
	    read_path(&out->token_file, user, "tokenFile", err) < 0 ||
	    read_text(&out->username, user, "username", err) < 0 ||
	    read_text(&out->password, user, "password", err) < 0 ||
	    read_data_or_path(&out->cert_pem, &out->cert_file, user, "client-certificate-data",
			      "client-certificate", err) < 0 ||
	    read_data_or_path(&out->key_pem, &out->key_file, user, "client-key-data", "client-key",
			      err) < 0)
		return err->code;
	if ((out->cert_file || out->cert_pem.len > 0) != (out->key_file || out->key_pem.len > 0))
		return err_set(err, ERR_INVALID,
			       "client-certificate and client-key are needed together");
	if (!exec || cJSON_IsNull(exec))
		return 0;
	if (!allow_exec)
		return err_set(err, ERR_INVALID,
			       "exec credential plugins are not supported by serve; use a service "
			       "account's token (token, tokenFile) or a client certificate");
	return exec_parse(out, exec, user->file->folder, err);
}

static int find_context(struct entry *out, char **out_name, const struct files *files,
			const char *wanted, struct err *err)
{
	CLEANUP(buf_release) struct buf names = BUF_INIT(4096);
	const char *name = wanted;

	for (size_t i = 0; i < files->n && (!name || !*name); i++)
		name = json_str_at(files->list[i].doc, "current-context");
	if (!name || !*name) {
		put_names(&names, files, "contexts");
		return err_set(err, ERR_INVALID,
			       "kubeconfig %s: no current-context; choose one with --context: %s",
			       files->list[0].path, names.data);
	}
	if (!find_entry(files, "contexts", "context", name, out))
		return fail_missing(files, "contexts", "context", name, err);
	*out_name = mem_strdup(name);
	return 0;
}

static int read_context(struct kube_config *out, const struct files *files,
			const struct entry *context, bool allow_exec, struct err *err)
{
	CLEANUP(mem_free) char *cluster_name = NULL;
	CLEANUP(mem_free) char *user_name = NULL;
	struct entry cluster = {0};
	struct entry user = {0};

	if (read_text(&cluster_name, context, "cluster", err) < 0 ||
	    read_text(&user_name, context, "user", err) < 0 ||
	    read_text(&out->namespace_, context, "namespace", err) < 0)
		return err_wrap(err, "kubeconfig %s", context->file->path);
	if (!out->namespace_)
		out->namespace_ = mem_strdup("default");
	if (!cluster_name || !find_entry(files, "clusters", "cluster", cluster_name, &cluster))
		return fail_missing(files, "clusters", "cluster", cluster_name ? cluster_name : "",
				    err);
	if (read_cluster(out, &cluster, err) < 0)
		return wrap_entry(&cluster, "cluster", cluster_name, err);
	if (!user_name)
		return 0;
	if (!find_entry(files, "users", "user", user_name, &user))
		return fail_missing(files, "users", "user", user_name, err);
	if (read_user(out, &user, allow_exec, err) < 0)
		return wrap_entry(&user, "user", user_name, err);
	return 0;
}

int kubeconfig_read(struct kube_config *out, const char *path, bool is_list,
		    const struct kube_config_options *options, struct err *err)
{
	CLEANUP(release_files) struct files files = {0};
	CLEANUP(buf_release) struct buf source = BUF_INIT(8192);
	CLEANUP(mem_free) char *name = NULL;
	struct entry context = {0};
	int rc = read_files(&files, path, is_list, err);

	if (rc == 0)
		rc = find_context(&context, &name, &files, options->context, err);
	if (rc < 0)
		return rc;
	assert(context.file);
	rc = read_context(out, &files, &context, options->allow_exec, err);
	if (rc < 0)
		return rc;
	buf_printf(&source, "%s, context ", context.file->path);
	buf_put_clean(&source, str_of(name), 64);
	out->source = buf_take(&source);
	return 0;
}
