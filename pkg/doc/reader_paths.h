/*
 * The wanted fields of a reader as a tree of keys: each place in a document belongs to at most one
 * node, so that following the document costs the same whatever the number of fields.
 */
#pragma once

#include "doc/reader.h"

struct reader_node {
	const struct reader_field *field; /* NULL: only leads to other nodes */
	struct reader_node *element;      /* the node of every array element, or NULL */
	struct reader_node *members;      /* the first of the object's wanted members, or NULL */
	struct reader_node *next;         /* the next of the same object */
	uint64_t key_bits;                /* of the members */
	struct str key;                   /* its key as a member; borrowed from the field's path */
	unsigned index;                   /* among its siblings */
};

struct reader_paths {
	struct reader_node *nodes; /* [0] is the document itself */
	size_t n_nodes;
	size_t longest_key;
	size_t longest_text; /* the largest max_bytes */
};

/* Of 64 bits one that few other keys have. KEY has N bytes, and another behind them. */
static inline uint64_t reader_paths_key_bit(const char *key, size_t n)
{
	return (uint64_t)1 << ((n + (unsigned char)*key * 5) % 64);
}

/* The wanted member of that key, or NULL. */
static inline const struct reader_node *reader_paths_find(const struct reader_node *object,
							  struct str key)
{
	const struct reader_node *member = object->members;

	while (member && !(member->key.n == key.n && str_eq(member->key, key)))
		member = member->next;
	return member;
}
