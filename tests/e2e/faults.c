/*
 * Preloaded into the program: at one exact call that leaves the process it is killed, or the call
 * fails.
 *
 *     FAULT_FILE   calls count while this file is there; it is gone when the fault has happened
 *     FAULT_CALLS  which ones, ",fsync,fdatasync,"; without it all
 *     FAULT_ON     only those on files whose path contains this; without it all but the log
 *     FAULT_AT     which of them: 1 is the first
 *     FAULT_HOW    "before", "half" (of its bytes), "after": killed there; else the errno it has
 *     FAULT_LASTS  all later ones fail, too, until the file is there again
 *
 * The calls are those that SQLite, libcurl, libevent, OpenSSL and the program itself make for it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define NO_BYTES 6

static atomic_long n_calls;
static atomic_bool has_happened;
/* By descriptor: what a failure of the disk leaves of a log that is only appended to. */
static atomic_long synced[1024];

/* Where a call goes to: a file's path, or "socket:[1]". */
struct target {
	const char *call;
	int fd; /* -1: it is named, not open */
	char path[PATH_MAX];
};

static const char *setting(const char *name)
{
	const char *value = getenv(name);

	return value ? value : "";
}

static struct target open_file(const char *call, int fd)
{
	struct target out = {.call = call, .fd = fd};
	char link[32];

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	(void)!readlink(link, out.path, sizeof(out.path) - 1);
	return out;
}

static struct target named_file(const char *call, int folder, const char *name)
{
	struct target out = {.call = call, .fd = -1};

	if (folder != AT_FDCWD)
		out = open_file(call, folder);
	out.fd = -1;
	(void)snprintf(out.path + strlen(out.path), sizeof(out.path) - strlen(out.path), "/%s",
		       name);
	return out;
}

static bool is_counted(const struct target *to)
{
	char call[32];

	(void)snprintf(call, sizeof(call), ",%s,", to->call);
	return to->fd != STDERR_FILENO && strstr(to->path, setting("FAULT_ON")) &&
	       (!*setting("FAULT_CALLS") || strstr(setting("FAULT_CALLS"), call));
}

static bool is_hit(const struct target *to)
{
	if (!is_counted(to))
		return false;
	if (atomic_load(&has_happened))
		return *setting("FAULT_LASTS") && access(setting("FAULT_FILE"), F_OK) != 0;
	if (access(setting("FAULT_FILE"), F_OK) != 0 ||
	    atomic_fetch_add(&n_calls, 1) + 1 != atol(setting("FAULT_AT")))
		return false;
	atomic_store(&has_happened, true);
	(void)dprintf(STDERR_FILENO, "fault: %s %s %s\n", setting("FAULT_HOW"), to->call, to->path);
	(void)syscall(SYS_unlink, setting("FAULT_FILE"));
	return true;
}

static void note_size(const struct target *to, long size)
{
	if (to->fd >= 0 && to->fd < (int)(sizeof(synced) / sizeof(*synced)))
		atomic_store(&synced[to->fd], size);
}

static void note_synced(const struct target *to)
{
	struct stat st = {0};

	if (strstr(to->call, "sync") && fstat(to->fd, &st) == 0)
		note_size(to, st.st_size);
}

/* A sync that fails has lost what it was for: the kernel takes those pages for written. */
static void lose_unsynced(const struct target *to)
{
	if (strstr(to->call, "sync") && strstr(to->path, "-wal"))
		(void)syscall(SYS_ftruncate, to->fd, atomic_load(&synced[to->fd]));
}

static void die(void)
{
	(void)kill(getpid(), SIGKILL);
	for (;;)
		(void)pause();
}

/* BYTES_AT: which argument says how many bytes, or NO_BYTES. */
static long leave(const struct target *to, size_t bytes_at, long number, long a, long b, long c,
		  long d, long e, long f)
{
	long args[] = {a, b, c, d, e, f};
	const char *how = setting("FAULT_HOW");
	bool is_now = is_hit(to);
	long result;

	if (is_now && atoi(how) > 0) {
		lose_unsynced(to);
		errno = atoi(how);
		return -1;
	}
	if (is_now && strcmp(how, "before") == 0)
		die();
	if (is_now && strcmp(how, "half") == 0 && bytes_at < NO_BYTES)
		args[bytes_at] /= 2;
	result = syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
	if (is_now)
		die();
	if (result == 0)
		note_synced(to);
	return result;
}

ssize_t write(int fd, const void *p, size_t n)
{
	struct target to = open_file("write", fd);

	return leave(&to, 2, SYS_write, fd, (long)p, (long)n, 0, 0, 0);
}

ssize_t writev(int fd, const struct iovec *pieces, int n)
{
	struct target to = open_file("writev", fd);

	return leave(&to, NO_BYTES, SYS_writev, fd, (long)pieces, n, 0, 0, 0);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	struct target to = open_file("pwrite", fd);

	return leave(&to, 2, SYS_pwrite64, fd, (long)p, (long)n, at, 0, 0);
}

ssize_t send(int fd, const void *p, size_t n, int flags)
{
	struct target to = open_file("send", fd);

	return leave(&to, 2, SYS_sendto, fd, (long)p, (long)n, flags, 0, 0);
}

ssize_t sendto(int fd, const void *p, size_t n, int flags, const struct sockaddr *address,
	       socklen_t length)
{
	struct target to = open_file("send", fd);

	return leave(&to, 2, SYS_sendto, fd, (long)p, (long)n, flags, (long)address, length);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	struct target to = open_file("send", fd);

	return leave(&to, NO_BYTES, SYS_sendmsg, fd, (long)message, flags, 0, 0, 0);
}

int fsync(int fd)
{
	struct target to = open_file("fsync", fd);

	return (int)leave(&to, NO_BYTES, SYS_fsync, fd, 0, 0, 0, 0, 0);
}

int fdatasync(int fd)
{
	struct target to = open_file("fdatasync", fd);

	return (int)leave(&to, NO_BYTES, SYS_fdatasync, fd, 0, 0, 0, 0, 0);
}

int ftruncate64(int fd, off64_t size)
{
	struct target to = open_file("ftruncate", fd);
	long result = leave(&to, NO_BYTES, SYS_ftruncate, fd, size, 0, 0, 0, 0);

	if (result == 0)
		note_size(&to, size);
	return (int)result;
}

int ftruncate(int fd, off_t size)
{
	return ftruncate64(fd, size);
}

int unlink(const char *path)
{
	struct target to = named_file("unlink", AT_FDCWD, path);

	return (int)leave(&to, NO_BYTES, SYS_unlink, (long)path, 0, 0, 0, 0, 0);
}

int unlinkat(int folder, const char *name, int flags)
{
	struct target to = named_file("unlink", folder, name);

	return (int)leave(&to, NO_BYTES, SYS_unlinkat, folder, (long)name, flags, 0, 0, 0);
}

int renameat(int folder, const char *name, int to_folder, const char *to_name)
{
	struct target to = named_file("rename", folder, name);

	return (int)leave(&to, NO_BYTES, SYS_renameat2, folder, (long)name, to_folder,
			  (long)to_name, 0, 0);
}

int mkdir(const char *path, mode_t mode)
{
	struct target to = named_file("mkdir", AT_FDCWD, path);

	return (int)leave(&to, NO_BYTES, SYS_mkdirat, AT_FDCWD, (long)path, mode, 0, 0, 0);
}
