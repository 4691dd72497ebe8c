/*
 * YAML of any kind ends as a document within the limits or as an error with a text, and the
 * document is JSON.
 */
#include "base/mem.h"
#include "doc/yaml.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t check_tree(const cJSON *tree, size_t depth)
{
	const cJSON *child = NULL;
	size_t nodes = 1;

	assert(depth <= yaml_limits_payload.max_depth);
	cJSON_ArrayForEach (child, tree) {
		assert(cJSON_IsObject(tree) == (child->string != NULL));
		assert(!child->string || json_member(tree, child->string) == child);
		nodes += check_tree(child, depth + 1);
	}
	return nodes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(json_freep) cJSON *doc = NULL;
	CLEANUP(json_freep) cJSON *again = NULL;
	CLEANUP(buf_release) struct buf json = BUF_INIT(16 * 1024 * 1024);
	struct err err = {0};
	int rc = yaml_parse(&doc, str_range((const char *)data, size), &yaml_limits_payload, &err);

	if (rc) {
		assert(!doc && *err.msg && (rc == ERR_INVALID || rc == ERR_LIMIT));
		return 0;
	}
	assert(check_tree(doc, 0) <= yaml_limits_payload.max_nodes + 1);
	json_format(&json, doc);
	assert(!json.overflow && str_is_utf8(buf_str(&json)));
	assert(json_parse(&again, buf_str(&json), NULL) == 0);
	return 0;
}
