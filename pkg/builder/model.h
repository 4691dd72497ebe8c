/*
 * Builds, their Pods and BuildConfigs as the build controller sees them: compact, immutable forms
 * of the API server's documents, for the stores. Pure.
 */
#pragma once

#include "doc/json.h"

#define BUILDER_NAME_BYTES 256

/* In the order in which a Build goes through them; the last four are ends. */
enum build_phase {
	BUILD_NEW,
	BUILD_PENDING,
	BUILD_RUNNING,
	BUILD_COMPLETE,
	BUILD_FAILED,
	BUILD_ERROR,
	BUILD_CANCELLED,
	BUILD_PHASES,
};

enum run_policy { RUN_SERIAL, RUN_SERIAL_LATEST_ONLY, RUN_PARALLEL };

struct build {
	char *namespace_, *name, *uid, *version;
	char *config;   /* the BuildConfig's name; "" for a Build of none */
	int64_t number; /* annotation openshift.io/build.number; 0 without one */
	enum build_phase phase;
	char *reason, *message; /* of the status, "" without */
	char *strategy;         /* "Docker", ...; "" where the Build has none */
	char *pod_name;         /* annotation openshift.io/build.pod-name; "" without */
	enum run_policy policy;
	bool is_cancel_wanted; /* status.cancelled */
	bool is_deleting;
	bool has_revision;
	int64_t created_ms, started_ms, ended_ms; /* wall clock, 0 without */
	int64_t deadline_s;                       /* completionDeadlineSeconds, 0 without */
	cJSON *spec;                              /* NULL once the Build has ended */
	cJSON *conditions;                        /* of the status, or NULL */
};

enum pod_phase { POD_PENDING, POD_RUNNING, POD_SUCCEEDED, POD_FAILED, POD_UNKNOWN };

/* What a container of the Pod wrote into its termination message (hack/builder-image). */
struct pod_report {
	char *reason, *message; /* of a failure, "" without */
	char *digest;           /* of the pushed image, "" without */
	cJSON *git;             /* a SourceRevision's git, or NULL */
	cJSON *stages;          /* [[stage, step, start in ms, duration in ms]], or NULL */
	char *log_tail;         /* the last lines of its log, "" without */
};

struct pod {
	char *namespace_, *name, *uid, *version;
	char *owner_uid; /* of the Build that controls it, "" without */
	char *build;     /* the Build's name */
	enum pod_phase phase;
	char *reason, *message; /* of the status, "" without */
	char *trouble; /* why it does not start: a waiting container, the scheduler; "" without */
	char *disruption;    /* why it is taken away: drained, preempted, node gone; "" without */
	bool has_no_sandbox; /* the node has not set its namespaces and network up */
	bool is_deleting;
	bool has_begun; /* its first container runs or has run */
	bool is_out_of_memory;
	bool has_containers; /* statuses of them */
	bool has_failed_container;
	int64_t started_ms; /* wall clock, 0 without */
	struct pod_report fetch, build_report;
};

/* A BuildConfig. */
struct build_config {
	int64_t successful, failed; /* history limits, -1: none */
	bool has_config_change;     /* a trigger of type ConfigChange */
	/* The trigger is there, status.lastVersion is 0, and the BuildConfig is not paused
	 * or being deleted. */
	bool wants_first_build;
};

extern const char *const build_phase_names[BUILD_PHASES];
static inline bool build_phase_is_end(enum build_phase phase)
{
	return phase >= BUILD_COMPLETE;
}

/* Never NULL; what is missing is empty. */
struct build *build_parse(const cJSON *doc);
void build_free(struct build *build);
struct pod *pod_parse(const cJSON *doc);
void pod_free(struct pod *pod);
struct build_config *build_config_parse(const cJSON *doc);

/* "NAME-build", shortened with a hash as OpenShift does where it would be over 253 characters. */
void build_pod_name(char *out, const char *build_name);
