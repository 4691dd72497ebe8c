/* Where the API server is and the client's credentials: from a kubeconfig file or from a Pod's
 * mounted files. Everything is checked here, so that a wrong file gives one clear line at start. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "http_client/http_client.h"

struct kube_config {
	char *server;          /* "https://host:port[/prefix]" */
	char *namespace_;      /* the context's, or the Pod's; "default" if neither says */
	char *tls_server_name; /* NULL: the server's host */
	bool insecure;         /* insecure-skip-tls-verify */
	char *proxy_url;       /* NULL: the environment's HTTPS_PROXY and NO_PROXY */
	/* PEM from the file's *-data members; NULL where a file is named or nothing is given. */
	struct buf ca_pem, cert_pem, key_pem;
	/*
	 * Paths, made absolute against the kubeconfig's folder; NULL where data is given. Read
	 * again when they change.
	 */
	char *ca_file, *cert_file, *key_file;
	char *token;      /* inline; wiped at release */
	char *token_file; /* read again every minute, and at once after a 401; wins over token */
	char *username, *password;
	/*
	 * An exec credential plug-in: the command with its arguments, and what is added to its
	 * environment
	 * ("NAME=VALUE"), each NULL-terminated; or NULL. Set only where it is allowed.
	 */
	char **exec_argv;
	char **exec_env;
	char *source; /* for messages: "/root/.kube/config, context dev" or "in-cluster" */
};

struct kube_config_options {
	const char *kubeconfig; /* --kubeconfig, or NULL */
	const char *context;    /* --context, or NULL: current-context */
	bool allow_exec;
};

/*
 * --kubeconfig; else in-cluster where KUBERNETES_SERVICE_HOST is set, the token file exists and no
 * context is asked for; else $KUBECONFIG (a list of files, merged as kubectl does: the first to set
 * a value wins); else ~/.kube/config. ERR_INVALID or ERR_NOTFOUND with one line that says what to
 * change.
 */
int kube_config_load(struct kube_config **out, const struct kube_config_options *options,
		     struct err *err);
/*
 * Runs the exec plug-in and waits for it; its token or client certificate enters CONFIG. Nothing to
 * do without one. For commands of people, before a client is made: it blocks, and the plug-in may
 * ask on the terminal.
 */
int kube_config_run_exec(struct kube_config *config, struct err *err);
/* How to reach CONFIG's server, without an identity. Borrows CONFIG's texts. */
struct http_client_options kube_config_http_options(const struct kube_config *config);
void kube_config_free(struct kube_config *config);
/* For CLEANUP. */
void kube_config_freep(struct kube_config **config);
