/* Which hook a path means. Nothing is decoded or normalised: a path that is not exactly one of the
 * two forms means none. Pure. */
#pragma once

#include "hook/hook.h"

enum route_kind {
	ROUTE_NONE,
	ROUTE_ROOT, /* "/" */
	ROUTE_HOOK, /* /hooks/NS/NAME/TYPE */
	ROUTE_OPENSHIFT, /* /apis/build.openshift.io/v1/namespaces/NS/buildconfigs/NAME/webhooks/SECRET/TYPE
			  */
};

struct route {
	enum route_kind kind;
	/* Parts of PATH. */
	struct str namespace_, name;
	struct str secret; /* ROUTE_OPENSHIFT */
	enum hook_type type;
};

void route_parse(struct route *out, struct str path);
