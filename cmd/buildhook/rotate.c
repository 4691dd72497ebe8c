/* `buildhook rotate`: asks for a new secret, and waits until it is there. */
#include "url.h"

#include "base/clock.h"
#include "base/mem.h"
#include "controller/rotation.h"
#include "kube/secrets.h"

#include <inttypes.h>
#include <stdio.h>

#define WAIT_MS         30000
#define STEP_MS         250
#define ROTATE_KEY      "buildhook.io/rotate"
#define MAX_VALUE_BYTES 100

struct options {
	bool with_secret;
};

static const struct flag flags[] = {
	{"with-secret", FLAG_BOOL, offsetof(struct options, with_secret), NULL,
	 "print the new secret, too", NULL},
};
static const size_t n_flags = ARRAY_LEN(flags);

static const char *annotation_of(const cJSON *object, const char *key)
{
	const cJSON *value = json_member(json_at(object, "metadata/annotations"), key);

	return cJSON_IsString(value) ? value->valuestring : "";
}

static bool is_ours(const cJSON *secret)
{
	const cJSON *label = json_member(json_at(secret, "metadata/labels"), KUBE_MANAGED_BY_LABEL);

	return cJSON_IsString(label) && strcmp(label->valuestring, "buildhook") == 0;
}

/* What rotates: a Secret, and the hook that it is of. */
struct subject {
	const char *name;
	enum hook_type type;
	char until[CLOCK_TEXT_BYTES];
	bool is_rotating; /* an older value is accepted until UNTIL */
};

/* Reads until when an old value is accepted; a Secret that had no value has none. */
static void read_previous(struct subject *subject, const cJSON *secret)
{
	const char *previous = json_str_at(secret, "data/" KUBE_SECRET_PREVIOUS_KEY);

	subject->is_rotating = previous && *previous;
	(void)snprintf(subject->until, sizeof(subject->until), "%s",
		       subject->is_rotating ? annotation_of(secret, "buildhook.io/previous-until")
					    : "");
}

#define MAX_SUBJECTS (HOOK_TYPES * BUILDCONFIG_MAX_SECRETS)

/* Finds the Secrets that buildhook made, or will make, for the chosen hooks. TYPE NULL: all. */
static int find_subjects(struct subject *out, size_t *n, struct session *session,
			 const struct target *target, const enum hook_type *type, struct err *err)
{
	*n = 0;
	for (size_t i = 0; i < HOOK_TYPES; i++) {
		const struct buildconfig_hook *hook = &target->bc->hooks[i];

		for (size_t k = 0; hook->exists && k < hook->n_secrets && (!type || *type == i);
		     k++) {
			CLEANUP(session_answer_release) struct session_answer answer = {0};

			if (hook->secrets[k].kind == BUILDCONFIG_SECRET_INLINE)
				continue;
			if (session_get(session, &answer, err, "/api/v1/namespaces/%s/secrets/%s",
					session_namespace(session), hook->secrets[k].text) != 0) {
				if (err->code != ERR_NOTFOUND)
					return err->code;
			}
			/* A Secret that was deleted is made again. */
			if (answer.doc && !is_ours(answer.doc))
				continue;
			out[*n] = (struct subject){.name = hook->secrets[k].text,
						   .type = (enum hook_type)i};
			if (answer.doc)
				read_previous(&out[*n], answer.doc);
			(*n)++;
		}
	}
	if (*n > 0)
		return 0;
	return err_set(
		err, ERR_NOTFOUND,
		"buildhook made no secret for these webhooks of \"%s\", so it rotates none: put a "
		"new value into your own Secret or trigger, and at the Git host",
		target->bc->name);
}

/* Only one old value is kept: a Git host that still signs with the older one is shut out. */
static void warn_of_rotation(const struct subject *subject)
{
	if (subject->is_rotating)
		(void)fprintf(stderr,
			      "Warning: secret/%s is being rotated already: the value that was "
			      "accepted until %s no longer is. If the Git host still has that one, "
			      "paste the new one now.\n",
			      subject->name, subject->until);
}

static int wait_for(struct subject *subject, struct session *session, const struct target *target,
		    struct err *err)
{
	struct clock *clock = session_clock(session);
	int64_t until_ms = clock_mono_ms(clock) + WAIT_MS;

