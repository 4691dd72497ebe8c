/*
 * The documents that start a build: the Build itself, as OpenShift's generator would make it
 * (backend kubernetes), or the BuildRequest for buildconfigs/instantiate (backend openshift). Pure.
 */
#pragma once

#include "doc/json.h"
#include "journal/journal.h"

#define BUILD_DELIVERY_LABEL         "buildhook.io/delivery"
#define BUILD_REF_ANNOTATION         "buildhook.io/ref"
#define BUILD_ACCEPTED_ANNOTATION    "buildhook.io/accepted"
#define BUILD_REDELIVERED_ANNOTATION "buildhook.io/redelivered"
#define BUILD_DELIVERY_LABEL_CHARS   32
#define BUILD_NAME_BYTES             254

/* The value of the label buildhook.io/delivery: two rows with the same value ask for the same
 * Build. OUT has BUILD_DELIVERY_LABEL_CHARS + 1 bytes. */
void build_delivery_label(char *out, const struct journal_change *change);
/*
 * NAME-N; over 253 characters NAME is cut and its FNV-1a hash put between, as library-go's
 * naming.GetName does. OUT has BUILD_NAME_BYTES.
 */
void build_name(char *out, const char *name, int64_t number);
/* The longest prefix of NAME that is a label value (63 characters, ends alphanumeric). OUT has 64
 * bytes. */
void build_label_value(char *out, const char *name);

/* The change of a build that a person asks for. The texts are lent; COMMIT may be NULL. */
struct journal_change build_change_by_hand(const char *uid, const char *namespace_,
					   const char *name, const char *commit);

/* The Build with number NUMBER. BC is the API server's whole BuildConfig. */
cJSON *build_body(const cJSON *bc, const struct journal_change *change, int64_t number,
		  int64_t wall_ms);
/* The BuildRequest. LAST_VERSION is sent as compare-and-set; -1: without. */
cJSON *build_request_body(const struct journal_change *change, int64_t last_version);
