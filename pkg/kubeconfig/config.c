/* Finds the configuration: --kubeconfig, the Pod's files, $KUBECONFIG, ~/.kube/config. */
#include "kubeconfig/config.h"

#include "base/mem.h"
#include "kubeconfig/credentials.h"
#include "kubeconfig/file.h"
#include "kubeconfig/kubeconfig.h"

#include <stdlib.h>
#include <unistd.h>

#define POD_FOLDER     "/var/run/secrets/kubernetes.io/serviceaccount"
#define POD_TOKEN      POD_FOLDER "/token"
#define POD_CA         POD_FOLDER "/ca.crt"
#define POD_NAMESPACE  POD_FOLDER "/namespace"
#define MAX_NAME_BYTES 256

static void free_list(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		mem_wipe_str(&list[i]);
	mem_free(&list);
}

void kube_config_free(struct kube_config *config)
{
	if (!config)
		return;
	mem_free(&config->server);
	mem_free(&config->namespace_);
	mem_free(&config->tls_server_name);
	mem_wipe_str(&config->proxy_url);
	buf_wipe(&config->ca_pem);
	buf_wipe(&config->cert_pem);
	buf_wipe(&config->key_pem);
	mem_free(&config->ca_file);
	mem_free(&config->cert_file);
	mem_free(&config->key_file);
	mem_wipe_str(&config->token);
	mem_free(&config->token_file);
	mem_free(&config->username);
	mem_wipe_str(&config->password);
	free_list(config->exec_argv);
	free_list(config->exec_env);
	mem_free(&config->source);
	mem_free(&config);
}

void kube_config_freep(struct kube_config **config)
{
	kube_config_free(*config);
	*config = NULL;
}

static const char *env_of(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static bool is_in_cluster(void)
{
	return env_of("KUBERNETES_SERVICE_HOST") && access(POD_TOKEN, F_OK) == 0;
}

static char *pod_namespace(void)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_NAME_BYTES);
	struct str name = {0};
	struct str rest;

	if (file_read(&text, POD_NAMESPACE, NULL) < 0)
		return mem_strdup("default");
	rest = buf_str(&text);
	(void)str_next_part(&rest, '\n', &name);
	name = str_trim(name);
	return str_empty(name) ? mem_strdup("default") : str_dup(name);
}

static void use_pod(struct kube_config *out)
{
	CLEANUP(buf_release) struct buf server = BUF_INIT(1024);
	const char *host = env_of("KUBERNETES_SERVICE_HOST");
	const char *port = env_of("KUBERNETES_SERVICE_PORT");
	bool is_v6 = host && strchr(host, ':') != NULL;

	buf_printf(&server, is_v6 ? "https://[%s]:%s" : "https://%s:%s", host ? host : "",
		   port ? port : "443");
	out->server = buf_take(&server);
	out->ca_file = mem_strdup(POD_CA);
	out->token_file = mem_strdup(POD_TOKEN);
	out->namespace_ = pod_namespace();
	out->source = mem_strdup("in-cluster");
}

static int use_home(struct kube_config *out, const struct kube_config_options *options,
		    struct err *err)
{
	CLEANUP(buf_release) struct buf path = BUF_INIT(4096);
	const char *home = env_of("HOME");
	int rc = 0;

	buf_printf(&path, "%s/.kube/config", home ? home : "/root");
	rc = kubeconfig_read(out, path.data, false, options, err);
	if (rc == ERR_NOTFOUND)
		err_set(err, ERR_NOTFOUND,
			"no API server to talk to: not in a Pod, $KUBECONFIG is not set and %s "
			"does not "
			"exist; name a file with --kubeconfig",
			path.data);
	return rc;
}

static int read_source(struct kube_config *out, const struct kube_config_options *options,
		       struct err *err)
{
	const char *paths = env_of("KUBECONFIG");

	if (options->kubeconfig)
		return kubeconfig_read(out, options->kubeconfig, false, options, err);
	if (is_in_cluster() && !options->context) {
		use_pod(out);
		return 0;
	}
	return paths ? kubeconfig_read(out, paths, true, options, err)
		     : use_home(out, options, err);
}

struct http_client_options kube_config_http_options(const struct kube_config *config)
{
	return (struct http_client_options){
		.what = "the API server",
		.url = config->server,
		.server_name = config->tls_server_name,
		.proxy_url = config->proxy_url,
		.is_insecure = config->insecure,
	};
}

/* Reports unusable files and addresses at start, not at the first request. */
static int check(const struct kube_config *config, struct err *err)
{
	CLEANUP(credentials_freep) struct credentials *credentials = NULL;
	struct http_client_options options = kube_config_http_options(config);

	if (http_client_check_url(&options, err) < 0 ||
	    credentials_new(&credentials, config, 0, err) < 0)
		return err_wrap(err, "%s", config->source);
	return 0;
}

int kube_config_load(struct kube_config **out, const struct kube_config_options *options,
		     struct err *err)
{
	CLEANUP(kube_config_freep) struct kube_config *config = mem_new(1, sizeof(*config));
	int rc = read_source(config, options, err);

	if (rc == 0)
		rc = check(config, err);
	if (rc < 0)
		return rc;
	*out = TAKE(config);
	return 0;
}
