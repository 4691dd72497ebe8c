/* Reads a Secret's document: the webhook values, their problems, and the owners. */
#include "kube/secret_value.h"

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/crypto.h"

#include <assert.h>

/* Larger than any answer, so never reached. */
#define MAX_BLOCK_BYTES ((size_t)16 * 1024 * 1024)
/* Enough for nearly all Secrets, so that a growing buffer leaves no copy of a value in freed
 * memory. */
#define FIRST_BLOCK_BYTES ((size_t)16 * 1024)

void secret_value_release(struct secret_value *value)
{
	mem_wipe(&value->block, value->n_block);
	mem_free(&value->owners);
	*value = (struct secret_value){0};
}

static const char *text_of(const cJSON *value)
{
	return cJSON_IsString(value) ? value->valuestring : "";
}

/*
 * Appends the usable part of a key's value to OUT, which is without the one newline at its end that
 * editors and `echo` leave. Returns why there is no usable value, and what to do; "" if there is
 * one.
 */
static const char *put_value(struct buf *out, const cJSON *encoded)
{
	unsigned char bytes[KUBE_SECRET_MAX_BYTES];
	size_t n = 0;
	const char *problem = "";

	if (!encoded)
		return "it has no key " KUBE_SECRET_KEY ": put the secret there";
	if (!crypto_unbase64(bytes, sizeof(bytes), &n, str_of(text_of(encoded))))
		problem = "the value of its key " KUBE_SECRET_KEY
			  " is longer than 4096 bytes: put a shorter one there";
	else if (memchr(bytes, 0, n))
		problem =
			"the value of its key " KUBE_SECRET_KEY " holds a NUL byte: put text there";
	if (n > 0 && bytes[n - 1] == '\n')
		n--;
	if (!problem[0] && n == 0)
		problem = "the value of its key " KUBE_SECRET_KEY " is empty: put the secret there";
	if (!problem[0])
		buf_put(out, bytes, n);
	explicit_bzero(bytes, sizeof(bytes));
	return problem;
}

/* Appends TEXT with its NUL. */
static void put_text(struct buf *out, const char *text)
{
	buf_put(out, text, strlen(text) + 1);
}

static bool is_buildconfig(const cJSON *owner)
{
	const char *kind = json_str_at(owner, "kind");

	return kind && strcmp(kind, "BuildConfig") == 0 && json_str_at(owner, "uid") &&
	       json_str_at(owner, "name");
}

static size_t put_owners(struct buf *out, const cJSON *list, bool *has_more)
{
	const cJSON *owner = NULL;
	size_t n = 0;

	cJSON_ArrayForEach (owner, list) {
		if (!is_buildconfig(owner))
			continue;
		*has_more = n == KUBE_SECRET_MAX_OWNERS;
		if (*has_more)
			break;
		put_text(out, json_str_at(owner, "uid"));
		put_text(out, json_str_at(owner, "name"));
		n++;
	}
	return n;
}

/* Takes the next text, in the order in which they were put. */
static const char *take_text(const char **at)
{
	const char *text = *at;

	*at += strlen(text) + 1;
	return text;
}

static void take_owners(struct secret_value *out, const char **at, size_t n)
{
	if (n == 0)
		return;
	out->owners = mem_new(n, sizeof(*out->owners));
	for (size_t i = 0; i < n; i++) {
		out->owners[i].uid = take_text(at);
		out->owners[i].name = take_text(at);
	}
	out->known.owners = out->owners;
	out->known.n_owners = n;
}

/*
 * Copies BLOCK into exactly as much memory as it needs, because thousands of Secrets may be kept.
 */
static const char *keep_block(struct secret_value *out, const struct buf *block)
{
	out->n_block = block->len;
	out->block = mem_new(1, block->len);
	memcpy(out->block, block->data, block->len);
	return out->block;
}

void secret_value_read(struct secret_value *out, const cJSON *doc)
{
	CLEANUP(buf_wipe) struct buf block = BUF_INIT(MAX_BLOCK_BYTES);
	const cJSON *metadata = json_member(doc, "metadata");
	const cJSON *data = json_member(doc, "data");
	const cJSON *annotations = json_member(metadata, "annotations");
	const cJSON *manager = json_member(json_member(metadata, "labels"), KUBE_MANAGED_BY_LABEL);
	const char *until = text_of(json_member(annotations, "buildhook.io/previous-until"));
	const char *record = text_of(json_member(annotations, "buildhook.io/rotated"));
	struct kube_secret *known = &out->known;
	const char *at = NULL;
	size_t n_value = 0;
	size_t n_previous = 0;
	size_t n_owners = 0;

	*out = (struct secret_value){.known = {.state = KUBE_SECRET_PRESENT}};
	block.data = mem_new(1, FIRST_BLOCK_BYTES);
	block.cap = FIRST_BLOCK_BYTES;
	known->is_ours = strcmp(text_of(manager), "buildhook") == 0;
	known->has_key = json_member(data, KUBE_SECRET_KEY) != NULL;
	known->problem = put_value(&block, json_member(data, KUBE_SECRET_KEY));
	n_value = block.len;
	if (known->is_ours)
		(void)put_value(&block, json_member(data, KUBE_SECRET_PREVIOUS_KEY));
	n_previous = block.len - n_value;
	put_text(&block, text_of(json_member(metadata, "uid")));
	put_text(&block, text_of(json_member(metadata, "resourceVersion")));
	known->has_long_record = strlen(record) > KUBE_SECRET_MAX_RECORD;
	put_text(&block, known->has_long_record ? "" : record);
	n_owners = put_owners(&block, json_member(metadata, "ownerReferences"),
			      &known->has_more_owners);
	assert(!block.overflow);
	at = keep_block(out, &block);
	known->value = str_range(at, n_value);
	known->previous = str_range(at + n_value, n_previous);
	at += n_value + n_previous;
	known->uid = take_text(&at);
	known->resource_version = take_text(&at);
	known->rotated_for = take_text(&at);
	take_owners(out, &at, n_owners);
	(void)clock_parse_rfc3339(str_of(until), &known->previous_until_ms);
}
