/* Waits for the builds of a delivery and answers it. */
#pragma once

#include "receiver/delivery.h"

/*
 * The N changes are committed to the journal (of a dry run: were looked up in it). Ends with an
 * answer: the Build where it starts within --start-timeout, else Queued.
 */
void wait_for_builds(struct delivery *d, const struct journal_add_result *results, size_t n);
