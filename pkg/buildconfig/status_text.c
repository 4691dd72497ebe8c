/*
 * The words of the status annotations, one function for each value: a hook's state, URL and
 * Secrets, and the line of a delivery. Hints are in hint.c.
 */
#include "buildconfig/status_text.h"

#include "base/clock.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

/* Most bytes of a name or ref within a line, so that the rest of the line is still shown. */
#define MAX_PART_BYTES 60
#define MAX_WHO_BYTES  40
#define COMMIT_BYTES   7
#define READY          "Ready"
#define NOT_READY      "NotReady: "
#define WAITS          ", a build waits: "

void status_put_name(struct buf *out, struct str name)
{
	buf_put_char(out, '"');
	buf_put_clean(out, name, MAX_PART_BYTES);
	buf_put_char(out, '"');
}

static enum status_secret_state state_of(const struct buildconfig_hook *hook,
					 const struct status_hook *seen, size_t i)
{
	bool is_inline = hook->secrets[i].kind == BUILDCONFIG_SECRET_INLINE;
	return is_inline ? STATUS_SECRET_USABLE : seen->secrets[i].state;
}

/* What is wrong with a Secret, and what to do. */
static void put_secret_problem(struct buf *out, const char *name, const struct status_secret *seen,
			       bool provision)
{
	buf_put_str(out, STR("Secret "));
	status_put_name(out, str_of(name));
	if (seen->problem && *seen->problem) {
		buf_put_str(out, STR(": "));
		buf_put_clean(out, str_of(seen->problem), STATUS_VALUE_BYTES);
	} else if (seen->state == STATUS_SECRET_MISSING) {
		buf_put_str(out, provision ? STR(" does not exist, buildhook is about to make it")
					   : STR(" does not exist: create it with key "
						 "WebHookSecretKey"));
	} else if (seen->state == STATUS_SECRET_FORMER) {
		buf_put_str(out, STR(" belongs to a deleted BuildConfig of this name: wait until "
				     "the garbage collector has removed it, or delete it"));
	} else if (seen->state == STATUS_SECRET_DENIED) {
		buf_put_str(out, STR(" may not be read: grant buildhook's ServiceAccount get on "
				     "Secrets in this namespace"));
	} else {
		buf_put_str(out, STR(" has no usable value: put one into its key "
				     "WebHookSecretKey"));
	}
}

static bool has_problem(const struct status_secret *secret)
{
	return secret->problem && *secret->problem;
}

/* The first secret that does not work or cannot be written, or n_secrets. */
static size_t find_bad(const struct buildconfig_hook *hook, const struct status_hook *seen)
{
	size_t i = 0;
	while (i < hook->n_secrets && !has_problem(&seen->secrets[i]) &&
	       (state_of(hook, seen, i) == STATUS_SECRET_USABLE ||
		state_of(hook, seen, i) == STATUS_SECRET_UNKNOWN))
		i++;
	return i;
}

static bool has_secret(const struct buildconfig_hook *hook, const struct status_hook *seen,
		       enum status_secret_state state)
{
	for (size_t i = 0; i < hook->n_secrets; i++)
		if (state_of(hook, seen, i) == state)
			return true;
	return false;
}

static void put_ready(struct buf *out, const struct buildconfig_hook *hook,
		      const struct status_hook *seen, const struct status_input *input)
{
	int64_t until_ms = 0;
	char until[CLOCK_TEXT_BYTES];
	for (size_t i = 0; i < hook->n_secrets; i++)
		if (seen->secrets[i].previous_until_ms > until_ms)
			until_ms = seen->secrets[i].previous_until_ms;
	buf_put_str(out, STR(READY));
	if (until_ms > input->now_ms) {
		clock_format_rfc3339(until, until_ms, false);
		buf_printf(out, ", the old secret is accepted until %s", until);
	}
	if (input->waiting && *input->waiting) {
		buf_put_str(out, STR(WAITS));
		buf_put_clean(out, str_of(input->waiting), STATUS_VALUE_BYTES);
	}
}

enum status_state status_put_state(struct buf *out, const struct buildconfig *bc,
				   const struct status_input *input, size_t type)
{
	const struct buildconfig_hook *hook = &bc->hooks[type];
	const struct status_hook *seen = &input->hooks[type];
	size_t bad = find_bad(hook, seen);
	bool is_usable = has_secret(hook, seen, STATUS_SECRET_USABLE);
	if (is_usable && !input->is_start_refused) {
		put_ready(out, hook, seen, input);
		return STATUS_READY;
	}
	if (!is_usable && has_secret(hook, seen, STATUS_SECRET_UNKNOWN))
		return STATUS_NO_STATE;
	buf_put_str(out, STR(NOT_READY));
	if (is_usable)
		buf_put_clean(out, str_of(input->waiting), STATUS_VALUE_BYTES);
	else if (bad < hook->n_secrets)
		put_secret_problem(out, hook->secrets[bad].text, &seen->secrets[bad],
				   input->provision);
	else
		buf_put_str(out, str_of(hook->problem));
	return STATUS_NOT_READY;
}

