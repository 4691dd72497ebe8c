/* How a delivery begins, is answered and ends (receiver/delivery.c). */
#include "proof_world.h"

static struct delivery *new_delivery(struct proof_world *w)
{
	struct test_request *r = new_request(w, HOOK, 0);
	struct route route;

	route_parse(&route, r->request.path);
	return delivery_new(w->receiver, &r->request, &route);
}

/* Ends the delivery without an answer. */
static void end(struct proof_world *w, struct delivery *d)
{
	delivery_free(d);
	w->request->request.user = NULL;
}

static void a_delivery_is_of_the_hook_that_its_path_names(void **state)
{
	struct proof_world *w = *state;
	struct delivery *d = new_delivery(w);

	assert_string_equal(d->key, "shop/cart");
	assert_string_equal(d->provider, "unknown");
	assert_string_equal(d->id, "");
	assert_int_equal(d->body_end_ms, -1);
	assert_ptr_equal(w->request->request.user, d);
	assert_int_equal(receiver_in_flight(w->receiver), 1);
	end(w, d);
	assert_int_equal(w->request->status, 0);
	assert_int_equal(receiver_in_flight(w->receiver), 0);
}

static void each_answer_ends_its_delivery_and_is_counted(void **state)
{
	static const struct {
		int code;
		enum outcome outcome;
		bool is_dry_run;
		const char *verdict, *reason;
	} cases[] = {
		{202, OUTCOME_QUEUED, false, "queued", "Queued"},
		{200, OUTCOME_REF_MISMATCH, false, "ignored", "RefMismatch"},
		{200, OUTCOME_START, false, "started", ""},
		{400, OUTCOME_UNREADABLE, false, "invalid", "Unreadable"},
		{200, OUTCOME_REF_MISMATCH, true, "dry-run", "RefMismatch"},
	};
	struct proof_world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_release) struct buf text = BUF_INIT(64 << 10);
		struct delivery *d = new_delivery(w);
		char line[200];

		d->is_dry_run = cases[i].is_dry_run;
		(void)snprintf(d->id, sizeof(d->id), "id-1");
		delivery_answer(d, cases[i].code, cases[i].outcome, "so it is");
		assert_int_equal(w->request->status, cases[i].code);
		assert_non_null(strstr(w->request->answer.data, "so it is"));
		assert_non_null(strstr(w->request->fields.data, "X-Buildhook-Delivery: id-1\n"));
		assert_int_equal(receiver_in_flight(w->receiver), 0);
		metrics_format(w->metrics, &text);
		(void)snprintf(line, sizeof(line),
			       "buildhook_deliveries_total{type=\"github\",provider=\"unknown\","
			       "verdict=\"%s\",reason=\"%s\"} 1\n",
			       cases[i].verdict, cases[i].reason);
		if (!strstr(text.data, line))
			fail_msg("%s is not in\n%s", line, text.data);
	}
}

static void a_refusal_and_a_503_have_no_reason(void **state)
{
	struct proof_world *w = *state;
	CLEANUP(buf_release) struct buf text = BUF_INIT(64 << 10);

	delivery_refuse(new_delivery(w));
	assert_int_equal(w->request->status, 401);
	pass(w, 2000);
	delivery_unavailable(new_delivery(w), "the disk is full");
	assert_int_equal(w->request->status, 503);
	assert_non_null(strstr(w->request->answer.data, "the disk is full"));
	assert_non_null(strstr(w->request->fields.data, "Retry-After: "));
	metrics_format(w->metrics, &text);
	assert_non_null(strstr(text.data, "verdict=\"refused\",reason=\"\"} 1\n"));
	assert_non_null(strstr(text.data, "verdict=\"unavailable\",reason=\"\"} 1\n"));
}

static void on_time(void *arg)
{
	(void)arg;
}

/* What a timer means depends on the phase. */
static void the_next_phase_stops_the_timer_of_the_last(void **state)
{
	struct proof_world *w = *state;
	struct delivery *d = new_delivery(w);

	delivery_enter(d, PHASE_SECRETS);
	delivery_set_timer(d, 1000, on_time);
	assert_int_equal(clock_next_ms(w->services.clock), 1000);
	delivery_enter(d, PHASE_BODY);
	assert_int_equal(d->phase, PHASE_BODY);
	assert_int_not_equal(clock_next_ms(w->services.clock), 1000);
	delivery_set_timer(d, -5, on_time);
	assert_int_equal(clock_next_ms(w->services.clock), 0);
	end(w, d);
	assert_int_not_equal(clock_next_ms(w->services.clock), 0);
}

