/*
 * Documents in the making: what copies of them would cost, and the end of keys that stand twice.
 */
#pragma once

#include "doc/json.h"

struct yaml_size {
	size_t nodes; /* keys count as well */
	size_t depth; /* of nested collections; 0: a scalar */
};

/* The recursion is as deep as TREE, which its builder bounds. */
void yaml_tree_measure(struct yaml_size *out, const cJSON *tree);
/* Of members with one key only the last stays, in each object of TREE. */
void yaml_tree_drop_overridden(cJSON *tree);
