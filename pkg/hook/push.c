#include "hook/push.h"

#include "hook/ref.h"

#define PLENTY_OF_COMMITS 1000000000

static void keep_commit(struct hook_decode *d)
{
	if (d->commit.id && d->n_commits < HOOK_MAX_COMMITS) {
		if (!d->commits)
			d->commits = mem_new(HOOK_MAX_COMMITS, sizeof(*d->commits));
		d->commits[d->n_commits++] = d->commit;
		d->commit = (struct hook_commit){0};
	}
	hook_commit_release(&d->commit);
}

void hook_read_commit(struct hook_decode *d, const struct hook_field *field,
		      const struct reader_value *value)
{
	(void)field;
	if (value->type == READER_OBJECT) {
		d->push.n_commits++;
		d->commit_has_files = false;
		d->n_commit_files = 0;
	} else {
		d->push.lacks_files |= !d->commit_has_files;
		keep_commit(d);
	}
}

void hook_read_total(struct hook_decode *d, const struct hook_field *field,
		     const struct reader_value *value)
{
	(void)field;
	d->push.has_total = value->type == READER_NUMBER &&
			    str_parse_u64(value->text, PLENTY_OF_COMMITS, &d->push.total_commits);
}

static bool is_of(const struct hook_commit *commit, const char *id)
{
	return commit->id && str_eq_nocase(str_of(commit->id), str_of(id));
}

void hook_describe_from_list(struct delivery_change *change, const struct hook_decode *d)
{
	if (is_of(&d->push.head, change->commit)) {
		hook_change_describe(change, &d->push.head);
		return;
	}
	for (size_t i = 0; i < d->n_commits; i++)
		if (is_of(&d->commits[i], change->commit)) {
			hook_change_describe(change, &d->commits[i]);
			return;
		}
}

static void give_files(struct hook_decode *d, bool lists_all)
{
	struct delivery_event *event = d->event;

	event->have_all_files = lists_all && d->files.len && !d->push.lacks_files;
	event->files_bytes = d->files.len;
	event->files = d->files.len ? buf_take(&d->files) : NULL;
}

int hook_push_finish(struct hook_decode *d, const char *commit, bool lists_all, struct err *err)
{
	struct hook_push *push = &d->push;
	struct delivery_change *change = NULL;

	if (!push->ref)
		return err_set(err, ERR_INVALID,
			       "at /ref: found nothing, expected a full ref like "
			       "\"refs/heads/main\"");
	push->is_deleted |= hook_id_is_zero(str_of(push->after)) || hook_id_is_zero(str_of(commit));
	if (!push->is_deleted && !commit)
		return err_set(err, ERR_INVALID,
			       "at /after: found nothing, expected the commit that the ref "
			       "points at");
	change = hook_decode_add_change(d, &push->ref, push->is_deleted);
	if (change->is_delete)
		return 0;
	change->commit = mem_strdup(commit);
	hook_describe_from_list(change, d);
	give_files(d, lists_all);
	return 0;
}
