/* What is written on a Build: OpenShift's status, as a merge patch. Pure. */
#pragma once

#include "builder/plan.h"

/* OUTPUT: the reference that the Build pushes to, "" for none. */
cJSON *build_patch(const struct build *build, const struct build_write *write, const char *output,
		   int64_t now_ms);
