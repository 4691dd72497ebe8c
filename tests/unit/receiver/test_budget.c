/* The memory that all deliveries hold together (receiver/budget.c). */
#include "proof_world.h"

#include "receiver/budget.h"

static struct test_request *requests[2];
static size_t n_requests;

static struct delivery *hold(struct proof_world *w, const char *path)
{
	struct test_request *r = test_request_new(path, 0);
	struct route route;

	assert_true(n_requests < ARRAY_LEN(requests));
	requests[n_requests++] = r;
	route_parse(&route, r->request.path);
	return delivery_new(w->receiver, &r->request, &route);
}

/* The newest request's client is gone. */
static void drop(void)
{
	struct test_request *r = requests[--n_requests];

	delivery_free(r->request.user);
	test_request_free(r);
}

static int drop_all(void **state)
{
	while (n_requests > 0)
		drop();
	return tear_down(state);
}

static uint64_t count_held(struct proof_world *w, struct delivery *d)
{
	assert_true(budget_count(d, 0));
	return w->receiver->held_bytes;
}

/* A sender could otherwise take all memory with a header. */
static void a_content_length_alone_reserves_nothing(void **state)
{
	struct proof_world *w = *state;
	struct delivery *d = hold(w, HOOK);
	uint64_t before = count_held(w, d);

	assert_true(before > 0);
	assert_false(budget_count(d, UINT64_C(1) << 40));
	assert_int_equal(w->receiver->held_bytes, before);
	d->request->content_length = INT64_C(1) << 40;
	assert_int_equal(count_held(w, d), before);
}

static void all_that_is_held_is_counted_once(void **state)
{
	struct proof_world *w = *state;
	struct delivery *d = hold(w, HOOK);
	uint64_t before = count_held(w, d), with_body = 0;

	assert_int_equal(count_held(w, d), before);
	d->kept = (struct buf)BUF_INIT(MAX_KEPT_BYTES);
	buf_put_str(&d->kept, STR("0123456789"));
	assert_int_equal(count_held(w, d), before + 10);
	d->request->connection_bytes = 500;
	assert_int_equal(count_held(w, d), before + 510);
	with_body = count_held(w, d);
	/* The connection goes on reading a little of a body that has to wait. */
	d->is_paused = true;
	assert_true(count_held(w, d) > with_body);
	d->is_paused = false;
	assert_int_equal(count_held(w, d), with_body);
	drop();
	assert_int_equal(w->receiver->held_bytes, 0);
}

/* A body may have many megabytes; the reader keeps files and commits of it up to a bound. */
static void a_body_that_is_read_counts_up_to_what_its_reader_keeps(void **state)
{
	struct proof_world *w = *state;
	struct delivery *d = hold(w, HOOK);
	uint64_t before = count_held(w, d);

	d->read_bytes = 256 * 1024 - 1;
	assert_int_equal(count_held(w, d), before + 256 * 1024 - 1);
	d->read_bytes = 256 * 1024;
	assert_int_equal(count_held(w, d), before + 256 * 1024);
	d->read_bytes = 256 * 1024 + 1;
	assert_int_equal(count_held(w, d), before + 256 * 1024);
	d->read_bytes = UINT64_MAX;
	assert_int_equal(count_held(w, d), before + 256 * 1024);
}

static void the_last_byte_of_the_bound_may_be_held_and_no_more(void **state)
{
	struct proof_world *w = *state;
	struct delivery *d = hold(w, HOOK);
	uint64_t bytes = count_held(w, d);

	w->receiver->opt.max_buffer_bytes = bytes;
	assert_true(budget_count(d, 0));
	assert_false(budget_count(d, 1));
	w->receiver->opt.max_buffer_bytes = bytes + 100;
	assert_true(budget_count(d, 100));
	assert_false(budget_count(d, 101));
	w->receiver->opt.max_buffer_bytes = bytes - 1;
	assert_false(budget_count(d, 0));
}

static void all_deliveries_share_one_bound(void **state)
{
	struct proof_world *w = *state;
	struct delivery *first = hold(w, HOOK), *second = hold(w, HOOK);
	uint64_t bytes = count_held(w, first);

	w->receiver->opt.max_buffer_bytes = 2 * bytes - 1;
	assert_false(budget_count(second, 0));
	/* It is there nevertheless, and counts for the others. */
	assert_false(budget_count(first, 0));
	drop();
	assert_true(budget_count(first, 0));
}

static void a_hook_that_does_not_exist_is_counted_like_one_that_does(void **state)
{
	struct proof_world *w = *state;
	struct delivery *known = hold(w, HOOK);
	struct delivery *unknown = hold(w, "/hooks/shop/none/github");
	uint64_t bytes = 0;

	put_buildconfig(w, "u", "", INLINE("abc"));
	known->is_known = true;
	bytes = count_held(w, known);
	assert_int_equal(count_held(w, unknown), 2 * bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, drop_all)
		IN_WORLD(a_content_length_alone_reserves_nothing),
		IN_WORLD(all_that_is_held_is_counted_once),
		IN_WORLD(a_body_that_is_read_counts_up_to_what_its_reader_keeps),
		IN_WORLD(the_last_byte_of_the_bound_may_be_held_and_no_more),
		IN_WORLD(all_deliveries_share_one_bound),
		IN_WORLD(a_hook_that_does_not_exist_is_counted_like_one_that_does),
	};

	return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}
