/*
 * A Git host: how its deliveries are recognised, proved and read. Each host has a descriptor in its
 * own file, and a line in the table of hosts.c; nothing else in the program knows hosts by name.
 */
#pragma once

#include "hook/hook.h"

struct hook_decode;
struct hook_field;
struct hook_verify;

enum hook_media { HOOK_MEDIA_OTHER, HOOK_MEDIA_JSON, HOOK_MEDIA_YAML, HOOK_MEDIA_FORM };

/* An HMAC-SHA256 of the body in hex. */
struct hook_hex_rule {
	const char *header;
	const char *prefix;
	const char *malformed, *repeated;
};

#define HOOK_REPEATED " is sent more than once"
#define HOOK_HUB_RULE(header)                                                                      \
	{                                                                                          \
		header, "sha256=", header " is not \"sha256=\" and 64 lower-case hex digits",      \
			header HOOK_REPEATED                                                       \
	}
#define HOOK_BARE_RULE(header)                                                                     \
	{                                                                                          \
		header, "", header " is not 64 lower-case hex digits", header HOOK_REPEATED        \
	}
struct hook_host {
	const char *name;            /* "gitea": the provider of annotations, metrics and logs */
	enum hook_type type;         /* TYPE of the triggers that the host calls */
	const char *media;           /* media types that it sends, in words, for errors */
	bool takes_form, takes_yaml; /* besides JSON */
	bool replays_as_new;         /* delivers the same bytes again under another id */

	/* NULL: the host is recognised by its TYPE alone, and every POST is a push. */
	const char *event_header;
	const char *push_events[4];
	const char *ping_event;
	/* A ping is answered although it is not signed. */
	bool has_unsigned_ping;
	/* Headers that name the kind of owner of the hook: "repository", "organization", ... */
	const char *target_headers[2];
	const char *
		id_headers[2]; /* headers with the delivery's id; the first that is sent is taken */
	/*
	 * Among hosts with the same event header: does EVENT, which is no push and no ping of any
	 * of them, come from this one? NULL where no other host has the header.
	 */
	bool (*sends)(const struct hook_request *request);

	/* The proofs among the headers (hook/verify.h): a signature of the body in one header, or
	 * other proofs, which TAKE_PROOF reads. ABSENT: the refusal if there is no proof. */
	struct hook_hex_rule signature;
	void (*take_proof)(struct hook_verify *v);
	const char *absent;

	/* The payload of a push (hook/decode.h). */
	const struct hook_field *fields;
	size_t n_fields;
	/* Where the payload has a list of changes: one of them has been read into d->draft. */
	void (*add_change)(struct hook_decode *d, const struct hook_field *field);
	/* After the last byte: makes the event's changes. ERR_INVALID or ERR_LIMIT: what is missing
	 * or contradicts itself. */
	int (*finish)(struct hook_decode *d, struct err *err);
};

extern const struct hook_host hook_forgejo, hook_gitea, hook_gogs, hook_github, hook_gitlab,
	hook_bitbucket_cloud, hook_bitbucket_dc, hook_generic;

/* All hosts in the order in which their event headers are looked for; NULL ends them. */
#define HOOK_MAX_HOSTS 8
extern const struct hook_host *const hook_hosts[];

/* The host that sent REQUEST; NULL where none of the TYPE's hosts sends its headers. */
const struct hook_host *hook_host_find(const struct hook_request *request);
/* The host that TYPE is named after. */
const struct hook_host *hook_host_named(enum hook_type type);
/* EVENT is the value of the event header. */
bool hook_host_pushes(const struct hook_host *host, struct str event);
bool hook_host_pings(const struct hook_host *host, struct str event);
/* "no event header: expected X-GitHub-Event, ...": of the hosts that call TYPE. */
void hook_host_report_absent(struct err *err, enum hook_type type);

/* The first value of a header, empty without one; N (which may be NULL) is how many there are. */
struct str hook_header(const struct hook_request *request, const char *name, size_t *n);
bool hook_is_sent(const struct hook_request *request, const char *header);
