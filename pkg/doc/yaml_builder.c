/*
 * Builds the JSON value from libyaml's events: nesting, anchors and aliases, merge keys, duplicate
 * keys. Counts nodes, since aliases multiply them.
 */
#include "doc/yaml_builder.h"

#include "base/mem.h"
#include "doc/yaml_tree.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

struct anchor {
	char *name;
	cJSON *value;
};

/* A collection that is still open. It is part of the document already. */
struct frame {
	cJSON *collection;
	/* In an object, the key of the value that comes next; NULL where a key comes next. */
	char *key;
	bool is_merge; /* that key was "<<" */
};

struct yaml_builder {
	const struct yaml_limits *limits;
	cJSON *root;
	/* An array of values that anchors point at, and that the document itself holds only as text
	 * or as a copy. */
	cJSON *aside;
	struct frame *frames;
	size_t depth;
	struct anchor *anchors;
	size_t n_anchors, cap_anchors;
	size_t n_nodes, n_aliases;
};

struct yaml_builder *yaml_builder_new(const struct yaml_limits *limits)
{
	struct yaml_builder *b = mem_new(1, sizeof(*b));

	b->limits = limits;
	b->aside = json_new_array();
	b->frames = mem_new(limits->max_depth, sizeof(*b->frames));
	return b;
}

void yaml_builder_free(struct yaml_builder *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->depth; i++)
		free(b->frames[i].key);
	for (size_t i = 0; i < b->n_anchors; i++)
		free(b->anchors[i].name);
	free(b->frames);
	free(b->anchors);
	json_freep(&b->root);
	json_freep(&b->aside);
	free(b);
}

void yaml_builder_freep(struct yaml_builder **builder)
{
	yaml_builder_free(*builder);
	*builder = NULL;
}

static int count_nodes(struct yaml_builder *b, size_t n, struct err *err)
{
	b->n_nodes += n;
	if (b->n_nodes > b->limits->max_nodes)
		return err_set(err, ERR_LIMIT, "more than %zu keys and values",
			       b->limits->max_nodes);
	return 0;
}

/* The innermost collection, or NULL. */
static struct frame *find_top(struct yaml_builder *b)
{
	return b->depth > 0 ? &b->frames[b->depth - 1] : NULL;
}

static struct frame *get_top(struct yaml_builder *b)
{
	assert(b->depth > 0);
	return &b->frames[b->depth - 1];
}

static bool is_key_next(struct yaml_builder *b)
{
	struct frame *frame = find_top(b);

	return frame && cJSON_IsObject(frame->collection) && !frame->key && !frame->is_merge;
}

static bool is_merge_next(struct yaml_builder *b)
{
	struct frame *frame = find_top(b);

	return frame && frame->is_merge;
}

/* Adds VALUE to the innermost collection, or makes it the document. */
static void attach(struct yaml_builder *b, cJSON *value)
{
	struct frame *frame = find_top(b);

	if (!frame) {
		b->root = value;
	} else if (frame->is_merge || is_key_next(b)) {
		(void)json_append(b->aside, value);
	} else if (frame->key) {
		(void)json_put(frame->collection, frame->key, value);
		mem_free(&frame->key);
		frame->key = NULL;
	} else {
		(void)json_append(frame->collection, value);
	}
}

static void add_anchor(struct yaml_builder *b, const char *name, cJSON *value)
{
	if (!name)
		return;
	if (b->n_anchors == b->cap_anchors) {
		b->cap_anchors = b->cap_anchors ? 2 * b->cap_anchors : 8;
		b->anchors = mem_resize(b->anchors, b->cap_anchors, sizeof(*b->anchors));
	}
	b->anchors[b->n_anchors++] = (struct anchor){mem_strdup(name), value};
}

/* The latest value with that anchor. */
static cJSON *find_anchor(struct yaml_builder *b, const char *name)
{
	for (size_t i = b->n_anchors; i > 0; i--) {
		if (strcmp(b->anchors[i - 1].name, name) == 0)
			return b->anchors[i - 1].value;
	}
	return NULL;
}

static bool is_open(struct yaml_builder *b, const cJSON *collection)
{
	for (size_t i = 0; i < b->depth; i++) {
		if (b->frames[i].collection == collection)
			return true;
	}
	return false;
}

/* Adds copies of the members, for the key "<<". Of several members with one key the last is valid;
 * the others are removed at the end. */
static int merge_object(struct yaml_builder *b, const cJSON *source, struct err *err)
{
	const cJSON *member = NULL;
	struct yaml_size size = {0};

	if (!cJSON_IsObject(source))
		return err_set(err, ERR_INVALID,
			       "\"<<\" takes a mapping or a sequence of mappings");
	yaml_tree_measure(&size, source);
	if (b->depth + size.depth > b->limits->max_depth + 1)
		return err_set(err, ERR_LIMIT, "nested deeper than %zu", b->limits->max_depth);
	if (count_nodes(b, size.nodes, err))
		return ERR_LIMIT;
	cJSON_ArrayForEach (member, source)
		(void)json_put(get_top(b)->collection, member->string, json_copy(member));
	return 0;
}

