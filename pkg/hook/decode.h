/*
 * The parts that the hosts' decoders share. A decoder is a table of the payload's fields that it
 * reads, each with a function for its value, and a function that makes the event's changes of the
 * stored values after the last byte.
 *
 * Fields come in document order, which no host promises: nothing may depend on it. Null is the same
 * as absent. A malformed value that decides which commit is built (a ref, a commit) makes the
 * payload unreadable; one that only describes it (a name, a message) is treated as absent.
 */
#pragma once

#include "base/buf.h"
#include "base/mem.h"
#include "doc/json.h"
#include "doc/reader.h"
#include "hook/env.h"

#include "hook/host.h"
#include "hook/warning.h"

#define HOOK_MAX_TEXT_BYTES 255
#define HOOK_MAX_URL_BYTES  2048
#define HOOK_MAX_FILE_BYTES 4096
/* Commits of a list that are stored until the head is known. GitLab lists 20. */
#define HOOK_MAX_COMMITS 64

typedef void (*hook_field_fn)(struct hook_decode *d, const struct hook_field *field,
			      const struct reader_value *value);

struct hook_field {
	const char *path; /* as in struct reader_field */
	hook_field_fn set;
	size_t at; /* offset in struct hook_decode of the member that SET fills */
	uint32_t max_bytes;
};

/* A commit as a payload describes it. */
struct hook_commit {
	char *id;
	struct delivery_person author, committer;
	char *message;
};

/* A push that names one ref. */
struct hook_push {
	char *ref, *before, *after;
	char *checkout; /* the commit behind an annotated tag, where the host names it */
	bool is_deleted, is_forced;
	struct hook_commit head;
	bool has_total;
	uint64_t total_commits, n_commits;
	bool lacks_files;        /* the files of at least one commit are missing */
	size_t max_commit_files; /* the most files that are listed of one commit */
};

/* An element of a list the list of changes is there while it is being read. */
struct hook_draft {
	char *ref;                /* the ref, in full or as the host writes it */
	char *type;               /* type of the ref or of the change, in the host's word */
	char *old_ref, *old_type; /* the ref before it was renamed or deleted */
	char *ref_id;             /* the ref once more, beside the object that describes it */
	bool has_new, has_old;
	char *raw_author; /* "Name <mail>" */
	struct hook_commit commit;
};

/* Parts of a Generic payload. */
struct hook_generic {
	bool has_document, has_git;
	bool has_env, has_build_args, has_options; /* sent, even if left out */
	bool has_no_cache, no_cache;
	struct hook_env env; /* the entry that is being read */
	struct hook_env_list env_list, build_args;
};

struct hook_decode {
	const struct hook_host *host;
	struct delivery_event *event;
	struct reader *reader;
	struct err problem;    /* the first one; code 0: none */
	bool leaves_files_out; /* as in struct hook_request; set before hook_decode_init() */
	/* As in struct hook_request; set before the first byte. */
	bool allow_env;
	bool (*wants_ref)(const void *arg, struct str ref);
	const void *wants_ref_arg;

	char *pusher, *sender, *default_branch;
	char *object_kind, *event_name; /* GitLab: the event's name */
	char *project_key, *slug;       /* Data Center: where the repository is */
	/* Addresses of the repository, in the order of struct delivery_event. */
	char *clone_url, *ssh_url, *page_url;

	struct hook_push push;
	struct hook_commit commit; /* the element of a list that is being read */
	bool commit_has_files;
	size_t n_commit_files;
	struct hook_commit *commits; /* room for HOOK_MAX_COMMITS; NULL before the first */
	size_t n_commits;
	struct buf files;

	struct hook_draft draft;
	bool has_list; /* of changes */
	/* Of the changes that were added: refs that may build, and all others. */
	size_t n_wanted, n_unwanted;
	struct buf left_out; /* names of wanted refs over the limit */
	size_t n_left_out;

	struct hook_generic generic;
	struct hook_warning warning;
};

/* HOST, EVENT and the struct that D is embedded in must not move while D lives. */
void hook_decode_init(struct hook_decode *d, const struct hook_host *host,
		      struct delivery_event *event);
void hook_decode_release(struct hook_decode *d);
void hook_decode_feed(struct hook_decode *d, struct str bytes);
int hook_decode_finish(struct hook_decode *d, struct err *err);

/*
 * The payload cannot be read: FIELD's value is not EXPECTED, which continues "expected ". The first
 * such problem is the one that is reported.
 */
void hook_decode_refuse(struct hook_decode *d, const struct hook_field *field,
			const struct reader_value *value, const char *expected);