static void what_a_delivery_holds_is_given_back(void **state)
{
	struct proof_world *w = *state;
	struct delivery *d = new_delivery(w);
	struct delivery *other;

	d->held_bytes = 300;
	w->receiver->held_bytes = 500;
	d->secrets[d->n_secrets++] = (struct str){mem_strdup("abc"), 3};
	d->starts = mem_new(1, sizeof(*d->starts));
	d->starts[d->n_starts++] = (struct delivery_start){.json = mem_strdup("{}")};
	d->kept = (struct buf)BUF_INIT(1000);
	delivery_take_buffer(w->receiver, &d->kept, 800);
	buf_put_str(&d->kept, STR("body"));
	end(w, d);
	assert_int_equal(w->receiver->held_bytes, 200);
	/* The next one gets the buffer, empty. */
	other = new_delivery(w);
	other->kept = (struct buf)BUF_INIT(2000);
	delivery_take_buffer(w->receiver, &other->kept, 100);
	assert_int_equal(other->kept.len, 0);
	assert_int_equal(other->kept.limit, 2000);
	assert_true(other->kept.cap >= 800);
	end(w, other);
}

static void a_large_buffer_is_not_kept(void **state)
{
	struct proof_world *w = *state;
	struct buf large = BUF_INIT(4 * MAX_SPARE_BYTES);

	buf_reserve(&large, 2 * (size_t)MAX_SPARE_BYTES);
	delivery_give_buffer(w->receiver, &large);
	for (size_t i = 0; i < MAX_SPARE_BUFFERS; i++)
		assert_int_equal(w->receiver->spare[i].cap, 0);
	/* A large buffer is not allocated before it is used. */
	delivery_take_buffer(w->receiver, &large, MAX_SPARE_BYTES);
	assert_int_equal(large.cap, 0);
}

/* As many as the deliveries of 16 connections need, while they are small. */
static void buffers_wait_up_to_a_bound_of_all(void **state)
{
	struct proof_world *w = *state;
	struct buf buffers[MAX_SPARE_BUFFERS];

	for (size_t i = 0; i < ARRAY_LEN(buffers); i++) {
		buffers[i] = (struct buf)BUF_INIT(MAX_KEPT_BYTES);
		delivery_take_buffer(w->receiver, &buffers[i], 64000);
	}
	for (size_t i = 0; i < ARRAY_LEN(buffers); i++)
		delivery_give_buffer(w->receiver, &buffers[i]);
	assert_int_equal(w->receiver->spares_bytes, MAX_SPARE_BUFFERS * 64001);
	/* The smallest that is enough. */
	delivery_take_buffer(w->receiver, &buffers[0], 200000);
	delivery_give_buffer(w->receiver, &buffers[0]);
	delivery_take_buffer(w->receiver, &buffers[0], 64000);
	assert_int_equal(buffers[0].cap, 64001);
	delivery_give_buffer(w->receiver, &buffers[0]);
	for (size_t i = 0; i < ARRAY_LEN(buffers); i++)
		delivery_take_buffer(w->receiver, &buffers[i], MAX_SPARE_BYTES - 2);
	for (size_t i = 0; i < ARRAY_LEN(buffers); i++)
		delivery_give_buffer(w->receiver, &buffers[i]);
	assert_true(w->receiver->spares_bytes <= MAX_SPARES_BYTES);
	assert_true(w->receiver->spares_bytes >= (size_t)3 * MAX_SPARE_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		IN_WORLD(a_delivery_is_of_the_hook_that_its_path_names),
		IN_WORLD(each_answer_ends_its_delivery_and_is_counted),
		IN_WORLD(a_refusal_and_a_503_have_no_reason),
		IN_WORLD(the_next_phase_stops_the_timer_of_the_last),
		IN_WORLD(what_a_delivery_holds_is_given_back),
		IN_WORLD(a_large_buffer_is_not_kept),
		IN_WORLD(buffers_wait_up_to_a_bound_of_all),
	};

	return cmocka_run_group_tests_name("delivery", tests, NULL, NULL);
}
