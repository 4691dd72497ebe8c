/*
 * The wanted fields of a reader as a tree of keys: each place in a document belongs to at most one
 * node, so that following the document costs the same whatever the number of fields.
 */
#pragma once

#include "doc/reader.h"

struct reader_node {
	const struct reader_field *field; /* NULL: only on the way to others */
	struct reader_node *element;      /* of every array element, or NULL */
	struct reader_node *members;      /* the first of the object's wanted members, or NULL */
	struct reader_node *next;         /* sibling among them */
	struct str key;                   /* as a member; borrowed from the field's path */
	unsigned index;                   /* among its siblings */
};

struct reader_paths {
	struct reader_node *nodes; /* [0] is the document itself */
	size_t n_nodes;
	size_t longest_key;
	size_t longest_text; /* the largest max_bytes */
};

void reader_paths_init(struct reader_paths *paths, const struct reader_field *fields, size_t n);
void reader_paths_release(struct reader_paths *paths);
/* The wanted member of that key, or NULL. */
const struct reader_node *reader_paths_find(const struct reader_node *object, struct str key);