/* The value is passed over, and a warning says so. */
void hook_decode_leave_out(struct hook_decode *d, const struct hook_field *field,
			   const struct reader_value *value, const char *expected);

/* As hook_decode_refuse(), for an object whose members contradict each other or are missing. */
void hook_decode_lack(struct hook_decode *d, const struct hook_field *field, const char *what);

/* Functions for the tables. Those for text fill a char *. */
void hook_read_text(struct hook_decode *d, const struct hook_field *field,
		    const struct reader_value *value);
/* As hook_read_text(); any other type but null makes the payload unreadable. */
void hook_read_name(struct hook_decode *d, const struct hook_field *field,
		    const struct reader_value *value);
/* A valid ref; a name without "refs/" is a branch. Filled in full. */
void hook_read_ref(struct hook_decode *d, const struct hook_field *field,
		   const struct reader_value *value);
/* Object id in hex, or null. Filled in lower case. */
void hook_read_id(struct hook_decode *d, const struct hook_field *field,
		  const struct reader_value *value);
/* These two are not looked for where file names are left out. */
/* Notes that a commit in the list has a list of files. */
void hook_read_files(struct hook_decode *d, const struct hook_field *field,
		     const struct reader_value *value);
/* The name of a changed file. */
void hook_read_file(struct hook_decode *d, const struct hook_field *field,
		    const struct reader_value *value);
/* Fills a bool. */
void hook_read_flag(struct hook_decode *d, const struct hook_field *field,
		    const struct reader_value *value);
/* Notes that the list of changes is there. */
void hook_read_list(struct hook_decode *d, const struct hook_field *field,
		    const struct reader_value *value);
/* An element of that list, whose members are read into d->draft: the host's add_change() at its
 * end. */
void hook_read_change(struct hook_decode *d, const struct hook_field *field,
		      const struct reader_value *value);
int hook_require_list(const struct hook_decode *d, const char *path, struct err *err);
/* Adds an address to the event's repositories, or fills the char * that FIELD names. */
void hook_read_repository(struct hook_decode *d, const struct hook_field *field,
			  const struct reader_value *value);

#define HOOK_AT(member) offsetof(struct hook_decode, member)
#define HOOK_TEXT(path, member)                                                                    \
	{                                                                                          \
		path, hook_read_text, HOOK_AT(member), HOOK_MAX_TEXT_BYTES                         \
	}
#define HOOK_NAME(path, member)                                                                    \
	{                                                                                          \
		path, hook_read_name, HOOK_AT(member), DELIVERY_MAX_REF_BYTES                      \
	}
#define HOOK_REF(path, member)                                                                     \
	{                                                                                          \
		path, hook_read_ref, HOOK_AT(member), DELIVERY_MAX_REF_BYTES                       \
	}
#define HOOK_ID(path, member)                                                                      \
	{                                                                                          \
		path, hook_read_id, HOOK_AT(member), HOOK_MAX_TEXT_BYTES                           \
	}
#define HOOK_FLAG(path, member)                                                                    \
	{                                                                                          \
		path, hook_read_flag, HOOK_AT(member), HOOK_MAX_TEXT_BYTES                         \
	}
#define HOOK_MESSAGE(path, member)                                                                 \
	{                                                                                          \
		path, hook_read_text, HOOK_AT(member), DELIVERY_MAX_MESSAGE_BYTES                  \
	}
#define HOOK_REPOSITORY(path)                                                                      \
	{                                                                                          \
		path, hook_read_repository, 0, HOOK_MAX_URL_BYTES                                  \
	}
#define HOOK_URL(path, member)                                                                     \
	{                                                                                          \
		path, hook_read_repository, HOOK_AT(member), HOOK_MAX_URL_BYTES                    \
	}
#define HOOK_CHANGES(path)                                                                         \
	{path, hook_read_list, 0, HOOK_MAX_TEXT_BYTES},                                            \
	{                                                                                          \
		path "/*", hook_read_change, 0, HOOK_MAX_TEXT_BYTES                                \
	}
#define HOOK_PERSON(path, member, mail)                                                            \
	HOOK_TEXT(path "/name", member.name), HOOK_TEXT(path "/" mail, member.email)

/* Free the members, and empty the struct. */
void hook_commit_release(struct hook_commit *commit);
void hook_draft_release(struct hook_draft *draft);
/*
 * One more change of *REF (NULL: Generic's without one), which is taken. NULL when there is no
 * room: the ref is passed over, and a warning names it where it might build.
 */
struct delivery_change *hook_decode_add_change(struct hook_decode *d, char **ref, bool is_delete);
/* Copies author, committer and message: two refs may point at one commit. */
void hook_change_describe(struct delivery_change *change, const struct hook_commit *commit);
