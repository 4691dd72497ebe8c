#include "hook_wait.h"

#include "base/clock.h"
#include "base/mem.h"

#define STEP_MS 250
/* The URL is written with the next status write; the secret alone is enough to go on. */
#define URL_WAIT_MS 10000

static int look(struct target *target, struct session *session, const char *name,
		enum hook_type type, struct buf *secret, struct err *err)
{
	target_wipe(secret);
	target_release(target);
	if (target_read(target, session, name, err) != 0)
		return err->code;
	return target_read_secret(secret, session, target, type, err);
}

int hook_wait_ready(struct target *target, struct session *session, const char *name,
		    enum hook_type type, struct buf *secret, struct err *err)
{
	struct clock *clock = session_clock(session);
	int64_t began_ms = clock_mono_ms(clock);

	for (;;) {
		int code = look(target, session, name, type, secret, err);
		int64_t waited_ms = clock_mono_ms(clock) - began_ms;

		if (code == 0 && (*target_fact(target, type, "url") || waited_ms > URL_WAIT_MS))
			return 0;
		/*
		 * A 404 of the BuildConfig ends the wait; a 404 of the Secret is what it waits for.
		 */
		if (code != 0 && (code != ERR_NOTFOUND || !target->bc))
			return code;
		if (waited_ms > HOOK_WAIT_MS)
			return err_set(
				err, ERR_UNAVAILABLE,
				"the trigger is there, but its secret was not made within %d s: "
				"does buildhook run, and watch namespace \"%s\"? A Secret that was "
				"deleted is made again by `%s rotate %s %s`",
				HOOK_WAIT_MS / 1000, session_namespace(session),
				session_program(session), name, hook_type_name(type));
		session_wait(session, STEP_MS);
	}
}
