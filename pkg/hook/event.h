/* The memory of an event. */
#pragma once

#include "hook/hook.h"

/* Frees what EVENT holds, and empties it. */
void hook_event_release(struct hook_event *event);
/* One more change, empty; NULL when there are HOOK_MAX_CHANGES. Moves those before it. */
struct hook_change *hook_event_add_change(struct hook_event *event);
/* For CLEANUP, and what is built of persons. */
void hook_person_release(struct hook_person *person);
