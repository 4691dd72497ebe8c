#include "receiver/budget.h"

/* Fixed memory cost of one delivery. */
#define DELIVERY_BYTES (16 * 1024)
/* Bytes that the connection may have read of a paused body. */
#define PAUSED_BYTES (32 * 1024)
/* The most that a payload's reader keeps of it: the files and commits of a push. */
#define MAX_READ_BYTES (256 * 1024)

bool budget_count(struct delivery *d, uint64_t expected_bytes)
{
	struct receiver *r = d->receiver;
	uint64_t read = d->read_bytes < MAX_READ_BYTES ? d->read_bytes : MAX_READ_BYTES;
	uint64_t paused = d->is_paused ? PAUSED_BYTES : 0;
	uint64_t held = DELIVERY_BYTES + d->request->connection_bytes + paused + d->kept.len + read;

	r->held_bytes += held - d->held_bytes;
	d->held_bytes = held;
	return r->held_bytes + expected_bytes <= r->opt.max_buffer_bytes;
}
