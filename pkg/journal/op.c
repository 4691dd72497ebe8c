/* One queued operation of the journal: made on the loop thread, carried out by the journal thread.
 */
#include "journal/op.h"

#include "journal/change.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

static bool is_extra(size_t text)
{
	return journal_change_texts[text] == offsetof(struct journal_change, env_json) ||
	       journal_change_texts[text] == offsetof(struct journal_change, options_json);
}

static void check_size(const struct journal_change *change)
{
	size_t extra = 0;

	for (size_t i = 0; i < JOURNAL_CHANGE_TEXTS; i++) {
		size_t n = str_of(journal_change_text(change, i)).n;

		assert(is_extra(i) || n <= JOURNAL_MAX_TEXT);
		extra += is_extra(i) ? n : 0;
	}
	assert(extra <= JOURNAL_MAX_EXTRA);
}

/* What a row needs, roughly: copies of its texts are most of it. */
static size_t size_of(const struct journal_change *change)
{
	size_t bytes = sizeof(*change) + sizeof(struct journal_add_result);

	for (size_t i = 0; i < JOURNAL_CHANGE_TEXTS; i++)
		bytes += str_of(journal_change_text(change, i)).n + 1;
	return bytes;
}

struct journal_op *journal_op_new_add(const struct journal_change *changes, size_t n)
{
	struct journal_op *op = mem_new(1, sizeof(*op));

	assert(n > 0);
	op->kind = JOURNAL_OP_ADD;
	op->n_changes = n;
	op->changes = mem_new(n, sizeof(struct journal_change *));
	op->results = mem_new(n, sizeof(*op->results));
	op->bytes = sizeof(*op);
	for (size_t i = 0; i < n; i++) {
		check_size(&changes[i]);
		op->changes[i] = journal_change_copy(&changes[i]);
		op->bytes += size_of(&changes[i]);
	}
	return op;
}

struct journal_op *journal_op_new_write(const struct journal_update *update)
{
	struct journal_op *op = mem_new(1, sizeof(*op));

	op->update = (struct journal_change){
		.seq = update->seq,
		.state = update->state,
		.gap_number = update->gap_number,
		.gap_ms = update->gap_ms,
		.attempts = update->attempts,
		.next_attempt_ms = update->next_attempt_ms,
		.build = mem_strdup(update->build ? update->build : ""),
		.reason = mem_strdup(update->reason ? update->reason : ""),
	};
	assert(str_of(op->update.build).n <= JOURNAL_MAX_TEXT);
	assert(str_of(op->update.reason).n <= JOURNAL_MAX_TEXT);
	op->bytes = sizeof(*op) + str_of(op->update.build).n + str_of(op->update.reason).n;
	return op;
}

struct journal_op *journal_op_copy_write(const struct journal_op *op)
{
	struct journal_op *copy = mem_new(1, sizeof(*copy));

	copy->update = op->update;
	copy->update.build = mem_strdup(op->update.build);
	copy->update.reason = mem_strdup(op->update.reason);
	copy->bytes = op->bytes;
	copy->now_ms = op->now_ms;
	copy->wall_ms = op->wall_ms;
	return copy;
}

void journal_op_free(struct journal_op *op)
{
	for (size_t i = 0; i < op->n_changes; i++)
		free(op->changes[i]);
	free(op->changes);
	free(op->results);
	free((char *)op->update.build);
	free((char *)op->update.reason);
	free(op);
}

void journal_op_tell(const struct journal_op *op)
{
	if (op->on_added)
		op->on_added(op->arg, op->status, op->results, op->n_changes);
	if (op->on_written)
		op->on_written(op->arg, op->status);
}

void journal_ops_put(struct journal_ops *ops, struct journal_op *op)
{
	op->next = NULL;
	if (ops->tail)
		ops->tail->next = op;
	else
		ops->head = op;
	ops->tail = op;
	ops->n++;
	ops->bytes += op->bytes;
}

struct journal_op *journal_ops_take(struct journal_ops *ops)
{
	struct journal_op *op = ops->head;

	if (!op)
		return NULL;
	ops->head = op->next;
	if (!ops->head)
		ops->tail = NULL;
	ops->n--;
	ops->bytes -= op->bytes;
	op->next = NULL;
	return op;
}

struct journal_op *journal_ops_find(const struct journal_ops *ops, uint64_t ticket)
{
	for (struct journal_op *op = ops->head; op; op = op->next)
		if (op->ticket == ticket)
			return op;
	return NULL;
}

void journal_ops_append(struct journal_ops *ops, struct journal_ops *more)
{
	if (!more->head)
		return;
	if (ops->tail)
		ops->tail->next = more->head;
	else
		ops->head = more->head;
	ops->tail = more->tail;
	ops->n += more->n;
	ops->bytes += more->bytes;
	*more = (struct journal_ops){0};
}

void journal_ops_release(struct journal_ops *ops)
{
	for (struct journal_op *op = journal_ops_take(ops); op; op = journal_ops_take(ops))
		journal_op_free(op);
}
