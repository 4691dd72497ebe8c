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
	uint64_t lengths; /* lengths of the members' keys: bit N for N bytes, bit 63 for all longer
			     ones */
	struct str key;   /* its key as a member; borrowed from the field's path */
	unsigned index;   /* among its siblings */
};

struct reader_paths {
	struct reader_node *nodes; /* [0] is the document itself */
	size_t n_nodes;
	size_t longest_key;
	size_t longest_text; /* the largest max_bytes */
};

static inline uint64_t reader_paths_length_bit(size_t n)
{
	return (uint64_t)1 << (n < 63 ? n : 63);
}

/* The wanted member of that key, or NULL. Most keys are not wanted, and most of those
 * have a length that no wanted key has. */
static inline const struct reader_node *reader_paths_find(const struct reader_node *object,
							  struct str key)
{
	const struct reader_node *member = object->members;

	if (!(object->lengths & reader_paths_length_bit(key.n)))
		return NULL;
	while (member && !(member->key.n == key.n && member->key.p[0] == key.p[0] &&
			   memcmp(member->key.p, key.p, key.n) == 0))
		member = member->next;
	return member;
}
