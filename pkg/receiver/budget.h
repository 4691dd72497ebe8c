/* The memory that all deliveries hold together (--max-buffer), counted as it is taken. */
#pragma once

#include "receiver/delivery.h"

/*
 * Counts what D holds now. A Content-Length alone reserves nothing, and a hook that does not exist
 * is counted like one that does. False when all deliveries together hold more than they may, or
 * would with EXPECTED_BYTES more.
 */
bool budget_count(struct delivery *d, uint64_t expected_bytes);
