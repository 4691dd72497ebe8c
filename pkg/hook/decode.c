/* The memory of a decoder, and the functions that its tables name. */
#include "hook/decode.h"

#include "hook/ref.h"

#include <assert.h>
#include <stdlib.h>

/* Most bytes of the value that was found, in an error. */
#define QUOTED_BYTES 60
/* Most bytes of the names of refs that are not built, in a warning. */
#define LEFT_OUT_BYTES 300

void hook_commit_release(struct hook_commit *commit)
{
	mem_free(&commit->id);
	delivery_person_release(&commit->author);
	delivery_person_release(&commit->committer);
	mem_free(&commit->message);
}

static void release_push(struct hook_push *push)
{
	mem_free(&push->ref);
	mem_free(&push->before);
	mem_free(&push->after);
	mem_free(&push->checkout);
	hook_commit_release(&push->head);
}

void hook_draft_release(struct hook_draft *draft)
{
	mem_free(&draft->ref);
	mem_free(&draft->type);
	mem_free(&draft->old_ref);
	mem_free(&draft->old_type);
	mem_free(&draft->ref_id);
	mem_free(&draft->raw_author);
	hook_commit_release(&draft->commit);
	*draft = (struct hook_draft){0};
}

static void on_value(void *arg, int field, const struct reader_value *value)
{
	struct hook_decode *d = arg;
	const struct hook_field *wanted = &d->host->fields[field];

	wanted->set(d, wanted, value);
}

/*
 * What the reader looks for is the same in each delivery of a host, so it is prepared once, at the
 * first, and kept. Deliveries are decoded on one thread.
 */
static const struct reader_paths *get_paths(const struct hook_host *host, bool leaves_files_out)
{
	static struct {
		const struct hook_host *host;
		bool leaves_files_out;
		struct reader_paths *paths;
	} kept[2 * HOOK_MAX_HOSTS];
	struct reader_field *fields = NULL;
	size_t i = 0, n = 0;

	while (kept[i].host &&
	       (kept[i].host != host || kept[i].leaves_files_out != leaves_files_out))
		i++;
	assert(i < ARRAY_LEN(kept) && host->n_fields <= READER_MAX_FIELDS);
	if (kept[i].host)
		return kept[i].paths;
	fields = mem_new(host->n_fields, sizeof(*fields));
	for (size_t k = 0; k < host->n_fields; k++)
		if (!leaves_files_out || (host->fields[k].set != hook_read_file &&
					  host->fields[k].set != hook_read_files))
			fields[n++] = (struct reader_field){
				.path = host->fields[k].path,
				.field = (int)k,
				.max_bytes = host->fields[k].max_bytes,
			};
	kept[i].paths = reader_paths_new(fields, n);
	kept[i].host = host;
	kept[i].leaves_files_out = leaves_files_out;
	return kept[i].paths;
}

void hook_decode_init(struct hook_decode *d, const struct hook_host *host,
		      struct delivery_event *event)
{
	d->host = host;
	d->event = event;
	d->files.limit = DELIVERY_MAX_FILES_BYTES;
	d->left_out.limit = HOOK_MAX_WARNING_BYTES;
	d->reader = reader_new(get_paths(host, d->leaves_files_out), on_value, d);
}

void hook_decode_release(struct hook_decode *d)
{
	reader_freep(&d->reader);
	mem_free(&d->pusher);
	mem_free(&d->sender);
	mem_free(&d->default_branch);
	mem_free(&d->object_kind);
	mem_free(&d->event_name);
	mem_free(&d->project_key);
	mem_free(&d->slug);
	mem_free(&d->clone_url);
	mem_free(&d->ssh_url);
	mem_free(&d->page_url);
	release_push(&d->push);
	hook_commit_release(&d->commit);
	for (size_t i = 0; i < d->n_commits; i++)
		hook_commit_release(&d->commits[i]);
	mem_free(&d->commits);
	buf_release(&d->files);
	buf_release(&d->left_out);
	hook_draft_release(&d->draft);
	hook_env_release(&d->generic.env);
	json_freep(&d->generic.env_list.items);
	json_freep(&d->generic.build_args.items);
	hook_warning_release(&d->warning);
}

void hook_decode_feed(struct hook_decode *d, struct str bytes)
{
	struct err err = {0};

	if (d->problem.code)
		return;
	/* A problem that a callback reported is about earlier bytes than the reader's error, so it
	 * is kept. */
	if (reader_feed(d->reader, bytes, &err) && !d->problem.code)
		d->problem = err;
}

