/* The status lines of deliveries: annotations buildhook.io/TYPE-last, TYPE-built and recent. */
#pragma once

#include "delivery/outcome.h"
#include "journal/journal.h"

struct controller;

/*
 * What became of CHANGE. BUILD: the name of an OUTCOME_START. WHY: of
 * all others, NULL without one.
 */
void line_note(struct controller *controller, const struct journal_change *change,
	       enum outcome outcome, const char *build, const char *why);
