/* YAML by libyaml: runs its parser within the limits, and gives its events to yaml_builder.c. */
#include "doc/yaml.h"

#include "base/mem.h"
#include "doc/yaml_builder.h"

#include <stdlib.h>

#include <yaml.h>

/* Bounded because libyaml compares each tag directive with all before it. */
#define MAX_TAG_DIRECTIVES 32

const struct yaml_limits yaml_limits_file = {
	.max_bytes = 1 << 20, .max_depth = 64, .max_nodes = 100000, .max_aliases = 100};
const struct yaml_limits yaml_limits_payload = {
	.max_bytes = 1 << 16, .max_depth = 16, .max_nodes = 4096, .max_aliases = 16};

static int wrap_place(struct err *err, yaml_mark_t mark)
{
	return err_wrap(err, "line %zu, column %zu", mark.line + 1, mark.column + 1);
}

static int add_scalar(struct yaml_builder *builder, const yaml_event_t *event, struct err *err)
{
	struct yaml_scalar scalar = {
		.text = str_range((const char *)event->data.scalar.value,
				  event->data.scalar.length),
		.tag = (const char *)event->data.scalar.tag,
		.is_plain = event->data.scalar.plain_implicit,
	};

	return yaml_builder_add_scalar(builder, &scalar, (const char *)event->data.scalar.anchor,
				       err);
}

/* libyaml also accepts YAML 1.2, whose scalars mean something else. */
static int check_version(const yaml_event_t *event, struct err *err)
{
	const yaml_version_directive_t *version = event->data.document_start.version_directive;

	if (!version || (version->major == 1 && version->minor == 1))
		return 0;
	return err_set(err, ERR_INVALID, "YAML %d.%d, expected 1.1", version->major,
		       version->minor);
}

static int add_event(struct yaml_builder *builder, const yaml_event_t *event, struct err *err)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		return check_version(event, err);
	case YAML_SCALAR_EVENT:
		return add_scalar(builder, event, err);
	case YAML_ALIAS_EVENT:
		return yaml_builder_add_alias(builder, (const char *)event->data.alias.anchor, err);
	case YAML_SEQUENCE_START_EVENT:
		return yaml_builder_open(builder, false,
					 (const char *)event->data.sequence_start.anchor, err);
	case YAML_MAPPING_START_EVENT:
		return yaml_builder_open(builder, true,
					 (const char *)event->data.mapping_start.anchor, err);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return yaml_builder_close(builder, err);
	default:
		return 0;
	}
}

/* libyaml's texts are constants and quote nothing of the input. */
static int parser_error(const yaml_parser_t *parser, struct err *err)
{
	const char *problem = parser->problem ? parser->problem : "not YAML";

	if (parser->error == YAML_MEMORY_ERROR)
		abort();
	(void)err_set(err, ERR_INVALID, "%s", problem);
	if (parser->error == YAML_READER_ERROR)
		return err_wrap(err, "byte %zu", parser->problem_offset + 1);
	return wrap_place(err, parser->problem_mark);
}

/* True for the tags of YAML 1.1 (yaml.org/type) that decide the type of a value. */
static bool is_heeded(const char *tag)
{
	static const char *const types[] = {"null",   "bool", "int", "float",     "str",
					    "binary", "map",  "seq", "timestamp", "merge"};
	struct str type = str_without_prefix(str_of(tag), STR("tag:yaml.org,2002:"));

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (str_eq(type, str_of(types[i])))
			return true;
	/* Without a tag, or with "!", the form of the value decides. */
	return !tag || strcmp(tag, "!") == 0;
}

static bool has_other_tag(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return !is_heeded((const char *)event->data.scalar.tag);
	case YAML_SEQUENCE_START_EVENT:
		return !is_heeded((const char *)event->data.sequence_start.tag);
	case YAML_MAPPING_START_EVENT:
		return !is_heeded((const char *)event->data.mapping_start.tag);
	default:
		return false;
	}
}

/* True if another document follows, even one that cannot be read. */
static bool has_more(yaml_parser_t *parser)
{
	CLEANUP(yaml_event_delete) yaml_event_t event = {0};

	return !yaml_parser_parse(parser, &event) || event.type == YAML_DOCUMENT_START_EVENT;
}

/* Reads events up to the end of the first document. */
static int read_events(struct yaml_builder *builder, yaml_parser_t *parser,
		       struct yaml_left_out *left_out, struct err *err)
{
	for (bool is_done = false; !is_done;) {
		CLEANUP(yaml_event_delete) yaml_event_t event = {0};
		int rc = 0;

		if (!yaml_parser_parse(parser, &event))
			return parser_error(parser, err);
		rc = add_event(builder, &event, err);
		if (rc)
			return wrap_place(err, event.start_mark);
		left_out->tags |= has_other_tag(&event);
		is_done = event.type == YAML_DOCUMENT_END_EVENT ||
			  event.type == YAML_STREAM_END_EVENT;
		if (event.type == YAML_DOCUMENT_END_EVENT)
			left_out->documents = has_more(parser);
	}
	return 0;
}

static int check_text(struct str text, const struct yaml_limits *limits, struct err *err)
{
	struct str rest = text;
	struct str part = {0};
	size_t directives = 0;

	if (text.n > limits->max_bytes)
		return err_set(err, ERR_LIMIT, "more than %zu bytes", limits->max_bytes);
	if (!str_is_utf8(text))
		return err_set(err, ERR_INVALID, "not UTF-8");
	while (str_next_part(&rest, '%', &part))
		directives += str_starts(rest, STR("TAG"));
	if (directives > MAX_TAG_DIRECTIVES)
		return err_set(err, ERR_LIMIT, "more than %d %%TAG directives", MAX_TAG_DIRECTIVES);
	return 0;
}

int yaml_parse_telling(cJSON **out, struct yaml_left_out *left_out, struct str text,
		       const struct yaml_limits *limits, struct err *err)
{
	CLEANUP(yaml_builder_freep) struct yaml_builder *builder = NULL;
	CLEANUP(yaml_parser_delete) yaml_parser_t parser = {0};
	struct err ignored = {0};
	int rc = 0;

	err = err ? err : &ignored;
	rc = check_text(text, limits, err);
	if (rc)
		return rc;
	if (!yaml_parser_initialize(&parser))
		abort();
	yaml_parser_set_input_string(&parser, (const unsigned char *)(text.p ? text.p : ""),
				     text.n);
	builder = yaml_builder_new(limits);
	rc = read_events(builder, &parser, left_out, err);
	if (rc)
		return rc;
	*out = yaml_builder_take(builder);
	return 0;
}

int yaml_parse(cJSON **out, struct str text, const struct yaml_limits *limits, struct err *err)
{
	return yaml_parse_telling(out, &(struct yaml_left_out){0}, text, limits, err);
}