/* Takes ADDRESS, which may be NULL. */
static void add_repository(struct delivery_event *event, char *address)
{
	for (size_t i = 0; address && i < ARRAY_LEN(event->repositories); i++)
		if (!event->repositories[i]) {
			event->repositories[i] = address;
			return;
		}
	free(address);
}

/* "refs/heads/" is not part of a default branch's name; one host might yet send it. */
static void give_names(struct hook_decode *d)
{
	struct str branch = str_of(d->default_branch);

	branch = str_without_prefix(branch, STR("refs/heads/"));
	d->event->default_branch = str_empty(branch) ? NULL : str_dup(branch);
	d->event->pusher = d->pusher ? TAKE(d->pusher) : TAKE(d->sender);
	add_repository(d->event, TAKE(d->clone_url));
	add_repository(d->event, TAKE(d->ssh_url));
	add_repository(d->event, TAKE(d->page_url));
}

static void warn_of_left_out(struct hook_decode *d)
{
	CLEANUP(buf_release) struct buf why = BUF_INIT(HOOK_MAX_WARNING_BYTES);

	if (d->n_left_out == 0 || d->event->is_first_match_only)
		return;
	buf_printf(&why,
		   "not built, as a delivery starts at most %d builds: ", DELIVERY_MAX_STARTS);
	buf_put_clean(&why, buf_str(&d->left_out), LEFT_OUT_BYTES);
	if (d->left_out.overflow || d->left_out.len > LEFT_OUT_BYTES)
		buf_put_str(&why, STR("..."));
	hook_warning_add(&d->warning, str_of(d->n_left_out == 1 ? "a ref is" : "some refs are"),
			 why.data);
}

int hook_decode_finish(struct hook_decode *d, struct err *err)
{
	if (!d->problem.code)
		(void)reader_finish(d->reader, &d->problem);
	if (!d->problem.code)
		(void)d->host->finish(d, &d->problem);
	if (d->problem.code)
		return err_set(err, d->problem.code, "%s", d->problem.msg);
	give_names(d);
	warn_of_left_out(d);
	d->event->warning = hook_warning_take(&d->warning);
	return 0;
}

static void put_found(struct buf *text, const struct reader_value *value)
{
	if (value->type == READER_STRING) {
		buf_put_char(text, '"');
		buf_put_clean(text, value->text, QUOTED_BYTES);
		buf_put_str(text, value->is_cut || value->text.n > QUOTED_BYTES ? STR("...\"")
										: STR("\""));
	} else if (value->type == READER_NUMBER) {
		buf_put_str(text, STR("the number "));
		buf_put_clean(text, value->text, QUOTED_BYTES);
	} else {
		buf_put_str(text, str_of(reader_type_name(value->type)));
	}
}

void hook_decode_refuse(struct hook_decode *d, const struct hook_field *field,
			const struct reader_value *value, const char *expected)
{
	CLEANUP(buf_release) struct buf found = BUF_INIT(256);

	if (d->problem.code)
		return;
	put_found(&found, value);
	err_set(&d->problem, ERR_INVALID, "at %s: found %s, expected %s",
		*field->path ? field->path : "the top", found.data, expected);
}

void hook_decode_leave_out(struct hook_decode *d, const struct hook_field *field,
			   const struct reader_value *value, const char *expected)
{
	CLEANUP(buf_release) struct buf why = BUF_INIT(256);

	buf_put_str(&why, STR("is left out: found "));
	put_found(&why, value);
	buf_printf(&why, ", expected %s", expected);
	hook_warning_add(&d->warning, str_of(field->path), why.data);
}

void hook_decode_lack(struct hook_decode *d, const struct hook_field *field, const char *what)
{
	if (!d->problem.code)
		err_set(&d->problem, ERR_INVALID, "at %s: %s", field->path, what);
}

static void set_text(struct hook_decode *d, const struct hook_field *field, struct str text)
{
	char **slot = (char **)((char *)d + field->at);

	mem_free(slot);
	*slot = str_dup(text);
}

/* True for a field of a commit that will not be kept. */
static bool is_left_out(const struct hook_decode *d, const struct hook_field *field)
{
	return d->n_commits == HOOK_MAX_COMMITS && field->at >= HOOK_AT(commit) &&
	       field->at < HOOK_AT(commit) + sizeof(d->commit);
}

void hook_read_text(struct hook_decode *d, const struct hook_field *field,
		    const struct reader_value *value)
{
	if (value->type == READER_STRING && !str_empty(value->text) && !is_left_out(d, field))
		set_text(d, field, value->text);
}

void hook_read_name(struct hook_decode *d, const struct hook_field *field,
		    const struct reader_value *value)
{
	if (value->type == READER_NULL)
		return;
	if (value->type != READER_STRING || value->is_cut)
		hook_decode_refuse(d, field, value, "a string");
	else
		set_text(d, field, value->text);
}

