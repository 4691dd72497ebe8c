/* What an answer of the API server, or of something that stands in front of it, means. Pure:
 * independent of the transport. */
#pragma once

#include "kube/client.h"

/*
 * Fills OUT. DOC is the parsed body, or NULL. WANTS_DOC: a 2xx has to be a JSON document, or it did
 * not come from the API server. NOW_MS (wall clock) is what a date in Retry-After is compared with.
 */
void answer_read(struct kube_response *out, const struct http_client_answer *answer,
		 const cJSON *doc, bool wants_doc, int64_t now_ms);
