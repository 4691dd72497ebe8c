/* For documents that yaml_builder.c makes: counts what copies of them would cost, and removes
 * repeated keys. */
#pragma once

#include "doc/json.h"

struct yaml_size {
	size_t nodes; /* keys count as well */
	size_t depth; /* depth of nested collections; 0: a scalar */
};

/* The recursion is as deep as TREE, which its builder bounds. */
void yaml_tree_measure(struct yaml_size *out, const cJSON *tree);
/* In each object of TREE only the last of members with the same key stays. */
void yaml_tree_drop_overridden(cJSON *tree);
