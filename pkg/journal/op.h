/* A request on its way: queued by the caller, carried out by the writer, told to the caller. */
#pragma once

#include "journal/journal.h"

enum journal_op_kind {
	JOURNAL_OP_WRITE, /* of state, start and end */
	JOURNAL_OP_ADD,
};

struct journal_op {
	struct journal_op *next;
	enum journal_op_kind kind;
	uint64_t ticket;
	size_t bytes;
	int64_t now_ms; /* journal time when it was asked for */
	int64_t wall_ms;
	int status; /* set by the writer */
	void *arg;

	/* To add. */
	size_t n_changes;
	struct journal_change **changes;
	struct journal_add_result *results; /* as many */
	bool is_question;                   /* nothing is stored */
	journal_add_fn on_added;

	/* To write; build and reason of it are owned. */
	struct journal_change update;
	void (*on_written)(void *arg, int status);
};

/* First in, first out. */
struct journal_ops {
	struct journal_op *head;
	struct journal_op *tail;
	size_t n;
	size_t bytes;
};

struct journal_op *journal_op_new_add(const struct journal_change *changes, size_t n);
struct journal_op *journal_op_new_write(const struct journal_update *update);
/* Another write of the same, that nobody is told of. */
struct journal_op *journal_op_copy_write(const struct journal_op *op);
void journal_op_free(struct journal_op *op);
/* Calls the function it was given, if it still has one. */
void journal_op_tell(const struct journal_op *op);

void journal_ops_put(struct journal_ops *ops, struct journal_op *op);
/* NULL when there is none. */
struct journal_op *journal_ops_take(struct journal_ops *ops);
/* NULL when it is not there. */
struct journal_op *journal_ops_find(const struct journal_ops *ops, uint64_t ticket);
void journal_ops_append(struct journal_ops *ops, struct journal_ops *more);
void journal_ops_release(struct journal_ops *ops);
