/* Records in delivery/activity.h what the status annotations show of a delivery. */
#pragma once

#include "receiver/delivery.h"

/* The proof held. BUILD, WHY as in struct status_line. */
void note_outcome(struct delivery *d, const struct delivery_change *change, enum outcome outcome,
		  const char *build, const char *why);
/* The proof of a hook that exists failed. */
void note_refusal(struct delivery *d, const char *why);
/* A bound of what waits refused the delivery: the status says so. */
void note_bound(struct delivery *d);