void hook_read_ref(struct hook_decode *d, const struct hook_field *field,
		   const struct reader_value *value)
{
	CLEANUP(buf_release) struct buf full = BUF_INIT(DELIVERY_MAX_REF_BYTES);

	if (value->type != READER_STRING || value->is_cut || !hook_ref_can_be_full(value->text)) {
		hook_decode_refuse(d, field, value, "a ref like \"refs/heads/main\"");
		return;
	}
	hook_ref_put_full(&full, value->text);
	set_text(d, field, buf_str(&full));
}

void hook_read_id(struct hook_decode *d, const struct hook_field *field,
		  const struct reader_value *value)
{
	if (value->type == READER_NULL)
		return;
	if (value->type != READER_STRING || !hook_id_is_valid(value->text)) {
		hook_decode_refuse(d, field, value, "a commit: 40 or 64 hex digits");
		return;
	}
	set_text(d, field, value->text);
	hook_id_lower(*(char **)((char *)d + field->at));
}

void hook_read_file(struct hook_decode *d, const struct hook_field *field,
		    const struct reader_value *value)
{
	(void)field;
	if (++d->n_commit_files > d->push.max_commit_files)
		d->push.max_commit_files = d->n_commit_files;
	if (value->type != READER_STRING || value->is_cut ||
	    value->text.n >= d->files.limit - d->files.len) {
		d->push.lacks_files = true;
		return;
	}
	buf_put_str(&d->files, value->text);
	buf_put_char(&d->files, 0);
}

void hook_read_files(struct hook_decode *d, const struct hook_field *field,
		     const struct reader_value *value)
{
	(void)field;
	d->commit_has_files |= value->type == READER_ARRAY;
}

void hook_read_flag(struct hook_decode *d, const struct hook_field *field,
		    const struct reader_value *value)
{
	bool *slot = (bool *)((char *)d + field->at);

	if (value->type != READER_NULL && value->type != READER_TRUE && value->type != READER_FALSE)
		hook_decode_refuse(d, field, value, "true or false");
	*slot = value->type == READER_TRUE;
}

void hook_read_list(struct hook_decode *d, const struct hook_field *field,
		    const struct reader_value *value)
{
	if (value->type == READER_ARRAY)
		d->has_list = true;
	else if (value->type != READER_END)
		hook_decode_refuse(d, field, value, "a list of changes");
}

void hook_read_change(struct hook_decode *d, const struct hook_field *field,
		      const struct reader_value *value)
{
	if (value->type == READER_END)
		d->host->add_change(d, field);
	else if (value->type != READER_OBJECT)
		hook_decode_refuse(d, field, value, "a change of a ref");
	hook_draft_release(&d->draft);
}

int hook_require_list(const struct hook_decode *d, const char *path, struct err *err)
{
	if (d->has_list)
		return 0;
	return err_set(err, ERR_INVALID, "at %s: found nothing, expected a list of changes", path);
}

void hook_read_repository(struct hook_decode *d, const struct hook_field *field,
			  const struct reader_value *value)
{
	if (value->type != READER_STRING || value->is_cut || str_empty(value->text))
		return;
	if (field->at)
		set_text(d, field, value->text);
	else
		add_repository(d->event, str_dup(value->text));
}

/* Deleted refs never build, whatever the BuildConfig asks for. */
static bool is_wanted(const struct hook_decode *d, const char *ref, bool is_delete)
{
	return !is_delete && (!ref || !d->wants_ref || d->wants_ref(d->wants_ref_arg, str_of(ref)));
}

struct delivery_change *hook_decode_add_change(struct hook_decode *d, char **ref, bool is_delete)
{
	bool wanted = is_wanted(d, *ref, is_delete);
	size_t *n = wanted ? &d->n_wanted : &d->n_unwanted;
	struct delivery_change *change = NULL;

	if (*n == DELIVERY_MAX_STARTS) {
		if (wanted) {
			buf_printf(&d->left_out, "%s%s", d->n_left_out ? ", " : "", *ref);
			d->n_left_out++;
		}
		return NULL;
	}
	++*n;
	change = delivery_event_add_change(d->event);
	change->ref = TAKE(*ref);
	change->is_delete = is_delete;
	return change;
}

static void copy_person(struct delivery_person *out, const struct delivery_person *person)
{
	out->name = mem_strdup(person->name);
	out->email = mem_strdup(person->email);
}

void hook_change_describe(struct delivery_change *change, const struct hook_commit *commit)
{
	copy_person(&change->author, &commit->author);
	copy_person(&change->committer, &commit->committer);
	change->message = mem_strdup(commit->message);
}
