/* The status line of the newest delivery of a hook: annotation buildhook.io/TYPE-last. */
#pragma once

#include "delivery/outcome.h"
#include "journal/journal.h"

struct controller;

/*
 * What became of CHANGE, unless the hook has seen a newer delivery. BUILD: OUTCOME_START's. WHY: of
 * all others, NULL without one.
 */
void line_note(struct controller *controller, const struct journal_change *change,
	       enum outcome outcome, const char *build, const char *why);
