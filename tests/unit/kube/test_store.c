#include "kube/store.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* The object's form here: the text of its member "v". */
struct world {
	struct kube_store *store;
	int n_parsed;
	char changes[512]; /* "key old>new;" for each */
};

static void *parse(void *arg, const cJSON *doc)
{
	const char *v = json_str_at(doc, "v");

	((struct world *)arg)->n_parsed++;
	return mem_strdup(v ? v : "-");
}

static void free_object(void *object)
{
	mem_free(&object);
}

static void on_change(void *arg, const char *key, const void *old, const void *new_)
{
	struct world *w = arg;
	size_t n = strlen(w->changes);

	(void)snprintf(w->changes + n, sizeof(w->changes) - n, "%s %s>%s;", key,
		       old ? (const char *)old : "", new_ ? (const char *)new_ : "");
}

static int set_up(void **state)
{
	struct world *w = mem_new(1, sizeof(*w));
	struct kube_store_type type = {parse, free_object, on_change, w, 1};

	w->store = kube_store_new(&type);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	kube_store_free(w->store);
	mem_free(&w);
	return 0;
}

static cJSON *object(const char *name, const char *version, const char *v)
{
	cJSON *doc = json_new_object();
	cJSON *metadata = json_put_object(doc, "metadata");

	json_put_str(metadata, "namespace", "shop");
	json_put_str(metadata, "name", name);
	json_put_str(metadata, "resourceVersion", version);
	json_put_str(doc, "v", v);
	return doc;
}

static void put(struct world *w, const char *name, const char *version, const char *v, int64_t now)
{
	CLEANUP(json_freep) cJSON *doc = object(name, version, v);

	kube_store_put(w->store, doc, now);
}

static void put_written(struct world *w, const char *name, const char *version, const char *v,
			int64_t now)
{
	CLEANUP(json_freep) cJSON *doc = object(name, version, v);

	kube_store_put_written(w->store, doc, now);
}

static void expect_changes(struct world *w, const char *changes)
{
	assert_string_equal(w->changes, changes);
	w->changes[0] = '\0';
}

static void objects_come_change_and_go(void **state)
{
	struct world *w = *state;

	put(w, "cart", "1", "a", 0);
	assert_string_equal(kube_store_find(w->store, "shop/cart"), "a");
	put(w, "cart", "2", "b", 0);
	assert_int_equal(kube_store_count(w->store), 1);
	kube_store_remove(w->store, "shop/cart");
	assert_null(kube_store_find(w->store, "shop/cart"));
	expect_changes(w, "shop/cart >a;shop/cart a>b;shop/cart b>;");
	kube_store_remove(w->store, "shop/cart");
	expect_changes(w, "");
}

static void the_same_version_again_is_no_change(void **state)
{
	struct world *w = *state;

	put(w, "cart", "1", "a", 0);
	put(w, "cart", "1", "a", 0);
	assert_int_equal(w->n_parsed, 1);
	expect_changes(w, "shop/cart >a;");
}

static void a_walk_goes_around_all_objects(void **state)
{
	struct world *w = *state;

	assert_null(kube_store_walk(w->store));
	put(w, "cart", "1", "a", 0);
	put(w, "web", "2", "b", 0);
	put(w, "docs", "3", "c", 0);
	assert_string_equal(kube_store_walk(w->store), "shop/cart");
	assert_string_equal(kube_store_walk(w->store), "shop/web");
	kube_store_remove(w->store, "shop/docs");
	put(w, "cart", "4", "d", 0);
	assert_string_equal(kube_store_walk(w->store), "shop/cart");
	kube_store_remove(w->store, "shop/web");
	put(w, "news", "5", "e", 0);
	assert_string_equal(kube_store_walk(w->store), "shop/cart");
	assert_string_equal(kube_store_walk(w->store), "shop/news");
	kube_store_remove(w->store, "shop/cart");
	kube_store_remove(w->store, "shop/news");
	assert_null(kube_store_walk(w->store));
}

static void versions_are_opaque(void **state)
{
	struct world *w = *state;

	put(w, "cart", "10", "a", 0);
	put(w, "cart", "9", "b", 0);
	assert_string_equal(kube_store_find(w->store, "shop/cart"), "b");
	put(w, "cart", "x", "c", 0);
	put(w, "cart", NULL, "d", 0);
	put(w, "cart", NULL, "e", 0);
	assert_string_equal(kube_store_find(w->store, "shop/cart"), "e");
}

static void what_has_no_name_is_left_out(void **state)
{
	struct world *w = *state;
	CLEANUP(json_freep) cJSON *doc = json_new_object();

	kube_store_put(w->store, doc, 0);
	put(w, "", "1", "a", 0);
	assert_int_equal(kube_store_count(w->store), 0);
}

