/* The data directory: its owner and mode, and the lock that keeps a second process out. */
#include "journal/folder.h"

#include "base/buf.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_NAME "lock"

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

int journal_folder_fail(struct err *err, const char *what, const char *path)
{
	bool is_denied = errno == EACCES || errno == EPERM || errno == ENOTDIR || errno == ELOOP;

	return err_set(err, is_denied ? ERR_DENIED : ERR_UNAVAILABLE, "%s %s: %s", what, path,
		       strerror(errno));
}

char *journal_folder_path(const char *folder, const char *name)
{
	CLEANUP(buf_release) struct buf path = BUF_INIT(PATH_MAX);

	buf_printf(&path, "%s/%s", folder, name);
	return buf_take(&path);
}

int journal_folder_sync(const struct journal_folder *folder, struct err *err)
{
	if (fsync(folder->fd) != 0)
		return journal_folder_fail(err, "make the names durable in", folder->path);
	return ERR_OK;
}

/* Syncs the parent: without it the new folder, with all that is in it, could be gone after a
 * power loss. */
static int sync_parent(const char *path, struct err *err)
{
	CLEANUP(mem_free) char *parent = journal_folder_path(path, "..");
	CLEANUP(close_fd) int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) != 0)
		return journal_folder_fail(err, "make durable the folder above", path);
	return ERR_OK;
}

static int make_one(const char *path, struct err *err)
{
	int rc;

	if (mkdir(path, 0700) != 0)
		return errno == EEXIST ? ERR_OK
				       : journal_folder_fail(err, "make the data folder", path);
	rc = sync_parent(path, err);
	if (rc != ERR_OK)
		(void)rmdir(path); /* else the next start would take it for durable */
	return rc;
}

static int make_all(const char *path, struct err *err)
{
	CLEANUP(mem_free) char *part = mem_strdup(path);
	char *slash = strchr(part + strspn(part, "/"), '/');

	for (; slash; slash = strchr(slash + 1, '/')) {
		int rc;

		*slash = '\0';
		rc = make_one(part, err);
		if (rc != ERR_OK)
			return rc;
		*slash = '/';
	}
	return make_one(part, err);
}

/*
 * Other users with write permission could insert rows, and those with read permission could see
 * what users sent. The root of a volume often belongs to root and a group (fsGroup): there a
 * subfolder that this process makes itself is safe.
 */
static int check_owner(const struct journal_folder *folder, struct err *err)
{
	struct stat st = {0};

	if (fstat(folder->fd, &st) != 0)
		return journal_folder_fail(err, "look at", folder->path);
	if (st.st_uid != geteuid())
		return err_set(
			err, ERR_DENIED,
			"data folder %s belongs to uid %u, this is uid %u: chown it, or name a "
			"subfolder of it, which is then made",
			folder->path, (unsigned)st.st_uid, (unsigned)geteuid());
	if (st.st_mode & 077)
		return err_set(
			err, ERR_DENIED,
			"data folder %s is open to others (mode %04o): chmod 700 it, or name a "
			"subfolder of it, which is then made",
			folder->path, (unsigned)st.st_mode & 07777);
	return ERR_OK;
}

static int say_who_has_it(const struct journal_folder *folder, struct err *err)
{
	char pid[16] = "";
	ssize_t n = pread(folder->lock_fd, pid, sizeof(pid) - 1, 0);

	pid[n > 0 ? n : 0] = '\0';
	pid[strspn(pid, "0123456789")] = '\0';
	return err_set(err, ERR_EXISTS, "data folder %s is in use by another buildhook%s%s",
		       folder->path, *pid ? ", process " : "", pid);
}

static int lock(struct journal_folder *folder, struct err *err)
{
	folder->lock_fd = openat(folder->fd, LOCK_NAME,
				 O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
	if (folder->lock_fd < 0)
		return journal_folder_fail(err, "open the lock in", folder->path);
	if (flock(folder->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno == EWOULDBLOCK)
			return say_who_has_it(folder, err);
		return journal_folder_fail(err, "lock", folder->path);
	}
	/* Only for the message above: a full disk is no reason not to start. */
	if (ftruncate(folder->lock_fd, 0) == 0)
		(void)dprintf(folder->lock_fd, "%ld\n", (long)getpid());
	return ERR_OK;
}

int journal_folder_open(struct journal_folder *out, const char *path, struct err *err)
{
	CLEANUP(journal_folder_release)
	struct journal_folder folder = {.path = mem_strdup(path), .fd = -1, .lock_fd = -1};
	int rc = make_all(path, err);

	if (rc != ERR_OK)
		return rc;
	folder.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder.fd < 0)
		return journal_folder_fail(err, "open the data folder", path);
	rc = check_owner(&folder, err);
	if (rc == ERR_OK)
		rc = lock(&folder, err);
	if (rc != ERR_OK)
		return rc;
	*out = folder;
	folder = (struct journal_folder){0};
	return ERR_OK;
}

void journal_folder_release(struct journal_folder *folder)
{
	if (!folder->path)
		return;
	close_fd(&folder->lock_fd);
	close_fd(&folder->fd);
	free(folder->path);
	*folder = (struct journal_folder){0};
}
