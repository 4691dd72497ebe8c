/* Header fields of a request, as the hosts' files look at them. Declared in host.h. */
#include "hook/host.h"

struct str hook_header(const struct hook_request *request, const char *name, size_t *n)
{
	size_t count = 0;
	struct str value = request->header(request->header_arg, name, &count);

	if (n)
		*n = count;
	return count ? value : STR("");
}

bool hook_is_sent(const struct hook_request *request, const char *header)
{
	return !str_empty(hook_header(request, header, NULL));
}
