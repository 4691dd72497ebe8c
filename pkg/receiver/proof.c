/*
 * Who sent it? The hook's Secrets are fetched where they are not fresh, before the body is read. A
 * proof that fails is tried once more with Secrets that were fetched anew, so that a changed secret
 * works at its next delivery.
 */
#include "receiver/exchange.h"

#include "base/log.h"
#include "crypto/crypto.h"

#include <assert.h>
#include <stdio.h>

/* From the last byte of the body to a 401, whatever its cause: it tells nobody what there is. */
#define REFUSAL_MS      500
#define MAX_GIVEN_BYTES (KUBE_SECRET_MAX_BYTES + 1)
/* An API server that is slower than this cannot be asked: what was known goes on counting. */
#define LOOKUP_MS      2000
#define DOWN_LOOKUP_MS 250
/* A delivery and its connection by themselves. */
#define DELIVERY_BYTES (20 * 1024)
/* What the connection has read of a large body that waits to be read. */
#define WAITING_BYTES (32 * 1024)
/* What a payload's reader takes out of it, at most: the files and commits of a push. */
#define MAX_READ_BYTES (256 * 1024)
/* Held back before its Secrets are here. More is streamed, and waits for them. */
#define MAX_EARLY_BYTES (MAX_KEPT_BYTES / 2)
/* A body that waits for its Secrets is read no sooner where there are none, so that its time tells
 * nothing either. */
#define STREAM_DELAY_MS 100

static const struct buildconfig_hook *find_hook(const struct exchange *x)
{
	const struct buildconfig *bc = exchange_buildconfig(x);

	/* Whom it is for must not show, not even in the time that Secrets take. */
	if (x->is_unsigned_ping)
		return NULL;
	if (!bc || bc->is_ignored || bc->is_deleting || !bc->hooks[x->route.type].exists)
		return NULL;
	return &bc->hooks[x->route.type];
}

static void drop_secrets(struct exchange *x)
{
	for (size_t i = 0; i < x->n_secrets; i++)
		mem_wipe(&x->secrets[i].p, x->secrets[i].n);
	x->n_secrets = 0;
}

static void keep_secret(struct exchange *x, struct str value)
{
	if (value.n == 0)
		return;
	/* A hook's secrets, with a previous value each. */
	assert(x->n_secrets < ARRAY_LEN(x->secrets));
	x->secrets[x->n_secrets++] = str_range(str_dup(value), value.n);
}

static void keep_reference(struct exchange *x, const struct buildconfig *bc, const char *name)
{
	struct receiver *r = x->receiver;
	const struct kube_secret *secret = kube_secrets_peek(r->opt.secrets, bc->namespace_, name);

	if (secret->state == KUBE_SECRET_UNKNOWN)
		x->cannot_ask = true;
	/* Found missing by a delivery: the reconciler makes it again. */
	if (secret->state == KUBE_SECRET_MISSING)
		queue_add(r->opt.queue, x->key);
	if (secret->state != KUBE_SECRET_PRESENT ||
	    kube_secret_is_former(secret, bc->name, bc->uid))
		return;
	keep_secret(x, secret->value);
	if (secret->previous_until_ms > clock_wall_ms(r->opt.clock))
		keep_secret(x, secret->previous);
}

