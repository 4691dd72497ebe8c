/* `buildhook redeliver`: asks for a journaled delivery once more, and waits for its build. */
#include "target.h"

#include "view.h"

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/crypto.h"

#include <stdio.h>

/* After 60 s without a replica that has it the hint says so; it is written some seconds later. */
#define WAIT_MS      75000
#define STEP_MS      500
#define KEY          "buildhook.io/redeliver"
#define NONCE_BYTES  8
#define MAX_ID_BYTES 128

/* The ID becomes the first word of an annotation. */
static int check_id(const char *id, struct err *err)
{
	size_t n = strlen(id);

	for (size_t i = 0; i < n; i++)
		if (id[i] <= ' ' || id[i] > '~')
			n = 0;
	if (n > 0 && n <= MAX_ID_BYTES)
		return 0;
	return err_set(
		err, ERR_INVALID,
		"ID: found \"%.40s\", expected a delivery's id, as on the Git host's page or in a "
		"Build's annotation buildhook.io/delivery-id",
		id);
}

/* A Build of the delivery that is not among BEFORE; NULL: none. Lent by NOW. */
static const cJSON *find_new_build(const cJSON *now, const cJSON *before, const char *id)
{
	const cJSON *build = NULL;

	cJSON_ArrayForEach (build, now) {
		const char *uid = json_str_at(build, "metadata/uid");

		if (uid && strcmp(view_annotation(build, "buildhook.io/delivery-id"), id) == 0 &&
		    !json_find(before, "metadata/uid", uid))
			return build;
	}
	return NULL;
}

static int list_builds(struct session_answer *out, struct session *session, struct err *err)
{
	session_answer_release(out);
	return session_get(session, out, err, "/apis/build.openshift.io/v1/namespaces/%s/builds",
			   session_namespace(session));
}

/* True if the hint says that no replica has the delivery. */
static bool is_unknown(const struct target *target)
{
	const char *hint = target_annotation(target, "buildhook.io/hint");

	return strncmp(hint, KEY ": no delivery ", sizeof(KEY) + 13) == 0;
}

/* Removes annotation redeliver if it is still REQUEST, because its hint would stay. A newer request
 * stays. */
static void withdraw(struct session *session, const struct target *target, const char *request)
{
	struct err ignored = {0};

	if (strcmp(target_annotation(target, KEY), request) == 0)
		(void)target_annotate(session, target, KEY, NULL, &ignored);
}

static int wait_for(struct session *session, const char *name, const char *id, const char *request,
		    const cJSON *before, struct err *err)
{
	int64_t until_ms = clock_mono_ms(session_clock(session)) + WAIT_MS;

	while (clock_mono_ms(session_clock(session)) < until_ms) {
		CLEANUP(session_answer_release) struct session_answer builds = {0};
		CLEANUP(target_release) struct target target = {0};
		const cJSON *build;

		session_wait(session, STEP_MS);
		if (list_builds(&builds, session, err) != 0 ||
		    target_read(&target, session, name, err) != 0)
			return err->code;
		build = find_new_build(json_member(builds.doc, "items"), before, id);
		if (build) {
			printf("build.build.openshift.io/%s started by delivery %s\n",
			       json_str_at(build, "metadata/name"), id);
			return 0;
		}
		if (is_unknown(&target)) {
			withdraw(session, &target, request);
			return err_set(err, ERR_NOTFOUND,
				       "no replica has delivery \"%s\": ones that were ignored or "
				       "refused are "
				       "not kept, and others for 72 hours. Redeliver it at the Git "
				       "host, where "
				       "it is judged again",
				       id);
		}
	}
	return err_set(err, ERR_UNAVAILABLE,
		       "asked, but no build has started within %d s: see `%s status %s`; the "
		       "build may wait, or no buildhook watches the namespace",
		       WAIT_MS / 1000, session_program(session), name);
}

/* Refuses the name of a Build, and names the id of the delivery that started it. */
static int refuse_build(const struct invocation *in, const cJSON *builds, struct err *err)
{
	const cJSON *build = NULL;

	cJSON_ArrayForEach (build, builds) {
		const char *name = json_str_at(build, "metadata/name");
		const char *id = view_annotation(build, "buildhook.io/delivery-id");

		if (!name || strcmp(name, in->args[1]) != 0)
			continue;
		if (*id)
			return err_set(err, ERR_INVALID,
				       "\"%s\" is a Build; ID is that of its delivery: `%s "
				       "redeliver %s %.128s`",
				       name, in->program, in->args[0], id);
		return err_set(
			err, ERR_INVALID,
			"\"%s\" is a Build, and no delivery started it: `%s start %s` starts "
			"another",
			name, in->program, in->args[0]);
	}
	return 0;
}

static int redeliver(const struct invocation *in, struct session *session, struct err *err)
{
	CLEANUP(target_release) struct target target = {0};
	CLEANUP(session_answer_release) struct session_answer before = {0};
	unsigned char nonce[NONCE_BYTES];
	char hex[2 * NONCE_BYTES + 1], value[MAX_ID_BYTES + sizeof(hex) + 1];

	if (target_read(&target, session, in->args[0], err) != 0 ||
	    list_builds(&before, session, err) != 0 ||
	    refuse_build(in, json_member(before.doc, "items"), err) != 0)
		return err->code;
	crypto_random(NULL, nonce, sizeof(nonce));
	crypto_hex(hex, nonce, sizeof(nonce));
	(void)snprintf(value, sizeof(value), "%s %s", in->args[1], hex);
	if (target_annotate(session, &target, KEY, value, err) != 0)
		return err->code;
	(void)fprintf(stderr, "Asked for it. Where no buildhook has this delivery, that shows in a "
			      "minute.\n");
	return wait_for(session, in->args[0], in->args[1], value, json_member(before.doc, "items"),
			err);
}

static int run(const struct invocation *in)
{
	CLEANUP(session_freep) struct session *session = NULL;
	struct err err = {0};

	if (check_id(in->args[1], &err) != 0)
		return command_fail_usage(in, &err);
	if (session_open(&session, in, &err) != 0 || redeliver(in, session, &err) != 0)
		return session_fail(session, &err);
	return EXIT_OK;
}

const struct command command_redeliver = {
	.name = "redeliver",
	.args = "NAME ID",
	.summary = "start the build of an earlier delivery once more",
	.about = "Asks buildhook, by annotation buildhook.io/redeliver, for delivery ID of "
		 "BuildConfig NAME once "
		 "more, and waits for its build. It builds again even if it has built. The id is "
		 "on the Git "
		 "host's page of deliveries and in `history -o wide`.\n\nDeliveries that were "
		 "ignored or "
		 "refused are not "
		 "kept: redeliver them at the Git host, where they are judged again.",
	.examples = "buildhook redeliver cart 72d3162e-cc78-11e3-81ab-4c9367dc0958",
	.min_args = 2,
	.max_args = 2,
	.arg_kinds = {ARG_BUILDCONFIG, ARG_OTHER},
	.shared = FLAGS_CLUSTER,
	.run = run,
};
