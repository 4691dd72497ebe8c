#include "hook/event.h"

#include "base/mem.h"

void hook_person_release(struct hook_person *person)
{
	mem_free(&person->name);
	mem_free(&person->email);
}

struct hook_change *hook_event_add_change(struct hook_event *event)
{
	struct hook_change *change = NULL;

	if (event->n_changes == HOOK_MAX_CHANGES)
		return NULL;
	event->changes = mem_resize(event->changes, event->n_changes + 1, sizeof(*event->changes));
	change = &event->changes[event->n_changes++];
	*change = (struct hook_change){0};
	return change;
}

static void release_changes(struct hook_event *event)
{
	for (size_t i = 0; i < event->n_changes; i++) {
		struct hook_change *change = &event->changes[i];

		mem_free(&change->ref);
		mem_free(&change->commit);
		hook_person_release(&change->author);
		hook_person_release(&change->committer);
		mem_free(&change->message);
	}
	mem_free(&event->changes);
}

void hook_event_release(struct hook_event *event)
{
	release_changes(event);
	mem_free(&event->pusher);
	mem_free(&event->default_branch);
	for (size_t i = 0; i < ARRAY_LEN(event->repositories); i++)
		mem_free(&event->repositories[i]);
	mem_free(&event->files);
	mem_free(&event->env_json);
	mem_free(&event->options_json);
	mem_free(&event->warning);
	*event = (struct hook_event){0};
}
