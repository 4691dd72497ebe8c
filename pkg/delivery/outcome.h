/*
 * The outcome of a change: it starts a build, or the reason why it does not (yet). One list for the
 * rules (buildconfig/verdict.h), the answers to Git hosts, the journal, the annotations, metrics
 * and logs.
 */
#pragma once

/* X(name of the enum value, the reason as users read it). */
#define OUTCOME_LIST(X)                                                                            \
	X(START, "")                                                                               \
	X(REF_MISMATCH, "RefMismatch")                                                             \
	X(REF_DELETED, "RefDeleted")                                                               \
	X(TAG_IGNORED, "TagIgnored")                                                               \
	X(PATHS_UNCHANGED, "PathsUnchanged")                                                       \
	X(SKIP_CI, "SkipCI")                                                                       \
	X(PAUSED, "Paused")                                                                        \
	X(DUPLICATE, "Duplicate")                                                                  \
	X(SUPERSEDED, "Superseded")                                                                \
	X(EVENT_IGNORED, "EventIgnored")                                                           \
	X(REPOSITORY_MISMATCH, "RepositoryMismatch")                                               \
	X(NO_GIT_SOURCE, "NoGitSource")                                                            \
	X(UNREADABLE, "Unreadable")                                                                \
	X(PING, "Ping")                                                                            \
	X(QUEUED, "Queued")                                                                        \
	X(FAILED, "Failed")                                                                        \
	X(DRY_RUN, "DryRun")

#define OUTCOME_VALUE(name, text) OUTCOME_##name,
enum outcome { OUTCOME_LIST(OUTCOME_VALUE) OUTCOMES };
#undef OUTCOME_VALUE

/* "RefMismatch", ...; "" for OUTCOME_START. */
const char *outcome_name(enum outcome outcome);
