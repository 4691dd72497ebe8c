#include "doc/reader_paths.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

static struct reader_node *add_node(struct reader_paths *paths)
{
	return &paths->nodes[paths->n_nodes++];
}

static struct reader_node *get_element(struct reader_paths *paths, struct reader_node *array)
{
	if (!array->element)
		array->element = add_node(paths);
	return array->element;
}

static struct reader_node *get_member(struct reader_paths *paths, struct reader_node *object,
				      struct str key)
{
	struct reader_node *member = NULL;

	assert(key.n > 0);
	for (member = object->members; member; member = member->next) {
		if (str_eq(member->key, key))
			return member;
	}
	member = add_node(paths);
	member->key = key;
	member->index = object->members ? object->members->index + 1 : 0;
	member->next = object->members;
	object->members = member;
	object->key_bits |= reader_paths_key_bit(key.p, key.n);
	if (key.n > paths->longest_key)
		paths->longest_key = key.n;
	return member;
}

static void add_field(struct reader_paths *paths, const struct reader_field *field)
{
	struct reader_node *node = &paths->nodes[0];
	struct str rest = str_of(field->path);
	struct str part = {0};
	size_t depth = 0;

	assert(str_empty(rest) || rest.p[0] == '/');
	rest = str_without_prefix(rest, STR("/"));
	for (; str_next_part(&rest, '/', &part); depth++)
		node = str_eq(part, STR("*")) ? get_element(paths, node)
					      : get_member(paths, node, part);
	assert(depth <= READER_MAX_DEPTH && !node->field);
	node->field = field;
	if (field->max_bytes > paths->longest_text)
		paths->longest_text = field->max_bytes;
}

struct reader_paths *reader_paths_new(const struct reader_field *fields, size_t n)
{
	struct reader_paths *paths = mem_new(1, sizeof(*paths));
	size_t most = 1;

	assert(n <= READER_MAX_FIELDS);
	for (size_t i = 0; i < n; i++) {
		for (const char *c = fields[i].path; *c; c++)
			most += *c == '/';
	}
	paths->nodes = mem_new(most, sizeof(*paths->nodes));
	paths->n_nodes = 1;
	for (size_t i = 0; i < n; i++)
		add_field(paths, &fields[i]);
	return paths;
}

void reader_paths_free(struct reader_paths *paths)
{
	if (!paths)
		return;
	free(paths->nodes);
	free(paths);
}
