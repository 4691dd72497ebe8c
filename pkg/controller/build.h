/*
 * Starting a build, exactly once: what both backends share. A start begins with the journal's row,
 * ends with the row's new state committed, and between them everything that can be asked of the API
 * server is asked, not remembered.
 */
#pragma once

#include "controller/build_body.h"
#include "controller/internal.h"

struct start {
	struct work work;              /* first */
	struct journal_change *change; /* a copy of the row */
	char label[BUILD_DELIVERY_LABEL_CHARS + 1];
	cJSON *bc;       /* the BuildConfig as the API server has it */
	int64_t version; /* its status.lastVersion */
	int64_t number;  /* of the Build that is being made */
	int64_t look_at; /* the number of an earlier Build that is being looked at */
	bool is_settled; /* what has a lower number than look_at cannot be still to come */
	char build[BUILD_NAME_BYTES]; /* ours, once it is known */
	bool is_repeat;  /* openshift: there was a request before, of unknown outcome */
	unsigned n_open; /* requests and commits that the end waits for */
	int64_t again_ms;
	enum reconcile_result result;
};

/* How a backend goes on once the BuildConfig has been read and no Build of this change was found.
 */
struct build_backend {
	void (*post)(struct start *s);
	/* The number of the last Build must be raised by us. */
	bool raises_version;
	/* The number is raised some time before the Build is there. */
	bool has_gap;
};

extern const struct build_backend build_kubernetes, build_openshift;

/* openshift-apiserver ends a request after 60 s. */
#define START_SETTLED_MS 65000

const struct build_backend *start_backend(const struct start *s);

/* GET and LIST are consistent reads (no resourceVersion): what was written before is seen. */
void start_read_buildconfig(struct start *s);
/* Goes to FN with the Build of that number. */
void start_get_build(struct start *s, int64_t number, kube_response_fn fn);
/* The Build carries our label. */
bool start_is_own(const struct start *s, const cJSON *build);

/*
 * build_order.c: no older push of a ref is built after a newer one that another replica started.
 * Goes on with the backend's post when no Build says so.
 */
void start_look_back(struct start *s);
/* For a new Build: after lastVersion, which may be behind, and after the Builds that were found. */
int64_t start_next_number(const struct start *s);
/* Another's Build has number s->number (NULL: had). True when it ends this start: superseded. */
bool start_is_overtaken(struct start *s, const cJSON *build);
/* Our Build has number s->number. */
void start_note_own(struct start *s);

/* Ends. BUILD is the document, TEXT its bytes as they came (empty: none to show). */
void start_succeed(struct start *s, const cJSON *build, struct str text);
void start_fail(struct start *s, enum journal_state state, enum outcome reason,
		const char *message);
/* Tries again later: at most as often as the back-off says, until --give-up where the answer was a
 * 5xx. */
void start_retry(struct start *s, const struct kube_response *response, const char *what);
/* From the beginning: what was known was wrong. */
void start_again(struct start *s, int64_t wait_ms);
/* Writes the row; the start ends after that. */
void start_commit(struct start *s, const struct journal_update *update);
/* Retry or fail, as the answer says. WHAT: "create Build cart-7". */
void start_refused(struct start *s, const struct kube_response *response, const char *what);
