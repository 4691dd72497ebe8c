/*
 * The build controller's decision: of all Builds of one BuildConfig and their Pods, what is the
 * single next thing to do? Level-based and pure; the sentences quoted in plan.c are the rules.
 */
#pragma once

#include "builder/model.h"

struct seen_build {
	const struct build *build;
	const struct pod *pod; /* the Pod that has the name of this Build's Pod, or NULL */
	const char *refusal;   /* why it can never run (CannotCreateBuildPodSpec, ...), or NULL */
	const char *refusal_message;
	/* The Pod was refused, by the API server or by us: status.reason to show. NULL: it was not.
	 */
	const char *trouble;
	const char *trouble_message;
	int64_t retry_ms; /* time until the Pod is tried again; not positive: now */
	/* The API server has said that there is a Pod, and the watch has not shown it: until when
	 * to wait for that; not positive: no such thing. */
	int64_t expected_ms;
	bool is_pod_gone; /* the API server said so, after the Build was last written */
};

struct seen_config {
	const struct seen_build *builds; /* by number, rising */
	size_t n;
	const struct build_config *config; /* NULL: there is no BuildConfig */
	int64_t wall_ms;
	bool is_full;    /* no further Build of this namespace may start */
	bool keeps_pods; /* of ended Builds */
};

enum builder_action_kind {
	BUILDER_NONE,
	BUILDER_CREATE_POD,
	BUILDER_DELETE_POD,
	BUILDER_LOOK_FOR_POD, /* the store has none: ask the API server */
	BUILDER_WRITE,        /* write the Build's status (member write) */
	BUILDER_PRUNE,        /* delete the Build */
	BUILDER_FIRST_BUILD,  /* make the BuildConfig's first Build; no target */
};

/* A write of a Build's status. A member that is NULL leaves its field as it is. */
struct build_write {
	enum build_phase phase;
	const char *reason;
	char message[1024];
	const struct pod *pod; /* whose name, times and reports are recorded, or NULL */
};

struct builder_action {
	enum builder_action_kind kind;
	const struct seen_build *target;
	struct build_write write;
	bool only_as_seen; /* BUILDER_DELETE_POD: if the Pod has not changed since */
	int64_t wait_ms;   /* BUILDER_NONE: when to look again; -1: when something changes */
	bool waits_for_room;
};

void builder_plan(const struct seen_config *seen, struct builder_action *next);
