/* The Pod that runs a Build, and the Builds for which there can be none. Pure. */
#pragma once

#include "builder/model.h"

struct builder_pod_options {
	const char *builder_image;
	const char *output_registry; /* "HOST/PREFIX" for image streams, or NULL */
	bool host_users;             /* the Pod runs without a user namespace of its own */
	const char *seccomp_profile,
		*apparmor_profile; /* "RuntimeDefault", "localhost/FILE"; NULL: unset */
	const cJSON *resources;    /* resources of Builds that name none, or NULL */
};

/* Why a Build can never run: a reason of its status, and what to do. */
struct builder_refusal {
	const char *reason; /* NULL: it can run */
	char message[512];
};

void builder_check(struct builder_refusal *out, const struct build *build,
		   const struct builder_pod_options *options);
/* The reference that the Build pushes to into OUT; false where it pushes nothing. */
bool builder_output_image(struct buf *out, const struct build *build,
			  const struct builder_pod_options *options);
/* BUILD passed builder_check(). SERVICE_ACCOUNT: NULL for the Build's own. */
cJSON *builder_pod(const struct build *build, const struct builder_pod_options *options,
		   const char *service_account);
/* "builder" where the Build names none, as on OpenShift. */
const char *builder_service_account(const struct build *build);
