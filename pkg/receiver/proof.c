/*
 * Proves who sent a delivery. Secrets that are not fresh are fetched while the body arrives. A
 * proof that fails is tried once more with Secrets that were fetched again, so that a changed
 * secret works at its next delivery.
 *
 * A delivery to a hook that does not exist takes the same way: it waits for a Secret that does not
 * exist (lookup.h), its body is hashed with a key that nobody has, and it is refused after the same
 * time. (docs/security.md: a refusal has the same bytes at the same time for every cause.)
 */
#include "receiver/proof.h"

#include "base/log.h"
#include "base/mem.h"
#include "buildconfig/refs.h"
#include "crypto/crypto.h"
#include "receiver/admit.h"
#include "receiver/budget.h"
#include "receiver/lookup.h"
#include "receiver/notes.h"

#include <stdio.h>

/* Time from the last byte of the body to a refusal. */
#define REFUSAL_MS 500
/*
 * The same if the API server has not answered after REFUSAL_MS; its answer is waited for until
 * then. There are only these two times, so that the duration of a request to the API server does
 * not show.
 */
#define LATE_REFUSAL_MS 2000
/* How long the API server's answer is waited for after it has not answered other requests. */
#define DOWN_LOOKUP_MS 250
/* Time from the head to the first byte that is read of a body that had to wait for its Secrets:
 * longer than a fetch usually takes, so that its duration does not show. */
#define RESUME_MS 100
/* A body is paused before it outgrows what may be kept of it: a piece of it has 64 KiB at most. */
#define MAX_EARLY_BYTES (MAX_KEPT_BYTES - 64 * 1024)
#define MAX_GIVEN_BYTES (KUBE_SECRET_MAX_BYTES + 1)

/* Hashes bodies where there is no secret. What it proves is refused. */
static const struct str no_secret = {
	"0000000000000000000000000000000000000000000000000000000000000000", 64};

/* A secret of the user's own choice may need percent-encoding in a URL; nothing else of the path is
 * ever decoded. A text that is longer than any secret stays longer. */
static struct str decode_secret(struct str s, char out[MAX_GIVEN_BYTES])
{
	size_t n = 0;

	while (s.n > 0 && n < MAX_GIVEN_BYTES)
		out[n++] = str_take_escaped(&s);
	return str_range(out, n);
}

/* Every secret is compared. Returns a bit for each that is the one in the path. */
static uint32_t find_in_path(const struct delivery *d, const struct str *secrets, size_t n)
{
	char text[MAX_GIVEN_BYTES];
	struct str given = decode_secret(d->route.secret, text);
	uint32_t matched = 0;

	for (size_t i = 0; i < n; i++)
		matched |= (uint32_t)crypto_equal(secrets[i], given) << i;
	explicit_bzero(text, given.n);
	return matched;
}

static struct str find_header(const void *arg, const char *name, size_t *n)
{
	return http_header(arg, name, n);
}

/*
 * The buffer is kept for another body: memory from the system costs more than the proof of a body.
 */
static void drop_kept(struct delivery *d)
{
	delivery_give_buffer(d->receiver, &d->kept);
	d->is_kept = false;
}

/* For hook_request.wants_ref: decides which refs of a push are kept. The result is not visible to
 * the sender. */
static bool wants_ref(const void *arg, struct str ref)
{
	const struct delivery *d = arg;
	const struct buildconfig *bc = delivery_buildconfig(d);

	return !bc || refs_may_build(bc, ref, &d->receiver->opt.verdict);
}

