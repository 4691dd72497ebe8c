/* Builds for clusters without OpenShift's API: what `oc start-build`, `oc cancel-build`, `oc logs`
 * do. */
#pragma once

#include "target.h"

#include "controller/build_body.h"

/* COMMIT NULL: what the BuildConfig's ref points at. NAME_OUT: of the Build. Uses instantiate where
 * the cluster has it, else makes the Build itself. */
int builds_start(char name_out[BUILD_NAME_BYTES], struct session *session,
		 const struct target *target, const char *commit, struct err *err);
/* The log of a Build, on stdout; with FOLLOW until the Build has ended. */
int builds_print_log(struct session *session, const char *name, bool follow, struct err *err);
/* Waits for the end of a Build, and prints its phase. ERR_INVALID where that is not Complete. */
int builds_wait(struct session *session, const char *name, struct err *err);
