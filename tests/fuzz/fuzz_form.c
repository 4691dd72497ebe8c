/* Form bodies: what comes out as the payload does not depend on how the form is cut. */
#include "delivery.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct delivery d = {.type = HOOK_GITHUB,
			     .is_path_proven = true,
			     .headers = {{"Content-Type", STR("application/x-www-form-urlencoded")},
					 {"X-GitHub-Event", STR("push")}}};
	size_t step = 1;

	if (size < 1)
		return 0;
	(void)delivery_choose(&d, data, size, 1, &step);
	delivery_try(&d, step);
	return 0;
}
