/*
 * The client's identity (token, client certificate, CA) from the configuration or from the files
 * that it names. The files are read again after a minute, and when a request was refused. A file
 * that cannot be used never replaces what worked.
 */
#pragma once

#include "http_client/http_client.h"
#include "kubeconfig/config.h"

struct credentials;

/* Reads everything once: ERR_INVALID or ERR_NOTFOUND names the file. CONFIG is borrowed. NOW_MS is
 * monotonic. */
int credentials_new(struct credentials **out, const struct kube_config *config, int64_t now_ms,
		    struct err *err);
void credentials_free(struct credentials *credentials);
/* For CLEANUP. */
void credentials_freep(struct credentials **credentials);

/* Reads the files again if the last time was a minute ago; NOW_MS is monotonic. */
void credentials_poll(struct credentials *credentials, int64_t now_ms);
/* Reads them again at once. */
void credentials_refresh(struct credentials *credentials, int64_t now_ms);
/* As of the last reading; lent until the next poll or refresh. */
const struct http_client_identity *credentials_identity(const struct credentials *credentials);