static void collect_secrets(struct exchange *x)
{
	const struct buildconfig_hook *hook = find_hook(x);
	const struct buildconfig *bc = exchange_buildconfig(x);

	drop_secrets(x);
	x->cannot_ask = x->is_late;
	(void)snprintf(x->uid, sizeof(x->uid), "%s", bc ? bc->uid : "");
	if (!bc || !hook)
		return;
	for (size_t i = 0; i < hook->n_secrets; i++) {
		if (hook->secrets[i].kind == BUILDCONFIG_SECRET_INLINE)
			keep_secret(x, str_of(hook->secrets[i].text));
		else
			keep_reference(x, bc, hook->secrets[i].text);
	}
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A secret of the user's own choice may need percent-encoding in a URL; nothing else of the path is
 * ever decoded. What is longer than any secret stays so. */
static struct str decode_secret(struct str s, char out[MAX_GIVEN_BYTES])
{
	size_t n = 0;

	for (size_t i = 0; i < s.n && n < MAX_GIVEN_BYTES; i++) {
		int high = i + 2 < s.n && s.p[i] == '%' ? hex_digit(s.p[i + 1]) : -1;
		int low = high >= 0 ? hex_digit(s.p[i + 2]) : -1;

		if (low >= 0) {
			out[n++] = (char)(high * 16 + low);
			i += 2;
		} else {
			out[n++] = s.p[i];
		}
	}
	return str_range(out, n);
}

/* Every secret is compared. */
static bool is_in_path(const struct exchange *x)
{
	char text[MAX_GIVEN_BYTES];
	struct str given = decode_secret(x->route.secret, text);
	bool is_equal = false;

	if (x->route.kind != ROUTE_OPENSHIFT)
		return false;
	for (size_t i = 0; i < x->n_secrets; i++)
		is_equal |= crypto_equal(x->secrets[i], given);
	explicit_bzero(text, given.n);
	return is_equal;
}

static struct str find_header(const void *arg, const char *name, size_t *n)
{
	return http_header(arg, name, n);
}

/*
 * What is kept to be proved anew, and what the reader may have taken out of it, counts as it comes:
 * a request that only says how long it is takes nothing from others. The same for a hook that does
 * not exist. False when all requests together hold too much.
 */
static bool count_held(struct exchange *x)
{
	struct receiver *r = x->receiver;
	uint64_t read = x->read_bytes < MAX_READ_BYTES ? x->read_bytes : MAX_READ_BYTES;
	uint64_t waiting = !x->is_kept && !x->delivery && !x->is_complete ? WAITING_BYTES : 0;
	uint64_t held = DELIVERY_BYTES + waiting + x->kept.len + read;

	r->held_bytes += held - x->held_bytes;
	x->held_bytes = held;
	return r->held_bytes <= r->opt.max_buffer_bytes;
}

static void drop_kept(struct exchange *x)
{
	buf_release(&x->kept);
	x->is_kept = false;
}

/* The body is not proved again. */
static void end_proof(struct exchange *x)
{
	drop_kept(x);
	(void)count_held(x);
}

static void start_reading(struct exchange *x)
{
	const struct buildconfig_hook *hook = find_hook(x);
	struct hook_request request = {
		.type = x->route.type,
		.header = find_header,
		.header_arg = x->request,
		.secrets = x->secrets,
		.n_secrets = x->n_secrets,
		.now_ms = clock_wall_ms(x->receiver->opt.clock),
		.allow_env = hook && hook->allow_env,
	};

	hook_delivery_free(x->delivery);
	collect_secrets(x);
	request.n_secrets = x->n_secrets;
	x->is_path_proven = is_in_path(x);
	request.is_path_proven = x->is_path_proven;
	x->delivery = hook_delivery_new(&request);
	if (x->is_kept)
		hook_delivery_feed(x->delivery, buf_str(&x->kept));
}

/* While the body came, the BuildConfig may have gone, and another taken its name. */
static bool is_still_there(const struct exchange *x)
{
	return find_hook(x) && strcmp(exchange_buildconfig(x)->uid, x->uid) == 0;
}

static bool holds(struct exchange *x)
{
	bool is_proven = hook_delivery_holds(x->delivery);

	return x->is_known && is_still_there(x) && is_proven &&
	       (x->route.kind == ROUTE_HOOK || x->is_path_proven);
}

static void on_refusal_due(void *arg)
{
	struct exchange *x = arg;

	if (x->cannot_ask)
		exchange_unavailable(
			x,
			"the secret cannot be checked now, because the API server does not answer; "
			"send the delivery again");
	else
		exchange_refuse(x);
}

static const char *refusal_of(const struct exchange *x)
{
	if (!is_still_there(x))
		return "the webhook was removed while the delivery came";
	if (x->n_secrets == 0)
		return "the webhook has no usable secret";
	if (x->route.kind == ROUTE_OPENSHIFT && !x->is_path_proven)
		return "the secret in the URL is not the webhook's";
	return hook_delivery_refusal(x->delivery);
}

static void note_refusal(struct exchange *x)
{
	const struct buildconfig *bc = exchange_buildconfig(x);
	struct hook_activity *activity;

	log_msg(x->is_known ? LOG_INFO : LOG_DEBUG, "receiver", "delivery refused",
		LOG_FIELD_STR("namespace", x->route.namespace_),
		LOG_FIELD_STR("name", x->route.name),
		LOG_FIELD("type", hook_type_name(x->route.type)),
		LOG_FIELD("provider", hook_host_name(hook_delivery_host(x->delivery))),
		LOG_FIELD("error", x->is_known ? refusal_of(x) : "no such webhook"));
	if (!bc || !x->is_known || x->cannot_ask)
		return;
	activity = activity_get(x->receiver->opt.activity, bc->uid, x->route.type);
	activity->refused++;
	activity->refused_ms = clock_wall_ms(x->receiver->opt.clock);
	(void)snprintf(activity->refused_why, sizeof(activity->refused_why), "%s", refusal_of(x));
	if (!activity->is_dirty)
		queue_add(x->receiver->opt.queue, x->key);
	activity->is_dirty = true;
}

static void refuse(struct exchange *x)
{
	struct clock *clock = x->receiver->opt.clock;
	int64_t wait_ms = x->body_end_ms + REFUSAL_MS - clock_mono_ms(clock);

	/* Known or not: while nobody can be asked, "no" would be a guess. */
	x->cannot_ask |= !kube_client_is_up(x->receiver->opt.client);
	note_refusal(x);
	hook_delivery_free(TAKE(x->delivery));
	x->read_bytes = 0;
	end_proof(x);
	timer_start(clock, &x->timer, wait_ms > 0 ? wait_ms : 0, on_refusal_due, x);
}

static void fetch_secrets(struct exchange *x, int64_t max_age_ms);

static void decide(struct exchange *x)
{
	if (holds(x)) {
		end_proof(x);
		admit(x);
		return;
	}
	if (x->is_unsigned_ping) {
		exchange_answer(x, 200, OUTCOME_PING, "the webhook's address is right");
		return;
	}
	if (x->is_known && !x->is_refetched && x->is_kept) {
		x->is_refetched = true;
		fetch_secrets(x, 0);
		return;
	}
	refuse(x);
}

static void on_stream_due(void *arg)
{
	struct exchange *x = arg;

	http_resume(x->request);
}

static void on_secrets(struct exchange *x)
{
	int64_t wait_ms = x->began_ms + STREAM_DELAY_MS - clock_mono_ms(x->receiver->opt.clock);

	start_reading(x);
	if (x->is_complete)
		decide(x);
	else if (!x->is_kept && wait_ms > 0)
		timer_start(x->receiver->opt.clock, &x->timer, wait_ms, on_stream_due, x);
	else
		http_resume(x->request);
}

static void on_secret(void *arg, const struct kube_secret *secret, const struct err *error)
{
	struct lookup *lookup = arg;
	struct exchange *x = lookup->exchange;

	(void)secret;
	(void)error; /* what was known goes on counting */
	lookup->handle = NULL;
	if (--x->n_lookups > 0)
		return;
	timer_stop(x->receiver->opt.clock, &x->timer);
	on_secrets(x);
}

static void cancel_lookups(struct exchange *x)
{
	for (size_t i = 0; i < ARRAY_LEN(x->lookups); i++)
		kube_secrets_cancel(TAKE(x->lookups[i].handle));
	x->n_lookups = 0;
}

static void on_lookups_late(void *arg)
{
	struct exchange *x = arg;

	cancel_lookups(x);
	x->is_late = true;
	x->is_refetched = true;
	on_secrets(x);
}

/* Goes on in on_secrets(), at once where nothing has to be asked. */
static void fetch_secrets(struct exchange *x, int64_t max_age_ms)
{
	struct receiver *r = x->receiver;
	const struct buildconfig_hook *hook = find_hook(x);
	const struct buildconfig *bc = exchange_buildconfig(x);

	for (size_t i = 0; hook && i < hook->n_secrets; i++) {
		const struct buildconfig_secret *s = &hook->secrets[i];
		const struct kube_secret *known;

		if (s->kind == BUILDCONFIG_SECRET_INLINE)
			continue;
		known = kube_secrets_peek(r->opt.secrets, bc->namespace_, s->text);
		if (max_age_ms > 0 && known->state != KUBE_SECRET_UNKNOWN &&
		    clock_mono_ms(r->opt.clock) - known->fetched_ms < max_age_ms)
			continue;
		x->lookups[i].exchange = x;
		x->lookups[i].handle = kube_secrets_fetch(r->opt.secrets, bc->namespace_, s->text,
							  max_age_ms, on_secret, &x->lookups[i]);
		x->n_lookups++;
	}
	if (x->n_lookups == 0)
		on_secrets(x);
	else
		timer_start(r->opt.clock, &x->timer,
			    kube_client_is_up(r->opt.client) ? LOOKUP_MS : DOWN_LOOKUP_MS,
			    on_lookups_late, x);
}

static void refuse_for_now(struct exchange *x)
{
	exchange_unavailable(x, "too many deliveries are being received; send it again later");
}

void proof_begin(struct exchange *x)
{
	const struct receiver *r = x->receiver;
	int64_t length = x->request->content_length;
	uint64_t expected;

	x->is_kept = length <= MAX_KEPT_BYTES;
	x->kept = (struct buf)BUF_INIT(MAX_KEPT_BYTES);
	expected = x->is_kept && length > 0 ? (uint64_t)length : 0;
	if (!count_held(x) || r->held_bytes + expected > r->opt.max_buffer_bytes) {
		refuse_for_now(x);
		return;
	}
	x->is_unsigned_ping = hook_is_unsigned_ping(&(struct hook_request){
		.type = x->route.type, .header = find_header, .header_arg = x->request});
	x->is_known = find_hook(x) != NULL;
	/* A body too large to be proved twice is proved with fresh Secrets. */
	if (!x->is_kept)
		http_pause(x->request);
	fetch_secrets(x, x->is_kept ? r->opt.secret_ttl_ms : 1);
}

void proof_feed(struct exchange *x, struct str bytes)
{
	x->read_bytes += bytes.n;
	if (x->is_kept)
		buf_put_str(&x->kept, bytes);
	if (x->kept.overflow)
		drop_kept(x);
	if (!count_held(x))
		refuse_for_now(x);
	else if (x->delivery)
		hook_delivery_feed(x->delivery, bytes);
	else if (x->kept.len > MAX_EARLY_BYTES)
		http_pause(x->request);
}

void proof_end(struct exchange *x)
{
	x->is_complete = true;
	x->body_end_ms = clock_mono_ms(x->receiver->opt.clock);
	if (x->delivery)
		decide(x);
}

void proof_release(struct exchange *x)
{
	cancel_lookups(x);
	hook_delivery_free(x->delivery);
	drop_secrets(x);
	buf_release(&x->kept);
	x->receiver->held_bytes -= x->held_bytes;
	timer_stop(x->receiver->opt.clock, &x->timer);
}
