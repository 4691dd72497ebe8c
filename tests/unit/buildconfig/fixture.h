/* BuildConfigs for tests, from JSON with single quotes. */
#pragma once

#include "base/buf.h"
#include "base/mem.h"
#include "buildconfig/buildconfig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Puts TEXT into the array OUT. */
#define SET(out, text) (void)snprintf((out), sizeof(out), "%s", (text))

static inline void buildconfig_freep(struct buildconfig **bc)
{
	buildconfig_free(*bc);
}

static inline cJSON *parse_quoted(const char *quoted)
{
	CLEANUP(mem_free) char *text = mem_strdup(quoted);
	struct err err = {0};
	cJSON *doc = NULL;

	for (char *c = text; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	if (json_parse(&doc, str_of(text), &err) != ERR_OK)
		fail_msg("%s: %s", text, err.msg);
	return doc;
}

static inline struct buildconfig *parse_bc(const char *quoted)
{
	CLEANUP(json_freep) cJSON *doc = parse_quoted(quoted);

	return buildconfig_parse(doc);
}

/* A BuildConfig with SPEC inside spec, and ANNOTATIONS ("'a': 'b'"); both may be "". */
static inline struct buildconfig *make_bc(const char *spec, const char *annotations)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(1024 * 1024);

	buf_printf(
		&text,
		"{'metadata':{'namespace':'shop','name':'cart','uid':'u-1','resourceVersion':'7',"
		"'annotations':{%s}},'spec':{%s},'status':{'lastVersion':3}}",
		annotations, spec);
	return parse_bc(text.data);
}

#define BC CLEANUP(buildconfig_freep) struct buildconfig *
