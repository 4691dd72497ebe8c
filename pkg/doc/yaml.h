/*
 * YAML as Kubernetes reads it (sigs.k8s.io/yaml: YAML 1.1 scalars become JSON), on libyaml, behind
 * limits: libyaml's time is quadratic in nesting, and aliases multiply. Used for kubeconfig files
 * and for Generic payloads.
 *
 * Unlike sigs.k8s.io/yaml only UTF-8 is read, and U+0000 and binary data that is not text are
 * refused.
 */
#pragma once

#include "doc/json.h"

struct yaml_limits {
	size_t max_bytes;
	size_t max_depth; /* nested collections */
	size_t max_nodes; /* after aliases are expanded */
	size_t max_aliases;
};

/* For people's files: 1 MiB, depth 64, 100,000 nodes, 100 aliases. */
extern const struct yaml_limits yaml_limits_file;
/* For payloads: 64 KiB, depth 16, 4,096 nodes, 16 aliases. */
extern const struct yaml_limits yaml_limits_payload;

/*
 * The first document of TEXT. An empty one gives null. ERR_INVALID names line and column; ERR_LIMIT
 * names the limit.
 */
int yaml_parse(cJSON **out, struct str text, const struct yaml_limits *limits, struct err *err);

/* Parts of a YAML text that its JSON does not have. */
struct yaml_left_out {
	bool documents; /* documents after the first, readable or not */
	bool tags;      /* tags of types that JSON does not have */
};

/* As yaml_parse(); also sets the members of LEFT_OUT, which are false before, for the parts that
 * the text has. */
int yaml_parse_telling(cJSON **out, struct yaml_left_out *left_out, struct str text,
		       const struct yaml_limits *limits, struct err *err);