enum status_state status_read_state(const char *value)
{
	if (str_starts(str_of(value), STR(READY)))
		return STATUS_READY;
	return str_starts(str_of(value), STR(NOT_READY)) ? STATUS_NOT_READY : STATUS_NO_STATE;
}

bool status_says_waiting(const char *value)
{
	return strstr(value, WAITS) != NULL;
}

bool status_says_secret(const char *value)
{
	return str_starts(str_of(value), STR(NOT_READY "Secret "));
}

void status_put_url(struct buf *out, const struct buildconfig *bc, const char *public_url,
		    size_t type)
{
	struct str base = str_of(public_url);
	while (str_ends(base, STR("/")))
		base.n--;
	buf_put_str(out, base);
	buf_printf(out, "/hooks/%s/%s/%s", bc->namespace_, bc->name, hook_type_name(type));
}

void status_put_secrets(struct buf *out, const struct buildconfig_hook *hook)
{
	for (size_t i = 0; i < hook->n_secrets; i++) {
		if (i > 0)
			buf_put_str(out, STR(", "));
		if (hook->secrets[i].kind == BUILDCONFIG_SECRET_INLINE)
			buf_put_str(out, STR("(inline)"));
		else
			buf_put_str(out, str_of(hook->secrets[i].text));
	}
}

void status_put_refused(struct buf *out, const struct hook_activity *hook)
{
	buf_printf(out, "%" PRIu64 " since start, last: ", hook->refused);
	buf_put_clean(out, str_of(hook->refused_why), STATUS_VALUE_BYTES);
}

bool status_put_hook_fix(struct buf *out, const struct buildconfig_hook *hook,
			 const struct status_hook *seen, bool provision)
{
	size_t bad = find_bad(hook, seen);
	/* Where no secret works the hook's state says so. */
	if (!hook->exists || !has_secret(hook, seen, STATUS_SECRET_USABLE))
		return false;
	if (*hook->problem)
		buf_printf(out, STATUS_FIX "%s", hook->problem);
	else if (bad < hook->n_secrets) {
		buf_put_str(out, STR(STATUS_FIX));
		put_secret_problem(out, hook->secrets[bad].text, &seen->secrets[bad], provision);
	}
	return out->len > 0;
}

bool status_is_build_line(const struct buildconfig *bc, const char *line)
{
	static const char arrow[] = " -> ";
	const char *build = NULL;
	size_t digits = 0;
	for (const char *at = line; (at = strstr(at, arrow)); at += strlen(arrow))
		build = at + strlen(arrow);
	/* The name of a Build begins with that of its BuildConfig, or with a part of it. */
	if (!build || strncmp(build, bc->name, strnlen(bc->name, MAX_PART_BYTES)) != 0 ||
	    strpbrk(build, " ,:"))
		return false;
	while (digits < strlen(build) && strchr("0123456789", build[strlen(build) - 1 - digits]))
		digits++;
	return digits > 0 && digits < strlen(build) && build[strlen(build) - 1 - digits] == '-';
}

static void put_ref(struct buf *out, struct str ref)
{
	if (str_empty(ref))
		return;
	buf_put_str(out, str_starts(ref, STR("refs/tags/")) ? STR(" tag ") : STR(" "));
	buf_put_clean(out, ref_short(ref), MAX_PART_BYTES);
}

static void put_outcome(struct buf *out, const struct status_line *line)
{
	bool is_waiting = line->reason == OUTCOME_QUEUED || line->reason == OUTCOME_START;
	if (line->reason == OUTCOME_PING)
		return;
	buf_put_str(out, STR(" -> "));
	if (line->reason == OUTCOME_START && line->build && *line->build) {
		buf_put_clean(out, str_of(line->build), BUILDCONFIG_MAX_NAME);
		return;
	}
	if (is_waiting)
		buf_put_str(out, STR("waiting"));
	else if (line->reason == OUTCOME_FAILED)
		buf_put_str(out, STR("failed"));
	else {
		buf_put_str(out, STR("ignored: "));
		buf_put_str(out, str_of(outcome_name(line->reason)));
	}
	if (line->why && *line->why) {
		buf_put_str(out, STR(", "));
		buf_put_clean(out, str_of(line->why), STATUS_VALUE_BYTES);
	}
}

void status_format_last(char *out, size_t size, const struct status_line *line)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT(STATUS_URL_BYTES);
	struct str event = line->is_delete ? STR("delete") : str_of(line->event);
	buf_put_clean(&b, event, MAX_WHO_BYTES);
	put_ref(&b, str_of(line->ref));
	if (!str_empty(str_of(line->commit)) && !line->is_delete) {
		buf_put_char(&b, ' ');
		buf_put_clean(&b, str_cut_utf8(str_of(line->commit), COMMIT_BYTES), COMMIT_BYTES);
	}
	if (line->who && *line->who) {
		buf_put_str(&b, STR(" by "));
		buf_put_clean(&b, str_of(line->who), MAX_WHO_BYTES);
	}
	put_outcome(&b, line);
	struct str text = str_cut_utf8(buf_str(&b), size - 1);
	str_join(out, size, &text, 1);
}