static void a_full_list_removes_what_is_not_in_it(void **state)
{
	struct world *w = *state;

	assert_false(kube_store_is_synced(w->store));
	kube_store_begin_list(w->store, NULL);
	put(w, "a", "1", "a", 0);
	put(w, "b", "1", "b", 0);
	kube_store_end_list(w->store, NULL);
	assert_true(kube_store_is_synced(w->store));
	w->changes[0] = '\0';
	kube_store_begin_list(w->store, NULL);
	put(w, "b", "1", "b", 0);
	kube_store_end_list(w->store, NULL);
	expect_changes(w, "shop/a a>;");
}

static void an_abandoned_list_removes_nothing(void **state)
{
	struct world *w = *state;

	kube_store_begin_list(w->store, NULL);
	put(w, "a", "1", "a", 0);
	kube_store_end_list(w->store, NULL);
	kube_store_begin_list(w->store, NULL);
	kube_store_begin_list(w->store, NULL);
	put(w, "a", "1", "a", 0);
	kube_store_end_list(w->store, NULL);
	assert_int_equal(kube_store_count(w->store), 1);
}

static void put_in(struct kube_store *store, const char *namespace_, const char *name)
{
	CLEANUP(json_freep) cJSON *doc = json_new_object();
	cJSON *metadata = json_put_object(doc, "metadata");

	json_put_str(metadata, "namespace", namespace_);
	json_put_str(metadata, "name", name);
	kube_store_put(store, doc, 0);
}

static void a_list_of_a_namespace_leaves_the_others_alone(void **state)
{
	struct world *w = *state;
	struct kube_store_type type = {parse, free_object, on_change, w, 2};
	struct kube_store *store = kube_store_new(&type);

	kube_store_begin_list(store, "shop");
	kube_store_begin_list(store, "shop-2");
	put_in(store, "shop", "a");
	put_in(store, "shop-2", "b");
	kube_store_end_list(store, "shop");
	assert_false(kube_store_is_synced(store));
	kube_store_begin_list(store, "shop");
	kube_store_end_list(store, "shop");
	assert_null(kube_store_find(store, "shop/a"));
	assert_non_null(kube_store_find(store, "shop-2/b"));
	assert_false(kube_store_is_synced(store));
	kube_store_end_list(store, "shop-2");
	assert_non_null(kube_store_find(store, "shop-2/b"));
	assert_true(kube_store_is_synced(store));
	kube_store_free(store);
}

static void an_older_event_does_not_undo_our_own_write(void **state)
{
	struct world *w = *state;

	put(w, "cart", "1", "a", 0);
	put_written(w, "cart", "3", "ours", 0);
	put(w, "cart", "2", "late", 10);
	assert_string_equal(kube_store_find(w->store, "shop/cart"), "ours");
	put(w, "cart", "3", "ours", 20);
	put(w, "cart", "4", "b", 30);
	expect_changes(w, "shop/cart >a;shop/cart a>ours;shop/cart ours>b;");
}

static void a_late_deletion_of_an_earlier_object_does_not_undo_our_write(void **state)
{
	struct world *w = *state;

	put(w, "cart", "1", "a", 0);
	put_written(w, "cart", "9", "ours", 0);
	kube_store_remove(w->store, "shop/cart");
	put(w, "cart", "8", "made again", 0);
	assert_string_equal(kube_store_find(w->store, "shop/cart"), "ours");
	put(w, "cart", "9", "ours", 0);
	assert_string_equal(kube_store_find(w->store, "shop/cart"), "ours");
	kube_store_settle(w->store, 1000000);
	assert_string_equal(kube_store_find(w->store, "shop/cart"), "ours");
}

static void what_was_held_back_counts_if_our_version_never_comes_by(void **state)
{
	struct world *w = *state;

	put(w, "cart", "1", "a", 0);
	put_written(w, "cart", "3", "ours", 0);
	put(w, "cart", "4", "b", 10);
	put(w, "cart", "5", "c", 20);
	kube_store_settle(w->store, 59999);
	assert_string_equal(kube_store_find(w->store, "shop/cart"), "ours");
	kube_store_settle(w->store, 60000);
	assert_string_equal(kube_store_find(w->store, "shop/cart"), "c");
	put(w, "cart", "6", "d", 60001);
	assert_string_equal(kube_store_find(w->store, "shop/cart"), "d");
}

static void a_held_back_removal_counts_too(void **state)
{
	struct world *w = *state;

	put(w, "cart", "1", "a", 0);
	put_written(w, "cart", "3", "ours", 0);
	kube_store_begin_list(w->store, NULL);
	kube_store_end_list(w->store, NULL);
	assert_non_null(kube_store_find(w->store, "shop/cart"));
	put(w, "other", "7", "x", 60000);
	assert_null(kube_store_find(w->store, "shop/cart"));
	expect_changes(w, "shop/cart >a;shop/cart a>ours;shop/cart ours>;shop/other >x;");
}

static void an_answer_that_comes_after_the_deletion_brings_nothing_back(void **state)
{
	struct world *w = *state;

	put(w, "cart", "1", "a", 0);
	kube_store_remove(w->store, "shop/cart");
	put_written(w, "cart", "2", "ours", 0);
	assert_null(kube_store_find(w->store, "shop/cart"));
}

