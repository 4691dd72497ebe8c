/* Pushes of Bitbucket Cloud and Data Center. */
#include "delivery.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct str events[] = {{"repo:push", 9}, {"repo:refs_changed", 17}};
	struct delivery d = {.type = HOOK_BITBUCKET,
			     .is_path_proven = true,
			     .headers = {{"Content-Type", STR("application/json")}}};
	size_t step = 1;

	if (size < 1)
		return 0;
	d.headers[1].name = "X-Event-Key";
	d.headers[1].value = events[delivery_choose(&d, data, size, ARRAY_LEN(events), &step)];
	delivery_try(&d, step);
	return 0;
}
