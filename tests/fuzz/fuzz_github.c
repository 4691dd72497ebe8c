/* Pushes of GitHub, Gitea, Forgejo and Gogs; the first byte says whose. */
#include "delivery.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const events[] = {"X-GitHub-Event", "X-Gitea-Event", "X-Forgejo-Event",
					     "X-Gogs-Event"};
	struct delivery d = {.type = HOOK_GITHUB,
			     .is_path_proven = true,
			     .headers = {{"Content-Type", STR("application/json")}}};
	size_t step = 1;

	if (size < 1)
		return 0;
	d.headers[1].name = events[delivery_choose(&d, data, size, ARRAY_LEN(events), &step)];
	d.headers[1].value = STR("push");
	delivery_try(&d, step);
	return 0;
}
