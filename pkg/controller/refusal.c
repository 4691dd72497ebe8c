#include "controller/refusal.h"

#include <stdio.h>

static bool is_image_missing(const char *message)
{
	return str_starts(str_of(message), STR("Error resolving ImageStream"));
}

static const char *message_of(const struct kube_response *response)
{
	const char *message = json_str_at(response->doc, "message");

	return message && *message ? message : response->err.msg;
}

/* The part of MESSAGE after `buildconfigs.build.openshift.io "cart" is forbidden: `, which tells
 * the owner nothing. */
static const char *cause_of(const char *message)
{
	static const char words[] = " is forbidden: ";
	const char *at = strstr(message, words);

	return at ? at + strlen(words) : message;
}

bool refusal_is_lasting(const struct kube_response *response)
{
	return response->status == 403 || is_image_missing(message_of(response));
}

/* Explains kube-apiserver's RBAC message: `User "system:serviceaccount:buildhook:buildhook" cannot
 * create resource "buildconfigs/instantiate" in API group ...`. */
static bool put_rights(char *out, size_t size, const char *cause)
{
	char verb[32], resource[64];
	const char *cannot = strstr(cause, " cannot ");

	if (!str_starts(str_of(cause), STR("User \"")) || !cannot ||
	    sscanf(cannot, " cannot %31s resource \"%63[^\"]\"", verb, resource) != 2)
		return false;
	(void)snprintf(out, size,
		       "buildhook's ServiceAccount may not %s %s in this namespace: an "
		       "administrator has to grant it",
		       verb, resource);
	return true;
}

void refusal_explain(char *why, size_t why_size, char *outside, size_t outside_size,
		     const struct kube_response *response)
{
	const char *message = message_of(response), *cause = cause_of(message);
	bool names_user = put_rights(why, why_size, cause);

	if (response->status == 0)
		(void)snprintf(why, why_size, "%s",
			       response->is_uncertain ? "the API server did not answer"
						      : "the API server cannot be reached");
	else if (response->status == 401)
		(void)snprintf(why, why_size,
			       "the API server answered 401: buildhook's credentials are not "
			       "accepted");
	else if (!names_user)
		(void)snprintf(why, why_size, "%s", cause);
	if (names_user || strstr(cause, "system:serviceaccount:"))
		(void)snprintf(outside, outside_size,
			       "the cluster does not allow builds of this BuildConfig");
	else if (refusal_is_lasting(response))
		(void)snprintf(outside, outside_size, "%s", cause);
	else if (response->status == 0)
		(void)snprintf(outside, outside_size, "%s", why);
	else
		(void)snprintf(outside, outside_size, "the API server answered %d",
			       response->status);
}