/* In a sequence of mappings the first one wins, so it is merged last. */
static int merge_sequence(struct yaml_builder *b, const cJSON *sources, struct err *err)
{
	const cJSON *first = sources->child;

	for (const cJSON *source = first ? first->prev : NULL; source;
	     source = source == first ? NULL : source->prev) {
		int rc = merge_object(b, source, err);

		if (rc)
			return rc;
	}
	return 0;
}

static int set_key(struct yaml_builder *b, const cJSON *value, struct err *err)
{
	CLEANUP(mem_free) char *key = yaml_scalar_format_key(value);

	if (!key)
		return err_set(err, ERR_INVALID, "a key that JSON cannot have");
	get_top(b)->key = TAKE(key);
	return 0;
}

static bool is_merge_key(const struct yaml_scalar *scalar)
{
	bool is_tagged = scalar->tag && strcmp(scalar->tag, "tag:yaml.org,2002:merge") == 0;

	return str_eq(scalar->text, STR("<<")) && (is_tagged || (scalar->is_plain && !scalar->tag));
}

/* JSON has no infinity, so as a value it is refused; as a key it is text. */
static int check_value(struct yaml_builder *b, const cJSON *value, struct err *err)
{
	if (is_merge_next(b))
		return merge_object(b, value, err);
	if (cJSON_IsNumber(value) && !isfinite(value->valuedouble))
		return err_set(err, ERR_INVALID, "a number that JSON cannot have");
	return 0;
}

int yaml_builder_add_scalar(struct yaml_builder *b, const struct yaml_scalar *scalar,
			    const char *anchor, struct err *err)
{
	CLEANUP(json_freep) cJSON *value = NULL;
	bool is_key = is_key_next(b);
	int rc = count_nodes(b, 1, err);

	if (rc == 0)
		rc = yaml_scalar_parse(&value, scalar, err);
	if (rc == 0 && !is_key)
		rc = check_value(b, value, err);
	if (rc)
		return rc;
	add_anchor(b, anchor, value);
	attach(b, value);
	if (is_key && is_merge_key(scalar))
		get_top(b)->is_merge = true;
	else if (is_key)
		rc = set_key(b, value, err);
	value = NULL;
	return rc;
}

static int add_copy(struct yaml_builder *b, const cJSON *value, struct err *err)
{
	struct yaml_size size = {0};
	int rc = check_value(b, value, err);

	if (rc)
		return rc;
	yaml_tree_measure(&size, value);
	if (b->depth + size.depth > b->limits->max_depth)
		return err_set(err, ERR_LIMIT, "nested deeper than %zu", b->limits->max_depth);
	if (count_nodes(b, size.nodes, err))
		return ERR_LIMIT;
	attach(b, json_copy(value));
	return 0;
}

int yaml_builder_add_alias(struct yaml_builder *b, const char *anchor, struct err *err)
{
	const cJSON *value = find_anchor(b, anchor);

	if (++b->n_aliases > b->limits->max_aliases)
		return err_set(err, ERR_LIMIT, "more than %zu aliases", b->limits->max_aliases);
	if (!value)
		return err_set(err, ERR_INVALID, "an alias of an anchor that is not there");
	if (is_open(b, value))
		return err_set(err, ERR_INVALID, "an alias of what it is part of");
	if (is_key_next(b))
		return set_key(b, value, err);
	if (!is_merge_next(b))
		return add_copy(b, value, err);
	get_top(b)->is_merge = false;
	return merge_object(b, value, err);
}

int yaml_builder_open(struct yaml_builder *b, bool is_object, const char *anchor, struct err *err)
{
	cJSON *collection = NULL;

	if (is_key_next(b))
		return err_set(err, ERR_INVALID, "a key that is a collection");
	if (b->depth == b->limits->max_depth)
		return err_set(err, ERR_LIMIT, "nested deeper than %zu", b->limits->max_depth);
	if (count_nodes(b, 1, err))
		return ERR_LIMIT;
	collection = is_object ? json_new_object() : json_new_array();
	attach(b, collection);
	add_anchor(b, anchor, collection);
	b->frames[b->depth++] = (struct frame){.collection = collection};
	return 0;
}

int yaml_builder_close(struct yaml_builder *b, struct err *err)
{
	const cJSON *collection = NULL;

	assert(b->depth > 0 && !get_top(b)->key);
	collection = get_top(b)->collection;
	b->depth--;
	if (!is_merge_next(b))
		return 0;
	get_top(b)->is_merge = false;
	return cJSON_IsArray(collection) ? merge_sequence(b, collection, err)
					 : merge_object(b, collection, err);
}

cJSON *yaml_builder_take(struct yaml_builder *b)
{
	assert(b->depth == 0);
	if (!b->root)
		return cJSON_CreateNull();
	yaml_tree_drop_overridden(b->root);
	return TAKE(b->root);
}
