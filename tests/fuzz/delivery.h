/*
 * A delivery for the fuzz targets of pkg/hook: fed whole and in pieces it has to come out the same,
 * and what comes out keeps the promises of hook.h.
 */
#pragma once

#include "base/buf.h"
#include "base/mem.h"
#include "hook/hook.h"
#include "hook/ref.h"

#include <assert.h>
#include <stdlib.h>

#define DELIVERY_HEADERS 8

struct delivery_header {
	const char *name;
	struct str value;
};

struct delivery {
	enum hook_type type;
	struct delivery_header headers[DELIVERY_HEADERS];
	bool is_path_proven, allow_env;
	struct str body;
};

static inline struct str delivery_header(const void *arg, const char *name, size_t *n)
{
	const struct delivery *d = arg;
	struct str first = STR("");

	*n = 0;
	for (size_t i = 0; i < DELIVERY_HEADERS && d->headers[i].name; i++)
		if (str_eq_nocase(str_of(d->headers[i].name), str_of(name)) && !(*n)++)
			first = str_trim(d->headers[i].value);
	return first;
}

static inline void delivery_check_text(const char *text, size_t max)
{
	assert(!text || (strlen(text) <= max && str_is_utf8(str_of(text))));
}

static inline void delivery_check_change(const struct delivery_change *c, bool is_generic)
{
	assert(c->ref ? hook_ref_is_valid(str_of(c->ref)) : is_generic && !c->commit);
	assert(!c->commit || !hook_id_is_zero(str_of(c->commit)));
	assert(!c->commit || is_generic || hook_id_is_valid(str_of(c->commit)));
	delivery_check_text(c->commit, 255);
	assert(c->is_delete ? !c->commit : c->commit || is_generic);
	delivery_check_text(c->ref, DELIVERY_MAX_REF_BYTES);
	delivery_check_text(c->author.name, 255);
	delivery_check_text(c->author.email, 255);
	delivery_check_text(c->committer.name, 255);
	delivery_check_text(c->committer.email, 255);
	delivery_check_text(c->message, DELIVERY_MAX_MESSAGE_BYTES);
}

static inline void delivery_check(const struct delivery_event *event)
{
	bool is_generic = event->type == HOOK_GENERIC;

	assert(event->n_changes <= 2 * (size_t)DELIVERY_MAX_STARTS);
	assert(event->kind == DELIVERY_PUSH || event->n_changes == 0);
	for (size_t i = 0; i < event->n_changes; i++)
		delivery_check_change(&event->changes[i], is_generic);
	assert(event->files_bytes <= DELIVERY_MAX_FILES_BYTES);
	assert(!event->files_bytes || event->files[event->files_bytes - 1] == 0);
	assert(!event->have_all_files || event->n_changes == 1);
	assert(!event->env_json || is_generic);
	delivery_check_text(event->name, sizeof(event->name) - 1);
	delivery_check_text(event->pusher, 255);
	delivery_check_text(event->default_branch, DELIVERY_MAX_REF_BYTES);
	delivery_check_text(event->warning, 512);
	delivery_check_text(event->env_json, 8 * 32 * 1024);
}

static inline void delivery_put(struct buf *out, const char *text)
{
	buf_printf(out, "|%s", text ? text : "-");
}

/* What was understood, in one text. */
static inline void delivery_describe(struct buf *out, const struct delivery_event *event)
{
	delivery_put(out, event->name);
	delivery_put(out, event->pusher);
	delivery_put(out, event->default_branch);
	delivery_put(out, event->env_json);
	delivery_put(out, event->options_json);
	delivery_put(out, event->warning);
	for (size_t i = 0; i < ARRAY_LEN(event->repositories); i++)
		delivery_put(out, event->repositories[i]);
	for (size_t i = 0; i < event->n_changes; i++) {
		delivery_put(out, event->changes[i].ref);
		delivery_put(out, event->changes[i].commit);
		delivery_put(out, event->changes[i].author.name);
		delivery_put(out, event->changes[i].message);
	}
	buf_put(out, event->files, event->files_bytes);
	buf_printf(out, "|%d%d", event->have_all_files, event->is_first_match_only);
}

/* From a copy of its own size, so that reading past its end shows. */
static inline void delivery_feed(struct hook_delivery *delivery, struct str bytes)
{
	CLEANUP(mem_free) char *copy = mem_new(bytes.n, 1);

	memcpy(copy, bytes.p, bytes.n);
	hook_delivery_feed(delivery, str_range(copy, bytes.n));
}

/* Any rule will do, as long as it is the same for a ref whenever it is asked. */
static inline bool delivery_wants(const void *arg, struct str ref)
{
	(void)arg;
	assert(hook_ref_is_valid(ref));
	return ref.n % 3;
}

static inline void delivery_run(struct buf *out, const struct delivery *d, size_t step)
{
	/* That a fuzzer does not guess. */
	static const struct str secret = {"5b1c9e60d2f7", 12};
	const struct hook_request request = {
		.type = d->type,
		.header = delivery_header,
		.header_arg = d,
		.secrets = &secret,
		.n_secrets = 1,
		.is_path_proven = d->is_path_proven,
		.now_ms = 1763900000000,
		.allow_env = d->allow_env,
		.wants_ref = delivery_wants,
	};
	struct hook_delivery *delivery = hook_delivery_new(&request);
	const struct delivery_event *event = NULL;
	struct err err = {0};

	(void)hook_is_unsigned_ping(&request);
	delivery_check_text(hook_delivery_id(delivery), HOOK_MAX_ID_BYTES);
	for (size_t at = 0; at < d->body.n; at += step)
		delivery_feed(delivery, str_range(d->body.p + at,
						  d->body.n - at < step ? d->body.n - at : step));
	if (!hook_delivery_holds(delivery)) {
		assert(*hook_delivery_refusal(delivery));
		buf_printf(out, "refused: %s", hook_delivery_refusal(delivery));
	} else if (hook_delivery_finish(delivery, &event, &err)) {
		assert(*err.msg && d->type != HOOK_GENERIC);
		buf_printf(out, "unreadable: %s", err.msg);
	} else {
		delivery_check(event);
		delivery_describe(out, event);
	}
	hook_delivery_free(delivery);
}

static inline void delivery_try(const struct delivery *d, size_t step)
{
	CLEANUP(buf_release) struct buf whole = BUF_INIT(4 * 1024 * 1024);
	CLEANUP(buf_release) struct buf pieces = BUF_INIT(4 * 1024 * 1024);

	delivery_run(&whole, d, d->body.n ? d->body.n : 1);
	delivery_run(&pieces, d, step);
	if (!str_eq(buf_str(&whole), buf_str(&pieces)))
		abort();
}

/* The first byte chooses one of N ways and the size of the pieces; the rest is the body. */
static inline size_t delivery_choose(struct delivery *d, const uint8_t *data, size_t size, size_t n,
				     size_t *step)
{
	*step = 1 + data[0] / n % 9;
	d->body = str_range((const char *)data + 1, size - 1);
	return data[0] % n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