/* Reads the body from its beginning with the secrets that are known now. */
static void start_reading(struct delivery *d)
{
	const struct buildconfig_hook *hook = lookup_find_hook(d);
	const struct buildconfig *bc = delivery_buildconfig(d);
	struct hook_request request = {
		.type = d->route.type,
		.header = find_header,
		.header_arg = d->request,
		.now_ms = clock_wall_ms(d->receiver->opt.services->clock),
		.allow_env = hook && hook->allow_env,
		.wants_ref = wants_ref,
		.wants_ref_arg = d,
		/* If annotation paths is added while the body is read, the push is built, like
		 * every push whose files are not all known. */
		.leaves_files_out = bc && !*bc->paths,
	};

	lookup_collect(d);
	request.secrets = d->n_secrets > 0 ? d->secrets : &no_secret;
	request.n_secrets = d->n_secrets > 0 ? d->n_secrets : 1;
	d->path_matched = 0;
	if (d->route.kind == ROUTE_OPENSHIFT)
		d->path_matched = find_in_path(d, request.secrets, request.n_secrets);
	d->is_path_proven = d->path_matched != 0;
	request.is_path_proven = d->is_path_proven;
	hook_delivery_free(d->payload);
	d->payload = hook_delivery_new(&request);
	d->provider = hook_delivery_provider(d->payload);
	if (d->is_kept)
		hook_delivery_feed(d->payload, buf_str(&d->kept));
}

/* While the body came, the BuildConfig may have been deleted, and another may have got its name. */
static bool is_still_there(const struct delivery *d)
{
	return lookup_find_hook(d) && strcmp(delivery_buildconfig(d)->uid, d->uid) == 0;
}

static bool holds(struct delivery *d)
{
	bool is_proven = hook_delivery_holds(d->payload);
	uint32_t matched = d->path_matched | hook_delivery_matched(d->payload);

	d->used_previous = matched && !(matched & ~d->previous);
	return d->is_known && d->n_secrets > 0 && is_still_there(d) && is_proven &&
	       (d->route.kind == ROUTE_HOOK || d->is_path_proven);
}

static const char *refusal_of(const struct delivery *d)
{
	if (!d->is_known)
		return "no such webhook";
	if (!is_still_there(d))
		return "the webhook was removed while the delivery came";
	if (d->n_secrets == 0)
		return "the webhook has no usable secret";
	if (d->route.kind == ROUTE_OPENSHIFT && !d->is_path_proven)
		return "the secret in the URL is not the webhook's";
	return hook_delivery_refusal(d->payload);
}

/* Logs a refusal. The name of a hook that does not exist is not logged: a secret may stand in its
 * place. */
static void log_refusal(const struct delivery *d)
{
	const struct buildconfig *bc = delivery_buildconfig(d);

	log_msg(d->is_known ? LOG_INFO : LOG_DEBUG, "receiver", "delivery refused",
		LOG_FIELD("namespace", bc ? bc->namespace_ : NULL),
		LOG_FIELD("name", bc ? bc->name : NULL),
		LOG_FIELD("type", hook_type_name(d->route.type)),
		LOG_FIELD("provider", d->provider), LOG_FIELD("error", refusal_of(d)));
}

static void on_refusal_due(void *arg)
{
	struct delivery *d = arg;
	const struct kube_client *client = d->receiver->opt.services->client;
	const char *why = "the API server did not give it";
	char message[300];

	if (!d->cannot_ask) {
		delivery_refuse(d);
		return;
	}
	/* This depends on the state of the whole client, not of one request, so it is the same for
	 * every hook. */
	if (!kube_client_is_up(client))
		why = kube_client_trouble(client);
	(void)snprintf(message, sizeof(message),
		       "the secret cannot be checked now, because %s; %ssend the delivery again",
		       why,
		       str_ends(str_of(why), STR(" 401")) ? "an administrator has to renew "
							    "buildhook's credentials, then "
							  : "");
	delivery_unavailable(d, message);
}

static void refuse(struct delivery *d)
{
	int64_t took_ms = clock_mono_ms(d->receiver->opt.services->clock) - d->body_end_ms;
	int64_t due_ms = took_ms <= REFUSAL_MS ? REFUSAL_MS : LATE_REFUSAL_MS;

	/* While the API server is down a wrong secret cannot be told from an old one, so the answer
	 * is 503. */
	d->cannot_ask |= !kube_client_is_up(d->receiver->opt.services->client);
	log_refusal(d);
	if (d->is_known && !d->cannot_ask)
		note_refusal(d, refusal_of(d));
	hook_delivery_free(TAKE(d->payload));
	d->read_bytes = 0;
	drop_kept(d);
	(void)budget_count(d, 0);
	delivery_enter(d, PHASE_REFUSE);
	delivery_set_timer(d, due_ms - took_ms, on_refusal_due);
}

