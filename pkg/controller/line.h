/* The status lines of deliveries: annotations buildhook.io/TYPE-last, TYPE-built and recent. */
#pragma once

#include "delivery/outcome.h"
#include "journal/journal.h"

struct controller;

/* Notes what came of CHANGE. BUILD: the Build's name with OUTCOME_START. WHY: the reason with any
 * other outcome, or NULL. */
void line_note(struct controller *controller, const struct journal_change *change,
	       enum outcome outcome, const char *build, const char *why);
