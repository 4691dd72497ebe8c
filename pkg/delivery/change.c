/* The memory of an event. */
#include "delivery/change.h"

#include "base/mem.h"

void delivery_person_release(struct delivery_person *person)
{
	mem_free(&person->name);
	mem_free(&person->email);
}

struct delivery_change *delivery_event_add_change(struct delivery_event *event)
{
	struct delivery_change *change = NULL;

	event->changes = mem_resize(event->changes, event->n_changes + 1, sizeof(*event->changes));
	change = &event->changes[event->n_changes++];
	*change = (struct delivery_change){0};
	return change;
}

static void release_changes(struct delivery_event *event)
{
	for (size_t i = 0; i < event->n_changes; i++) {
		struct delivery_change *change = &event->changes[i];

		mem_free(&change->ref);
		mem_free(&change->commit);
		delivery_person_release(&change->author);
		delivery_person_release(&change->committer);
		mem_free(&change->message);
	}
	mem_free(&event->changes);
}

void delivery_event_release(struct delivery_event *event)
{
	release_changes(event);
	mem_free(&event->pusher);
	mem_free(&event->default_branch);
	for (size_t i = 0; i < ARRAY_LEN(event->repositories); i++)
		mem_free(&event->repositories[i]);
	mem_free(&event->repository_path);
	mem_free(&event->files);
	mem_free(&event->env_json);
	mem_free(&event->options_json);
	mem_free(&event->warning);
	*event = (struct delivery_event){0};
}