	for (;;) {
		CLEANUP(session_answer_release) struct session_answer answer = {0};
		if (session_get(session, &answer, err, "/api/v1/namespaces/%s/secrets/%s",
				session_namespace(session), subject->name) != 0 &&
		    err->code != ERR_NOTFOUND)
			return err->code;
		if (answer.doc &&
		    !rotation_is_wanted(target->bc, subject->name,
					annotation_of(answer.doc, "buildhook.io/rotated"))) {
			read_previous(subject, answer.doc);
			return 0;
		}
		if (clock_mono_ms(clock) > until_ms)
			return err_set(
				err, ERR_UNAVAILABLE,
				"asked, but secret \"%.100s\" has not got a new value "
				"within %d s: does "
				"buildhook run, and watch namespace \"%s\"? See `%s status %s`",
				subject->name, WAIT_MS / 1000, session_namespace(session),
				target->program, target->bc->name);
		session_wait(session, STEP_MS);
	}
}

static int print_result(struct session *session, const struct target *target,
			const struct subject *subject, bool with_secret, struct err *err)
{
	CLEANUP(target_wipe) struct buf secret = BUF_INIT(8192);

	if (*subject->until)
		printf("secret/%s rotated; the old value is accepted until %s\n", subject->name,
		       subject->until);
	else
		printf("secret/%s has a new value; no old one is accepted\n", subject->name);
	if (with_secret && target_read_secret(&secret, session, target, subject->type, err) != 0)
		return err->code;
	printf("Paste the new one %s. ", *subject->until ? "before that" : "now");
	url_print_guide(target, subject->type, with_secret ? &secret : NULL, false);
	return 0;
}

static int rotate(const struct invocation *in, struct session *session, struct target *target,
		  struct err *err)
{
	const struct options *options = in->options;
	struct subject subjects[MAX_SUBJECTS];
	enum hook_type type = HOOK_GITHUB;
	const enum hook_type *only = in->n_args > 1 ? &type : NULL;
	char value[MAX_VALUE_BYTES], at[CLOCK_TEXT_BYTES];
	size_t n = 0;

	if (target_read(target, session, in->args[0], err) != 0 ||
	    (only && target_type(&type, target, in->args[1], err) != 0) ||
	    find_subjects(subjects, &n, session, target, only, err) != 0)
		return err->code;
	for (size_t i = 0; i < n; i++)
		warn_of_rotation(&subjects[i]);
	clock_format_rfc3339(at, clock_wall_ms(session_clock(session)), true);
	(void)snprintf(value, sizeof(value), "%s%s%s", only ? hook_type_name(type) : "",
		       only ? "=" : "", at);
	if (target_annotate(session, target, ROTATE_KEY, value, err) != 0)
		return err->code;
	/* The names in SUBJECTS point into the document that is read again here, so they are looked
	 * up again. */
	target_release(target);
	if (target_read(target, session, in->args[0], err) != 0 ||
	    find_subjects(subjects, &n, session, target, only, err) != 0)
		return err->code;
	for (size_t i = 0; i < n; i++)
		if (wait_for(&subjects[i], session, target, err) != 0 ||
		    print_result(session, target, &subjects[i], options->with_secret, err) != 0)
			return err->code;
	return 0;
}

static int run(const struct invocation *in)
{
	CLEANUP(session_freep) struct session *session = NULL;
	CLEANUP(target_release) struct target target = {0};
	struct err err = {0};

	if (session_open(&session, in, &err) != 0 || rotate(in, session, &target, &err) != 0)
		return session_fail(session, &err);
	return EXIT_OK;
}

const struct command command_rotate = {
	.name = "rotate",
	.args = "NAME [TYPE]",
	.summary = "make a new webhook secret",
	.about = "Asks buildhook for a new secret for the webhooks of BuildConfig NAME, or the one "
		 "of TYPE, by "
		 "annotation buildhook.io/rotate, waits for it, and says until when the old one is "
		 "accepted and "
		 "where to paste the new one. Only secrets that buildhook made are rotated.",
	.examples = "buildhook rotate cart\nbuildhook rotate cart github --with-secret",
	.min_args = 1,
	.max_args = 2,
	.arg_kinds = {ARG_BUILDCONFIG, ARG_TYPE},
	.shared = FLAGS_CLUSTER,
	.flags = flags,
	.n_flags = &n_flags,
	.options_size = sizeof(struct options),
	.run = run,
};
