/* A delivery: its headers, proof, form and payload put together. */
#include "hook/hook.h"

#include "hook/decode.h"
#include "hook/envelope.h"
#include "hook/form.h"
#include "hook/generic_body.h"
#include "hook/verify.h"

#include <assert.h>
#include <stdlib.h>

struct hook_delivery {
	enum hook_type type;
	struct hook_envelope envelope;
	struct hook_verify verify;
	struct hook_form form;
	struct hook_generic_body generic;
	bool is_read; /* decode is set up, and the body goes there */
	struct hook_decode decode;
	struct delivery_event event;
	/* SHA-256 of the body; NULL if the host's deliveries need none. */
	struct crypto_hmac *digest;
};

static void on_payload(void *arg, struct str piece)
{
	struct hook_delivery *delivery = arg;

	hook_verify_feed_payload(&delivery->verify, piece);
	if (delivery->is_read && delivery->envelope.host != &hook_generic)
		hook_decode_feed(&delivery->decode, piece);
}

/* A body is not read where the headers alone decide. Its sender knows the headers, so the time it
 * takes reveals nothing. */
static bool is_worth_reading(const struct hook_delivery *delivery)
{
	const struct hook_envelope *envelope = &delivery->envelope;

	if (envelope->kind != DELIVERY_PUSH || delivery->verify.is_hopeless)
		return false;
	return envelope->host == &hook_generic ||
	       (!envelope->event_problem.code && !envelope->media_problem.code);
}

/* Deliveries are decoded on one thread. */
static struct mem_spare spare;

struct hook_delivery *hook_delivery_new(const struct hook_request *request)
{
	struct hook_delivery *delivery = mem_take_spare(&spare, sizeof(*delivery));

	delivery->type = request->type;
	hook_envelope_read(&delivery->envelope, request);
	hook_verify_init(&delivery->verify, request, &delivery->envelope);
	hook_form_init(&delivery->form, on_payload, delivery);
	delivery->is_read = is_worth_reading(delivery);
	delivery->decode.leaves_files_out = request->leaves_files_out;
	/* Only a push is read, and a push has a host. */
	if (delivery->is_read)
		hook_decode_init(&delivery->decode, delivery->envelope.host, &delivery->event);
	if (delivery->is_read && delivery->envelope.host->replays_as_new)
		delivery->digest = crypto_hmac_new(STR("body"));
	delivery->decode.allow_env = request->allow_env;
	delivery->decode.wants_ref = request->wants_ref;
	delivery->decode.wants_ref_arg = request->wants_ref_arg;
	return delivery;
}

void hook_delivery_free(struct hook_delivery *delivery)
{
	if (!delivery)
		return;
	hook_verify_release(&delivery->verify);
	if (delivery->is_read)
		hook_decode_release(&delivery->decode);
	hook_generic_body_release(&delivery->generic);
	delivery_event_release(&delivery->event);
	crypto_hmac_free(delivery->digest);
	mem_give_spare(&spare, delivery);
}

void hook_delivery_feed(struct hook_delivery *delivery, struct str bytes)
{
	const struct hook_envelope *envelope = &delivery->envelope;

	hook_verify_feed(&delivery->verify, bytes);
	if (delivery->digest)
		crypto_hmac_update(delivery->digest, bytes);
	if (envelope->media == HOOK_MEDIA_FORM)
		hook_form_feed(&delivery->form, bytes);
	if (delivery->is_read && envelope->host == &hook_generic)
		hook_generic_body_feed(&delivery->generic, envelope, &delivery->decode, bytes);
	else if (delivery->is_read && envelope->media != HOOK_MEDIA_FORM)
		hook_decode_feed(&delivery->decode, bytes);
}

bool hook_delivery_holds(struct hook_delivery *delivery)
{
	return hook_verify_holds(&delivery->verify);
}

uint32_t hook_delivery_matched(const struct hook_delivery *delivery)
{
	const struct hook_verify *verify = &delivery->verify;

	return verify->matched | verify->hex.matched | verify->standard.matched;
}

const char *hook_delivery_refusal(const struct hook_delivery *delivery)
{
	return delivery->verify.refusal;
}

const char *hook_delivery_id(const struct hook_delivery *delivery)
{
	return delivery->envelope.delivery_id;
}

const char *hook_delivery_provider(const struct hook_delivery *delivery)
{
	return delivery && delivery->envelope.host ? delivery->envelope.host->name : "unknown";
}

bool hook_is_unsigned_ping(const struct hook_request *request)
{
	const struct hook_host *host = hook_host_find(request);

	return host && host->has_unsigned_ping &&
	       hook_host_pings(host, hook_header(request, host->event_header, NULL)) &&
	       hook_verify_is_absent(hook_header(request, host->signature.header, NULL));
}

static int read_body(struct hook_delivery *delivery, struct err *err)
{
	const struct hook_envelope *envelope = &delivery->envelope;
	int failed = 0;

	if (envelope->host == &hook_generic) {
		hook_generic_body_finish(&delivery->generic, envelope, &delivery->decode);
		return 0;
	}
	if (envelope->event_problem.code)
		return err_set(err, envelope->event_problem.code, "%s",
			       envelope->event_problem.msg);
	if (envelope->media_problem.code)
		return err_set(err, envelope->media_problem.code, "%s",
			       envelope->media_problem.msg);
	if (!delivery->is_read)
		return 0;
	if (envelope->media == HOOK_MEDIA_FORM)
		failed = hook_form_finish(&delivery->form, err);
	if (!failed)
		failed = hook_decode_finish(&delivery->decode, err);
	if (failed)
		err_wrap(err, "payload");
	return failed;
}

int hook_delivery_finish(struct hook_delivery *delivery, const struct delivery_event **out,
			 struct err *err)
{
	const struct hook_envelope *envelope = &delivery->envelope;
	struct delivery_event *event = &delivery->event;
	int failed = 0;

	assert(delivery->verify.is_done && !delivery->verify.refusal);
	/* The headers' kind comes first; the payload may change it. */
	event->kind = envelope->kind;
	memcpy(event->name, envelope->name, sizeof(event->name));
	event->hook_owner = envelope->hook_owner;
	failed = read_body(delivery, err);
	if (failed)
		return failed;
	if (delivery->digest) {
		unsigned char digest[CRYPTO_SHA256_BYTES];

		crypto_hmac_final(delivery->digest, digest);
		crypto_hex(event->body_digest, digest, sizeof(event->body_digest) / 2);
	}
	event->type = delivery->type;
	event->provider = hook_delivery_provider(delivery);
	memcpy(event->name, envelope->name, sizeof(event->name));
	*out = event;
	return 0;
}
