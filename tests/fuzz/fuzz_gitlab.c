/* Pushes of branches and tags of GitLab, from webhooks and system hooks. */
#include "delivery.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct str events[] = {
		{"Push Hook", 9}, {"Tag Push Hook", 13}, {"System Hook", 11}};
	struct delivery d = {.type = HOOK_GITLAB,
			     .is_path_proven = true,
			     .headers = {{"Content-Type", STR("application/json")}}};
	size_t step = 1;

	if (size < 1)
		return 0;
	d.headers[1].name = "X-Gitlab-Event";
	d.headers[1].value = events[delivery_choose(&d, data, size, ARRAY_LEN(events), &step)];
	delivery_try(&d, step);
	return 0;
}
