#include "receiver/route.h"

#include "base/mem.h"

/* Cuts the part before the next slash off REST; REST.p is NULL after the last one, which may be
 * empty. */
static struct str cut_part(struct str *rest)
{
	size_t at = str_find_char(*rest, '/');
	struct str part = str_range(rest->p, at);

	*rest = at < rest->n ? str_range(rest->p + at + 1, rest->n - at - 1) : (struct str){0};
	return part;
}

/* Fills OUT if PATH has the form FORM: N, B, S and T stand for namespace, name, secret and type. */
static bool parse_form(struct route *out, struct str path, struct str form)
{
	while (form.p && path.p) {
		struct str want = cut_part(&form), part = cut_part(&path);

		if (str_eq(want, STR("N")))
			out->namespace_ = part;
		else if (str_eq(want, STR("B")))
			out->name = part;
		else if (str_eq(want, STR("S")) && part.n > 0)
			out->secret = part;
		else if (str_eq(want, STR("T")) ? !hook_type_parse(part, &out->type)
						: !str_eq(want, part))
			return false;
	}
	return !form.p && !path.p;
}

void route_parse(struct route *out, struct str path)
{
	static const struct {
		enum route_kind kind;
		const char *form;
	} forms[] = {
		{ROUTE_HOOK, "/hooks/N/B/T"},
		{ROUTE_OPENSHIFT,
		 "/apis/build.openshift.io/v1/namespaces/N/buildconfigs/B/webhooks/S/T"},
	};

	*out = (struct route){0};
	if (str_eq(path, STR("/")))
		out->kind = ROUTE_ROOT;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct route route = {.kind = forms[i].kind};

		if (parse_form(&route, path, str_of(forms[i].form)) &&
		    str_is_dns_subdomain(route.namespace_) && str_is_dns_subdomain(route.name)) {
			*out = route;
			return;
		}
	}
}
