#include "hook/generic_body.h"

#include "doc/yaml.h"

/* Most bytes of the JSON that a YAML body becomes, with its aliases expanded. */
#define MAX_JSON_BYTES 1048576

void hook_generic_body_release(struct hook_generic_body *body)
{
	buf_release(&body->yaml);
}

/* A body that is too long is ignored as a whole, so its rest is not read. */
void hook_generic_body_feed(struct hook_generic_body *body, const struct hook_envelope *envelope,
			    struct hook_decode *decode, struct str bytes)
{
	body->bytes += bytes.n;
	if (body->bytes > HOOK_MAX_GENERIC_BYTES)
		return;
	body->yaml.limit = HOOK_MAX_GENERIC_BYTES;
	if (envelope->media == HOOK_MEDIA_JSON)
		hook_decode_feed(decode, bytes);
	else if (envelope->media == HOOK_MEDIA_YAML)
		buf_put_str(&body->yaml, bytes);
}

/* YAML is converted to JSON, so that one table of fields reads both, as in OpenShift. */
static int feed_yaml(struct hook_generic_body *body, struct hook_decode *decode, struct err *err)
{
	CLEANUP(json_freep) cJSON *doc = NULL;
	CLEANUP(buf_release) struct buf json = BUF_INIT(MAX_JSON_BYTES);
	struct yaml_left_out left_out = {0};
	int failed = yaml_parse_telling(&doc, &left_out, buf_str(&body->yaml), &yaml_limits_payload,
					err);

	if (failed)
		return failed;
	if (left_out.documents)
		hook_warning_add(&decode->warning, STR("of the payload's documents"),
				 "only the first is read");
	if (left_out.tags)
		hook_warning_add(&decode->warning, STR("the payload's tags"),
				 "are ignored where JSON has no such type");
	json_format(&json, doc);
	if (json.overflow)
		return err_set(err, ERR_LIMIT, "the document is too long with its aliases");
	hook_decode_feed(decode, buf_str(&json));
	return 0;
}

static int read_body(struct hook_generic_body *body, const struct hook_envelope *envelope,
		     struct hook_decode *decode, struct err *err)
{
	int failed = 0;

	if (envelope->media_problem.code)
		return err_set(err, envelope->media_problem.code, "%s",
			       envelope->media_problem.msg);
	if (body->bytes > HOOK_MAX_GENERIC_BYTES)
		return err_set(err, ERR_LIMIT, "it has %zu bytes, at most %d are read", body->bytes,
			       HOOK_MAX_GENERIC_BYTES);
	if (envelope->media == HOOK_MEDIA_YAML)
		failed = feed_yaml(body, decode, err);
	return failed ? failed : hook_decode_finish(decode, err);
}

void hook_generic_body_finish(struct hook_generic_body *body, const struct hook_envelope *envelope,
			      struct hook_decode *decode)
{
	struct delivery_event *event = decode->event;
	CLEANUP(hook_warning_release) struct hook_warning warning = {0};
	struct err err = {0};

	if (body->bytes && !read_body(body, envelope, decode, &err))
		return;
	delivery_event_release(event);
	(void)delivery_event_add_change(event);
	if (body->bytes)
		hook_warning_add(&warning, STR("the payload is ignored:"), err.msg);
	event->warning = hook_warning_take(&warning);
}
