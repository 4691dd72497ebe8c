#include "doc/yaml_tree.h"

#include "base/mem.h"

#include <stdlib.h>

static bool is_collection(const cJSON *tree)
{
	return cJSON_IsObject(tree) || cJSON_IsArray(tree);
}

static void add(struct yaml_size *size, const cJSON *tree, size_t depth)
{
	const cJSON *child = NULL;

	size->nodes += tree->string ? 2 : 1;
	if (!is_collection(tree))
		return;
	depth++;
	if (depth > size->depth)
		size->depth = depth;
	cJSON_ArrayForEach (child, tree)
		add(size, child, depth);
}

void yaml_tree_measure(struct yaml_size *out, const cJSON *tree)
{
	*out = (struct yaml_size){0};
	add(out, tree, 0);
}

struct member {
	cJSON *item;
	size_t at;
};

static int compare_members(const void *a, const void *b)
{
	const struct member *left = a;
	const struct member *right = b;
	int order = strcmp(left->item->string, right->item->string);

	return order ? order : (left->at > right->at) - (left->at < right->at);
}

static void drop_overridden_of(cJSON *object)
{
	size_t n = (size_t)cJSON_GetArraySize(object);
	CLEANUP(mem_free) struct member *members = mem_new(n + 1, sizeof(*members));
	cJSON *item = NULL;
	size_t at = 0;

	cJSON_ArrayForEach (item, object) {
		members[at] = (struct member){item, at};
		at++;
	}
	qsort(members, n, sizeof(*members), compare_members);
	for (size_t i = 0; i + 1 < n; i++) {
		if (strcmp(members[i].item->string, members[i + 1].item->string) == 0)
			cJSON_Delete(cJSON_DetachItemViaPointer(object, members[i].item));
	}
}

void yaml_tree_drop_overridden(cJSON *tree)
{
	cJSON *child = NULL;

	if (cJSON_IsObject(tree))
		drop_overridden_of(tree);
	if (!is_collection(tree))
		return;
	cJSON_ArrayForEach (child, tree)
		yaml_tree_drop_overridden(child);
}
