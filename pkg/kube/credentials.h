/*
 * What proves who we are and whom we trust, as it is just now: of the configuration, or of the
 * files that it names, read again when a minute has passed or somebody has reason to believe that
 * they changed. A bad new file never replaces what was good.
 */
#pragma once

#include "kube/config.h"

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
/* Rises with each change: who failed with another number may try once more. */
uint64_t credentials_generation(const struct credentials *credentials);

/* PEM; empty without one. Lent until the next poll or refresh. */
struct str credentials_ca(const struct credentials *credentials);
struct str credentials_cert(const struct credentials *credentials);
struct str credentials_key(const struct credentials *credentials);
/* Appends "Authorization: ..." to OUT, or nothing. OUT is to be wiped. */
void credentials_put_header(const struct credentials *credentials, struct buf *out);
