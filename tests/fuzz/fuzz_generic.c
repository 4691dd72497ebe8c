/* Generic payloads in JSON and YAML, with and without allowEnv. None may end in an error. */
#include "delivery.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct str media[] = {{"application/json", 16}, {"application/yaml", 16}};
	struct delivery d = {.type = HOOK_GENERIC, .is_path_proven = true};
	size_t step = 1, way = 0;

	if (size < 1)
		return 0;
	way = delivery_choose(&d, data, size, 4, &step);
	d.headers[0] = (struct delivery_header){"Content-Type", media[way % 2]};
	d.allow_env = way >= 2;
	delivery_try(&d, step);
	return 0;
}