static int64_t lookup_ms(const struct delivery *d)
{
	return kube_client_is_up(d->receiver->opt.services->client) ? LATE_REFUSAL_MS
								    : DOWN_LOOKUP_MS;
}

static void on_fetched_again(struct delivery *d);

/* The body is complete: admits, refuses, or fetches the Secrets again. */
static void decide(struct delivery *d)
{
	if (holds(d)) {
		drop_kept(d);
		(void)budget_count(d, 0);
		admit(d);
	} else if (d->phase != PHASE_DECIDE && d->is_kept) {
		int64_t took_ms = clock_mono_ms(d->receiver->opt.services->clock) - d->body_end_ms;

		delivery_enter(d, PHASE_DECIDE);
		lookup_start(d, 0, lookup_ms(d) - took_ms, true, on_fetched_again);
	} else {
		refuse(d);
	}
}

static void on_fetched_again(struct delivery *d)
{
	start_reading(d);
	decide(d);
}

static void on_resume_due(void *arg)
{
	struct delivery *d = arg;

	d->is_paused = false;
	http_resume(d->request);
}

static void on_secrets(struct delivery *d)
{
	start_reading(d);
	if (d->body_end_ms >= 0) {
		decide(d);
		return;
	}
	delivery_enter(d, PHASE_BODY);
	if (d->is_paused)
		delivery_set_timer(d,
				   d->began_ms + RESUME_MS -
					   clock_mono_ms(d->receiver->opt.services->clock),
				   on_resume_due);
}

static void pause_body(struct delivery *d)
{
	d->is_paused = true;
	http_pause(d->request);
}

static void refuse_for_now(struct delivery *d)
{
	delivery_unavailable(d, "too many deliveries are being received; send it again later");
}

void proof_begin(struct delivery *d)
{
	int64_t length = d->request->content_length;

	/* An unsigned ping is answered on every path, so that its answer reveals nothing. */
	if (hook_is_unsigned_ping(&(struct hook_request){
		    .type = d->route.type, .header = find_header, .header_arg = d->request})) {
		delivery_answer(d, 200, OUTCOME_PING, "the webhook's address is right");
		return;
	}
	d->is_kept = length <= MAX_EARLY_BYTES;
	d->kept = (struct buf)BUF_INIT(MAX_KEPT_BYTES);
	d->is_known = lookup_find_hook(d) != NULL;
	/* A body that is too large to be proved twice is proved with fresh Secrets. */
	if (!d->is_kept)
		pause_body(d);
	if (budget_count(d, d->is_kept && length > 0 ? (uint64_t)length : 0))
		/* Whether a body has to wait must not depend on the hook, so all wait alike. */
		lookup_start(d, d->is_kept ? d->receiver->opt.secret_ttl_ms : 1, lookup_ms(d),
			     !d->is_kept || length < 0, on_secrets);
	else
		refuse_for_now(d);
}

static void keep(struct delivery *d, struct str bytes)
{
	int64_t length = d->request->content_length;

	if (!d->is_kept)
		return;
	if (!d->kept.data)
		delivery_take_buffer(d->receiver, &d->kept, length > 0 ? (size_t)length : 0);
	buf_put_str(&d->kept, bytes);
	if (d->kept.overflow)
		drop_kept(d);
}

void proof_feed(struct delivery *d, struct str bytes)
{
	bool is_last = d->request->content_length >= 0 &&
		       d->read_bytes + bytes.n == (uint64_t)d->request->content_length;
	bool is_proven = false;

	d->read_bytes += bytes.n;
	/* The last part of a body, or a whole small one, is proved as it comes and need not be
	 * kept. */
	if (is_last && d->payload) {
		hook_delivery_feed(d->payload, bytes);
		is_proven = holds(d);
	}
	if (!is_proven)
		keep(d, bytes);
	if (d->phase == PHASE_SECRETS && d->kept.len > MAX_EARLY_BYTES)
		pause_body(d);
	if (!budget_count(d, 0))
		refuse_for_now(d);
	else if (!is_last && d->payload)
		hook_delivery_feed(d->payload, bytes);
}

void proof_end(struct delivery *d)
{
	d->body_end_ms = clock_mono_ms(d->receiver->opt.services->clock);
	if (d->phase == PHASE_BODY)
		decide(d);
}
