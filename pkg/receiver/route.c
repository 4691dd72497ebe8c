#include "receiver/route.h"

#include "base/mem.h"

#define MAX_NAME 253

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* A DNS-1123 subdomain, the form of BuildConfigs' names, and of namespaces' too: labels of letters,
 * digits and inner dashes, with a dot between two. */
static bool is_object_name(struct str s)
{
	if (s.n == 0 || s.n > MAX_NAME)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		bool is_edge = i == 0 || i + 1 == s.n || s.p[i - 1] == '.' || s.p[i + 1] == '.';

		if (!is_alnum(s.p[i]) && (is_edge || (s.p[i] != '-' && s.p[i] != '.')))
			return false;
	}
	return true;
}

/* Cuts the part before the next slash off REST; REST.p is NULL after the last one, which may be
 * empty. */
static struct str cut_part(struct str *rest)
{
	size_t at = str_find_char(*rest, '/');
	struct str part = str_range(rest->p, at);

	*rest = at < rest->n ? str_range(rest->p + at + 1, rest->n - at - 1) : (struct str){0};
	return part;
}

/* OUT's parts where PATH follows FORM: N, B, S and T stand for namespace, name, secret and type. */
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
		    is_object_name(route.namespace_) && is_object_name(route.name)) {
			*out = route;
			return;
		}
	}
}
