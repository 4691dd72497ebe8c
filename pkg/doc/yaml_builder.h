/* Makes a JSON document of YAML's events: anchors, aliases, merge keys and the limits. Knows
 * nothing of libyaml; yaml.c feeds it. Its errors do not name a place in the text. */
#pragma once

#include "doc/yaml.h"
#include "doc/yaml_scalar.h"

struct yaml_builder;

struct yaml_builder *yaml_builder_new(const struct yaml_limits *limits);
void yaml_builder_free(struct yaml_builder *builder);
/* For CLEANUP. */
void yaml_builder_freep(struct yaml_builder **builder);

/* ANCHOR is NULL where there is none. */
int yaml_builder_add_scalar(struct yaml_builder *builder, const struct yaml_scalar *scalar,
			    const char *anchor, struct err *err);
int yaml_builder_add_alias(struct yaml_builder *builder, const char *anchor, struct err *err);
int yaml_builder_open(struct yaml_builder *builder, bool is_object, const char *anchor,
		      struct err *err);
int yaml_builder_close(struct yaml_builder *builder, struct err *err);
/* The document, complete; null if nothing was added. Only yaml_builder_free() may follow. */
cJSON *yaml_builder_take(struct yaml_builder *builder);
