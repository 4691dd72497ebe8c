/* The memory that all deliveries hold together (--max-buffer), counted as it is taken. */
#pragma once

#include "receiver/delivery.h"

/*
 * Counts what D holds now. What a request only says about its length takes nothing from others, and
 * a hook that does not exist counts as one that does. False when all deliveries together hold more
 * than they may, or would with EXPECTED_BYTES more.
 */
bool budget_count(struct delivery *d, uint64_t expected_bytes);