static void an_answer_of_an_earlier_object_is_none_of_its_namesake(void **state)
{
	struct world *w = *state;
	CLEANUP(json_freep) cJSON *again = object("cart", "5", "made again");

	json_put_str(cJSON_GetObjectItemCaseSensitive(again, "metadata"), "uid", "another");
	put(w, "cart", "1", "a", 0);
	kube_store_remove(w->store, "shop/cart");
	kube_store_put(w->store, again, 0);
	put_written(w, "cart", "2", "ours", 0);
	assert_string_equal(kube_store_find(w->store, "shop/cart"), "made again");
}

static void an_answer_that_the_watch_was_faster_than_undoes_nothing(void **state)
{
	struct world *w = *state;

	put(w, "cart", "1", "a", 0);
	put(w, "cart", "2", "ours", 0);
	put(w, "cart", "3", "b", 0);
	put_written(w, "cart", "2", "ours", 0);
	assert_string_equal(kube_store_find(w->store, "shop/cart"), "b");
	put(w, "cart", "4", "c", 10);
	assert_string_equal(kube_store_find(w->store, "shop/cart"), "c");
}

static void an_answer_whose_event_was_held_back_undoes_nothing(void **state)
{
	struct world *w = *state;

	put(w, "cart", "1", "a", 0);
	put_written(w, "cart", "3", "ours", 0);
	put(w, "cart", "2", "ours, earlier", 10);
	put(w, "cart", "3", "ours", 20);
	put_written(w, "cart", "2", "ours, earlier", 30);
	assert_string_equal(kube_store_find(w->store, "shop/cart"), "ours");
}

static void our_write_is_no_proof_that_a_list_had_the_object(void **state)
{
	struct world *w = *state;

	put(w, "cart", "1", "a", 0);
	kube_store_begin_list(w->store, NULL);
	put_written(w, "cart", "3", "ours", 0);
	/* The list was made after the object had been deleted again. */
	kube_store_end_list(w->store, NULL);
	assert_non_null(kube_store_find(w->store, "shop/cart"));
	kube_store_settle(w->store, 60000);
	assert_null(kube_store_find(w->store, "shop/cart"));
}

static void a_second_write_waits_for_its_own_version(void **state)
{
	struct world *w = *state;

	put(w, "cart", "1", "a", 0);
	put_written(w, "cart", "3", "ours", 0);
	put_written(w, "cart", "5", "newer", 10);
	put(w, "cart", "3", "ours", 20);
	put(w, "cart", "4", "theirs", 30);
	assert_string_equal(kube_store_find(w->store, "shop/cart"), "newer");
	put(w, "cart", "5", "newer", 40);
	put(w, "cart", "6", "b", 50);
	assert_string_equal(kube_store_find(w->store, "shop/cart"), "b");
}

static void a_write_that_changed_nothing_holds_nothing_back(void **state)
{
	struct world *w = *state;

	put(w, "cart", "1", "a", 0);
	put_written(w, "cart", "1", "a", 0);
	put(w, "cart", "2", "b", 0);
	assert_string_equal(kube_store_find(w->store, "shop/cart"), "b");
}

static void count_each(void *arg, const char *key, const void *found)
{
	int *n = arg;

	assert_non_null(strstr(key, "shop/"));
	assert_non_null(found);
	(*n)++;
}

static void each_object_is_visited_once(void **state)
{
	struct world *w = *state;
	int n = 0;

	for (int i = 0; i < 1000; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "bc-%d", i);
		put(w, name, "1", "a", 0);
		w->changes[0] = '\0';
	}
	kube_store_each(w->store, count_each, &n);
	assert_int_equal(n, 1000);
	assert_int_equal(kube_store_count(w->store), 1000);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(objects_come_change_and_go),
		TEST(the_same_version_again_is_no_change),
		TEST(a_walk_goes_around_all_objects),
		TEST(versions_are_opaque),
		TEST(what_has_no_name_is_left_out),
		TEST(a_full_list_removes_what_is_not_in_it),
		TEST(an_abandoned_list_removes_nothing),
		TEST(a_list_of_a_namespace_leaves_the_others_alone),
		TEST(an_older_event_does_not_undo_our_own_write),
		TEST(a_late_deletion_of_an_earlier_object_does_not_undo_our_write),
		TEST(what_was_held_back_counts_if_our_version_never_comes_by),
		TEST(a_held_back_removal_counts_too),
		TEST(an_answer_that_comes_after_the_deletion_brings_nothing_back),
		TEST(an_answer_of_an_earlier_object_is_none_of_its_namesake),
		TEST(an_answer_that_the_watch_was_faster_than_undoes_nothing),
		TEST(an_answer_whose_event_was_held_back_undoes_nothing),
		TEST(our_write_is_no_proof_that_a_list_had_the_object),
		TEST(a_second_write_waits_for_its_own_version),
		TEST(a_write_that_changed_nothing_holds_nothing_back),
		TEST(each_object_is_visited_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
