/* Calls to the system that fail while a journal is opened: said to be what they are, and without
 * harm to what is there. */
#include "world.h"

#include "../faults.h"
#include "files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

FAULT(int, mkdir, (const char *path, mode_t mode), (path, mode), -1)
FAULT(int, fsync, (int fd), (fd), -1)
FAULT(int, fstat, (int fd, struct stat *st), (fd, st), -1)
FAULT(int, flock, (int fd, int how), (fd, how), -1)
FAULT(int, ftruncate, (int fd, off_t n), (fd, n), -1)
FAULT(int, unlinkat, (int fd, const char *name, int flags), (fd, name, flags), -1)
FAULT(int, renameat, (int fd, const char *from, int to_fd, const char *to), (fd, from, to_fd, to),
      -1)
FAULT(int, faccessat, (int fd, const char *name, int mode, int flags), (fd, name, mode, flags), -1)
FAULT(ssize_t, pread, (int fd, void *out, size_t n, off_t at), (fd, out, n, at), -1)
/* As SQLite calls them. */
FAULT(ssize_t, pread64, (int fd, void *out, size_t n, off_t at), (fd, out, n, at), -1)
FAULT(int, fdatasync, (int fd), (fd), -1)

static const struct {
	const char *name;
	struct fault *fault;
	int error;
	unsigned at_new,
		at_old; /* so often at least it is called in a first and in another start */
} calls[] = {
	{"mkdir", &fault_mkdir, ENOSPC, 4, 4},
	{"fsync", &fault_fsync, EIO, 4, 1},
	{"fstat", &fault_fstat, EIO, 2, 2},
	{"flock", &fault_flock, ENOLCK, 1, 1},
	{"ftruncate", &fault_ftruncate, ENOSPC, 1, 1},
	{"unlinkat", &fault_unlinkat, EIO, 6, 0},
	{"renameat", &fault_renameat, EIO, 2, 0},
	{"faccessat", &fault_faccessat, EIO, 1, 1},
	{"pread", &fault_pread, EIO, 1, 1},
	{"pread64", &fault_pread64, EIO, 5, 5},
	{"fdatasync", &fault_fdatasync, EIO, 3, 2},
};

/* True when the call was made. A sound journal is never said to be damaged. */
static bool open_with_fault(struct world *world, size_t i, unsigned at, size_t n_rows)
{
	struct err err = {0};
	bool is_made;
	int rc;

	fault_arm(calls[i].fault, at, calls[i].error);
	rc = world_open(world, &err);
	is_made = !fault_is_armed(calls[i].fault);
	fault_arm(calls[i].fault, 0, 0);
	if (rc != ERR_OK && (rc != ERR_UNAVAILABLE || !is_made))
		fail_msg("%s, call %u: %s", calls[i].name, at, err.msg);
	if (rc != ERR_OK)
		world_must_open(world);
	assert_int_equal(count_pending(world), n_rows);
	world_close(world);
	return is_made;
}

static void a_first_start_in_which_a_call_fails_is_no_hindrance(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		unsigned at = 0;

		do
			(void)snprintf(world->dir, sizeof(world->dir), "%s/%zu.%u/data/",
				       world->base, i, ++at);
		while (open_with_fault(world, i, at, 0));
		if (at <= calls[i].at_new)
			fail_msg("%u calls of %s", at - 1, calls[i].name);
	}
}

static void a_start_in_which_a_call_fails_leaves_the_journal_as_it_is(void **state)
{
	struct world *world = *state;
	CLEANUP(release_image) struct image file = {0};
	CLEANUP(release_image) struct image log = {0};

	make_journal(world, 3);
	world_must_open(world);
	(void)add_one(world, "in the log", "refs/heads/main");
	file = load(world, "journal.db");
	log = load(world, "journal.db-wal");
	world_close(world);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		unsigned at = 0;

		do {
			store(world, "journal.db", file.bytes, file.n);
			store(world, "journal.db-wal", log.bytes, log.n);
		} while (open_with_fault(world, i, ++at, 4));
		if (at <= calls[i].at_old)
			fail_msg("%u calls of %s", at - 1, calls[i].name);
	}
}

static void what_is_not_allowed_is_told_apart_from_what_does_not_work(void **state)
{
	static const struct {
		int error;
		int code;
	} cases[] = {
		{EACCES, ERR_DENIED},     {EPERM, ERR_DENIED},       {ENOTDIR, ERR_DENIED},
		{ELOOP, ERR_DENIED},      {ENOSPC, ERR_UNAVAILABLE}, {EIO, ERR_UNAVAILABLE},
		{EROFS, ERR_UNAVAILABLE},
	};
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};

		fault_arm(&fault_mkdir, 1, cases[i].error);
		assert_int_equal(world_open(world, &err), cases[i].code);
		assert_non_null(strstr(err.msg, strerror(cases[i].error)));
	}
}

static void a_new_folder_that_can_not_be_made_durable_is_not_used(void **state)
{
	struct world *world = *state;
	struct err err = {0};

	fault_arm(&fault_fsync, 1, EIO);
	assert_int_equal(world_open(world, &err), ERR_UNAVAILABLE);
	assert_non_null(strstr(err.msg, "make durable the folder above"));
	assert_int_not_equal(access(world->dir, F_OK), 0);
	world_must_open(world);
}

/* Its number is for the message alone: a disk that is full keeps nobody from starting. */
static void who_could_not_leave_a_number_has_the_folder_all_the_same(void **state)
{
	struct world *world = *state;
	struct world second = *world;
	struct err err = {0};

	fault_arm(&fault_ftruncate, 1, ENOSPC);
	world_must_open(world);
	assert_int_equal(world_open(&second, &err), ERR_EXISTS);
	assert_non_null(strstr(err.msg, "in use by another buildhook"));
	assert_null(strstr(err.msg, "process"));
}

static void a_header_that_can_not_be_read_is_no_damage(void **state)
{
	struct world *world = *state;
	struct err err = {0};

	make_journal(world, 1);
	fault_arm(&fault_pread, 1, EIO);
	assert_int_equal(world_open(world, &err), ERR_UNAVAILABLE);
	assert_non_null(strstr(err.msg, "read journal.db in"));
	assert_null(strstr(err.msg, "mv "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_first_start_in_which_a_call_fails_is_no_hindrance),
		WORLD_TEST(a_start_in_which_a_call_fails_leaves_the_journal_as_it_is),
		WORLD_TEST(what_is_not_allowed_is_told_apart_from_what_does_not_work),
		WORLD_TEST(a_new_folder_that_can_not_be_made_durable_is_not_used),
		WORLD_TEST(who_could_not_leave_a_number_has_the_folder_all_the_same),
		WORLD_TEST(a_header_that_can_not_be_read_is_no_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
