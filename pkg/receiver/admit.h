/* A delivery whose proof holds: what it says, and whether a build is to start. */
#pragma once

#include "receiver/delivery.h"

/* Ends with an answer, or with the changes that are to start in the journal. */
void admit(struct delivery *d);
