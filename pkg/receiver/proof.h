/* Whether one of the hook's secrets proves a delivery. */
#pragma once

#include "receiver/delivery.h"

/* The head passed the checks before the proof. */
void proof_begin(struct delivery *d);
void proof_feed(struct delivery *d, struct str bytes);
/* The body is complete. Continues in admit(), or refuses the delivery. */
void proof_end(struct delivery *d);
